//! What a run looks like, as a fold of its events: live, last week's, and half of one after a crash alike.

use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use sluicegate_model::{Adaptation, Filter, Shortfall, Usage};
use sluicegate_value::{Map, Value};

use crate::{CallEnd, Event, EventKind, Failure, LineEnd, NodePath, Outcome, RunId, RunStatus, Spent, Stream};

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
    /// Whether its inputs held a secret, which is not kept: then nobody can go on with it.
    pub inputs_redacted: bool,
    /// Its nodes, in the order in which they began.
    pub nodes: IndexMap<NodePath, NodeSummary>,
    /// Numbers over all lines that aggregation nodes told, in the order in which they did.
    pub metrics: IndexMap<String, Value>,
    /// How often nodes ran again since objects of theirs were lost with a Python worker.
    pub objects_lost: u32,
    spent: Spent,
    worked: Worked,
}

/// Time during which somebody worked; what lies between a process's death and the next one does not count.
#[derive(Clone, Copy, Debug, Default)]
struct Worked {
    before: Duration,
    since: Option<Timestamp>,
}

impl Worked {
    fn begin(&mut self, at: Timestamp) {
        self.since.get_or_insert(at);
    }

    fn pause(&mut self, at: Timestamp) {
        self.before = self.until(Some(at));
        self.since = None;
    }

    fn until(&self, at: Option<Timestamp>) -> Duration {
        let last = self.since.zip(at).map(|(since, at)| at.duration_since(since));
        // A clock that was set back is no reason for a negative time.
        self.before + last.and_then(|last| Duration::try_from(last).ok()).unwrap_or_default()
    }
}

/// What a node of a run looks like.
#[derive(Clone, Debug)]
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
    /// Model calls and HTTP calls that ended.
    pub calls: u32,
    /// Model calls and HTTP calls that began and did not end.
    pub calls_in_flight: u32,
    /// What a content filter did in its last model call, if it did anything: also where it let everything pass.
    pub filter: Option<Filter>,
    /// What is wrong with the reply of its last model call.
    pub shortfall: Option<Shortfall>,
    /// Parameters that its calls learned not to send, in the order in which they did.
    pub adapted: Vec<Adapted>,
    /// Tokens used by its calls and by those of the nodes inside it.
    pub usage: Usage,
    /// What they cost in US dollars: 0 if there was none, `None` (unknown) if a reply has no price.
    pub cost: Option<f64>,
    /// What its own code printed, in order; the beginning of it, if that is much.
    pub said: Vec<(Stream, String)>,
    /// Its output, if it completed.
    pub output: Option<Value>,
    /// Why it failed.
    pub failure: Option<Failure>,
    worked: Worked,
}

/// A parameter that an endpoint refused, and what is sent in its place from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapted {
    /// The connection's name.
    pub connection: String,
    /// The deployment or model.
    pub model: String,
    /// The parameter as the request had it.
    pub parameter: String,
    /// What is done to it.
    pub adaptation: Adaptation,
    /// The endpoint's own words.
    pub message: String,
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
        self.spent.usage
    }

    /// What all calls cost in US dollars: 0 if there was none, `None` (unknown) if a reply has no price.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.spent.cost
    }

    /// How long processes worked on it, up to what was heard last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.worked.until(self.last)
    }

    /// Takes one more event in.
    pub fn hear(&mut self, event: &Event) {
        let last = self.last.replace(event.at).unwrap_or(event.at);
        match &event.kind {
            EventKind::RunStarted { flow, flow_path, environment, inputs, .. } => {
                self.run = Some(event.run.clone());
                self.inputs_redacted = event.redacted;
                self.flow.clone_from(flow);
                self.flow_path.clone_from(flow_path);
                self.environment.clone_from(environment);
                self.inputs = inputs.clone();
                self.trace_id = event.trace.map(|span| span.trace_id);
                self.started = Some(event.at);
                self.worked.begin(event.at);
            }
            // A line alone: the summary of one line's events is that of the line.
            EventKind::LineStarted { inputs } => {
                self.run = Some(event.run.clone());
                self.inputs_redacted = event.redacted;
                self.inputs = inputs.clone();
                self.trace_id = event.trace.map(|span| span.trace_id);
                self.started = Some(event.at);
                self.worked.begin(event.at);
            }
            EventKind::LineFinished { end, .. } => {
                (self.outputs, self.failure) = (None, None);
                self.status = Some(match end {
                    LineEnd::Completed { outputs } => {
                        self.outputs = Some(outputs.clone());
                        RunStatus::Completed
                    }
                    LineEnd::Failed { failure, .. } => {
                        self.failure = Some(failure.clone());
                        RunStatus::Failed
                    }
                    LineEnd::Cancelled => RunStatus::Interrupted,
                });
            }
            EventKind::BatchStarted { .. } | EventKind::AggregationStarted { .. } | EventKind::BatchFinished { .. } => {
            }
            EventKind::RunResumed { .. } | EventKind::LineResumed { .. } => {
                self.resumes += 1;
                self.worked.pause(last);
                self.worked.begin(event.at);
                self.status = None;
                self.failure = None;
                for node in self.nodes.values_mut() {
                    // What was in flight died with its process.
                    node.calls_in_flight = 0;
                    if matches!(node.status, NodeStatus::Running | NodeStatus::Failed | NodeStatus::Cancelled) {
                        node.worked.pause(node.finished.take().unwrap_or(last));
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
            EventKind::MetricLogged { key, value } => {
                self.metrics.insert(key.clone(), value.clone());
            }
            EventKind::ObjectsLost { .. } => self.objects_lost += 1,
            kind => {
                if event.scope.path.is_root() {
                    return;
                }
                self.nodes.entry(event.scope.path.clone()).or_default().hear(event, kind);
                if let Some(spent) = Spent::of(kind) {
                    self.spent = self.spent.plus(&spent);
                    let mut around = Some(event.scope.path.clone());
                    while let Some(path) = around {
                        let node = self.nodes.entry(path.clone()).or_default();
                        let all = Spent { usage: node.usage, cost: node.cost }.plus(&spent);
                        (node.usage, node.cost) = (all.usage, all.cost);
                        around = path.parent();
                    }
                }
            }
        }
    }
}

impl Default for NodeSummary {
    fn default() -> Self {
        let Spent { usage, cost } = Spent::default();
        Self {
            kind: String::new(),
            status: NodeStatus::default(),
            started: None,
            finished: None,
            attempts: 0,
            repeated_attempts: 0,
            calls: 0,
            calls_in_flight: 0,
            filter: None,
            shortfall: None,
            adapted: Vec::new(),
            usage,
            cost,
            said: Vec::new(),
            output: None,
            failure: None,
            worked: Worked::default(),
        }
    }
}

impl NodeSummary {
    /// How long processes worked on it, if it began and is over.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.started?;
        Some(self.worked.until(Some(self.finished?)))
    }

    fn hear(&mut self, event: &Event, kind: &EventKind) {
        match kind {
            EventKind::NodeStarted { node_kind, .. } => {
                self.kind.clone_from(node_kind);
                self.status = NodeStatus::Running;
                self.started.get_or_insert(event.at);
                // A node that was over runs once more when what it is inside of is tried again.
                if let Some(finished) = self.finished.take() {
                    self.worked.pause(finished);
                    (self.output, self.failure, self.filter, self.shortfall) = (None, None, None, None);
                }
                self.worked.begin(event.at);
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
            EventKind::NodeSaid { stream, text } => match self.said.last_mut() {
                Some((last, said)) if last == stream => said.push_str(text),
                _ => self.said.push((*stream, text.clone())),
            },
            EventKind::ModelCallStarted { .. } | EventKind::FetchStarted { .. } => self.calls_in_flight += 1,
            EventKind::ModelAttemptFailed { retry_in_ms: Some(_), .. } => self.repeated_attempts += 1,
            EventKind::ModelCallAdapted { call: _, connection, model, parameter, adaptation, message } => {
                self.adapted.push(Adapted {
                    connection: connection.clone(),
                    model: model.clone(),
                    parameter: parameter.clone(),
                    adaptation: adaptation.clone(),
                    message: message.clone(),
                });
            }
            EventKind::ModelCallFinished { end, .. } => {
                self.call_over();
                (self.filter, self.shortfall) = match end {
                    CallEnd::Replied { reply } => (reply.filter.clone(), reply.shortfall()),
                    CallEnd::Embedded { .. } | CallEnd::Failed { .. } | CallEnd::Cancelled => (None, None),
                };
            }
            EventKind::FetchFinished { .. } => self.call_over(),
            _ => {}
        }
    }

    fn call_over(&mut self) {
        self.calls_in_flight = self.calls_in_flight.saturating_sub(1);
        self.calls += 1;
    }
}

#[cfg(test)]
mod tests;
