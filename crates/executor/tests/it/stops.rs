//! What happens when a run is stopped, or its time is over, while the journal is still at work.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::{Event, RunStatus};
use sluicegate_executor::{NewRun, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_model::ModelError;

use crate::flows::{ASK, ASK_TEMPLATE};
use crate::support::*;

/// One node `outer` with the flow `ask` inside it.
fn outer(node: &str) -> BoundPlan {
    let yaml = format!(
        "inputs: {{q: {{type: string}}, items: {{type: list, default: [x, y]}}}}\noutputs: {{r: {{type: object, reference: \"${{outer.output}}\"}}}}\nnodes:\n- {{name: outer, source: {{type: code, path: inner/flow.dag.yaml}}, {node}}}\n"
    );
    plan(&[("flow.dag.yaml", &yaml), ("inner/flow.dag.yaml", ASK), ("inner/ask.jinja2", ASK_TEMPLATE.1)])
}

/// A journal that takes so many milliseconds for each commit.
fn slow(commit: u64) -> Arc<MemoryJournal> {
    Arc::new(MemoryJournal { commit: Duration::from_millis(commit), ..MemoryJournal::default() })
}

async fn resume(plan: &BoundPlan, model: &Arc<FakeModel>, past: Vec<Event>) -> (RunReport, Vec<Event>) {
    let journal = Arc::new(MemoryJournal::default());
    let engine = engine(model, &journal);
    let report = sluicegate_executor::run(&engine, plan, Start::Resume { past }, std::future::pending()).await;
    (report, journal.events())
}

/// Runs until so many milliseconds are over, then presses Ctrl-C.
async fn interrupted(plan: &BoundPlan, model: &Arc<FakeModel>, commit: u64, after: u64) -> (RunReport, Vec<Event>) {
    let journal = slow(commit);
    let start = Start::New(NewRun::of(plan.plan().resolve_inputs(&inputs(r#"{"q": "x"}"#)).unwrap()));
    let interrupt = tokio::time::sleep(Duration::from_millis(after));
    let report = sluicegate_executor::run(&engine(model, &journal), plan, start, interrupt).await;
    (report, journal.events())
}

#[tokio::test(start_paused = true)]
async fn a_flow_whose_time_is_over_while_its_last_end_is_written_fails_once() {
    // The reply is there after 60 ms and on disk after 100; the time is over at 80.
    let plan = outer(r#"type: flow, inputs: {q: "${inputs.q}"}, timeout: 80ms"#);
    let model = FakeModel::new(|_, _| Answer::text("late").after(Duration::from_millis(60)));
    let journal = slow(40);
    let report = run_with(&engine(&model, &journal), &plan, r#"{"q": "x"}"#).await;
    assert_eq!(report.failure.unwrap().code, "timeout");
    let events = journal.events();
    assert_eq!(in_short(&events), "started +outer +outer/ask ?outer/ask !outer/ask -outer/ask -outer(timeout) failed");
    let (report, _) = resume(&plan, &model, events).await;
    assert_eq!(outputs(&report), r#"{"r":{"answer":"late"}}"#);
    assert_eq!(model.heard().len(), 1, "what was answered is not asked again");
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_is_interrupted_while_its_round_is_written_begins_no_other() {
    let grow = ASK.replace("answer:", "q:");
    let yaml = "inputs: {q: {type: string}}\noutputs: {r: {type: object, reference: \"${outer.output}\"}}\nnodes:\n- {name: outer, source: {type: code, path: inner/flow.dag.yaml}, type: loop, until: \"iteration == 6\", max_iterations: 9, inputs: {q: \"${inputs.q}\"}}\n";
    let plan = plan(&[("flow.dag.yaml", yaml), ("inner/flow.dag.yaml", &grow), ("inner/ask.jinja2", ASK_TEMPLATE.1)]);
    let model = FakeModel::new(|_, _| Answer::text("x").after(Duration::from_millis(60)));
    let (report, events) = interrupted(&plan, &model, 40, 110).await;
    assert_eq!(
        in_short(&events),
        "started +outer +outer[0]/ask ?outer[0]/ask !outer[0]/ask -outer[0]/ask -outer(cancelled) interrupted"
    );
    assert_eq!(report.status, RunStatus::Interrupted);
    let (report, _) = resume(&plan, &model, events).await;
    assert_eq!((report.status, model.heard().len()), (RunStatus::Completed, 6));
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_again_before_the_crash_is_settled_once_after_it() {
    let plan = outer(r#"type: flow, inputs: {q: "${inputs.q}"}, retry: {max_attempts: 2, initial: 1s}"#);
    let model = FakeModel::new(|_, before| match before {
        0 => Answer::error(ModelError::Malformed { message: "odd".to_owned() }),
        _ => Answer::text("fine"),
    });
    let (report, events) = run(&plan, &model, r#"{"q": "x"}"#).await;
    assert_eq!(outputs(&report), r#"{"r":{"answer":"fine"}}"#);
    for cut in 2..events.len() {
        let (report, new) = resume(&plan, &model, events[..cut].to_vec()).await;
        let story = format!("{} | {}", in_short(&events[..cut]), in_short(&new));
        assert_eq!(report.status, RunStatus::Completed, "{story}");
        assert_eq!(story.matches("-outer ").count(), 1, "{story}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_one_item_is_tried_again_though_another_item_was_before() {
    // Item x fails for good; after that item y fails once and would be tried again.
    let inner = format!("{ASK}  retry: {{max_attempts: 2, initial: 1s}}\n");
    let yaml = "inputs: {q: {type: string}, items: {type: list, default: [x, y]}}\noutputs: {r: {type: object, reference: \"${m.output}\"}}\nnodes:\n- {name: m, source: {type: code, path: inner/flow.dag.yaml}, type: map, over: \"${inputs.items}\", as: q}\n";
    let plan = plan(&[("flow.dag.yaml", yaml), ("inner/flow.dag.yaml", &inner), ("inner/ask.jinja2", ASK_TEMPLATE.1)]);
    let model = FakeModel::new(|text, before| match (text, before) {
        ("x", 0) => Answer::error(ModelError::Rejected { status: 400, message: "no".into(), parameter: None }),
        ("y", 0) => Answer::error(ModelError::Malformed { message: "odd".to_owned() }).after(Duration::from_millis(20)),
        _ => Answer::text("fine"),
    });
    let journal = slow(30);
    let report = run_with(&engine(&model, &journal), &plan, r#"{"q": "x"}"#).await;
    assert_eq!(report.status, RunStatus::Failed);
    let events = journal.events();
    let story = in_short(&events);
    let failed = story.find("-m[0]/ask(rejected)").unwrap();
    assert!(story.find("~m[1]/ask(malformed_reply)").unwrap() > failed, "{story}");
    let (report, new) = resume(&plan, &model, events).await;
    assert_eq!(report.status, RunStatus::Completed, "{}", in_short(&new));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_node_gives_those_inside_all_their_attempts() {
    let inner = format!("{ASK}  retry: {{max_attempts: 2, initial: 1s}}\n");
    let yaml = "inputs: {q: {type: string}}\noutputs: {r: {type: object, reference: \"${outer.output}\"}}\nnodes:\n- {name: outer, source: {type: code, path: inner/flow.dag.yaml}, type: flow, inputs: {q: \"${inputs.q}\"}, retry: {max_attempts: 2, initial: 1s}}\n";
    let plan = plan(&[("flow.dag.yaml", yaml), ("inner/flow.dag.yaml", &inner), ("inner/ask.jinja2", ASK_TEMPLATE.1)]);
    let model = FakeModel::new(|_, before| match before {
        0..3 => Answer::error(ModelError::Malformed { message: "odd".to_owned() }),
        _ => Answer::text("fine"),
    });
    let (report, events) = run(&plan, &model, r#"{"q": "x"}"#).await;
    assert_eq!(outputs(&report), r#"{"r":{"answer":"fine"}}"#, "{}", in_short(&events));
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_another_attempt_ends_with_the_run() {
    let plan = plan(&[("flow.dag.yaml", &format!("{ASK}  retry: {{max_attempts: 3, initial: 1s}}\n")), ASK_TEMPLATE]);
    let model = FakeModel::new(|_, _| Answer::error(ModelError::Malformed { message: "odd".to_owned() }));
    for after in [5, 500] {
        let (report, events) = interrupted(&plan, &model, 0, after).await;
        assert_eq!(report.status, RunStatus::Interrupted, "{}", in_short(&events));
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_never_begin_have_a_span_of_their_own() {
    let yaml = r#"
inputs: {q: {type: string}}
outputs: {r: {type: string, reference: "${skipped.output}"}}
nodes:
- {name: skipped, type: expression, expression: "1", inputs: {}, activate: {when: "${inputs.q}", is: nothing}}
- {name: wrong, type: expression, expression: "1", inputs: {}, activate: {if: "1 // 0"}}
"#;
    let (_, events) = run(&flow(yaml), &FakeModel::echo(), r#"{"q": "x"}"#).await;
    assert_eq!(in_short(&events), "started -skipped(bypassed) -wrong(expression) failed");
    let spans: Vec<_> = events.iter().map(|event| event.trace.unwrap()).collect();
    assert_ne!(spans[1].span_id, spans[2].span_id);
    assert!(spans[1..3].iter().all(|span| span.parent_id == Some(spans[0].span_id)));
}

#[tokio::test(start_paused = true)]
async fn after_a_resume_new_spans_are_inside_of_the_new_process() {
    let plan = outer(r#"type: flow, inputs: {q: "${inputs.q}"}, retry: {max_attempts: 2, initial: 1s}"#);
    let model = FakeModel::new(|_, before| match before {
        0 => Answer::error(ModelError::Malformed { message: "odd".to_owned() }),
        _ => Answer::text("fine"),
    });
    let (_, events) = run(&plan, &model, r#"{"q": "x"}"#).await;
    for cut in 2..events.len() {
        let (_, new) = resume(&plan, &model, events[..cut].to_vec()).await;
        let old: Vec<u64> = events[..cut].iter().map(|event| event.trace.unwrap().span_id).collect();
        for event in new.iter().filter(|event| in_short(std::slice::from_ref(event)).starts_with(['+', '?'])) {
            let span = event.trace.unwrap();
            assert!(!old.contains(&span.parent_id.unwrap()), "{}", in_short(std::slice::from_ref(event)));
        }
    }
}
