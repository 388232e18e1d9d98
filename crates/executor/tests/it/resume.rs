//! A run that stopped anywhere ends as it would have, and pays for no reply twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::{CallEnd, Event, EventKind, RunStatus};
use sluicegate_executor::{NewRun, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;

use crate::flows::{ASK, ASK_TEMPLATE};
use crate::support::*;

/// Calls in a row, side by side, in a map and in a loop; one of them fails once.
const MIXED: &str = r#"
inputs: {q: {type: string}, items: {type: list, default: [p, q, r]}}
outputs:
  r: {type: string, reference: "${join.output}"}
  m: {type: list, reference: "${each.output}"}
nodes:
- {name: a, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${inputs.q}"}}
- {name: b, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${a.output}"}, retry: {max_attempts: 3, initial: 1s}}
- {name: each, type: map, over: "${inputs.items}", as: q, concurrency: 2, source: {type: code, path: inner/flow.dag.yaml}}
- {name: again, type: loop, until: "iteration == 3", max_iterations: 5, source: {type: code, path: grow/flow.dag.yaml}, inputs: {q: "${inputs.q}"}}
- {name: skipped, type: expression, expression: "1", inputs: {}, activate: {when: "${a.output}", is: nothing}}
- {name: join, type: expression, expression: "b ~ again.q ~ s", inputs: {b: "${b.output}", again: "${again.output}", s: "${skipped.output}"}}
"#;

const GROW: &str = r#"
inputs: {q: {type: string}}
outputs: {q: {type: string, reference: "${ask.output}"}}
nodes:
- {name: ask, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${inputs.q}"}}
"#;

const EXPECTED: &str = r#"{"r":"[[x]][[[x]]]None","m":[{"answer":"[p]"},{"answer":"[q]"},{"answer":"[r]"}]}"#;

fn mixed() -> BoundPlan {
    plan(&[
        ("flow.dag.yaml", MIXED),
        ASK_TEMPLATE,
        ("inner/flow.dag.yaml", ASK),
        ("inner/ask.jinja2", ASK_TEMPLATE.1),
        ("grow/flow.dag.yaml", GROW),
        ("grow/ask.jinja2", ASK_TEMPLATE.1),
    ])
}

/// Echoes, each text after a time of its own; the first call of `b` fails.
fn model() -> Arc<FakeModel> {
    FakeModel::new(|text, before| {
        let after = Duration::from_millis(10 + 7 * text.len() as u64);
        match (text, before) {
            ("[x]", 0) => Answer::error(sluicegate_model::ModelError::Malformed { message: "odd".to_owned() }),
            _ => Answer::text(format!("[{text}]")),
        }
        .after(after)
    })
}

async fn resume(past: Vec<Event>, model: &Arc<FakeModel>) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let report =
        sluicegate_executor::run(&engine(model, &journal), &mixed(), Start::Resume { past }, std::future::pending())
            .await;
    (report, journal.events())
}

/// Requests that were answered, by their hash and where they were asked.
fn answered(events: &[Event]) -> HashMap<(String, String), usize> {
    let mut asked = HashMap::new();
    let mut answered = HashMap::new();
    for event in events {
        let place = (event.scope.path.to_string(), event.scope.attempt);
        match &event.kind {
            EventKind::ModelCallStarted { request_hash, .. } => {
                asked.insert(place, request_hash.clone());
            }
            EventKind::ModelCallFinished { end: CallEnd::Replied { .. }, .. } => {
                let hash = asked.remove(&place).expect("a call ends after it began");
                *answered.entry((place.0, hash)).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    answered
}

/// A run that stopped after `past` ends well, asks nothing again that was answered, and its events are one story.
async fn check_resumed(past: Vec<Event>) {
    let note = in_short(&past);
    let model = model();
    // The model of the new process does not know that it failed once already.
    let (report, new) = resume(past.clone(), &model).await;
    assert_eq!(outputs(&report), EXPECTED, "after {note}");
    let all: Vec<Event> = past.iter().chain(&new).cloned().collect();
    let seqs: Vec<u64> = all.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>(), "after {note}");
    for (call, times) in answered(&all) {
        assert_eq!(times, 1, "{call:?} was paid twice after {note}");
    }
    let trace = past[0].trace.unwrap().trace_id;
    assert!(new.iter().filter_map(|event| event.trace).all(|span| span.trace_id == trace));
    assert_eq!(report.summary.usage().total(), Some(15 * 8), "each of eight replies counts once after {note}");
}

#[tokio::test(start_paused = true)]
async fn every_beginning_of_a_run_can_be_resumed() {
    let (report, events) = run(&mixed(), &model(), r#"{"q": "x"}"#).await;
    assert_eq!(outputs(&report), EXPECTED);
    for cut in 1..events.len() {
        check_resumed(events[..cut].to_vec()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_interrupted_anywhere_can_be_resumed() {
    for stop_after in 1..40 {
        let journal = Arc::new(MemoryJournal { commit: Duration::from_millis(2), ..MemoryJournal::default() });
        let mut grown = journal.grown.subscribe();
        let interrupt = async move {
            let _ = grown.wait_for(|count| *count >= stop_after).await;
        };
        let plan = mixed();
        let start = NewRun::of(plan.plan().resolve_inputs(&inputs(r#"{"q": "x"}"#)).unwrap());
        let report = sluicegate_executor::run(&engine(&model(), &journal), &plan, Start::New(start), interrupt).await;
        if report.status == RunStatus::Completed {
            assert_eq!(outputs(&report), EXPECTED);
            continue;
        }
        assert_eq!(report.status, RunStatus::Interrupted, "{:?}", report.failure);
        let past = journal.events();
        let note = in_short(&past);
        assert!(note.ends_with(" interrupted"), "{note}");
        let begun = note.matches(" ?").count();
        assert_eq!(begun, note.matches(" !").count(), "every call that began has an end: {note}");
        check_resumed(past).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_journal_failed_can_be_resumed() {
    for fails_at in 1..30 {
        let journal = Arc::new(MemoryJournal { fails_at: Some(fails_at), ..MemoryJournal::default() });
        let report = run_with(&engine(&model(), &journal), &mixed(), r#"{"q": "x"}"#).await;
        if report.journal_error.is_some() {
            check_resumed(journal.events()).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_made_again_and_counted() {
    let (_, events) = run(&mixed(), &model(), r#"{"q": "x"}"#).await;
    let asked = events.iter().position(|event| matches!(event.kind, EventKind::ModelCallStarted { .. })).unwrap();
    let (_, new) = resume(events[..=asked].to_vec(), &model()).await;
    assert!(in_short(&new).starts_with("resumed(1) "));
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_goes_on_at_the_node_that_failed() {
    let broken = FakeModel::new(|_, _| {
        Answer::error(sluicegate_model::ModelError::Rejected { status: 400, message: "no".into(), parameter: None })
    });
    let (report, events) = run(&mixed(), &broken, r#"{"q": "x"}"#).await;
    assert_eq!(report.status, RunStatus::Failed);
    let (report, new) = resume(events.clone(), &model()).await;
    assert_eq!(report.status, RunStatus::Completed, "{:?}", report.failure);
    // And a third time, over both: nothing is left of the failure.
    let all = [events, new].concat();
    let cut = all.len() - 1;
    assert_eq!(resume(all[..cut].to_vec(), &model()).await.0.status, RunStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_completed_run_is_not_resumed() {
    let (_, events) = run(&mixed(), &model(), r#"{"q": "x"}"#).await;
    let (report, new) = resume(events.clone(), &model()).await;
    assert_eq!(report.failure.unwrap().message, "the run is completed");
    assert!(new.is_empty());
    let (report, _) = resume(events[1..].to_vec(), &model()).await;
    assert_eq!(report.failure.unwrap().message, "the run's first event is missing");
    let mut shuffled = events[..events.len() - 1].to_vec();
    let end = shuffled.iter().position(|event| matches!(event.kind, EventKind::NodeFinished { .. })).unwrap();
    shuffled.swap(1, end);
    assert_eq!(resume(shuffled, &model()).await.0.failure.unwrap().code, "resume");
}
