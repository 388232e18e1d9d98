//! `runs lines`: the lines of a batch, page by page, however many there are.

use std::sync::Arc;

use sluicegate_events::{Event, EventKind, LineEnd, LinePast, RunSummary};
use sluicegate_store::{LineFilter, LineRow, LineStatus};
use sluicegate_value::{Map, Value};

use super::out::{Items, shortened, to_stdout};
use super::{Opened, open, store_error};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::{failure_value, milliseconds};
use crate::session::Session;
use crate::terminal::{harmless, show_duration, show_tokens, table};

/// How many lines a person is shown, if nobody says how many; also of the slowest, which are sorted as a whole.
const SHOWN: usize = 100;
/// How many rows are read at once.
const PAGE: usize = 500;
/// How much of a text a table has room for.
const MOST_OF_ERROR: usize = 120;
const MOST_OF_DETAIL: usize = 2_000;

#[derive(Debug, clap::Args)]
pub(crate) struct LinesArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Only lines that stand so: completed, failed, begun, cancelled
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<LineStatus>,

    /// Those that took longest first
    #[arg(long, conflicts_with = "after")]
    slowest: bool,

    /// Only lines after this one
    #[arg(long, value_name = "N")]
    after: Option<u64>,

    /// At most so many; else 100, or all of them with --json
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Inputs and outputs, too
    #[arg(long)]
    details: bool,

    /// A JSON array in place of a table, a line of text for each line
    #[arg(long)]
    json: bool,
}

fn parse_status(text: &str) -> Result<LineStatus, String> {
    LineStatus::from_name(text).ok_or_else(|| "one of completed, failed, begun, cancelled".to_owned())
}

pub(super) fn lines(session: &Session, args: &LinesArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    opened.needs_lines()?;
    let past = opened.reader.line_past().map_err(store_error)?;
    if args.json {
        to_stdout(|out| {
            let mut items = Items::begin(out)?;
            let limit = args.limit.unwrap_or(if args.slowest { SHOWN } else { usize::MAX });
            each_line(&opened, args, limit, &mut |row| {
                let line = Line::read(&past, row, args.details)?;
                items.item(out, &line.value(args.details).to_json())
            })?;
            items.end(out)
        })?;
        return Ok(Exit::Done);
    }
    let limit = args.limit.unwrap_or(SHOWN);
    let mut shown = Vec::new();
    each_line(&opened, args, limit, &mut |row| {
        shown.push(Line::read(&past, row, args.details)?);
        Ok(())
    })?;
    let printer = session.printer();
    match (shown.last(), args.details) {
        (None, _) => printer.say("there are no such lines"),
        (Some(_), false) => printer.data(&as_table(&shown))?,
        (Some(_), true) => printer.data(&shown.iter().map(Line::block).collect::<Vec<_>>().join("\n"))?,
    }
    if let Some(last) = shown.last().filter(|_| shown.len() == limit && !args.slowest) {
        let more = LinesArgs { after: Some(last.row.line), ..filter_only(args) };
        let mut is_more = false;
        each_line(&opened, &more, 1, &mut |_| {
            is_more = true;
            Ok(())
        })?;
        if is_more {
            printer.say(&printer.painter().dim(&format!("there are more: --after {}", last.row.line)));
        }
    }
    Ok(Exit::Done)
}

fn filter_only(args: &LinesArgs) -> LinesArgs {
    LinesArgs {
        run: String::new(),
        status: args.status,
        slowest: false,
        after: None,
        limit: None,
        details: false,
        json: false,
    }
}

/// Tells the rows that were asked for, a page in memory at a time.
fn each_line(
    opened: &Opened,
    args: &LinesArgs,
    limit: usize,
    tell: &mut dyn FnMut(LineRow) -> Result<(), CliError>,
) -> Result<(), CliError> {
    // All repeats of that line are passed.
    let mut after = args.after.map(|line| (line, u32::MAX));
    let mut left = limit;
    while left > 0 {
        let page = if args.slowest { left } else { left.min(PAGE) };
        let filter = LineFilter { status: args.status, after, limit: Some(page), slowest_first: args.slowest };
        let rows = opened.reader.lines(&filter).map_err(store_error)?;
        let count = rows.len();
        for row in rows {
            after = Some((row.line, row.repeat));
            tell(row)?;
        }
        left -= count.min(left);
        if count < page || args.slowest {
            break;
        }
    }
    Ok(())
}

/// A line, as far as it is shown.
struct Line {
    row: LineRow,
    /// What its events tell: only looked up where it is needed.
    summary: RunSummary,
    /// The node that failed.
    failed_node: String,
}

impl Line {
    fn read(past: &Arc<dyn LinePast>, row: LineRow, details: bool) -> Result<Self, CliError> {
        let mut events = Vec::new();
        if details || row.status == LineStatus::Failed {
            events = past.events_of(row.line, row.repeat).map_err(|error| {
                CliError::failed(format!("line {} cannot be read", row.line)).cause(error.to_string())
            })?;
        }
        let failed_node = events.iter().rev().find_map(failed_node).unwrap_or_default();
        Ok(Self { summary: RunSummary::of(&events), failed_node, row })
    }

    fn value(&self, details: bool) -> Value {
        let Self { row, summary, .. } = self;
        let mut map = Map::from([("line_number", Value::from(row.line))]);
        if row.repeat > 0 {
            map.insert("repeat", i64::from(row.repeat));
        }
        map.insert("status", row.status.name());
        map.insert("started", row.started.to_string());
        map.insert("finished", row.finished.map(|time| time.to_string()));
        map.insert("duration_ms", milliseconds(row.duration));
        map.insert("input_tokens", row.usage.input_tokens);
        map.insert("output_tokens", row.usage.output_tokens);
        map.insert("cost_usd", row.cost);
        if let Some(failure) = &summary.failure {
            let mut error = failure_value(failure).as_map().cloned().unwrap_or_default();
            error.insert("node", self.failed_node.as_str());
            map.insert("error", error);
        }
        if details {
            map.insert("inputs", summary.inputs.clone());
            map.insert("outputs", summary.outputs.clone());
        }
        map.into()
    }

    fn number(&self) -> String {
        match self.row.repeat {
            0 => self.row.line.to_string(),
            repeat => format!("{} ({repeat})", self.row.line),
        }
    }

    fn error(&self) -> Option<String> {
        let failure = self.summary.failure.as_ref()?;
        let node = if self.failed_node.is_empty() { String::new() } else { format!("node `{}`: ", self.failed_node) };
        Some(format!("{node}{}", failure.message))
    }

    fn cells(&self) -> Vec<String> {
        let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        let mut cells = vec![
            self.number(),
            self.row.status.to_string(),
            or_dash(self.row.duration.map(show_duration)),
            or_dash(self.row.usage.total().map(|tokens| tokens.to_string())),
            or_dash(self.row.cost.map(|cost| format!("${cost:.4}"))),
        ];
        cells.extend(self.error().map(|error| shortened(&error, MOST_OF_ERROR)));
        cells
    }

    /// With its inputs and outputs, below one another: they are seldom short enough for columns.
    fn block(&self) -> String {
        let Self { row, summary, .. } = self;
        let mut head = vec![format!("line {}", self.number()), row.status.to_string()];
        head.extend(row.duration.map(show_duration));
        head.extend(show_tokens(&row.usage));
        head.extend(row.cost.filter(|cost| *cost > 0.0).map(|cost| format!("${cost:.4}")));
        let mut lines = vec![head.join("  ")];
        let mut detail = |name: &str, text: &str| {
            lines.push(format!("  {name:<8} {}", harmless(&shortened(text, MOST_OF_DETAIL))));
        };
        detail("inputs", &Value::from(summary.inputs.clone()).to_json());
        if let Some(outputs) = &summary.outputs {
            detail("outputs", &Value::from(outputs.clone()).to_json());
        }
        if let Some(error) = self.error() {
            detail("error", &error);
        }
        lines.join("\n")
    }
}

fn as_table(lines: &[Line]) -> String {
    let mut header = vec!["LINE", "STATUS", "DURATION", "TOKENS", "COST"];
    if lines.iter().any(|line| line.summary.failure.is_some()) {
        header.push("ERROR");
    }
    table(&header, lines.iter().map(Line::cells).collect())
}

/// The node that made a line fail, if this is its end.
fn failed_node(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::LineFinished { end: LineEnd::Failed { node, .. }, .. } => Some(node.to_string()),
        _ => None,
    }
}
