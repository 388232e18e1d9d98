//! Going on with a batch, or saying that there is nothing to go on with.

use std::sync::Arc;

use clap::Parser as _;
use sluicegate_events::{EventKind, LineCounts, PlanHashes, RunId, RunStatus, RunSummary};
use sluicegate_executor::batch::BatchReport;
use sluicegate_flow::bind::Setting;
use sluicegate_store::{BatchPast, Store};
use sluicegate_value::Value;

use super::super::run::{refuse_changes, variant};
use super::super::runs::{last_aggregation, store_error};
use super::BatchArgs;
use super::ready::Ready;
use crate::batch::{
    Asked, Data, Places, STDIN, cancel_batches, going_on, keep_batches, last_end, nodes_from_map, provider_batches,
    recorded_data, spool_place, tell_finished, write_outputs,
};
use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt;
use crate::prepared::{Choices, Prepared};
use crate::session::Session;

/// `runs resume` of a batch, with these flags.
pub(crate) fn resume_by(session: &Session, run: &str, flags: &[&str]) -> Result<Exit, CliError> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: BatchArgs,
    }
    let words = ["batch", "--resume", run].into_iter().chain(flags.iter().copied());
    let line = Line::try_parse_from(words)
        .map_err(|error| CliError::misused(error.to_string().trim().trim_start_matches("error: ").to_owned()))?;
    resume(session, &line.args, run)
}

/// Goes on with a batch.
pub(super) fn resume(session: &Session, args: &BatchArgs, asked_run: &str) -> Result<Exit, CliError> {
    let interrupted = interrupt::listen(session.printer().clone())?;
    let (store, durability) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    let id = store.find(asked_run).map_err(store_error)?;
    if !store.is_batch(&id).map_err(store_error)? {
        return Err(CliError::misused(format!("run `{id}` is no batch"))
            .hint(format!("go on with it by `sluicegate runs resume {id}`")));
    }
    let (journal, past) = store.resume_batch(&id, durability).map_err(store_error)?;
    let Some(EventKind::RunStarted { flow_path, environment, hashes, options: remembered, .. }) =
        past.run_events.first().map(|event| event.kind.clone())
    else {
        return Err(CliError::misused(format!("run `{id}` has no beginning and cannot be resumed")));
    };
    let text = |name: &str| remembered.get(name).and_then(Value::as_str);
    let map = |name: &str| remembered.get(name).and_then(Value::as_map);
    let manner = match map("manner") {
        Some(then) => args.manner(session).or_as(then),
        None => args.manner(session),
    };
    // What was replayed asks nobody now either, and needs no keys.
    let session = &session.replaying(manner.kept.replay.is_some());
    let by_name = text("flow").and_then(|name| session.flow(name, environment.as_deref()).ok());
    let flow = match by_name.filter(|flow| flow.path.display().to_string() == flow_path) {
        Some(flow) => flow,
        None => session.flow(&flow_path, environment.as_deref())?,
    };
    let set = remembered.get("set").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str);
    let choices = Choices {
        set: set.map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: text("variant").map(variant).transpose()?,
        init: map("init").cloned().unwrap_or_default(),
        variables: map("environment_variables").cloned().unwrap_or_default(),
        nodes: map("connections").map(nodes_from_map).unwrap_or_default(),
        max_in_flight: manner.concurrency.map(|limit| limit as usize),
        provider_batch: provider_batches(
            session,
            if args.cancel_provider_batch { Some(1) } else { manner.provider_batch },
            args.progress,
        ),
        ..Choices::default()
    };
    let mut asked = remembered.get("batch").and_then(Value::as_map).map(Asked::from_remembered).unwrap_or_default();
    asked.on_bad_line = args.on_bad_line.unwrap_or(asked.on_bad_line);
    let options = args.options(&manner)?;
    let prepared = Prepared::new(session, flow, &choices)?;
    let done = (|| {
        if args.cancel_provider_batch {
            return cancel_batches(session, &prepared, &store, &id);
        }
        let spool = spool_place(&store, &id)?;
        let places = Places::of(&manner, &store, &id);
        let then = recorded_data(&past.run_events).cloned().unwrap_or_default();
        let (completed, failed) = (past.totals.completed.lines, past.totals.failed.lines);
        let is_finished = |lines: u64| {
            let ended = matches!(
                last_end(&past.run_events),
                Some(EventKind::RunFinished { status: RunStatus::Completed | RunStatus::Failed, .. })
            );
            ended && lines <= completed + failed && !(args.failed && failed > 0)
        };
        let finished = Finished { session, args, prepared: &prepared, store: &store, places: &places };
        // What came by standard input is not kept longer than it is of use.
        if is_finished(then.lines) && asked.data.iter().any(|name| name == STDIN) && !spool.exists() {
            return finished.tell(&id, &past);
        }
        let data = Data::prepare(session, &prepared, &asked, &spool)?;
        let recorded = data.recorded();
        if !args.allow_changed {
            let now = prepared.hashes();
            refuse_batch_changes(&hashes, &now, then.hash != recorded.hash, &id)?;
        }
        if is_finished(recorded.lines) {
            return finished.tell(&id, &past);
        }
        places.open(&store, &id, args.force)?;
        keep_batches(session, choices.provider_batch.as_ref(), &store, &id)?;
        let changed = (then != recorded).then(|| recorded.clone());
        let (start, before) = going_on(past, recorded.lines, args.failed, changed);
        let ready = Ready {
            session,
            args,
            manner: &manner,
            prepared: &prepared,
            data: &data,
            batches: choices.provider_batch.as_ref(),
            store: &store,
            places: &places,
            options: &options,
            spool: Some(&*spool).filter(|spool| spool.exists()),
        };
        ready.run(journal, start, &before, interrupted)
    })();
    prepared.close();
    done
}

/// A batch of which nothing is left to run.
struct Finished<'a> {
    session: &'a Session,
    args: &'a BatchArgs,
    prepared: &'a Prepared,
    store: &'a Store,
    places: &'a Places,
}

impl Finished<'_> {
    /// Says so, and ends as the batch did. Outputs that are missing are written: its process may have died before it
    /// wrote them, or the disk was full.
    fn tell(&self, run: &RunId, past: &BatchPast) -> Result<Exit, CliError> {
        let Self { session, args, prepared, store, places } = *self;
        let metrics = RunSummary::of(last_aggregation(&past.run_events)).metrics;
        let is_unwritten = places.output.file().is_some_and(|file| !file.exists());
        let writes = is_unwritten || args.output.is_some() || args.run_folder.is_some();
        if writes {
            places.open(store, run, args.force)?;
            let metrics = metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
            write_outputs(store, run, &places.output, &metrics)?;
            if let Some(folder) = &places.run_folder {
                folder.write_ended(session, store, run, prepared)?;
            }
        }
        let summary = RunSummary::of(&past.run_events);
        let (completed, failed) = (past.totals.completed.lines, past.totals.failed.lines);
        let report = BatchReport {
            run: run.clone(),
            trace_id: summary.trace_id.unwrap_or_default(),
            status: summary.status.unwrap_or(RunStatus::Failed),
            failure: summary.failure,
            stopped: None,
            lines: LineCounts { completed, failed, left: 0 },
            failures: Vec::new(),
            spent: past.totals.all(),
            metrics,
            aggregation: Vec::new(),
            aggregation_failure: None,
            repeated_calls: 0,
            repeated_nodes: 0,
            journal_error: None,
            warnings: Vec::new(),
        };
        // Another run may have written over them.
        let output = places.output.file().filter(|_| places.output.has_outputs_of(run));
        tell_finished(session, prepared, &report, output, writes, args.json)
    }
}

fn refuse_batch_changes(then: &PlanHashes, now: &PlanHashes, data: bool, id: &RunId) -> Result<(), CliError> {
    if !data {
        return refuse_changes(then, now, id);
    }
    let mut what = vec!["the data"];
    if then.plan != now.plan {
        what.push("the flow's files");
    }
    if then.settings != now.settings {
        what.push("its settings");
    }
    Err(CliError::misused(format!("{} changed since run `{id}` began", what.join(" and ")))
        .hint("start a new batch, or resume with --allow-changed if the lines that are over still hold"))
}
