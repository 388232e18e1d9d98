//! How nodes and runs end.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluicegate_value::Value;

use crate::Failure;

/// What came of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It gave an output.
    Completed {
        /// The output.
        output: Value,
        /// Where the output, a text made by a template, holds role headers of the author's own: byte offsets just after
        /// each header's colon.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<u32>,
        /// Whether it is or holds a Python object, so that a resume must run the node again if a successor needs it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        opaque: bool,
        /// What the ways into Python objects of the output lead to that others go, by how they are written: looked up
        /// where the objects live, while they did.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        properties: Vec<Property>,
    },
    /// Its condition did not hold, or all that it reads was bypassed.
    Bypassed,
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// It waits for something outside.
    Waiting {
        /// For what.
        wait_for: WaitFor,
    },
    /// It was stopped because another node failed or the run was interrupted; a resume runs it again.
    Cancelled,
}

/// What a way into an output leads to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Property {
    /// The way, as the flow writes it: `items[0].name`.
    pub path: Arc<str>,
    /// What is there, or why nothing is.
    #[serde(flatten)]
    pub found: Found,
}

/// What is at the end of a way into an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A value.
    Value(Value),
    /// Nothing: who reads it fails by this.
    Failure(Failure),
}

/// Where a node's own code prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What a node waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// Somebody's approval.
    Approval,
    /// An event of this name.
    Event(String),
    /// A time.
    Until(Timestamp),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every output is there.
    Completed,
    /// A node failed.
    Failed,
    /// Somebody stopped it; it can be resumed.
    Interrupted,
}

/// What must be the same when a run is resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanHashes {
    /// Of the plan and every file in it.
    pub plan: String,
    /// Of the settings that the flow sees, secrets masked.
    pub settings: String,
    /// The engine's version.
    pub engine: String,
}
