//! What a number of cases can prove: for each rule the worst score that still passes, and the drop that would be seen.
//!
//! Said before anything is paid for. Where nothing was measured yet, the spread is assumed, and it is said how.

mod before;
mod planning;

pub use before::{PowerLine, before_spending};

use serde::{Deserialize, Serialize};

use crate::{Adjust, Metric, MetricName, Policy, RuleResult};
use planning::{Planning, allowed, plain, tested};

/// The power at which a drop counts as seen: four times out of five.
pub const POWER: f64 = 0.8;

/// What a plan is made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Basis<'a> {
    /// How many cases there will be.
    pub cases: u64,
    /// How often the target answers each.
    pub repeats: u32,
    /// The metrics that the rules read.
    pub metrics: &'a [Metric],
    /// What was measured of the same rules before; may be empty.
    pub measured: &'a [RuleResult],
    /// Over how many cases that was.
    pub measured_cases: u64,
}

/// What a number of cases can prove.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// How many cases there are.
    pub cases: u64,
    /// How often each is answered.
    pub repeats: u32,
    /// How often a rule may block by luck alone.
    pub alpha: f64,
    /// What is left of that for each rule where all of them are tested.
    pub shared_alpha: f64,
    /// How many answers may fail for reasons that have nothing to do with quality.
    pub errors_allowed: u64,
    /// Each rule.
    pub rules: Vec<RulePlan>,
    /// What one should know besides.
    pub notes: Vec<String>,
}

/// What can be proved about one rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RulePlan {
    /// The rule's name.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricName>,
    /// What it demands, as the policy writes it.
    pub demands: String,
    /// How many cases it will rest on.
    pub cases: u64,
    /// What is possible.
    pub can: Can,
    /// The worst score that still passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes_at: Option<f64>,
    /// The same as a count of cases, for metrics of yes and no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passes_with: Option<u64>,
    /// The best score that is still shown to fail; what lies between is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_at: Option<f64>,
    /// The same as a count of cases, for metrics of yes and no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_with: Option<u64>,
    /// The smallest drop that is seen four times out of five, in the metric's own units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// The drop that still counts as equally good, in the metric's own units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How many cases it takes in all: to pass at all, to settle what was measured, or to see a drop of the margin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases_needed: Option<u64>,
    /// How many repeats of each case it takes, where those that were measured tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats_needed: Option<u64>,
    /// Where the spread comes from on which the numbers rest.
    pub spread: Spread,
    /// One sentence for people.
    pub words: String,
}

/// What is possible for a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Can {
    /// It can pass, and it can fail.
    #[default]
    Decide,
    /// No score can pass it with so few cases.
    NotPass,
    /// A drop of its margin would rarely be seen.
    NotSee,
    /// It can say nothing without more repeats of each case.
    NeedsRepeats,
    /// It is counted or held against the number itself: nothing to plan.
    Counted,
}

/// Where a spread comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// None is needed.
    #[default]
    Exact,
    /// From what was measured before.
    Measured,
    /// Nothing was measured.
    Assumed,
}

/// Plans. Reads nothing, asks nobody.
#[must_use]
pub fn plan(policy: &Policy, basis: &Basis<'_>) -> Plan {
    let tested = tested(policy);
    let shared_alpha = if policy.adjust == Adjust::None { policy.alpha } else { policy.alpha / tested as f64 };
    let planning = Planning { policy, basis, shared_alpha };
    let mut notes = Vec::new();
    if tested > 1 && policy.adjust != Adjust::None {
        notes.push(format!(
            "to block, {tested} rules share the chance of a false alarm of {}: {} for each, if all are tested",
            policy.alpha,
            plain(shared_alpha)
        ));
    }
    if let Some(sequential) = &policy.sequential {
        let looks = sequential.looks;
        notes.push(format!("with {looks} looks, bounds are somewhat wider than told here"));
    }
    if policy.rules.iter().any(|rule| rule.only.is_some()) && basis.measured.is_empty() {
        notes.push("rules with a `where` rest on fewer cases than told here".to_owned());
    }
    if policy.needs_baseline() {
        notes.push("comparisons rest on the cases that the baseline has, too".to_owned());
    }
    let answers = basis.cases * u64::from(basis.repeats.max(1));
    Plan {
        cases: basis.cases,
        repeats: basis.repeats.max(1),
        alpha: policy.alpha,
        shared_alpha,
        errors_allowed: allowed(policy.errors, answers),
        rules: policy.rules.iter().map(|rule| planning.rule(rule)).collect(),
        notes,
    }
}

impl Plan {
    /// JSON on several lines, with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
