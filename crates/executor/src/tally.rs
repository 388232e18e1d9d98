//! What a run must remember of what happened beside its progress: the summary that it leaves, attempts that failed,
//! spans, and replies that were paid for.

use foldhash::HashMap;
use sluicegate_events::{CallEnd, Event, EventKind, Failure, NodePath, Outcome, RunSummary, SpanRef};
use sluicegate_model::Usage;

/// What happened so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) summary: RunSummary,
    nodes: HashMap<NodePath, Remembered>,
    /// Calls of past processes that have not ended.
    open_calls: HashMap<(NodePath, u32), OpenCall>,
}

#[derive(Debug)]
struct OpenCall {
    /// The hash of what was asked of a model.
    hash: Option<String>,
    /// Whether something was sent of which no answer is known; not while it pauses after a failed attempt.
    in_flight: bool,
}

#[derive(Debug, Default)]
struct Remembered {
    span: Option<SpanRef>,
    failures: u32,
    /// Replies that came since the last failed attempt, by the hash of their request.
    replies: Vec<(String, CallEnd)>,
}

impl Tally {
    /// Takes in what a process that is gone has recorded.
    pub(crate) fn hear_past(&mut self, event: &Event) {
        // What was in flight then is made again under the same numbers.
        if let EventKind::RunResumed { .. } | EventKind::LineResumed { .. } = &event.kind {
            self.open_calls.clear();
        }
        let key = |call: &u32| (event.scope.path.clone(), *call);
        match &event.kind {
            EventKind::ModelCallStarted { call, request_hash, .. } => {
                self.open_calls.insert(key(call), OpenCall { hash: Some(request_hash.clone()), in_flight: true });
            }
            EventKind::FetchStarted { call, .. } => {
                self.open_calls.insert(key(call), OpenCall { hash: None, in_flight: true });
            }
            EventKind::ModelCallFinished { call, end, .. } => {
                let hash = self.open_calls.remove(&key(call)).and_then(|open| open.hash);
                let is_reply = matches!(end, CallEnd::Replied { .. } | CallEnd::Embedded { .. });
                // A reply without its secrets is none that the run can go on with.
                if let (Some(hash), true, false) = (hash, is_reply, event.redacted) {
                    self.node(&event.scope.path).replies.push((hash, end.clone()));
                }
            }
            EventKind::FetchFinished { call, .. } => {
                self.open_calls.remove(&key(call));
            }
            EventKind::ModelAttemptFailed { call, .. } | EventKind::ModelAttemptStarted { call, .. } => {
                if let Some(open) = self.open_calls.get_mut(&key(call)) {
                    open.in_flight = matches!(event.kind, EventKind::ModelAttemptStarted { .. });
                }
            }
            _ => {}
        }
        self.hear(&event.scope.path, event);
    }

    /// Takes an event in. `path` is the node's, of which a secret may have been taken out in the event.
    pub(crate) fn hear(&mut self, path: &NodePath, event: &Event) {
        self.summary.hear(event);
        match &event.kind {
            EventKind::NodeStarted { .. } => self.node(path).span = event.trace,
            EventKind::NodeAttemptFailed { .. } => {
                // What is inside begins anew, and has all its attempts again.
                self.nodes.retain(|inner, _| !is_inside(inner, path));
                let node = self.node(path);
                node.failures += 1;
                node.replies = Vec::new();
            }
            // A node that failed asks anew if it runs again. One that completed does so only for a secret's sake.
            EventKind::NodeFinished { outcome: Outcome::Failed { .. }, .. } => {
                if let Some(node) = self.nodes.get_mut(path) {
                    node.replies = Vec::new();
                }
            }
            _ => {}
        }
    }

    /// Remembers a reply of this process, since the node that got it may have to be made again.
    pub(crate) fn remember_reply(&mut self, path: &NodePath, request_hash: &str, end: &CallEnd) {
        if matches!(end, CallEnd::Replied { .. } | CallEnd::Embedded { .. }) {
            self.node(path).replies.push((request_hash.to_owned(), end.clone()));
        }
    }

    /// Lets go of the replies of a node that is over, unless it may run again for what it made.
    pub(crate) fn forget_replies(&mut self, path: &NodePath, outcome: &Outcome) {
        if let (Outcome::Completed { opaque: false, .. }, Some(node)) = (outcome, self.nodes.get_mut(path)) {
            node.replies = Vec::new();
        }
    }

    fn node(&mut self, path: &NodePath) -> &mut Remembered {
        self.nodes.entry(path.clone()).or_default()
    }

    /// Calls of processes that are gone that began and whose end nobody recorded.
    pub(crate) fn open_calls(&self) -> u32 {
        self.open_calls.values().filter(|open| open.in_flight).count() as u32
    }

    /// Tokens used by a node and what is inside it.
    pub(crate) fn usage_of(&self, path: &NodePath) -> Usage {
        self.summary.nodes.get(path).map(|node| node.usage).unwrap_or_default()
    }

    /// Attempts of a node that failed and were followed, or were to be followed, by another.
    pub(crate) fn failures_of(&self, path: &NodePath) -> u32 {
        self.nodes.get(path).map_or(0, |node| node.failures)
    }

    /// Why a node failed.
    pub(crate) fn failure_of(&self, path: &NodePath) -> Option<&Failure> {
        self.summary.nodes.get(path)?.failure.as_ref()
    }

    /// The span of a node's last attempt.
    pub(crate) fn span_of(&self, path: &NodePath) -> Option<SpanRef> {
        self.nodes.get(path)?.span
    }

    /// Replies that a node got in a process that is gone, before it was interrupted.
    pub(crate) fn replies_of(&self, path: &NodePath) -> Vec<(String, CallEnd)> {
        self.nodes.get(path).map(|node| node.replies.clone()).unwrap_or_default()
    }
}

/// Whether a node is inside of another one, in whichever item or round.
fn is_inside(inner: &NodePath, outer: &NodePath) -> bool {
    let Some((last, before)) = outer.0.split_last() else { return false };
    inner.0.len() > outer.0.len()
        && inner.0.starts_with(before)
        && inner.0.get(before.len()).is_some_and(|step| step.node == last.node)
}
