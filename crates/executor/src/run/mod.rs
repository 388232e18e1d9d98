//! One run, from its first event to its last.
//!
//! A single task owns everything: it asks progress for work, polls the nodes that run, numbers what happened and waits
//! for the journal. Nothing here is shared, so nothing is locked; dropping the task's future cancels all.

mod attempts;
mod ending;
mod hearing;
mod losses;

use std::collections::{HashMap, HashSet};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::AbortHandle;
use futures_util::stream::FuturesUnordered;
use sluicegate_events::{Event, EventKind, Failure, NodePath, Outcome, RunStatus, SpanRef};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_model::{BoxFuture, ConnectionName, Usage};
use sluicegate_value::Map;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::calls::Said;
use crate::chunks::Chunks;
use crate::engine::{Engine, NewRun, RunReport, Start};
use crate::ledger::Ledger;
use crate::nodes::{AttemptFailure, Product};
use crate::progress::{Gone, Inputs, NodeRef, Progress};
use crate::python::Line;
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
/// `max`, and is longer, up to `max` too, where the other side asks for it. It is for what the connection does not repeat:
/// replies and outputs that make no sense, templates, expressions, HTTP calls, the node's `timeout`. A call that failed
/// for a moment (a busy endpoint, a lost connection) is the connection's to repeat; once that has given up, the node does
/// not begin all over. Only if the connection made a single attempt does the node repeat that too. What stays wrong however
/// often it is tried (a refused key, a bad reference, a request that a content filter stopped) is not tried again.
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
    /// How often each node could not go on since objects were lost.
    losses: HashMap<NodePath, u32>,
    /// What this run's objects in Python workers are kept under.
    line: Line,
}

/// A node that has begun in this process.
struct Working {
    node: NodeRef,
    attempt: u32,
    span: SpanRef,
    inputs: Inputs,
    /// Whether its attempt, and its span, began in a process that is gone.
    adopted: bool,
    /// Ends whatever is polled for it: an attempt, a pause, a container's clock.
    abort: AbortHandle,
    calls: Vec<OpenCall>,
    /// Spans of its own code that have begun.
    spans: Vec<SpanRef>,
    /// What is held back of what its own code prints, to stdout and to stderr.
    printed: [Chunks; 2],
    printed_bytes: usize,
    /// What is held back of its output's pieces.
    pieces: Chunks,
}

impl Working {
    fn new(node: NodeRef, attempt: u32, span: SpanRef, inputs: Inputs) -> Self {
        Self {
            node,
            attempt,
            span,
            inputs,
            adopted: false,
            abort: AbortHandle::new_pair().0,
            calls: Vec::new(),
            spans: Vec::new(),
            printed: Default::default(),
            printed_bytes: 0,
            pieces: Chunks::default(),
        }
    }
}

/// A call of a node that has not ended.
struct OpenCall {
    call: u32,
    span: SpanRef,
    what: OpenKind,
    attempts: u32,
    first_chunk: Option<Duration>,
    chunks: Chunks,
}

enum OpenKind {
    Model { connection: ConnectionName, model: Arc<str>, request_hash: String },
    Fetch,
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
            flow: if new.flow.is_empty() { plan.name.to_string() } else { new.flow },
            flow_path: new.flow_path,
            environment: new.environment,
            inputs: new.inputs,
            hashes: new.hashes,
            options: new.options,
        });
        run
    }

    fn begin_again(engine: &'a Engine, plan: &Arc<Plan>, past: Vec<Event>) -> Result<Self, Box<RunReport>> {
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
            let why = "its inputs held a secret, which is never kept, so nobody can go on with them";
            return Err(refused(past.first(), Failure::new("resume", why).hint("run the flow again")));
        }
        let (trace_id, sampled) =
            trace.map_or_else(|| (crate::spans::random(), false), |span| (span.trace_id, span.sampled));
        let mut spans = Spans::new(trace_id, sampled);
        let root = spans.next(trace.map(|span| span.span_id));
        let last_seq = past.iter().map(|event| event.seq).max().unwrap_or_default();
        let ledger = Ledger::new(engine, run.clone(), last_seq);
        let mut run = Self::with(engine, plan, inputs.clone(), ledger, spans, root);
        for (event, again) in past.iter().zip(to_be_tried_again(&past)) {
            let applied = match again {
                false => run.progress.apply(event),
                true => run.progress.apply(&cancelled(event)),
            };
            if let Err(error) = applied {
                return refuse(error.to_string());
            }
            run.tally.hear_past(event);
        }
        let repeated_calls = run.tally.open_calls();
        let repeated_nodes = run.progress.nodes_to_repeat(Gone::Past).len() as u32;
        run.record_of_run(EventKind::RunResumed { repeated_calls, repeated_nodes });
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
            losses: HashMap::new(),
            line: Line::new(engine.python.clone()),
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
                EventKind::RunResumed { .. } => tried_again.clear(),
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
