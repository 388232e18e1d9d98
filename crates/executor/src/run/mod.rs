//! One run, or one line of a batch, from its first event to its last.
//!
//! A single task owns everything: it asks progress for work, polls the nodes that run, numbers what happened and waits
//! for the journal. Nothing here is shared, so nothing is locked; dropping the task's future cancels all.

mod attempts;
mod ending;
mod hearing;
mod line;
mod losses;
mod resume;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use foldhash::{HashMap, HashMapExt as _};
use futures_util::StreamExt as _;
use futures_util::future::AbortHandle;
use futures_util::stream::FuturesUnordered;
use sluicegate_events::{Event, EventKind, Failure, JournalError, NodePath, RunStatus, SpanRef};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_model::{BoxFuture, ConnectionName};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::calls::Said;
use crate::chunks::Chunks;
use crate::engine::{Engine, LineKey, NewRun, RunReport, Start};
use crate::ledger::{Ledger, Sequence};
use crate::nodes::{AttemptFailure, Product};
use crate::progress::{Inputs, NodeRef, Progress};
use crate::python::Line;
use crate::spans::Spans;
use crate::tally::Tally;
pub(crate) use ending::Done;
pub(crate) use line::{LineReport, LineStart, Shared, aggregate, run_line};
pub(crate) use resume::take_line;

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
    let begun = match start {
        Start::New(new) => Ok(Run::begin_new(engine, plan.plan(), new)),
        Start::Resume { past } => Run::begin_again(engine, plan.plan(), past),
    };
    let mut run = match begun {
        Ok(run) => run,
        Err(report) => return *report,
    };
    let interrupt = async {
        interrupt.await;
        Stop::Interrupted
    };
    let done = match run.keep_all().await {
        Ok(()) => run.drive(pin!(interrupt)).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(done) => run.close(done).await,
        Err(error) => run.end_without_journal(error),
    }
}

/// Why a run stops before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Somebody stopped it.
    Interrupted,
    /// Its time is over.
    TimedOut(Duration),
}

struct Run<'a> {
    engine: &'a Engine,
    key: LineKey,
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
    stopped: Option<Stop>,
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
    /// Its beginning, as long as nothing was sent: a call that waits for its turn is not in flight.
    unsent: Option<Event>,
    call: u32,
    span: SpanRef,
    what: OpenKind,
    attempts: u32,
    /// Whether nobody was asked: the reply was kept.
    is_kept: bool,
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
    fn begin_new(engine: &'a Engine, plan: &Arc<Plan>, new: NewRun) -> Self {
        let parent = engine.options.parent;
        let trace_id = parent.map_or_else(crate::spans::random, |parent| parent.trace_id);
        let mut spans = Spans::new(trace_id, (engine.options.sample)(parent, trace_id));
        let root = spans.next(parent.map(|parent| parent.span_id));
        let key = LineKey::default();
        let ledger = Ledger::new(engine, new.run, key, Sequence::after(0));
        let progress = Progress::new(plan.clone(), new.inputs.clone()).with_aggregation();
        let mut run = Self::with(engine, key, progress, ledger, spans, root);
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

    fn with(
        engine: &'a Engine,
        key: LineKey,
        progress: Progress,
        ledger: Ledger<'a>,
        spans: Spans,
        root: SpanRef,
    ) -> Self {
        let (say, said) = unbounded_channel();
        Self {
            engine,
            key,
            ledger,
            progress: progress.with_width(engine.options.max_running_nodes),
            tally: Tally::default(),
            spans,
            root,
            working: FuturesUnordered::new(),
            nodes: HashMap::new(),
            leaves: 0,
            say,
            said,
            stopped: None,
            broken: None,
            losses: HashMap::new(),
            line: Line::new(engine.python.clone()),
        }
    }

    /// Waits until the journal has what was recorded. A run that has paid for a call can be resumed, so its beginning is
    /// kept before anything is asked.
    async fn keep_all(&mut self) -> Result<(), JournalError> {
        self.ledger.flush();
        while self.ledger.is_appending() {
            self.ledger.acked().await?;
            self.ledger.flush();
        }
        Ok(())
    }

    /// Works until nothing is left to do or `stop` completes.
    async fn drive(&mut self, mut stop: Pin<&mut impl Future<Output = Stop>>) -> Result<Done, JournalError> {
        // A line's beginning goes to the journal with those of its first nodes and calls, which wait for it.
        let mut has_begun = false;
        loop {
            // What happened is on its way to the journal before others have their turn: a call that ended has made room
            // for another one, whose beginning comes after this end.
            self.hear_all();
            if std::mem::replace(&mut has_begun, true) {
                self.ledger.flush();
            }
            // Work that never waits must not keep the thread from seeing an interrupt.
            tokio::task::consume_budget().await;
            self.hand_out();
            if let Some(broken) = self.broken.take() {
                let failure = Failure::new("internal", broken).hint("this is a defect of the engine, please report it");
                return Ok(Done::failed(failure, None));
            }
            self.ledger.flush();
            if self.ledger.is_idle() {
                if let Some(outcome) = self.progress.outcome() {
                    return Ok(self.done(outcome));
                }
                if self.working.is_empty() {
                    return Ok(match self.stopped {
                        Some(Stop::TimedOut(after)) => Done::failed(line_timed_out(after), None),
                        // Interrupted, or all that is left waits for something outside: either way it can be resumed.
                        Some(Stop::Interrupted) | None => Done::of(RunStatus::Interrupted),
                    });
                }
            }
            tokio::select! {
                biased;
                stopped = &mut stop, if self.stopped.is_none() => {
                    self.stopped = Some(stopped);
                    self.progress.stop();
                }
                acked = self.ledger.acked() => {
                    for event in acked? {
                        self.take(&event);
                    }
                }
                Some(ended) = self.working.next(), if !self.working.is_empty() => self.ended(ended),
                Some(said) = tokio::task::unconstrained(self.said.recv()) => self.heard(said),
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

/// The failure of a line whose time is over.
fn line_timed_out(after: Duration) -> Failure {
    Failure::new("timeout", format!("the line was not done within {after:?}"))
        .hint("give it more time by `--line-timeout`, or its slow nodes a `timeout` and a `retry` of their own")
}
