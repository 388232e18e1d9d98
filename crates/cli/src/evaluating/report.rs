//! What an evaluation leaves beside its receipt: results row by row, metrics as people read them.

use std::collections::BTreeMap;

use sluicegate_evaluate::results::{ResultRow, evaluation_results, metrics_of, row, summaries};
use sluicegate_evaluate::{BoundEvaluator, EvaluationSpec, MetricSummary, Work};
use sluicegate_gate::{Arm, Costs, Latencies, Metric, Missing, Outcome, ScoreValue};
use sluicegate_value::Value;

use super::{Arms, Cases, Measured};
use crate::terminal::table;

/// `evaluation_results.json`, and the metrics in it.
pub(crate) fn results(
    spec: &EvaluationSpec,
    bound: &[BoundEvaluator],
    cases: &Cases,
    measured: &Measured,
    metrics: &[Metric],
    arm: &Arm,
) -> (Value, Vec<MetricSummary>) {
    let summaries = summaries(metrics, arm);
    // A case has as many rows as it has answers that were planned.
    let planned = measured.items.iter().filter(|item| !item.confirming);
    let rows = planned.filter_map(|item| {
        let data = &cases.rows.get(item.case)?.columns;
        Some(row(spec.result_keys, bound, &ResultRow { data, outputs: &item.answer.outputs, scores: &item.scores }))
    });
    let metrics = metrics_of(spec.result_keys, bound, &summaries, &measured.logged);
    (evaluation_results(rows, metrics), summaries)
}

/// The metrics as a table.
pub(crate) fn metric_lines(summaries: &[MetricSummary]) -> String {
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.4}"));
    let rows = summaries.iter().map(|summary| {
        let interval = summary.interval.as_ref();
        let ends = interval
            .map_or_else(|| "–".to_owned(), |interval| format!("{:.4} to {:.4}", interval.lower, interval.upper));
        vec![
            summary.metric.name.to_string(),
            summary.n.to_string(),
            summary.missing.to_string(),
            number(summary.mean),
            number(summary.standard_error),
            ends,
        ]
    });
    table(&["METRIC", "N", "MISSING", "MEAN", "SE", "95 %"], rows.collect())
}

/// Why answers failed and scores are missing, in the words of whoever said so: the most frequent first. Of scores that are
/// missing for want of an answer the answer tells.
pub(crate) fn reasons(arm: &Arm) -> String {
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for case in &arm.cases {
        if let Outcome::Error(why) | Outcome::FilterFailed(why) = &case.outcome {
            *counts.entry(("answers failed".to_owned(), why)).or_default() += 1;
        }
    }
    for score in &arm.scores {
        if let ScoreValue::Missing { why: Missing::EvaluatorFailed | Missing::Unscored, detail } = &score.value {
            let why = if detail.is_empty() { "no reason was given" } else { detail };
            *counts.entry((format!("without a score of {}", score.metric), why)).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let told = counts.iter().take(MOST_REASONS);
    let told = told.map(|((what, why), count)| format!("{count} {what}: {}", shortened(why)));
    let mut lines: Vec<String> = told.collect();
    if counts.len() > MOST_REASONS {
        lines.push(format!("and {} reasons more: see the receipt", counts.len() - MOST_REASONS));
    }
    lines.join("\n")
}

/// How many reasons are told.
const MOST_REASONS: usize = 5;

/// The first line, and not more of it than one reads.
fn shortened(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// What was spent, on both arms.
pub(crate) fn costs(spec: &EvaluationSpec, arms: &Arms) -> Costs {
    let is_judged = spec.evaluators.iter().any(|evaluator| evaluator.work() != Work::Pure);
    let items = &arms.candidate.items;
    let of_baseline = arms.baseline.as_ref().map_or(Some(0.0), |baseline| baseline.judges_usd);
    let judges = arms.candidate.judges_usd.zip(of_baseline).map(|(one, other)| one + other);
    Costs {
        target_usd: arms.target_usd,
        judge_usd: judges.filter(|_| is_judged),
        list_usd: arms.target_usd.zip(judges).map(|(target, judges)| target + judges),
        cached: items.iter().filter(|item| item.answer.run.cached).count() as u64,
        unpriced: items.iter().filter(|item| item.answer.run.cost_usd.is_none()).count() as u64,
        budget_usd: None,
    }
}

/// How long answers took; those from a cache left out.
pub(crate) fn latencies(measured: &Measured) -> Latencies {
    let fresh = measured.items.iter().filter(|item| !item.answer.run.cached);
    let mut times: Vec<f64> = fresh.filter_map(|item| item.answer.run.latency_ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let rank = (share * times.len() as f64).ceil() as usize;
        times.get(rank.saturating_sub(1)).copied()
    };
    Latencies { p50_ms: at(0.5), p95_ms: at(0.95) }
}
