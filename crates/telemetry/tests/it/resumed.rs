//! A run that began in one process and ended in another.

use sluicegate_events::{EventKind, Listener as _, RunStatus};
use sluicegate_telemetry::Telemetry;
use sluicegate_testkit::receiver::{ReceivedSpan, Receiver};
use sluicegate_value::Value;

use crate::sample::{RUN, Story, completed, request, settings};

/// The span of the process that resumed the run.
const AGAIN: u64 = 0x77;

/// Tells the events as a resumed process hears them, with or without knowledge of the first `past` ones.
fn told_after(story: &Story, past: usize, knows_past: bool) -> Vec<ReceivedSpan> {
    let receiver = Receiver::start();
    let mut telemetry = Telemetry::start(settings(receiver.address()));
    let (before, now) = story.events.split_at(past);
    if knows_past {
        telemetry.hear_past(before);
    }
    now.iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish().unwrap();
    receiver.spans()
}

/// Each span as `name, from second to second, why it stopped`, sorted.
fn summary(spans: &[ReceivedSpan]) -> Vec<String> {
    let second = |nanos: u64| nanos / 1_000_000_000 - 1_700_000_000;
    let mut lines: Vec<String> = spans
        .iter()
        .map(|span| format!("{} {}-{} {}", span.name, second(span.start), second(span.end), span.status_message))
        .collect();
    lines.sort();
    lines
}

/// Killed after second 6, while `extract` waited for its model and `all` for the flows inside it; `first` had ended.
fn story() -> Story {
    let mut story = Story::new();
    story.begin().node(8, "first", "prompt", Value::Null).node_ends(8, "first", completed("x"));
    story.node(9, "all", "map", Value::Null);
    story.node(2, "extract", "llm", Value::Null).call(3, 2, "extract", request());
    story.add(AGAIN, Some(RUN), "", EventKind::RunResumed { repeated_calls: 1, repeated_nodes: 0 });
    story.node(12, "extract", "llm", Value::Null).node_ends(12, "extract", completed("Alice"));
    story.node_ends(9, "all", completed("y"));
    story.end_as(AGAIN, Some(RUN), RunStatus::Completed, None);
    story
}

#[test]
fn a_resumed_run_is_told_once_and_whole() {
    let expected = [
        "all 4-10 ",
        "chat gpt-4o-mini 6-6 interrupted",
        "entity_extraction 1-6 interrupted",
        "entity_extraction 7-11 ",
        "extract 5-6 interrupted",
        "extract 8-9 ",
    ];
    let spans = told_after(&story(), 6, true);
    assert_eq!(summary(&spans), expected);
    let again = spans.iter().find(|span| span.span_id == format!("{AGAIN:016x}")).unwrap();
    assert_eq!(again.parent_id, Some(format!("{RUN:016x}")));
    assert_eq!(again.attributes["sluicegate.run.repeated_calls"], 1);
    assert_eq!(again.attributes["sluicegate.environment"], "pr");
}

#[test]
fn without_the_past_a_span_says_as_much_as_its_own_events_do() {
    let spans = told_after(&story(), 6, false);
    assert_eq!(summary(&spans), ["all 10-10 ", "extract 8-9 ", "run 7-11 "]);
}

#[test]
fn a_run_that_was_interrupted_in_peace_told_its_first_part_itself() {
    let mut story = Story::new();
    story.begin().end(RunStatus::Interrupted, None);
    story.add(AGAIN, Some(RUN), "", EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 });
    story.end_as(AGAIN, Some(RUN), RunStatus::Completed, None);
    assert_eq!(summary(&told_after(&story, 2, true)), ["entity_extraction 3-4 "]);
    assert_eq!(summary(&told_after(&story, 0, true)), ["entity_extraction 1-2 interrupted", "entity_extraction 3-4 "]);
}

#[test]
fn a_run_that_nobody_ends_is_told_as_far_as_it_went() {
    let mut story = story();
    story.events.truncate(6);
    let expected = [
        "all 4-4 interrupted",
        "chat gpt-4o-mini 6-6 interrupted",
        "entity_extraction 1-1 interrupted",
        "extract 5-5 interrupted",
        "first 2-3 ",
    ];
    assert_eq!(summary(&told_after(&story, 0, false)), expected);
}
