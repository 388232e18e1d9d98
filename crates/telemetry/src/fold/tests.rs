//! What the fold keeps in memory.

use std::collections::HashSet;

use proptest::prelude::*;
use sluicegate_events::{BatchData, NodePath, Outcome, PlanHashes, RunId, Scope};
use sluicegate_value::Map;

use super::*;

const RUN: u64 = 1 << 40;

fn event(line: Option<u64>, span: u64, kind: EventKind) -> Event {
    let path = if matches!(kind, EventKind::NodeStarted { .. } | EventKind::NodeFinished { .. }) { "n" } else { "" };
    Event {
        seq: 1,
        at: Timestamp::UNIX_EPOCH,
        run: RunId("0193ab".into()),
        scope: Scope { line, path: NodePath::parse(path).unwrap_or_default(), ..Scope::default() },
        trace: Some(SpanRef {
            trace_id: line.map_or(1, |line| u128::from(line) + 2),
            span_id: span,
            parent_id: None,
            sampled: true,
        }),
        redacted: false,
        kind,
    }
}

/// A fold that has heard the beginning of a batch.
fn begun(lines: u64) -> SpanFold {
    let mut fold = SpanFold::new(Content { capture: true, limit: 100 }, 1_000_000);
    let started = EventKind::RunStarted {
        flow: "a".into(),
        flow_path: "/a".into(),
        environment: None,
        inputs: Map::new(),
        hashes: PlanHashes::default(),
        options: Map::new(),
    };
    let data = BatchData { lines, ..BatchData::default() };
    for kind in [started, EventKind::BatchStarted { data }] {
        fold.hear(&event(None, RUN, kind), &mut |_| {});
    }
    fold
}

fn line_started() -> EventKind {
    EventKind::LineStarted { inputs: Map::from([("text", "x")]) }
}

fn line_finished() -> EventKind {
    EventKind::LineFinished { end: LineEnd::Cancelled, usage: Usage::default(), cost: None }
}

fn node_started() -> EventKind {
    EventKind::NodeStarted { node_kind: "llm".into(), inputs: Value::Null }
}

fn node_finished() -> EventKind {
    EventKind::NodeFinished { outcome: Outcome::Cancelled, usage: Usage::default() }
}

#[test]
fn a_hundred_thousand_lines_leave_nothing_behind() {
    let lines = 100_000;
    let mut fold = begun(lines);
    let mut told = 0;
    for line in 0..lines {
        let mut hear = |span, kind| fold.hear(&event(Some(line), span, kind), &mut |_| told += 1);
        hear(1, line_started());
        hear(2, node_started());
        // Every third node is left open, as a crash of its worker may leave it.
        if line % 3 != 0 {
            hear(2, node_finished());
        }
        hear(1, line_finished());
        assert_eq!((fold.open.len(), fold.runs.len()), (1, 1), "the batch's own");
    }
    assert_eq!((told, fold.dropped), (2 * lines, 0));
}

proptest! {
    /// Lines at once, in any order, with spans that end, end twice, or do not end.
    #[test]
    fn every_span_is_told_once_and_none_stays(
        steps in prop::collection::vec((0u64..6, 2u64..6, any::<bool>()), 0..120)
    ) {
        let mut fold = begun(6);
        let (mut begun, mut told) = (HashSet::new(), Vec::new());
        let mut hear = |line, span, kind| {
            fold.hear(&event(Some(line), span, kind), &mut |span: SpanData| {
                told.push((span.span_context.trace_id(), span.span_context.span_id()));
            });
        };
        for line in 0..6 {
            hear(line, 1, line_started());
        }
        for (line, span, begins) in steps {
            if begins {
                // What ended does not begin again: the executor gives each span an id of its own.
                if begun.insert((line, span, true)) && !begun.contains(&(line, span, false)) {
                    hear(line, span, node_started());
                }
            } else if begun.contains(&(line, span, true)) && begun.insert((line, span, false)) {
                hear(line, span, node_finished());
            }
        }
        for line in 0..6 {
            hear(line, 1, line_finished());
        }
        let spans = 6 + begun.iter().filter(|(_, _, begins)| *begins).count();
        prop_assert_eq!(told.len(), spans);
        prop_assert_eq!(told.iter().collect::<HashSet<_>>().len(), spans);
        prop_assert_eq!(fold.open.len(), 1);
    }
}
