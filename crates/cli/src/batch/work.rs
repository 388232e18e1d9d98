//! A batch, done: its journal, cache, progress and budget are joined with the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicegate_events::{BatchData, Event, EventKind, LineCounts, Spent};
use sluicegate_executor::Budget;
use sluicegate_executor::batch::{BatchOptions, BatchPast, BatchReport, BatchStart, Line};
use sluicegate_store::{RunJournal, Store};

use super::{Manner, Progress, ProgressStyle, Replies};
use crate::error::CliError;
use crate::keepers::Keepers;
use crate::prepared::Prepared;
use crate::session::Session;

/// How far apart the journal's commits are at least. Each line waits for two of them, while others use the endpoint.
const BETWEEN_COMMITS: Duration = Duration::from_millis(2);

/// What was there before this process.
#[derive(Debug, Default)]
pub(crate) struct Before {
    pub(crate) lines: LineCounts,
    pub(crate) spent: Spent,
    /// The run's own events.
    pub(crate) events: Vec<Event>,
}

/// A batch that is ready.
pub(crate) struct Work<'a> {
    pub(crate) session: &'a Session,
    pub(crate) prepared: &'a Prepared,
    /// What says of cache and cassette.
    pub(crate) manner: &'a Manner,
    pub(crate) store: &'a Store,
    pub(crate) progress: ProgressStyle,
    /// What calls may cost.
    pub(crate) budget: Option<Arc<Budget>>,
    /// Where traces go, if a flag says so.
    pub(crate) traces: Option<&'a str>,
    /// As many lines run at once at least: as many may wait for a provider's batch as it holds.
    pub(crate) lines_at_once: usize,
    pub(crate) options: &'a BatchOptions,
}

/// What came of it.
pub(crate) struct Worked {
    pub(crate) report: BatchReport,
    pub(crate) took: Duration,
    /// Whether all failures were told when they happened.
    pub(crate) told_failures: bool,
    /// What of the cache or a cassette could not be kept.
    pub(crate) warnings: Vec<String>,
    /// Which replies were kept ones.
    pub(crate) kept: Replies,
}

impl Work<'_> {
    /// Runs it, or what is left of it, until its end or until it is interrupted.
    pub(crate) fn run(
        &self,
        journal: RunJournal,
        start: BatchStart,
        before: &Before,
        lines: impl Iterator<Item = Result<Line, String>>,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Worked, CliError> {
        let began = Instant::now();
        let Self { session, prepared, manner, .. } = self;
        journal.gather(BETWEEN_COMMITS);
        let kept = Keepers::open(session, Some(self.store), &manner.kept, prepared.plan())?;
        let progress = Progress::begin(session.printer(), self.progress, before.lines, before.spent);
        let listeners = vec![progress.listener()];
        let mut engine = prepared.engine(session, Arc::new(journal), listeners, self.traces, &before.events)?;
        engine.kept = kept.replies();
        engine.budget.clone_from(&self.budget);
        let lines_at_once = prepared.in_flight.saturating_mul(2).max(self.lines_at_once).max(1);
        let options = BatchOptions { lines_at_once, ..self.options.clone() };
        let report = prepared.run_batch(engine, start, lines, options, interrupted);
        let (told_failures, replies) = (progress.told_all_failures(), progress.replies());
        drop(progress);
        Ok(Worked { report, took: began.elapsed(), told_failures, warnings: kept.close(), kept: replies })
    }
}

/// How a batch goes on over `lines` lines, and what it has done. `changed` are the data, if they are others than before.
pub(crate) fn going_on(
    past: sluicegate_store::BatchPast,
    lines: u64,
    failed_again: bool,
    changed: Option<BatchData>,
) -> (BatchStart, Before) {
    let (completed, failed) = (past.totals.completed.lines, past.totals.failed.lines);
    let left = lines.saturating_sub(completed + failed);
    let before = Before {
        lines: match failed_again {
            true => LineCounts { completed, failed: 0, left: left + failed },
            false => LineCounts { completed, failed, left },
        },
        spent: past.totals.all(),
        events: past.run_events.clone(),
    };
    let mut begun = past.sets.begun;
    past.sets.failed.iter().for_each(|line| {
        begun.insert(line);
    });
    let start = BatchStart::Resume(BatchPast {
        events: past.run_events,
        last_seq: past.last_seq,
        completed: past.sets.completed,
        failed: past.sets.failed,
        begun,
        spent: past.totals.finished(),
        spent_on_failed: past.totals.failed.spent,
        lines: past.lines,
        failed_again,
        changed,
    });
    (start, before)
}

/// What a run last recorded of its data.
pub(crate) fn recorded_data(events: &[Event]) -> Option<&BatchData> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::BatchStarted { data } => Some(data),
        _ => None,
    })
}

/// The end that a batch said, unless something was begun again since.
pub(crate) fn last_end(events: &[Event]) -> Option<&EventKind> {
    let last = events
        .iter()
        .rev()
        .find(|event| matches!(event.kind, EventKind::RunFinished { .. } | EventKind::RunResumed { .. }))?;
    matches!(last.kind, EventKind::RunFinished { .. }).then_some(&last.kind)
}
