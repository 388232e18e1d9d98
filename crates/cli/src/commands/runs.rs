//! `runs`: what was run, and how to go on with it.

use sluicegate_events::RunSummary;
use sluicegate_store::{RunFilter, RunRow, ShownStatus, Store};
use sluicegate_value::{Map, Value};

use crate::error::CliError;
use crate::exit::Exit;
use crate::report::report;
use crate::session::Session;
use crate::terminal::{harmless, show_duration, show_nodes, show_tokens, table};

/// Runs that were kept: list them, look at one, go on with one.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List(ListArgs),
    /// Show one run: its inputs, nodes and outputs
    Show(ShowArgs),
    /// Go on with a run that was interrupted, killed or failed; what is recorded is not asked again
    Resume(ResumeArgs),
}

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

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// JSON in place of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,

    /// Go on although the flow or its settings have changed since
    #[arg(long)]
    pub(crate) allow_changed: bool,

    /// Of a batch: run the failed lines again, too
    #[arg(long)]
    pub(crate) failed: bool,

    /// Outputs, nodes, usage, cost, durations and trace id in one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// Show replies as they come (on stderr)
    #[arg(long)]
    pub(crate) stream: bool,

    /// Send OpenTelemetry traces, to ENDPOINT or where the config and OTEL_* variables say
    #[arg(long = "deploy_traces", value_name = "ENDPOINT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) deploy_traces: Option<String>,
}

fn parse_status(text: &str) -> Result<ShownStatus, String> {
    ShownStatus::from_name(text).ok_or_else(|| "one of running, completed, failed, interrupted, damaged".to_owned())
}

/// Does what `runs` was asked.
pub(crate) fn runs(session: &Session, command: RunsCommand) -> Result<Exit, CliError> {
    match command {
        RunsCommand::List(args) => list(session, args),
        RunsCommand::Show(args) => show(session, &args),
        RunsCommand::Resume(args) => resume(session, args),
    }
}

fn resume(session: &Session, args: ResumeArgs) -> Result<Exit, CliError> {
    let is_batch = match session.existing_store()? {
        Some((store, _)) => {
            let id = store.find(&args.run).map_err(store_error)?;
            store.is_batch(&id).map_err(store_error)?
        }
        None => false,
    };
    if !is_batch {
        if args.failed {
            return Err(CliError::misused(
                "`--failed` is for batches: a single run goes on with its failed nodes anyway",
            ));
        }
        return super::run::resume(session, args);
    }
    let traces = args.deploy_traces.as_ref().map(|address| format!("--deploy_traces={address}"));
    let flags = [(args.failed, "--failed"), (args.allow_changed, "--allow-changed"), (args.json, "--json")];
    let flags: Vec<&str> =
        flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)).chain(traces.as_deref()).collect();
    super::batch::resume_by(session, &args.run, &flags)
}

fn list(session: &Session, args: ListArgs) -> Result<Exit, CliError> {
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
        let header = ["RUN", "FLOW", "ENVIRONMENT", "STATUS", "STARTED", "TOKENS", "COST"];
        printer.data(&table(&header, rows.iter().map(row_cells).collect()))?;
    }
    Ok(Exit::Done)
}

fn row_cells(row: &RunRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        row.flow.clone(),
        row.environment.clone().unwrap_or_else(|| "-".to_owned()),
        row.status.to_string(),
        row.started.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}")),
        row.usage.total().map_or_else(|| "-".to_owned(), |tokens| tokens.to_string()),
        row.cost.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}")),
    ]
}

fn row_value(row: &RunRow) -> Value {
    let mut map = Map::new();
    map.insert("run", row.id.to_string());
    map.insert("flow", row.flow.as_str());
    map.insert("environment", row.environment.clone());
    map.insert("status", row.status.name());
    map.insert("started", row.started.map(|time| time.to_string()));
    map.insert("finished", row.finished.map(|time| time.to_string()));
    map.insert("input_tokens", row.usage.input_tokens);
    map.insert("output_tokens", row.usage.output_tokens);
    map.insert("cost_usd", row.cost);
    map.insert("error", row.failure.clone());
    Value::from(map)
}

fn show(session: &Session, args: &ShowArgs) -> Result<Exit, CliError> {
    let (store, _) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    let id = store.find(&args.run).map_err(store_error)?;
    let (summary, status) = read(&store, &id)?;
    let printer = session.printer();
    if args.json {
        printer.data(&report(&summary, status.name()).to_json_pretty())?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("run          {id}"), format!("flow         {}", summary.flow)];
    lines.push(format!("environment  {}", summary.environment.as_deref().unwrap_or("-")));
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
    lines.push(format!("inputs       {}", harmless(&Value::from(summary.inputs.clone()).to_json())));
    if let Some(outputs) = &summary.outputs {
        lines.push(format!("outputs      {}", harmless(&Value::from(outputs.clone()).to_json())));
    }
    lines.push(show_nodes(&summary, printer.plain_painter()));
    let stopped = status == ShownStatus::Interrupted || status == ShownStatus::Failed;
    if stopped && !summary.inputs_redacted {
        lines.push(format!("go on with   sluicegate runs resume {id}"));
    }
    printer.data(&lines.join("\n"))?;
    Ok(Exit::Done)
}

/// What a run looks like now.
fn read(store: &Store, id: &sluicegate_events::RunId) -> Result<(RunSummary, ShownStatus), CliError> {
    let reader = store.open_run(id).map_err(store_error)?;
    let summary = RunSummary::of(&reader.events().map_err(store_error)?);
    let status = reader.row().map_err(store_error)?.status;
    Ok((summary, status))
}

/// The store's error, as the command line tells it.
pub(crate) fn store_error(error: sluicegate_store::StoreError) -> CliError {
    use sluicegate_store::StoreError;
    match error {
        StoreError::NoSuchRun { .. } => {
            CliError::misused(error.to_string()).hint("`sluicegate runs list` shows those that are kept")
        }
        StoreError::Held { .. } => CliError::misused(format!("{error}; it is running"))
            .hint("wait for it, or stop that process, and resume then"),
        StoreError::Ambiguous { .. } | StoreError::BadRunId { .. } => CliError::misused(error.to_string()),
        other => CliError::failed(other.to_string())
            .hint("is the disk full, or the folder not yours to write? `--no-store` keeps nothing"),
    }
}
