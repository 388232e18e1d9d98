//! What verdicts look like, in words, signs and colours.

use crate::{RuleVerdict, Verdict};

/// A sign for those who see colours, and for those who do not.
pub(super) fn sign(verdict: RuleVerdict) -> &'static str {
    match verdict {
        RuleVerdict::Pass => "✓",
        RuleVerdict::Fail => "✗",
        RuleVerdict::Inconclusive => "?",
        RuleVerdict::Skipped => "-",
        RuleVerdict::Advisory => "i",
    }
}

/// An emoji for Markdown.
pub(super) fn emoji(verdict: RuleVerdict) -> &'static str {
    match verdict {
        RuleVerdict::Pass => "✅",
        RuleVerdict::Fail => "❌",
        RuleVerdict::Inconclusive => "🟡",
        RuleVerdict::Skipped => "⚪",
        RuleVerdict::Advisory => "🔵",
    }
}

/// An emoji for a whole evaluation.
pub(super) fn verdict_emoji(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✅",
        Verdict::Fail => "❌",
        Verdict::Inconclusive => "🟡",
        Verdict::Invalid => "⛔",
        Verdict::Aborted => "⏹️",
    }
}

/// The verdict as a heading says it.
pub(super) fn title(verdict: Verdict, unchanged: bool) -> &'static str {
    match verdict {
        Verdict::Pass if unchanged => "Unchanged",
        Verdict::Pass => "Pass",
        Verdict::Fail => "Fail",
        Verdict::Inconclusive => "Inconclusive",
        Verdict::Invalid => "Invalid",
        Verdict::Aborted => "Aborted",
    }
}
