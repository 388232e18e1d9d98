//! What each kind of node does in one attempt. Kinds with a flow inside do nothing by themselves: progress opens them.

mod expression;
mod llm;
mod prompt;
mod prompty;
mod python;

use sluicegate_events::Failure;
use sluicegate_flow::plan::NodeKind;
use sluicegate_flow::template::{Binding, Nonce, RenderError};
use sluicegate_model::ModelError;
use sluicegate_value::Value;

use crate::calls::{self, Calls};
use crate::lookup;
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

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AttemptFailure {
    pub(crate) failure: Failure,
    /// Whether another attempt makes sense, if the node allows one.
    pub(crate) again: bool,
}

impl AttemptFailure {
    /// A failure that another attempt may avoid.
    pub(crate) fn passing(failure: Failure) -> Self {
        Self { failure, again: true }
    }

    /// A failure that stays.
    pub(crate) fn lasting(failure: Failure) -> Self {
        Self { failure, again: false }
    }

    /// What a connection failed with after so many attempts. What it has repeated in vain is not repeated once more by
    /// the node; what it leaves alone, such as a reply that makes no sense, is.
    pub(crate) fn of_model(error: &ModelError, attempts: u32) -> Self {
        let again = matches!(error, ModelError::Malformed { .. }) || (error.is_transient() && attempts <= 1);
        Self { failure: calls::model_failure(error, attempts), again }
    }

    pub(crate) fn of_render(error: &RenderError) -> Self {
        Self::passing(lookup::render_failure("template", error))
    }

    /// A failure inside of a node's flow, of which only what events tell is left.
    pub(crate) fn of_inside(failure: Failure) -> Self {
        let is_transient =
            matches!(&*failure.code, "rate_limited" | "server_failed" | "unreachable" | "timed_out" | "stream_broken");
        let lasts = matches!(
            &*failure.code,
            "no_such_connection"
                | "misconfigured"
                | "unsupported"
                | "key_refused"
                | "unknown_model"
                | "rejected"
                | "too_long"
                | "filtered"
                | "unscripted"
                | "python_missing"
                | "input"
                | "reference"
        );
        let given_up = is_transient && calls::was_given_up(&failure);
        Self { failure, again: !(lasts || given_up) }
    }
}

/// Does one attempt of a node.
pub(crate) async fn attempt(
    node: &NodeRef,
    inputs: &[Binding],
    calls: &mut Calls<'_>,
) -> Result<Product, AttemptFailure> {
    match &node.node().kind {
        NodeKind::Expression(kind) => expression::evaluate(kind, inputs),
        NodeKind::Prompt(template) => prompt::render(template, inputs),
        NodeKind::Llm(llm) => llm::ask(llm, inputs, calls).await,
        NodeKind::Prompty(file) => prompty::ask(file, inputs, calls).await,
        NodeKind::Python(python) => python::call(python),
        NodeKind::Flow(_) | NodeKind::Map(_) | NodeKind::Loop(_) => {
            Err(AttemptFailure::lasting(Failure::new("internal", "a node with a flow inside does nothing by itself")))
        }
    }
}

/// A number that no data can know, for one render.
fn nonce() -> Nonce {
    Nonce(crate::spans::random())
}
