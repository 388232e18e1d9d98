//! What was measured: of the baseline, of the evidence as a whole, of each rule, of single cases, of money and time.

use serde::{Deserialize, Serialize};

use super::RuleVerdict;
use crate::score::is_zero;
use crate::{CaseKey, MetricName, Outcome, Place};

/// Hashes of what went in; `None` for what there is not. Equal hashes mean that nothing has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hashes {
    /// The data file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The flow's plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Its prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<String>,
    /// The evaluators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluators: Option<String>,
    /// Models and prompts of the judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<String>,
    /// The policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

impl Hashes {
    /// The names of what differs from `other`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("data", &self.data, &other.data),
            ("plan", &self.plan, &other.plan),
            ("prompts", &self.prompts, &other.prompts),
            ("evaluators", &self.evaluators, &other.evaluators),
            ("judge", &self.judge, &other.judge),
            ("policy", &self.policy, &other.policy),
        ];
        parts.into_iter().filter(|(_, mine, theirs)| mine != theirs).map(|(name, ..)| name).collect()
    }
}

/// What the candidate was compared with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BaselineInfo {
    /// Where it comes from.
    pub kind: BaselineKind,
    /// Its commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The commit that was wanted, where another one had to do (a shallow clone, say).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wanted_commit: Option<String>,
    /// What differs between the arms: `plan`, `prompts`, `data`, `judge`, ….
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Which models answered, where they differ between the arms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served_models: Option<ServedModels>,
    /// Cases that both arms have.
    pub common_cases: u64,
    /// What one should know of it, such as why there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Where a baseline comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaselineKind {
    /// There is none.
    #[default]
    None,
    /// The merge base's stored receipt.
    MergeBaseReceipt,
    /// Another receipt that was named.
    NamedReceipt,
    /// The merge base was run beside the candidate.
    BothArms,
}

impl BaselineInfo {
    /// Notes which models answered in the arms, where both are known and differ; where `compatible_on` names
    /// `served_model`, the arms are not compared then.
    pub fn served(&mut self, baseline: Option<&str>, candidate: Option<&str>, compatible_on: &[String]) {
        let (Some(baseline), Some(candidate)) = (baseline, candidate) else { return };
        if baseline == candidate {
            return;
        }
        self.served_models = Some(ServedModels { baseline: baseline.to_owned(), candidate: candidate.to_owned() });
        let word = "served_model";
        if compatible_on.iter().any(|part| part == word) && !self.changed.iter().any(|part| part == word) {
            self.changed.push(word.to_owned());
        }
    }
}

/// Which models answered in the two arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedModels {
    /// In the baseline.
    pub baseline: String,
    /// In the candidate.
    pub candidate: String,
}

/// How complete the evidence is. Cases count once, however often they were repeated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Integrity {
    /// All cases.
    pub cases: u64,
    /// Cases with every score that they should have.
    pub scored: u64,
    /// Cases without a score that they should have, whatever the reason.
    pub missing: u64,
    /// Cases that failed for reasons that have nothing to do with quality.
    pub errors: u64,
    /// Cases in which the filter itself failed; they are among `errors` too.
    pub filter_failed: u64,
    /// Cases whose question a content filter refused.
    pub filtered_input: u64,
    /// Cases whose answer a content filter kept back.
    pub filtered_output: u64,
    /// Cases that a judge read without giving a score.
    pub unscored: u64,
    /// Share of cases that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_share: Option<f64>,
    /// The limit of that share, as the policy writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error_limit: String,
    /// Each metric: with what is missing left out, and with it at its worst.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricIntegrity>,
}

/// A metric, reported both ways.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricIntegrity {
    /// The metric.
    pub metric: MetricName,
    /// Cases with a score.
    pub n: u64,
    /// Cases without.
    pub missing: u64,
    /// The mean over cases with a score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The mean if every missing score were the worst possible; `None` if the scale has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_case: Option<f64>,
}

/// What became of one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleResult {
    /// The rule's name.
    pub id: String,
    /// Its kind, as [`crate::Check::kind`] calls it.
    pub kind: String,
    /// Its metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricName>,
    /// Its `where`.
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// What became of it.
    pub verdict: RuleVerdict,
    /// What an advisory rule would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<RuleVerdict>,
    /// Whether it keeps the evaluation from passing.
    pub blocks: bool,
    /// In what the numbers are counted.
    pub unit: Unit,
    /// What was measured: a mean, a count, a percentile; for comparisons the mean paired difference, candidate minus
    /// baseline, turned where less is better, so that below zero is always worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<f64>,
    /// The same in the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_estimate: Option<f64>,
    /// The same in the candidate, where the estimate is a difference or a ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate_estimate: Option<f64>,
    /// How many cases it rests on.
    pub n: u64,
    /// Standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// Upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Confidence of each bound alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// How the bounds were computed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The seed of what was drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// The comparator, as the policy writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub threshold: String,
    /// The comparator's number, in `unit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// How much worse is still as good, in the metric's own units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The metric's scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// How often luck alone would give so bad a result to a candidate that meets the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// The same, adjusted for the number of rules that block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_adjusted: Option<f64>,
    /// The smallest drop that this comparison sees four times out of five, in the metric's own units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// What would settle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<Needed>,
    /// One sentence for people.
    pub words: String,
    /// Paired differences, for drawing; at most [`RuleResult::MOST_DIFFERENCES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<f64>,
    /// Where the rule is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl RuleResult {
    /// How many paired differences are kept.
    pub const MOST_DIFFERENCES: usize = 1_000;

    /// Whether its numbers are times, which no two runs share.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.kind == "latency"
    }
}

/// In what a rule's numbers are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The metric's own.
    #[default]
    Score,
    /// A share of cases, from 0 to 1.
    Share,
    /// Cases.
    Cases,
    /// US dollars.
    Usd,
    /// Milliseconds.
    Milliseconds,
    /// A multiple of the baseline.
    Ratio,
}

/// What would settle a rule that is inconclusive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needed {
    /// So many more cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_cases: Option<u64>,
    /// Or so many repeats of each case, in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u64>,
    /// What the cheaper of both costs, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
}

/// A case that got worse, or that fails where none may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseRegression {
    /// The case.
    pub key: CaseKey,
    /// The line of the data file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// What the baseline gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_output: Option<String>,
    /// What the candidate gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_output: Option<String>,
    /// What became of the candidate's answer.
    pub outcome: Outcome,
    /// The metrics that got worse.
    #[serde(default)]
    pub scores: Vec<ScorePair>,
    /// The rules that it speaks against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// How many repeats of it pass, of how many; empty if there was one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_of: Option<[u32; 2]>,
    /// How often it was run again to confirm.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: u32,
}

/// One metric of a case in both arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePair {
    /// The metric.
    pub metric: MetricName,
    /// Its score in the baseline; `None` if it is missing or there is no baseline.
    #[serde(default)]
    pub baseline: Option<f64>,
    /// Its score in the candidate; `None` if it is missing.
    #[serde(default)]
    pub candidate: Option<f64>,
    /// Why, in the evaluator's words for the candidate.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What was spent, in US dollars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Costs {
    /// Billed, by the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_usd: Option<f64>,
    /// Billed, by judges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_usd: Option<f64>,
    /// What all of it costs at list price, answers from a cache included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list_usd: Option<f64>,
    /// Answers that came from a cache.
    pub cached: u64,
    /// Calls whose price is not known.
    pub unpriced: u64,
    /// The most that may be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_usd: Option<f64>,
}

/// How long answers of the target took, in milliseconds; those from a cache left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Latencies {
    /// Half of them at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// Nineteen of twenty at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}
