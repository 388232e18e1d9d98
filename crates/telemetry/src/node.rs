//! Attributes that say where a span belongs, and what a node is and came to.

use std::sync::Arc;

use opentelemetry::StringValue;
use sluicegate_events::{Event, NodePath, Outcome, PathStep};

use crate::attributes::{Attributes, Content};
use crate::names;
use crate::open::OpenSpan;

/// Where a span belongs. Last of what it begins with: an author's code may have set the same names before.
pub(crate) fn describe_place(attributes: &mut Attributes, event: &Event) {
    attributes.set(names::RUN_ID, Arc::clone(&event.run.0));
    attributes.set_count(names::LINE, event.scope.line);
    if event.scope.repeat != 0 {
        attributes.set(names::REPEAT, i64::from(event.scope.repeat));
    }
    if !event.scope.path.is_root() {
        attributes.set(names::NODE_PATH, told_path(&event.scope.path));
    }
}

/// A node's path; that of a node of the flow itself is its name, which is shared.
fn told_path(path: &NodePath) -> StringValue {
    match &*path.0 {
        [PathStep { node, index: None }] if !node.0.contains(['/', '[', '\\']) => Arc::clone(&node.0).into(),
        _ => path.to_string().into(),
    }
}

/// What came of a node.
pub(crate) fn describe_outcome(open: &mut OpenSpan, content: Content, event: &Event, outcome: &Outcome) {
    open.attributes.set(names::NODE_ATTEMPTS, i64::from(event.scope.attempt));
    let word = match outcome {
        Outcome::Completed { output, .. } => {
            open.attributes.set_content(content, (names::OUTPUT_VALUE, names::OUTPUT_MIME_TYPE), output);
            "completed"
        }
        Outcome::Bypassed => "bypassed",
        Outcome::Failed { failure } => {
            open.fail(event.at, content, failure);
            "failed"
        }
        Outcome::Waiting { .. } => "waiting",
        Outcome::Cancelled => {
            open.stop("cancelled");
            "cancelled"
        }
    };
    open.attributes.set(names::NODE_OUTCOME, word);
    open.attributes.set(names::NODE_BYPASSED, matches!(outcome, Outcome::Bypassed));
}

/// OpenInference's word for a span of a node's own code, by prompt flow's type of it.
pub(crate) fn code_span_kind(span_type: &str) -> &'static str {
    match span_type {
        "Tool" => "TOOL",
        "LLM" => "LLM",
        "Embedding" => "EMBEDDING",
        "Retrieval" => "RETRIEVER",
        _ => "CHAIN",
    }
}

/// OpenInference's word for a node's kind. An `llm` node is a chain: the call inside it is the `LLM`; so are nodes around an
/// HTTP call or an embedding.
pub(crate) fn span_kind(node_kind: &str) -> &'static str {
    match node_kind {
        "prompt" => "PROMPT",
        "python" | "expression" => "TOOL",
        _ => "CHAIN",
    }
}
