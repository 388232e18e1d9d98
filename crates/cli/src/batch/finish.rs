//! What is said when a batch is over, and the code it exits with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::RunStatus;
use sluicegate_executor::BudgetEnd;
use sluicegate_executor::batch::{BatchReport, Stopped};
use sluicegate_value::{Map, Value};

use super::Worked;
use crate::error::CliError;
use crate::exit::Exit;
use crate::prepared::Prepared;
use crate::report::{line_counts, line_failure, line_failure_words};
use crate::session::Session;
use crate::terminal::{harmless, show_duration, show_tokens};

/// What a batch leaves for people and scripts.
pub(crate) struct Ended<'a> {
    pub(crate) worked: &'a Worked,
    /// Where the outputs are.
    pub(crate) output: Option<PathBuf>,
    pub(crate) json: bool,
    /// What calls might cost.
    pub(crate) budget: Option<f64>,
}

/// Says how it ended.
pub(crate) fn finish(session: &Session, prepared: &Prepared, ended: &Ended<'_>) -> Result<Exit, CliError> {
    let printer = session.printer();
    let Ended { worked, output, json, budget } = ended;
    let Worked { report, took, told_failures, warnings, kept } = worked;
    let paint = printer.painter();
    let mut parts = vec![prepared.flow.name.clone()];
    parts.extend(prepared.flow.environment.environment_name().map(ToOwned::to_owned));
    parts.push(format!("{} of {} lines completed", report.lines.completed, report.lines.total()));
    if report.lines.failed > 0 {
        parts.push(format!("{} failed", report.lines.failed));
    }
    if report.lines.left > 0 {
        parts.push(format!("{} left", report.lines.left));
    }
    parts.push(show_duration(*took));
    parts.extend(show_tokens(&report.spent.usage));
    match report.spent.cost {
        Some(cost) if cost > 0.0 => parts.push(format!("${cost:.4}")),
        None => parts.push("cost unknown (a model has no price)".to_owned()),
        Some(_) => {}
    }
    parts.extend(kept.words());
    printer.say(&paint.dim(&harmless(&parts.join("  "))));
    // Few failures were told when they happened.
    for failed in report.failures.iter().filter(|_| !*told_failures) {
        let told = line_failure_words(failed.line, &failed.node, &failed.failure.message);
        printer.say(&harmless(&format!("  {told}")));
        if let Some(hint) = &failed.failure.hint {
            printer.say(&paint.dim(&harmless(&format!("    {hint}"))));
        }
    }
    let untold = report.lines.failed.saturating_sub(report.failures.len() as u64);
    if untold > 0 && !report.failures.is_empty() && !*told_failures {
        printer.say(&format!("  and {untold} more: sluicegate runs lines {} --status failed", report.run));
    }
    if report.repeated_calls > 0 || report.repeated_nodes > 0 {
        printer.say(&format!(
            "made again: {} calls that were in flight, {} nodes whose results were not kept whole",
            report.repeated_calls, report.repeated_nodes
        ));
    }
    for warning in report.warnings.iter().chain(warnings) {
        printer.warn(warning);
    }
    if let Some(failure) = &report.aggregation_failure {
        printer.warn(&format!("an aggregation node failed: {}", failure.message));
    }
    for (name, value) in &report.metrics {
        printer.say(&harmless(&format!("{name} = {}", value.to_json())));
    }
    if let (Some(failure), false) = (&report.failure, report.status == RunStatus::Completed) {
        // Which line was the first is in the journal; here it stands above.
        let message = match failure.code.as_str() {
            "lines_failed" => failure.message.split("; the first: ").next().unwrap_or(&failure.message),
            _ => &failure.message,
        };
        let error = failure.causes.iter().fold(CliError::failed(message), CliError::cause);
        printer.error(&failure.hint.iter().fold(error, |error, hint| error.hint(hint.clone())));
    }
    tell_way_on(session, prepared, report, *budget);
    if *json {
        let mut value = report_value(prepared, report, output.as_ref(), *took);
        value.extend(kept.values());
        printer.data(&Value::from(value).to_json_pretty())?;
    } else if let Some(file) = output {
        printer.data(&file.display().to_string())?;
    }
    Ok(exit(report))
}

/// How to go on with what is left, in a command that can be pasted.
fn tell_way_on(session: &Session, prepared: &Prepared, report: &BatchReport, budget: Option<f64>) {
    let printer = session.printer();
    let command = session.resume_command(prepared.flow.environment.project(), &report.run);
    match (&report.stopped, budget) {
        // Without another cap it would stop at once.
        (Some(Stopped::Budget(BudgetEnd::Reached)), Some(budget)) => {
            printer.say(&format!("go on with: {command} --budget {}", next_budget(report, budget)));
        }
        (Some(Stopped::Budget(BudgetEnd::Unpriced(_))), _) => {
            printer.say(&format!("go on without a cap: {command} --budget none"));
        }
        _ if report.lines.left > 0 => printer.say(&format!("go on with: {command}")),
        _ if report.lines.failed > 0 => printer.say(&format!("run the failed lines again: {command} --failed")),
        _ => {}
    }
}

/// What all lines may cost, judged by those that are over, and a tenth more; twice the budget, if that is not more.
fn next_budget(report: &BatchReport, budget: f64) -> String {
    let over = report.lines.completed + report.lines.failed;
    let spent = report.spent.cost.unwrap_or_default();
    let all = if over > 0 { spent / over as f64 * report.lines.total() as f64 * 1.1 } else { 0.0 };
    let next = if all > budget { all } else { budget * 2.0 };
    // Two digits are as many as anybody knows.
    let digits = 1 - next.log10().floor() as i32;
    let scale = 10_f64.powi(digits);
    format!("{:.*}", digits.max(0) as usize, (next * scale).ceil() / scale)
}

/// Says that a batch was over before, and ends as it did. `is_written`: its outputs were written once more.
pub(crate) fn tell_finished(
    session: &Session,
    prepared: &Prepared,
    report: &BatchReport,
    output: Option<PathBuf>,
    is_written: bool,
    json: bool,
) -> Result<Exit, CliError> {
    let printer = session.printer();
    let lines = &report.lines;
    let mut said =
        format!("run `{}` is finished: {} of {} lines completed", report.run, lines.completed, lines.total());
    if lines.failed > 0 {
        said += &format!(", {} failed", lines.failed);
    }
    if is_written {
        said += "; their outputs are written again";
    }
    printer.say(&said);
    tell_way_on(session, prepared, report, None);
    if json {
        let value = report_value(prepared, report, output.as_ref(), Duration::ZERO);
        printer.data(&Value::from(value).to_json_pretty())?;
    } else if let Some(file) = output {
        printer.data(&file.display().to_string())?;
    } else if !is_written {
        printer.say(&format!("its outputs: sluicegate runs outputs {}", report.run));
    }
    Ok(exit(report))
}

fn exit(report: &BatchReport) -> Exit {
    match (&report.stopped, report.status) {
        _ if report.journal_error.is_some() => Exit::Failed,
        (Some(Stopped::Budget(_)), _) => Exit::Budget,
        (_, RunStatus::Completed) => Exit::Done,
        (_, RunStatus::Failed) => Exit::Failed,
        (_, RunStatus::Interrupted) => Exit::Interrupted,
    }
}

fn report_value(prepared: &Prepared, report: &BatchReport, output: Option<&PathBuf>, took: Duration) -> Map {
    let mut map = Map::new();
    map.insert("run", report.run.to_string());
    map.insert("flow", prepared.flow.name.as_str());
    map.insert("environment", prepared.flow.environment.environment_name());
    map.insert(
        "status",
        match report.status {
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Interrupted => "interrupted",
        },
    );
    map.insert("lines", line_counts(&report.lines));
    map.insert(
        "metrics",
        report.metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect::<Map>(),
    );
    let failures = report.failures.iter().map(|failed| line_failure(failed.line, &failed.node, &failed.failure));
    map.insert("failures", failures.collect::<Vec<_>>());
    if let Some(failure) = &report.failure {
        map.insert("error", Map::from([("code", failure.code.as_str()), ("message", failure.message.as_str())]));
    }
    map.insert("duration_ms", took.as_millis() as i64);
    map.insert("input_tokens", report.spent.usage.input_tokens);
    map.insert("output_tokens", report.spent.usage.output_tokens);
    map.insert("cost_usd", report.spent.cost);
    map.insert("repeated_calls", report.repeated_calls);
    map.insert("trace_id", format!("{:032x}", report.trace_id));
    map.insert("output", output.map(|file| file.display().to_string()));
    map
}
