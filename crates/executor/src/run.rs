//! One run, from its first event to its last.
//!
//! A single task owns everything: it asks progress for work, polls the nodes that run, numbers what happened and waits
//! for the journal. Nothing here is shared, so nothing is locked; dropping the task's future cancels all.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use sluicegate_events::{
    CallEnd, Event, EventKind, Failure, JournalError, NodePath, Outcome, RunStatus, Scope, SpanRef,
};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_flow::template::Binding;
use sluicegate_model::{BoxFuture, CallNotice, Usage};
use sluicegate_value::{Map, Value};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::calls::{Calls, CallStarted, Said, SaidKind};
use crate::engine::{Engine, NewRun, RunReport, Start};
use crate::ledger::Ledger;
use crate::nodes::{self, AttemptFailure, Product};
use crate::progress::{self, LineOutcome, NodeRef, Progress, Work};
use crate::spans::Spans;
use crate::tally::Tally;

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
        let over = past.iter().rev().find_map(|event| match &event.kind {
            EventKind::RunFinished { status, .. } => Some(*status != RunStatus::Interrupted),
            EventKind::RunResumed { .. } => Some(false),
            _ => None,
        });
        if over == Some(true) {
            return Err(refused(past.first(), "the run is over"));
        }
        let (trace_id, sampled) = trace.map_or_else(|| (crate::spans::random(), false), |span| (span.trace_id, span.sampled));
        let mut spans = Spans::new(trace_id, sampled);
        let root = spans.next(trace.map(|span| span.span_id));
        let last_seq = past.iter().map(|event| event.seq).max().unwrap_or_default();
        let ledger = Ledger::new(engine, run.clone(), last_seq);
        let mut run = Self::with(engine, plan, inputs.clone(), ledger, spans, root);
        for event in &past {
            if let Err(error) = run.progress.apply(event) {
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

    fn do_work(&mut self, work: Work) {
        match work {
            Work::Start(start) => self.start(start),
            Work::Bypass { path, attempt, .. } => {
                self.record_of_node(&path, attempt, None, finished(Outcome::Bypassed, Usage::default()));
            }
            Work::Finish { path, attempt, output, .. } => {
                let opaque = output.holds_handle();
                self.finish(&path, attempt, Outcome::Completed { output, headers: Vec::new(), opaque });
            }
            Work::Fail { path, node, attempt, failure } => {
                if attempt == 0 || node.node().kind.inner().is_none() {
                    self.finish(&path, attempt, Outcome::Failed { failure });
                } else {
                    self.adopt(&path, &node, attempt);
                    self.attempt_failed(&path, attempt, AttemptFailure::of_inside(failure));
                }
            }
            Work::Cancel { path } => self.cancel(&path),
        }
    }

    fn start(&mut self, start: progress::Start) {
        let progress::Start { path, node, attempt, inputs, .. } = start;
        let around = path.parent().map(|parent| self.span_of(&parent));
        let span = self.spans.next(Some(around.unwrap_or(self.root).span_id));
        self.leaves += usize::from(node.node().kind.inner().is_none());
        let abort = AbortHandle::new_pair().0;
        let working = Working { node, attempt, span, inputs: inputs.into(), abort, calls: Vec::new() };
        self.nodes.insert(path.clone(), working);
        self.begin_attempt(&path);
    }

    /// Begins the attempt that `Working` names: tells it, then polls the work.
    fn begin_attempt(&mut self, path: &NodePath) {
        let Some(working) = self.nodes.get(path) else { return };
        let (node, attempt, span, inputs) =
            (working.node.clone(), working.attempt, working.span, working.inputs.clone());
        let told = if self.engine.options.capture_content {
            inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect::<Map>().into()
        } else {
            Value::Null
        };
        let node_kind = node.node().kind.word().to_owned();
        self.record_of_node(path, attempt, Some(span), EventKind::NodeStarted { node_kind, inputs: told });
        let timeout = node.node().timeout;
        if node.node().kind.inner().is_some() {
            if let Some(timeout) = timeout {
                self.poll_for(path, attempt, async move {
                    tokio::time::sleep(timeout).await;
                    EndedKind::Clock(timeout)
                });
            }
            return;
        }
        let mut calls = Calls {
            engine: self.engine,
            path: path.clone(),
            attempt,
            span,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            say: self.say.clone(),
            recorded: self.tally.replies_of(path),
            made: 0,
        };
        self.poll_for(path, attempt, async move {
            let work = nodes::attempt(&node, &inputs, &mut calls);
            EndedKind::Attempt(match timeout {
                None => work.await,
                Some(timeout) => match tokio::time::timeout(timeout, work).await {
                    Ok(done) => done,
                    Err(_) => Err(AttemptFailure::passing(timed_out(timeout))),
                },
            })
        });
    }

    fn poll_for(&mut self, path: &NodePath, attempt: u32, work: impl Future<Output = EndedKind> + Send + 'a) {
        let (abort, registration) = AbortHandle::new_pair();
        if let Some(working) = self.nodes.get_mut(path) {
            working.abort = abort;
        }
        let path = path.clone();
        let work = Abortable::new(work, registration);
        self.working.push(Box::pin(async move {
            let what = work.await.unwrap_or(EndedKind::Aborted);
            Ended { path, attempt, what }
        }));
    }

    /// Takes the ends of whatever is ready now.
    fn poll_working(&mut self) {
        while let Some(Some(ended)) = self.working.next().now_or_never() {
            self.ended(ended);
        }
        self.hear_all();
    }

    fn ended(&mut self, ended: Ended) {
        // What it said comes before its end.
        self.hear_all();
        let Ended { path, attempt, what } = ended;
        if self.nodes.get(&path).is_none_or(|working| working.attempt != attempt) {
            return;
        }
        match what {
            EndedKind::Attempt(Ok(Product { output, headers })) => {
                let opaque = output.holds_handle();
                self.finish(&path, attempt, Outcome::Completed { output, headers, opaque });
            }
            EndedKind::Attempt(Err(failure)) => self.attempt_failed(&path, attempt, failure),
            EndedKind::Pause => {
                if let Some(working) = self.nodes.get_mut(&path) {
                    working.attempt += 1;
                }
                self.begin_attempt(&path);
            }
            EndedKind::Clock(timeout) => self.progress.stop_inside(&path, timed_out(timeout)),
            EndedKind::Aborted => {}
        }
    }

    fn attempt_failed(&mut self, path: &NodePath, attempt: u32, failed: AttemptFailure) {
        let AttemptFailure { failure, again } = failed;
        self.close_calls(path);
        let failures = self.tally.failures_of(path) + 1;
        let policy = self.nodes.get(path).and_then(|working| working.node.node().retry.clone());
        let policy = policy.filter(|policy| {
            again && failures < policy.max_attempts && !self.interrupted && self.progress.admits(path)
        });
        let Some(policy) = policy else { return self.finish(path, attempt, Outcome::Failed { failure }) };
        let doubled = policy.initial.saturating_mul(2_u32.saturating_pow(failures - 1));
        let pause = doubled.min(policy.max);
        let span = self.span_of(path);
        let retry_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.record_of_node(path, attempt, Some(span), EventKind::NodeAttemptFailed { failure, retry_in_ms });
        self.abort(path);
        self.poll_for(path, attempt, async move {
            tokio::time::sleep(pause).await;
            EndedKind::Pause
        });
    }

    /// A node is over; successors follow when the journal has it.
    fn finish(&mut self, path: &NodePath, attempt: u32, outcome: Outcome) {
        self.close_calls(path);
        self.abort(path);
        let span = (attempt > 0).then(|| self.span_of(path));
        let usage = self.tally.usage_of(path);
        self.record_of_node(path, attempt, span, finished(outcome, usage));
        if let Some(working) = self.nodes.remove(path) {
            self.leaves -= usize::from(working.node.node().kind.inner().is_none());
        }
    }

    fn cancel(&mut self, path: &NodePath) {
        // What is done by now counts: no reply is thrown away that somebody paid for.
        self.poll_working();
        if let Some(working) = self.nodes.get(path) {
            self.finish(path, working.attempt, Outcome::Cancelled);
        }
    }

    /// Ends calls of which nobody will hear any more.
    fn close_calls(&mut self, path: &NodePath) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let attempt = working.attempt;
        for call in std::mem::take(&mut working.calls) {
            self.record_call_end(path, attempt, &call, CallEnd::Cancelled, None);
        }
    }

    fn abort(&mut self, path: &NodePath) {
        if let Some(working) = self.nodes.get(path) {
            working.abort.abort();
        }
    }

    /// A node with a flow inside that only a past process began.
    fn adopt(&mut self, path: &NodePath, node: &NodeRef, attempt: u32) {
        if self.nodes.contains_key(path) {
            return;
        }
        let (span, abort) = (self.span_of(path), AbortHandle::new_pair().0);
        let working =
            Working { node: node.clone(), attempt, span, inputs: Arc::new([]), abort, calls: Vec::new() };
        self.nodes.insert(path.clone(), working);
    }

    fn span_of(&self, path: &NodePath) -> SpanRef {
        let here = self.nodes.get(path).map(|working| working.span);
        here.or_else(|| self.tally.span_of(path)).unwrap_or(self.root)
    }

    fn hear_all(&mut self) {
        while let Ok(said) = self.said.try_recv() {
            self.heard(said);
        }
    }

    fn heard(&mut self, said: Said) {
        let Said { path, attempt, call, what } = said;
        let Some(working) = self.nodes.get_mut(&path).filter(|working| working.attempt == attempt) else { return };
        if let SaidKind::Started(started) = what {
            return self.call_started(&path, attempt, call, *started);
        }
        let Some(position) = working.calls.iter().position(|open| open.call == call) else { return };
        match what {
            SaidKind::Started(_) => {}
            SaidKind::Noticed(notice) => {
                let open = &mut working.calls[position];
                let span = open.span;
                match notice {
                    CallNotice::Queued => {}
                    CallNotice::AttemptStarted { attempt } => open.attempts = open.attempts.max(attempt),
                    CallNotice::FirstChunk { after } => open.first_chunk = Some(after),
                    CallNotice::Chunk { text } => {
                        let scope = Scope { path, attempt, ..Scope::default() };
                        let event = self.ledger.event(scope, Some(span), EventKind::Chunk { text });
                        self.ledger.mention(event);
                    }
                    CallNotice::AttemptFailed { attempt: of_call, error, retry_in } => {
                        open.attempts = open.attempts.max(of_call);
                        let kind = EventKind::ModelAttemptFailed {
                            call,
                            attempt: of_call,
                            failure: crate::calls::model_failure(&error),
                            retry_in_ms: retry_in.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
                        };
                        self.record_of_node(&path, attempt, Some(span), kind);
                    }
                }
            }
            SaidKind::Ended(answer) => {
                let open = working.calls.remove(position);
                let (end, cost) = match answer {
                    Ok(reply) => {
                        let cost = self.engine.prices.cost(&open.model, reply.model.as_deref(), &reply.usage);
                        (CallEnd::Replied { reply }, cost)
                    }
                    Err(failure) => (CallEnd::Failed { failure }, None),
                };
                self.record_call_end(&path, attempt, &open, end, cost);
            }
        }
    }

    fn call_started(&mut self, path: &NodePath, attempt: u32, call: u32, started: CallStarted) {
        let CallStarted { span, about, model, request, stream, request_hash } = started;
        if let Some(working) = self.nodes.get_mut(path) {
            working.calls.push(OpenCall { call, span, model: model.clone(), attempts: 1, first_chunk: None });
        }
        let request = if self.engine.options.capture_content { request } else { Value::Null };
        let kind = EventKind::ModelCallStarted {
            call,
            connection: about.connection.0.to_string(),
            provider: about.provider.to_string(),
            host: about.host.to_string(),
            port: about.port,
            model: model.to_string(),
            request,
            stream,
            request_hash,
        };
        self.record_of_node(path, attempt, Some(span), kind);
    }

    fn record_call_end(&mut self, path: &NodePath, attempt: u32, call: &OpenCall, end: CallEnd, cost: Option<f64>) {
        let kind = EventKind::ModelCallFinished {
            call: call.call,
            end,
            attempts: call.attempts,
            first_chunk_us: call.first_chunk.map(|after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX)),
            cost,
        };
        self.record_of_node(path, attempt, Some(call.span), kind);
    }

    fn record_of_node(&mut self, path: &NodePath, attempt: u32, span: Option<SpanRef>, kind: EventKind) {
        let event = self.ledger.event(Scope { path: path.clone(), attempt, ..Scope::default() }, span, kind);
        // The end of a node is what others build upon, so progress hears of it only when the journal has it.
        let hold_back = matches!(event.kind, EventKind::NodeFinished { .. });
        if !hold_back {
            self.take(&event);
        }
        self.tally.hear(self.ledger.record(event, hold_back));
    }

    fn record_of_run(&mut self, kind: EventKind) {
        let event = self.ledger.event(Scope::default(), Some(self.root), kind);
        self.tally.hear(self.ledger.record(event, false));
    }

    /// Tells progress what happened. The engine only tells what progress asked for, so a refusal is its own defect.
    fn take(&mut self, event: &Event) {
        if let Err(error) = self.progress.apply(event) {
            self.broken = Some(error.to_string());
        }
    }

    async fn end(self, outcome: LineOutcome) -> RunReport {
        let aggregation_failure = outcome.aggregation_failure.map(|failed| failed.failure);
        match outcome.result {
            Ok(outputs) => {
                self.close(RunStatus::Completed, Some(outputs), None, None, aggregation_failure).await
            }
            Err(failed) => {
                let path = Some(failed.path).filter(|path| !path.is_root());
                self.close(RunStatus::Failed, None, Some(failed.failure), path, aggregation_failure).await
            }
        }
    }

    async fn close(
        mut self,
        status: RunStatus,
        outputs: Option<Map>,
        failure: Option<Failure>,
        failed_node: Option<NodePath>,
        aggregation_failure: Option<Failure>,
    ) -> RunReport {
        let (usage, cost) = (self.tally.usage, self.tally.cost());
        let finished = EventKind::RunFinished { status, outputs, failure, usage, cost };
        let event = self.ledger.event(Scope::default(), Some(self.root), finished);
        let kept = self.ledger.record(event, false);
        self.tally.hear(kept);
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
    fn end_without_journal(self, error: JournalError) -> RunReport {
        let mut report = self.report(RunStatus::Failed);
        report.failure = Some(
            Failure::new("journal", error.to_string())
                .hint("what was recorded before is kept; make room and resume the run, or use `--no-store`"),
        );
        report.journal_error = Some(error);
        report
    }

    fn report(self, status: RunStatus) -> RunReport {
        RunReport {
            run: self.ledger.run.clone(),
            trace_id: self.root.trace_id,
            status,
            outputs: None,
            failure: None,
            failed_node: None,
            aggregation_failure: None,
            usage: self.tally.usage,
            cost: self.tally.cost(),
            duration: self.tally.duration(),
            journal_error: None,
            waiting: self.progress.held().map(|held| held.path).collect(),
            warnings: self.engine.listeners.finish(),
            nodes: self.tally.into_reports(),
        }
    }
}

fn finished(outcome: Outcome, usage: Usage) -> EventKind {
    EventKind::NodeFinished { outcome, usage }
}

fn timed_out(after: Duration) -> Failure {
    Failure::new("timeout", format!("not done within {after:?}")).hint("give the node a longer `timeout`, or a `retry`")
}

/// The report of a run that cannot be resumed.
fn refused(first: Option<&Event>, why: &str) -> Box<RunReport> {
    Box::new(RunReport {
        run: first.map_or_else(|| sluicegate_events::RunId("".into()), |event| event.run.clone()),
        trace_id: first.and_then(|event| event.trace).map_or(0, |span| span.trace_id),
        status: RunStatus::Failed,
        outputs: None,
        failure: Some(Failure::new("resume", why)),
        failed_node: None,
        aggregation_failure: None,
        nodes: Vec::new(),
        usage: Usage::default(),
        cost: None,
        duration: Duration::ZERO,
        journal_error: None,
        waiting: Vec::new(),
        warnings: Vec::new(),
    })
}
