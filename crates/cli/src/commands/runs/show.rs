//! `runs show`: a single run, a batch, or one line of a batch.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use sluicegate_events::{BatchData, Event, EventKind, RunStatus, RunSummary};
use sluicegate_store::{LineFailure, LineTimes, LineTotals, RunRow, ShownStatus};
use sluicegate_value::{Map, Value};

use super::metrics::{Metrics, outdated};
use super::{Opened, last_aggregation, open, store_error};
use crate::batch::outputs_of;
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::{
    failure_value, line_counts, line_failure, line_failure_words, milliseconds, nodes_value, report, usage,
};
use crate::session::Session;
use crate::terminal::{harmless, show_duration, show_nodes, show_tokens};

/// How many failed lines are named.
const MOST_FAILURES: usize = 5;

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Of a batch: this line, from 0, as a run of its own
    #[arg(long, value_name = "N")]
    line: Option<u64>,

    /// JSON in place of text
    #[arg(long)]
    json: bool,
}

pub(super) fn show(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    let text = match (args.line, opened.is_batch()?) {
        (Some(line), _) => show_line(session, &opened, line, args.json)?,
        (None, true) => {
            let batch = Batch::read(&opened)?;
            if args.json { batch.value().to_json_pretty() } else { batch.text(session) }
        }
        (None, false) => show_single(session, &opened, args.json)?,
    };
    session.printer().data(&text)?;
    Ok(Exit::Done)
}

fn show_single(session: &Session, opened: &Opened, json: bool) -> Result<String, CliError> {
    let summary = RunSummary::of(&opened.reader.events().map_err(store_error)?);
    let status = opened.reader.row().map_err(store_error)?.status;
    if json {
        return Ok(report(&summary, status.name()).to_json_pretty());
    }
    let mut lines = vec![format!("run          {}", opened.id)];
    lines.extend(one_input(session, &summary, status.name()));
    let stopped = status == ShownStatus::Interrupted || status == ShownStatus::Failed;
    if stopped && !summary.inputs_redacted {
        lines.push(format!("go on with   sluicegate runs resume {}", opened.id));
    }
    Ok(lines.join("\n"))
}

/// What a run of one input looks like, or a line.
fn one_input(session: &Session, summary: &RunSummary, status: &str) -> Vec<String> {
    let mut lines = vec![format!("flow         {}", harmless(&summary.flow))];
    lines.push(format!("environment  {}", harmless(summary.environment.as_deref().unwrap_or("-"))));
    lines.push(format!("status       {status}"));
    if let Some(started) = summary.started {
        lines.push(format!("started      {started:.0}"));
    }
    lines.push(format!("duration     {}", show_duration(summary.duration())));
    if let Some(tokens) = show_tokens(&summary.usage()) {
        lines.push(format!("tokens       {tokens}"));
    }
    if let Some(cost) = summary.cost().filter(|cost| *cost > 0.0) {
        lines.push(format!("cost         ${cost:.6}"));
    }
    if let Some(failure) = &summary.failure {
        lines.push(format!("error        {}", harmless(&failure.message)));
    }
    let is_bad_row = |failure: &sluicegate_events::Failure| matches!(failure.code.as_str(), "row" | "input");
    lines.push(match summary.failure.as_ref().is_some_and(is_bad_row) && summary.inputs.is_empty() {
        true => "inputs       none: the row is none".to_owned(),
        false => format!("inputs       {}", harmless(&Value::from(summary.inputs.clone()).to_json())),
    });
    if let Some(outputs) = &summary.outputs {
        lines.push(format!("outputs      {}", harmless(&Value::from(outputs.clone()).to_json())));
    }
    let nodes = show_nodes(summary, session.printer().plain_painter());
    lines.extend((!nodes.is_empty()).then_some(nodes));
    lines
}

fn show_line(session: &Session, opened: &Opened, line: u64, json: bool) -> Result<String, CliError> {
    opened.needs_lines()?;
    let events = opened.reader.events_of(line, 0).map_err(store_error)?;
    if events.is_empty() {
        return Err(opened.without_line(line)?);
    }
    let row = opened.reader.row().map_err(store_error)?;
    let mut summary = RunSummary::of(&events);
    (summary.flow, summary.environment) = (row.flow, row.environment);
    let status = match summary.status {
        Some(RunStatus::Completed) => "completed",
        Some(RunStatus::Failed) => "failed",
        Some(RunStatus::Interrupted) => "cancelled",
        None if row.status == ShownStatus::Running => "running",
        None => "interrupted",
    };
    if json {
        let report = report(&summary, status);
        let mut with_line = Map::from([("run", Value::from(opened.id.to_string())), ("line_number", line.into())]);
        with_line
            .extend(report.as_map().into_iter().flat_map(Map::iter).map(|(key, value)| (key.clone(), value.clone())));
        return Ok(Value::from(with_line).to_json_pretty());
    }
    let mut lines = vec![format!("run          {}", opened.id), format!("line         {line}")];
    lines.extend(one_input(session, &summary, status));
    Ok(lines.join("\n"))
}

/// What a batch looks like, without its lines.
struct Batch {
    row: RunRow,
    summary: RunSummary,
    data: BatchData,
    totals: LineTotals,
    times: Option<LineTimes>,
    duration: Duration,
    metrics: Metrics,
    /// That the metrics are not of all lines.
    metrics_note: Option<String>,
    /// The last run of aggregation nodes.
    aggregation: RunSummary,
    failures: Vec<LineFailure>,
    output: Option<PathBuf>,
}

impl Batch {
    fn read(opened: &Opened) -> Result<Self, CliError> {
        let reader = &opened.reader;
        let events = opened.run_events()?;
        let summary = RunSummary::of(&events);
        let data = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::BatchStarted { data } => Some(data.clone()),
            _ => None,
        });
        let mut failures = Vec::new();
        let told = reader.failures_in_order(&mut |failure| {
            if failures.len() == MOST_FAILURES {
                return Err(std::io::ErrorKind::Other.into());
            }
            failures.push(failure);
            Ok(())
        });
        if failures.len() < MOST_FAILURES {
            told.map_err(store_error)?;
        }
        let metrics = Metrics::of_batch(&events);
        let output = output_file(opened, &events);
        Ok(Self {
            row: reader.row().map_err(store_error)?,
            totals: reader.line_totals().map_err(store_error)?,
            times: reader.line_times().map_err(store_error)?,
            duration: duration(opened, &summary)?,
            metrics_note: outdated(opened, metrics.over)?,
            metrics,
            aggregation: RunSummary::of(last_aggregation(&events)),
            failures,
            output,
            data: data.unwrap_or_default(),
            summary,
        })
    }

    fn text(&self, session: &Session) -> String {
        let Self { row, summary, data, totals, .. } = self;
        let mut lines = vec![format!("run          {}", row.id), format!("flow         {}", harmless(&row.flow))];
        lines.push(format!("environment  {}", harmless(row.environment.as_deref().unwrap_or("-"))));
        lines.push(format!("status       {}", row.status));
        if let Some(started) = row.started {
            lines.push(format!("started      {started:.0}"));
        }
        lines.push(format!("duration     {}", show_duration(self.duration)));
        let sources: Vec<&str> = data.sources.iter().map(|source| below(session.directory(), source)).collect();
        if !sources.is_empty() {
            lines.push(format!("data         {}", harmless(&sources.join(", "))));
        }
        let mapping: Vec<String> =
            data.column_mapping.iter().map(|(input, value)| format!("{input}={}", told(value))).collect();
        if !mapping.is_empty() {
            lines.push(format!("mapping      {}", harmless(&mapping.join(" "))));
        }
        let counts = row.lines.unwrap_or_default();
        let mut parts = vec![format!("{} of {} completed", counts.completed, counts.total())];
        parts.extend((counts.failed > 0).then(|| format!("{} failed", counts.failed)));
        parts.extend((counts.left > 0).then(|| format!("{} left", counts.left)));
        let is_running = row.status == ShownStatus::Running;
        parts.extend((is_running && totals.begun > 0).then(|| format!("{} in progress", totals.begun)));
        lines.push(format!("lines        {}", parts.join(", ")));
        if let Some(times) = &self.times {
            let [p50, p95, longest] = [times.p50, times.p95, times.longest].map(show_duration);
            lines.push(format!("a line took  {p50} (p50), {p95} (p95), {longest} (longest)"));
        }
        if let Some(tokens) = show_tokens(&row.usage) {
            lines.push(format!("tokens       {tokens}"));
        }
        match row.cost {
            Some(cost) if cost > 0.0 => lines.push(format!("cost         ${cost:.6}")),
            None if row.usage.total().is_some() => lines.push("cost         unknown (a model has no price)".to_owned()),
            _ => {}
        }
        let is_over_many = |failure: &&sluicegate_events::Failure| failure.code != "lines_failed";
        if let Some(failure) = summary.failure.as_ref().filter(is_over_many) {
            lines.push(format!("error        {}", harmless(&failure.message)));
        }
        for (index, (name, value)) in self.metrics.values.iter().enumerate() {
            let head = if index == 0 { "metrics" } else { "" };
            lines.push(format!("{head:<12} {}", harmless(&format!("{name} = {}", told(value)))));
        }
        lines.extend(self.metrics_note.iter().map(|note| format!("             {note}")));
        for (index, failed) in self.failures.iter().enumerate() {
            let head = if index == 0 { "failures" } else { "" };
            let text = line_failure_words(failed.line, &failed.node, &failed.failure.message.replace('\n', " "));
            lines.push(format!("{head:<12} {}", harmless(&text)));
        }
        let untold = counts.failed.saturating_sub(self.failures.len() as u64);
        if untold > 0 && !self.failures.is_empty() {
            lines.push(format!("             and {untold} more: sluicegate runs lines {} --status failed", row.id));
        }
        match &self.output {
            Some(file) => lines.push(format!("outputs      {}", below(session.directory(), &file.to_string_lossy()))),
            None if counts.completed > 0 => lines.push(format!("outputs      sluicegate runs outputs {}", row.id)),
            None => {}
        }
        let nodes = show_nodes(&self.aggregation, session.printer().plain_painter());
        if !nodes.is_empty() {
            lines.push(format!("over {} lines:\n{nodes}", self.metrics.over.unwrap_or_default()));
        }
        if !is_running && counts.left > 0 || row.status == ShownStatus::Interrupted {
            let is_paid_out = summary.failure.as_ref().is_some_and(|failure| failure.code == "budget");
            let budget = if is_paid_out { " --budget USD" } else { "" };
            lines.push(format!("go on with   sluicegate runs resume {}{budget}", row.id));
        } else if !is_running && counts.failed > 0 {
            lines.push(format!("once more    sluicegate runs resume {} --failed", row.id));
        }
        lines.join("\n")
    }

    fn value(&self) -> Value {
        let Self { row, summary, data, totals, .. } = self;
        let mut map = Map::new();
        map.insert("run", row.id.to_string());
        map.insert("flow", row.flow.as_str());
        map.insert("environment", row.environment.clone());
        map.insert("status", row.status.name());
        map.insert("started", row.started.map(|time| time.to_string()));
        map.insert("finished", row.finished.map(|time| time.to_string()));
        map.insert("duration_ms", milliseconds(Some(self.duration)));
        map.insert("trace_id", summary.trace_id.map(|id| format!("{id:032x}")));
        let mut of_data = Map::new();
        of_data.insert("sources", data.sources.iter().map(|source| Value::from(source.as_str())).collect::<Vec<_>>());
        of_data.insert("column_mapping", data.column_mapping.clone());
        map.insert("data", of_data);
        let mut lines = row.lines.as_ref().map(line_counts).unwrap_or_default().as_map().cloned().unwrap_or_default();
        lines.insert("in_progress", if row.status == ShownStatus::Running { totals.begun } else { 0 });
        map.insert("lines", lines);
        if let Some(LineTimes { p50, p95, longest }) = self.times {
            let times = [("p50", p50), ("p95", p95), ("longest", longest)];
            map.insert("line_ms", Map::from(times.map(|(name, time)| (name, milliseconds(Some(time))))));
        }
        map.insert("usage", usage(&row.usage));
        map.insert("cost_usd", row.cost);
        map.insert("metrics", self.metrics.to_map());
        map.insert("metrics_over_lines", self.metrics.over);
        map.insert("nodes", nodes_value(&self.aggregation));
        let failures = self.failures.iter().map(|failed| line_failure(failed.line, &failed.node, &failed.failure));
        map.insert("failures", failures.collect::<Vec<_>>());
        if let Some(failure) = &summary.failure {
            map.insert("error", failure_value(failure));
        }
        map.insert("output", self.output.as_ref().map(|file| file.display().to_string()));
        map.into()
    }
}

/// How long processes worked on a batch: of one that has not ended, up to what was kept last.
fn duration(opened: &Opened, summary: &RunSummary) -> Result<Duration, CliError> {
    if summary.status.is_some() {
        return Ok(summary.duration());
    }
    let last = opened.reader.last_seq().map_err(store_error)?.saturating_sub(1);
    let last = opened.reader.events_after(last, 1).map_err(store_error)?;
    let since = |last: &Event, heard: Timestamp| Duration::try_from(last.at.duration_since(heard)).unwrap_or_default();
    let more = last.first().zip(summary.last).map(|(last, heard)| since(last, heard));
    Ok(summary.duration() + more.unwrap_or_default())
}

/// Where a batch's outputs are, if they are still there.
fn output_file(opened: &Opened, run_events: &[Event]) -> Option<PathBuf> {
    let manner = run_events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted { options, .. } => options.get("manner")?.as_map(),
        _ => None,
    });
    outputs_of(&opened.store, &opened.id, manner)
}

/// A text as it is, anything else as JSON.
fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json(), ToOwned::to_owned)
}

/// A path as one types it in this folder.
fn below<'p>(folder: &Path, path: &'p str) -> &'p str {
    Path::new(path).strip_prefix(folder).ok().and_then(Path::to_str).unwrap_or(path)
}
