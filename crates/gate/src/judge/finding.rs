//! What was found for one rule, before it is said what that comes to.

use crate::{Check, Needed, Rule, RuleResult, Unit};

/// What was found for one rule.
pub(super) struct Finding {
    pub(super) result: RuleResult,
    pub(super) standing: Standing,
    /// Whether the rule compares with the baseline, and so blocks on a shown regression only.
    pub(super) relative: bool,
    /// Whether it was skipped because there is no baseline.
    pub(super) for_want_of_baseline: bool,
    /// Why the whole evaluation cannot be used.
    pub(super) invalid: Option<String>,
    pub(super) warning: Option<String>,
}

/// How a rule stands, as far as it can be said without the others.
pub(super) enum Standing {
    /// Nothing to decide.
    Skipped,
    /// Counted, not estimated.
    Counted {
        /// Whether it holds.
        holds: bool,
    },
    /// Estimated.
    Estimated(Estimated),
    /// It could not be measured.
    Undecided {
        /// Whether what is there speaks for it.
        point_holds: bool,
    },
}

/// What an estimate says.
pub(super) struct Estimated {
    /// Whether the bound that is farther from the good side meets the rule.
    pub(super) shown: bool,
    /// Whether the other bound, at a level shared among all rules, does not.
    pub(super) refuted: Refuted,
    /// Whether the estimate itself meets it.
    pub(super) point_holds: bool,
}

/// When an estimate refutes its rule.
pub(super) enum Refuted {
    /// If the adjusted p value is below alpha.
    ByTest {
        /// Whether the effect is large enough to matter.
        matters: bool,
        /// Whether it is refuted without the test as well.
        outright: bool,
    },
    /// By its bounds alone.
    ByBounds(bool),
}

impl Finding {
    pub(super) fn of(rule: &Rule) -> Self {
        let result = RuleResult {
            id: rule.id.clone(),
            kind: rule.check.kind().to_owned(),
            metric: rule.check.metric().cloned(),
            only: rule.only.clone(),
            place: rule.place.clone(),
            threshold: threshold(&rule.check),
            limit: limit(&rule.check),
            unit: unit(&rule.check),
            ..RuleResult::default()
        };
        let relative = matches!(rule.check, Check::NoRegression { .. });
        let standing = Standing::Skipped;
        Self { result, standing, relative, for_want_of_baseline: false, invalid: None, warning: None }
    }

    pub(super) fn skip(&mut self, why: &str) {
        self.standing = Standing::Skipped;
        self.result.words = format!("skipped: {why}");
    }

    pub(super) fn undecided(&mut self, why: &str, point_holds: bool) {
        self.standing = Standing::Undecided { point_holds };
        self.result.words = why.to_owned();
    }

    pub(super) fn counted(&mut self, holds: bool, words: String) {
        self.standing = Standing::Counted { holds };
        self.result.words = words;
    }

    /// Says what would settle it, with what that costs.
    pub(super) fn needs(&mut self, more_cases: Option<u64>, repeats: Option<u64>, usd_per_case: Option<f64>) {
        let usd = more_cases.zip(usd_per_case).map(|(cases, each)| cases as f64 * each);
        let of_repeats = repeats
            .zip(usd_per_case)
            .map(|(repeats, each)| repeats.saturating_sub(1) as f64 * each * self.result.n as f64);
        let usd = match (usd, of_repeats) {
            (Some(cases), Some(repeats)) => Some(cases.min(repeats)),
            (cases, repeats) => cases.or(repeats),
        };
        if more_cases.is_some() || repeats.is_some() {
            self.result.needed = Some(Needed { more_cases, repeats, usd });
        }
    }

    /// Takes over an interval.
    pub(super) fn bounds(&mut self, interval: &crate::statistics::Interval) {
        let result = &mut self.result;
        result.estimate = Some(interval.estimate);
        result.lower = Some(interval.lower);
        result.upper = Some(interval.upper);
        result.standard_error = interval.standard_error;
        result.confidence = Some(interval.confidence);
        result.method = interval.method.to_string();
    }
}

fn threshold(check: &Check) -> String {
    match check {
        Check::Threshold { is, .. }
        | Check::Flips { is, .. }
        | Check::FlakyCases { is, .. }
        | Check::PassHatK { is, .. }
        | Check::CostPerCase { is }
        | Check::Latency { is, .. }
        | Check::Filtered { is } => is.to_string(),
        Check::EveryCase { is, .. } => is.map_or_else(|| "every case".to_owned(), |is| format!("every case {is}")),
        Check::CaseDrop { drop, .. } => format!("no drop of {drop} of the scale"),
        Check::NoRegression { .. } => String::new(),
    }
}

fn limit(check: &Check) -> Option<f64> {
    match check {
        Check::Threshold { is, .. }
        | Check::Flips { is, .. }
        | Check::FlakyCases { is, .. }
        | Check::PassHatK { is, .. }
        | Check::CostPerCase { is }
        | Check::Latency { is, .. }
        | Check::Filtered { is } => Some(is.number()),
        Check::EveryCase { .. } | Check::CaseDrop { .. } | Check::NoRegression { .. } => None,
    }
}

fn unit(check: &Check) -> Unit {
    match check {
        Check::Threshold { .. } | Check::NoRegression { .. } | Check::PassHatK { .. } => Unit::Score,
        Check::EveryCase { .. } | Check::Flips { .. } | Check::CaseDrop { .. } => Unit::Cases,
        Check::FlakyCases { .. } | Check::Filtered { .. } => Unit::Share,
        Check::CostPerCase { is } | Check::Latency { is, .. } if is.is_of_baseline() => Unit::Ratio,
        Check::CostPerCase { .. } => Unit::Usd,
        Check::Latency { .. } => Unit::Milliseconds,
    }
}
