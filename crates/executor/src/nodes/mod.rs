//! What each kind of node does in one attempt. Kinds with a flow inside do nothing by themselves: progress opens them.

mod embedding;
mod expression;
mod failure;
mod http;
mod llm;
mod prompt;
pub(crate) mod prompty;
mod python;
pub(crate) mod shortfall;

use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::{Failure, Found, Outcome, Property};
use sluicegate_flow::plan::NodeKind;
use sluicegate_flow::template::{Binding, Nonce};
use sluicegate_model::ConnectionName;
use sluicegate_python::LineId;
use sluicegate_value::Value;

pub(crate) use failure::{AttemptFailure, Lost};

use crate::calls::Calls;
use crate::progress::{Inputs, NodeRef};

/// What a node made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Product {
    pub(crate) output: Value,
    /// Byte offsets after the colons of role headers that the author's template wrote.
    pub(crate) headers: Vec<u32>,
    /// Where ways into Python objects of the output lead.
    pub(crate) properties: Vec<Property>,
}

impl From<Value> for Product {
    fn from(output: Value) -> Self {
        Self { output, headers: Vec::new(), properties: Vec::new() }
    }
}

impl Product {
    pub(crate) fn completed(self) -> Outcome {
        let Self { output, headers, properties } = self;
        let is_object = |property: &Property| matches!(&property.found, Found::Value(value) if value.holds_handle());
        let opaque = output.holds_handle() || properties.iter().any(is_object);
        Outcome::Completed { output, headers, opaque, properties }
    }
}

/// Does one attempt of a node.
///
/// What calls somebody is large and boxed here, once: the future around it is moved several times before it is polled.
pub(crate) async fn attempt(
    at: &NodeRef,
    inputs: &Inputs,
    line: LineId,
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let node = at.node();
    let bindings: &[Binding] = &inputs.bindings;
    match &node.kind {
        NodeKind::Expression(kind) => expression::evaluate(kind, bindings),
        NodeKind::Prompt(template) => prompt::render(template, bindings),
        NodeKind::Llm(llm) => Box::pin(llm::ask(llm, node.on_filtered, bindings, calls)).await,
        NodeKind::Prompty(file) => Box::pin(prompty::ask(file, node.on_filtered, bindings, calls)).await,
        NodeKind::Http(http) => Box::pin(http::fetch(http, node.timeout, bindings, calls)).await,
        NodeKind::Embedding(kind) => Box::pin(embedding::embed(kind, bindings, calls)).await,
        NodeKind::Python(_) => Box::pin(python::call(at, inputs, line, calls)).await,
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

pub(crate) fn timed_out(after: Duration) -> Failure {
    Failure::new("timeout", format!("not done within {after:?}")).hint("give the node a longer `timeout`, or a `retry`")
}

/// A number that no data can know, for one render.
pub(crate) fn nonce() -> Nonce {
    Nonce(crate::spans::random())
}
