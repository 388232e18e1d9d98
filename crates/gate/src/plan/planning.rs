//! What can be proved about each kind of rule.

use super::{Basis, Can, POWER, RulePlan, Spread};
use crate::policy::cases_needed;
use crate::statistics::{
    Sides, binomial_at_least, cases_for_power, cases_to_settle_equal_differences, mcnemar_cases_for_power,
    mcnemar_power, minimum_detectable_effect, student_t_quantile, unseen_share, wilson_fewest_passing,
};
use crate::{Bound, Check, Comparator, Inconclusive, Metric, MetricName, Policy, Rule, RuleResult};

/// Of how many answers one is assumed to change between two versions of a flow, where nothing was measured.
pub(super) const CHANGED: f64 = 0.1;
/// The standard deviation of scores that is assumed where nothing was measured, as a share of their scale.
const SPREAD: f64 = 0.25;

pub(super) struct Planning<'a> {
    pub(super) policy: &'a Policy,
    pub(super) basis: &'a Basis<'a>,
    pub(super) shared_alpha: f64,
}

impl Planning<'_> {
    pub(super) fn rule(&self, rule: &Rule) -> RulePlan {
        let measured = self.basis.measured.iter().find(|measured| measured.id == rule.id && measured.n > 0);
        let mut planned = RulePlan {
            id: rule.id.clone(),
            kind: rule.check.kind().to_owned(),
            metric: rule.check.metric().cloned(),
            demands: demands(&rule.check),
            cases: self.cases_of(measured),
            ..RulePlan::default()
        };
        if planned.cases == 0 {
            planned.can = Can::NotPass;
            planned.words = "there are no cases".to_owned();
            return planned;
        }
        match &rule.check {
            Check::Threshold { is, bound: Bound::Point, .. } => {
                planned.can = Can::Counted;
                planned.words = format!("the mean itself must be {is}: it passes and fails by luck, too");
            }
            Check::Threshold { metric, is, .. } => match self.metric(metric) {
                Some(info) => self.threshold(info, *is, measured, &mut planned),
                None => planned.words = format!("nothing is known of metric `{metric}`"),
            },
            Check::NoRegression { metric, margin, require_power, .. } => match self.metric(metric) {
                Some(info) => self.no_regression(info, *margin, *require_power, measured, &mut planned),
                None => planned.words = format!("nothing is known of metric `{metric}`"),
            },
            Check::PassHatK { k, is, .. } if self.basis.repeats < *k => {
                planned.can = Can::NeedsRepeats;
                planned.repeats_needed = Some(u64::from(*k));
                planned.words = format!("it takes {k} repeats of the target to say whether this is {is}");
            }
            Check::PassHatK { is, .. } => {
                self.threshold(&Metric::share("pass_hat_k"), *is, measured, &mut planned);
            }
            Check::FlakyCases { .. } if self.basis.repeats < 2 => {
                planned.can = Can::NeedsRepeats;
                planned.repeats_needed = Some(2);
                planned.words = "it takes 2 repeats of the target to see that a case is flaky".to_owned();
            }
            Check::FlakyCases { is, .. } => counted_share(*is, "flaky", &mut planned),
            Check::Filtered { is } => counted_share(*is, "filtered", &mut planned),
            Check::EveryCase { .. } => self.every_case(&mut planned),
            Check::Flips { is, confirm_reruns, .. } => {
                planned.can = Can::Counted;
                let whole = is.number().max(0.0).floor();
                let may = if is.holds(whole) { whole } else { (whole - 1.0).max(0.0) };
                planned.words = format!("each case counts by itself: {may} may flip{}", confirmed(*confirm_reruns));
            }
            Check::CaseDrop { confirm_reruns, .. } => {
                planned.can = Can::Counted;
                planned.words =
                    format!("each case counts by itself: none may fall so far{}", confirmed(*confirm_reruns));
            }
            Check::CostPerCase { is } | Check::Latency { is, .. } => {
                planned.can = Can::Counted;
                planned.words = if is.is_of_baseline() {
                    "a ratio to the baseline, with bounds from drawing pairs again".to_owned()
                } else {
                    "held against the number itself".to_owned()
                };
                if matches!(rule.check, Check::Latency { .. }) {
                    planned.words.push_str("; answers from a cache say nothing of time");
                }
            }
        }
        planned
    }

    fn metric(&self, name: &MetricName) -> Option<&Metric> {
        self.basis.metrics.iter().find(|metric| metric.name == *name)
    }

    /// As many of the cases as a rule rested on before.
    fn cases_of(&self, measured: Option<&RuleResult>) -> u64 {
        match measured {
            Some(measured) if self.basis.measured_cases > 0 && !measured.is_timed() => {
                let share = measured.n as f64 / self.basis.measured_cases as f64;
                (self.basis.cases as f64 * share.min(1.0)).round() as u64
            }
            _ => self.basis.cases,
        }
    }

    fn threshold(&self, metric: &Metric, is: Comparator, measured: Option<&RuleResult>, planned: &mut RulePlan) {
        let Some([lowest, highest]) = metric.scale.filter(|[lowest, highest]| lowest < highest) else {
            planned.can = Can::Counted;
            planned.words = "its metric has no scale, so that nothing can be said before it is measured".to_owned();
            return;
        };
        let least = cases_needed(metric, is, self.policy.alpha);
        if least.is_some_and(|least| planned.cases < least) {
            planned.can = Can::NotPass;
            planned.cases_needed = least;
            planned.words = format!(
                "no score can pass with {} cases: it takes {}, all of them perfect",
                planned.cases,
                least.unwrap_or_default()
            );
            return;
        }
        if let Some(needed) = measured.and_then(|measured| measured.needed.as_ref()) {
            let all = needed.more_cases.zip(measured).map(|(more, measured)| more + measured.n);
            planned.cases_needed = all.filter(|all| *all > planned.cases);
            planned.repeats_needed = needed.repeats;
        }
        let single_draws = metric.boolean
            && self.basis.repeats <= 1
            && measured.is_none_or(|measured| matches!(measured.method.as_str(), "wilson" | ""));
        if single_draws {
            self.of_counts(is, planned);
        } else {
            self.of_scores([lowest, highest], is, measured, planned);
        }
    }

    /// One draw of yes or no for each case: counts decide.
    fn of_counts(&self, is: Comparator, planned: &mut RulePlan) {
        let n = planned.cases;
        let least_share = if is.wants_more() { is.number() } else { 1.0 - is.number() };
        let fewest = |share: f64, alpha: f64| {
            wilson_fewest_passing(n as usize, share, 1.0 - alpha).ok().flatten().map(|count| count as u64)
        };
        // A limit of 0 or 1 leaves nothing to show on one of its sides.
        let passing = if least_share <= 0.0 { Some(0) } else { fewest(least_share, self.policy.alpha) };
        // So many must be wrong that the exact test refutes it as well.
        let refuted = |wrong: &u64| binomial_at_least(*wrong, n, 1.0 - least_share) < self.shared_alpha;
        let against = if least_share >= 1.0 {
            Some(1)
        } else {
            fewest(1.0 - least_share, self.shared_alpha).and_then(|wrong| (wrong..=n).find(refuted))
        };
        let good = |count: u64| if is.wants_more() { count } else { n - count };
        planned.passes_with = passing.map(good);
        planned.fails_with = against.map(|count| good(n - count));
        planned.passes_at = planned.passes_with.map(|count| count as f64 / n as f64);
        planned.fails_at = planned.fails_with.map(|count| count as f64 / n as f64);
        let (and_better, and_worse) = if is.wants_more() { ("more", "fewer") } else { ("fewer", "more") };
        let mut words = match planned.passes_with {
            Some(count) if good(n) == count => format!("nothing but {count} of {n} passes"),
            Some(count) => format!("{count} of {n} and {and_better} pass"),
            None => {
                planned.can = Can::NotPass;
                format!("no score can pass with {n} cases")
            }
        };
        match planned.fails_with {
            Some(count) => words.push_str(&format!(", {count} and {and_worse} fail")),
            None => words.push_str(", and none is bad enough to fail"),
        }
        planned.words = words + &self.between(is);
    }

    /// Means of scores: their spread decides.
    fn of_scores(&self, scale: [f64; 2], is: Comparator, measured: Option<&RuleResult>, planned: &mut RulePlan) {
        let [lowest, highest] = scale;
        let width = highest - lowest;
        let of_measured = measured.and_then(|measured| {
            let error = measured.standard_error.filter(|error| *error > 0.0)?;
            Some(error * (measured.n as f64).sqrt())
        });
        planned.spread = if of_measured.is_some() { Spread::Measured } else { Spread::Assumed };
        let deviation = of_measured.unwrap_or(SPREAD * width);
        let n = planned.cases as f64;
        let reach =
            |alpha: f64| student_t_quantile(1.0 - alpha, (n - 1.0).max(1.0)).ok().map(|t| t * deviation / n.sqrt());
        let sign = if is.wants_more() { 1.0 } else { -1.0 };
        let inside = |score: f64| (lowest..=highest).contains(&score);
        planned.passes_at =
            reach(self.policy.alpha).map(|reach| is.number() + sign * reach).filter(|score| inside(*score));
        planned.fails_at =
            reach(self.shared_alpha).map(|reach| is.number() - sign * reach).filter(|score| inside(*score));
        let (better, worse) = if is.wants_more() { ("more", "less") } else { ("less", "more") };
        let mut words = match planned.passes_at {
            Some(score) => format!("a mean of {} and {better} passes", plain(score)),
            None => "only scores that are nearly equal pass".to_owned(),
        };
        if let Some(score) = planned.fails_at {
            words.push_str(&format!(", {} and {worse} fails", plain(score)));
        }
        let origin = match planned.spread {
            Spread::Measured => format!("with the standard deviation that was measured, {}", plain(deviation)),
            _ => format!("assuming a standard deviation of {}, a quarter of the scale", plain(deviation)),
        };
        planned.words = format!("{words}, {origin}{}", self.between(is));
    }

    /// What becomes of what neither passes nor fails.
    fn between(&self, is: Comparator) -> String {
        match self.policy.inconclusive {
            Inconclusive::ByPoint => {
                format!("; what lies between is inconclusive: it warns where the mean is {is}, else it blocks")
            }
            Inconclusive::Block => "; what lies between is inconclusive, and blocks".to_owned(),
            Inconclusive::Warn => "; what lies between is inconclusive, and warns".to_owned(),
        }
    }

    fn no_regression(
        &self,
        metric: &Metric,
        margin: f64,
        required: Option<f64>,
        measured: Option<&RuleResult>,
        planned: &mut RulePlan,
    ) {
        let Some(width) = metric.width().filter(|width| *width > 0.0) else {
            planned.can = Can::Counted;
            planned.words = "its metric has no scale, so that no margin fits it".to_owned();
            return;
        };
        let margin = margin * width;
        planned.margin = Some(margin);
        let of_measured = measured.and_then(|measured| deviation_of_differences(measured, self.policy.alpha));
        planned.spread = if of_measured.is_some() { Spread::Measured } else { Spread::Assumed };
        let n = planned.cases as usize;
        let (detectable, needed) = match of_measured {
            None if metric.boolean => drop_of_shares(n, margin, self.shared_alpha),
            _ => {
                let deviation = of_measured.unwrap_or(CHANGED.sqrt() * width);
                let seen = minimum_detectable_effect(deviation, n, self.shared_alpha, POWER).ok();
                let needed = cases_for_power(deviation, margin, self.shared_alpha, POWER).ok();
                (seen.filter(|seen| *seen <= width), needed)
            }
        };
        planned.detectable = detectable;
        planned.cases_needed = needed.map(|needed| needed as u64).filter(|needed| *needed > planned.cases);
        let mut words = match detectable {
            Some(drop) => format!("a drop of {} or more is seen four times out of five", plain(drop)),
            None => "no drop is seen four times out of five".to_owned(),
        };
        if detectable.is_none_or(|drop| drop > margin) {
            planned.can = Can::NotSee;
            match planned.cases_needed {
                Some(needed) => words.push_str(&format!("; one of {} takes {needed} cases", plain(margin))),
                None => words.push_str(&format!("; one of {} cannot be seen", plain(margin))),
            }
        }
        words.push_str(match planned.spread {
            Spread::Measured => ", with the differences that were measured",
            _ => ", assuming that one answer in ten changes",
        });
        let unseen = unseen_share(n, 1.0 - self.policy.alpha, Sides::One);
        if let Ok(unseen) = unseen {
            words.push_str(&format!(
                "; where no case changes, a drop of more than {} is ruled out",
                plain(unseen * width)
            ));
            if unseen * width >= margin {
                let all = cases_to_settle_equal_differences(0.0, width, margin, 1.0 - self.policy.alpha);
                if let Ok(all) = all {
                    words.push_str(&format!(" (of more than {}, from {all} cases on)", plain(margin)));
                }
            }
        }
        if let Some(required) = required.filter(|_| planned.can == Can::NotSee) {
            words.push_str(&format!("; the rule requires a power of {}", plain(required)));
        }
        planned.words = words;
    }

    fn every_case(&self, planned: &mut RulePlan) {
        planned.can = Can::Counted;
        planned.passes_with = Some(planned.cases);
        let unseen = unseen_share(planned.cases as usize, 1.0 - self.policy.alpha, Sides::One);
        planned.words = "one case that does not pass blocks".to_owned();
        if let Ok(unseen) = unseen {
            planned.words.push_str(&format!(
                "; where all of {} pass, no more than {}% of such cases fail",
                planned.cases,
                plain((unseen * 1e3).round() / 1e1)
            ));
        }
    }
}

/// The standard deviation of paired differences that a comparison rested on, larger where cases go together in clusters.
fn deviation_of_differences(measured: &RuleResult, alpha: f64) -> Option<f64> {
    let unit = minimum_detectable_effect(1.0, usize::try_from(measured.n).ok()?.max(1), alpha, POWER).ok()?;
    measured.detectable.map(|detectable| detectable / unit).filter(|deviation| *deviation > 0.0)
}

/// For pass shares: the smallest drop that is seen, and the cases that it takes to see one of the margin. One answer in
/// ten changes, or more where the drop itself is larger.
fn drop_of_shares(n: usize, margin: f64, alpha: f64) -> (Option<f64>, Option<usize>) {
    let seen = |drop: f64| mcnemar_power(n, drop.max(CHANGED), drop, alpha).is_ok_and(|power| power >= POWER);
    let detectable = seen(1.0).then(|| {
        let (mut unseen, mut known) = (0.0, 1.0);
        while known - unseen > 1e-4 {
            let middle = f64::midpoint(unseen, known);
            if seen(middle) { known = middle } else { unseen = middle }
        }
        known
    });
    let needed = mcnemar_cases_for_power(margin.clamp(CHANGED, 1.0), margin.min(1.0), alpha, POWER).ok();
    (detectable, needed)
}

fn counted_share(is: Comparator, what: &str, planned: &mut RulePlan) {
    planned.can = Can::Counted;
    let may = allowed(is, planned.cases);
    planned.passes_with = Some(may);
    planned.words = format!("{may} of {} cases may be {what}", planned.cases);
}

/// The greatest count of so many whose share is still within an upper limit.
pub(super) fn allowed(is: Comparator, of: u64) -> u64 {
    if of == 0 {
        return 0;
    }
    let near = ((is.number() * of as f64).ceil().clamp(0.0, of as f64) as u64).min(of);
    let mut count = near.saturating_add(1).min(of);
    while count > 0 && !is.holds(count as f64 / of as f64) {
        count -= 1;
    }
    count
}

fn confirmed(reruns: u32) -> String {
    match reruns {
        0 => String::new(),
        1 => ", once it did so in one more run".to_owned(),
        more => format!(", once it did so in {more} more runs"),
    }
}

fn demands(check: &Check) -> String {
    match check {
        Check::Threshold { is, .. }
        | Check::Flips { is, .. }
        | Check::FlakyCases { is, .. }
        | Check::PassHatK { is, .. }
        | Check::CostPerCase { is }
        | Check::Latency { is, .. }
        | Check::Filtered { is } => is.to_string(),
        Check::EveryCase { is, .. } => is.map_or_else(|| "every case".to_owned(), |is| format!("every case {is}")),
        Check::CaseDrop { drop, .. } => format!("no drop of {}%", plain(drop * 100.0)),
        Check::NoRegression { margin, .. } => format!("drop < {}%", plain(margin * 100.0)),
    }
}

pub(super) fn plain(number: f64) -> String {
    let rounded = (number * 1e4).round() / 1e4;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

/// How many rules share the chance of a false alarm, if all of them can be tested; one at least.
pub(super) fn tested(policy: &Policy) -> usize {
    let is_tested = |check: &Check| {
        matches!(
            check,
            Check::Threshold { bound: Bound::Lower, .. } | Check::NoRegression { .. } | Check::PassHatK { .. }
        )
    };
    policy.rules.iter().filter(|rule| is_tested(&rule.check)).count().max(1)
}
