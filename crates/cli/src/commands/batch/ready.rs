//! A batch that is ready: it runs, what came of it is written, and how it ended is said.

use std::path::Path;
use std::sync::Arc;

use sluicegate_events::RunStatus;
use sluicegate_executor::Budget;
use sluicegate_executor::batch::{BatchOptions, BatchStart};
use sluicegate_providers::ProviderBatches;
use sluicegate_store::{RunJournal, Store};
use sluicegate_value::Map;

use super::BatchArgs;
use crate::batch::{Before, Data, Ended, Manner, Places, Work, finish, tell_open_batches, write_outputs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::prepared::Prepared;
use crate::session::Session;

/// What a batch is done with, new or gone on with.
pub(super) struct Ready<'a> {
    pub(super) session: &'a Session,
    pub(super) args: &'a BatchArgs,
    pub(super) manner: &'a Manner,
    pub(super) prepared: &'a Prepared,
    pub(super) data: &'a Data,
    pub(super) batches: Option<&'a Arc<ProviderBatches>>,
    pub(super) store: &'a Store,
    pub(super) places: &'a Places,
    pub(super) options: &'a BatchOptions,
    /// The file that keeps standard input, if the rows came from there.
    pub(super) spool: Option<&'a Path>,
}

impl Ready<'_> {
    /// Runs what is to run, writes what came of it, and says how it ended.
    pub(super) fn run(
        &self,
        journal: RunJournal,
        start: BatchStart,
        before: &Before,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Exit, CliError> {
        let Self { session, args, manner, prepared, store, places, .. } = *self;
        let work = Work {
            session,
            prepared,
            manner,
            store,
            progress: args.progress,
            budget: manner
                .budget
                .map(|most| Arc::new(Budget::new(most, before.spent.cost.unwrap_or_default(), manner.assume_tokens))),
            traces: args.deploy_traces.as_deref(),
            lines_at_once: self.batches.map_or(0, |batches| batches.size()),
            options: self.options,
        };
        let worked = work.run(journal, start, before, self.data.lines()?, interrupted)?;
        let report = &worked.report;
        if let (Some(most), Some(cost)) = (manner.budget, report.spent.cost)
            && cost > most
        {
            session.printer().warn(&format!(
                "${cost:.4} were spent of a budget of ${most:.4}: replies used more tokens than their requests allow"
            ));
        }
        let metrics: Map =
            report.metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
        let written = write_outputs(store, &report.run, &places.output, &metrics);
        let written = written.and_then(|()| match &places.run_folder {
            Some(folder) => folder.write_ended(session, store, &report.run, prepared),
            None => Ok(()),
        });
        let output = places.output.file().filter(|_| written.is_ok());
        let ended = Ended { worked: &worked, output, json: args.json, budget: manner.budget };
        let exit = finish(session, prepared, &ended)?;
        tell_open_batches(session, self.batches, &report.run);
        // Nothing reads the rows any more: what a line was given is in the journal, secrets taken out.
        let is_done = report.status == RunStatus::Completed && report.lines.completed == report.lines.total();
        if let Some(spool) = self.spool.filter(|_| is_done && written.is_ok())
            && let Err(error) = std::fs::remove_file(spool)
        {
            session.printer().warn(&format!("`{}` cannot be removed: {error}", spool.display()));
        }
        written.map(|()| exit)
    }
}
