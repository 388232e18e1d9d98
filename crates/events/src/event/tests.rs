use sluicegate_model::{Adaptation, ChatReply, EmbeddingReply, Filter, FilterFinding, FilterState, Usage};
use sluicegate_value::{Map, Value};

use super::*;
use crate::{
    CallEnd, Failure, FetchEnd, Found, NodePath, Operation, Outcome, PlanHashes, Property, RunStatus, Stream, WaitFor,
};

fn filter() -> Filter {
    let finding =
        FilterFinding { category: "hate".into(), severity: Some("high".into()), in_reply: true, stopped: true };
    Filter { state: FilterState::Output, findings: vec![finding], message: Some("no".into()) }
}

fn every_kind() -> Vec<EventKind> {
    let failure = Failure::new("code", "message").hint("hint");
    let reply = ChatReply {
        text: Some("hi".into()),
        message: Value::from(Map::from([("role", "assistant")])),
        finish_reason: Some("stop".into()),
        model: None,
        id: None,
        usage: Usage { input_tokens: Some(1), ..Usage::default() },
        filter: Some(filter()),
        refusal: Some("no".into()),
        body: Value::Null,
    };
    let embedding = EmbeddingReply {
        vectors: vec![vec![0.1, -2.5e-9, 1.0], Vec::new()],
        model: Some("m".into()),
        usage: Usage::default(),
    };
    let adapted = |adaptation| EventKind::ModelCallAdapted {
        call: 0,
        connection: "c".into(),
        model: "m".into(),
        parameter: "max_tokens".into(),
        adaptation,
        message: "use the other".into(),
    };
    let fetched = |end| EventKind::FetchFinished { call: 0, end };
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
        EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 },
        EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::from(inputs.clone()) },
        EventKind::NodeAttemptFailed { failure: failure.clone(), retry_in_ms: 5 },
        finished(Outcome::Completed {
            output: Value::from("x"),
            headers: vec![7],
            opaque: true,
            properties: vec![
                Property { path: "a.b".into(), found: Found::Value(Value::from(f64::NAN)) },
                Property { path: "['c']".into(), found: Found::Failure(failure.clone()) },
            ],
        }),
        EventKind::ObjectsLost {
            worker: "w-1".into(),
            objects: vec![7],
            nodes: vec![NodePath::default().child(&"n".into())],
        },
        EventKind::NodeSaid { stream: Stream::Stderr, text: "printed\n".into() },
        EventKind::SpanStarted {
            name: "f".into(),
            span_type: "Function".into(),
            inputs: Value::from(inputs.clone()),
            attributes: inputs.clone(),
        },
        EventKind::SpanFinished { output: Value::from(1_i64), failure: Some(failure.clone()), attributes: Map::new() },
        EventKind::MetricLogged { key: "accuracy".into(), value: Value::from(0.5) },
        finished(Outcome::Bypassed),
        finished(Outcome::Failed { failure: failure.clone() }),
        finished(Outcome::Waiting { wait_for: WaitFor::Event("go".into()) }),
        finished(Outcome::Waiting { wait_for: WaitFor::Approval }),
        finished(Outcome::Cancelled),
        EventKind::ModelCallStarted {
            call: 0,
            operation: Some(Operation::Chat),
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
        call_finished(CallEnd::Embedded { reply: Box::new(embedding) }),
        adapted(Adaptation::Renamed("max_completion_tokens".into())),
        adapted(Adaptation::Dropped),
        adapted(Adaptation::ValueDropped("\"minimal\"".into())),
        EventKind::FetchStarted { call: 0, method: "GET".into(), url: "http://h/x".into(), host: "h".into(), port: 80 },
        fetched(FetchEnd::Answered { status: 200, size: 9 }),
        fetched(FetchEnd::Failed { failure: failure.clone() }),
        fetched(FetchEnd::Cancelled),
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
    const OURS: [&str; 24] = [
        "run",
        "worker",
        "stream",
        "at",
        "trace_id",
        "span_id",
        "parent_id",
        "kind",
        "outcome",
        "end",
        "wait_for",
        "status",
        "operation",
        "state",
        "adaptation",
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
        let mut event: Event = serde_json::from_value(json.clone()).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert!(event.rewrite_texts(&mut |text| text.contains(SECRET).then(|| "[secret]".to_owned())));
        let text = serde_json::to_string(&event).expect("serializes");
        assert!(!text.contains(SECRET), "{text}");
        assert!(!event.rewrite_texts(&mut |text| text.contains(SECRET).then(String::new)), "nothing is left");
    }
}
