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

impl Exit {
    /// The graver of two: interrupted, failed, then what could not be judged at all (asked wrongly, it failed, the budget,
    /// invalid), then inconclusive.
    pub(crate) fn or_worse(self, other: Self) -> Self {
        if other.gravity() > self.gravity() { other } else { self }
    }

    fn gravity(self) -> u8 {
        gravity(self.code())
    }

    fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::GateFailed => 10,
            Self::GateInconclusive => 11,
            Self::GateInvalid => 12,
            Self::Budget => 13,
            Self::Interrupted => 130,
            Self::Script(code) | Self::Mapped(code) => code,
        }
    }
}

/// How grave an exit code is; 0 for what is well.
pub(crate) fn gravity(code: u8) -> u8 {
    // The gate's own order within one evaluation, with what kept it from judging right below a shown failure.
    let order = [0, 11, 12, 13, 1, 2, 10, 130];
    // Codes that a caller chose in place of these are not well either.
    order.iter().position(|known| *known == code).map_or(1, |place| place as u8)
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_graver_code_is_kept() {
        let worst = |all: &[Exit]| all.iter().copied().fold(Exit::Done, Exit::or_worse);
        assert_eq!(worst(&[Exit::GateInconclusive, Exit::GateFailed, Exit::GateInvalid]), Exit::GateFailed);
        assert_eq!(worst(&[Exit::GateInconclusive, Exit::Budget, Exit::GateInvalid]), Exit::Budget);
        assert_eq!(worst(&[Exit::Done, Exit::Mapped(7), Exit::Mapped(0)]), Exit::Mapped(7));
        assert_eq!(worst(&[Exit::GateFailed, Exit::Interrupted, Exit::Misused]), Exit::Interrupted);
        assert_eq!(worst(&[]), Exit::Done);
    }
}
