//! The cases that got worse, or that fail where there is nothing to compare them with: the worst first.

use std::collections::BTreeMap;

use super::Judging;
use super::finding::Finding;
use super::guard;
use super::table::{Row, passes};
use crate::{CaseKey, CaseRegression, Check, KEPT_OUTPUT, Outcome, RuleVerdict, ScorePair, shortened};

/// How many a receipt lists.
const MOST: usize = 200;

pub(super) fn of(judging: &Judging<'_>, findings: &[Finding]) -> (Vec<CaseRegression>, u64) {
    let rules = rules_by_case(judging, findings);
    let mut found: Vec<(f64, &CaseKey)> = Vec::new();
    for (key, row) in judging.candidate.rows() {
        let before = judging.baseline.as_ref().and_then(|table| table.row(key));
        let badness = badness(judging, before, row);
        if badness > 0.0 || rules.contains_key(key) {
            found.push((badness, key));
        }
    }
    // Equal ones stay in the order of the data.
    found.sort_by(|left, right| right.0.total_cmp(&left.0));
    let total = found.len() as u64;
    let listed = found.into_iter().take(MOST).filter_map(|(_, key)| one(judging, key, rules.get(key)));
    (listed.collect(), total)
}

/// How much worse a case got, in shares of the scales; without a baseline, how many of its scores fail.
fn badness(judging: &Judging<'_>, before: Option<&Row<'_>>, row: &Row<'_>) -> f64 {
    let Some(before) = before else {
        let failing = row
            .all_scores()
            .filter(|score| passes(score, None, judging.policy.threshold(&score.metric)) == Some(false));
        return if judging.baseline.is_some() { 0.0 } else { failing.count() as f64 };
    };
    let lost = judging.evidence.metrics.iter().filter_map(|metric| {
        let width = metric.width().filter(|width| *width > 0.0)?;
        let was = before.mean(&metric.name)?;
        let now = row.mean(&metric.name).or_else(|| metric.worst())?;
        let change = if metric.lower_is_better { now - was } else { was - now };
        Some((change / width).max(0.0))
    });
    lost.sum()
}

/// The rules that do not hold, by the cases that speak against them.
fn rules_by_case<'a>(judging: &Judging<'a>, findings: &[Finding]) -> BTreeMap<&'a CaseKey, Vec<String>> {
    let mut by_case: BTreeMap<&CaseKey, Vec<String>> = BTreeMap::new();
    for (rule, finding) in judging.policy.rules.iter().zip(findings) {
        if matches!(finding.result.verdict, RuleVerdict::Pass | RuleVerdict::Skipped) {
            continue;
        }
        let keys = match &rule.check {
            Check::NoRegression { metric, .. } => {
                let worse = |key: &&CaseKey| {
                    let before = judging.baseline.as_ref().and_then(|table| table.row(key));
                    let (before, after) = (
                        before.and_then(|row| row.mean(metric)),
                        judging.candidate.row(key).and_then(|row| row.mean(metric)),
                    );
                    let lower_is_better = judging.metric(metric).is_some_and(|metric| metric.lower_is_better);
                    before.zip(after).is_some_and(|(was, now)| if lower_is_better { now > was } else { now < was })
                };
                judging.cases_of(rule).into_iter().filter(worse).collect()
            }
            _ => guard::against(judging, rule),
        };
        for key in keys {
            by_case.entry(key).or_default().push(rule.id.clone());
        }
    }
    by_case
}

fn one(judging: &Judging<'_>, key: &CaseKey, rules: Option<&Vec<String>>) -> Option<CaseRegression> {
    let row = judging.confirmed.row(key)?;
    let before = judging.baseline.as_ref().and_then(|table| table.row(key));
    let answer = row.answers.iter().find(|answer| answer.outcome == Outcome::Answered).or(row.answers.first())?;
    let output =
        |answer: &crate::Case| (answer.outcome == Outcome::Answered).then(|| shortened(&answer.output, KEPT_OUTPUT));
    let scores = judging.evidence.metrics.iter().filter_map(|metric| {
        let (was, now) = (before.and_then(|row| row.mean(&metric.name)), row.mean(&metric.name));
        let worse = match (was, now) {
            (Some(was), Some(now)) => {
                if metric.lower_is_better {
                    now > was
                } else {
                    now < was
                }
            }
            (Some(_), None) => true,
            (None, _) => row
                .scores(&metric.name)
                .iter()
                .any(|score| passes(score, None, judging.policy.threshold(&metric.name)) == Some(false)),
        };
        // The reason for the worst of its scores.
        let told = row.scores(&metric.name).iter().filter(|score| !score.reason.is_empty());
        let reason = told.min_by(|left, right| {
            let number = |score: &&crate::Score| score.value.number().unwrap_or(f64::NEG_INFINITY);
            number(left).total_cmp(&number(right))
        });
        let reason = reason.map(|score| shortened(&score.reason, KEPT_OUTPUT)).unwrap_or_default();
        worse.then(|| ScorePair { metric: metric.name.clone(), baseline: was, candidate: now, reason })
    });
    let passed = row.passed(None, |score| passes(score, None, judging.policy.threshold(&score.metric)));
    Some(CaseRegression {
        key: key.clone(),
        line: row.line(),
        input: shortened(&answer.input, KEPT_OUTPUT),
        baseline_output: before.and_then(|row| row.answers.first()).and_then(|answer| output(answer)),
        candidate_output: output(answer),
        outcome: answer.outcome.clone(),
        scores: scores.collect(),
        rules: rules.cloned().unwrap_or_default(),
        passed_of: (row.answers.len() > 1).then_some(passed),
        reruns: (row.answers.len() as u32).saturating_sub(before.map_or(1, |row| row.answers.len() as u32)),
    })
}
