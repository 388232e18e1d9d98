//! The fourth layer: single cases, which a mean can hide.

use super::Judging;
use super::finding::Finding;
use super::table::{Row, passes};
use crate::{CaseKey, Check, Comparator, Metric, MetricName, Rule};

pub(super) fn find(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding) {
    match &rule.check {
        Check::EveryCase { metric, is } => every_case(judging, rule, metric, *is, finding),
        Check::Flips { is, .. } => counted(judging, rule, finding, *is, "flip"),
        Check::CaseDrop { .. } => counted(judging, rule, finding, Comparator::at_most(0.0), "drop"),
        _ => {}
    }
}

/// Cases that a rule needs more answers to, with the number that is needed in all.
pub(super) fn to_confirm(judging: &Judging<'_>) -> Vec<(CaseKey, u32)> {
    let mut wanted: Vec<(CaseKey, u32)> = Vec::new();
    for rule in judging.policy.rules.iter().filter(|rule| rule.check.needs_baseline()) {
        for (key, hit) in hits(judging, rule) {
            let Hit::Unconfirmed { answers } = hit else { continue };
            match wanted.iter_mut().find(|(known, _)| known == key) {
                Some((_, most)) => *most = answers.max(*most),
                None => wanted.push((key.clone(), answers)),
            }
        }
    }
    wanted
}

/// The cases that speak against a rule on single cases.
pub(super) fn against<'a>(judging: &Judging<'a>, rule: &Rule) -> Vec<&'a CaseKey> {
    match &rule.check {
        Check::EveryCase { metric, is } => judging
            .cases_of(rule)
            .into_iter()
            .filter(|key| judging.candidate.row(key).is_some_and(|row| fails_once(judging, row, Some(metric), *is)))
            .collect(),
        Check::Flips { .. } | Check::CaseDrop { .. } => {
            let found = hits(judging, rule).into_iter();
            found.filter(|(_, hit)| !matches!(hit, Hit::Unmeasured)).map(|(key, _)| key).collect()
        }
        _ => Vec::new(),
    }
}

fn every_case(judging: &Judging<'_>, rule: &Rule, metric: &MetricName, is: Option<Comparator>, finding: &mut Finding) {
    let (mut failing, mut unknown, mut n) = (0_u64, 0, 0);
    for key in judging.cases_of(rule) {
        let Some(row) = judging.candidate.row(key).filter(|row| !row.is_not_applicable(metric)) else { continue };
        n += 1;
        if fails_once(judging, row, Some(metric), is) {
            failing += 1;
        } else if row.passed(Some(metric), |score| passed(judging, score, is))[1] < row.answers.len() as u32 {
            unknown += 1;
        }
    }
    finding.result.n = n;
    finding.result.estimate = Some(failing as f64);
    finding.result.method = "count".to_owned();
    if failing > 0 {
        return finding.counted(false, format!("{failing} of {n} cases do not pass"));
    }
    match unknown {
        0 if n == 0 => finding.undecided("there are no cases", false),
        0 => finding.counted(true, format!("all {n} cases pass")),
        _ => finding
            .undecided(&format!("no case fails, but of {unknown} of {n} it is not known whether they pass"), true),
    }
}

fn passed(judging: &Judging<'_>, score: &crate::Score, is: Option<Comparator>) -> Option<bool> {
    passes(score, is, judging.policy.threshold(&score.metric))
}

fn fails_once(judging: &Judging<'_>, row: &Row<'_>, metric: Option<&MetricName>, is: Option<Comparator>) -> bool {
    let [good, of] = row.passed(metric, |score| passed(judging, score, is));
    good < of
}

/// What a case says against a rule.
enum Hit {
    /// It fell, and did so as often as was asked for.
    Confirmed,
    /// It fell, and must be run again.
    Unconfirmed {
        /// So many answers are needed in all.
        answers: u32,
    },
    /// There is no answer, or no score of it.
    Unmeasured,
}

fn counted(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding, is: Comparator, what: &str) {
    let hits = hits(judging, rule);
    let count = |wanted: fn(&Hit) -> bool| hits.iter().filter(|(_, hit)| wanted(hit)).count();
    let confirmed = count(|hit| matches!(hit, Hit::Confirmed));
    let open = count(|hit| matches!(hit, Hit::Unconfirmed { .. }));
    let unmeasured = count(|hit| matches!(hit, Hit::Unmeasured));
    let compared = judging
        .cases_of(rule)
        .into_iter()
        .filter(|key| judging.baseline.as_ref().is_some_and(|table| table.row(key).is_some()));
    finding.result.n = compared.count() as u64;
    finding.result.estimate = Some(confirmed as f64);
    finding.result.method = "count".to_owned();
    let plural = if confirmed == 1 { "" } else { "s" };
    let mut words = format!("{confirmed} {what}{plural} among {} cases", finding.result.n);
    if open > 0 {
        words.push_str(&format!(", {open} to be confirmed by running again"));
    }
    if unmeasured > 0 {
        words.push_str(&format!(", {unmeasured} without a score"));
    }
    if !is.holds(confirmed as f64) {
        finding.counted(false, words);
    } else if !is.holds((confirmed + open) as f64) || unmeasured > 0 {
        finding.undecided(&words, open == 0);
    } else {
        finding.counted(true, words);
    }
}

fn hits<'a>(judging: &Judging<'a>, rule: &Rule) -> Vec<(&'a CaseKey, Hit)> {
    let Some(baseline) = &judging.baseline else { return Vec::new() };
    let mut found = Vec::new();
    for key in judging.cases_of(rule) {
        let (Some(before), Some(after)) = (baseline.row(key), judging.confirmed.row(key)) else { continue };
        let hit = match &rule.check {
            Check::Flips { metric, confirm_reruns, .. } => {
                flip(judging, before, after, metric.as_ref(), *confirm_reruns)
            }
            Check::CaseDrop { metric, drop, confirm_reruns } => {
                let metric = judging.metric(metric);
                metric.and_then(|metric| fall(before, after, metric, *drop, *confirm_reruns))
            }
            _ => None,
        };
        found.extend(hit.map(|hit| (key, hit)));
    }
    found
}

/// A case that passed more often than not, and does so no longer.
fn flip(
    judging: &Judging<'_>,
    before: &Row<'_>,
    after: &Row<'_>,
    metric: Option<&MetricName>,
    reruns: u32,
) -> Option<Hit> {
    let counted = |score: &crate::Score| passed(judging, score, None).filter(|_| judging.counts(metric, score));
    let [good, of] = before.passed(metric, counted);
    if of == 0 || good * 2 <= of {
        return None;
    }
    if after.is_filtered() {
        return Some(Hit::Confirmed);
    }
    let [good, of] = after.passed(metric, counted);
    match of {
        0 => Some(Hit::Unmeasured),
        _ if good * 2 > of => None,
        _ => Some(confirmed(of, reruns)),
    }
}

fn fall(before: &Row<'_>, after: &Row<'_>, metric: &Metric, drop: f64, reruns: u32) -> Option<Hit> {
    let was = before.mean(&metric.name)?;
    let worst = metric.worst().filter(|_| after.is_filtered());
    let Some(now) = after.mean(&metric.name).or(worst) else { return Some(Hit::Unmeasured) };
    let fall = (was - now) * if metric.lower_is_better { -1.0 } else { 1.0 };
    // Rounding must not save a fall of exactly the limit.
    let too_far = fall > 0.0 && fall >= drop * metric.width()? - 1e-12;
    too_far.then(|| if worst.is_some() { Hit::Confirmed } else { confirmed(after.answers.len() as u32, reruns) })
}

fn confirmed(answers: u32, reruns: u32) -> Hit {
    let needed = reruns.saturating_add(1);
    if answers >= needed { Hit::Confirmed } else { Hit::Unconfirmed { answers: needed } }
}
