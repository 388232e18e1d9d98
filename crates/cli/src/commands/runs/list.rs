//! `runs list`.

use sluicegate_events::LineCounts;
use sluicegate_store::{RunFilter, RunRow, ShownStatus};
use sluicegate_value::{Map, Value};

use super::{parse_status, store_error};
use crate::error::CliError;
use crate::exit::Exit;
use crate::report::line_counts;
use crate::session::Session;
use crate::terminal::table;

#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Only runs of this flow
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,

    /// Only runs in this environment
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// Only runs that stand so: running, completed, failed, interrupted, damaged
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<ShownStatus>,

    /// At most so many
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,

    /// JSON in place of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn list(session: &Session, args: ListArgs) -> Result<Exit, CliError> {
    let filter =
        RunFilter { flow: args.flow, environment: args.environment_name, status: args.status, limit: Some(args.limit) };
    let rows = match session.existing_store()? {
        Some((store, _)) => store.list(&filter).map_err(store_error)?,
        None => Vec::new(),
    };
    let printer = session.printer();
    if args.json {
        printer.data(&Value::from(rows.iter().map(row_value).collect::<Vec<_>>()).to_json_pretty())?;
    } else if rows.is_empty() {
        printer.say("no runs are kept here");
    } else {
        let header = ["RUN", "FLOW", "ENVIRONMENT", "STATUS", "LINES", "STARTED", "TOKENS", "COST"];
        printer.data(&table(&header, rows.iter().map(row_cells).collect()))?;
    }
    Ok(Exit::Done)
}

fn row_cells(row: &RunRow) -> Vec<String> {
    let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
    vec![
        row.id.to_string(),
        row.flow.clone(),
        or_dash(row.environment.clone()),
        row.status.to_string(),
        or_dash(row.lines.as_ref().map(lines_cell)),
        or_dash(row.started.map(|time| format!("{time:.0}"))),
        or_dash(row.usage.total().map(|tokens| tokens.to_string())),
        or_dash(row.cost.map(|cost| format!("${cost:.4}"))),
    ]
}

/// How many lines of how many completed: of a batch that runs, how far it is.
fn lines_cell(lines: &LineCounts) -> String {
    let completed = format!("{}/{}", lines.completed, lines.total());
    if lines.failed > 0 { format!("{completed}, {} failed", lines.failed) } else { completed }
}

fn row_value(row: &RunRow) -> Value {
    let mut map = Map::new();
    map.insert("run", row.id.to_string());
    map.insert("flow", row.flow.as_str());
    map.insert("environment", row.environment.clone());
    map.insert("status", row.status.name());
    map.insert("lines", row.lines.as_ref().map_or(Value::Null, line_counts));
    map.insert("started", row.started.map(|time| time.to_string()));
    map.insert("finished", row.finished.map(|time| time.to_string()));
    map.insert("input_tokens", row.usage.input_tokens);
    map.insert("output_tokens", row.usage.output_tokens);
    map.insert("cost_usd", row.cost);
    map.insert("error", row.failure.clone());
    Value::from(map)
}
