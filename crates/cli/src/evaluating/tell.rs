//! What evaluators said, told to a collector of traces: a span in each case's own trace.

use sluicegate_config::Redactor;
use sluicegate_events::{Listener as _, SpanRef};
use sluicegate_gate::{CaseKey, Missing, Receipt, ScoreValue};
use sluicegate_telemetry::{CaseEvaluation, EvaluationResult};
use sluicegate_value::hash::sha256_of_parts;

use super::measure::Item;
use super::{Cases, Measured};
use crate::error::CliError;
use crate::prepared::one;
use crate::session::{Flow, Session};
use crate::traces;

/// Tells what each answer was scored with, if traces are wanted; `asked` is `--deploy_traces`. A collector that does not
/// take it is a warning.
pub(crate) fn tell_cases(
    session: &Session,
    flow: &Flow,
    asked: Option<&str>,
    evaluation: &str,
    (cases, measured): (&Cases, &Measured),
) -> Result<(), CliError> {
    let settings = one(flow.environment.telemetry())?;
    let Some(mut telemetry) = traces::telemetry(flow, &settings, asked) else { return Ok(()) };
    let (at, redactor) = (jiff::Timestamp::now(), flow.environment.redactor([]));
    for item in &measured.items {
        let (Some(answered), Some(row)) = (item.answer.span, cases.rows.get(item.case)) else { continue };
        telemetry.tell_case(&CaseEvaluation {
            span: span(answered, evaluation),
            flow: &flow.name,
            run: &item.run,
            line: row.number,
            repeat: item.repeat,
            evaluation,
            case: row.key.as_str(),
            at,
            results: results(item, &redactor),
        });
    }
    if let Err(error) = telemetry.finish() {
        session.printer().warn(&format!("telemetry lost something: {}", error.0));
    }
    Ok(())
}

/// Notes in a receipt where the cases that got worse can be looked at.
pub(crate) fn note_traces(receipt: &mut Receipt, cases: &Cases, measured: &Measured) {
    let worse: std::collections::BTreeSet<&CaseKey> =
        receipt.decision.regressions.iter().map(|regression| &regression.key).collect();
    let traces = measured.items.iter().filter_map(|item| {
        let key = &cases.rows.get(item.case)?.key;
        (item.repeat == 0 && item.answer.span.is_some() && worse.contains(key)).then(|| (key.clone(), item.trace_id()))
    });
    receipt.about.traces = traces.collect();
}

/// A span within that of the answer. Its id follows from what it is about: an evaluation that is gone on with tells it again,
/// and not twice.
fn span(answered: SpanRef, evaluation: &str) -> SpanRef {
    let digest = sha256_of_parts([evaluation, &format!("{:032x}{:016x}", answered.trace_id, answered.span_id)]);
    let span_id = digest.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default().max(1);
    SpanRef { span_id, parent_id: Some(answered.span_id), ..answered }
}

fn results<'i>(item: &'i Item, redactor: &Redactor) -> Vec<EvaluationResult<'i>> {
    let results = item.scores.iter().map(|scored| {
        let score = &scored.score;
        let (missing, detail) = match &score.value {
            ScoreValue::Missing { why, detail } => (Some(word(*why)), detail.as_str()),
            _ => (None, ""),
        };
        let why = if score.reason.is_empty() { detail } else { &score.reason };
        EvaluationResult {
            metric: score.metric.as_str(),
            score: score.value.number(),
            passed: score.passed,
            // It may quote the data, of which no secret has been taken out.
            explanation: redactor.redact(why).unwrap_or_else(|| why.to_owned()),
            missing,
            judge_repeat: score.judge_repeat,
        }
    });
    results.collect()
}

fn word(why: Missing) -> &'static str {
    match why {
        Missing::TargetFailed => "target_failed",
        Missing::Filtered => "filtered",
        Missing::EvaluatorFailed => "evaluator_failed",
        Missing::Unscored => "unscored",
        Missing::NotApplicable => "not_applicable",
    }
}
