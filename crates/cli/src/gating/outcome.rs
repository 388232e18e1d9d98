//! The exit code of a verdict, and what a build that knows 0 and 1 only makes of it.

use std::str::FromStr;

use sluicegate_gate::Decision;

use crate::exit::Exit;

/// One code in place of another: `11=1`, or `inconclusive=1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExitRule {
    from: u8,
    to: u8,
}

/// The codes of verdicts, as a rule may name them. An interruption (130) is not among them: it is no verdict.
const VERDICTS: [(&str, u8); 4] = [("fail", 10), ("inconclusive", 11), ("invalid", 12), ("aborted", 13)];

impl FromStr for ExitRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once('=').ok_or_else(|| "write CODE=CODE, such as 11=1".to_owned())?;
        let from = from.trim();
        let code = VERDICTS.iter().find(|(word, code)| *word == from || code.to_string() == from);
        let (_, from) = code.ok_or_else(|| {
            format!("`{from}` is no verdict's code: there are 10 (fail), 11 (inconclusive), 12 (invalid), 13 (aborted)")
        })?;
        let to = to.trim().parse().map_err(|_| format!("`{}` is no exit code: write 0 to 255", to.trim()))?;
        Ok(Self { from: *from, to })
    }
}

/// How a command ends that came to a decision. `zero` is for those who only want the report; an interruption stays one.
pub(super) fn exit_of(decision: &Decision, zero: bool, rules: &[ExitRule]) -> Exit {
    let code = decision.exit_code;
    if let Some(rule) = rules.iter().rev().find(|rule| rule.from == code) {
        return Exit::Mapped(rule.to);
    }
    match code {
        0 => Exit::Done,
        130 => Exit::Interrupted,
        _ if zero => Exit::Done,
        10 => Exit::GateFailed,
        11 => Exit::GateInconclusive,
        13 => Exit::Budget,
        // A code that a newer program may write says no less than that it did not pass.
        _ => Exit::GateInvalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: u8, zero: bool, rules: &str, expected: Exit) {
        let rules: Vec<ExitRule> =
            rules.split(',').filter(|rule| !rule.is_empty()).map(|rule| rule.parse().expect("a rule")).collect();
        let decision = Decision { exit_code: code, ..Decision::default() };
        assert_eq!(exit_of(&decision, zero, &rules), expected);
    }

    #[test]
    fn each_verdict_has_its_code() {
        for (code, exit) in [
            (0, Exit::Done),
            (10, Exit::GateFailed),
            (11, Exit::GateInconclusive),
            (12, Exit::GateInvalid),
            (13, Exit::Budget),
            (130, Exit::Interrupted),
            (77, Exit::GateInvalid),
        ] {
            check(code, false, "", exit);
        }
    }

    #[test]
    fn a_build_that_knows_two_codes_gets_two() {
        check(11, false, "10=1,inconclusive=1,12 = 1", Exit::Mapped(1));
        check(10, true, "10=1", Exit::Mapped(1));
        check(12, true, "10=1", Exit::Done);
        check(130, true, "", Exit::Interrupted);
    }

    #[test]
    fn what_is_no_verdict_is_not_mapped() {
        for text in ["130=0", "0=1", "pass=1", "11", "11=256", "11=-1"] {
            assert!(text.parse::<ExitRule>().is_err(), "{text}");
        }
    }
}
