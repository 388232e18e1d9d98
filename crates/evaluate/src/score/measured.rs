//! What running the target took, and expressions over all that is known.

use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_gate::{Metric, ScoreValue};
use sluicegate_value::{Map, Value};

use super::scored::Found;
use super::{CaseFacts, NotScored};
use crate::evaluator::{Scorer, Tokens};
use crate::judge::number_text;

pub(super) fn score(scorer: &Scorer, facts: &CaseFacts<'_>, metric: Option<&Metric>) -> Result<Found, NotScored> {
    let run = &facts.run;
    match scorer {
        Scorer::Latency if run.cached => Err(NotScored::not_applicable("the answer came from a cache")),
        Scorer::Latency => measured(run.latency_ms, "ms", "the time was not measured"),
        Scorer::Cost => measured(run.cost_usd, "US dollars", "the price is not known"),
        Scorer::Tokens { which } => {
            let count = match which {
                Tokens::Prompt => run.prompt_tokens,
                Tokens::Completion => run.completion_tokens,
                Tokens::Total => match (run.prompt_tokens, run.completion_tokens) {
                    (None, None) => None,
                    (prompt, completion) => Some(prompt.unwrap_or_default() + completion.unwrap_or_default()),
                },
            };
            measured(count.map(|count| count as f64), "tokens", "tokens were not counted")
        }
        Scorer::Expression(expression) => of_expression(expression, facts, metric.is_some_and(|metric| metric.boolean)),
        _ => Err(NotScored::failed("it measures nothing")),
    }
}

fn measured(number: Option<f64>, unit: &str, otherwise: &str) -> Result<Found, NotScored> {
    match number {
        Some(number) => Ok(Found::number(number, format!("{} {unit}", number_text(number)))),
        None => Err(NotScored::failed(otherwise)),
    }
}

fn of_expression(expression: &Expression, facts: &CaseFacts<'_>, boolean: bool) -> Result<Found, NotScored> {
    let value = expression
        .eval(&variables(expression, facts))
        .map_err(|error| NotScored::failed(format!("the expression failed: {}: {}", error.class, error.message)))?;
    let reason = |said: &str| format!("`{}` is {said}", super::texts::quote(expression.source()));
    match &value {
        Value::Bool(yes) => Ok(Found::yes(*yes, if *yes { String::new() } else { reason("false") })),
        Value::Null => Err(NotScored::not_applicable("the expression gave nothing")),
        other => match other.as_number() {
            Some(number) if boolean && number != 0.0 && number != 1.0 => Err(NotScored::failed(format!(
                "the expression gave {}, neither true nor false; say its `scale`",
                number_text(number)
            ))),
            Some(number) => Ok(Found { value: ScoreValue::Number(number), reason: String::new(), details: Map::new() }),
            None => Err(NotScored::failed(format!("the expression gave {}, no number", super::texts::kind_of(other)))),
        },
    }
}

/// What an expression reads of a case.
pub(super) fn variables(expression: &Expression, facts: &CaseFacts<'_>) -> Vec<(Arc<str>, Value)> {
    let value = |name: &str| -> Option<Value> {
        match name {
            "data" => Some(facts.data.clone().into()),
            "target" => Some(facts.outputs.clone().into()),
            "run" => Some(run(facts).into()),
            "scores" => Some(scores(facts).into()),
            _ => None,
        }
    };
    let wanted = expression.variables().iter();
    wanted.filter_map(|(name, _)| Some((name.clone(), value(name)?))).collect()
}

fn run(facts: &CaseFacts<'_>) -> Map {
    let run = &facts.run;
    Map::from([
        ("latency_ms", Value::from(run.latency_ms)),
        ("cost_usd", run.cost_usd.into()),
        ("prompt_tokens", run.prompt_tokens.into()),
        ("completion_tokens", run.completion_tokens.into()),
        ("cached", run.cached.into()),
    ])
}

/// Scores by metric, `null` where one is missing; of several readings their mean.
fn scores(facts: &CaseFacts<'_>) -> Map {
    let mut sums: Vec<(&str, f64, f64)> = Vec::new();
    for scored in facts.scores {
        let name = scored.score.metric.as_str();
        let at = sums.iter().position(|(known, ..)| *known == name).unwrap_or_else(|| {
            sums.push((name, 0.0, 0.0));
            sums.len() - 1
        });
        if let (Some((_, sum, count)), Some(number)) = (sums.get_mut(at), scored.score.value.number()) {
            *sum += number;
            *count += 1.0;
        }
    }
    sums.into_iter().map(|(name, sum, count)| (name, (count > 0.0).then(|| sum / count))).collect()
}
