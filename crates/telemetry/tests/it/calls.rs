//! Calls that are no conversation: vectors and HTTP; and what is told of calls that did not go as they were meant to.

use serde_json::{Value as Json, json};
use sluicegate_events::{CallEnd, EventKind, Failure, FetchEnd, Operation};
use sluicegate_model::{Adaptation, EmbeddingReply, Filter, FilterFinding, FilterState, Usage};
use sluicegate_telemetry::TelemetrySettings;
use sluicegate_testkit::receiver::ReceivedSpan;
use sluicegate_value::Value;

use crate::sample::{Story, completed, named, read, reply, request, told, told_with};

#[track_caller]
fn check_attributes(span: &ReceivedSpan, expected: &[(&str, Json)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name), Some(value), "`{name}` of `{}`", span.name);
    }
}

/// A node that asks for the vectors of two texts.
fn embedding_story() -> Story {
    let request = read(r#"{"input": ["Alice met Bob", "and Carol"], "dimensions": 4, "encoding_format": "float"}"#);
    let vectors = vec![vec![0.123_456; 1536], vec![0.654_321; 1536]];
    let usage = Usage { input_tokens: Some(7), ..Usage::default() };
    let output = Value::from(vec![Value::from(vec![Value::Float(0.123_456); 1536])]);
    let embedded = EmbeddingReply { vectors, model: Some("text-embedding-3-small".into()), usage };
    let mut story = Story::new();
    story.node(2, "embed", "embedding", Value::Null);
    story.call_as(Some(Operation::Embeddings), 3, 2, "embed", request);
    story.call_ends(3, 2, "embed", CallEnd::Embedded { reply: Box::new(embedded) });
    story.node_ends(2, "embed", completed(output));
    story
}

#[test]
fn an_embedding_speaks_the_words_of_the_conventions() {
    let spans = told(&embedding_story().events);
    let call = named(&spans, "embeddings gpt-4o-mini");
    assert_eq!((call.kind.as_str(), call.status.as_str()), ("CLIENT", "UNSET"));
    check_attributes(
        call,
        &[
            ("openinference.span.kind", json!("EMBEDDING")),
            ("embedding.model_name", json!("gpt-4o-mini")),
            ("gen_ai.operation.name", json!("embeddings")),
            ("gen_ai.provider.name", json!("azure.ai.openai")),
            ("gen_ai.request.model", json!("gpt-4o-mini")),
            ("gen_ai.request.encoding_formats", json!(["float"])),
            ("gen_ai.response.model", json!("text-embedding-3-small")),
            ("gen_ai.embeddings.dimension.count", json!(1536)),
            ("gen_ai.usage.input_tokens", json!(7)),
            ("server.address", json!("example.openai.azure.com")),
            ("llm.cost.total", json!(0.0125)),
            ("input.value", json!(r#"["Alice met Bob","and Carol"]"#)),
        ],
    );
    assert!(!call.attributes.contains_key("gen_ai.request.stream"));
    check_attributes(named(&spans, "embed"), &[("openinference.span.kind", json!("CHAIN"))]);
}

#[test]
fn vectors_stay_home() {
    let spans = format!("{:?}", told(&embedding_story().events));
    assert!(spans.contains("[1536 numbers]"), "{spans}");
    assert!(!spans.contains("0.123456") && !spans.contains("0.654321"), "{spans}");
}

#[test]
fn an_end_whose_beginning_nobody_heard_says_what_it_was() {
    let mut story = embedding_story();
    story.events.remove(1);
    let spans = told(&story.events);
    check_attributes(named(&spans, "embeddings"), &[("openinference.span.kind", json!("EMBEDDING"))]);
}

fn fetch_story(end: FetchEnd) -> Story {
    let mut story = Story::new();
    let (method, url, host) = ("POST".to_owned(), "https://api.test/v1/search".to_owned(), "api.test".to_owned());
    story.node(2, "search", "http", Value::Null);
    story.add(3, Some(2), "search", EventKind::FetchStarted { call: 0, method, url, host, port: 443 });
    story.add(3, Some(2), "search", EventKind::FetchFinished { call: 0, end });
    story.node_ends(2, "search", completed("x"));
    story
}

#[test]
fn an_http_call_speaks_the_words_of_the_conventions() {
    let spans = told(&fetch_story(FetchEnd::Answered { status: 200, size: 512 }).events);
    let call = named(&spans, "POST");
    let node = named(&spans, "search");
    assert_eq!((call.kind.as_str(), call.status.as_str()), ("CLIENT", "UNSET"));
    assert_eq!(call.parent_id.as_ref(), Some(&node.span_id));
    check_attributes(
        call,
        &[
            ("openinference.span.kind", json!("TOOL")),
            ("http.request.method", json!("POST")),
            ("url.full", json!("https://api.test/v1/search")),
            ("server.address", json!("api.test")),
            ("server.port", json!(443)),
            ("http.response.status_code", json!(200)),
            ("http.response.body.size", json!(512)),
            ("sluicegate.node.path", json!("search")),
        ],
    );
    check_attributes(node, &[("openinference.span.kind", json!("CHAIN"))]);
}

#[test]
fn an_http_call_that_went_wrong_says_how() {
    let check = |end: FetchEnd, error: &str, message: &str| {
        let spans = told(&fetch_story(end).events);
        let call = named(&spans, "POST");
        assert_eq!((call.status.as_str(), call.status_message.as_str()), ("ERROR", message));
        check_attributes(call, &[("error.type", json!(error))]);
    };
    check(FetchEnd::Answered { status: 404, size: 0 }, "404", "");
    check(FetchEnd::Answered { status: 503, size: 0 }, "503", "");
    check(FetchEnd::Failed { failure: Failure::new("unreachable", "nobody there") }, "unreachable", "nobody there");
    check(FetchEnd::Cancelled, "cancelled", "cancelled");
    let mut story = fetch_story(FetchEnd::Cancelled);
    story.events.truncate(2);
    let spans = told(&story.events);
    check_attributes(named(&spans, "POST"), &[("error.type", json!("interrupted"))]);
}

#[test]
fn a_parameter_that_was_refused_is_an_event_of_the_call() {
    let adapted = |parameter: &str, adaptation| EventKind::ModelCallAdapted {
        call: 0,
        connection: "aoai".into(),
        model: "gpt".into(),
        parameter: parameter.into(),
        adaptation,
        message: "PRIVATE WORDS".into(),
    };
    let mut story = Story::new();
    story.node(2, "a", "llm", Value::Null).call(3, 2, "a", request());
    story.add(3, Some(2), "a", adapted("max_tokens", Adaptation::Renamed("max_completion_tokens".into())));
    story.add(3, Some(2), "a", adapted("temperature", Adaptation::Dropped));
    story.call_ends(3, 2, "a", reply());
    let spans = told(&story.events);
    let told: Vec<Json> =
        named(&spans, "chat gpt-4o-mini").events.iter().map(|event| json!([event.name, event.attributes])).collect();
    assert_eq!(
        told,
        [
            json!(["sluicegate.adaptation", {
                "sluicegate.adaptation.parameter": "max_tokens",
                "sluicegate.adaptation.renamed_to": "max_completion_tokens",
                "sluicegate.adaptation.message": "PRIVATE WORDS",
            }]),
            json!(["sluicegate.adaptation", {
                "sluicegate.adaptation.parameter": "temperature",
                "sluicegate.adaptation.message": "PRIVATE WORDS",
            }]),
        ]
    );
    let silent = told_with(&story.events, |settings| TelemetrySettings { capture_content: false, ..settings });
    assert!(!format!("{silent:?}").contains("PRIVATE"));
}

#[test]
fn a_filter_is_told_by_its_state_and_categories() {
    let finding = |category: &str, stopped| FilterFinding {
        category: category.into(),
        severity: Some("high".into()),
        in_reply: false,
        stopped,
    };
    let check = |state, findings: Vec<FilterFinding>, expected: &[(&str, Json)]| {
        let CallEnd::Replied { mut reply } = reply() else { unreachable!() };
        reply.filter = Some(Filter { state, findings, message: None });
        let mut story = Story::new();
        story.call(3, 2, "a", request()).call_ends(3, 2, "a", CallEnd::Replied { reply });
        let spans = told(&story.events);
        let call = named(&spans, "chat gpt-4o-mini");
        check_attributes(call, expected);
        assert_eq!(call.status, "UNSET", "a filter's decision is a result, not an error");
    };
    let found = vec![finding("hate", true), finding("jailbreak", false), finding("hate", false)];
    let categories = ("sluicegate.filter.categories", json!(["hate", "jailbreak"]));
    check(FilterState::Input, found, &[("sluicegate.filter.state", json!("input")), categories]);
    check(FilterState::Unchecked, Vec::new(), &[("sluicegate.filter.state", json!("unchecked"))]);
}

#[test]
fn a_refusal_is_told_as_one() {
    let CallEnd::Replied { mut reply } = reply() else { unreachable!() };
    reply.message = read(r#"{"role": "assistant", "content": null, "refusal": "I will not"}"#);
    let mut story = Story::new();
    story.call(3, 2, "a", request()).call_ends(3, 2, "a", CallEnd::Replied { reply });
    let spans = told(&story.events);
    let said = named(&spans, "chat gpt-4o-mini").attributes["gen_ai.output.messages"].as_str().unwrap();
    let said: Json = serde_json::from_str(said).unwrap();
    assert_eq!(said[0]["parts"], json!([{"type": "refusal", "content": "I will not"}]));
}
