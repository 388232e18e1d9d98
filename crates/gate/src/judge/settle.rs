//! What each rule comes to, once all are measured: the chance of a false alarm is shared, judges without a record give
//! advice only, and thin evidence means what the policy says it means.

use super::Judging;
use super::finding::{Estimated, Finding, Refuted, Standing};
use crate::policy::{CalibrationLimits, NoBaseline, SpendingMethod, Uncalibrated};
use crate::statistics::{AlphaSpending, benjamini_hochberg, equal_looks, group_sequential, holm};
use crate::{Adjust, Inconclusive, Policy, RuleVerdict};

pub(super) fn settle(judging: &Judging<'_>, findings: &mut [Finding], invalid: &mut Vec<String>) {
    let advisory: Vec<Option<Vec<String>>> =
        findings.iter().map(|finding| shortcomings(judging, finding, invalid)).collect();
    adjust(judging, findings, &advisory);
    let mut hinted = std::collections::BTreeSet::new();
    for (finding, advisory) in findings.iter_mut().zip(advisory) {
        let verdict = verdict(judging, finding);
        finding.result.verdict = verdict;
        finding.result.blocks = match verdict {
            RuleVerdict::Fail => true,
            RuleVerdict::Inconclusive => match judging.policy.inconclusive {
                Inconclusive::Block => true,
                Inconclusive::Warn => false,
                Inconclusive::ByPoint => !finding.relative && !point_holds(&finding.standing),
            },
            _ => false,
        };
        if finding.for_want_of_baseline && judging.policy.baseline.otherwise == NoBaseline::Invalid {
            invalid.push(format!("rule `{}` needs a baseline: {}", finding.result.id, finding.result.words));
        }
        // Only what is not there yet is worth more cases.
        if verdict != RuleVerdict::Inconclusive {
            finding.result.needed = None;
        } else if let Some(needed) = &finding.result.needed {
            finding.result.words.push_str(&format!(": {needed}"));
        }
        if let Some(why) = advisory {
            finding.result.would_be = Some(verdict);
            finding.result.verdict = RuleVerdict::Advisory;
            finding.result.blocks = false;
            finding.result.words.push_str(&format!(" (advice only: its judge is not calibrated, {})", why.join(", ")));
            // One rule of each judge says what can be done about it.
            if let Some(metric) = finding.result.metric.clone()
                && finding.warning.is_none()
                && hinted.insert(metric.clone())
            {
                finding.warning = Some(judging.how_to_calibrate(&metric));
            }
        }
    }
}

/// The chance of a false alarm that may be spent at this look.
pub(super) fn alpha_at_look(policy: &Policy, look: Option<[u32; 2]>) -> f64 {
    let (Some([at, of]), Some(sequential)) = (look, &policy.sequential) else { return policy.alpha };
    let spending = match sequential.method {
        SpendingMethod::ObrienFleming => AlphaSpending::ObrienFleming,
        SpendingMethod::Pocock => AlphaSpending::Pocock,
    };
    let looks = group_sequential(&equal_looks(of as usize), policy.alpha, spending);
    let found = looks.ok().and_then(|looks| Some(looks.get((at as usize).checked_sub(1)?)?.nominal_alpha));
    // A look that is none of those that were planned may decide next to nothing.
    found.unwrap_or(f64::MIN_POSITIVE.sqrt()).max(1e-12)
}

impl Judging<'_> {
    /// What makes the rules of a judged metric block: a record of how its judge agrees with people.
    fn how_to_calibrate(&self, metric: &crate::MetricName) -> String {
        let environment = self.facts.environment.as_ref().map(|name| format!(" -e {name}")).unwrap_or_default();
        let known = self.policy.calibration.get(metric).is_some_and(|limits| limits.labels.is_some());
        let labels = if known { "" } else { " --labels FILE" };
        format!(
            "rules on `{metric}` give advice only: sluicegate calibrate {}{environment} --judge {metric}{labels}",
            self.facts.flow
        )
    }
}

/// Why a rule may only advise; `None` if it may block.
fn shortcomings(judging: &Judging<'_>, finding: &Finding, invalid: &mut Vec<String>) -> Option<Vec<String>> {
    let metric = judging.metric(finding.result.metric.as_ref()?)?;
    let judge_hash = metric.judge_hash.as_deref()?;
    let default = CalibrationLimits::default();
    let limits = judging.policy.calibration.get(&metric.name).unwrap_or(&default);
    let found = limits.shortcomings(judging.evidence.calibrations.get(&metric.name), judge_hash);
    if found.is_empty() {
        return None;
    }
    match limits.otherwise {
        Uncalibrated::Block => None,
        Uncalibrated::Advisory => Some(found),
        Uncalibrated::Invalid => {
            invalid.push(format!("the judge of `{}` is not calibrated: {}", metric.name, found.join(", ")));
            None
        }
    }
}

/// Adjusts the p values of the rules that may block.
fn adjust(judging: &Judging<'_>, findings: &mut [Finding], advisory: &[Option<Vec<String>>]) {
    let tested = |finding: &Finding| {
        matches!(&finding.standing, Standing::Estimated(Estimated { refuted: Refuted::ByTest { .. }, .. }))
    };
    let among: Vec<usize> = (0..findings.len())
        .filter(|at| advisory[*at].is_none() && tested(&findings[*at]) && findings[*at].result.p_value.is_some())
        .collect();
    let raw: Vec<f64> = among.iter().filter_map(|at| findings[*at].result.p_value).collect();
    let adjusted = match judging.policy.adjust {
        Adjust::Holm => holm(&raw, judging.alpha).map(|adjusted| adjusted.p_values),
        Adjust::Bh => benjamini_hochberg(&raw, judging.alpha).map(|adjusted| adjusted.p_values),
        Adjust::None => Ok(raw.clone()),
    };
    for (at, adjusted) in among.into_iter().zip(adjusted.unwrap_or_default()) {
        findings[at].result.p_adjusted = Some(adjusted);
    }
    for finding in findings.iter_mut().filter(|finding| finding.result.p_adjusted.is_none()) {
        finding.result.p_adjusted = finding.result.p_value.filter(|_| tested(finding));
    }
}

fn verdict(judging: &Judging<'_>, finding: &Finding) -> RuleVerdict {
    match &finding.standing {
        Standing::Skipped => RuleVerdict::Skipped,
        Standing::Undecided { .. } => RuleVerdict::Inconclusive,
        Standing::Counted { holds: true } => RuleVerdict::Pass,
        Standing::Counted { holds: false } => RuleVerdict::Fail,
        Standing::Estimated(found) => {
            let refuted = match found.refuted {
                Refuted::ByTest { matters, outright } => {
                    let significant = finding.result.p_adjusted.is_some_and(|p| p < judging.alpha);
                    outright || (matters && significant)
                }
                Refuted::ByBounds(refuted) => refuted,
            };
            if refuted {
                RuleVerdict::Fail
            } else if found.shown {
                RuleVerdict::Pass
            } else {
                RuleVerdict::Inconclusive
            }
        }
    }
}

fn point_holds(standing: &Standing) -> bool {
    match standing {
        Standing::Estimated(found) => found.point_holds,
        Standing::Undecided { point_holds } => *point_holds,
        Standing::Counted { holds } => *holds,
        Standing::Skipped => true,
    }
}
