//! Batches: lines side by side, failures, aggregation, limits, and going on after any moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sluicegate_events::{
    BatchData, Event, EventKind, JournalError, LineCounts, LineEnd, LinePast, LineSet, RunStatus, Spent,
};
use sluicegate_executor::batch::{
    BatchOptions, BatchPast, BatchReport, BatchStart, Line, MaxFailures, Stopped, run_batch,
};
use sluicegate_executor::{Budget, BudgetEnd, Engine, NewRun};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_model::ModelError;
use sluicegate_value::{Map, Value};

use crate::support::*;

const ECHO: &str = r#"
inputs: { q: { type: string } }
outputs: { said: { type: string, reference: "${ask.output}" } }
nodes:
- { name: ask, type: llm, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: m, q: "${inputs.q}" }, api: chat }
"#;

fn echo() -> BoundPlan {
    plan(&[("flow.dag.yaml", ECHO), ("ask.jinja2", "user:\n{{q}}")])
}

/// Asks about the line and then about the answer; counts lines at the end.
fn chain() -> BoundPlan {
    let yaml = r#"
inputs: { q: { type: string } }
outputs: { said: { type: string, reference: "${second.output}" } }
nodes:
- { name: first, type: llm, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: m, q: "${inputs.q}" }, api: chat }
- { name: second, type: llm, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: m, q: "${first.output}" }, api: chat }
- name: all
  type: expression
  expression: "said|join('+')"
  aggregation: true
  inputs: { said: "${second.output}", questions: "${inputs.q}" }
"#;
    plan(&[("flow.dag.yaml", yaml), ("ask.jinja2", "user:\n{{q}}")])
}

fn rows(count: u64) -> impl Iterator<Item = Result<Line, String>> {
    (0..count).map(|number| {
        let inputs = Ok(Map::from([("q", Value::from(format!("q{number}")))]));
        Ok(Line { number, inputs })
    })
}

fn new(lines: u64) -> BatchStart {
    BatchStart::New { run: NewRun::of(Map::new()), data: BatchData { lines, ..BatchData::default() } }
}

async fn batch(engine: Engine, plan: &BoundPlan, start: BatchStart, lines: u64, options: BatchOptions) -> BatchReport {
    run_batch(Arc::new(engine), plan, start, rows(lines), options, std::future::pending()).await
}

/// The outputs of lines that are complete, by their last end.
fn said(events: &[Event]) -> BTreeMap<u64, String> {
    let mut ends = BTreeMap::new();
    for event in events {
        if let EventKind::LineFinished { end, .. } = &event.kind {
            ends.insert(event.scope.line.unwrap(), end.clone());
        }
    }
    let complete = ends.into_iter().filter_map(|(line, end)| match end {
        LineEnd::Completed { outputs } => Some((line, outputs.get("said")?.as_str()?.to_owned())),
        _ => None,
    });
    complete.collect()
}

/// What the store would read back.
struct Kept(Vec<Event>);

impl LinePast for Kept {
    fn events_of(&self, line: u64, repeat: u32) -> Result<Vec<Event>, JournalError> {
        let of_line = |event: &&Event| event.scope.line == Some(line) && event.scope.repeat == repeat;
        Ok(self.0.iter().filter(of_line).cloned().collect())
    }
}

fn past(events: &[Event], failed_again: bool) -> BatchPast {
    let mut ends: BTreeMap<u64, Option<(bool, Spent)>> = BTreeMap::new();
    for event in events {
        let Some(line) = event.scope.line else { continue };
        let end = ends.entry(line).or_default();
        match &event.kind {
            EventKind::LineFinished { end: LineEnd::Cancelled, .. } => *end = None,
            EventKind::LineFinished { end: ended, usage, cost } => {
                *end = Some((matches!(ended, LineEnd::Completed { .. }), Spent { usage: *usage, cost: *cost }));
            }
            EventKind::LineResumed { .. } => *end = None,
            _ => {}
        }
    }
    let of = |wanted: bool| -> LineSet {
        ends.iter().filter(|(_, end)| end.is_some_and(|(ok, _)| ok == wanted)).map(|(line, _)| *line).collect()
    };
    let spent = |filter: &dyn Fn(bool) -> bool| {
        let spent = ends.values().flatten().filter(|(ok, _)| filter(*ok));
        spent.fold(Spent::default(), |all, (_, one)| all.plus(one))
    };
    BatchPast {
        events: events.iter().filter(|event| event.scope.line.is_none()).cloned().collect(),
        last_seq: events.last().map_or(0, |event| event.seq),
        completed: of(true),
        failed: of(false),
        begun: ends.keys().copied().collect(),
        spent: spent(&|_| true),
        spent_on_failed: spent(&|ok| !ok),
        lines: Arc::new(Kept(events.to_vec())),
        failed_again,
        changed: None,
    }
}

#[tokio::test(start_paused = true)]
async fn every_line_ends_and_at_most_so_many_run_at_once() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let options = BatchOptions { lines_at_once: 7, ..BatchOptions::default() };
    let report = batch(engine(&model, &journal), &echo(), new(50), 50, options).await;
    assert_eq!(report.status, RunStatus::Completed, "{report:?}");
    assert_eq!(report.lines, LineCounts { completed: 50, failed: 0, left: 0 });
    assert_eq!(model.most_in_flight.load(Ordering::SeqCst), 7);
    let events = journal.events();
    assert_eq!(said(&events).len(), 50);
    assert_eq!(said(&events)[&49], "[q49]");
    assert_eq!(report.spent.usage.input_tokens, Some(500));
    assert!((report.spent.cost.unwrap() - 50.0 * 20e-6).abs() < 1e-12);
    let numbers: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "the journal gets them in order");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_fails_fails_alone() {
    let model = FakeModel::new(|text, _| match text {
        "q3" => Answer::error(ModelError::TooLong { message: "too long".to_owned() }),
        text => Answer::text(format!("[{text}]")),
    });
    let check = async |options: BatchOptions, expected: RunStatus| {
        let journal = Arc::new(MemoryJournal::default());
        let report = batch(engine(&model, &journal), &echo(), new(10), 10, options).await;
        assert_eq!(report.status, expected);
        assert_eq!(report.lines, LineCounts { completed: 9, failed: 1, left: 0 });
        assert_eq!((report.failures[0].line, report.failures[0].node.to_string().as_str()), (3, "ask"));
        report
    };
    let report = check(BatchOptions::default(), RunStatus::Failed).await;
    assert_eq!(
        report.failure.unwrap().message,
        "1 of 10 lines failed; the first: line 3, node `ask`: the request is too long: too long"
    );
    check(BatchOptions { max_failures: MaxFailures::Lines(1), ..BatchOptions::default() }, RunStatus::Completed).await;
    check(BatchOptions { max_failures: MaxFailures::Percent(5.0), ..BatchOptions::default() }, RunStatus::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn with_fail_fast_nothing_more_is_begun() {
    let model = FakeModel::new(|text, _| match text {
        "q3" => Answer::error(ModelError::TooLong { message: "too long".to_owned() }).after(Duration::from_millis(1)),
        text => Answer::text(format!("[{text}]")),
    });
    let journal = Arc::new(MemoryJournal::default());
    let options = BatchOptions { lines_at_once: 2, fail_fast: true, ..BatchOptions::default() };
    let report = batch(engine(&model, &journal), &echo(), new(100), 100, options).await;
    assert_eq!((report.status, report.stopped), (RunStatus::Failed, Some(Stopped::TooManyFailures)));
    assert!(report.lines.left > 90, "{:?}", report.lines);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_hangs_does_not_hold_the_others() {
    let model = FakeModel::new(|text, _| match text {
        "q0" => Answer::text("never").after(Duration::from_secs(10_000)),
        text => Answer::text(format!("[{text}]")),
    });
    let journal = Arc::new(MemoryJournal::default());
    let options = BatchOptions {
        lines_at_once: 4,
        line_timeout: Some(Duration::from_secs(5)),
        max_failures: MaxFailures::Lines(1),
        ..BatchOptions::default()
    };
    let report = batch(engine(&model, &journal), &echo(), new(200), 200, options).await;
    assert_eq!(report.lines, LineCounts { completed: 199, failed: 1, left: 0 });
    assert_eq!(report.failures[0].failure.code, "timeout");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_no_input_fails_its_line() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let lines = rows(3).map(|line| {
        let mut line = line?;
        if line.number == 1 {
            line.inputs = Err(sluicegate_events::Failure::new("input", "no column `q`"));
        }
        Ok(line)
    });
    let options = BatchOptions { max_failures: MaxFailures::Lines(1), ..BatchOptions::default() };
    let engine = Arc::new(engine(&model, &journal));
    let report = run_batch(engine, &echo(), new(3), lines, options, std::future::pending()).await;
    assert_eq!(report.lines, LineCounts { completed: 2, failed: 1, left: 0 });
    assert_eq!(model.heard().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn data_that_ends_early_does_not_pass_for_complete() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let report = batch(engine(&model, &journal), &echo(), new(10), 8, BatchOptions::default()).await;
    assert_eq!((report.status, report.lines.left), (RunStatus::Failed, 2));
    let broken = rows(3).chain([Err("the file changed".to_owned())]);
    let engine = Arc::new(engine(&model, &journal));
    let report = run_batch(engine, &echo(), new(10), broken, BatchOptions::default(), std::future::pending()).await;
    assert_eq!(report.stopped, Some(Stopped::Data("the file changed".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn aggregation_sees_the_lines_that_are_complete_in_their_order() {
    let model = FakeModel::new(|text, _| match text {
        "q2" => Answer::error(ModelError::TooLong { message: "too long".to_owned() }),
        // Later lines are done sooner.
        text => {
            Answer::text(format!("[{text}]")).after(Duration::from_millis(if text.contains("q0") { 500 } else { 5 }))
        }
    });
    let journal = Arc::new(MemoryJournal::default());
    let options = BatchOptions { max_failures: MaxFailures::Lines(1), ..BatchOptions::default() };
    let report = batch(engine(&model, &journal), &chain(), new(5), 5, options).await;
    assert_eq!(report.aggregation, [("all".to_owned(), "completed")]);
    assert_eq!(aggregated(&journal.events()), "[[q0]]+[[q1]]+[[q3]]+[[q4]]");
}

fn aggregated(events: &[Event]) -> String {
    let ends = events.iter().rev().filter(|event| event.scope.line.is_none());
    let mut outputs = ends.filter_map(|event| match &event.kind {
        EventKind::NodeFinished { outcome: sluicegate_events::Outcome::Completed { output, .. }, .. } => {
            Some(output.as_str()?.to_owned())
        }
        _ => None,
    });
    outputs.next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_budget_stops_a_batch_and_a_larger_one_goes_on() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    // A call costs 20 millionths; about 2,060 are reserved for its unlimited reply.
    let budget = |dollars: f64, spent: f64| Some(Arc::new(Budget::new(dollars, spent, None)));
    let engine_with = |budget| Engine { budget, ..engine(&model, &journal) };
    let report = batch(engine_with(budget(0.003, 0.0)), &echo(), new(60), 60, BatchOptions::default()).await;
    assert_eq!(report.stopped, Some(Stopped::Budget(BudgetEnd::Reached)));
    assert_eq!(report.status, RunStatus::Interrupted);
    assert!((40..60).contains(&report.lines.completed), "{:?}", report.lines);
    assert!(report.spent.cost.unwrap() <= 0.003);
    let spent = report.spent.cost.unwrap();
    let start = BatchStart::Resume(past(&journal.events(), false));
    let report = batch(engine_with(budget(0.1, spent)), &echo(), start, 60, BatchOptions::default()).await;
    assert_eq!(report.lines, LineCounts { completed: 60, failed: 0, left: 0 });
    assert_eq!(model.heard().len(), 60, "no line is asked twice");
}

#[tokio::test(start_paused = true)]
async fn lines_that_failed_run_again_when_asked_and_keep_what_they_had() {
    let model = FakeModel::new(|text, before| match (text, before) {
        ("[q1]", 0) => Answer::error(ModelError::TooLong { message: "too long".to_owned() }),
        _ => Answer::text(format!("[{text}]")),
    });
    let journal = Arc::new(MemoryJournal::default());
    let first = batch(engine(&model, &journal), &chain(), new(4), 4, BatchOptions::default()).await;
    assert_eq!((first.status, first.lines.failed), (RunStatus::Failed, 1));
    let again = |failed_again| BatchStart::Resume(past(&journal.events(), failed_again));
    let report = batch(engine(&model, &journal), &chain(), again(false), 4, BatchOptions::default()).await;
    assert_eq!((report.status, report.lines.failed), (RunStatus::Failed, 1), "not asked for");
    let report = batch(engine(&model, &journal), &chain(), again(true), 4, BatchOptions::default()).await;
    assert_eq!(report.lines, LineCounts { completed: 4, failed: 0, left: 0 });
    let heard = model.heard();
    assert_eq!(heard.iter().filter(|text| *text == "q1").count(), 1, "its first node is not asked again");
    assert_eq!(aggregated(&journal.events()), "[[q0]]+[[q1]]+[[q2]]+[[q3]]");
    assert_eq!(report.spent.usage.input_tokens, Some(80), "each reply is counted once");
}

/// Whatever a process had recorded when it died, the next one ends the batch: every line once, and no reply that was
/// recorded is asked for again.
#[tokio::test(start_paused = true)]
async fn every_beginning_of_a_batch_can_be_resumed() {
    let (model, journal) = (FakeModel::echo(), Arc::new(MemoryJournal::default()));
    let options = BatchOptions { lines_at_once: 3, ..BatchOptions::default() };
    batch(engine(&model, &journal), &chain(), new(5), 5, options.clone()).await;
    let whole = journal.events();
    let expected = said(&whole);
    for length in 2..whole.len() {
        let beginning = &whole[..length];
        let resumed = Arc::new(MemoryJournal::default());
        resumed.kept.lock().unwrap().extend(beginning.iter().cloned());
        let model = FakeModel::echo();
        let start = BatchStart::Resume(past(beginning, false));
        let report = batch(engine(&model, &resumed), &chain(), start, 5, options.clone()).await;
        assert_eq!(report.status, RunStatus::Completed, "after {length} events: {report:?}");
        let events = resumed.events();
        assert_eq!(said(&events), expected, "after {length} events");
        assert_eq!(aggregated(&events), "[[q0]]+[[q1]]+[[q2]]+[[q3]]+[[q4]]", "after {length} events");
        let recorded = |events: &[Event]| {
            let replies = events.iter().filter(|event| matches!(event.kind, EventKind::ModelCallFinished { .. }));
            replies.count()
        };
        assert_eq!(recorded(beginning) + model.heard().len(), 10, "after {length} events no recorded call is repeated");
        let begun = beginning.iter().filter(|event| matches!(event.kind, EventKind::ModelCallStarted { .. })).count();
        assert_eq!(report.repeated_calls as usize, begun - recorded(beginning), "after {length} events");
    }
}
