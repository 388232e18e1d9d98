//! One run, from its first event to its last.
//!
//! A single task owns everything: it asks progress for work, polls the nodes that run, numbers what happened and waits
//! for the journal. Nothing here is shared, so nothing is locked; dropping the task's future cancels all.

mod attempts;
mod ending;
mod hearing;

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::AbortHandle;
use futures_util::stream::FuturesUnordered;
use sluicegate_events::{Event, EventKind, Failure, NodePath, Outcome, RunStatus, SpanRef};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_flow::template::Binding;
use sluicegate_model::BoxFuture;
use sluicegate_value::Map;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::calls::Said;
use crate::engine::{Engine, NewRun, RunReport, Start};
use crate::ledger::Ledger;
use crate::nodes::{AttemptFailure, Product};
use crate::progress::{NodeRef, Progress};
use crate::spans::Spans;
use crate::tally::Tally;
use ending::refused;

/// Runs a flow on one input, or goes on with a run whose process is gone.
///
/// When `interrupt` completes, nothing more is begun, what runs is cancelled, and the run ends as
/// [`RunStatus::Interrupted`]; pass [`std::future::pending`] if nobody will. Dropping the returned future stops the run
/// without a word, as a crash would.
///
/// A node's `retry` counts failed attempts of this and earlier processes; the pause doubles from its `initial` up to its
/// `max`. What stays wrong however often it is tried (a refused key, a bad reference) is not tried again.
pub async fn run(engine: &Engine, plan: &BoundPlan, start: Start, interrupt: impl Future<Output = ()>) -> RunReport {
    match Run::begin(engine, plan.plan(), start) {
        Ok(run) => run.drive(pin!(interrupt)).await,
        Err(report) => *report,
    }
}

struct Run<'a> {
    engine: &'a Engine,
    ledger: Ledger<'a>,
    progress: Progress,
    tally: Tally,
    spans: Spans,
    root: SpanRef,
    working: FuturesUnordered<BoxFuture<'a, Ended>>,
    nodes: HashMap<NodePath, Working>,
    /// How many of those do work themselves.
    leaves: usize,
    say: UnboundedSender<Said>,
    said: UnboundedReceiver<Said>,
    interrupted: bool,
    broken: Option<String>,
}

/// A node that has begun in this process.
struct Working {
    node: NodeRef,
    attempt: u32,
    span: SpanRef,
    inputs: Arc<[Binding]>,
    /// Ends whatever is polled for it: an attempt, a pause, a container's clock.
    abort: AbortHandle,
    calls: Vec<OpenCall>,
}

/// A model call of a node that has not ended.
struct OpenCall {
    call: u32,
    span: SpanRef,
    model: Arc<str>,
    attempts: u32,
    first_chunk: Option<Duration>,
}

/// Something that was polled for a node is over.
struct Ended {
    path: NodePath,
    attempt: u32,
    what: EndedKind,
}

enum EndedKind {
    Attempt(Result<Product, AttemptFailure>),
    /// The pause before the next attempt.
    Pause,
    /// The time that a node with a flow inside has.
    Clock(Duration),
    Aborted,
}

impl<'a> Run<'a> {
    fn begin(engine: &'a Engine, plan: &Arc<Plan>, start: Start) -> Result<Self, Box<RunReport>> {
        match start {
            Start::New(new) => Ok(Self::begin_new(engine, plan, new)),
            Start::Resume { past } => Self::begin_again(engine, plan, past),
        }
    }

    fn begin_new(engine: &'a Engine, plan: &Arc<Plan>, new: NewRun) -> Self {
        let parent = engine.options.parent;
        let trace_id = parent.map_or_else(crate::spans::random, |parent| parent.trace_id);
        let mut spans = Spans::new(trace_id, (engine.options.sample)(parent, trace_id));
        let root = spans.next(parent.map(|parent| parent.span_id));
        let ledger = Ledger::new(engine, new.run, 0);
        let mut run = Self::with(engine, plan, new.inputs.clone(), ledger, spans, root);
        run.record_of_run(EventKind::RunStarted {
            flow: plan.name.to_string(),
            flow_path: new.flow_path,
            environment: new.environment,
            inputs: new.inputs,
            hashes: new.hashes,
            options: new.options,
        });
        run
    }

    fn begin_again(engine: &'a Engine, plan: &Arc<Plan>, past: Vec<Event>) -> Result<Self, Box<RunReport>> {
        let Some((Event { run, trace, .. }, EventKind::RunStarted { inputs, .. })) =
            past.first().map(|event| (event, &event.kind))
        else {
            return Err(refused(None, "the run's first event is missing"));
        };
        let is_over = |event: &Event| matches!(event.kind, EventKind::RunFinished { status: RunStatus::Completed, .. });
        if past.iter().any(is_over) {
            return Err(refused(past.first(), "the run is completed"));
        }
        let (trace_id, sampled) =
            trace.map_or_else(|| (crate::spans::random(), false), |span| (span.trace_id, span.sampled));
        let mut spans = Spans::new(trace_id, sampled);
        let root = spans.next(trace.map(|span| span.span_id));
        let last_seq = past.iter().map(|event| event.seq).max().unwrap_or_default();
        let ledger = Ledger::new(engine, run.clone(), last_seq);
        let mut run = Self::with(engine, plan, inputs.clone(), ledger, spans, root);
        for (position, event) in past.iter().enumerate() {
            if !is_to_be_tried_again(event, &past[position + 1..])
                && let Err(error) = run.progress.apply(event)
            {
                return Err(refused(past.first(), &error.to_string()));
            }
            run.tally.hear(event);
        }
        let repeated_calls = run.tally.open_calls();
        run.record_of_run(EventKind::RunResumed { repeated_calls });
        Ok(run)
    }

    fn with(
        engine: &'a Engine,
        plan: &Arc<Plan>,
        inputs: Map,
        ledger: Ledger<'a>,
        spans: Spans,
        root: SpanRef,
    ) -> Self {
        let (say, said) = unbounded_channel();
        Self {
            engine,
            ledger,
            progress: Progress::new(plan.clone(), inputs)
                .with_aggregation()
                .with_width(engine.options.max_running_nodes),
            tally: Tally::default(),
            spans,
            root,
            working: FuturesUnordered::new(),
            nodes: HashMap::new(),
            leaves: 0,
            say,
            said,
            interrupted: false,
            broken: None,
        }
    }

    async fn drive(mut self, mut interrupt: Pin<&mut impl Future<Output = ()>>) -> RunReport {
        // A run that has paid for a call can be resumed: its beginning is kept before anything is asked.
        self.ledger.flush();
        if self.ledger.is_appending()
            && let Err(error) = self.ledger.acked().await
        {
            return self.end_without_journal(error);
        }
        loop {
            // Work that never waits must not keep the thread from seeing an interrupt.
            tokio::task::consume_budget().await;
            self.hand_out();
            if let Some(broken) = self.broken.take() {
                let failure = Failure::new("internal", broken).hint("this is a defect of the engine, please report it");
                return self.close(RunStatus::Failed, None, Some(failure), None, None).await;
            }
            self.ledger.flush();
            if self.ledger.is_idle() {
                if let Some(outcome) = self.progress.outcome() {
                    return self.end(outcome).await;
                }
                if self.working.is_empty() {
                    // Interrupted, or all that is left waits for something outside: either way it can be resumed.
                    return self.close(RunStatus::Interrupted, None, None, None, None).await;
                }
            }
            tokio::select! {
                biased;
                () = &mut interrupt, if !self.interrupted => {
                    self.interrupted = true;
                    self.progress.stop();
                }
                acked = self.ledger.acked() => match acked {
                    Ok(events) => events.iter().for_each(|event| self.take(event)),
                    Err(error) => return self.end_without_journal(error),
                },
                Some(ended) = self.working.next(), if !self.working.is_empty() => self.ended(ended),
                Some(said) = self.said.recv() => self.heard(said),
            }
        }
    }

    /// Does all work there is, until what is left takes time.
    fn hand_out(&mut self) {
        loop {
            self.hear_all();
            let room = self.engine.options.max_running_nodes.max(1).saturating_sub(self.leaves);
            let work = self.progress.next(room);
            if work.is_empty() {
                return;
            }
            work.into_iter().for_each(|work| self.do_work(work));
            // What has just begun tells of its calls now, so that they are in the journal's next batch.
            self.poll_working();
        }
    }
}

/// Whether a node's failure is what ended its process's part of the run: then the node runs again. A failure inside of
/// a node that was tried once more afterwards is history, which the further attempt has dealt with.
fn is_to_be_tried_again(event: &Event, later: &[Event]) -> bool {
    let EventKind::NodeFinished { outcome: Outcome::Failed { .. }, .. } = &event.kind else { return false };
    let path = &event.scope.path.0;
    !later.iter().take_while(|next| !matches!(next.kind, EventKind::RunResumed { .. })).any(|next| {
        let around = &next.scope.path.0;
        matches!(next.kind, EventKind::NodeAttemptFailed { .. })
            && around.len() <= path.len()
            && around.iter().zip(path).all(|(outer, inner)| outer.node == inner.node)
    })
}
