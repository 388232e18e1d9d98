//! Exit codes: a documented list that a build can trust.

use std::process::ExitCode;

/// How a command ended, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// It ran and failed: a node, or the journal.
    Failed,
    /// It was asked wrongly: flags, config, or the flow's files.
    Misused,
    /// What calls may cost was reached before the end.
    Budget,
    /// Ctrl-C.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Misused => 2,
            Exit::Budget => 13,
            Exit::Interrupted => 130,
        })
    }
}
