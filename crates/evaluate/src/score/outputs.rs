//! What a judge replied, an evaluation flow gave, or two vectors say.

use sluicegate_gate::{Missing, ScoreValue};
use sluicegate_value::{Map, Value};

use super::judged::is_swapped;
use super::scored::Found;
use super::texts::{kind_of, text_of};
use super::{CaseFacts, CaseScore, NotScored, Reading};
use crate::binding::BoundEvaluator;
use crate::evaluator::{EvaluatorMetric, JudgeScorer, Scorer};
use crate::judge::{Expects, Reply, Wanted, parse_reply};
use crate::text::numbers::parse_number;
use crate::text::vectors;

/// What is to be compared by its meaning.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Texts that have to be made into vectors.
    Texts([String; 2]),
    /// Vectors, which the data or the target gave.
    Vectors([Vec<f64>; 2]),
}

impl BoundEvaluator {
    /// Scores a case by what the evaluator's batch gave for it: one score for each metric.
    #[must_use]
    pub fn score_outputs(&self, facts: &CaseFacts<'_>, reading: &Reading<'_>) -> Vec<CaseScore> {
        match &self.evaluator.scorer {
            Scorer::Judge(judge) => match self.judged(judge, facts, reading) {
                Ok(found) => self.one(facts, reading.judge_repeat, reading.cost_usd, found),
                Err(missing) => {
                    let mut scores = self.missing(facts, reading.judge_repeat, &missing);
                    // A reply without a score was paid for as well.
                    scores.iter_mut().for_each(|scored| scored.score.cost_usd = reading.cost_usd);
                    scores
                }
            },
            _ => self
                .evaluator
                .metrics
                .iter()
                .enumerate()
                .map(|(at, given)| {
                    let found = of_flow(given, &self.evaluator.name, reading.outputs);
                    let found = found.unwrap_or_else(|missing| Found {
                        value: ScoreValue::Missing { why: missing.why, detail: missing.detail },
                        reason: String::new(),
                        details: Map::new(),
                    });
                    // The line was paid for once.
                    let cost_usd = reading.cost_usd.filter(|_| at == 0);
                    self.case_score(facts, reading.judge_repeat, cost_usd, &given.metric, found)
                })
                .collect(),
        }
    }

    /// The texts to embed for a case, or the vectors that are there already.
    ///
    /// # Errors
    /// There is nothing to compare: give the case missing scores, by [`BoundEvaluator::missing`].
    pub fn texts_to_embed(&self, facts: &CaseFacts<'_>) -> Result<Comparison, NotScored> {
        self.ready(facts)?;
        let value = |name: &str| self.value(name, facts).unwrap_or(&Value::Null);
        let (one, other) = (value("response"), value("ground_truth"));
        Ok(match (vector(one), vector(other)) {
            (Some(one), Some(other)) => Comparison::Vectors([one, other]),
            _ => Comparison::Texts([text_of(one).into_owned(), text_of(other).into_owned()]),
        })
    }

    /// Scores a case by two vectors.
    #[must_use]
    pub fn score_vectors(
        &self,
        facts: &CaseFacts<'_>,
        one: &[f64],
        other: &[f64],
        cost_usd: Option<f64>,
    ) -> Vec<CaseScore> {
        match vectors::cosine(one, other) {
            Ok(cosine) => self.one(facts, 0, cost_usd, Found::number(cosine, "")),
            Err(error) => self.missing(facts, 0, &NotScored::failed(error.to_string())),
        }
    }

    fn judged(&self, judge: &JudgeScorer, facts: &CaseFacts<'_>, reading: &Reading<'_>) -> Result<Found, NotScored> {
        let unscored = |detail: String| NotScored { why: Missing::Unscored, detail };
        let place = self.place_among(facts, reading.judge_repeat);
        let scale = self.evaluator.metrics.first().and_then(|given| given.metric.scale);
        let wanted = match (judge.expects, place, scale) {
            (Expects::Winner, ..) => Wanted::Winner,
            (Expects::Number, Some((of, _)), _) => Wanted::Choice { of },
            (Expects::Score, _, Some([lowest, highest])) => Wanted::Scale { lowest, highest },
            _ => return Err(NotScored::failed("there is no scale to read the reply by")),
        };
        let output = Value::from(reading.outputs.clone());
        let output = match reading.outputs.len() {
            // A prompt has one output, whatever it is called, unless its reply was asked for as JSON.
            1 => reading.outputs.values().next().filter(|only| matches!(only, Value::Str(_) | Value::Map(_))),
            _ => None,
        }
        .unwrap_or(&output);
        let reply = parse_reply(output, wanted, judge.score_key.as_deref(), judge.weighted);
        let (score, reason, weighted) = match reply {
            Reply::Scored { score, reason, weighted } => (score, reason, weighted),
            Reply::Unscored(why) => return Err(unscored(why)),
        };
        let details = |name: &'static str, value: Value| Map::from([(name, value)]);
        Ok(match (judge.expects, place) {
            (Expects::Winner, _) => {
                let swapped = is_swapped(reading.judge_repeat);
                let score = if swapped { 1.0 - score } else { score };
                Found::number(score, reason).with(details("shown_second", swapped.into()))
            }
            (Expects::Number, Some((of, place))) => {
                let chosen = score == f64::from(place);
                let note = format!("answer {score} of {of} was chosen; this one was number {place}");
                let reason = if reason.is_empty() { note } else { reason };
                Found::yes(chosen, reason).with(details("place", i64::from(place).into()))
            }
            _ if judge.weighted => Found::number(score, reason).with(details("weighted", weighted.into())),
            _ => Found::number(score, reason),
        })
    }
}

/// What an evaluation flow's outputs say of a metric.
fn of_flow(given: &EvaluatorMetric, evaluator: &str, outputs: &Map) -> Result<Found, NotScored> {
    let (name, value) = match &given.output {
        Some(output) => (&**output, outputs.get(output)),
        None => {
            let usual = [evaluator, "score", "output", "result"];
            let by_name = usual.into_iter().find_map(|name| Some((name, Some(outputs.get(name)?))));
            let only = || match outputs.iter().next() {
                Some((name, value)) if outputs.len() == 1 => Some((&**name, Some(value))),
                _ => None,
            };
            by_name.or_else(only).unwrap_or(("score", None))
        }
    };
    let reason = [format!("{name}_reason"), "reason".to_owned(), "explanation".to_owned()]
        .iter()
        .find_map(|key| outputs.get(key).and_then(Value::as_str))
        .unwrap_or_default();
    let unscored = |detail: String| NotScored { why: Missing::Unscored, detail };
    let value = match value {
        // `{"score": 4, "reason": "…"}` as one output
        Some(Value::Map(map)) => return of_flow(&EvaluatorMetric { output: None, ..given.clone() }, evaluator, map),
        Some(Value::Bool(yes)) => ScoreValue::Bool(*yes),
        Some(Value::Str(text)) => match parse_number(text).or_else(|| leading_number(text)) {
            Some(number) => ScoreValue::Number(number),
            None => match &*text.trim().to_lowercase() {
                "true" | "yes" | "pass" => ScoreValue::Bool(true),
                "false" | "no" | "fail" => ScoreValue::Bool(false),
                _ => return Err(unscored(format!("`{name}` is {}, no score", kind_of(&Value::Str(text.clone()))))),
            },
        },
        Some(Value::Null) => return Err(unscored(format!("`{name}` is nothing"))),
        Some(other) => match other.as_number() {
            Some(number) if number.is_finite() => ScoreValue::Number(number),
            Some(number) => return Err(unscored(format!("`{name}` is {number}"))),
            None => return Err(unscored(format!("`{name}` is {}, no score", kind_of(other)))),
        },
        None => return Err(NotScored::failed(format!("the evaluation flow gave no `{name}`"))),
    };
    Ok(Found { value, reason: sluicegate_gate::shortened(reason, 1_000), details: Map::new() })
}

/// `5: Excellent`, a number and what it means.
fn leading_number(text: &str) -> Option<f64> {
    let (number, _) = text.split_once(':')?;
    parse_number(number)
}

fn vector(value: &Value) -> Option<Vec<f64>> {
    let items = value.as_list().filter(|items| !items.is_empty())?;
    items.iter().map(Value::as_number).collect()
}
