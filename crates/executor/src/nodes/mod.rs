//! What each kind of node does in one attempt. Kinds with a flow inside do nothing by themselves: progress opens them.

mod embedding;
mod expression;
mod failure;
mod http;
mod llm;
mod prompt;
mod prompty;
mod python;
mod shortfall;

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::NodeKind;
use sluicegate_flow::template::{Binding, Nonce};
use sluicegate_model::ConnectionName;
use sluicegate_value::Value;

pub(crate) use failure::AttemptFailure;

use crate::calls::Calls;
use crate::progress::NodeRef;

/// What a node made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) output: Value,
    /// Byte offsets after the colons of role headers that the author's template wrote.
    pub(crate) headers: Vec<u32>,
}

impl From<Value> for Product {
    fn from(output: Value) -> Self {
        Self { output, headers: Vec::new() }
    }
}

/// Does one attempt of a node.
pub(crate) async fn attempt(
    node: &NodeRef,
    inputs: &[Binding],
    calls: &mut Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let node = node.node();
    match &node.kind {
        NodeKind::Expression(kind) => expression::evaluate(kind, inputs),
        NodeKind::Prompt(template) => prompt::render(template, inputs),
        NodeKind::Llm(llm) => llm::ask(llm, node.on_filtered, inputs, calls).await,
        NodeKind::Prompty(file) => prompty::ask(file, node.on_filtered, inputs, calls).await,
        NodeKind::Http(http) => http::fetch(http, node.timeout, inputs, calls).await,
        NodeKind::Embedding(kind) => embedding::embed(kind, inputs, calls).await,
        NodeKind::Python(python) => python::call(python),
        NodeKind::Flow(_) | NodeKind::Map(_) | NodeKind::Loop(_) => {
            Err(AttemptFailure::lasting(Failure::new("internal", "a node with a flow inside does nothing by itself")))
        }
    }
}

/// The deployment or model among a node's inputs.
fn named_model(inputs: &[(Arc<str>, Value)]) -> Result<&str, AttemptFailure> {
    let given = |name: &str| inputs.iter().find(|(key, _)| &**key == name).map(|(_, value)| value);
    given("deployment_name").or_else(|| given("model")).and_then(Value::as_str).ok_or_else(|| {
        AttemptFailure::lasting(
            Failure::new("input", "no deployment or model is named")
                .hint("give the node an input `deployment_name` or `model`, or set `deployment_name` in the config"),
        )
    })
}

fn named_connection(connection: Option<&ConnectionName>) -> Result<&ConnectionName, AttemptFailure> {
    connection.ok_or_else(|| {
        AttemptFailure::lasting(
            Failure::new("misconfigured", "the node names no connection")
                .hint("write `connection:` into the node, or `connection_name` into the config"),
        )
    })
}

/// A number that no data can know, for one render.
fn nonce() -> Nonce {
    Nonce(crate::spans::random())
}
