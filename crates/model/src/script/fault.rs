//! What goes wrong, and how a connection tells it.

use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::when::When;
use super::{Asked, Outcome};

/// An error as an endpoint tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the answer.
    pub status: u16,
    /// The error's code; `None`: the one that is usual for the status.
    pub code: Option<Arc<str>>,
    /// The parameter that it names.
    pub parameter: Option<Arc<str>>,
    /// Its words.
    pub message: Arc<str>,
    /// How long to wait.
    pub retry_after: Option<Duration>,
    /// Whether that is told in milliseconds alone.
    pub only_milliseconds: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) rate: Option<f64>,
    pub(super) times: Option<u32>,
    pub(super) when: Option<When>,
    pub(super) delay: Option<Duration>,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Debug)]
pub(super) enum FaultKind {
    Failure(Failure),
    Reset,
    Hang,
    Cut(usize),
    /// The reply comes, by the fault's own delay.
    Late,
}

impl Failure {
    /// An error of this status that says nothing else.
    #[must_use]
    pub fn new(status: u16, message: impl Into<Arc<str>>) -> Self {
        Self {
            status,
            code: None,
            parameter: None,
            message: message.into(),
            retry_after: None,
            only_milliseconds: false,
        }
    }

    /// The answer to a request for a model that is not served.
    #[must_use]
    pub fn unknown_model(model: &str) -> Self {
        Self::new(404, format!("the script has no model or deployment `{model}`"))
    }
}

impl<R> Outcome<R> {
    /// The reply.
    ///
    /// # Errors
    /// What came in place of one.
    pub fn into_reply(self) -> Result<R, Self> {
        match self {
            Self::Reply(reply) => Ok(reply),
            other => Err(other),
        }
    }
}

impl Fault {
    /// Whether the number of the attempt decides whether it strikes.
    pub(super) fn counts_attempts(&self) -> bool {
        self.times.is_some() || self.rate.is_some()
    }

    pub(super) fn strikes(&self, asked: &Asked<'_>, attempt: u32, dice: impl FnOnce() -> Dice) -> bool {
        self.times.is_none_or(|times| attempt <= times)
            && self.when.as_ref().is_none_or(|when| when.holds(asked))
            && self.rate.is_none_or(|rate| dice().share() < rate)
    }
}
