//! `runs`: what was run, how to look at it, and how to go on with it. A file each of what it does.

mod events;
mod export;
mod lines;
mod list;
mod metrics;
mod out;
mod remove;
mod show;

use sluicegate_events::{Event, EventKind, RunId};
use sluicegate_store::{RunReader, ShownStatus, Store};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Runs that were kept: look at them, go on with one, take one along, delete them.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List(list::ListArgs),
    /// Show one run, or a line of a batch: its inputs, nodes and outputs
    Show(show::ShowArgs),
    /// Show the lines of a batch: how they ended, how long they took, what they cost
    Lines(lines::LinesArgs),
    /// Show the numbers over all lines that aggregation nodes told
    Metrics(metrics::MetricsArgs),
    /// Show what happened in a run, event by event
    Events(events::EventsArgs),
    /// Write a run's events as JSON Lines, or a run folder as prompt flow writes it
    Export(export::ExportArgs),
    /// Write the outputs of a run again: a batch's as JSON Lines in the order of the data
    Outputs(export::OutputsArgs),
    /// Go on with a run that was interrupted, killed or failed; what is recorded is not asked again
    Resume(ResumeArgs),
    /// Delete runs, and the outputs that lie beside them
    Delete(remove::DeleteArgs),
    /// Delete the runs that nobody needs any longer
    Prune(remove::PruneArgs),
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

    /// Of a batch: what its calls may cost in all, in US dollars; `none` lifts its cap
    #[arg(long, value_name = "USD", value_parser = super::batch::dollars, allow_negative_numbers = true)]
    pub(crate) budget: Option<f64>,

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

/// A run, opened to be looked at.
struct Opened {
    store: Store,
    id: RunId,
    reader: RunReader,
}

/// Does what `runs` was asked.
pub(crate) fn runs(session: &Session, command: RunsCommand) -> Result<Exit, CliError> {
    match command {
        RunsCommand::List(args) => list::list(session, args),
        RunsCommand::Show(args) => show::show(session, &args),
        RunsCommand::Lines(args) => lines::lines(session, &args),
        RunsCommand::Metrics(args) => metrics::metrics(session, &args),
        RunsCommand::Events(args) => events::events(session, &args),
        RunsCommand::Export(args) => export::export(session, &args),
        RunsCommand::Outputs(args) => export::outputs(session, &args),
        RunsCommand::Resume(args) => resume(session, args),
        RunsCommand::Delete(args) => remove::delete(session, &args),
        RunsCommand::Prune(args) => remove::prune(session, &args),
    }
}

fn parse_status(text: &str) -> Result<ShownStatus, String> {
    ShownStatus::from_name(text).ok_or_else(|| "one of running, completed, failed, interrupted, damaged".to_owned())
}

/// The store of runs, which must be there.
fn the_store(session: &Session) -> Result<Store, CliError> {
    let (store, _) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    Ok(store)
}

/// Finds and opens a run by its id, the beginning of it, or `latest`.
fn open(session: &Session, asked: &str) -> Result<Opened, CliError> {
    let store = the_store(session)?;
    let id = store.find(asked).map_err(store_error)?;
    let reader = store.open_run(&id).map_err(store_error)?;
    Ok(Opened { store, id, reader })
}

impl Opened {
    fn is_batch(&self) -> Result<bool, CliError> {
        self.reader.is_batch().map_err(store_error)
    }

    /// That it must be a batch.
    fn needs_lines(&self) -> Result<(), CliError> {
        match self.is_batch()? {
            true => Ok(()),
            false => Err(CliError::misused(format!("run `{}` is no batch: it has no lines", self.id))
                .hint(format!("look at it by `sluicegate runs show {}`", self.id))),
        }
    }

    /// Why a batch has no events of a line.
    fn without_line(&self, line: u64) -> Result<CliError, CliError> {
        let counts = self.reader.row().map_err(store_error)?.lines.unwrap_or_default();
        let lines = |error: CliError| error.hint(format!("`sluicegate runs lines {}` shows those it has", self.id));
        Ok(match (counts.total(), counts.left) {
            (0, _) => CliError::misused(format!("run `{}` has no lines", self.id)),
            // Which lines are left is only known of those that began: a filter may have left out others.
            (_, 1..) => {
                lines(CliError::misused(format!("line {line} of run `{}` has not begun, if it is one", self.id)))
            }
            (_, 0) => lines(CliError::misused(format!("run `{}` has no line {line}", self.id))),
        })
    }

    /// The run's own events; of a single run those are all.
    fn run_events(&self) -> Result<Vec<Event>, CliError> {
        self.reader.run_events().map_err(store_error)
    }
}

/// The events of a batch's last aggregation, its beginning first; none if there was none.
pub(crate) fn last_aggregation(run_events: &[Event]) -> &[Event] {
    let begins = |event: &Event| matches!(event.kind, EventKind::AggregationStarted { .. });
    run_events.iter().rposition(begins).and_then(|from| run_events.get(from..)).unwrap_or_default()
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
        if args.budget.is_some() {
            return Err(CliError::misused("`--budget` is for batches: a single run has none"));
        }
        return super::run::resume(session, args);
    }
    let traces = args.deploy_traces.as_ref().map(|address| format!("--deploy_traces={address}"));
    let flags = [(args.failed, "--failed"), (args.allow_changed, "--allow-changed"), (args.json, "--json")];
    let budget = args.budget.map(|most| if most.is_finite() { most.to_string() } else { "none".to_owned() });
    let budget = budget.map(|most| format!("--budget={most}"));
    let flags = flags.into_iter().filter_map(|(set, flag)| set.then_some(flag));
    let flags: Vec<&str> = flags.chain(traces.as_deref()).chain(budget.as_deref()).collect();
    super::batch::resume_by(session, &args.run, &flags)
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
        StoreError::NoCassette { .. } => CliError::misused(error.to_string()).hint("`--record DIR` makes one"),
        StoreError::CassetteHeld { .. } | StoreError::DamagedCassette { .. } => CliError::misused(error.to_string()),
        StoreError::Ambiguous { .. } | StoreError::BadRunId { .. } => CliError::misused(error.to_string()),
        StoreError::NewerFormat { .. } => {
            CliError::misused(error.to_string()).hint("a later version of sluicegate wrote it: use that one")
        }
        StoreError::Damaged { .. } => CliError::failed(error.to_string())
            .hint("a copy of it may help; `sluicegate runs delete` removes it, and no other run needs it"),
        other => CliError::failed(other.to_string())
            .hint("is the disk full, or the folder not yours to write? `--no-store` keeps nothing"),
    }
}
