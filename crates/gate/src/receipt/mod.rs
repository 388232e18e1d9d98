//! The receipt: the record of a decision. All that people and machines read of it is made from here.
//!
//! Two halves. [`Decision`] is what was decided, from what, by which rules; its hash ([`Receipt::decision_hash`]) is the
//! same whenever the same evidence is judged by the same policy. [`About`] is when, where and for how much.

mod hash;
mod measured;
mod read;

pub use measured::{
    BaselineInfo, BaselineKind, CaseRegression, Costs, Hashes, Integrity, Latencies, MetricIntegrity, Needed,
    RuleResult, ScorePair, ServedModels, Unit,
};
pub use read::ReceiptError;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CaseKey, Evidence};

/// The format's name, by which a file is known to be a receipt.
pub const SCHEMA: &str = "sluicegate.receipt";
/// The format's version: a reader refuses a greater major, and ignores what a greater minor adds.
pub const VERSION: [u32; 2] = [1, 0];

/// The record of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`SCHEMA`].
    pub schema: String,
    /// Major and minor version of the format that it was written in.
    pub version: [u32; 2],
    /// SHA-256 over the decision, in hex. Ids, times, latencies, costs and places are not part of it.
    pub decision_hash: String,
    /// What was decided.
    pub decision: Decision,
    /// When, where and for how much.
    #[serde(default)]
    pub about: About,
    /// What the decision was made from, so that it can be made again; `None` if it was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What a newer minor version wrote here, kept as it is.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

/// What was decided, from what, by which rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Whether nothing had changed since the baseline, so that nothing was measured.
    #[serde(default)]
    pub unchanged: bool,
    /// Which look it was made at, of how many, where there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<[u32; 2]>,
    /// Whether the verdict keeps the caller from going on; a thin verdict may be one that only warns.
    pub blocks: bool,
    /// The exit code that belongs to it (10 fail, 11 inconclusive, 12 invalid, 13 aborted by budget, 130 interrupted).
    pub exit_code: u8,
    /// One sentence: what decided.
    pub headline: String,
    /// The flow.
    pub flow: String,
    /// The config environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Hashes of what went in.
    #[serde(default)]
    pub hashes: Hashes,
    /// What the candidate was compared with.
    #[serde(default)]
    pub baseline: BaselineInfo,
    /// How complete the evidence is.
    #[serde(default)]
    pub integrity: Integrity,
    /// The policy in its long form.
    #[serde(default)]
    pub policy: serde_json::Value,
    /// What became of each rule.
    #[serde(default)]
    pub rules: Vec<RuleResult>,
    /// Cases that got worse or that fail, the worst first.
    #[serde(default)]
    pub regressions: Vec<CaseRegression>,
    /// How many such cases there are in all; `regressions` may hold the worst of them only.
    #[serde(default)]
    pub regressions_total: u64,
    /// What one should know besides.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// When, where and for how much; no part of the decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// The run that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The run or receipt of the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_run: Option<String>,
    /// When, as RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The commit of the candidate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Version of the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<String>,
    /// How old the baseline is, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_age_seconds: Option<f64>,
    /// Path of the data file, as its author would write it: annotations point into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_file: Option<String>,
    /// Path of the evaluation file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_file: Option<String>,
    /// Where the full report lies, for the shortened ones to point at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_url: Option<String>,
    /// What was spent.
    pub costs: Costs,
    /// How long answers took.
    pub latencies: Latencies,
    /// Traces of cases.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub traces: BTreeMap<CaseKey, String>,
}

/// What an evaluation comes to. Never collapsed into yes and no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every rule holds.
    Pass,
    /// A rule is shown not to hold.
    Fail,
    /// The evidence is too thin.
    Inconclusive,
    /// The evidence cannot be used: too many errors, no scores, a baseline of another kind.
    #[default]
    Invalid,
    /// Measuring ended before there was a decision.
    Aborted,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleVerdict {
    /// It holds.
    Pass,
    /// It is shown not to hold.
    Fail,
    /// The evidence is too thin.
    #[default]
    Inconclusive,
    /// There was nothing to hold it against.
    Skipped,
    /// It was judged, and may not block; see [`RuleResult::would_be`].
    Advisory,
}

impl Verdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Invalid => "invalid",
            Self::Aborted => "aborted",
        }
    }

    /// The exit code of a verdict that blocks; that of an interruption is 130 and known to the caller alone.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 10,
            Self::Inconclusive => 11,
            Self::Invalid => 12,
            Self::Aborted => 13,
        }
    }
}

impl RuleVerdict {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Skipped => "skipped",
            Self::Advisory => "advisory",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for RuleVerdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Receipt {
    /// A receipt of a decision, with its hash.
    #[must_use]
    pub fn new(decision: Decision, about: About, evidence: Option<Evidence>) -> Self {
        let evidence = evidence.map(Evidence::without_what_json_lacks);
        let decision_hash = hash::of(&decision);
        let unknown = serde_json::Map::new();
        Self { schema: SCHEMA.to_owned(), version: VERSION, decision_hash, decision, about, evidence, unknown }
    }

    /// The hash that its decision has now: another than [`Receipt::decision_hash`] if somebody changed it.
    #[must_use]
    pub fn computed_hash(&self) -> String {
        hash::of(&self.decision)
    }

    /// JSON on several lines, keys in a fixed order, with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps have text for keys and nothing here fails to be written; numbers that are not finite become `null`.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a receipt of this major version.
    ///
    /// # Errors
    /// Text that is no JSON, or no receipt, or one of a newer major version.
    pub fn from_json(text: &str) -> Result<Self, ReceiptError> {
        read::read(text)
    }
}
