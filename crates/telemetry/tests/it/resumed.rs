//! A run that began in one process and ended in another.

use sluicegate_events::{EventKind, Listener as _, RunStatus};
use sluicegate_telemetry::Telemetry;
use sluicegate_testkit::receiver::{ReceivedSpan, Receiver};
use sluicegate_value::Value;

use crate::sample::{RUN, Story, completed, named, request, settings};

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

/// Killed while `extract` waited for its model; `first` had ended.
fn story() -> Story {
    let mut story = Story::new();
    story.begin().node(8, "first", "prompt", Value::Null).node_ends(8, "first", completed("x"));
    story.node(2, "extract", "llm", Value::Null).call(3, 2, "extract", request());
    story.add(RUN, None, "", EventKind::RunResumed { repeated_calls: 1 });
    story.node(12, "extract", "llm", Value::Null).node_ends(12, "extract", completed("Alice"));
    story.end(RunStatus::Completed, None);
    story
}

#[test]
fn the_runs_span_keeps_its_name_and_its_beginning() {
    let spans = told_after(&story(), 5, true);
    let run = named(&spans, "entity_extraction");
    assert_eq!((run.end - run.start) / 1_000_000_000, 8);
    assert_eq!(run.attributes["sluicegate.run.repeated_calls"], 1);
    assert_eq!(run.attributes["sluicegate.environment"], "pr");
}

#[test]
fn what_the_crash_cut_off_is_told_once_and_what_had_ended_is_not_told_again() {
    let spans = told_after(&story(), 5, true);
    let mut names: Vec<(&str, &str)> =
        spans.iter().map(|span| (span.name.as_str(), span.status_message.as_str())).collect();
    names.sort();
    let expected =
        [("chat gpt-4o-mini", "interrupted"), ("entity_extraction", ""), ("extract", ""), ("extract", "interrupted")];
    assert_eq!(names, expected);
}

#[test]
fn without_the_past_a_span_says_as_much_as_its_end_does() {
    let spans = told_after(&story(), 5, false);
    let run = named(&spans, "run");
    assert_eq!(run.attributes["sluicegate.run.id"], "0193ab");
    assert_eq!((run.end - run.start) / 1_000_000_000, 3, "from when it was resumed");
    assert_eq!(spans.len(), 2);
}

#[test]
fn a_run_that_nobody_ends_is_told_as_far_as_it_went() {
    let mut story = story();
    story.events.truncate(5);
    let spans = told_after(&story, 0, false);
    assert_eq!(spans.len(), 4);
    assert_eq!(named(&spans, "entity_extraction").status_message, "interrupted");
    assert_eq!(named(&spans, "first").status, "UNSET");
}
