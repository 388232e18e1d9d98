//! Events as earlier versions wrote them: every later version reads them, and writes them as they were.

use sluicegate_events::{Event, EventKind, Operation, RunStatus, RunSummary};

/// A run of two llm nodes, a conversation and a text to complete, by a version that knew no embeddings and no filters.
const BEFORE_EMBEDDINGS: &str = include_str!("data/events-before-embeddings.jsonl");

fn events() -> Vec<Event> {
    BEFORE_EMBEDDINGS
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn events_of_before_come_back_as_they_were_written() {
    for (event, line) in events().iter().zip(BEFORE_EMBEDDINGS.lines()) {
        assert_eq!(serde_json::to_string(event).unwrap(), line);
    }
}

#[test]
fn a_call_of_before_is_known_by_its_request() {
    let operations: Vec<_> = events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ModelCallStarted { operation, request, .. } => {
                Some((*operation, Operation::of_request(request)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(operations, [(None, Operation::Chat), (None, Operation::TextCompletion)]);
}

#[test]
fn a_run_of_before_is_summed_up() {
    let summary = RunSummary::of(&events());
    assert_eq!((summary.status, summary.usage().total()), (Some(RunStatus::Completed), Some(10)));
    let nodes: Vec<_> = summary
        .nodes
        .iter()
        .map(|(path, node)| (path.to_string(), node.calls, node.repeated_attempts, node.filter.is_some()))
        .collect();
    assert_eq!(nodes, [("a".to_owned(), 1, 0, false), ("b".to_owned(), 1, 1, false)]);
}
