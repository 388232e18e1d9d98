//! What is said when a batch is over, and the code it exits with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::RunStatus;
use sluicegate_executor::batch::{BatchReport, Stopped};
use sluicegate_value::{Map, Value};

use super::Worked;
use crate::error::CliError;
use crate::exit::Exit;
use crate::prepared::Prepared;
use crate::session::Session;
use crate::terminal::{harmless, show_duration, show_tokens};

/// What a batch leaves for people and scripts.
pub(crate) struct Ended<'a> {
    pub(crate) worked: &'a Worked,
    /// Where the outputs are.
    pub(crate) output: Option<PathBuf>,
    pub(crate) json: bool,
}

/// Says how it ended.
pub(crate) fn finish(session: &Session, prepared: &Prepared, ended: &Ended<'_>) -> Result<Exit, CliError> {
    let printer = session.printer();
    let Ended { worked, output, json } = ended;
    let Worked { report, took, told_failures, warnings } = worked;
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
    printer.say(&paint.dim(&harmless(&parts.join("  "))));
    // Few failures were told when they happened.
    for failed in report.failures.iter().filter(|_| !*told_failures) {
        let node = if failed.node.is_root() { String::new() } else { format!(", node `{}`", failed.node) };
        printer.say(&harmless(&format!("  line {}{node}: {}", failed.line, failed.failure.message)));
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
    if report.lines.left > 0 {
        let command = session.resume_command(prepared.flow.environment.project(), &report.run);
        printer.say(&format!("go on with: {command}"));
    } else if report.lines.failed > 0 {
        let command = session.resume_command(prepared.flow.environment.project(), &report.run);
        printer.say(&format!("run the failed lines again: {command} --failed"));
    }
    if *json {
        printer.data(&report_value(prepared, report, output.as_ref(), *took).to_json_pretty())?;
    } else if let Some(file) = output {
        printer.data(&file.display().to_string())?;
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

fn report_value(prepared: &Prepared, report: &BatchReport, output: Option<&PathBuf>, took: Duration) -> Value {
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
    map.insert(
        "lines",
        Map::from([
            ("total", report.lines.total()),
            ("completed", report.lines.completed),
            ("failed", report.lines.failed),
            ("left", report.lines.left),
        ]),
    );
    map.insert(
        "metrics",
        report.metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect::<Map>(),
    );
    let failures = report.failures.iter().map(|failed| {
        Value::from(Map::from([
            ("line_number", Value::from(failed.line)),
            ("node", Value::from(failed.node.to_string())),
            ("code", Value::from(failed.failure.code.as_str())),
            ("message", Value::from(failed.failure.message.as_str())),
        ]))
    });
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
    map.into()
}
