//! Looking before the end: when to look, at which cases, and whether to go on.
//!
//! Whoever measures drives it, and everything that must be right about it is here:
//!
//! ```text
//! first = first_cases(policy, &selections)        the critical ones: measured before anything else
//! order = case_order(cases, seed)                 which cases come next, and next
//! for (at, count) in next_look(policy, cases)     1 of 3: 34, 2 of 3: 67, 3 of 3: 100
//!     measure what is not measured yet of order[..count]
//!     evidence.ahead = those of `first` that are not among order[..count]
//!     receipt = judge(policy, &evidence, &Facts { look: Some([at, of]), .. })
//!     after_look(&receipt, [at, of]) == Stop(_)?  then evidence.stopped = Some(Stopped::Decided), judge at the same look
//!                                                 again (it comes to the same verdict), and that is the receipt
//! ```
//!
//! Both arms are measured on the same cases before a look. What is handed in at a look is everything that was measured so
//! far, no more and no less; the cases in `ahead` count for rules on single cases, and for no mean, since they are no random
//! sample. With one look only (no `sequential`, or too few cases), [`next_look`] gives that one, at the end, and nothing here
//! changes anything.

use std::collections::{BTreeMap, BTreeSet};

use super::levels::level_at_look;
use crate::replay::kept_policy;
use crate::statistics::{Random, conditional_power, normal_quantile};
use crate::{CaseKey, Check, Comparator, Inconclusive, Policy, Receipt, Rule, RuleResult, RuleVerdict, Verdict};

/// What a chance of success is too small to go on for: one in a hundred, if the remaining cases go as those so far.
///
/// Stopping for it never makes a gate laxer, only redder: of candidates that would have been let through at the end it stops
/// a few in a hundred.
pub const FUTILITY: f64 = 0.01;

/// What to do after a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AfterLook {
    /// Measure up to the next look.
    Continue,
    /// Measure no more: the receipt of this look is the verdict.
    Stop(StopReason),
}

/// Why nothing more needs to be measured. None of these is "the interval is narrow": precision decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Every rule is shown to hold, at this look's share of the error.
    Success,
    /// A rule that blocks now will hardly do otherwise at the end: the chance is below [`FUTILITY`].
    Futility,
    /// A rule has failed in a way that no further case can undo.
    Decided,
}

impl StopReason {
    /// As people read it: "success", "futility", "decided".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Futility => "futility",
            Self::Decided => "decided",
        }
    }
}

/// After how many cases to look, ascending; the last look is always at all of them. Empty if there are no cases.
///
/// As many looks as `sequential.looks` asks for, at equal distances, but fewer where the first would come before
/// `sequential.min_cases`: of 100 cases with 3 looks and `min_cases: 30`, after 34, 67 and 100; of 50 cases one look, at the
/// end. Without `sequential` there is that one look. The place in this list, from 1, and its length are [`super::Facts::look`].
#[must_use]
pub fn next_look(policy: &Policy, cases_total: usize) -> Vec<usize> {
    if cases_total == 0 {
        return Vec::new();
    }
    let Some(sequential) = &policy.sequential else { return vec![cases_total] };
    let least = (sequential.min_cases as usize).max(1);
    let looks = (sequential.looks as usize).min(cases_total / least).max(1);
    (1..=looks).map(|look| (cases_total * look).div_ceil(looks)).collect()
}

/// The order in which cases are measured: a permutation of `0..cases` that the seed determines.
///
/// The order of the file would make a look at its first third a look at whatever stands there.
#[must_use]
pub fn case_order(cases: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cases).collect();
    Random::from_seed(seed).shuffle(&mut order);
    order
}

/// The cases to measure before all others: those that a rule on single cases (`critical`, `flips`, `every_case`,
/// `max_case_drop`) chooses by a `where`. `selections` are those of the evidence.
#[must_use]
pub fn first_cases<'s>(policy: &Policy, selections: &'s BTreeMap<String, Vec<CaseKey>>) -> BTreeSet<&'s CaseKey> {
    let rules = policy.rules.iter().filter(|rule| rule.check.is_on_single_cases());
    let chosen = rules.filter_map(|rule| selections.get(rule.only.as_ref()?));
    chosen.flatten().collect()
}

/// Whether to go on after a look. `receipt` is what [`super::judge`] made of everything measured so far at look `[at, of]`.
///
/// - **Decided**: the verdict is `fail` because of a rule that more cases cannot mend: a threshold, a comparison with the
///   baseline or `pass_hat_k` that is refuted at this look's share of the error, or single cases that break a rule about
///   single cases. A budget that is exceeded so far (cost, time, flaky or filtered share, `bound: point`) may be met in the end.
/// - **Success**: the verdict is `pass`, each rule that may block is shown to hold, and no rule speaks of cases that were not
///   measured yet (`every_case`, `max_case_drop` and `flips` without a `where`). A comparison that merely shows no regression
///   is not success: going on may show one.
/// - **Futility**: a rule blocks as inconclusive, and the chance that it will do otherwise at the end is below [`FUTILITY`].
///   What it would take is what the policy asks: with `strict` that the rule is shown to hold, else that the estimate
///   meets the threshold.
/// - Otherwise, and at the last look, **continue**. So it is where the verdict is `invalid`: the share of errors is one of all
///   cases.
#[must_use]
pub fn after_look(receipt: &Receipt, look: [u32; 2]) -> AfterLook {
    let [at, of] = look;
    let decision = &receipt.decision;
    if at == 0 || at >= of {
        return AfterLook::Continue;
    }
    let Ok(policy) = kept_policy(receipt) else { return AfterLook::Continue };
    let judged: Vec<(&Rule, &RuleResult)> = policy
        .rules
        .iter()
        .filter_map(|rule| Some((rule, decision.rules.iter().find(|result| result.id == rule.id)?)))
        .collect();
    let failed_for_good = |(rule, result): &(&Rule, &RuleResult)| {
        result.verdict == RuleVerdict::Fail && result.blocks && is_final(&rule.check)
    };
    if decision.verdict == Verdict::Fail && judged.iter().any(failed_for_good) {
        return AfterLook::Stop(StopReason::Decided);
    }
    let shown = judged.iter().any(|(_, result)| result.verdict == RuleVerdict::Pass);
    let open = |(rule, result): &(&Rule, &RuleResult)| match result.verdict {
        RuleVerdict::Skipped | RuleVerdict::Advisory => false,
        RuleVerdict::Pass => rule.check.is_on_single_cases() && rule.only.is_none(),
        _ => true,
    };
    if decision.verdict == Verdict::Pass && shown && !judged.iter().any(open) {
        return AfterLook::Stop(StopReason::Success);
    }
    let information = f64::from(at) / f64::from(of);
    let hopeless = |(rule, result): &(&Rule, &RuleResult)| {
        chance_to_succeed(&policy, rule, result, information, of).is_some_and(|chance| chance < FUTILITY)
    };
    if decision.verdict == Verdict::Inconclusive && judged.iter().any(hopeless) {
        return AfterLook::Stop(StopReason::Futility);
    }
    AfterLook::Continue
}

/// Whether a failure stays one whatever the remaining cases give.
fn is_final(check: &Check) -> bool {
    match check {
        Check::Threshold { bound, .. } => *bound == crate::Bound::Lower,
        Check::NoRegression { .. } | Check::PassHatK { .. } => true,
        Check::EveryCase { .. } | Check::Flips { .. } | Check::CaseDrop { .. } => true,
        Check::CostPerCase { is } | Check::Latency { is, .. } => is.is_of_baseline(),
        Check::FlakyCases { .. } | Check::Filtered { .. } => false,
    }
}

/// The chance that a rule which blocks as inconclusive blocks no longer at the end, with the trend so far; `None` where none
/// can be told.
fn chance_to_succeed(policy: &Policy, rule: &Rule, result: &RuleResult, information: f64, looks: u32) -> Option<f64> {
    if result.verdict != RuleVerdict::Inconclusive || !result.blocks {
        return None;
    }
    let z = match &rule.check {
        Check::Threshold { is, .. } | Check::PassHatK { is, .. } => z_of_threshold(*is, result)?,
        Check::NoRegression { .. } => (result.estimate? + result.margin?) / positive(result.standard_error)?,
        _ => return None,
    };
    let comparison = matches!(rule.check, Check::NoRegression { .. });
    let final_z = if policy.inconclusive == Inconclusive::ByPoint && !comparison {
        0.0
    } else {
        normal_quantile(1.0 - level_at_look(policy, Some([looks, looks]), 1.0)).ok()?
    };
    conditional_power(z, information, final_z, None).ok()
}

fn z_of_threshold(is: Comparator, result: &RuleResult) -> Option<f64> {
    let (estimate, limit) = (result.estimate?, is.number());
    let error = match result.method.as_str() {
        // Wilson's interval is the score test turned round: its error is that at the limit.
        "wilson" => (limit * (1.0 - limit) / result.n as f64).sqrt(),
        _ => result.standard_error?,
    };
    let sign = if is.wants_more() { 1.0 } else { -1.0 };
    positive(Some(error)).map(|error| sign * (estimate - limit) / error)
}

fn positive(error: Option<f64>) -> Option<f64> {
    error.filter(|error| *error > 0.0 && error.is_finite())
}
