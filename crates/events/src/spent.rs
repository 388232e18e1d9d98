//! What model calls used and cost: one rule for nodes, runs and lists of runs.

use sluicegate_model::Usage;

use crate::{CallEnd, EventKind};

/// What model calls used and cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spent {
    /// Tokens.
    pub usage: Usage,
    /// US dollars: 0 where nothing was asked, and `None`, unknown, as soon as one reply has no price.
    pub cost: Option<f64>,
}

impl Default for Spent {
    fn default() -> Self {
        Self { usage: Usage::default(), cost: Some(0.0) }
    }
}

impl Spent {
    /// What a model call used and cost, if `kind` is the reply that ended it.
    #[must_use]
    pub fn of(kind: &EventKind) -> Option<Self> {
        match kind {
            EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, cost, .. } => {
                Some(Self { usage: reply.usage, cost: *cost })
            }
            _ => None,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self { usage: self.usage.plus(&other.usage), cost: self.cost.zip(other.cost).map(|(one, two)| one + two) }
    }
}
