//! Events: who says what, when and where.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluicegate_model::TraceContext;

use crate::{EventKind, Scope};

/// The name of one run: sortable by time, unique without a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Arc<str>);

impl RunId {
    /// A new id (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number in the run, from 1, without gaps among recorded events; 0 for ephemeral ones.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// In which run.
    pub run: RunId,
    /// Where in it.
    #[serde(flatten)]
    pub scope: Scope,
    /// The span that it begins, ends or belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<SpanRef>,
    /// Whether a secret was taken out of it, so that what it holds is not what the run went on with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// A span, as the executor made it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpanRef {
    /// The trace.
    #[serde(with = "crate::hex::of_u128")]
    pub trace_id: u128,
    /// The span.
    #[serde(with = "crate::hex::of_u64")]
    pub span_id: u64,
    /// The span that it is inside of; `None` for a trace's first.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "crate::hex::of_optional_u64")]
    pub parent_id: Option<u64>,
    /// Whether it is recorded.
    pub sampled: bool,
}

impl SpanRef {
    /// The same place as it travels to endpoints.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        TraceContext { trace_id: self.trace_id, span_id: self.span_id, sampled: self.sampled }
    }
}

#[cfg(test)]
mod tests;
