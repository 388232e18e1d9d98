//! The first layer: is the evidence complete enough to be judged?

use super::Judging;
use super::table::{Row, mean};
use crate::{Integrity, Metric, MetricIntegrity, Missing, Outcome, ScoreValue};

pub(super) fn of(judging: &Judging<'_>) -> Integrity {
    let table = &judging.candidate;
    let metrics = &judging.evidence.metrics;
    let mut integrity = Integrity { cases: table.len() as u64, ..Integrity::default() };
    let (mut answers, mut failed) = (0_u64, 0_u64);
    for (_, row) in table.rows() {
        let counts =
            |outcome: fn(&Outcome) -> bool| u64::from(row.answers.iter().any(|answer| outcome(&answer.outcome)));
        let missing = |why: Missing| {
            row.all_scores()
                .any(|score| matches!(&score.value, ScoreValue::Missing { why: found, .. } if *found == why))
        };
        let lacks = |metric: &Metric| row.mean(&metric.name).is_none() && !row.is_not_applicable(&metric.name);
        let lacks_one = metrics.iter().any(lacks);
        integrity.missing += u64::from(lacks_one);
        integrity.scored += u64::from(!lacks_one && !metrics.is_empty());
        integrity.filter_failed += counts(|outcome| matches!(outcome, Outcome::FilterFailed(_)));
        integrity.filtered_input += counts(|outcome| *outcome == Outcome::FilteredInput);
        integrity.filtered_output += counts(|outcome| *outcome == Outcome::FilteredOutput);
        integrity.errors +=
            u64::from(row.answers.iter().any(|answer| answer.outcome.is_error()) || missing(Missing::EvaluatorFailed));
        integrity.unscored += u64::from(row.all_scores().any(|score| is_unscored(&score.value)));
        answers += row.answers.len() as u64;
        failed += failed_answers(row);
    }
    integrity.error_share = (answers > 0).then(|| failed as f64 / answers as f64);
    integrity.error_limit = judging.policy.errors.to_string();
    integrity.metrics = metrics.iter().map(|metric| of_metric(judging, metric)).collect();
    integrity
}

/// Why the evidence cannot be used; empty if it can.
pub(super) fn objections(judging: &Judging<'_>, integrity: &Integrity) -> Vec<String> {
    let mut objections = Vec::new();
    if integrity.cases == 0 {
        objections.push("there are no cases".to_owned());
    } else if !judging.evidence.metrics.is_empty() && integrity.metrics.iter().all(|metric| metric.n == 0) {
        objections.push(format!("none of {} cases has a score", integrity.cases));
    } else if judging.evidence.metrics.is_empty() && !judging.policy.rules.is_empty() {
        objections.push("nothing was scored".to_owned());
    }
    if let Some(share) = integrity.error_share.filter(|share| !judging.policy.errors.holds(*share)) {
        let percent = (share * 1000.0).round() / 10.0;
        objections.push(format!(
            "{percent}% of the answers failed or could not be scored, and the limit is {}",
            judging.policy.errors
        ));
    }
    for rule in &judging.policy.rules {
        let Some(metric) = rule.check.metric() else { continue };
        let found = integrity.metrics.iter().find(|found| found.metric == *metric);
        if found.is_none_or(|found| found.n == 0) && integrity.cases > 0 {
            objections.push(format!("no case has a score of `{metric}`, which rule `{}` reads", rule.id));
        }
    }
    objections.dedup();
    objections
}

/// Answers without a score for reasons that have nothing to do with quality: those of the target, of an evaluator, and of
/// a judge that said something else. A filter's decision is none of them.
fn failed_answers(row: &Row<'_>) -> u64 {
    let failed = |answer: &&&crate::Case| {
        answer.outcome.is_error()
            || row.all_scores().any(|score| {
                let failed = matches!(score.value, ScoreValue::Missing { why: Missing::EvaluatorFailed, .. });
                score.repeat == answer.repeat && (failed || is_unscored(&score.value))
            })
    };
    row.answers.iter().filter(failed).count() as u64
}

fn is_unscored(value: &ScoreValue) -> bool {
    match value {
        ScoreValue::Missing { why, .. } => *why == Missing::Unscored,
        other => other.number().is_none(),
    }
}

fn of_metric(judging: &Judging<'_>, metric: &Metric) -> MetricIntegrity {
    let rows = judging.candidate.rows().filter(|(_, row)| !row.is_not_applicable(&metric.name));
    let means: Vec<Option<f64>> = rows.map(|(_, row)| row.mean(&metric.name)).collect();
    let found: Vec<f64> = means.iter().flatten().copied().collect();
    let worst_case = metric.worst().and_then(|worst| {
        let all: Vec<f64> = means.iter().map(|mean| mean.unwrap_or(worst)).collect();
        mean(&all)
    });
    let (n, missing) = (found.len() as u64, (means.len() - found.len()) as u64);
    MetricIntegrity { metric: metric.name.clone(), n, missing, mean: mean(&found), worst_case }
}
