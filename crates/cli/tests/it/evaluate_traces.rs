//! What an evaluation tells a collector of traces, and what its receipt says of them.

use std::time::Duration;

use sluicegate_testkit::project::Project;
use sluicegate_testkit::receiver::{ReceivedSpan, Receiver};

use crate::evaluate::receipt;
use crate::fixture::{KEY, SLUICEGATE};

const CONFIG: &str = "connections:
  model: { type: simulated, script: model.yaml }
flow_configs:
  say: { flow_path: flows/say, eval_data_path: rows.jsonl, connection_name: model, deployment_name: small }
";

const FLOW: &str = "inputs: { question: { type: string } }
outputs: { answer: { type: string, reference: \"${ask.output}\" } }
nodes:
- { name: ask, type: llm, api: chat, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: small, question: \"${inputs.question}\" } }
";

const EVALUATION: &str = "evaluators:
  exact_match: {}
  fluency: { deployment: clever }
gate: { errors: '<= 50%', exact_match: '>= 0.9' }
";

/// A flow that is right about three of four, and a judge that gives no score for one of them.
fn project() -> Project {
    let rows: String =
        (0..4).map(|row| format!("{{\"question\": \"row {row}?\", \"expected\": \"said row {row}\"}}\n")).collect();
    let model = "replies:
  - { when: { model: clever, user: 'row 2' }, reply: 'no idea' }
  - { when: { model: clever }, reply: '{\"reason\": \"clear enough\", \"score\": 4}' }
  - { when: { user: 'row 3' }, reply: 'nonsense' }
  - { when: { user: 'row' }, find: 'row \\d+', reply: 'said ${found}' }
";
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("flows/say/flow.dag.yaml", FLOW)
        .file("flows/say/ask.jinja2", "user:\n{{question}}\n")
        .file("flows/say/evaluation.yaml", EVALUATION)
        .file("model.yaml", model)
        .file("rows.jsonl", rows)
}

/// Evaluates the flow with more flags; the spans that arrived, and the receipt.
fn told(receiver: &Receiver, more: &[&str], spans: usize) -> (Vec<ReceivedSpan>, serde_json::Value) {
    let project = project();
    let traces = format!("--deploy_traces={}", receiver.address());
    let ran = project.run(SLUICEGATE, &[&["evaluate", "say", "--progress", "none", traces.as_str()], more].concat());
    assert_eq!(ran.code, 11, "{}", ran.shown());
    assert!(!ran.stderr.contains("warning"), "{}", ran.shown());
    (receiver.wait_for(spans, Duration::from_secs(20)), receipt(&project, &ran))
}

/// Batch, lines, nodes and calls of the flow (1 + 3 × 4) and of its judge, and a span for each case.
const SPANS: usize = 2 * 13 + 4;

#[test]
fn each_case_is_a_span_with_its_scores_in_the_trace_of_its_answer() {
    let receiver = Receiver::start();
    let (spans, receipt) = told(&receiver, &[], SPANS);
    assert_eq!(spans.len(), SPANS, "{spans:#?}");
    let cases = receipt["evidence"]["candidate"]["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 4);
    for (row, case) in cases.iter().enumerate() {
        let of_trace: Vec<&ReceivedSpan> = spans.iter().filter(|span| case["trace_id"] == *span.trace_id).collect();
        let of_kind = |kind: &str| -> Vec<&ReceivedSpan> {
            of_trace.iter().copied().filter(|span| span.attributes["openinference.span.kind"] == kind).collect()
        };
        let [scored] = of_kind("EVALUATOR")[..] else { panic!("{of_trace:#?}") };
        let first = of_trace.iter().find(|span| span.parent_id.is_none()).expect("the answer's span");
        assert_eq!((scored.name.as_str(), scored.parent_id.as_ref()), ("evaluate say", Some(&first.span_id)));
        assert_eq!(scored.attributes["sluicegate.case.key"], case["key"]);
        assert_eq!(scored.attributes["sluicegate.line"], row);
        // The answer's own call, and no judge's: that has a trace of its own.
        let [call] = of_kind("LLM")[..] else { panic!("{of_trace:#?}") };
        assert_eq!(call.attributes["gen_ai.request.model"], "small");

        assert!(scored.events.iter().all(|event| event.name == "gen_ai.evaluation.result"), "{scored:#?}");
        let [right, fluent] = &scored.events[..] else { panic!("{scored:#?}") };
        assert_eq!(right.attributes["gen_ai.evaluation.name"], "exact_match");
        let (score, label) = if row == 3 { (0.0, "fail") } else { (1.0, "pass") };
        assert_eq!(right.attributes["gen_ai.evaluation.score.value"], score, "row {row}");
        assert_eq!(right.attributes["gen_ai.evaluation.score.label"], label, "row {row}");
        assert_eq!(fluent.attributes["gen_ai.evaluation.name"], "fluency");
        if row == 2 {
            assert_eq!(fluent.attributes["error.type"], "unscored");
            assert!(!fluent.attributes.contains_key("gen_ai.evaluation.score.value"));
        } else {
            assert_eq!(fluent.attributes["gen_ai.evaluation.score.value"], 4.0);
            assert_eq!(fluent.attributes["gen_ai.evaluation.explanation"], "clear enough");
        }
    }
}

#[test]
fn the_receipt_names_the_trace_of_each_case_that_is_wrong() {
    let (_, receipt) = told(&Receiver::start(), &[], SPANS);
    let worst = receipt["decision"]["regressions"].as_array().expect("regressions");
    assert_eq!(worst.len(), 1, "{worst:#?}");
    let key = worst[0]["key"].as_str().expect("a key");
    let case = &receipt["evidence"]["candidate"]["cases"][3];
    assert_eq!(case["key"], key);
    assert_eq!(receipt["about"]["traces"], serde_json::json!({ key: case["trace_id"] }));
}

#[test]
fn a_secret_that_a_score_quotes_is_not_told() {
    let receiver = Receiver::start();
    let rows = format!("{{\"question\": \"row 0?\", \"expected\": \"{KEY}\"}}\n");
    let project = project().file(".env", format!("THE_API_KEY={KEY}\n")).file("rows.jsonl", rows);
    let traces = format!("--deploy_traces={}", receiver.address());
    let ran = project.run(SLUICEGATE, &["evaluate", "say", "--no-gate", "--progress", "none", &traces]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let spans = format!("{:?}", receiver.wait_for(2 * 4 + 1, Duration::from_secs(20)));
    assert!(spans.contains("expected `") && !spans.contains(KEY), "{spans}");
}

#[test]
fn what_is_no_address_is_said_before_anything_is_asked() {
    let ran = project().run(SLUICEGATE, &["evaluate", "say", "--deploy_traces=collector"]);
    assert!(ran.code == 2 && ran.stderr.contains("is no address of a collector"), "{}", ran.shown());
}

#[test]
fn a_dead_collector_costs_the_verdict_nothing() {
    let project = project();
    let ran = project.run(SLUICEGATE, &["evaluate", "say", "--progress", "none", "--deploy_traces=http://127.0.0.1:9"]);
    assert_eq!(ran.code, 11, "{}", ran.shown());
    assert!(ran.stderr.contains("not taken by the collector"), "{}", ran.shown());
}
