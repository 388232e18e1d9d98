//! `runs events`: what happened, event by event, word for word as the journal has it.

use std::io::Write as _;
use std::time::Duration;

use sluicegate_events::NodePath;
use sluicegate_store::{EventRow, RunReader};
use sluicegate_value::{Value, json};

use super::out::{Out, shortened, to_stdout, unwritten};
use super::{open, store_error};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::harmless;

/// How many events are read at once: few, since each may be large.
const PAGE: usize = 100;
/// How often somebody who follows looks again.
const PAUSE: Duration = Duration::from_millis(200);
const MOST_OF_TEXT: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct EventsArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// Only those of this line of a batch, from 0
    #[arg(long, value_name = "N")]
    line: Option<u64>,

    /// Only those of this node and the nodes inside it: answer, or summarise/extract
    #[arg(long, value_name = "PATH", value_parser = parse_path)]
    node: Option<NodePath>,

    /// Only those of this kind: node_finished, model_call_started and so on
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,

    /// Go on while the run does
    #[arg(long)]
    follow: bool,

    /// JSON Lines in place of text
    #[arg(long)]
    json: bool,
}

fn parse_path(text: &str) -> Result<NodePath, String> {
    NodePath::parse(text)
        .filter(|path| !path.is_root())
        .ok_or_else(|| "no path such as summarise[3]/extract".to_owned())
}

pub(super) fn events(session: &Session, args: &EventsArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    if args.line.is_some() {
        opened.needs_lines()?;
    }
    // A line's events lie close together: the others are not read.
    let (from, until) = match args.line.filter(|_| !args.follow) {
        None => (0, u64::MAX),
        Some(line) => {
            let of_line = opened.reader.events_of(line, 0).map_err(store_error)?;
            match (of_line.first(), of_line.last()) {
                (Some(first), Some(last)) => (first.seq.saturating_sub(1), last.seq),
                _ => return Err(opened.without_line(line)?),
            }
        }
    };
    to_stdout(|out| {
        let mut seen = from;
        loop {
            // Asked before reading: what is written between the two is read the next time.
            let is_running = opened.reader.is_running();
            while let Some(last) = page(&opened.reader, seen, until, args, out)? {
                seen = last;
            }
            if !args.follow || !is_running {
                return Ok(());
            }
            out.flush().map_err(|error| unwritten(&error))?;
            std::thread::sleep(PAUSE);
        }
    })?;
    Ok(Exit::Done)
}

/// Writes what follows an event, as far as a page goes, and says where it ends; `None`: there was nothing more.
fn page(reader: &RunReader, after: u64, until: u64, args: &EventsArgs, out: &mut Out) -> Result<Option<u64>, CliError> {
    if after >= until {
        return Ok(None);
    }
    let rows = reader.rows_after(after, PAGE).map_err(store_error)?;
    for row in rows.iter().filter(|row| row.seq <= until && is_wanted(row, args)) {
        if args.json {
            out.line(&row.body)?;
        } else {
            out.line(&harmless(&in_words(row)))?;
        }
    }
    Ok(rows.last().map(|row| row.seq))
}

fn is_wanted(row: &EventRow, args: &EventsArgs) -> bool {
    let is_inside = |wanted: &NodePath| {
        NodePath::parse(&row.path).is_some_and(|path| {
            let mut steps = path.0.iter().zip(&wanted.0).enumerate();
            // The last step may be a map as a whole, or one item of it.
            path.0.len() >= wanted.0.len()
                && steps.all(|(at, (step, wanted_step))| {
                    let any_item = at + 1 == wanted.0.len() && wanted_step.index.is_none();
                    step.node == wanted_step.node && (any_item || step.index == wanted_step.index)
                })
        })
    };
    args.line.is_none_or(|line| row.line == Some(line))
        && args.kind.as_ref().is_none_or(|kind| *kind == row.kind)
        && args.node.as_ref().is_none_or(is_inside)
}

/// An event in a line of text: number, time, place, kind, and what matters most of it.
fn in_words(row: &EventRow) -> String {
    // `2026-01-31T12:00:00.123456789Z`: the date is the run's.
    let time = row.at.get(11..23).or(row.at.get(11..19)).unwrap_or(&row.at).trim_end_matches('Z');
    let mut words = format!("{:>6}  {time}", row.seq);
    if let Some(line) = row.line {
        words += &format!("  line {line}");
    }
    if !row.path.is_empty() {
        words += &format!("  {}", row.path);
    }
    words += &format!("  {}", row.kind);
    let said = json::read(&row.body).ok().and_then(|body| what_matters(&row.kind, &body));
    if let Some(said) = said.filter(|said| !said.is_empty()) {
        words += &format!("  {}", shortened(&said, MOST_OF_TEXT));
    }
    words
}

fn what_matters(kind: &str, body: &Value) -> Option<String> {
    let at = |way: &[&str]| way.iter().try_fold(body, |value, key| value.get(key)).filter(|value| !value.is_null());
    let text = |way: &[&str]| at(way).map(|value| value.as_str().map_or_else(|| value.to_json(), ToOwned::to_owned));
    let message = |way: &[&str]| text(&[way, &["message"]].concat());
    match kind {
        "run_started" => text(&["flow"]),
        "batch_started" => Some(format!("{} lines", text(&["data", "lines"])?)),
        "aggregation_started" => Some(format!("over {} lines", text(&["lines"])?)),
        "line_started" => text(&["inputs"]),
        "line_finished" | "fetch_finished" => joined([text(&["end"]), message(&["failure"])]),
        "node_started" => text(&["node_kind"]),
        "node_attempt_failed" | "model_attempt_failed" | "span_finished" => message(&["failure"]),
        "node_finished" => {
            joined([text(&["outcome", "outcome"]), message(&["outcome", "failure"]), text(&["outcome", "output"])])
        }
        "node_said" => text(&["text"]),
        "span_started" => text(&["name"]),
        "metric_logged" => Some(format!("{} = {}", text(&["key"])?, text(&["value"])?)),
        "model_call_started" => joined([text(&["connection"]), text(&["model"])]),
        "model_call_finished" => {
            joined([text(&["end", "end"]), message(&["end", "failure"]), text(&["end", "reply", "text"])])
        }
        "fetch_started" => joined([text(&["method"]), text(&["url"])]),
        "reply_found" => text(&["by"]),
        "run_finished" => joined([text(&["status"]), message(&["failure"])]),
        _ => None,
    }
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> Option<String> {
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &str, path: &str, expected: bool) {
        let row = EventRow {
            seq: 1,
            at: String::new(),
            line: None,
            path: path.to_owned(),
            kind: "node_started".to_owned(),
            body: "{}".to_owned(),
        };
        let args = EventsArgs {
            run: String::new(),
            line: None,
            node: Some(parse_path(wanted).expect("a path")),
            kind: None,
            follow: false,
            json: false,
        };
        assert_eq!(is_wanted(&row, &args), expected, "{wanted} {path}");
    }

    #[test]
    fn a_node_is_wanted_with_all_that_is_inside_it() {
        check("a", "a", true);
        check("a", "ab", false);
        check("a", "a[3]/b", true);
        check("a[3]", "a[3]/b", true);
        check("a[3]", "a[4]/b", false);
        check("a/b", "a[4]/b", false);
        check("a[4]/b", "a[4]/b/c", true);
        check("a", "", false);
    }
}
