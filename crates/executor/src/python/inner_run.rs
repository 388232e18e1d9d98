//! A flow that a node's code runs: inside of the node, with the node's calls. What it does is not journaled of its own;
//! its model calls are, as the node's, and its nodes have spans.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use sluicegate_events::{Event, EventKind, Failure, NodePath, Outcome, RunId, Scope, SpanRef};
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_model::{BoxFuture, Usage};
use sluicegate_value::{Map, Value};

use super::line::Line;
use super::side::PythonSide;
use crate::calls::{Calls, SaidKind};
use crate::nodes::{self, AttemptFailure, Lost, Product, timed_out};
use crate::progress::{LineFailure, NodeRef, Progress, Start, Work};

/// How often nodes of the flow may be made again since their objects were lost.
const MOST_LOSSES: u32 = 3;

/// Runs a flow inside of a node.
pub(super) async fn run(
    side: &Arc<PythonSide>,
    plan: &Arc<Plan>,
    inputs: Map,
    calls: &Calls<'_>,
    parent: Option<u64>,
) -> Result<Map, LineFailure> {
    let span = calls.new_span(parent);
    let told = Value::from(inputs.clone());
    begin_span(calls, span, plan.name.to_string(), "Flow", told);
    let calls = calls.within(span);
    let done = Inner::new(side, plan, inputs, &calls).drive().await;
    let (output, failure) = match &done {
        Ok(outputs) => (Value::from(outputs.clone()), None),
        Err(failed) => (Value::Null, Some(failed.failure.clone())),
    };
    end_span(&calls, span, output, failure);
    done
}

fn begin_span(calls: &Calls<'_>, span: SpanRef, name: String, span_type: &str, inputs: Value) {
    let (span_type, attributes) = (span_type.to_owned(), Map::new());
    calls.tell(SaidKind::SpanStarted { span, name, span_type, inputs, attributes });
}

fn end_span(calls: &Calls<'_>, span: SpanRef, output: Value, failure: Option<Failure>) {
    let (span_id, attributes) = (span.span_id, Map::new());
    calls.tell(SaidKind::SpanFinished { span_id, output, failure, attributes });
}

struct Inner<'c> {
    calls: &'c Calls<'c>,
    progress: Progress,
    line: Line,
    working: FuturesUnordered<BoxFuture<'c, Ended>>,
    /// What each node that runs can be stopped by.
    running: HashMap<NodePath, (u32, AbortHandle)>,
    failures: HashMap<NodePath, u32>,
    losses: u32,
}

struct Ended {
    path: NodePath,
    node: NodeRef,
    attempt: u32,
    /// `None`: stopped.
    done: Option<Result<Product, AttemptFailure>>,
}

impl<'c> Inner<'c> {
    fn new(side: &Arc<PythonSide>, plan: &Arc<Plan>, inputs: Map, calls: &'c Calls<'c>) -> Self {
        Self {
            calls,
            progress: Progress::new(plan.clone(), inputs).with_width(calls.engine.options.max_running_nodes),
            line: Line::new(Some(side.clone())),
            working: FuturesUnordered::new(),
            running: HashMap::new(),
            failures: HashMap::new(),
            losses: 0,
        }
    }

    async fn drive(mut self) -> Result<Map, LineFailure> {
        loop {
            loop {
                let room = self.calls.engine.options.max_running_nodes.max(1).saturating_sub(self.running.len());
                let work = self.progress.next(room);
                if work.is_empty() {
                    break;
                }
                for work in work {
                    self.do_work(work)?;
                }
            }
            if let Some(outcome) = self.progress.outcome() {
                return outcome.result;
            }
            match self.working.next().await {
                Some(ended) => self.ended(ended)?,
                None => return Err(internal("the flow waits for something that nobody does")),
            }
        }
    }

    fn do_work(&mut self, work: Work) -> Result<(), LineFailure> {
        match work {
            Work::Start(start) => {
                let kind = EventKind::NodeStarted { node_kind: String::new(), inputs: Value::Null };
                self.apply(&start.path, start.attempt, kind)?;
                if start.node.node().kind.inner().is_none() {
                    self.start(start, Duration::ZERO);
                }
                Ok(())
            }
            Work::Bypass { path, attempt, .. } => self.finish(&path, attempt, Outcome::Bypassed),
            Work::Finish { path, attempt, output, .. } => {
                self.finish(&path, attempt, Product::from(output).completed())
            }
            Work::Fail { path, attempt, failure, .. } => self.finish(&path, attempt, Outcome::Failed { failure }),
            Work::Cancel { path } => match self.running.get(&path) {
                // Its end tells.
                Some((_, abort)) => {
                    abort.abort();
                    Ok(())
                }
                None => self.finish_last(&path),
            },
        }
    }

    /// A node with a flow inside, which is stopped by events alone.
    fn finish_last(&mut self, path: &NodePath) -> Result<(), LineFailure> {
        let attempt = self.progress.attempt_of(path);
        self.finish(path, attempt, Outcome::Cancelled)
    }

    fn start(&mut self, start: Start, pause: Duration) {
        let Start { path, node, attempt, inputs, .. } = start;
        let (abort, registration) = AbortHandle::new_pair();
        self.running.insert(path.clone(), (attempt, abort));
        let (calls, line) = (self.calls, self.line.id());
        self.working.push(Box::pin(async move {
            let span = calls.new_span(None);
            let work = async {
                tokio::time::sleep(pause).await;
                let told: Map = inputs.bindings.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
                begin_span(calls, span, path.to_string(), "Tool", told.into());
                let calls = calls.within(span);
                let work = nodes::attempt(&node, &inputs, line, &calls);
                let timeout = node.node().timeout.filter(|_| !matches!(node.node().kind, NodeKind::Python(_)));
                match timeout {
                    None => work.await,
                    Some(timeout) => match tokio::time::timeout(timeout, work).await {
                        Ok(done) => done,
                        Err(_) => Err(AttemptFailure::passing(timed_out(timeout))),
                    },
                }
            };
            let done = Abortable::new(work, registration).await.ok();
            let (output, failure) = match &done {
                Some(Ok(product)) => (product.output.clone(), None),
                Some(Err(failed)) => (Value::Null, Some(failed.failure.clone())),
                None => (Value::Null, Some(Failure::new("cancelled", "it was stopped"))),
            };
            end_span(calls, span, output, failure);
            Ended { path, node, attempt, done }
        }));
    }

    fn ended(&mut self, ended: Ended) -> Result<(), LineFailure> {
        let Ended { path, node, attempt, done } = ended;
        self.running.remove(&path);
        let failed = match done {
            None => return self.finish(&path, attempt, Outcome::Cancelled),
            Some(Ok(product)) => return self.finish(&path, attempt, product.completed()),
            Some(Err(failed)) => failed,
        };
        if !self.progress.admits(&path) {
            return self.finish(&path, attempt, Outcome::Cancelled);
        }
        if !failed.lost.is_empty() && self.losses < MOST_LOSSES {
            self.losses += 1;
            self.finish(&path, attempt, Outcome::Cancelled)?;
            for Lost { worker, objects } in failed.lost {
                let kind = EventKind::ObjectsLost { worker: worker.to_string(), objects, nodes: Vec::new() };
                self.apply(&NodePath::default(), 0, kind)?;
            }
            return Ok(());
        }
        let failures = self.failures.entry(path.clone()).or_default();
        *failures += 1;
        let again = failed.again && failed.lost.is_empty();
        let policy = node.node().retry.as_ref().filter(|policy| again && *failures < policy.max_attempts);
        let Some(policy) = policy else {
            return self.finish(&path, attempt, Outcome::Failed { failure: failed.failure });
        };
        let doubled = policy.initial.saturating_mul(2_u32.saturating_pow(*failures - 1));
        let pause = doubled.max(failed.wait.unwrap_or_default()).min(policy.max);
        let kind = EventKind::NodeAttemptFailed {
            failure: failed.failure,
            retry_in_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        };
        self.apply(&path, attempt, kind)?;
        let kind = EventKind::NodeStarted { node_kind: String::new(), inputs: Value::Null };
        self.apply(&path, attempt + 1, kind)?;
        match self.progress.inputs_of(&path) {
            Ok(inputs) => {
                self.start(Start { path, node, attempt: attempt + 1, inputs, received: None }, pause);
                Ok(())
            }
            Err(failure) => self.finish(&path, attempt + 1, Outcome::Failed { failure }),
        }
    }

    fn finish(&mut self, path: &NodePath, attempt: u32, outcome: Outcome) -> Result<(), LineFailure> {
        self.apply(path, attempt, EventKind::NodeFinished { outcome, usage: Usage::default() })
    }

    fn apply(&mut self, path: &NodePath, attempt: u32, kind: EventKind) -> Result<(), LineFailure> {
        let scope = Scope { path: path.clone(), attempt, ..Scope::default() };
        let run = RunId("".into());
        let event = Event { seq: 0, at: Timestamp::UNIX_EPOCH, run, scope, trace: None, redacted: false, kind };
        self.progress.apply(&event).map_err(|error| internal(&error.to_string()))
    }
}

fn internal(why: &str) -> LineFailure {
    let failure = Failure::new("internal", why).hint("this is a defect of the engine, please report it");
    LineFailure { path: NodePath::default(), failure }
}
