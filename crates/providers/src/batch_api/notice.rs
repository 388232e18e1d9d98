//! What is told of a batch on the way.

use std::fmt;
use std::sync::Arc;

/// How a batch stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchNotice {
    /// The connection by which it was submitted.
    pub connection: Arc<str>,
    /// Its id at the provider.
    pub batch: Arc<str>,
    /// How many calls it holds.
    pub calls: u64,
    /// How many of them are answered.
    pub completed: u64,
    /// How many of them failed.
    pub failed: u64,
    /// What happened.
    pub happened: BatchHappened,
}

/// What happened to a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchHappened {
    /// It was submitted.
    Submitted,
    /// One that an earlier process submitted is waited for again.
    Attached,
    /// It got on, or its status (as the provider spells it) is another.
    Progressed {
        /// `validating`, `in_progress`, `finalizing`, `cancelling`, …
        status: Arc<str>,
    },
    /// It is over.
    Ended {
        /// `completed`, `failed`, `expired` or `cancelled`.
        status: Arc<str>,
    },
    /// It cannot be looked at for the moment.
    Trouble {
        /// Why.
        message: Arc<str>,
    },
}

impl BatchHappened {
    /// One word for machines.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Attached => "attached",
            Self::Progressed { .. } => "progressed",
            Self::Ended { .. } => "ended",
            Self::Trouble { .. } => "trouble",
        }
    }
}

impl fmt::Display for BatchNotice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, batch, calls, completed, failed, happened } = self;
        write!(out, "provider batch {batch}")?;
        match happened {
            BatchHappened::Submitted => {
                let calls = if *calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
                return write!(out, ": {calls} submitted by `{connection}`");
            }
            BatchHappened::Attached => return write!(out, ": waiting for it again"),
            BatchHappened::Trouble { message } => {
                return write!(out, " cannot be looked at, and goes on all the same: {message}");
            }
            BatchHappened::Progressed { .. } => write!(out, ": {completed} of {calls} done")?,
            BatchHappened::Ended { status } => write!(out, " {status}: {completed} of {calls} done")?,
        }
        if *failed > 0 {
            write!(out, ", {failed} failed")?;
        }
        match happened {
            BatchHappened::Progressed { status } if &**status != "in_progress" => write!(out, " ({status})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_one_line() {
        let check = |happened, expected: &str| {
            let (connection, batch) = ("aoai".into(), "batch_1".into());
            let notice = BatchNotice { connection, batch, calls: 5000, completed: 1200, failed: 3, happened };
            assert_eq!(notice.to_string(), expected);
        };
        check(BatchHappened::Submitted, "provider batch batch_1: 5000 calls submitted by `aoai`");
        let progressed = |status: &str| BatchHappened::Progressed { status: status.into() };
        check(progressed("in_progress"), "provider batch batch_1: 1200 of 5000 done, 3 failed");
        check(progressed("finalizing"), "provider batch batch_1: 1200 of 5000 done, 3 failed (finalizing)");
        let ended = BatchHappened::Ended { status: "expired".into() };
        check(ended, "provider batch batch_1 expired: 1200 of 5000 done, 3 failed");
    }
}
