//! One line of a batch, and the aggregation nodes at its end: the same work as a run's, with other first and last words.

use std::pin::pin;
use std::sync::Arc;

use sluicegate_events::{
    Event, EventKind, Failure, JournalError, LineEnd, RunId, RunStatus, RunSummary, Scope, SpanRef, Spent,
};
use sluicegate_value::{Map, Value};

use super::{Done, Run, Stop};
use crate::engine::{Engine, LineKey};
use crate::ledger::{Ledger, Sequence};
use crate::progress::{ForAggregation, Progress, Shape};
use crate::spans::Spans;

/// What the lines of a batch share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) run: RunId,
    pub(crate) shape: Shape,
    pub(crate) sequence: Arc<Sequence>,
    /// What is kept of each line for the end; `None`: nothing reads it.
    pub(crate) for_aggregation: Option<ForAggregation>,
}

/// A line to run.
#[derive(Debug)]
pub(crate) struct LineStart {
    pub(crate) key: LineKey,
    /// The flow's inputs, coerced, with defaults, as its row gives them; or why it gives none.
    pub(crate) inputs: Result<Map, Failure>,
    /// What earlier processes recorded of it; nothing if it never began.
    pub(crate) past: Vec<Event>,
}

/// What came of a line.
#[derive(Debug)]
pub(crate) struct LineReport {
    pub(crate) key: LineKey,
    pub(crate) end: LineEnd,
    pub(crate) spent: Spent,
    /// What aggregation nodes read of it, if it is complete.
    pub(crate) values: Option<Vec<Result<Value, Failure>>>,
    pub(crate) repeated_calls: u32,
    pub(crate) repeated_nodes: u32,
    /// Why nothing more can be recorded; then the end is not.
    pub(crate) journal_error: Option<JournalError>,
}

/// Runs a line to its end, or until `stop` completes.
pub(crate) async fn run_line(
    engine: &Engine,
    shared: &Shared,
    start: LineStart,
    stop: impl Future<Output = Stop>,
) -> LineReport {
    let key = start.key;
    let mut run = match Run::begin_line(engine, shared, start) {
        Ok(run) => run,
        Err((run, failure)) => return run.close_line(shared, key, Done::failed(failure, None), (0, 0)).await,
    };
    let repeated = run.repeated_before;
    match run.run.drive(pin!(stop)).await {
        Ok(done) => run.run.close_line(shared, key, done, repeated).await,
        Err(error) => run.run.line_without_journal(key, error),
    }
}

/// What aggregation nodes came to.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) status: RunStatus,
    /// What failed; the batch's status does not depend on it (spec: promptflow.md §3).
    pub(crate) failure: Option<Failure>,
    /// Metrics, usage, cost, and how each node ended.
    pub(crate) summary: RunSummary,
    pub(crate) journal_error: Option<JournalError>,
}

/// Runs the aggregation nodes, inside of the batch's span, after what earlier processes recorded of them.
pub(crate) async fn aggregate(
    engine: &Engine,
    shared: &Shared,
    root: SpanRef,
    progress: Progress,
    past: &[Event],
    stop: impl Future<Output = Stop>,
) -> Aggregation {
    let key = LineKey::default();
    let ledger = Ledger::new(engine, shared.run.clone(), key, shared.sequence.clone());
    let spans = Spans::new(root.trace_id, root.sampled);
    let mut run = Run::with(engine, key, progress, ledger, spans, root);
    let done = match run.take_past(past) {
        Ok(()) => run.drive(pin!(stop)).await,
        Err(why) => Ok(Done::failed(Failure::new("resume", why), None)),
    };
    let (status, failure, journal_error) = match done {
        Ok(done) => (done.status, done.aggregation_failure.or(done.failure), None),
        Err(error) => (RunStatus::Failed, None, Some(error)),
    };
    Aggregation { status, failure, summary: run.tally.summary, journal_error }
}

/// A line that has begun, and what it does again.
struct BegunLine<'a> {
    run: Run<'a>,
    repeated_before: (u32, u32),
}

impl<'a> Run<'a> {
    #[expect(clippy::result_large_err, reason = "there is one for each line, and it is used up at once")]
    fn begin_line(engine: &'a Engine, shared: &Shared, start: LineStart) -> Result<BegunLine<'a>, (Self, Failure)> {
        let LineStart { key, inputs, mut past } = start;
        // A line that began twice did nothing the first time.
        let first = past.iter().rposition(|event| matches!(event.kind, EventKind::LineStarted { .. }));
        past.drain(..first.unwrap_or(0));
        let has_worked = past.iter().any(|event| !event.scope.path.is_root());
        let known = match past.first().map(|event| (event, &event.kind)) {
            Some((event, EventKind::LineStarted { inputs })) if has_worked => Some((event, inputs)),
            _ => None,
        };
        let trace = known.and_then(|(event, _)| event.trace);
        let mut spans = match trace {
            Some(span) => Spans::new(span.trace_id, span.sampled),
            None => {
                let trace_id = crate::spans::random();
                Spans::new(trace_id, (engine.options.sample)(None, trace_id))
            }
        };
        let root = spans.next(trace.map(|span| span.span_id));
        let ledger = Ledger::new(engine, shared.run.clone(), key, shared.sequence.clone());
        // What was kept without its secrets is in the row still.
        let recorded = known.filter(|(event, _)| !event.redacted).map(|(_, inputs)| inputs.clone());
        let (inputs, failure) = match recorded.map_or(inputs, Ok) {
            Ok(inputs) => (inputs, None),
            Err(failure) => (Map::new(), Some(failure)),
        };
        let progress = Progress::of(&shared.shape, inputs.clone());
        let mut run = Self::with(engine, key, progress, ledger, spans, root);
        if let Some(failure) = failure {
            run.record_of_run(EventKind::LineStarted { inputs });
            return Err((run, failure));
        }
        if !has_worked {
            run.record_of_run(EventKind::LineStarted { inputs });
            return Ok(BegunLine { run, repeated_before: (0, 0) });
        }
        if let Err(why) = run.take_past(&past) {
            return Err((run, Failure::new("resume", why)));
        }
        let (repeated_calls, repeated_nodes) = run.repeated();
        run.record_of_run(EventKind::LineResumed { repeated_calls, repeated_nodes });
        Ok(BegunLine { run, repeated_before: (repeated_calls, repeated_nodes) })
    }

    async fn close_line(mut self, shared: &Shared, key: LineKey, done: Done, repeated: (u32, u32)) -> LineReport {
        let spent = Spent { usage: self.tally.summary.usage(), cost: self.tally.summary.cost() };
        let values = match (&shared.for_aggregation, done.status) {
            (Some(wanted), RunStatus::Completed) => Some(wanted.values(&self.progress)),
            _ => None,
        };
        let end = match done {
            Done { status: RunStatus::Interrupted, .. } => LineEnd::Cancelled,
            Done { outputs: Some(outputs), .. } => LineEnd::Completed { outputs },
            Done { failure, failed_node, .. } => LineEnd::Failed {
                failure: failure.unwrap_or_else(|| Failure::new("internal", "the line ended without an output")),
                node: failed_node.unwrap_or_default(),
            },
        };
        let finished = EventKind::LineFinished { end, usage: spent.usage, cost: spent.cost };
        let event = self.ledger.event(Scope::default(), Some(self.root), finished);
        // What is told is what is kept, so that no secret comes out this way either.
        let end = match &self.ledger.record(event, false).kind {
            EventKind::LineFinished { end, .. } => end.clone(),
            _ => LineEnd::Cancelled,
        };
        if let Err(error) = self.keep_all().await {
            return self.line_without_journal(key, error);
        }
        let (repeated_calls, repeated_nodes) = repeated;
        LineReport { key, end, spent, values, repeated_calls, repeated_nodes, journal_error: None }
    }

    fn line_without_journal(self, key: LineKey, error: JournalError) -> LineReport {
        LineReport {
            key,
            end: LineEnd::Cancelled,
            spent: Spent { usage: self.tally.summary.usage(), cost: self.tally.summary.cost() },
            values: None,
            repeated_calls: 0,
            repeated_nodes: 0,
            journal_error: Some(error),
        }
    }
}
