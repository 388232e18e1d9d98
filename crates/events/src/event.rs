//! Events: past tense, plain data, tagged when serialized.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluicegate_model::{TraceContext, Usage};
use sluicegate_value::{Map, Value};

use crate::{CallEnd, Failure, Outcome, PlanHashes, RunStatus, Scope};

/// The name of one run: sortable by time, unique without a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Arc<str>);

impl RunId {
    /// A new id (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the run, from 1, without gaps among recorded events; 0 for ephemeral ones.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// In which run.
    pub run: RunId,
    /// Where in it.
    #[serde(flatten)]
    pub scope: Scope,
    /// The span that it begins, ends or belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<SpanRef>,
    /// Whether a secret was taken out of it, so that what it holds is not what the run went on with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A span, as the executor made it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRef {
    /// The trace.
    #[serde(with = "crate::hex::of_u128")]
    pub trace_id: u128,
    /// The span.
    #[serde(with = "crate::hex::of_u64")]
    pub span_id: u64,
    /// The span that it is inside of; `None` for a trace's first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::hex::of_optional_u64")]
    pub parent_id: Option<u64>,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl SpanRef {
    /// The same place as it travels to endpoints.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext { trace_id: self.trace_id, span_id: self.span_id, sampled: self.sampled }
    }
}

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
    /// A model call of a node began.
    ModelCallStarted {
        /// Which call of the node's attempt, from 0.
        call: u32,
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
        /// The request: `messages` or `prompt`, and the parameters.
        request: Value,
        /// Whether the reply was asked for in pieces.
        stream: bool,
        /// Hash of what was asked (dialect, model, canonical body, repeat), for replay.
        request_hash: String,
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
            Self::NodeStarted { .. } => "node_started",
            Self::NodeAttemptFailed { .. } => "node_attempt_failed",
            Self::NodeFinished { .. } => "node_finished",
            Self::ModelCallStarted { .. } => "model_call_started",
            Self::ModelAttemptFailed { .. } => "model_attempt_failed",
            Self::ModelCallFinished { .. } => "model_call_finished",
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

#[cfg(test)]
mod tests {
    use sluicegate_model::ChatReply;

    use super::*;
    use crate::WaitFor;

    fn every_kind() -> Vec<EventKind> {
        let failure = Failure::new("code", "message").hint("hint");
        let reply = ChatReply {
            text: Some("hi".into()),
            message: Value::from(Map::from([("role", "assistant")])),
            finish_reason: Some("stop".into()),
            model: None,
            id: None,
            usage: Usage { input_tokens: Some(1), ..Usage::default() },
            body: Value::Null,
        };
        let inputs = Map::from([("q", Value::from(f64::NAN)), ("$odd", Value::from(u64::MAX))]);
        let finished = |outcome| EventKind::NodeFinished { outcome, usage: Usage::default() };
        let call_finished =
            |end| EventKind::ModelCallFinished { call: 1, end, attempts: 2, first_chunk_us: Some(3), cost: Some(0.1) };
        vec![
            EventKind::RunStarted {
                flow: "f".into(),
                flow_path: "/f".into(),
                environment: None,
                inputs: inputs.clone(),
                hashes: PlanHashes::default(),
                options: Map::new(),
            },
            EventKind::RunResumed { repeated_calls: 1 },
            EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::from(inputs.clone()) },
            EventKind::NodeAttemptFailed { failure: failure.clone(), retry_in_ms: 5 },
            finished(Outcome::Completed { output: Value::from("x"), headers: vec![7], opaque: true }),
            finished(Outcome::Bypassed),
            finished(Outcome::Failed { failure: failure.clone() }),
            finished(Outcome::Waiting { wait_for: WaitFor::Event("go".into()) }),
            finished(Outcome::Waiting { wait_for: WaitFor::Approval }),
            finished(Outcome::Cancelled),
            EventKind::ModelCallStarted {
                call: 0,
                connection: "c".into(),
                provider: "openai".into(),
                host: "h".into(),
                port: 1,
                model: "m".into(),
                request: Value::from(inputs.clone()),
                stream: true,
                request_hash: "0".into(),
            },
            EventKind::ModelAttemptFailed { call: 0, attempt: 1, failure: failure.clone(), retry_in_ms: Some(1) },
            call_finished(CallEnd::Replied { reply: Box::new(reply) }),
            call_finished(CallEnd::Failed { failure: failure.clone() }),
            call_finished(CallEnd::Cancelled),
            EventKind::EventReceived { name: "go".into(), data: Value::Bool(true) },
            EventKind::TimerFired { until: Timestamp::UNIX_EPOCH },
            EventKind::RunFinished {
                status: RunStatus::Failed,
                outputs: Some(inputs),
                failure: Some(failure),
                usage: Usage::default(),
                cost: None,
            },
        ]
    }

    #[test]
    fn every_kind_of_event_comes_back() {
        let path = crate::NodePath::parse("summarise[3]/extract").expect("a path");
        for kind in every_kind() {
            let trace = Some(SpanRef { trace_id: u128::MAX, span_id: 7, parent_id: Some(u64::MAX), sampled: true });
            let scope = Scope { line: Some(3), repeat: 1, path: path.clone(), attempt: 2 };
            let event =
                Event { seq: 9, at: Timestamp::UNIX_EPOCH, run: RunId("r".into()), scope, trace, redacted: true, kind };
            let text = serde_json::to_string(&event).expect("serializes");
            let back: Event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            // NaN is not equal to itself; its text is.
            assert_eq!(serde_json::to_string(&back).expect("serializes"), text);
        }
    }

    #[test]
    fn an_unknown_kind_of_a_later_version_is_read() {
        let text = r#"{"seq":1,"at":"2026-01-01T00:00:00Z","run":"r","kind":"moon_rose","phase":{"full":true}}"#;
        let event: Event = serde_json::from_str(text).expect("reads");
        assert_eq!((event.kind, event.redacted), (EventKind::Unknown, false));
    }

    #[test]
    fn a_secret_is_taken_out_of_every_text_from_outside() {
        const SECRET: &str = "hunter2-hunter2";
        // Every text of every kind of event becomes the secret, save what the engine makes up itself.
        const OURS: [&str; 19] = [
            "run",
            "at",
            "trace_id",
            "span_id",
            "parent_id",
            "kind",
            "outcome",
            "end",
            "wait_for",
            "status",
            "code",
            "node_kind",
            "request_hash",
            "plan",
            "settings",
            "engine",
            "until",
            "$float",
            "$int",
        ];
        fn poison(json: &mut serde_json::Value) {
            match json {
                serde_json::Value::Object(fields) => {
                    for (name, field) in fields {
                        if !OURS.contains(&name.as_str()) || field.is_object() {
                            poison(field);
                        }
                    }
                }
                serde_json::Value::Array(items) => items.iter_mut().for_each(poison),
                serde_json::Value::String(text) => *text = SECRET.to_owned(),
                _ => {}
            }
        }
        for kind in every_kind().into_iter().chain([EventKind::Chunk { text: "x".into() }]) {
            let scope = Scope { path: crate::NodePath::parse("a/b").expect("a path"), ..Scope::default() };
            let (at, run) = (Timestamp::UNIX_EPOCH, RunId("r".into()));
            let event = Event { seq: 1, at, run, scope, trace: None, redacted: false, kind };
            let mut json = serde_json::to_value(&event).expect("serializes");
            poison(&mut json);
            let mut event: Event =
                serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"));
            assert!(event.rewrite_texts(&mut |text| text.contains(SECRET).then(|| "[secret]".to_owned())));
            let text = serde_json::to_string(&event).expect("serializes");
            assert!(!text.contains(SECRET), "{text}");
            assert!(!event.rewrite_texts(&mut |text| text.contains(SECRET).then(String::new)), "nothing is left");
        }
    }
}
