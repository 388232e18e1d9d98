//! A fold of events into numbers: what each node did, used and cost.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use sluicegate_events::{CallEnd, Event, EventKind, Failure, NodePath, Outcome, SpanRef};
use sluicegate_model::{ChatReply, Usage};

use crate::engine::{NodeReport, NodeStatus};

/// Numbers of one run so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    nodes: IndexMap<NodePath, NodeTally>,
    pub(crate) usage: Usage,
    cost: Cost,
    open_calls: HashMap<(NodePath, u32), String>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

#[derive(Debug)]
struct NodeTally {
    report: NodeReport,
    began: Option<Timestamp>,
    span: Option<SpanRef>,
    cost: Cost,
    failures: u32,
    /// Replies that came since the last failed attempt, by the hash of their request.
    replies: Vec<(String, ChatReply)>,
}

/// US dollars, or "a model has no price".
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    dollars: f64,
    unknown: bool,
}

impl Cost {
    fn add(&mut self, cost: Option<f64>) {
        match cost {
            Some(dollars) => self.dollars += dollars,
            None => self.unknown = true,
        }
    }

    fn get(self) -> Option<f64> {
        (!self.unknown).then_some(self.dollars)
    }
}

impl Tally {
    pub(crate) fn hear(&mut self, event: &Event) {
        if event.kind.is_recorded() {
            self.first.get_or_insert(event.at);
            self.last = Some(event.at);
        }
        let path = &event.scope.path;
        match &event.kind {
            EventKind::NodeStarted { node_kind, .. } => {
                let node = self.node(path);
                node.began.get_or_insert(event.at);
                node.span = event.trace;
                node.report.kind.clone_from(node_kind);
                node.report.attempts = event.scope.attempt;
                node.report.status = NodeStatus::Running;
            }
            EventKind::NodeAttemptFailed { .. } => {
                let node = self.node(path);
                node.failures += 1;
                node.replies.clear();
            }
            EventKind::NodeFinished { outcome, .. } => {
                let node = self.node(path);
                if let Some(began) = node.began {
                    node.report.duration = between(began, event.at);
                }
                node.report.status = match outcome {
                    Outcome::Completed { output, .. } => {
                        node.report.output = Some(output.clone());
                        NodeStatus::Completed
                    }
                    Outcome::Failed { failure } => {
                        node.report.failure = Some(failure.clone());
                        NodeStatus::Failed
                    }
                    Outcome::Bypassed => NodeStatus::Bypassed,
                    Outcome::Waiting { .. } => NodeStatus::Waiting,
                    Outcome::Cancelled => NodeStatus::Cancelled,
                };
                if node.report.status != NodeStatus::Cancelled {
                    node.replies = Vec::new();
                }
            }
            EventKind::ModelCallStarted { call, request_hash, .. } => {
                self.open_calls.insert((path.clone(), *call), request_hash.clone());
            }
            EventKind::ModelCallFinished { call, end, cost, .. } => {
                let hash = self.open_calls.remove(&(path.clone(), *call));
                if let CallEnd::Replied { reply } = end {
                    self.spent(path, &reply.usage, *cost);
                    if let Some(hash) = hash {
                        self.node(path).replies.push((hash, (**reply).clone()));
                    }
                }
            }
            // What was in flight then is made again under the same numbers.
            EventKind::RunResumed { .. } => self.open_calls.clear(),
            _ => {}
        }
    }

    fn spent(&mut self, path: &NodePath, usage: &Usage, cost: Option<f64>) {
        self.usage = self.usage.plus(usage);
        self.cost.add(cost);
        let mut around = Some(path.clone());
        while let Some(path) = around {
            let node = self.node(&path);
            node.report.usage = node.report.usage.plus(usage);
            node.cost.add(cost);
            around = path.parent();
        }
    }

    fn node(&mut self, path: &NodePath) -> &mut NodeTally {
        self.nodes.entry(path.clone()).or_insert_with(|| NodeTally {
            report: NodeReport {
                path: path.clone(),
                kind: String::new(),
                status: NodeStatus::Running,
                output: None,
                failure: None,
                attempts: 0,
                duration: Duration::ZERO,
                usage: Usage::default(),
                cost: None,
            },
            began: None,
            span: None,
            cost: Cost::default(),
            failures: 0,
            replies: Vec::new(),
        })
    }

    /// Calls that began and whose end nobody recorded.
    pub(crate) fn open_calls(&self) -> u32 {
        self.open_calls.len() as u32
    }

    pub(crate) fn usage_of(&self, path: &NodePath) -> Usage {
        self.nodes.get(path).map(|node| node.report.usage).unwrap_or_default()
    }

    /// Attempts of a node that failed and were followed, or were to be followed, by another.
    pub(crate) fn failures_of(&self, path: &NodePath) -> u32 {
        self.nodes.get(path).map_or(0, |node| node.failures)
    }

    /// Why a node failed.
    pub(crate) fn failure_of(&self, path: &NodePath) -> Option<&Failure> {
        self.nodes.get(path)?.report.failure.as_ref()
    }

    /// The span of a node's last attempt.
    pub(crate) fn span_of(&self, path: &NodePath) -> Option<SpanRef> {
        self.nodes.get(path)?.span
    }

    /// Replies that a node got before it was interrupted.
    pub(crate) fn replies_of(&self, path: &NodePath) -> Vec<(String, ChatReply)> {
        self.nodes.get(path).map(|node| node.replies.clone()).unwrap_or_default()
    }

    pub(crate) fn cost(&self) -> Option<f64> {
        self.cost.get()
    }

    pub(crate) fn duration(&self) -> Duration {
        self.first.zip(self.last).map_or(Duration::ZERO, |(first, last)| between(first, last))
    }

    pub(crate) fn into_reports(self) -> Vec<NodeReport> {
        self.nodes.into_values().map(|node| NodeReport { cost: node.cost.get(), ..node.report }).collect()
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    // A clock that was set back is no reason for a negative time.
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}
