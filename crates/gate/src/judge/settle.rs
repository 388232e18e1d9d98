//! What each rule comes to, once all are measured: the chance of a false alarm is shared, judges without a record give
//! advice only, and thin evidence means what the policy says it means.

use std::collections::BTreeMap;

use super::Judging;
use super::finding::{Estimated, Finding, Refuted, Standing};
use crate::policy::{CalibrationLimits, NoBaseline, Uncalibrated};
use crate::statistics::{benjamini_hochberg, benjamini_hochberg_with, holm, holm_with};
use crate::{Adjust, Evidence, Inconclusive, Metric, MetricName, Policy, RuleVerdict};

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
    let Some(name) = &finding.result.metric else {
        let found = judging.uncalibrated.values().next().filter(|_| judging.reads_scores(finding))?;
        return judging.all_are_uncalibrated().then(|| found.clone());
    };
    let metric = judging.metric(name)?;
    let (limits, found) = of_judge(judging.policy, judging.evidence, metric)?;
    match limits.otherwise {
        Uncalibrated::Block => None,
        Uncalibrated::Advisory => Some(found),
        Uncalibrated::Invalid => {
            invalid.push(format!("the judge of `{}` is not calibrated: {}", metric.name, found.join(", ")));
            None
        }
    }
}

/// What speaks against a metric's judge, and what is demanded of it; `None` if there is no judge, or nothing.
fn of_judge(policy: &Policy, evidence: &Evidence, metric: &Metric) -> Option<(CalibrationLimits, Vec<String>)> {
    let judge_hash = metric.judge_hash.as_deref()?;
    let limits = policy.calibration.get(&metric.name).cloned().unwrap_or_default();
    let found = limits.shortcomings(evidence.calibrations.get(&metric.name), judge_hash);
    (!found.is_empty()).then_some((limits, found))
}

/// The metrics whose judges may only advise, and why.
pub(super) fn uncalibrated<'a>(policy: &Policy, evidence: &'a Evidence) -> BTreeMap<&'a MetricName, Vec<String>> {
    let advisory = evidence.metrics.iter().filter_map(|metric| {
        let (limits, found) = of_judge(policy, evidence, metric)?;
        (limits.otherwise == Uncalibrated::Advisory).then_some((&metric.name, found))
    });
    advisory.collect()
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
    // By how much a p value at this look is too small if its test may spend this part of alpha only.
    let times = |part: f64| judging.alpha / judging.level(part);
    // Comparisons that are decided by their bounds have a part of alpha as well.
    let by_bounds = |finding: &&Finding| {
        matches!(&finding.standing, Standing::Estimated(Estimated { refuted: Refuted::ByBounds(_), .. }))
    };
    let others = findings.iter().filter(by_bounds).count();
    let many = (raw.len() + others) as f64;
    let is_plain = judging.facts.look.is_none() && others == 0;
    let adjusted = match judging.policy.adjust {
        Adjust::Holm if is_plain => holm(&raw, judging.alpha).map(|adjusted| adjusted.p_values),
        Adjust::Bh if is_plain => benjamini_hochberg(&raw, judging.alpha).map(|adjusted| adjusted.p_values),
        Adjust::Holm => holm_with(&raw, judging.alpha, |rank| times(1.0 / (many - rank as f64))),
        Adjust::Bh => benjamini_hochberg_with(&raw, judging.alpha, |rank| times((rank + 1) as f64 / many)),
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
