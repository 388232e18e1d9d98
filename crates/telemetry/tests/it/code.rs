//! Spans of nodes' own code (`@trace`).

use sluicegate_events::{EventKind, Failure};
use sluicegate_value::{Map, Value};

use crate::sample::{RUN, Story, named, told};

fn started(name: &str, inputs: Value) -> EventKind {
    let attributes = Map::from([
        ("team", Value::from("a")),
        ("openinference.span.kind", Value::from("forged")),
        ("sluicegate.run.id", Value::from("forged")),
        ("sluicegate.node.path", Value::from("forged")),
    ]);
    EventKind::SpanStarted { name: name.into(), span_type: "Retrieval".into(), inputs, attributes }
}

#[test]
fn what_code_traces_stands_below_its_node_with_inputs_output_and_error() {
    let mut story = Story::new();
    story.begin();
    story.add(
        2,
        Some(RUN),
        "n",
        EventKind::NodeStarted { node_kind: "python".into(), inputs: Value::from(Map::new()) },
    );
    story.add(3, Some(2), "n", started("search", Map::from([("q", "tides")]).into()));
    story.add(4, Some(3), "n", started("inner", Value::Null));
    let failure = Some(Failure::new("python", "(ValueError) no"));
    story.add(4, Some(3), "n", EventKind::SpanFinished { output: Value::Null, failure, attributes: Map::new() });
    let attributes = Map::from([("hits", Value::from(3_i64))]);
    story.add(3, Some(2), "n", EventKind::SpanFinished { output: Value::from("found"), failure: None, attributes });
    let spans = told(&story.events);
    let search = named(&spans, "search");
    assert_eq!(search.parent_id.as_deref(), Some("0000000000000002"));
    assert_eq!(named(&spans, "inner").parent_id.as_ref(), Some(&search.span_id));
    let attribute = |name: &str| search.attributes.get(name).map(ToString::to_string).unwrap_or_default();
    assert_eq!(attribute("openinference.span.kind"), "\"RETRIEVER\"");
    assert_eq!(attribute("sluicegate.run.id"), "\"0193ab\"");
    assert_eq!(attribute("sluicegate.node.path"), "\"n\"");
    assert_eq!(attribute("input.value"), r#""{\"q\":\"tides\"}""#);
    assert_eq!(attribute("output.value"), "\"found\"");
    assert_eq!((attribute("team").as_str(), attribute("hits").as_str()), ("\"a\"", "3"));
    assert_eq!(named(&spans, "inner").status, "ERROR");
}
