//! `evaluation_results.json`, in the shape that its readers know (spec: promptflow.md §5.3).

use std::sync::Arc;

use sluicegate_gate::{Missing, ScoreValue};
use sluicegate_value::{Map, Value};

use super::{MetricSummary, ResultKeys};
use crate::binding::BoundEvaluator;
use crate::evaluator::{Evaluator, EvaluatorMetric};
use crate::score::CaseScore;

/// One answer to one case, with its scores.
#[derive(Clone, Copy, Debug)]
pub struct ResultRow<'a> {
    /// The columns of its row.
    pub data: &'a Map,
    /// The target's outputs; empty where it failed.
    pub outputs: &'a Map,
    /// Its scores. Of several readings of a judge the mean stands in the row.
    pub scores: &'a [CaseScore],
}

/// A row of the results: `inputs.<column>`, `outputs.<output>`, `outputs.<evaluator>.<key>`. What is missing is `null`.
#[must_use]
pub fn row(keys: ResultKeys, evaluators: &[BoundEvaluator], row: &ResultRow<'_>) -> Map {
    let mut map = Map::new();
    map.extend(row.data.iter().map(|(name, value)| (Arc::from(format!("inputs.{name}")), value.clone())));
    map.extend(row.outputs.iter().map(|(name, value)| (Arc::from(format!("outputs.{name}")), value.clone())));
    for bound in evaluators {
        let evaluator = &bound.evaluator;
        for given in &evaluator.metrics {
            let scores: Vec<&CaseScore> = row
                .scores
                .iter()
                .filter(|scored| scored.score.metric == given.metric.name && scored.score.evaluator == *evaluator.name)
                .collect();
            let prefix = format!("outputs.{}.{}", evaluator.name, key(keys, evaluator, given));
            match keys {
                ResultKeys::Azure => azure(&mut map, &prefix, evaluator, given, &scores),
                ResultKeys::Promptflow => promptflow(&mut map, &prefix, evaluator, &scores),
            }
        }
    }
    map
}

/// The metrics of the results: `<evaluator>.<key>` is the mean over cases that have a score. `logged` are the numbers
/// that evaluation flows gave for the whole, by evaluator and name.
#[must_use]
pub fn metrics_of(
    keys: ResultKeys,
    evaluators: &[BoundEvaluator],
    summaries: &[MetricSummary],
    logged: &[(Arc<str>, Arc<str>, f64)],
) -> Map {
    let mut map = Map::new();
    for bound in evaluators {
        let evaluator = &bound.evaluator;
        for given in &evaluator.metrics {
            let Some(summary) = summaries.iter().find(|summary| summary.metric.name == given.metric.name) else {
                continue;
            };
            let Some(mean) = summary.mean else { continue };
            let name = format!("{}.{}", evaluator.name, key(keys, evaluator, given));
            if keys == ResultKeys::Azure {
                map.insert(name.clone(), mean);
                map.insert(format!("{name}_score"), mean);
                if let Some([passed, of]) = summary.passed.filter(|[_, of]| *of > 0) {
                    map.insert(format!("{}.binary_aggregate", evaluator.name), passed as f64 / of as f64);
                }
            } else {
                map.insert(name, mean);
            }
        }
        let own = logged.iter().filter(|(name, ..)| *name == evaluator.name);
        map.extend(own.map(|(name, metric, value)| (Arc::from(format!("{name}.{metric}")), Value::from(*value))));
    }
    map
}

/// The whole of the results.
#[must_use]
pub fn evaluation_results(rows: impl IntoIterator<Item = Map>, metrics: Map) -> Value {
    let rows: Vec<Value> = rows.into_iter().map(Value::from).collect();
    Map::from([("rows", Value::from(rows)), ("metrics", metrics.into()), ("studio_url", Value::Null)]).into()
}

fn key(keys: ResultKeys, evaluator: &Evaluator, given: &EvaluatorMetric) -> Arc<str> {
    if let Some(output) = &given.output {
        return output.clone();
    }
    let known = match keys {
        ResultKeys::Azure => evaluator.kind.azure_key,
        ResultKeys::Promptflow => evaluator.kind.promptflow_key,
    };
    // An evaluator of one's own is called by its name.
    let own = ["judge", "rubric", "expression", "flow", "python"].contains(&evaluator.kind.name);
    match known {
        "" if own => evaluator.name.clone(),
        "" => evaluator.kind.name.into(),
        known => known.into(),
    }
}

/// The mean over readings; `null` if none has a score.
fn mean(scores: &[&CaseScore]) -> Value {
    let numbers: Vec<f64> = scores.iter().filter_map(|scored| scored.score.value.number()).collect();
    match (&numbers[..], scores) {
        ([], _) => Value::Null,
        (_, [only]) => match only.score.value {
            ScoreValue::Bool(yes) => yes.into(),
            _ => numbers[0].into(),
        },
        (numbers, _) => (numbers.iter().sum::<f64>() / numbers.len() as f64).into(),
    }
}

fn reason(scores: &[&CaseScore]) -> String {
    let mut reasons: Vec<&str> = scores
        .iter()
        .map(|scored| match &scored.score.value {
            ScoreValue::Missing { detail, .. } => detail.as_str(),
            _ => scored.score.reason.as_str(),
        })
        .filter(|reason| !reason.is_empty())
        .collect();
    reasons.dedup();
    reasons.join("\n")
}

fn azure(map: &mut Map, prefix: &str, evaluator: &Evaluator, given: &EvaluatorMetric, scores: &[&CaseScore]) {
    let value = mean(scores);
    let number = match &value {
        Value::Bool(yes) => Some(f64::from(*yes)),
        other => other.as_number(),
    };
    let usual = evaluator.kind.usual_threshold;
    let threshold = evaluator.threshold.map(|threshold| threshold.number()).or(usual);
    let passed = number.and_then(|number| match (&evaluator.threshold, usual) {
        (Some(threshold), _) => Some(threshold.holds(number)),
        (None, Some(usual)) => Some(number >= usual),
        (None, None) if given.metric.boolean => Some((number == 1.0) != given.metric.lower_is_better),
        (None, None) => None,
    });
    let is_skipped = !scores.is_empty()
        && scores
            .iter()
            .all(|scored| matches!(scored.score.value, ScoreValue::Missing { why: Missing::NotApplicable, .. }));
    let (result, status) = match (passed, number) {
        (Some(true), _) => ("pass", "completed"),
        (Some(false), _) => ("fail", "completed"),
        (None, Some(_)) => ("unknown", "completed"),
        (None, None) if is_skipped => ("not_applicable", "skipped"),
        (None, None) => ("unknown", "error"),
    };
    let mut properties = Map::new();
    for scored in scores {
        properties.extend(scored.details.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    map.insert(prefix.to_owned(), value.clone());
    map.insert(format!("{prefix}_score"), value);
    map.insert(format!("{prefix}_passed"), passed);
    map.insert(format!("{prefix}_result"), result);
    map.insert(format!("{prefix}_reason"), reason(scores));
    map.insert(format!("{prefix}_status"), status);
    map.insert(format!("{prefix}_threshold"), threshold);
    map.insert(format!("{prefix}_properties"), properties);
}

fn promptflow(map: &mut Map, prefix: &str, evaluator: &Evaluator, scores: &[&CaseScore]) {
    // Rouge's three numbers are keys of their own there.
    if evaluator.kind.promptflow_key == "rouge_f1_score" {
        let base = prefix.trim_end_matches("f1_score");
        for (name, part) in [("precision", "precision"), ("recall", "recall"), ("f1_score", "f1_score")] {
            let found = scores.first().and_then(|scored| scored.details.get(part)).cloned();
            map.insert(format!("{base}{name}"), found.unwrap_or_default());
        }
        return;
    }
    map.insert(prefix.to_owned(), mean(scores));
    if evaluator.is_judged() {
        map.insert(format!("{prefix}_reason"), reason(scores));
    }
}
