//! Evidence and policy become a receipt.
//!
//! Layers, all of which must hold: the evidence is complete enough (`integrity`), the rules on the candidate alone
//! (`absolute`), those on the difference to the baseline (`relative`), and those on single cases (`guard`). Each rule is
//! measured first; then the chance of a false alarm is shared among those that may block, and only then is it said what
//! each comes to (`settle`).

mod absolute;
mod compare;
mod finding;
mod guard;
mod integrity;
pub(crate) mod levels;
mod looks;
mod regressions;
mod relative;
mod settle;
pub(crate) mod table;

pub use looks::{AfterLook, FUTILITY, StopReason, after_look, case_order, first_cases, next_look};

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    About, BaselineInfo, CaseKey, Check, Decision, Ended, Evidence, Hashes, Metric, MetricName, Policy, Receipt,
    Rounds, Rule, RuleVerdict, Score, Stopped, Verdict,
};
pub use compare::differences;
use finding::Finding;
use table::Table;

/// What is known of an evaluation besides what was measured.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The flow.
    pub flow: String,
    /// The config environment.
    pub environment: Option<String>,
    /// Hashes of what went in; that of the policy is filled in here.
    pub hashes: Hashes,
    /// What the candidate is compared with; the number of common cases is filled in here.
    pub baseline: BaselineInfo,
    /// When, where and for how much.
    pub about: About,
    /// From what random draws are made, and recorded.
    pub seed: u64,
    /// How often to draw; `None` for as often as a fraction of a second allows.
    pub resamples: Option<usize>,
    /// Which look this is, of how many: `[1, 3]` for the first of three; see [`next_look`]. `None` for the only one.
    pub look: Option<[u32; 2]>,
    /// How it was measured: in how many rounds, and what was left out or done again.
    pub rounds: Rounds,
}

/// Judges evidence. Reads nothing, asks nobody; the same evidence, policy and seed give the same decision hash.
#[must_use]
pub fn judge(policy: &Policy, evidence: &Evidence, facts: &Facts) -> Receipt {
    let judging = Judging::new(policy, evidence, facts);
    let integrity = integrity::of(&judging);
    let mut invalid = integrity::objections(&judging, &integrity);
    let mut findings: Vec<Finding> = policy.rules.iter().map(|rule| judging.find(rule)).collect();
    invalid.extend(findings.iter().filter_map(|finding| finding.invalid.clone()));
    settle::settle(&judging, &mut findings, &mut invalid);
    let (regressions, regressions_total) = regressions::of(&judging, &findings);

    let mut warnings = judging.warnings();
    warnings.extend(facts.rounds.notes(facts.look));
    warnings.extend(findings.iter().filter_map(|finding| finding.warning.clone()));
    let rules: Vec<_> = findings.into_iter().map(|finding| finding.result).collect();
    let cut_off = facts.rounds.ended == Some(Ended::Budget);
    let (verdict, blocks, exit_code) = verdict((evidence.stopped, cut_off), &invalid, &rules, policy);
    let headline = headline(verdict, &invalid, &rules);
    warnings.extend(invalid.into_iter().skip(1));
    let baseline = BaselineInfo { common_cases: judging.common().len() as u64, ..facts.baseline.clone() };
    let decision = Decision {
        verdict,
        unchanged: false,
        look: facts.look.filter(|[_, of]| *of > 1 && policy.sequential.is_some()),
        blocks,
        exit_code,
        headline,
        flow: facts.flow.clone(),
        environment: facts.environment.clone(),
        hashes: Hashes { policy: Some(policy.hash()), ..facts.hashes.clone() },
        baseline,
        integrity,
        policy: serde_json::from_str(&policy.expanded().to_json()).unwrap_or_default(),
        rules,
        regressions,
        regressions_total,
        warnings,
        rounds: facts.rounds.clone(),
    };
    Receipt::new(decision, facts.about.clone(), Some(evidence.clone().shortened()))
}

/// The receipt of an evaluation in which nothing differs from its baseline: nothing was measured, and what was decided
/// then still holds. A baseline that did not pass does not pass now either; `None` if it came to no decision (invalid,
/// aborted), or if the hashes say that something did change.
#[must_use]
pub fn unchanged(policy: &Policy, baseline: &Receipt, facts: &Facts) -> Option<Receipt> {
    let before = &baseline.decision;
    let hashes = Hashes { policy: Some(policy.hash()), ..facts.hashes.clone() };
    let decided = !matches!(before.verdict, Verdict::Invalid | Verdict::Aborted);
    if !decided || hashes != before.hashes {
        return None;
    }
    let decision = Decision {
        unchanged: true,
        headline: format!("nothing has changed since the baseline, which came to: {}", before.verdict),
        flow: facts.flow.clone(),
        environment: facts.environment.clone(),
        hashes,
        baseline: facts.baseline.clone(),
        ..before.clone()
    };
    Some(Receipt::new(decision, facts.about.clone(), baseline.evidence.clone()))
}

/// The receipt of an evaluation that was refused before anything was paid for: invalid, and why.
#[must_use]
pub fn refused(policy: &Policy, why: &str, facts: &Facts) -> Receipt {
    let decision = Decision {
        verdict: Verdict::Invalid,
        blocks: true,
        exit_code: Verdict::Invalid.exit_code(),
        headline: format!("nothing was asked: {why}"),
        flow: facts.flow.clone(),
        environment: facts.environment.clone(),
        hashes: Hashes { policy: Some(policy.hash()), ..facts.hashes.clone() },
        baseline: facts.baseline.clone(),
        policy: serde_json::from_str(&policy.expanded().to_json()).unwrap_or_default(),
        ..Decision::default()
    };
    Receipt::new(decision, facts.about.clone(), None)
}

/// Cases that must be run again before a rule can count them, with the number of answers that are needed in all.
#[must_use]
pub fn to_confirm(policy: &Policy, evidence: &Evidence) -> Vec<(CaseKey, u32)> {
    let facts = Facts::default();
    guard::to_confirm(&Judging::new(policy, evidence, &facts))
}

fn verdict(
    (stopped, cut_off): (Option<Stopped>, bool),
    invalid: &[String],
    rules: &[crate::RuleResult],
    policy: &Policy,
) -> (Verdict, bool, u8) {
    let any = |wanted: RuleVerdict, blocking: bool| {
        rules.iter().any(|rule| rule.verdict == wanted && (rule.blocks || !blocking))
    };
    let blocking = |verdict: Verdict| (verdict, true, verdict.exit_code());
    if stopped == Some(Stopped::Interrupted) {
        return (Verdict::Aborted, true, 130);
    }
    if any(RuleVerdict::Fail, true) && invalid.is_empty() {
        return blocking(Verdict::Fail);
    }
    if stopped == Some(Stopped::Budget) {
        return blocking(Verdict::Aborted);
    }
    if !invalid.is_empty() {
        return blocking(Verdict::Invalid);
    }
    if any(RuleVerdict::Inconclusive, true) {
        return blocking(Verdict::Inconclusive);
    }
    // A comparison that shows no regression is what `no_regression` asks for; a threshold that is not shown to be met
    // is told as such, even where it does not block.
    let thin = rules.iter().any(|rule| {
        let relative = rule.kind == "no_regression" && policy.inconclusive == crate::Inconclusive::ByPoint;
        rule.verdict == RuleVerdict::Inconclusive && !relative
    });
    // Of rules that were all skipped nothing is shown, and what was cut off by a budget is not the whole.
    let nothing = !rules.is_empty() && rules.iter().all(|rule| rule.verdict == RuleVerdict::Skipped);
    if cut_off {
        blocking(Verdict::Inconclusive)
    } else if thin || nothing {
        (Verdict::Inconclusive, false, 0)
    } else {
        (Verdict::Pass, false, 0)
    }
}

fn headline(verdict: Verdict, invalid: &[String], rules: &[crate::RuleResult]) -> String {
    let of = |wanted: RuleVerdict, blocks: bool| -> Vec<&crate::RuleResult> {
        rules.iter().filter(|rule| rule.verdict == wanted && rule.blocks == blocks).collect()
    };
    let told = |found: Vec<&crate::RuleResult>| match found.split_first() {
        None => String::new(),
        Some((first, [])) => format!("{}: {}", first.id, first.words),
        Some((first, rest)) => format!("{}: {}; and {} more", first.id, first.words, rest.len()),
    };
    match verdict {
        Verdict::Fail => told(of(RuleVerdict::Fail, true)),
        Verdict::Invalid => invalid.first().cloned().unwrap_or_default(),
        Verdict::Aborted => "measuring ended before there was a decision".to_owned(),
        Verdict::Inconclusive => {
            let [blocking, warning, skipped] = [
                of(RuleVerdict::Inconclusive, true),
                of(RuleVerdict::Inconclusive, false),
                of(RuleVerdict::Skipped, false),
            ];
            match (blocking.is_empty(), warning.is_empty()) {
                (false, _) => told(blocking),
                (true, false) => told(warning),
                (true, true) if skipped.len() == rules.len() => format!("no rule could be applied: {}", told(skipped)),
                (true, true) => "the budget was spent before all cases were measured".to_owned(),
            }
        }
        Verdict::Pass if rules.is_empty() => "there are no rules".to_owned(),
        Verdict::Pass => {
            let count = |wanted: RuleVerdict| rules.iter().filter(|rule| rule.verdict == wanted).count();
            let mut words = format!("{} of {} rules hold", count(RuleVerdict::Pass), rules.len());
            for (wanted, what) in [
                (RuleVerdict::Inconclusive, "without a shown regression"),
                (RuleVerdict::Skipped, "skipped"),
                (RuleVerdict::Advisory, "advisory"),
            ] {
                if count(wanted) > 0 {
                    words.push_str(&format!(", {} {what}", count(wanted)));
                }
            }
            words
        }
    }
}

/// Everything that the layers look at.
struct Judging<'a> {
    policy: &'a Policy,
    evidence: &'a Evidence,
    facts: &'a Facts,
    candidate: Table<'a>,
    /// The candidate, with answers to cases that were run again because they fell.
    confirmed: Table<'a>,
    baseline: Option<Table<'a>>,
    /// The chance of a false alarm at this look.
    alpha: f64,
    /// Cases that were measured ahead of their turn.
    ahead: BTreeSet<&'a CaseKey>,
    /// Metrics whose judges may only advise, and why.
    uncalibrated: BTreeMap<&'a MetricName, Vec<String>>,
}

impl<'a> Judging<'a> {
    fn new(policy: &'a Policy, evidence: &'a Evidence, facts: &'a Facts) -> Self {
        let candidate = Table::of(&evidence.candidate);
        let confirmed = Table::with_confirming(&evidence.candidate);
        let baseline = evidence.baseline.as_ref().map(Table::of);
        let alpha = levels::level_at_look(policy, facts.look, 1.0);
        let ahead = evidence.ahead.iter().collect();
        let uncalibrated = settle::uncalibrated(policy, evidence);
        Self { policy, evidence, facts, candidate, confirmed, baseline, alpha, ahead, uncalibrated }
    }

    /// The error that a test may have at this look if this share of alpha is spent on it over all looks.
    fn level(&self, of_alpha: f64) -> f64 {
        levels::level_at_look(self.policy, self.facts.look, of_alpha)
    }

    fn find(&self, rule: &'a Rule) -> Finding {
        let mut finding = Finding::of(rule);
        finding.result.scale =
            rule.check.metric().and_then(|metric| self.metric(metric)).and_then(|metric| metric.scale);
        if rule.only.as_ref().is_some_and(|expression| !self.evidence.selections.contains_key(expression)) {
            finding.undecided("nobody has said for which cases its `where` holds", false);
            return finding;
        }
        if rule.check.needs_baseline()
            && let Some(why) = self.no_baseline()
        {
            finding.skip(&why);
            finding.for_want_of_baseline = true;
            return finding;
        }
        match &rule.check {
            Check::Threshold { .. } | Check::PassHatK { .. } | Check::FlakyCases { .. } | Check::Filtered { .. } => {
                absolute::find(self, rule, &mut finding)
            }
            Check::NoRegression { .. } => relative::find(self, rule, &mut finding),
            Check::EveryCase { .. } | Check::Flips { .. } | Check::CaseDrop { .. } => {
                guard::find(self, rule, &mut finding)
            }
            Check::CostPerCase { is } | Check::Latency { is, .. } if is.is_of_baseline() => {
                relative::find_ratio(self, rule, &mut finding);
            }
            Check::CostPerCase { .. } | Check::Latency { .. } => absolute::find_spent(self, rule, &mut finding),
        }
        finding
    }

    /// Whether a rule without a metric of its own reads the scores of all.
    fn reads_scores(&self, finding: &Finding) -> bool {
        matches!(finding.result.kind.as_str(), "flips" | "flaky_cases" | "pass_hat_k")
    }

    fn all_are_uncalibrated(&self) -> bool {
        !self.evidence.metrics.is_empty() && self.evidence.metrics.len() == self.uncalibrated.len()
    }

    /// Whether a rule counts a score: one about all metrics leaves those out whose judges may only advise, unless there
    /// are no others.
    fn counts(&self, rule_metric: Option<&MetricName>, score: &Score) -> bool {
        rule_metric.is_some() || self.all_are_uncalibrated() || !self.uncalibrated.contains_key(&score.metric)
    }

    fn metric(&self, name: &MetricName) -> Option<&'a Metric> {
        self.evidence.metrics.iter().find(|metric| metric.name == *name)
    }

    /// The cases that a rule is about, in the order of the data.
    fn cases_of(&self, rule: &Rule) -> Vec<&'a CaseKey> {
        let chosen: Option<BTreeSet<&CaseKey>> = rule
            .only
            .as_ref()
            .map(|expression| self.evidence.selections.get(expression).into_iter().flatten().collect());
        let with_ahead = rule.check.is_on_single_cases();
        let all = self.candidate.keys().filter(|key| with_ahead || !self.ahead.contains(key));
        all.filter(|key| chosen.as_ref().is_none_or(|chosen| chosen.contains(key))).collect()
    }

    /// The cases that both arms have.
    fn common(&self) -> Vec<&'a CaseKey> {
        let Some(baseline) = &self.baseline else { return Vec::new() };
        self.candidate.keys().filter(|key| baseline.row(key).is_some()).collect()
    }

    /// Why there is nothing to compare with, if there is not.
    fn no_baseline(&self) -> Option<String> {
        if self.baseline.is_none() {
            let note = &self.facts.baseline.note;
            return Some(if note.is_empty() { "there is no baseline".to_owned() } else { note.clone() });
        }
        let compatible_on = &self.policy.baseline.compatible_on;
        // Other data is no obstacle as long as there are common cases.
        let other: Vec<&str> = self
            .facts
            .baseline
            .changed
            .iter()
            .map(String::as_str)
            .filter(|part| *part != "data" && compatible_on.iter().any(|wanted| wanted == part))
            .collect();
        if !other.is_empty() {
            return Some(format!("the baseline was measured with another {}", other.join(", another ")));
        }
        self.common().is_empty().then(|| "baseline and candidate have no case in common".to_owned())
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let over_all = self.policy.rules.iter().find(|rule| match &rule.check {
            Check::Flips { metric, .. } | Check::FlakyCases { metric, .. } | Check::PassHatK { metric, .. } => {
                metric.is_none()
            }
            _ => false,
        });
        if let Some(rule) = over_all.filter(|_| !self.uncalibrated.is_empty() && !self.all_are_uncalibrated()) {
            let names: Vec<String> = self.uncalibrated.keys().map(|name| format!("`{name}`")).collect();
            let names = names.join(", ");
            warnings.push(format!("rule `{}` leaves out {names}: no calibrated judge gives that score", rule.id));
        }
        let baseline = &self.facts.baseline;
        if let Some(models) = &baseline.served_models {
            let (before, now) = (&models.baseline, &models.candidate);
            warnings.push(format!("the arms were answered by different models: {before} before, {now} now"));
        }
        if let Some(wanted) = &baseline.wanted_commit {
            warnings.push(format!("the baseline is not of {wanted}, the merge base, but of an ancestor"));
        }
        warnings
    }
}
