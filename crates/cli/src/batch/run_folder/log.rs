//! Events as lines of a log (spec: promptflow.md §3: `logs.txt`, `flow_logs`).

use sluicegate_events::{Event, EventKind, LineEnd, Outcome, RunStatus, Stream};

use crate::terminal::harmless;

/// What an event says.
pub(super) struct Logged {
    /// The line, its break included.
    pub(super) text: String,
    /// Whether it is of the run, too, and not only of its line.
    pub(super) of_run: bool,
}

/// What an event says; `None`: nothing that a log has.
pub(super) fn logged(event: &Event) -> Option<Logged> {
    let path = &event.scope.path;
    let place = match (event.scope.line, path.is_root()) {
        (Some(line), true) => format!("line {line}"),
        (Some(line), false) => format!("[{path} in line {line} (index starts from 0)]"),
        (None, _) => format!("[{path}]"),
    };
    let (level, of_run, text) = match &event.kind {
        EventKind::RunStarted { flow, .. } => ("INFO", true, format!("Run `{}` of flow `{flow}` began.", event.run)),
        EventKind::RunResumed { .. } => ("INFO", true, "The run goes on in a new process.".to_owned()),
        EventKind::BatchStarted { data } => ("INFO", true, format!("There are {} lines.", data.lines)),
        EventKind::LineStarted { .. } => ("INFO", false, format!("{place} began.")),
        EventKind::LineResumed { .. } => ("INFO", false, format!("{place} goes on.")),
        EventKind::LineFinished { end, .. } => match end {
            LineEnd::Completed { .. } => ("INFO", true, format!("{place} completed.")),
            LineEnd::Cancelled => ("WARNING", true, format!("{place} was stopped.")),
            LineEnd::Failed { failure, node } if node.is_root() => {
                ("ERROR", true, format!("{place} failed: {}", failure.message))
            }
            LineEnd::Failed { failure, node } => {
                ("ERROR", true, format!("{place} failed in node {node}: {}", failure.message))
            }
        },
        EventKind::NodeStarted { .. } => ("INFO", false, format!("{place} began.")),
        EventKind::NodeAttemptFailed { failure, .. }
        | EventKind::ModelAttemptFailed { failure, retry_in_ms: Some(_), .. } => {
            ("WARNING", true, format!("{place} is tried again: {}", failure.message))
        }
        EventKind::NodeFinished { outcome, .. } => match outcome {
            Outcome::Completed { .. } => ("INFO", false, format!("{place} completed.")),
            Outcome::Bypassed => ("INFO", false, format!("{place} is bypassed.")),
            Outcome::Failed { failure } => ("ERROR", false, format!("{place} failed: {}", failure.message)),
            Outcome::Waiting { .. } | Outcome::Cancelled => return None,
        },
        EventKind::NodeSaid { stream, text } => {
            let stream = match stream {
                Stream::Stdout => "stdout",
                Stream::Stderr => "stderr",
            };
            ("INFO", true, format!("{place} {stream}> {}", text.trim_end_matches('\n')))
        }
        EventKind::AggregationStarted { lines } => ("INFO", true, format!("Aggregation over {lines} lines began.")),
        EventKind::MetricLogged { key, value } => ("INFO", true, format!("{place} metric {key} = {}", value.to_json())),
        EventKind::BatchFinished { lines } => (
            "INFO",
            true,
            format!("{} of {} lines completed, {} failed.", lines.completed, lines.total(), lines.failed),
        ),
        EventKind::RunFinished { status, .. } => match status {
            RunStatus::Completed => ("INFO", true, "The run completed.".to_owned()),
            RunStatus::Failed => ("ERROR", true, "The run failed.".to_owned()),
            RunStatus::Interrupted => ("WARNING", true, "The run was interrupted.".to_owned()),
        },
        _ => return None,
    };
    // The aggregation's nodes have no log of a line that they could be in.
    let of_run = of_run || event.scope.line.is_none();
    let time = format!("{:.0}", event.at).replace('T', " ").replace('Z', " +0000");
    Some(Logged { text: format!("{time} execution {level:<8} {}\n", harmless(&text)), of_run })
}
