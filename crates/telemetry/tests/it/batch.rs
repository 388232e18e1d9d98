//! Batches: each line is a trace of its own, tied to the batch by a link.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use prost::Message as _;
use serde_json::{Value as Json, json};
use sluicegate_events::{
    BatchData, CallEnd, Event, EventKind, Failure, LineCounts, LineEnd, Listener as _, NodePath, Outcome, RunId,
    RunStatus, Scope, SpanRef,
};
use sluicegate_model::Usage;
use sluicegate_telemetry::{Telemetry, TelemetrySettings};
use sluicegate_testkit::receiver::{ReceivedSpan, Receiver};
use sluicegate_value::{Map, Value};

use crate::sample::{RUN, Story, TRACE, completed, named, reply, request, settings, told, told_with, usage};

/// Spans of a line: its own, a node's, a call's.
const LINE: u64 = 1;
const NODE: u64 = 2;
const CALL: u64 = 3;
/// The line's own span in the process that resumed it.
const AGAIN: u64 = 4;

/// The story of a batch of `lines`, up to its first line.
pub(crate) fn begin(lines: u64) -> Story {
    let mut story = Story::new();
    story.begin();
    let data = BatchData { lines, ..BatchData::default() };
    story.add(RUN, None, "", EventKind::BatchStarted { data });
    story
}

/// Adds what happens in a line. All lines name their spans alike: they differ by their traces.
pub(crate) fn in_line(story: &mut Story, line: u64, span: u64, parent: Option<u64>, path: &str, kind: EventKind) {
    let seq = story.events.len() as u64 + 1;
    story.events.push(Event {
        seq,
        at: Timestamp::from_second(1_700_000_000 + seq as i64).unwrap(),
        run: RunId("0193ab".into()),
        scope: Scope { line: Some(line), path: NodePath::parse(path).unwrap(), ..Scope::default() },
        trace: Some(SpanRef { trace_id: trace_of(line), span_id: span, parent_id: parent, sampled: true }),
        redacted: false,
        kind,
    });
}

fn trace_of(line: u64) -> u128 {
    TRACE + 1 + u128::from(line)
}

pub(crate) fn line_begins(story: &mut Story, line: u64) {
    let inputs = Map::from([("text", format!("text {line}"))]);
    in_line(story, line, LINE, None, "", EventKind::LineStarted { inputs });
}

fn node_and_call_begin(story: &mut Story, line: u64) {
    let started = EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::Null };
    in_line(story, line, NODE, Some(LINE), "extract", started);
    let mut of_call = Story::new();
    of_call.call(CALL, NODE, "extract", request());
    in_line(story, line, CALL, Some(NODE), "extract", of_call.events.remove(0).kind);
}

fn node_and_call_end(story: &mut Story, line: u64, end: CallEnd, outcome: Outcome) {
    let mut of_call = Story::new();
    of_call.call_ends(CALL, NODE, "extract", end);
    in_line(story, line, CALL, Some(NODE), "extract", of_call.events.remove(0).kind);
    in_line(story, line, NODE, Some(LINE), "extract", EventKind::NodeFinished { outcome, usage: usage() });
}

fn line_ends(story: &mut Story, line: u64, span: u64, end: LineEnd) {
    let parent = (span != LINE).then_some(LINE);
    in_line(story, line, span, parent, "", EventKind::LineFinished { end, usage: usage(), cost: Some(0.0125) });
}

fn outputs(line: u64) -> LineEnd {
    LineEnd::Completed { outputs: Map::from([("entities", format!("output {line}"))]) }
}

fn failure() -> Failure {
    Failure::new("rate_limited", "rate limited: slow down")
}

fn end(story: &mut Story, completed: u64, failed: u64) {
    story.add(RUN, None, "", EventKind::BatchFinished { lines: LineCounts { completed, failed, left: 0 } });
    story.end(RunStatus::Completed, None);
}

/// Lines 0 to 2 side by side; line 1 fails by its node.
fn three_lines() -> Story {
    let mut story = begin(3);
    (0..3).for_each(|line| line_begins(&mut story, line));
    (0..3).for_each(|line| node_and_call_begin(&mut story, line));
    for line in [2, 0] {
        node_and_call_end(&mut story, line, reply(), completed("Alice"));
        line_ends(&mut story, line, LINE, outputs(line));
    }
    let (call, node) = (CallEnd::Failed { failure: failure() }, Outcome::Failed { failure: failure() });
    node_and_call_end(&mut story, 1, call, node);
    let node = NodePath::parse("extract").unwrap();
    line_ends(&mut story, 1, LINE, LineEnd::Failed { failure: failure(), node });
    end(&mut story, 2, 1);
    story
}

fn of_line(spans: &[ReceivedSpan], line: u64) -> Vec<ReceivedSpan> {
    let trace = format!("{:032x}", trace_of(line));
    spans.iter().filter(|span| span.trace_id == trace).cloned().collect()
}

#[track_caller]
fn check_attributes(span: &ReceivedSpan, expected: &[(&str, Json)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name), Some(value), "`{name}` of `{}`", span.name);
    }
}

/// The links of each span, as sent.
fn links(receiver: &Receiver) -> Vec<(String, Vec<Link>)> {
    let requests = receiver.requests().into_iter();
    let decoded = requests.map(|request| ExportTraceServiceRequest::decode(request.body).unwrap());
    decoded
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .map(|span| (span.name, span.links))
        .collect()
}

#[test]
fn each_line_is_a_trace_of_its_own() {
    let spans = told(&three_lines().events);
    assert_eq!(spans.len(), 10);
    for line in 0..3 {
        let spans = of_line(&spans, line);
        let parent = |name: &str| named(&spans, name).parent_id.clone();
        assert_eq!(parent("entity_extraction"), None);
        assert_eq!(parent("extract"), Some(format!("{LINE:016x}")));
        assert_eq!(parent("chat gpt-4o-mini"), Some(format!("{NODE:016x}")));
        assert!(spans.iter().all(|span| span.attributes["sluicegate.line"] == line), "{spans:?}");
        assert!(spans.iter().all(|span| span.attributes["sluicegate.run.id"] == "0193ab"), "{spans:?}");
    }
    let second = |nanos: u64| nanos / 1_000_000_000 - 1_700_000_000;
    let lasted = |line| {
        let spans = of_line(&spans, line);
        let line = named(&spans, "entity_extraction");
        (second(line.start), second(line.end))
    };
    assert_eq!([lasted(0), lasted(1), lasted(2)], [(3, 17), (4, 20), (5, 14)]);
}

#[test]
fn a_line_tells_what_went_in_and_came_out() {
    let spans = of_line(&told(&three_lines().events), 2);
    let line = named(&spans, "entity_extraction");
    assert_eq!((line.kind.as_str(), line.status.as_str()), ("INTERNAL", "UNSET"));
    check_attributes(
        line,
        &[
            ("openinference.span.kind", json!("CHAIN")),
            ("gen_ai.operation.name", json!("invoke_workflow")),
            ("gen_ai.workflow.name", json!("entity_extraction")),
            ("sluicegate.environment", json!("pr")),
            ("sluicegate.line", json!(2)),
            ("sluicegate.line_status", json!("completed")),
            ("sluicegate.line_input_tokens", json!(120)),
            ("sluicegate.line_output_tokens", json!(8)),
            ("sluicegate.line_cost", json!(0.0125)),
            ("input.value", json!(r#"{"text":"text 2"}"#)),
            ("output.value", json!(r#"{"entities":"output 2"}"#)),
        ],
    );
}

#[test]
fn a_line_that_fails_says_why_and_the_others_do_not() {
    let spans = told(&three_lines().events);
    let failed = of_line(&spans, 1);
    let line = named(&failed, "entity_extraction");
    assert_eq!((line.status.as_str(), line.status_message.as_str()), ("ERROR", "rate limited: slow down"));
    check_attributes(
        line,
        &[
            ("error.type", json!("rate_limited")),
            ("sluicegate.line_status", json!("failed")),
            ("sluicegate.line_failed_node", json!("extract")),
        ],
    );
    assert_eq!(line.events[0].name, "exception");
    assert!(!line.attributes.contains_key("output.value"));
    assert!(of_line(&spans, 0).iter().chain(&of_line(&spans, 2)).all(|span| span.status == "UNSET"));
}

#[test]
fn the_batch_counts_its_lines() {
    let spans = told(&three_lines().events);
    let batch = spans.iter().find(|span| span.span_id == format!("{RUN:016x}")).unwrap();
    assert_eq!(batch.trace_id, format!("{TRACE:032x}"));
    check_attributes(
        batch,
        &[
            ("sluicegate.lines.total", json!(3)),
            ("sluicegate.lines.completed", json!(2)),
            ("sluicegate.lines.failed", json!(1)),
            ("sluicegate.run.status", json!("completed")),
        ],
    );
}

#[test]
fn a_line_is_linked_to_its_batch_recorded_or_not() {
    for is_recorded in [true, false] {
        let mut story = three_lines();
        for event in story.events.iter_mut().filter(|event| event.scope.line.is_none()) {
            event.trace.as_mut().unwrap().sampled = is_recorded;
        }
        let receiver = Receiver::start();
        let mut telemetry = Telemetry::start(settings(receiver.address()));
        story.events.iter().for_each(|event| telemetry.hear(event).unwrap());
        telemetry.finish().unwrap();
        let links = links(&receiver);
        assert_eq!(links.len(), if is_recorded { 10 } else { 9 });
        let of_lines: Vec<&Link> = links.iter().flat_map(|(_, links)| links).collect();
        assert_eq!(of_lines.len(), 3, "only a line's own span has one, and the batch's none");
        for link in of_lines {
            assert_eq!(link.trace_id, TRACE.to_be_bytes());
            assert_eq!(link.span_id, RUN.to_be_bytes());
            assert_eq!(link.flags & 1 == 1, is_recorded);
        }
        assert!(links.iter().all(|(name, links)| links.is_empty() || name == "entity_extraction"));
    }
}

#[test]
fn lines_that_share_span_ids_and_even_a_trace_are_not_mixed_up() {
    let mut story = three_lines();
    for event in story.events.iter_mut().filter(|event| event.scope.line.is_some()) {
        event.trace.as_mut().unwrap().trace_id = TRACE;
    }
    let spans = told(&story.events);
    assert_eq!(spans.len(), 10);
    for line in 0..3 {
        let of_line: Vec<&ReceivedSpan> =
            spans.iter().filter(|span| span.attributes.get("sluicegate.line") == Some(&json!(line))).collect();
        assert_eq!(of_line.len(), 3);
        assert!(of_line.iter().all(|span| span.status_message != "interrupted"));
    }
}

#[test]
fn repeats_of_a_line_are_told_apart() {
    let mut story = begin(1);
    for repeat in 0..2 {
        line_begins(&mut story, 0);
        story.events.last_mut().unwrap().scope.repeat = repeat;
    }
    for repeat in 0..2 {
        line_ends(&mut story, 0, LINE, outputs(u64::from(repeat)));
        story.events.last_mut().unwrap().scope.repeat = repeat;
    }
    end(&mut story, 2, 0);
    let spans = of_line(&told(&story.events), 0);
    let told: Vec<(Option<&Json>, &Json)> =
        spans.iter().map(|span| (span.attributes.get("sluicegate.repeat"), &span.attributes["output.value"])).collect();
    let output = |text: &str| json!(format!(r#"{{"entities":"{text}"}}"#));
    assert_eq!(told, [(None, &output("output 0")), (Some(&json!(1)), &output("output 1"))]);
}

#[test]
fn a_line_that_is_stopped_ends_what_is_inside_of_it() {
    let mut story = begin(2);
    (0..2).for_each(|line| line_begins(&mut story, line));
    (0..2).for_each(|line| node_and_call_begin(&mut story, line));
    line_ends(&mut story, 0, LINE, LineEnd::Cancelled);
    let ended = told(&story.events[..story.events.len()]);
    let stopped = of_line(&ended, 0);
    check_attributes(named(&stopped, "entity_extraction"), &[("sluicegate.line_status", json!("cancelled"))]);
    for (name, why) in
        [("entity_extraction", "cancelled"), ("extract", "interrupted"), ("chat gpt-4o-mini", "interrupted")]
    {
        assert_eq!(named(&stopped, name).status_message, why);
    }
    assert_eq!(of_line(&ended, 1).len(), 3, "what nobody ended is told when the listener is done");
}

#[test]
fn without_capture_no_content_of_a_line_leaves_the_machine() {
    let receiver = Receiver::start();
    let settings = TelemetrySettings { capture_content: false, ..settings(receiver.address()) };
    let mut telemetry = Telemetry::start(settings);
    three_lines().events.iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish().unwrap();
    assert_eq!(receiver.spans().len(), 10);
    let sent = receiver.requests().into_iter().map(|request| String::from_utf8_lossy(&request.body).into_owned());
    let sent: String = sent.collect();
    assert!(sent.contains("sluicegate.line_status") && sent.contains("rate_limited"));
    for content in ["text 0", "output 0", "slow down", "input.value", "output.value", "messages"] {
        assert!(!sent.contains(content), "`{content}` was sent");
    }
}

/// Line 0 is over and line 1 waits for its model when the process is killed; another one goes on with line 1.
fn resumed() -> (Story, usize) {
    let mut story = begin(2);
    (0..2).for_each(|line| line_begins(&mut story, line));
    line_ends(&mut story, 0, LINE, outputs(0));
    node_and_call_begin(&mut story, 1);
    let past = story.events.len();
    story.add(0x77, Some(RUN), "", EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 });
    in_line(&mut story, 1, AGAIN, Some(LINE), "", EventKind::LineResumed { repeated_calls: 1, repeated_nodes: 0 });
    let started = EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::Null };
    in_line(&mut story, 1, 5, Some(AGAIN), "extract", started);
    let over = EventKind::NodeFinished { outcome: completed("x"), usage: Usage::default() };
    in_line(&mut story, 1, 5, Some(AGAIN), "extract", over);
    line_ends(&mut story, 1, AGAIN, outputs(1));
    let lines = LineCounts { completed: 2, failed: 0, left: 0 };
    story.add(0x77, Some(RUN), "", EventKind::BatchFinished { lines });
    story.end_as(0x77, Some(RUN), RunStatus::Completed, None);
    (story, past)
}

#[test]
fn a_resumed_line_goes_on_in_its_own_trace() {
    let (story, past) = resumed();
    let spans = told_after(&story, past);
    let line = of_line(&spans, 1);
    let told: Vec<(&str, Option<&str>, &str)> =
        line.iter().map(|span| (span.name.as_str(), span.parent_id.as_deref(), span.status_message.as_str())).collect();
    let id = |span: u64| format!("{span:016x}");
    let (first, node, again) = (id(LINE), id(NODE), id(AGAIN));
    let expected = [
        ("extract", Some(&*again), ""),
        ("entity_extraction", None, "interrupted"),
        ("extract", Some(&*first), "interrupted"),
        ("chat gpt-4o-mini", Some(&*node), "interrupted"),
        ("entity_extraction", Some(&*first), ""),
    ];
    assert_eq!(told, expected);
    check_attributes(&line[4], &[("sluicegate.line_repeated_calls", json!(1)), ("sluicegate.line", json!(1))]);
    assert_eq!(of_line(&spans, 0), [], "the first process told of it");
    let batch = spans.iter().find(|span| span.span_id == format!("{:016x}", 0x77)).unwrap();
    check_attributes(batch, &[("sluicegate.lines.total", json!(2)), ("sluicegate.lines.completed", json!(2))]);
}

#[test]
fn the_past_of_lines_may_be_heard_one_by_one() {
    let (story, past) = resumed();
    let (before, now) = story.events.split_at(past);
    let is_of = |line| move |event: &&Event| event.scope.line == line;
    let receiver = Receiver::start();
    let mut telemetry = Telemetry::start(settings(receiver.address()));
    for line in [None, Some(1)] {
        telemetry.hear_past(&before.iter().filter(is_of(line)).cloned().collect::<Vec<_>>());
    }
    now.iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish().unwrap();
    assert_eq!(receiver.spans(), told_after(&story, past));
}

fn told_after(story: &Story, past: usize) -> Vec<ReceivedSpan> {
    let receiver = Receiver::start();
    let mut telemetry = Telemetry::start(settings(receiver.address()));
    let (before, now) = story.events.split_at(past);
    telemetry.hear_past(before);
    now.iter().for_each(|event| telemetry.hear(event).unwrap());
    telemetry.finish().unwrap();
    receiver.spans()
}

#[test]
fn a_line_that_begins_anew_does_so_in_another_trace() {
    let mut story = begin(1);
    line_begins(&mut story, 0);
    let past = story.events.len();
    story.add(0x77, Some(RUN), "", EventKind::RunResumed { repeated_calls: 0, repeated_nodes: 0 });
    line_begins(&mut story, 0);
    line_ends(&mut story, 0, LINE, outputs(0));
    for event in story.events[past..].iter_mut().filter(|event| event.scope.line.is_some()) {
        event.trace.as_mut().unwrap().trace_id = 0xa9a1;
    }
    let told: Vec<(String, String)> =
        told_after(&story, past).into_iter().map(|span| (span.trace_id, span.status_message)).take(2).collect();
    let of_past = (format!("{:032x}", trace_of(0)), "interrupted".to_owned());
    assert_eq!(told, [of_past, (format!("{:032x}", 0xa9a1), String::new())]);
}

/// A batch of so many lines with a node and a call each, 200 at a time.
pub(crate) fn many_lines(lines: u64) -> Vec<Event> {
    let mut story = begin(lines);
    let all: Vec<u64> = (0..lines).collect();
    for lines in all.chunks(200) {
        lines.iter().for_each(|line| line_begins(&mut story, *line));
        lines.iter().for_each(|line| node_and_call_begin(&mut story, *line));
        for line in lines {
            node_and_call_end(&mut story, *line, reply(), completed("Alice"));
            line_ends(&mut story, *line, LINE, outputs(*line));
        }
    }
    end(&mut story, lines, 0);
    story.events
}

#[test]
fn a_line_without_its_beginning_says_as_much_as_its_end_does() {
    let mut story = begin(1);
    line_ends(&mut story, 0, LINE, outputs(0));
    let spans = of_line(&told_with(&story.events, |settings| settings), 0);
    check_attributes(
        named(&spans, "entity_extraction"),
        &[("sluicegate.line", json!(0)), ("sluicegate.line_status", json!("completed"))],
    );
}
