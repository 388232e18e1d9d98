//! What model calls used and cost: one rule for nodes, runs and lists of runs.

use sluicegate_model::{ChatReply, FilterState, Usage};

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
            // A stopped request of which the endpoint says no tokens is like one that failed: nothing is known of it.
            EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, .. }
                if reply.usage == Usage::default() && is_stopped(reply) =>
            {
                None
            }
            EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, cost, .. } => {
                Some(Self { usage: reply.usage, cost: *cost })
            }
            EventKind::ModelCallFinished { end: CallEnd::Embedded { reply }, cost, .. } => {
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

/// Whether a content filter kept the request from the model.
fn is_stopped(reply: &ChatReply) -> bool {
    reply.filter.as_ref().is_some_and(|filter| filter.state == FilterState::Input)
}
