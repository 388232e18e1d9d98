//! What goes wrong, and what is left then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sluicegate_events::{Event, Listener, ListenerError, NodeStatus, RunStatus};
use sluicegate_executor::Listeners;
use sluicegate_model::{ModelError, Phase};

use crate::flows::{ASK, ASK_TEMPLATE};
use crate::support::*;

fn ask_with(extra: &str) -> sluicegate_flow::bind::BoundPlan {
    plan(&[("flow.dag.yaml", &format!("{ASK}  {extra}\n")), ASK_TEMPLATE])
}

fn overloaded() -> ModelError {
    ModelError::ServerFailed { status: 503, retry_after: None, message: "busy".to_owned() }
}

/// Runs `ask` with a model that fails `times` times.
async fn check_retry(extra: &str, error: ModelError, times: usize, expected: &str) {
    let model = FakeModel::new(move |_, before| match before < times {
        true => Answer::error(error.clone()),
        false => Answer::text("at last"),
    });
    let (_, events) = run(&ask_with(extra), &model, r#"{"q": "hi"}"#).await;
    assert_eq!(in_short(&events), expected);
}

#[tokio::test(start_paused = true)]
async fn a_node_is_tried_as_often_as_it_says() {
    let thrice = "retry: {max_attempts: 3, initial: 1s, max: 5s}";
    let one = "+ask ?ask !ask(server_failed) ~ask(server_failed)";
    check_retry(thrice, overloaded(), 2, &format!("started {one} {one} +ask ?ask !ask -ask completed")).await;
    check_retry(
        thrice,
        overloaded(),
        3,
        &format!("started {one} {one} +ask ?ask !ask(server_failed) -ask(server_failed) failed"),
    )
    .await;
    check_retry("timeout: 9s", overloaded(), 1, "started +ask ?ask !ask(server_failed) -ask(server_failed) failed")
        .await;
}

#[tokio::test(start_paused = true)]
async fn what_stays_wrong_is_not_tried_again() {
    let refused = ModelError::KeyRefused { connection: "fake".to_owned(), status: 401, message: "no".to_owned() };
    let expected = "started +ask ?ask !ask(key_refused) -ask(key_refused) failed";
    check_retry("retry: {max_attempts: 3}", refused, 9, expected).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_connection_gave_up_on_is_not_begun_all_over() {
    let thrice = "retry: {max_attempts: 3}";
    let outer = "type: flow\n  inputs: {q: \"${inputs.q}\"}\n  retry: {max_attempts: 3}";
    let busy = |tries| move |_: &str, _| Answer::error(overloaded()).tried(tries);
    for (tries, asked) in [(1, 3), (2, 1)] {
        let model = FakeModel::new(busy(tries));
        let (_, events) = run(&ask_with(thrice), &model, r#"{"q": "hi"}"#).await;
        assert_eq!(model.heard().len(), asked, "after {tries}: {}", in_short(&events));
        let model = FakeModel::new(busy(tries));
        let yaml = format!(
            "inputs: {{q: {{type: string}}}}\noutputs: {{}}\nnodes:\n- name: outer\n  source: {{type: code, path: inner/flow.dag.yaml}}\n  {outer}\n"
        );
        let files = [("flow.dag.yaml", &*yaml), ("inner/flow.dag.yaml", ASK), ("inner/ask.jinja2", ASK_TEMPLATE.1)];
        let (_, events) = run(&plan(&files), &model, r#"{"q": "hi"}"#).await;
        assert_eq!(model.heard().len(), asked, "inside, after {tries}: {}", in_short(&events));
    }
    // A reply that makes no sense is none of the connection's business.
    let model = FakeModel::new(|_, _| Answer::error(ModelError::Malformed { message: "odd".to_owned() }).tried(2));
    run(&ask_with(thrice), &model, r#"{"q": "hi"}"#).await;
    assert_eq!(model.heard().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_their_limit() {
    let model = FakeModel::new(|_, _| Answer::error(overloaded()));
    let (_, events) = run(&ask_with("retry: {max_attempts: 5, initial: 2s, max: 7s}"), &model, r#"{"q": "hi"}"#).await;
    let pauses: Vec<u64> = events
        .iter()
        .filter_map(|event| match event.kind {
            sluicegate_events::EventKind::NodeAttemptFailed { retry_in_ms, .. } => Some(retry_in_ms),
            _ => None,
        })
        .collect();
    assert_eq!(pauses, [2000, 4000, 7000, 7000]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_is_given_up() {
    let model = FakeModel::new(|_, before| match before {
        0 => Answer::text("late").after(Duration::from_secs(100)),
        _ => Answer::text("in time"),
    });
    let plan = ask_with("timeout: 5s\n  retry: {max_attempts: 2, initial: 1s}");
    let (report, events) = run(&plan, &model, r#"{"q": "hi"}"#).await;
    assert_eq!(outputs(&report), r#"{"answer":"in time"}"#);
    assert_eq!(in_short(&events), "started +ask ?ask !ask(cancelled) ~ask(timeout) +ask ?ask !ask -ask completed");
}

#[tokio::test(start_paused = true)]
async fn a_model_error_says_what_one_can_do() {
    let model = FakeModel::new(|_, _| {
        Answer::error(ModelError::TimedOut { phase: Phase::Total, after: Duration::from_secs(3) })
    });
    let (report, _) = run(&ask_with("timeout: 9s"), &model, r#"{"q": "hi"}"#).await;
    assert_eq!(report.failure.unwrap().message, "no complete reply within 3 s");
}

/// `quick` fails soon, `slow` is at its call, `later` would follow `slow`; `inside` is a map with calls in flight.
const RACE: &str = r#"
inputs: {q: {type: string}, items: {type: list, default: [1, 2]}}
outputs: {r: {type: string, reference: "${later.output}"}}
nodes:
- {name: quick, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: quick}}
- {name: slow, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: slow}}
- {name: later, type: expression, expression: "x", inputs: {x: "${slow.output}"}}
- {name: inside, type: map, over: "${inputs.items}", as: q, source: {type: code, path: inner/flow.dag.yaml}}
"#;

fn race() -> sluicegate_flow::bind::BoundPlan {
    plan(&[("flow.dag.yaml", RACE), ASK_TEMPLATE, ("inner/flow.dag.yaml", ASK), ("inner/ask.jinja2", ASK_TEMPLATE.1)])
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_stops_all_else() {
    let model = FakeModel::new(|text, _| match text {
        "quick" => Answer::error(overloaded()),
        _ => Answer::text("x").after(Duration::from_secs(60)),
    });
    let (report, events) = run(&race(), &model, r#"{"q": "hi"}"#).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!(report.failed_node.as_ref().unwrap().to_string(), "quick");
    let told = in_short(&events);
    let (before, after) = told.split_once("-quick(server_failed)").unwrap();
    assert_eq!(
        before,
        "started +quick +slow +inside ?quick ?slow +inside[0]/ask +inside[1]/ask ?inside[0]/ask ?inside[1]/ask !quick(server_failed) "
    );
    assert_eq!(
        after,
        " !slow(cancelled) -slow(cancelled) !inside[0]/ask(cancelled) -inside[0]/ask(cancelled) !inside[1]/ask(cancelled) -inside[1]/ask(cancelled) -inside(cancelled) failed"
    );
    let cancelled = report.summary.nodes.values().filter(|node| node.status == NodeStatus::Cancelled).count();
    assert_eq!(cancelled, 4);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_came_with_the_failure_is_kept() {
    let model = FakeModel::new(|text, _| match text {
        "quick" => Answer::error(overloaded()),
        "slow" => Answer::text("x"),
        _ => Answer::text("x").after(Duration::from_secs(60)),
    });
    let (_, events) = run(&race(), &model, r#"{"q": "hi"}"#).await;
    assert!(in_short(&events).contains("!slow -slow "), "both calls ended at the same moment");
}

#[tokio::test(start_paused = true)]
async fn a_node_with_a_flow_inside_is_tried_again_whole() {
    let yaml = r#"
inputs: {q: {type: string}}
outputs: {r: {type: object, reference: "${outer.output}"}}
nodes:
- {name: outer, type: flow, source: {type: code, path: inner/flow.dag.yaml}, inputs: {q: "${inputs.q}"}, retry: {max_attempts: 2, initial: 1s}, timeout: 30s}
"#;
    let plan = plan(&[("flow.dag.yaml", yaml), ("inner/flow.dag.yaml", ASK), ("inner/ask.jinja2", ASK_TEMPLATE.1)]);
    let model = FakeModel::new(|_, before| match before {
        0 => Answer::text("late").after(Duration::from_secs(100)),
        _ => Answer::text("in time"),
    });
    let (report, events) = run(&plan, &model, r#"{"q": "hi"}"#).await;
    assert_eq!(outputs(&report), r#"{"r":{"answer":"in time"}}"#);
    assert_eq!(
        in_short(&events),
        "started +outer +outer/ask ?outer/ask !outer/ask(cancelled) -outer/ask(cancelled) ~outer(timeout) +outer +outer/ask ?outer/ask !outer/ask -outer/ask -outer completed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_aggregation_node_is_told_and_the_run_completes() {
    let yaml = format!(
        "{ASK}- {{name: sum, type: expression, expression: \"1 // 0 ~ xs\", inputs: {{xs: \"${{ask.output}}\"}}, aggregation: true}}\n"
    );
    let plan = plan(&[("flow.dag.yaml", &yaml), ASK_TEMPLATE]);
    let (report, events) = run(&plan, &FakeModel::echo(), r#"{"q": "hi"}"#).await;
    assert_eq!(outputs(&report), r#"{"answer":"[hi]"}"#);
    assert_eq!(report.aggregation_failure.unwrap().code, "expression");
    assert_eq!(in_short(&events), "started +ask ?ask !ask -ask +sum -sum(expression) completed");
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_node_share_its_span() {
    let model = FakeModel::new(|_, before| match before {
        0 => Answer::error(overloaded()),
        _ => Answer::text("fine"),
    });
    let (_, events) = run(&ask_with("retry: {max_attempts: 2, initial: 1s}"), &model, r#"{"q": "hi"}"#).await;
    let (first, second) = (events[1].trace.unwrap(), events[5].trace.unwrap());
    assert_eq!(first, second, "{}", in_short(&events));
    let calls = [events[2].trace.unwrap(), events[6].trace.unwrap()];
    assert_ne!(calls[0].span_id, calls[1].span_id);
    assert!(calls.iter().all(|call| call.parent_id == Some(first.span_id)));
}

/// Hears a few events and then fails.
struct Fragile(usize, Arc<AtomicUsize>);

impl Listener for Fragile {
    fn name(&self) -> &'static str {
        "fragile"
    }

    fn hear(&mut self, _: &Event) -> Result<(), ListenerError> {
        match self.1.fetch_add(1, Ordering::SeqCst) < self.0 {
            true => Ok(()),
            false => Err(ListenerError("the pipe broke".to_owned())),
        }
    }

    fn finish(&mut self) -> Result<(), ListenerError> {
        Err(ListenerError("nothing was sent".to_owned()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_fails_hears_nothing_more_and_the_run_goes_on() {
    let (heard, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let journal = Arc::new(MemoryJournal::default());
    let mut engine = engine(&FakeModel::echo(), &journal);
    engine.listeners = Listeners::new(vec![Box::new(Fragile(2, heard.clone())), Box::new(Fragile(100, all.clone()))]);
    let report = run_with(&engine, &ask_with("timeout: 9s"), r#"{"q": "hi"}"#).await;
    assert_eq!(outputs(&report), r#"{"answer":"[hi]"}"#);
    assert_eq!(report.warnings, ["fragile stopped: the pipe broke", "fragile lost something: nothing was sent"]);
    assert_eq!((heard.load(Ordering::SeqCst), all.load(Ordering::SeqCst)), (3, journal.events().len()));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_fails_ends_the_run_at_once() {
    let chain = r#"
inputs: {q: {type: string}}
outputs: {r: {type: string, reference: "${c.output}"}}
nodes:
- {name: a, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${inputs.q}"}}
- {name: b, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${a.output}"}}
- {name: c, type: llm, source: {type: code, path: ask.jinja2}, inputs: {deployment_name: m, q: "${b.output}"}}
"#;
    let plan = plan(&[("flow.dag.yaml", chain), ASK_TEMPLATE]);
    // What is appended: the run's beginning, before anything is asked; each node's beginning; its end; the run's end.
    for (fails_at, calls) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, 3), (7, 3), (8, 3)] {
        let model = FakeModel::echo();
        let journal = Arc::new(MemoryJournal { fails_at: Some(fails_at), ..MemoryJournal::default() });
        let report = run_with(&engine(&model, &journal), &plan, r#"{"q": "hi"}"#).await;
        let batches = journal.batches.load(Ordering::SeqCst);
        if batches <= fails_at {
            assert_eq!(report.status, RunStatus::Completed);
            assert_eq!(outputs(&report), r#"{"r":"[[[hi]]]"}"#);
            continue;
        }
        assert_eq!(report.status, RunStatus::Failed, "append {fails_at}");
        assert_eq!(report.failure.as_ref().unwrap().code, "journal");
        assert!(report.journal_error.is_some() && report.outputs.is_none());
        assert_eq!(batches, fails_at + 1, "nothing is appended after a failure");
        assert_eq!(model.heard().len(), calls, "no successor runs on what append {fails_at} did not keep");
    }
}
