//! Spans arrive whole at a real receiver.

use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;
use sluicegate_testkit::receiver::Receiver;

use crate::fixture::{KEY, SLUICEGATE, ask, one_call};

fn traced(endpoint: &Endpoint, receiver: &Receiver) -> Project {
    one_call(endpoint).variable("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address())
}

#[test]
fn run_node_and_call_are_one_trace_and_the_endpoint_saw_its_span() {
    let (endpoint, receiver) = (Endpoint::start(), Receiver::start());
    endpoint.reply_text("A gate.");
    let ran = ask(&traced(&endpoint, &receiver), &["--json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let spans = receiver.wait_for(3, Duration::from_secs(10));
    let named = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"))
    };
    let run = spans.iter().find(|span| span.parent_id.is_none()).expect("a first span");
    let call = named("chat small");
    let node = spans.iter().find(|span| Some(&span.span_id) == call.parent_id.as_ref()).expect("the node");
    assert_eq!(node.parent_id.as_ref(), Some(&run.span_id));
    assert_eq!((run.name.as_str(), node.name.as_str()), ("ask", "ask"));
    assert!(ran.stdout.contains(&run.trace_id));
    let seen = endpoint.requests()[0].header("traceparent").expect("traceparent").to_owned();
    assert_eq!(seen, format!("00-{}-{}-01", call.trace_id, call.span_id));
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "small"),
        ("server.address", "127.0.0.1"),
        ("openinference.span.kind", "LLM"),
    ] {
        assert_eq!(call.attributes.get(name).and_then(|found| found.as_str()), Some(value), "{name}");
    }
    for name in [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.model",
    ] {
        assert!(call.attributes.contains_key(name), "{name}");
    }
    assert!(!format!("{spans:?}").contains(KEY));
}

#[test]
fn a_failing_run_is_told_as_errors_and_retries_as_events() {
    let (endpoint, receiver) = (Endpoint::start(), Receiver::start());
    endpoint.queue(Answer::error(500, "x", "Oops.")).queue(Answer::error(400, "x", "No."));
    let ran = ask(&traced(&endpoint, &receiver), &[]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let spans = receiver.wait_for(3, Duration::from_secs(10));
    assert!(spans.iter().all(|span| span.status == "ERROR"), "{spans:#?}");
    let call = spans.iter().find(|span| span.name == "chat small").expect("the call");
    assert_eq!(call.attributes["error.type"].as_str(), Some("rejected"));
    assert!(!call.events.is_empty(), "the repeated attempt is an event: {call:#?}");
}

#[test]
fn a_collector_on_this_machine_is_not_reached_by_proxy() {
    let (endpoint, receiver) = (Endpoint::start(), Receiver::start());
    endpoint.reply_text("fine");
    let project = traced(&endpoint, &receiver).variable("HTTP_PROXY", "http://127.0.0.1:9");
    let ran = ask(&project, &[]);
    assert_eq!((ran.code, ran.stderr.contains("warning")), (0, false), "{}", ran.stderr);
    assert_eq!(receiver.wait_for(3, Duration::from_secs(10)).len(), 3);
}

#[test]
fn a_dead_collector_is_one_warning() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint).variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let ran = ask(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("warning:").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("127.0.0.1:9"), "{}", ran.stderr);
}

#[test]
fn content_stays_home_when_told_so() {
    let (endpoint, receiver) = (Endpoint::start(), Receiver::start());
    endpoint.reply_text("SECRET ANSWER");
    let config = crate::fixture::config(&endpoint.url(), "") + "telemetry: { capture_content: false }\n";
    let ran = ask(
        &traced(&endpoint, &receiver).file("config/config.yaml", config),
        &["--inputs", "question=PRIVATE QUESTION"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let spans = format!("{:?}", receiver.wait_for(3, Duration::from_secs(10)));
    assert!(!spans.contains("SECRET ANSWER") && !spans.contains("PRIVATE QUESTION"), "{spans}");
}

#[test]
fn five_thousand_spans_in_a_burst_all_arrive() {
    let receiver = Receiver::start();
    let items: Vec<String> = (0..4_999).map(|item| item.to_string()).collect();
    let project = Project::new()
        .file("inner/flow.dag.yaml", "inputs: { x: { type: int } }\noutputs: { y: { type: int, reference: \"${twice.output}\" } }\nnodes:\n- { name: twice, type: expression, inputs: { x: \"${inputs.x}\" }, expression: x * 2 }\n")
        .file("outer/flow.dag.yaml", "inputs: { xs: { type: list } }\noutputs: { ys: { type: list, reference: \"${all.output}\" } }\nnodes:\n- { name: all, type: map, source: { type: code, path: ../inner }, over: \"${inputs.xs}\", as: x }\n")
        .file("in.json", format!("{{\"xs\": [{}]}}", items.join(",")))
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.address());
    let ran = project.run(SLUICEGATE, &["run", "outer", "--inputs", "in.json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // A span a node, one for the map, one for the run.
    assert_eq!(receiver.wait_for(5_001, Duration::from_secs(60)).len(), 5_001, "{}", ran.stderr);
}
