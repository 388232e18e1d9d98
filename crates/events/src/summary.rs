//! What a run looks like, as a fold of its events: live, last week's, and half of one after a crash alike.

use indexmap::IndexMap;
use jiff::Timestamp;
use sluicegate_model::Usage;
use sluicegate_value::{Map, Value};

use crate::{CallEnd, Event, EventKind, Failure, NodePath, Outcome, RunId, RunStatus};

/// What a run of one input looks like.
#[derive(Clone, Debug, Default)]
pub struct RunSummary {
    /// Its id.
    pub run: Option<RunId>,
    /// The flow's name.
    pub flow: String,
    /// How the flow was named, absolute.
    pub flow_path: String,
    /// The environment, if one was named.
    pub environment: Option<String>,
    /// Its inputs.
    pub inputs: Map,
    /// Its trace, if it has one.
    pub trace_id: Option<u128>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it was over, or when it was last heard of.
    pub last: Option<Timestamp>,
    /// How it ended; `None`: it has not.
    pub status: Option<RunStatus>,
    /// Its outputs, if it completed.
    pub outputs: Option<Map>,
    /// Why it did not.
    pub failure: Option<Failure>,
    /// How many processes worked on it after the first.
    pub resumes: u32,
    /// Its nodes, in the order in which they began.
    pub nodes: IndexMap<NodePath, NodeSummary>,
    unpriced: bool,
}

/// What a node of a run looks like.
#[derive(Clone, Debug, Default)]
pub struct NodeSummary {
    /// Its kind as flows spell it; empty for a node that never began.
    pub kind: String,
    /// Where it stands.
    pub status: NodeStatus,
    /// When its first attempt began.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub finished: Option<Timestamp>,
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts of its model calls that failed and were repeated by the connection.
    pub repeated_attempts: u32,
    /// Model calls that ended.
    pub calls: u32,
    /// Model calls that began and did not end.
    pub calls_in_flight: u32,
    /// Tokens used by its calls (a container's are those of the nodes inside).
    pub usage: Usage,
    /// What its calls cost in US dollars, those with a price.
    pub cost: Option<f64>,
    /// Its output, if it completed.
    pub output: Option<Value>,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeStatus {
    /// It has not begun.
    #[default]
    Pending,
    /// It began.
    Running,
    /// It gave an output.
    Completed,
    /// Its condition did not hold.
    Bypassed,
    /// It failed.
    Failed,
    /// It waits for something outside.
    Waiting,
    /// It was stopped.
    Cancelled,
}

impl NodeStatus {
    /// The status in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Bypassed => "bypassed",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Cancelled => "cancelled",
        }
    }
}

impl RunSummary {
    /// The summary of events in order.
    #[must_use]
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut summary = Self::default();
        for event in events {
            summary.hear(event);
        }
        summary
    }

    /// Tokens used by all calls.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.nodes.values().fold(Usage::default(), |sum, node| sum.plus(&node.usage))
    }

    /// What all calls cost in US dollars; `None` if there was none, or one without a price.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        if self.unpriced {
            return None;
        }
        self.nodes.values().filter_map(|node| node.cost).reduce(|sum, cost| sum + cost)
    }

    /// Takes one more event in.
    pub fn hear(&mut self, event: &Event) {
        self.last = Some(event.at);
        match &event.kind {
            EventKind::RunStarted { flow, flow_path, environment, inputs, .. } => {
                self.run = Some(event.run.clone());
                self.flow.clone_from(flow);
                self.flow_path.clone_from(flow_path);
                self.environment.clone_from(environment);
                self.inputs = inputs.clone();
                self.trace_id = event.trace.map(|span| span.trace_id);
                self.started = Some(event.at);
            }
            EventKind::RunResumed { .. } => {
                self.resumes += 1;
                self.status = None;
                self.failure = None;
                for node in self.nodes.values_mut() {
                    // What was in flight died with its process.
                    node.calls_in_flight = 0;
                    if matches!(node.status, NodeStatus::Running | NodeStatus::Failed | NodeStatus::Cancelled) {
                        node.status = NodeStatus::Pending;
                        node.failure = None;
                    }
                }
            }
            EventKind::RunFinished { status, outputs, failure, .. } => {
                self.status = Some(*status);
                self.outputs.clone_from(outputs);
                self.failure.clone_from(failure);
            }
            EventKind::Chunk { .. } | EventKind::EventReceived { .. } | EventKind::TimerFired { .. } => {}
            kind => {
                if event.scope.path.is_root() {
                    return;
                }
                let node = self.nodes.entry(event.scope.path.clone()).or_default();
                node.hear(event, kind);
                if let EventKind::ModelCallFinished { end: CallEnd::Replied { .. }, cost: None, .. } = kind {
                    self.unpriced = true;
                }
            }
        }
    }
}

impl NodeSummary {
    /// How long it took, if it is over.
    #[must_use]
    pub fn duration(&self) -> Option<std::time::Duration> {
        self.finished?.duration_since(self.started?).try_into().ok()
    }

    fn hear(&mut self, event: &Event, kind: &EventKind) {
        match kind {
            EventKind::NodeStarted { node_kind, .. } => {
                self.kind.clone_from(node_kind);
                self.status = NodeStatus::Running;
                self.started.get_or_insert(event.at);
                self.attempts += 1;
            }
            EventKind::NodeFinished { outcome, .. } => {
                self.finished = Some(event.at);
                self.status = match outcome {
                    Outcome::Completed { output, .. } => {
                        self.output = Some(output.clone());
                        NodeStatus::Completed
                    }
                    Outcome::Bypassed => NodeStatus::Bypassed,
                    Outcome::Failed { failure } => {
                        self.failure = Some(failure.clone());
                        NodeStatus::Failed
                    }
                    Outcome::Waiting { .. } => NodeStatus::Waiting,
                    Outcome::Cancelled => NodeStatus::Cancelled,
                };
            }
            EventKind::ModelCallStarted { .. } => self.calls_in_flight += 1,
            EventKind::ModelAttemptFailed { retry_in_ms: Some(_), .. } => self.repeated_attempts += 1,
            EventKind::ModelCallFinished { end, cost, .. } => {
                self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
                self.calls += 1;
                if let CallEnd::Replied { reply } = end {
                    self.usage = self.usage.plus(&reply.usage);
                    self.cost = match (self.cost, cost) {
                        (None, None) => None,
                        (sum, cost) => Some(sum.unwrap_or(0.0) + cost.unwrap_or(0.0)),
                    };
                }
            }
            _ => {}
        }
    }
}
