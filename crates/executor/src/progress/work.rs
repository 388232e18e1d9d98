//! What [`Progress`](super::Progress) asks for and answers with.

use std::sync::Arc;

use sluicegate_events::{Failure, NodePath, WaitFor};
use sluicegate_flow::plan::{Node, NodeId, Plan};
use sluicegate_flow::template::Binding;
use sluicegate_value::{Map, Value};

/// A node of a plan, together with the plan.
#[derive(Clone, Debug)]
pub struct NodeRef {
    /// The plan that has it; of a nested flow, the inner one.
    pub plan: Arc<Plan>,
    /// Which node of it.
    pub id: NodeId,
}

impl NodeRef {
    /// The node.
    #[must_use]
    pub fn node(&self) -> &Node {
        self.plan.node(self.id)
    }
}

/// Something to be done now. Each is handed out once; the event that tells of it is what changes the state.
#[derive(Clone, Debug)]
pub enum Work {
    /// Begin an attempt of a node. Of a node with a flow inside (`flow`, `map`, `loop`) that is all: its own nodes
    /// follow as work, and a `Finish` or `Fail` at the end.
    Start(Start),
    /// The node does not run: `NodeFinished` with `Bypassed`.
    Bypass {
        /// Which node.
        path: NodePath,
        /// The node.
        node: NodeRef,
        /// Its last attempt; 0 unless a resumed run decides otherwise than its past did.
        attempt: u32,
    },
    /// All is done inside a node with a flow inside: `NodeFinished` with `Completed`.
    Finish {
        /// Which node.
        path: NodePath,
        /// The node.
        node: NodeRef,
        /// Its last attempt.
        attempt: u32,
        /// Its output.
        output: Value,
    },
    /// The node has failed without doing anything (a bad property, the loop's limit, a list that is none), or
    /// something inside it has.
    Fail {
        /// Which node.
        path: NodePath,
        /// The node.
        node: NodeRef,
        /// Its last attempt; 0 if it never began.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// Stop what runs here: `NodeFinished` with `Cancelled`. When its end is already on its way, that end counts.
    Cancel {
        /// Which node.
        path: NodePath,
    },
}

/// A node to begin.
#[derive(Clone, Debug)]
pub struct Start {
    /// Which node.
    pub path: NodePath,
    /// The node.
    pub node: NodeRef,
    /// The number of the attempt to begin, from 1; more than that when a run is resumed.
    pub attempt: u32,
    /// Its inputs.
    pub inputs: Inputs,
    /// What came with the event that the node had waited for.
    pub received: Option<Value>,
}

/// What a node takes.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// All of them, in the order of the file.
    pub bindings: Arc<[Binding]>,
    /// Those among them that are `null` only because what they read was bypassed, or was not given and need not be: a
    /// Python function with a default of its own does not get them.
    pub absent: Arc<[Arc<str>]>,
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq)]
pub struct LineOutcome {
    /// The outputs, or what stopped it.
    pub result: Result<Map, LineFailure>,
    /// What failed among the aggregation nodes. It does not fail the line (spec: promptflow.md §3).
    pub aggregation_failure: Option<LineFailure>,
}

/// What stopped a line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFailure {
    /// The node that failed first; the root when it was an output of the flow.
    pub path: NodePath,
    /// Why.
    pub failure: Failure,
}

/// A node that waits for something outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Which node.
    pub path: NodePath,
    /// For what.
    pub wait_for: WaitFor,
}

/// An event that cannot follow those before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {seq} is out of order: {message}")]
pub struct OutOfOrder {
    /// The event's number.
    pub seq: u64,
    /// Why it cannot be.
    pub message: String,
}
