//! Secrets are in no event, and a resumed run does not go on with what stands in their place.

use std::sync::Arc;

use sluicegate_events::{Event, EventKind, Outcome, RunStatus};
use sluicegate_executor::{Redact, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;

use crate::flows::{ASK, ASK_TEMPLATE};
use crate::support::*;

/// The model says the secret to whoever asks for it, and to others what it heard, louder.
fn model() -> Arc<FakeModel> {
    FakeModel::new(|text, _| match text.starts_with("tell") {
        true => Answer::text("s3cret"),
        false => Answer::text(text.replace("s3cret", "S3CRET")),
    })
}

async fn resume(plan: &BoundPlan, past: Vec<Event>) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let engine = engine(&model(), &journal);
    let report = sluicegate_executor::run(&engine, plan, Start::Resume { past }, std::future::pending()).await;
    (report, journal.events())
}

/// Cut anywhere, and what then happens cut anywhere again: the outputs are those of the whole run.
async fn check_resumed(plan: &BoundPlan) {
    let (whole, events) = run(plan, &model(), r#"{"q": "x"}"#).await;
    let expected = outputs(&whole);
    assert!(expected.contains("S3CRET"), "{expected}");
    assert!(events.iter().any(|event| event.redacted) && !format!("{events:?}").contains("s3cret"));
    for cut in 1..events.len() {
        let (report, new) = resume(plan, events[..cut].to_vec()).await;
        let story = format!("{} | {}", in_short(&events[..cut]), in_short(&new));
        assert_eq!(report.status, RunStatus::Completed, "{:?} {story}", report.failure);
        assert_eq!(outputs(&report), expected, "{story}");
        let all = [&events[..cut], &new].concat();
        for cut in (cut + 1..all.len()).step_by(3) {
            let (report, new) = resume(plan, all[..cut].to_vec()).await;
            let story = format!("{} | {}", in_short(&all[..cut]), in_short(&new));
            assert_eq!(report.status, RunStatus::Completed, "{:?} {story}", report.failure);
            assert_eq!(outputs(&report), expected, "{story}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_output_held_a_secret_runs_again() {
    let chain = r#"
inputs: {q: {type: string}}
outputs: {r: {type: string, reference: "${c.output}"}}
nodes:
- {name: a, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: tell}}
- {name: b, type: expression, expression: "a ~ a", inputs: {a: "${a.output}"}}
- {name: c, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${b.output}"}}
- {name: sum, type: expression, expression: "xs", inputs: {xs: "${c.output}"}, aggregation: true}
"#;
    check_resumed(&plan(&[("flow.dag.yaml", chain), ASK_TEMPLATE])).await;
}

#[tokio::test(start_paused = true)]
async fn what_stands_on_a_secret_inside_of_nodes_begins_anew() {
    let nested = r#"
inputs: {q: {type: string}, items: {type: list, default: [tell, me]}}
outputs: {r: {type: list, reference: "${after.output}"}, s: {type: object, reference: "${again.output}"}}
nodes:
- {name: each, type: map, over: "${inputs.items}", as: q, concurrency: 1, source: {type: code, path: inner/flow.dag.yaml}}
- {name: after, type: map, over: "${each.output}", as: q, source: {type: code, path: inner/flow.dag.yaml}}
- {name: again, type: loop, until: "iteration == 3", max_iterations: 3, source: {type: code, path: grow/flow.dag.yaml}, inputs: {q: tell}}
"#;
    let (inner, grow) = (ASK.replace("type: string", "type: object"), ASK.replace("answer:", "q:"));
    check_resumed(&plan(&[
        ("flow.dag.yaml", nested),
        ("inner/flow.dag.yaml", &inner),
        ("inner/ask.jinja2", ASK_TEMPLATE.1),
        ("grow/flow.dag.yaml", &grow),
        ("grow/ask.jinja2", ASK_TEMPLATE.1),
    ]))
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_began_with_a_secret_is_not_resumed() {
    let plan = plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]);
    let (_, events) = run(&plan, &model(), r#"{"q": "my s3cret"}"#).await;
    let (report, new) = resume(&plan, events[..3].to_vec()).await;
    let failure = report.failure.unwrap();
    assert!(failure.message.contains("held a secret") && failure.hint.is_some(), "{failure:?}");
    assert!(new.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_recorded_reply_without_its_secret_is_asked_for_again() {
    let plan = plan(&[("flow.dag.yaml", ASK), ASK_TEMPLATE]);
    let (_, events) = run(&plan, &model(), r#"{"q": "tell"}"#).await;
    let replied = events.iter().position(|event| matches!(event.kind, EventKind::ModelCallFinished { .. })).unwrap();
    let (_, new) = resume(&plan, events[..=replied].to_vec()).await;
    assert_eq!(in_short(&new), "resumed(0) +ask ?ask !ask -ask completed");
}

#[tokio::test(start_paused = true)]
async fn a_node_with_a_secret_in_its_name_is_tried_as_often_as_it_says() {
    let yaml = ASK.replace("name: ask", "name: s3cret").replace("${ask.", "${s3cret.");
    let plan = plan(&[("flow.dag.yaml", &format!("{yaml}  retry: {{max_attempts: 2, initial: 1s}}\n")), ASK_TEMPLATE]);
    let odd = || sluicegate_model::ModelError::Malformed { message: "odd".to_owned() };
    let (_, events) = run(&plan, &FakeModel::new(move |_, _| Answer::error(odd())), r#"{"q": "x"}"#).await;
    let failed = |event: &&Event| {
        matches!(
            event.kind,
            EventKind::NodeFinished { outcome: Outcome::Failed { .. }, .. } | EventKind::NodeAttemptFailed { .. }
        )
    };
    assert_eq!(events.iter().filter(failed).count(), 2);
    assert!(!format!("{events:?}").contains("s3cret"));
}

#[test]
fn without_secrets_nothing_is_held_back() {
    assert_eq!((Redact::default().begun)("anything"), 0);
}
