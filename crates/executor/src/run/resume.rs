//! Going on with what a process that is gone has recorded: of a run, or of a line of a batch.

use std::collections::HashSet;
use std::sync::Arc;

use sluicegate_events::{Event, EventKind, Failure, NodePath, Outcome, RunStatus};
use sluicegate_flow::plan::Plan;
use sluicegate_model::Usage;

use super::Run;
use super::ending::refused;
use crate::engine::{Engine, LineKey, RunReport};
use crate::ledger::{Ledger, Sequence};
use crate::progress::{Gone, Progress};
use crate::spans::Spans;

impl<'a> Run<'a> {
    pub(super) fn begin_again(engine: &'a Engine, plan: &Arc<Plan>, past: Vec<Event>) -> Result<Self, Box<RunReport>> {
        let refuse = |why: String| Err(refused(past.first(), Failure::new("resume", why)));
        let Some((Event { run, trace, redacted, .. }, EventKind::RunStarted { inputs, .. })) =
            past.first().map(|event| (event, &event.kind))
        else {
            return refuse("the run's first event is missing".to_owned());
        };
        let is_over = |event: &Event| matches!(event.kind, EventKind::RunFinished { status: RunStatus::Completed, .. });
        if past.iter().any(is_over) {
            return refuse("the run is completed".to_owned());
        }
        if *redacted {
            return Err(refused(past.first(), inputs_redacted().hint("run the flow again")));
        }
        let (trace_id, sampled) =
            trace.map_or_else(|| (crate::spans::random(), false), |span| (span.trace_id, span.sampled));
        let mut spans = Spans::new(trace_id, sampled);
        let root = spans.next(trace.map(|span| span.span_id));
        let last_seq = past.iter().map(|event| event.seq).max().unwrap_or_default();
        let key = LineKey::default();
        let ledger = Ledger::new(engine, run.clone(), key, Sequence::after(last_seq));
        let progress = Progress::new(plan.clone(), inputs.clone()).with_aggregation();
        let mut run = Self::with(engine, key, progress, ledger, spans, root);
        if let Err(why) = run.take_past(&past) {
            return refuse(why);
        }
        let (repeated_calls, repeated_nodes) = run.repeated();
        run.record_of_run(EventKind::RunResumed { repeated_calls, repeated_nodes });
        Ok(run)
    }

    /// Takes in what was recorded.
    pub(super) fn take_past(&mut self, past: &[Event]) -> Result<(), String> {
        for (event, again) in past.iter().zip(to_be_tried_again(past)) {
            let applied = match again {
                false => self.progress.apply(event),
                true => self.progress.apply(&cancelled(event)),
            };
            applied.map_err(|error| error.to_string())?;
            self.tally.hear_past(event);
        }
        Ok(())
    }

    /// Calls that were in flight, and nodes that were over, that are done again.
    pub(super) fn repeated(&self) -> (u32, u32) {
        (self.tally.open_calls(), self.progress.nodes_to_repeat(Gone::Past).len() as u32)
    }
}

/// Tells the progress of a line what was recorded of it, from its last beginning on; what does not fit is left out.
pub(crate) fn take_line(progress: &mut Progress, past: &[Event]) {
    let first = past.iter().rposition(|event| matches!(event.kind, EventKind::LineStarted { .. })).unwrap_or(0);
    let past = &past[first..];
    for (event, again) in past.iter().zip(to_be_tried_again(past)) {
        let _ = match again {
            false => progress.apply(event),
            true => progress.apply(&cancelled(event)),
        };
    }
}

/// Why nobody can go on with inputs that were kept without their secrets.
pub(super) fn inputs_redacted() -> Failure {
    Failure::new("resume", "its inputs held a secret, which is never kept, so nobody can go on with them")
}

/// The end of a node that runs again: as if it had been stopped.
fn cancelled(event: &Event) -> Event {
    let kind = EventKind::NodeFinished { outcome: Outcome::Cancelled, usage: Usage::default() };
    Event { kind, scope: event.scope.clone(), run: event.run.clone(), ..*event }
}

/// Which of the past's events are failures of nodes that ended their process's part of the run: those nodes run again. A
/// failure inside of a node that was tried once more afterwards is history, which the further attempt has dealt with.
fn to_be_tried_again(past: &[Event]) -> Vec<bool> {
    // Nodes with a flow inside that were tried once more, of what lies behind on the way back.
    let mut tried_again: HashSet<&NodePath> = HashSet::new();
    let mut found: Vec<bool> = past
        .iter()
        .rev()
        .map(|event| {
            let path = &event.scope.path;
            match &event.kind {
                EventKind::RunResumed { .. } | EventKind::LineResumed { .. } => tried_again.clear(),
                EventKind::NodeAttemptFailed { .. } => {
                    tried_again.insert(path);
                }
                EventKind::NodeFinished { outcome: Outcome::Failed { .. }, .. } => {
                    let mut around = std::iter::successors(path.parent(), NodePath::parent);
                    return !around.any(|around| tried_again.contains(&around));
                }
                _ => {}
            }
            false
        })
        .collect();
    found.reverse();
    found
}
