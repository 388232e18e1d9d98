//! How a run ends, and the report that it leaves.

use sluicegate_events::{Event, EventKind, Failure, JournalError, NodePath, RunId, RunStatus, RunSummary, Scope};
use sluicegate_value::Map;

use super::Run;
use crate::engine::RunReport;
use crate::progress::LineOutcome;

impl Run<'_> {
    pub(super) async fn end(self, outcome: LineOutcome) -> RunReport {
        // As it was kept, without secrets.
        let aggregation_failure =
            outcome.aggregation_failure.and_then(|failed| self.tally.failure_of(&failed.path).cloned());
        match outcome.result {
            Ok(outputs) => self.close(RunStatus::Completed, Some(outputs), None, None, aggregation_failure).await,
            Err(failed) => {
                let path = Some(failed.path).filter(|path| !path.is_root());
                self.close(RunStatus::Failed, None, Some(failed.failure), path, aggregation_failure).await
            }
        }
    }

    pub(super) async fn close(
        mut self,
        status: RunStatus,
        outputs: Option<Map>,
        failure: Option<Failure>,
        failed_node: Option<NodePath>,
        aggregation_failure: Option<Failure>,
    ) -> RunReport {
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
        self.ledger.flush();
        if self.ledger.is_appending()
            && let Err(error) = self.ledger.acked().await
        {
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
