//! Runs, told event by event.

use std::time::Duration;

use jiff::Timestamp;
use sluicegate_events::{
    CallEnd, Event, EventKind, Failure, Listener as _, NodePath, Operation, Outcome, PlanHashes, RunId, RunStatus,
    Scope, SpanRef,
};
use sluicegate_model::{ChatReply, Usage};
use sluicegate_telemetry::{Telemetry, TelemetrySettings};
use sluicegate_testkit::receiver::{ReceivedSpan, Receiver};
use sluicegate_value::{Map, Value};

pub(crate) const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
pub(crate) const RUN: u64 = 0xb7ad_6b71_6920_3331;

/// Settings for tests: nothing waits longer than it must.
pub(crate) fn settings(base: &str) -> TelemetrySettings {
    TelemetrySettings { delay: Duration::from_millis(5), ..TelemetrySettings::default().at_base(base) }
}

/// Tells the events and finishes; expects that every span arrives.
pub(crate) fn told(events: &[Event]) -> Vec<ReceivedSpan> {
    told_with(events, |settings| settings)
}

pub(crate) fn told_with(
    events: &[Event],
    change: impl FnOnce(TelemetrySettings) -> TelemetrySettings,
) -> Vec<ReceivedSpan> {
    let receiver = Receiver::start();
    let mut telemetry = Telemetry::start(change(settings(receiver.address())));
    for event in events {
        telemetry.hear(event).unwrap();
    }
    telemetry.finish().unwrap();
    receiver.spans()
}

pub(crate) fn named<'a>(spans: &'a [ReceivedSpan], name: &str) -> &'a ReceivedSpan {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no `{name}` among {names:?}"))
}

/// Tells a story: each event a second after the one before.
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self { events: Vec::new() }
    }

    pub(crate) fn add(&mut self, span: u64, parent: Option<u64>, path: &str, kind: EventKind) -> &mut Self {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event {
            seq,
            at: Timestamp::from_second(1_700_000_000 + seq as i64).unwrap(),
            run: RunId("0193ab".into()),
            scope: Scope {
                path: NodePath::parse(path).unwrap(),
                attempt: u32::from(!path.is_empty()),
                ..Scope::default()
            },
            trace: Some(SpanRef { trace_id: TRACE, span_id: span, parent_id: parent, sampled: true }),
            redacted: false,
            kind,
        });
        self
    }

    pub(crate) fn begin(&mut self) -> &mut Self {
        let kind = EventKind::RunStarted {
            flow: "entity_extraction".into(),
            flow_path: "/flows/entity_extraction".into(),
            environment: Some("pr".into()),
            inputs: Map::from([("text", "Alice met Bob")]),
            hashes: PlanHashes::default(),
            options: Map::new(),
        };
        self.add(RUN, None, "", kind)
    }

    pub(crate) fn node(&mut self, span: u64, path: &str, kind: &str, inputs: Value) -> &mut Self {
        self.add(span, Some(RUN), path, EventKind::NodeStarted { node_kind: kind.into(), inputs })
    }

    pub(crate) fn node_ends(&mut self, span: u64, path: &str, outcome: Outcome) -> &mut Self {
        self.add(span, Some(RUN), path, EventKind::NodeFinished { outcome, usage: Usage::default() })
    }

    pub(crate) fn call(&mut self, span: u64, node: u64, path: &str, request: Value) -> &mut Self {
        self.call_as(Some(Operation::Chat), span, node, path, request)
    }

    pub(crate) fn call_as(
        &mut self,
        operation: Option<Operation>,
        span: u64,
        node: u64,
        path: &str,
        request: Value,
    ) -> &mut Self {
        let kind = EventKind::ModelCallStarted {
            call: 0,
            operation,
            connection: "aoai".into(),
            provider: "azure.ai.openai".into(),
            host: "example.openai.azure.com".into(),
            port: 443,
            model: "gpt-4o-mini".into(),
            request,
            stream: operation != Some(Operation::Embeddings),
            request_hash: "h".into(),
        };
        self.add(span, Some(node), path, kind)
    }

    pub(crate) fn call_ends(&mut self, span: u64, node: u64, path: &str, end: CallEnd) -> &mut Self {
        let kind = EventKind::ModelCallFinished {
            call: 0,
            end,
            attempts: 2,
            first_chunk_us: Some(250_000),
            cost: Some(0.0125),
        };
        self.add(span, Some(node), path, kind)
    }

    pub(crate) fn end(&mut self, status: RunStatus, failure: Option<Failure>) -> &mut Self {
        self.end_as(RUN, None, status, failure)
    }

    pub(crate) fn end_as(
        &mut self,
        span: u64,
        parent: Option<u64>,
        status: RunStatus,
        failure: Option<Failure>,
    ) -> &mut Self {
        let outputs = (status == RunStatus::Completed).then(|| Map::from([("entities", "Alice, Bob")]));
        let usage = usage();
        self.add(span, parent, "", EventKind::RunFinished { status, outputs, failure, usage, cost: Some(0.0125) })
    }
}

pub(crate) fn usage() -> Usage {
    Usage { input_tokens: Some(120), output_tokens: Some(8), cached_input_tokens: Some(64), reasoning_tokens: Some(2) }
}

pub(crate) fn completed(output: impl Into<Value>) -> Outcome {
    Outcome::Completed { output: output.into(), headers: Vec::new(), opaque: false, properties: Vec::new() }
}

pub(crate) fn read(json: &str) -> Value {
    sluicegate_value::json::read(json).unwrap()
}

pub(crate) fn request() -> Value {
    read(
        r#"{"messages": [{"role": "system", "content": "You extract entities."},
            {"role": "user", "content": [{"type": "text", "text": "Alice met Bob"},
              {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "42"}],
          "temperature": 0, "top_p": 0.5, "max_tokens": 256, "seed": 7, "stop": ["END", "STOP"],
          "response_format": {"type": "json_object"}}"#,
    )
}

pub(crate) fn reply() -> CallEnd {
    CallEnd::Replied {
        reply: Box::new(ChatReply {
            text: Some("Alice, Bob".into()),
            message: read(r#"{"role": "assistant", "content": "Alice, Bob"}"#),
            finish_reason: Some("stop".into()),
            model: Some("gpt-4o-mini-2024-07-18".into()),
            id: Some("chatcmpl-1".into()),
            usage: usage(),
            filter: None,
            refusal: None,
            body: Value::Null,
        }),
    }
}

/// One run of two nodes, the first with a call that was tried twice.
pub(crate) fn whole_run() -> Vec<Event> {
    let mut story = Story::new();
    let inputs = Value::from(Map::from([("text", "Alice met Bob")]));
    story.begin().node(2, "extract", "llm", inputs).call(3, 2, "extract", request());
    let failure = Failure::new("rate_limited", "rate limited: slow down");
    let failed = EventKind::ModelAttemptFailed { call: 0, attempt: 1, failure, retry_in_ms: Some(1500) };
    story.add(3, Some(2), "extract", failed);
    story.call_ends(3, 2, "extract", reply());
    story.node_ends(2, "extract", completed("Alice, Bob"));
    story.node(4, "clean", "expression", Value::Null);
    story.node_ends(4, "clean", completed(vec![Value::from("Alice"), Value::from("Bob")]));
    story.node_ends(5, "optional", Outcome::Bypassed);
    story.end(RunStatus::Completed, None);
    story.events
}
