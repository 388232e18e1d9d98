//! The table of a batch's lines: it says what the events say.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use sluicegate_events::{Event, EventKind, LineCounts, LineEnd, LineSet, RunId, RunStatus, Spent};
use sluicegate_model::Usage;
use sluicegate_store::{Durability, LineFilter, LineSets, LineStatus, LineTotals, RunFilter, ShownStatus};

use crate::sample::{
    Place, append, batch_started, finished_node, line_completed, line_event, line_failed, line_finished, line_resumed,
    line_started, place, replied, run_event, run_finished, run_id, started, usage, written_events,
};

/// What happens to a line, one step at a time.
#[derive(Clone, Debug)]
enum Step {
    Begin,
    Work,
    Complete(Option<u64>, Option<f64>),
    Fail,
    Cancel,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Begin),
        3 => Just(Step::Work),
        2 => (prop::option::of(0u64..100), prop::option::of(0u32..8)).prop_map(|(tokens, cost)| {
            // Of halves the sum is exact, in whichever order.
            Step::Complete(tokens, cost.map(|cost| f64::from(cost) / 2.0))
        }),
        1 => Just(Step::Fail),
        1 => Just(Step::Cancel),
    ]
}

/// The events of steps of many lines, in the order in which they come: what a line cannot do is left out.
fn events(run: &RunId, steps: &[(u64, u32, Step)]) -> Vec<Event> {
    let mut open: BTreeMap<(u64, u32), bool> = BTreeMap::new();
    let mut events = vec![run_event(run, 1, started("f", None)), run_event(run, 2, batch_started(8))];
    for (line, repeat, step) in steps {
        let began = open.get(&(*line, *repeat)).copied();
        let kind = match (step, began) {
            (Step::Begin, None) => line_started(*line),
            (Step::Begin, Some(_)) => line_resumed(),
            (Step::Work, Some(true)) => finished_node("x".into()),
            (Step::Complete(tokens, cost), Some(true)) => {
                let used = Usage { input_tokens: *tokens, ..Usage::default() };
                line_finished(line_completed(&format!("answer {line}")), used, *cost)
            }
            // Also a line whose row cannot be read, which never began.
            (Step::Fail, _) => line_finished(line_failed("no"), usage(1, 2), Some(0.5)),
            (Step::Cancel, Some(true)) => line_finished(LineEnd::Cancelled, usage(3, 4), None),
            _ => continue,
        };
        let is_open = !matches!(kind, EventKind::LineFinished { .. });
        open.insert((*line, *repeat), is_open);
        events.push(line_event(run, events.len() as u64 + 1, *line, *repeat, kind));
    }
    events
}

#[derive(Debug, PartialEq)]
struct Folded {
    status: LineStatus,
    started: Timestamp,
    finished: Option<Timestamp>,
    spent: Spent,
}

/// What the events say of each line.
fn fold(events: &[Event]) -> BTreeMap<(u64, u32), Folded> {
    let mut lines = BTreeMap::new();
    for event in events {
        let Some(line) = event.scope.line else { continue };
        let fresh = Folded { status: LineStatus::Begun, started: event.at, finished: None, spent: Spent::default() };
        let folded: &mut Folded = lines.entry((line, event.scope.repeat)).or_insert(fresh);
        match &event.kind {
            EventKind::LineResumed { .. } => (folded.status, folded.finished) = (LineStatus::Begun, None),
            EventKind::LineFinished { end, usage, cost } => {
                folded.status = match end {
                    LineEnd::Completed { .. } => LineStatus::Completed,
                    LineEnd::Failed { .. } => LineStatus::Failed,
                    LineEnd::Cancelled => LineStatus::Cancelled,
                };
                folded.finished = Some(event.at);
                folded.spent = Spent { usage: *usage, cost: *cost };
            }
            _ => {}
        }
    }
    lines
}

fn check_says_what_the_events_say(steps: &[(u64, u32, Step)], cut: usize) {
    let place = place();
    let run = run_id("batch");
    let events = events(&run, steps);
    // In two processes.
    let (before, after) = events.split_at(cut.min(events.len()));
    written_events(&place.store, "batch", before.to_vec());
    let (journal, past) = place.store.resume_batch(&run, Durability::Process).unwrap();
    assert_eq!(past.last_seq, before.len() as u64);
    append(&journal, after.to_vec());

    let of = |events: &[Event], line: u64, repeat: u32| -> Vec<Event> {
        let is_ours = |event: &&Event| event.scope.line == Some(line) && event.scope.repeat == repeat;
        events.iter().filter(is_ours).cloned().collect()
    };
    let reader = place.store.open_run(&run).unwrap();
    for (line, repeat) in (0..8).flat_map(|line| [(line, 0), (line, 1)]) {
        assert_eq!(reader.events_of(line, repeat).unwrap(), of(&events, line, repeat), "line {line}");
        // What this process has added since is not the past.
        assert_eq!(past.lines.events_of(line, repeat).unwrap(), of(before, line, repeat), "past of line {line}");
    }

    let folded = fold(&events);
    let rows = reader.lines(&LineFilter::default()).unwrap();
    let found: Vec<_> = rows.iter().map(|row| (row.line, row.repeat, row.status, row.started, row.finished)).collect();
    let expected: Vec<_> =
        folded.iter().map(|((line, repeat), one)| (*line, *repeat, one.status, one.started, one.finished)).collect();
    assert_eq!(found, expected);

    let set = |statuses: &[LineStatus]| -> LineSet {
        let is_in = |((_, repeat), one): &(&(u64, u32), &Folded)| *repeat == 0 && statuses.contains(&one.status);
        folded.iter().filter(is_in).map(|((line, _), _)| *line).collect()
    };
    let (begun, cancelled) = (LineStatus::Begun, LineStatus::Cancelled);
    let (completed, failed) = (set(&[LineStatus::Completed]), set(&[LineStatus::Failed]));
    let words = |sets: &LineSet| sets.iter().collect::<Vec<_>>();
    let sets = reader.line_sets().unwrap();
    assert_eq!(words(&sets.completed), words(&completed));
    assert_eq!(words(&sets.failed), words(&failed));
    assert_eq!(words(&sets.begun), words(&set(&[begun, cancelled])));

    let totals = reader.line_totals().unwrap();
    let check_total = |status: LineStatus, lines: u64, spent: Spent| {
        let all: Vec<_> = folded.values().filter(|one| one.status == status).collect();
        let expected = all.iter().fold(Spent::default(), |sum, one| sum.plus(&one.spent));
        assert_eq!((lines, spent), (all.len() as u64, expected), "{status}");
    };
    check_total(LineStatus::Completed, totals.completed.lines, totals.completed.spent);
    check_total(LineStatus::Failed, totals.failed.lines, totals.failed.spent);
    check_total(cancelled, totals.cancelled.lines, totals.cancelled.spent);
    assert_eq!(totals.begun, folded.values().filter(|one| one.status == begun).count() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_table_says_what_the_events_say(
        steps in prop::collection::vec((0u64..8, 0u32..2, step()), 0..120),
        cut in 2usize..100,
    ) {
        check_says_what_the_events_say(&steps, cut);
    }
}

/// A batch of six lines: 0 and 3 completed, 1 failed, 2 was stopped, 4 began, 5 did not.
fn sample(place: &Place) -> RunId {
    let run = run_id("batch");
    let mut seq = 2;
    let mut of = |line, kind| {
        seq += 1;
        line_event(&run, seq, line, 0, kind)
    };
    let mut events = vec![run_event(&run, 1, started("f", None)), run_event(&run, 2, batch_started(6))];
    events.extend([
        of(0, line_started(0)),
        of(1, line_started(1)),
        of(0, replied(usage(10, 2), 0.25)),
        of(2, line_started(2)),
        of(0, line_finished(line_completed("zero"), usage(10, 2), Some(0.25))),
        of(3, line_started(3)),
        of(1, line_finished(line_failed("the key was refused"), usage(1, 0), Some(0.0))),
        of(4, line_started(4)),
        of(3, line_finished(line_completed(&"three ".repeat(20_000)), usage(5, 5), Some(0.5))),
        of(2, line_finished(LineEnd::Cancelled, usage(2, 2), Some(0.125))),
    ]);
    written_events(&place.store, "batch", events)
}

#[test]
fn outputs_and_failures_come_by_line_number() {
    let place = place();
    let reader = place.store.open_run(&sample(&place)).unwrap();
    let mut outputs = Vec::new();
    let mut tell = |line, repeat, map: sluicegate_value::Map| {
        outputs.push((line, repeat, map.get("answer").and_then(|answer| answer.as_str()).unwrap().len()));
        Ok(())
    };
    reader.outputs_in_order(&mut tell).unwrap();
    assert_eq!(outputs, [(0, 0, 4), (3, 0, 120_000)]);

    let mut failures = Vec::new();
    reader
        .failures_in_order(&mut |failure| {
            failures.push((failure.line, failure.node.to_string(), failure.failure.message));
            Ok(())
        })
        .unwrap();
    assert_eq!(failures, [(1, "answer".to_owned(), "the key was refused".to_owned())]);

    assert_eq!(reader.inputs_of(3, 0).unwrap().unwrap().get("question").unwrap().as_str(), Some("question 3"));
    assert_eq!(reader.inputs_of(5, 0).unwrap(), None);
}

#[test]
fn whoever_cannot_take_an_output_stops_the_telling() {
    let place = place();
    let reader = place.store.open_run(&sample(&place)).unwrap();
    let mut told = 0;
    let outcome = reader.outputs_in_order(&mut |_, _, _| {
        told += 1;
        Err(std::io::Error::other("the disk is full"))
    });
    assert_eq!(outcome.unwrap_err().to_string(), "cannot write what was read: the disk is full");
    assert_eq!(told, 1);
}

#[test]
fn lines_are_shown_by_number_by_status_in_pages_and_by_time() {
    let place = place();
    let reader = place.store.open_run(&sample(&place)).unwrap();
    let check = |filter: LineFilter, expected: &[(u64, LineStatus)]| {
        let rows = reader.lines(&filter).unwrap();
        assert_eq!(rows.iter().map(|row| (row.line, row.status)).collect::<Vec<_>>(), expected, "{filter:?}");
    };
    let (begun, completed) = (LineStatus::Begun, LineStatus::Completed);
    let (failed, cancelled) = (LineStatus::Failed, LineStatus::Cancelled);
    let all = [(0, completed), (1, failed), (2, cancelled), (3, completed), (4, begun)];
    let any = LineFilter::default;
    check(any(), &all);
    check(LineFilter { status: Some(completed), ..any() }, &[all[0], all[3]]);
    check(LineFilter { status: Some(begun), ..any() }, &all[4..]);
    check(LineFilter { after: Some((1, 0)), limit: Some(2), ..any() }, &all[2..4]);
    // 2 took six seconds, 1 five, 0 four, 3 three.
    check(LineFilter { slowest_first: true, ..any() }, &[all[2], all[1], all[0], all[3], all[4]]);

    let row = reader.lines(&LineFilter { limit: Some(1), ..any() }).unwrap().remove(0);
    assert_eq!((row.usage, row.cost, row.duration), (usage(10, 2), Some(0.25), Some(Duration::from_secs(4))));
    let times = reader.line_times().unwrap().unwrap();
    let seconds = [times.p50, times.p95, times.longest].map(|time| time.as_secs());
    assert_eq!(seconds, [4, 5, 5]);
}

#[test]
fn a_list_of_runs_shows_how_many_lines_stand_how() {
    let place = place();
    let run = sample(&place);
    let row = || place.store.list(&RunFilter::default()).unwrap().remove(0);
    let counts = |completed, failed, left| Some(LineCounts { completed, failed, left });
    let stopped = row();
    assert_eq!((stopped.status, stopped.lines), (ShownStatus::Interrupted, counts(2, 1, 3)));
    assert_eq!((stopped.usage, stopped.cost), (usage(18, 9), Some(0.875)), "what was stopped was paid too");

    // From the index, which knows it, until somebody goes on.
    let index = rusqlite::Connection::open(place.store.root().join("index.db")).unwrap();
    index.execute("UPDATE runs SET completed_lines = 99", []).unwrap();
    assert_eq!(row().lines, counts(99, 1, 3));
    let (journal, _) = place.store.resume_batch(&run, Durability::Process).unwrap();
    assert_eq!((row().status, row().lines), (ShownStatus::Running, counts(2, 1, 3)));

    let lines = LineCounts { completed: 5, failed: 1, left: 0 };
    append(
        &journal,
        vec![
            run_event(&run, 13, EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 }),
            run_event(&run, 14, replied(usage(100, 0), 1.0)),
            run_event(&run, 15, EventKind::BatchFinished { lines }),
        ],
    );
    let aggregated = row();
    assert_eq!((aggregated.usage, aggregated.cost), (usage(118, 9), Some(1.875)), "aggregation nodes are paid too");
    append(&journal, vec![run_event(&run, 16, run_finished(RunStatus::Completed, usage(7, 7), None))]);
    drop(journal);
    let ended = row();
    assert_eq!((ended.status, ended.lines), (ShownStatus::Completed, Some(lines)));
    assert_eq!((ended.usage, ended.cost), (usage(7, 7), None), "a run that ended says what it used");
    assert_eq!(row(), ended);
}

#[test]
fn a_run_of_one_input_has_no_lines() {
    let place = place();
    let run = written_events(&place.store, "one", vec![run_event(&run_id("one"), 1, started("f", None))]);
    let reader = place.store.open_run(&run).unwrap();
    assert!(!place.store.is_batch(&run).unwrap());
    assert_eq!(reader.line_sets().unwrap(), LineSets::default());
    assert_eq!(reader.line_totals().unwrap(), LineTotals::default());
    assert_eq!(reader.line_times().unwrap(), None);
    assert_eq!(place.store.list(&RunFilter::default()).unwrap()[0].lines, None);
}
