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
    /// The gate: a rule is shown not to hold.
    GateFailed,
    /// The gate: the evidence is too thin, and the policy does not let that pass.
    GateInconclusive,
    /// The gate: the evidence cannot be used.
    GateInvalid,
    /// What calls may cost was reached before the end.
    Budget,
    /// Ctrl-C.
    Interrupted,
    /// What a script of the user's own ended with.
    Script(u8),
    /// What the caller wants to see in place of another code.
    Mapped(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Misused => 2,
            Exit::GateFailed => 10,
            Exit::GateInconclusive => 11,
            Exit::GateInvalid => 12,
            Exit::Budget => 13,
            Exit::Interrupted => 130,
            Exit::Script(code) | Exit::Mapped(code) => code,
        })
    }
}
