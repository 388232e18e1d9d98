//! `runs metrics`.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_events::{Event, EventKind, RunSummary};
use sluicegate_value::{Map, Value};

use super::{Opened, last_aggregation, open, store_error};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::table;

#[derive(Debug, clap::Args)]
pub(crate) struct MetricsArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// JSON in place of a table
    #[arg(long)]
    json: bool,
}

/// Numbers over lines.
pub(super) struct Metrics {
    pub(super) values: IndexMap<String, Value>,
    /// Over how many lines; of a single run `None`.
    pub(super) over: Option<u64>,
}

impl Metrics {
    /// What the aggregation nodes of a batch told last.
    pub(super) fn of_batch(run_events: &[Event]) -> Self {
        let events = last_aggregation(run_events);
        let over = events.first().and_then(|event| match event.kind {
            EventKind::AggregationStarted { lines } => Some(lines),
            _ => None,
        });
        Self { values: RunSummary::of(events).metrics, over }
    }

    pub(super) fn to_map(&self) -> Map {
        self.values.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect()
    }
}

pub(super) fn metrics(session: &Session, args: &MetricsArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    let metrics = match opened.is_batch()? {
        true => Metrics::of_batch(&opened.run_events()?),
        false => {
            let events = opened.reader.events().map_err(store_error)?;
            Metrics { values: RunSummary::of(&events).metrics, over: None }
        }
    };
    let printer = session.printer();
    if let Some(warning) = outdated(&opened, metrics.over)? {
        printer.warn(&warning);
    }
    if args.json {
        printer.data(&Value::from(metrics.to_map()).to_json_pretty())?;
    } else if metrics.values.is_empty() {
        printer.say(&format!("run `{}` has told no metrics", opened.id));
    } else {
        let rows = metrics.values.iter().map(|(name, value)| vec![name.clone(), value.to_json()]).collect();
        printer.data(&table(&["METRIC", "VALUE"], rows))?;
    }
    Ok(Exit::Done)
}

/// That lines have completed since the metrics were told, if some have.
pub(super) fn outdated(opened: &Opened, over: Option<u64>) -> Result<Option<String>, CliError> {
    let Some(over) = over else { return Ok(None) };
    let completed = opened.reader.row().map_err(store_error)?.lines.map_or(over, |lines| lines.completed);
    let now = format!("the metrics are of {over} lines; {completed} have completed by now");
    Ok((completed != over).then_some(now))
}
