//! What is in the spans.

use serde_json::{Value as Json, json};
use sluicegate_events::{CallEnd, EventKind, Failure, Outcome, RunStatus};
use sluicegate_telemetry::TelemetrySettings;
use sluicegate_testkit::receiver::ReceivedSpan;
use sluicegate_value::{Map, Value};

use crate::sample::{RUN, Story, TRACE, completed, named, read, reply, request, told, told_with, whole_run};

/// Expects these attributes, and says which differ.
#[track_caller]
fn check_attributes(span: &ReceivedSpan, expected: &[(&str, Json)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name), Some(value), "`{name}` of `{}`", span.name);
    }
}

fn json_in(span: &ReceivedSpan, name: &str) -> Json {
    serde_json::from_str(span.attributes[name].as_str().unwrap()).unwrap()
}

#[test]
fn each_span_hangs_under_its_parent() {
    let spans = told(&whole_run());
    let mut tree: Vec<String> = spans
        .iter()
        .map(|span| {
            assert_eq!(span.trace_id, format!("{TRACE:032x}"));
            let parent = spans.iter().find(|other| Some(&other.span_id) == span.parent_id.as_ref());
            format!("{} < {}", span.name, parent.map_or("-", |parent| &parent.name))
        })
        .collect();
    tree.sort();
    let run = "entity_extraction";
    let expected = [
        "chat gpt-4o-mini < extract".to_owned(),
        format!("clean < {run}"),
        format!("{run} < -"),
        format!("extract < {run}"),
        format!("optional < {run}"),
    ];
    assert_eq!(tree, expected);
    assert_eq!(named(&spans, run).span_id, format!("{RUN:016x}"));
}

#[test]
fn spans_begin_and_end_with_their_events() {
    let spans = told(&whole_run());
    let check = |name: &str, start: u64, end: u64| {
        let span = named(&spans, name);
        let at = |second: u64| (1_700_000_000 + second) * 1_000_000_000;
        assert_eq!((span.start, span.end), (at(start), at(end)), "{name}");
    };
    check("entity_extraction", 1, 10);
    check("extract", 2, 6);
    check("chat gpt-4o-mini", 3, 5);
    check("optional", 9, 9);
}

#[test]
fn a_model_call_speaks_the_words_of_the_conventions() {
    let spans = told(&whole_run());
    let call = named(&spans, "chat gpt-4o-mini");
    assert_eq!((call.kind.as_str(), call.status.as_str()), ("CLIENT", "UNSET"));
    check_attributes(
        call,
        &[
            ("openinference.span.kind", json!("LLM")),
            ("gen_ai.operation.name", json!("chat")),
            ("gen_ai.provider.name", json!("azure.ai.openai")),
            ("gen_ai.request.model", json!("gpt-4o-mini")),
            ("gen_ai.request.temperature", json!(0.0)),
            ("gen_ai.request.top_p", json!(0.5)),
            ("gen_ai.request.max_tokens", json!(256)),
            ("gen_ai.request.seed", json!(7)),
            ("gen_ai.request.stop_sequences", json!(["END", "STOP"])),
            ("gen_ai.request.stream", json!(true)),
            ("gen_ai.output.type", json!("json")),
            ("gen_ai.response.id", json!("chatcmpl-1")),
            ("gen_ai.response.model", json!("gpt-4o-mini-2024-07-18")),
            ("gen_ai.response.finish_reasons", json!(["stop"])),
            ("gen_ai.response.time_to_first_chunk", json!(0.25)),
            ("gen_ai.usage.input_tokens", json!(120)),
            ("gen_ai.usage.output_tokens", json!(8)),
            ("gen_ai.usage.cache_read.input_tokens", json!(64)),
            ("gen_ai.usage.reasoning.output_tokens", json!(2)),
            ("server.address", json!("example.openai.azure.com")),
            ("server.port", json!(443)),
            ("llm.cost.total", json!(0.0125)),
            ("sluicegate.connection", json!("aoai")),
            ("sluicegate.call.attempts", json!(2)),
            ("sluicegate.node.path", json!("extract")),
        ],
    );
    let expected = json!([
        {"role": "system", "parts": [{"type": "text", "content": "You extract entities."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Alice met Bob"},
            {"type": "uri", "modality": "image", "uri": "data:image/png;base64,… (4 characters)"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "t1", "response": "42"}]},
    ]);
    assert_eq!(json_in(call, "gen_ai.input.messages"), expected);
    let said =
        json!([{"role": "assistant", "parts": [{"type": "text", "content": "Alice, Bob"}], "finish_reason": "stop"}]);
    assert_eq!(json_in(call, "gen_ai.output.messages"), said);
}

#[test]
fn parameters_in_a_map_of_their_own_and_a_text_to_complete_are_understood() {
    let mut story = Story::new();
    let request = read(r#"{"prompt": "Once upon", "parameters": {"temperature": 1, "stop": "END", "n": 2}}"#);
    // As journals of earlier versions tell it: by the request alone.
    story.call_as(None, 3, 2, "a", request).call_ends(3, 2, "a", CallEnd::Cancelled);
    let spans = told(&story.events);
    let call = named(&spans, "text_completion gpt-4o-mini");
    check_attributes(
        call,
        &[
            ("gen_ai.operation.name", json!("text_completion")),
            ("gen_ai.request.temperature", json!(1.0)),
            ("gen_ai.request.stop_sequences", json!(["END"])),
            ("gen_ai.request.choice.count", json!(2)),
            ("error.type", json!("cancelled")),
        ],
    );
    let expected = json!([{"role": "user", "parts": [{"type": "text", "content": "Once upon"}]}]);
    assert_eq!(json_in(call, "gen_ai.input.messages"), expected);
}

#[test]
fn tool_calls_are_told() {
    let mut story = Story::new();
    let CallEnd::Replied { mut reply } = reply() else { unreachable!() };
    reply.message = read(
        r#"{"role": "assistant", "content": null, "tool_calls":
            [{"id": "t1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]}"#,
    );
    story.call(3, 2, "a", request()).call_ends(3, 2, "a", CallEnd::Replied { reply });
    let spans = told(&story.events);
    let said = json_in(named(&spans, "chat gpt-4o-mini"), "gen_ai.output.messages");
    let part = json!({"type": "tool_call", "id": "t1", "name": "find", "arguments": "{}"});
    assert_eq!(said[0]["parts"], json!([part]));
}

#[test]
fn a_retry_is_an_event_of_the_span() {
    let spans = told(&whole_run());
    let call = named(&spans, "chat gpt-4o-mini");
    assert_eq!(call.events.len(), 1);
    assert_eq!(call.events[0].name, "sluicegate.retry");
    let told = &call.events[0].attributes;
    assert_eq!(told["error.type"], "rate_limited");
    assert_eq!(told["sluicegate.retry.attempt"], 1);
    assert_eq!(told["sluicegate.retry.in_ms"], 1500);
    assert_eq!(told["exception.message"], "rate limited: slow down");
}

#[test]
fn the_run_and_its_nodes_say_what_they_are() {
    let spans = told(&whole_run());
    check_attributes(
        named(&spans, "entity_extraction"),
        &[
            ("openinference.span.kind", json!("CHAIN")),
            ("gen_ai.operation.name", json!("invoke_workflow")),
            ("gen_ai.workflow.name", json!("entity_extraction")),
            ("sluicegate.run.id", json!("0193ab")),
            ("sluicegate.run.status", json!("completed")),
            ("sluicegate.environment", json!("pr")),
            ("input.mime_type", json!("application/json")),
            ("output.mime_type", json!("application/json")),
            ("sluicegate.run.input_tokens", json!(120)),
            ("sluicegate.run.cost", json!(0.0125)),
        ],
    );
    assert_eq!(json_in(named(&spans, "entity_extraction"), "output.value"), json!({"entities": "Alice, Bob"}));
    check_attributes(
        named(&spans, "extract"),
        &[
            ("openinference.span.kind", json!("CHAIN")),
            ("sluicegate.node.kind", json!("llm")),
            ("sluicegate.node.path", json!("extract")),
            ("sluicegate.node.attempts", json!(1)),
            ("sluicegate.node.outcome", json!("completed")),
            ("sluicegate.node.bypassed", json!(false)),
            ("output.value", json!("Alice, Bob")),
            ("output.mime_type", json!("text/plain")),
        ],
    );
    check_attributes(named(&spans, "clean"), &[("openinference.span.kind", json!("TOOL"))]);
    check_attributes(named(&spans, "optional"), &[("sluicegate.node.bypassed", json!(true))]);
    // Added up over spans, a node's usage would count twice.
    assert!(!named(&spans, "extract").attributes.contains_key("gen_ai.usage.input_tokens"));
}

#[test]
fn the_resource_names_the_service() {
    let spans = told_with(&whole_run(), |settings| TelemetrySettings {
        service_name: "shop".into(),
        resource_attributes: vec![("team".into(), "search".into())],
        ..settings
    });
    let resource = &spans[0].resource;
    assert_eq!(resource["service.name"], "shop");
    assert_eq!(resource["team"], "search");
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["telemetry.sdk.name"], "opentelemetry");
    assert_eq!(spans[0].scope, "sluicegate");
}

#[test]
fn a_failing_run_is_whole_and_says_why() {
    let failure = Failure::new("key_refused", "connection `aoai` refused the key (401)");
    let mut story = Story::new();
    story.begin().node(2, "extract", "llm", Value::Null).node(9, "other", "llm", Value::Null);
    story.call(3, 2, "extract", request());
    story.call_ends(3, 2, "extract", CallEnd::Failed { failure: failure.clone() });
    story.node_ends(2, "extract", Outcome::Failed { failure: failure.clone() });
    story.node_ends(9, "other", Outcome::Cancelled);
    story.end(RunStatus::Failed, Some(failure));
    let spans = told(&story.events);
    assert_eq!(spans.len(), 4);
    for name in ["chat gpt-4o-mini", "extract", "entity_extraction"] {
        let span = named(&spans, name);
        assert_eq!(
            (span.status.as_str(), span.status_message.as_str()),
            ("ERROR", "connection `aoai` refused the key (401)")
        );
        check_attributes(span, &[("error.type", json!("key_refused"))]);
        assert_eq!(span.events[0].name, "exception");
        assert_eq!(span.events[0].attributes["exception.type"], "key_refused");
    }
    check_attributes(
        named(&spans, "other"),
        &[("sluicegate.node.outcome", json!("cancelled")), ("error.type", json!("cancelled"))],
    );
}

#[test]
fn attempts_of_a_node_share_its_span() {
    let mut story = Story::new();
    let failure = Failure::new("timeout", "no output within 1s");
    story.node(2, "extract", "llm", Value::Null);
    story.add(2, Some(RUN), "extract", EventKind::NodeAttemptFailed { failure, retry_in_ms: 10 });
    story.node(2, "extract", "llm", Value::Null).node_ends(2, "extract", completed("x"));
    story.events[3].scope.attempt = 2;
    let spans = told(&story.events);
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].events[0].name, "sluicegate.retry");
    check_attributes(&spans[0], &[("sluicegate.node.attempts", json!(2))]);
    assert_eq!(spans[0].end - spans[0].start, 3_000_000_000);
}

#[test]
fn without_capture_no_content_leaves_the_machine() {
    let receiver = sluicegate_testkit::receiver::Receiver::start();
    let settings = TelemetrySettings { capture_content: false, ..crate::sample::settings(receiver.address()) };
    let mut telemetry = sluicegate_telemetry::Telemetry::start(settings);
    use sluicegate_events::Listener as _;
    whole_run().iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish().unwrap();
    assert_eq!(receiver.spans().len(), 5);
    let sent = receiver.requests().into_iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let sent: String = sent.collect();
    assert!(sent.contains("gpt-4o-mini"));
    for content in ["Alice", "You extract", "input.value", "output.value", "input.messages", "output.messages"] {
        assert!(!sent.contains(content), "`{content}` was sent");
    }
}

#[test]
fn without_capture_a_failure_is_told_by_its_code() {
    let failure = Failure::new("unscripted", "no entry answers `PRIVATE QUESTION`");
    let mut story = Story::new();
    story.node(2, "a", "llm", Value::Null);
    story.add(2, None, "a", EventKind::NodeAttemptFailed { failure: failure.clone(), retry_in_ms: 5 });
    story.node_ends(2, "a", Outcome::Failed { failure: failure.clone() });
    let told = |capture_content| {
        format!("{:?}", told_with(&story.events, |settings| TelemetrySettings { capture_content, ..settings }))
    };
    assert!(told(true).contains("PRIVATE QUESTION"));
    let silent = told(false);
    assert!(silent.contains("unscripted") && !silent.contains("PRIVATE"), "{silent}");
}

#[test]
fn large_content_is_cut() {
    let mut story = Story::new();
    story.node(2, "a", "python", Map::from([("text", "x".repeat(1_000_000))]).into());
    story.node_ends(2, "a", completed("y".repeat(1_000_000)));
    let spans = told_with(&story.events, |settings| TelemetrySettings { content_limit: 1_000, ..settings });
    for name in ["input.value", "output.value"] {
        let value = spans[0].attributes[name].as_str().unwrap();
        assert!(value.len() < 1_100 && value.ends_with("bytes more)"), "{}", value.len());
    }
}

#[test]
fn what_is_not_sampled_is_not_sent() {
    let mut events = whole_run();
    for event in &mut events {
        event.trace.as_mut().unwrap().sampled = event.scope.path.to_string() == "clean";
    }
    let spans = told(&events);
    assert_eq!(spans.iter().map(|span| span.name.as_str()).collect::<Vec<_>>(), ["clean"]);
    for event in &mut events {
        event.trace = None;
    }
    assert_eq!(told(&events), []);
}
