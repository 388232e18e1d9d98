//! Work becomes attempts: what begins, what is tried again, what is cancelled, and how each node ends.

use std::time::Instant;

use futures_util::future::{AbortHandle, Abortable};
use futures_util::{FutureExt as _, StreamExt as _};
use sluicegate_events::{EventKind, NodePath, Outcome, SpanRef};
use sluicegate_flow::plan::NodeKind;
use sluicegate_model::Usage;
use sluicegate_value::{Map, Value};

use super::{Ended, EndedKind, Run, Working};
use crate::calls::Calls;
use crate::nodes::{self, AttemptFailure, Product, timed_out};
use crate::progress::{self, Inputs, NodeRef, Work};

impl<'a> Run<'a> {
    pub(super) fn do_work(&mut self, work: Work) {
        match work {
            Work::Start(start) => self.start(start),
            Work::Bypass { path, attempt, .. } => {
                let span = self.span_of(&path);
                self.record_of_node(&path, attempt, Some(span), finished(Outcome::Bypassed, Usage::default()));
            }
            Work::Finish { path, attempt, output, .. } => {
                let product = Product::from(output);
                self.finish(&path, attempt, product.completed());
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

    pub(super) fn start(&mut self, start: progress::Start) {
        let progress::Start { path, node, attempt, inputs, .. } = start;
        let span = self.spans.next(Some(self.span_around(&path).span_id));
        self.leaves += usize::from(node.node().kind.inner().is_none());
        self.nodes.insert(path.clone(), Working::new(node, attempt, span, inputs));
        self.begin_attempt(&path);
    }

    /// Begins the attempt that `Working` names: tells it, then polls the work.
    pub(super) fn begin_attempt(&mut self, path: &NodePath) {
        let Some(working) = self.nodes.get(path) else { return };
        let (node, attempt, span, inputs) =
            (working.node.clone(), working.attempt, working.span, working.inputs.clone());
        let told = if self.engine.options.capture_content {
            inputs.bindings.iter().map(|input| (input.name.clone(), input.value.clone())).collect::<Map>().into()
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
        // A Python node's time is counted from when a worker is free for it, by whoever calls the worker.
        let timeout = timeout.filter(|_| !matches!(node.node().kind, NodeKind::Python(_)));
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let recorded = self.tally.replies_of(path);
        let place = (path.clone(), attempt, span);
        let calls = Calls::new(self.engine, (self.key, node.node().cache), place, deadline, self.say.clone(), recorded);
        let line = self.line.id();
        self.poll_for(path, attempt, async move {
            let work = nodes::attempt(&node, &inputs, line, &calls);
            EndedKind::Attempt(match timeout {
                None => work.await,
                Some(timeout) => match tokio::time::timeout(timeout, work).await {
                    Ok(done) => done,
                    Err(_) => Err(AttemptFailure::passing(timed_out(timeout))),
                },
            })
        });
    }

    pub(super) fn poll_for(
        &mut self,
        path: &NodePath,
        attempt: u32,
        work: impl Future<Output = EndedKind> + Send + 'a,
    ) {
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
    pub(super) fn poll_working(&mut self) {
        while let Some(Some(ended)) = self.working.next().now_or_never() {
            self.ended(ended);
        }
        self.hear_all();
    }

    pub(super) fn ended(&mut self, ended: Ended) {
        // What it said comes before its end.
        self.hear_all();
        let Ended { path, attempt, what } = ended;
        if self.nodes.get(&path).is_none_or(|working| working.attempt != attempt) {
            return;
        }
        match what {
            EndedKind::Attempt(Ok(product)) => self.finish(&path, attempt, product.completed()),
            EndedKind::Attempt(Err(failure)) => self.attempt_failed(&path, attempt, failure),
            // What is stopping begins nothing: it is about to be cancelled.
            EndedKind::Pause if !self.progress.admits(&path) => {}
            EndedKind::Pause => {
                let around = self.span_around(&path).span_id;
                if let Some(working) = self.nodes.get_mut(&path) {
                    working.attempt += 1;
                    if std::mem::take(&mut working.adopted) {
                        working.span = self.spans.next(Some(around));
                    }
                }
                self.begin_attempt(&path);
            }
            EndedKind::Clock(timeout) => self.progress.stop_inside(&path, timed_out(timeout)),
            EndedKind::Aborted => {}
        }
    }

    pub(super) fn attempt_failed(&mut self, path: &NodePath, attempt: u32, failed: AttemptFailure) {
        let AttemptFailure { failure, again, wait, lost } = failed;
        if !lost.is_empty() && self.make_again(path, attempt, &lost) {
            return;
        }
        // What is not made again is not there for another attempt either.
        let again = again && lost.is_empty();
        self.close_calls(path);
        let failures = self.tally.failures_of(path) + 1;
        let policy = self.nodes.get(path).and_then(|working| working.node.node().retry.clone());
        let policy = policy.filter(|policy| again && failures < policy.max_attempts);
        let Some(policy) = policy else { return self.finish(path, attempt, Outcome::Failed { failure }) };
        if !self.progress.admits(path) {
            // It has not failed for good: a resumed run tries it again.
            return self.finish(path, attempt, Outcome::Cancelled);
        }
        let doubled = policy.initial.saturating_mul(2_u32.saturating_pow(failures - 1));
        let pause = doubled.max(wait.unwrap_or_default()).min(policy.max);
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
    pub(super) fn finish(&mut self, path: &NodePath, attempt: u32, outcome: Outcome) {
        self.close_calls(path);
        self.abort(path);
        let span = self.span_of(path);
        let usage = self.tally.usage_of(path);
        self.tally.forget_replies(path, &outcome);
        self.record_of_node(path, attempt, Some(span), finished(outcome, usage));
        if let Some(working) = self.nodes.remove(path) {
            self.leaves -= usize::from(working.node.node().kind.inner().is_none());
        }
    }

    pub(super) fn cancel(&mut self, path: &NodePath) {
        // What is done by now counts: no reply is thrown away that somebody paid for.
        self.poll_working();
        if let Some(working) = self.nodes.get(path) {
            self.finish(path, working.attempt, Outcome::Cancelled);
        }
    }

    /// Ends calls of which nobody will hear any more.
    pub(super) fn close_calls(&mut self, path: &NodePath) {
        let Some(working) = self.nodes.get_mut(path) else { return };
        let attempt = working.attempt;
        for mut call in std::mem::take(&mut working.calls) {
            self.mention_rest(path, attempt, &mut call);
            self.record_cancelled(path, attempt, &call);
        }
        self.close_own(path);
    }

    pub(super) fn abort(&mut self, path: &NodePath) {
        if let Some(working) = self.nodes.get(path) {
            working.abort.abort();
        }
    }

    /// A node with a flow inside that only a past process began.
    pub(super) fn adopt(&mut self, path: &NodePath, node: &NodeRef, attempt: u32) {
        if self.nodes.contains_key(path) {
            return;
        }
        let span = self.span_of(path);
        let working = Working { adopted: true, ..Working::new(node.clone(), attempt, span, Inputs::default()) };
        self.nodes.insert(path.clone(), working);
    }

    /// The span of a node's present attempt, or of the last one of a past process; a new one for a node that never
    /// began.
    pub(super) fn span_of(&mut self, path: &NodePath) -> SpanRef {
        let here = self.nodes.get(path).map(|working| working.span).or_else(|| self.tally.span_of(path));
        here.unwrap_or_else(|| self.spans.next(Some(self.span_around(path).span_id)))
    }

    /// The span that a node's own is inside of: never one of a process that is gone.
    fn span_around(&self, path: &NodePath) -> SpanRef {
        let around = path.parent().and_then(|parent| self.nodes.get(&parent));
        around.map_or(self.root, |working| working.span)
    }
}

fn finished(outcome: Outcome, usage: Usage) -> EventKind {
    EventKind::NodeFinished { outcome, usage }
}
