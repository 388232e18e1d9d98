//! How a run ends, and the report that it leaves.

use sluicegate_events::{Event, EventKind, Failure, JournalError, NodePath, RunId, RunStatus, RunSummary, Scope};
use sluicegate_value::Map;

use super::Run;
use crate::engine::RunReport;
use crate::progress::LineOutcome;

/// What came of a run or a line.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: RunStatus,
    pub(crate) outputs: Option<Map>,
    pub(crate) failure: Option<Failure>,
    /// The node that failed; `None` when an output or something else did.
    pub(crate) failed_node: Option<NodePath>,
    pub(crate) aggregation_failure: Option<Failure>,
}

impl Done {
    pub(super) fn of(status: RunStatus) -> Self {
        Self { status, outputs: None, failure: None, failed_node: None, aggregation_failure: None }
    }

    pub(super) fn failed(failure: Failure, failed_node: Option<NodePath>) -> Self {
        Self { failure: Some(failure), failed_node, ..Self::of(RunStatus::Failed) }
    }
}

impl Run<'_> {
    pub(super) fn done(&self, outcome: LineOutcome) -> Done {
        // As it was kept, without secrets.
        let aggregation_failure =
            outcome.aggregation_failure.and_then(|failed| self.tally.failure_of(&failed.path).cloned());
        let done = match outcome.result {
            Ok(outputs) => Done { outputs: Some(outputs), ..Done::of(RunStatus::Completed) },
            Err(failed) => Done::failed(failed.failure, Some(failed.path).filter(|path| !path.is_root())),
        };
        Done { aggregation_failure, ..done }
    }

    pub(super) async fn close(mut self, done: Done) -> RunReport {
        let Done { status, outputs, failure, failed_node, aggregation_failure } = done;
        let (usage, cost) = (self.tally.summary.usage(), self.tally.summary.cost());
        let finished = EventKind::RunFinished { status, outputs, failure, usage, cost };
        let event = self.ledger.event(Scope::default(), Some(self.root), finished);
        let kept = self.ledger.record(event, false);
        self.tally.hear(&NodePath::default(), kept);
        // What is shown is what is kept, so that no secret comes out this way either.
        let (outputs, failure) = match &kept.kind {
            EventKind::RunFinished { outputs, failure, .. } => (outputs.clone(), failure.clone()),
            _ => (None, None),
        };
        if let Err(error) = self.keep_all().await {
            return self.end_without_journal(error);
        }
        let mut report = self.report(status);
        report.outputs = outputs;
        report.failure = failure;
        report.failed_node = failed_node;
        report.aggregation_failure = aggregation_failure;
        report
    }

    /// Nothing that happened since the last answer may be built upon, and there is nowhere to write why.
    pub(super) fn end_without_journal(self, error: JournalError) -> RunReport {
        let mut report = self.report(RunStatus::Failed);
        report.failure = Some(
            Failure::new("journal", error.to_string())
                .hint("what was recorded before is kept; make room and resume the run, or use `--no-store`"),
        );
        report.journal_error = Some(error);
        report
    }

    pub(super) fn report(self, status: RunStatus) -> RunReport {
        RunReport {
            run: self.ledger.run.clone(),
            trace_id: self.root.trace_id,
            status,
            outputs: None,
            failure: None,
            failed_node: None,
            aggregation_failure: None,
            journal_error: None,
            waiting: self.progress.held().map(|held| held.path).collect(),
            warnings: self.engine.listeners.finish(),
            summary: self.tally.summary,
        }
    }
}

/// The report of a run that cannot be resumed.
pub(super) fn refused(first: Option<&Event>, why: Failure) -> Box<RunReport> {
    Box::new(RunReport {
        run: first.map_or_else(|| RunId("".into()), |event| event.run.clone()),
        trace_id: first.and_then(|event| event.trace).map_or(0, |span| span.trace_id),
        status: RunStatus::Failed,
        outputs: None,
        failure: Some(why),
        failed_node: None,
        aggregation_failure: None,
        summary: RunSummary::default(),
        journal_error: None,
        waiting: Vec::new(),
        warnings: Vec::new(),
    })
}
