//! What can happen in a run: past tense, plain data, tagged when serialized.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluicegate_model::{Adaptation, Usage};
use sluicegate_value::{Map, Value};

use crate::call::AdaptationAsWritten;
use crate::{
    BatchData, CallEnd, Failure, FetchEnd, LineCounts, LineEnd, NodePath, Operation, Outcome, PlanHashes, RunStatus,
    Stream,
};

/// What happened.
///
/// A later version may know more kinds: an unknown one reads as [`EventKind::Unknown`] and is ignored by folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A run began.
    RunStarted {
        /// The flow's name.
        flow: String,
        /// How the flow was named on the command line, made absolute, so that the run can be resumed.
        flow_path: String,
        /// The environment, if one was named.
        environment: Option<String>,
        /// Its inputs, coerced, with defaults.
        inputs: Map,
        /// What must be the same when it is resumed.
        hashes: PlanHashes,
        /// `--set`, `--variant` and `--node` as given, so that a resume binds the same plan.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        options: Map,
    },
    /// A run that had stopped goes on in a new process.
    RunResumed {
        /// Calls that were in flight when it stopped; they are made again.
        repeated_calls: u32,
        /// Nodes that were over and run again, since what is recorded of them is not what the run had: a secret was taken
        /// out, or it was an object of a Python worker that is gone.
        #[serde(default)]
        repeated_nodes: u32,
    },
    /// The run is a batch; it follows the run's beginning.
    BatchStarted {
        /// What it runs over.
        data: BatchData,
    },
    /// The aggregation nodes of a batch begin; earlier beginnings of theirs, over fewer lines, count no more.
    AggregationStarted {
        /// Over how many lines.
        lines: u64,
    },
    /// All lines of a batch are over, or it was stopped; the run's end follows.
    BatchFinished {
        /// How many lines ended how, those of earlier processes included.
        lines: LineCounts,
    },
    /// A line of a batch began (`scope.line`); its span is the first of a trace of its own.
    LineStarted {
        /// The flow's inputs, coerced, with defaults.
        inputs: Map,
    },
    /// A line that a process which is gone had begun goes on.
    LineResumed {
        /// Calls that were in flight when it stopped; they are made again.
        repeated_calls: u32,
        /// Nodes that were over and run again, as in `RunResumed`.
        #[serde(default)]
        repeated_nodes: u32,
    },
    /// A line is over.
    LineFinished {
        /// How it ended.
        #[serde(flatten)]
        end: LineEnd,
        /// Tokens used by all calls of the line, those of earlier processes included.
        #[serde(default)]
        usage: Usage,
        /// What they cost in US dollars; `None`, unknown, if a reply has no price.
        cost: Option<f64>,
    },
    /// A Python worker is gone, and with it objects that nodes still need: those that made them run again, their model
    /// calls answered by what was recorded.
    ObjectsLost {
        /// The worker.
        worker: String,
        /// The objects' numbers there; empty: all that it had.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        objects: Vec<u64>,
        /// The nodes that run again for it, as far as is known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodePath>,
    },
    /// A node began an attempt (`scope.attempt`).
    NodeStarted {
        /// The node's kind as flows spell it.
        node_kind: String,
        /// Its inputs; `null` where content is not captured.
        inputs: Value,
    },
    /// An attempt of a node failed and another follows.
    NodeAttemptFailed {
        /// Why.
        failure: Failure,
        /// The pause before the next attempt, in milliseconds.
        retry_in_ms: u64,
    },
    /// A node is over, whatever came of it.
    NodeFinished {
        /// What came of it.
        outcome: Outcome,
        /// Tokens used by all calls of this node and the flows inside it.
        #[serde(default)]
        usage: Usage,
    },
    /// A node's own code has printed something.
    NodeSaid {
        /// Where to.
        stream: Stream,
        /// What; whole lines, most often.
        text: String,
    },
    /// Code of a node's own began something that it wants to see in its traces (`@trace`); the span is the event's.
    SpanStarted {
        /// Its name.
        name: String,
        /// Its type, in prompt flow's words: `Function`, `Tool`, `LLM`, `Retrieval` …
        span_type: String,
        /// What it was given; `null` where content is not captured.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        inputs: Value,
        /// What its author adds.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        attributes: Map,
    },
    /// That is over.
    SpanFinished {
        /// What it gave; `null` where content is not captured.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        output: Value,
        /// Why it gave nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
        /// What its author adds.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        attributes: Map,
    },
    /// An aggregation node has told a number over all lines (`log_metric`).
    MetricLogged {
        /// Its name.
        key: String,
        /// What it is: a number, most often.
        value: Value,
    },
    /// A model call of a node began.
    ModelCallStarted {
        /// Which call of the node's attempt, from 0. Model calls and HTTP calls are counted together.
        call: u32,
        /// What was asked for; `None` in journals of versions that did not say it (see [`Operation::of_request`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<Operation>,
        /// The connection's name.
        connection: String,
        /// The provider, as GenAI conventions name it.
        provider: String,
        /// The host that serves it; empty for the simulated one.
        #[serde(default)]
        host: String,
        /// Its port.
        #[serde(default)]
        port: u16,
        /// Deployment or model asked for.
        model: String,
        /// The request: `messages`, `prompt` or `input`, and the parameters.
        request: Value,
        /// Whether the reply was asked for in pieces.
        stream: bool,
        /// Hash of what was asked (provider, model, canonical body, repeat, API), for replay.
        request_hash: String,
    },
    /// A further attempt of a model call was sent; the first is told by the call's beginning.
    ModelAttemptStarted {
        /// Which call.
        call: u32,
        /// Which attempt of the call, from 2.
        #[serde(rename = "call_attempt")]
        attempt: u32,
    },
    /// An attempt of a model call failed at the connection.
    ModelAttemptFailed {
        /// Which call.
        call: u32,
        /// Which attempt of the call, from 1. (`attempt` is the node's, in the scope that stands beside it.)
        #[serde(rename = "call_attempt")]
        attempt: u32,
        /// Why.
        failure: Failure,
        /// The pause before the next attempt in milliseconds; `None` if there is none.
        retry_in_ms: Option<u64>,
    },
    /// The endpoint refused a parameter, and the connection sent the request again without it or by another name. It does
    /// so from then on for all calls to this model.
    ModelCallAdapted {
        /// Which call.
        call: u32,
        /// The connection's name.
        connection: String,
        /// The deployment or model.
        model: String,
        /// The parameter as the request had it.
        parameter: String,
        /// What was done to it.
        #[serde(with = "AdaptationAsWritten")]
        adaptation: Adaptation,
        /// The endpoint's own words.
        message: String,
    },
    /// Nobody was asked: the reply to a call was kept, and its end follows.
    ReplyFound {
        /// Which call.
        call: u32,
        /// Where: `cache` or `cassette`.
        by: String,
    },
    /// A model call is over.
    ModelCallFinished {
        /// Which call.
        call: u32,
        /// What came of it.
        end: CallEnd,
        /// Attempts made.
        attempts: u32,
        /// Time from sending to the first piece of a streamed reply, in microseconds.
        first_chunk_us: Option<u64>,
        /// What it cost in US dollars, if the model has a price.
        cost: Option<f64>,
    },
    /// An HTTP call of a node began. Its headers and body are not told: they are the author's, and may hold keys.
    FetchStarted {
        /// Which call of the node's attempt, from 0.
        call: u32,
        /// `GET`, `POST`, …
        method: String,
        /// The address without user, password, query and fragment; empty if it is no address.
        url: String,
        /// The host.
        #[serde(default)]
        host: String,
        /// Its port, that of the scheme if the address names none; 0 if neither does.
        #[serde(default)]
        port: u16,
    },
    /// An HTTP call is over.
    FetchFinished {
        /// Which call.
        call: u32,
        /// What came of it.
        end: FetchEnd,
    },
    /// A named event came from outside (an approval, a webhook).
    EventReceived {
        /// Its name.
        name: String,
        /// What came with it.
        data: Value,
    },
    /// The time that a node waited for has come.
    TimerFired {
        /// The time.
        until: Timestamp,
    },
    /// A run is over.
    RunFinished {
        /// How it ended.
        status: RunStatus,
        /// Its outputs, if it completed.
        outputs: Option<Map>,
        /// Why it did not.
        failure: Option<Failure>,
        /// Tokens used by all calls, those of earlier processes included.
        #[serde(default)]
        usage: Usage,
        /// What they cost in US dollars; `None`, unknown, if a reply has no price.
        cost: Option<f64>,
    },
    /// A piece of a streamed reply's text. Ephemeral.
    Chunk {
        /// The text.
        text: Arc<str>,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl EventKind {
    /// The kind's name, as its `kind` field is written.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::RunResumed { .. } => "run_resumed",
            Self::BatchStarted { .. } => "batch_started",
            Self::AggregationStarted { .. } => "aggregation_started",
            Self::BatchFinished { .. } => "batch_finished",
            Self::LineStarted { .. } => "line_started",
            Self::LineResumed { .. } => "line_resumed",
            Self::LineFinished { .. } => "line_finished",
            Self::ObjectsLost { .. } => "objects_lost",
            Self::NodeStarted { .. } => "node_started",
            Self::NodeAttemptFailed { .. } => "node_attempt_failed",
            Self::NodeFinished { .. } => "node_finished",
            Self::NodeSaid { .. } => "node_said",
            Self::SpanStarted { .. } => "span_started",
            Self::SpanFinished { .. } => "span_finished",
            Self::MetricLogged { .. } => "metric_logged",
            Self::ModelCallStarted { .. } => "model_call_started",
            Self::ModelAttemptStarted { .. } => "model_attempt_started",
            Self::ModelAttemptFailed { .. } => "model_attempt_failed",
            Self::ModelCallAdapted { .. } => "model_call_adapted",
            Self::ReplyFound { .. } => "reply_found",
            Self::ModelCallFinished { .. } => "model_call_finished",
            Self::FetchStarted { .. } => "fetch_started",
            Self::FetchFinished { .. } => "fetch_finished",
            Self::EventReceived { .. } => "event_received",
            Self::TimerFired { .. } => "timer_fired",
            Self::RunFinished { .. } => "run_finished",
            Self::Chunk { .. } => "chunk",
            Self::Unknown => "unknown",
        }
    }

    /// Whether it is journaled.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        !matches!(self, Self::Chunk { .. })
    }
}
