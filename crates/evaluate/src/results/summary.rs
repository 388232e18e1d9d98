//! Metrics over cases.

use std::collections::BTreeMap;

use sluicegate_gate::statistics::{
    Interval, Scale, Sides, clustered_bounds, clustered_mean, mean_bounds, mean_with_error, wilson,
};
use sluicegate_gate::{Arm, CaseKey, Metric, Missing, Score, ScoreValue};

/// What people read: both ends of an interval hold together.
const CONFIDENCE: f64 = 0.95;

/// A metric over the cases of one arm.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSummary {
    /// The metric.
    pub metric: Metric,
    /// How many cases have a score.
    pub n: u64,
    /// How many cases should have one and have none.
    pub missing: u64,
    /// Of which a reply without a score is why.
    pub unscored: u64,
    /// How many cases the metric says nothing about.
    pub not_applicable: u64,
    /// The mean over cases, each being the mean over its answers of the mean over their readings.
    pub mean: Option<f64>,
    /// The standard error of the mean; cluster-robust where there are clusters.
    pub standard_error: Option<f64>,
    /// The two-sided 95 % interval, with how it was computed.
    pub interval: Option<Interval>,
    /// How many cases pass in all their scores, of how many for which that is known.
    pub passed: Option<[u64; 2]>,
}

/// The metrics of one arm, in the order in which they are given.
#[must_use]
pub fn summaries(metrics: &[Metric], arm: &Arm) -> Vec<MetricSummary> {
    let mut clusters: BTreeMap<&CaseKey, Option<&str>> = BTreeMap::new();
    for case in &arm.cases {
        let known = clusters.entry(&case.key).or_default();
        *known = known.or(case.cluster.as_deref());
    }
    let mut by_metric: BTreeMap<&str, BTreeMap<&CaseKey, Vec<&Score>>> = BTreeMap::new();
    for score in arm.scores.iter().filter(|score| clusters.contains_key(&score.case)) {
        by_metric.entry(score.metric.as_str()).or_default().entry(&score.case).or_default().push(score);
    }
    let nothing = BTreeMap::new();
    metrics
        .iter()
        .map(|metric| summary(metric, by_metric.get(metric.name.as_str()).unwrap_or(&nothing), &clusters))
        .collect()
}

fn summary(
    metric: &Metric,
    scores: &BTreeMap<&CaseKey, Vec<&Score>>,
    clusters: &BTreeMap<&CaseKey, Option<&str>>,
) -> MetricSummary {
    let mut found = MetricSummary {
        metric: metric.clone(),
        n: 0,
        missing: 0,
        unscored: 0,
        not_applicable: 0,
        mean: None,
        standard_error: None,
        interval: None,
        passed: None,
    };
    let (mut values, mut keys, mut single_draws) = (Vec::new(), Vec::new(), metric.boolean);
    for key in clusters.keys() {
        let of_case = scores.get(key).map_or(&[][..], Vec::as_slice);
        match mean_of_case(of_case) {
            Some(mean) => {
                found.n += 1;
                single_draws &= of_case.len() == 1;
                values.push(mean);
                keys.push(*key);
            }
            None => {
                let whys = || of_case.iter().filter_map(|score| why(score));
                if !of_case.is_empty() && whys().all(|why| why == Missing::NotApplicable) {
                    found.not_applicable += 1;
                } else {
                    found.missing += 1;
                    found.unscored += u64::from(whys().any(|why| why == Missing::Unscored));
                }
            }
        }
        if let Some(yes) = passes(of_case) {
            let [passed, of] = found.passed.get_or_insert([0, 0]);
            *passed += u64::from(yes);
            *of += 1;
        }
    }
    let has_clusters = keys.iter().any(|key| clusters.get(*key).copied().flatten().is_some());
    let of_cluster: Vec<&str> =
        keys.iter().map(|key| clusters.get(*key).copied().flatten().unwrap_or(key.as_str())).collect();
    let scale = metric.scale.map(|[lowest, highest]| Scale { lowest, highest });
    let mean = mean_with_error(&values).ok();
    found.mean = mean.as_ref().map(|mean| mean.estimate);
    found.standard_error = mean.and_then(|mean| mean.standard_error);
    found.interval = if has_clusters {
        found.standard_error = clustered_mean(&values, &of_cluster).ok().and_then(|mean| mean.standard_error);
        clustered_bounds(&values, &of_cluster, scale, CONFIDENCE, Sides::Two).ok()
    } else if single_draws {
        let yes = values.iter().filter(|value| **value == 1.0).count();
        wilson(yes, values.len(), CONFIDENCE, Sides::Two).ok()
    } else {
        mean_bounds(&values, scale, CONFIDENCE, Sides::Two).ok()
    };
    found
}

/// The mean over answers of the mean over the readings of each.
fn mean_of_case(scores: &[&Score]) -> Option<f64> {
    let mut answers: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    let mut ordered: Vec<&&Score> = scores.iter().collect();
    // Sums in one order, so that they are the same whenever the scores came.
    ordered.sort_by_key(|score| (score.repeat, score.judge_repeat));
    for score in ordered {
        if let Some(number) = score.value.number() {
            let (sum, count) = answers.entry(score.repeat).or_default();
            *sum += number;
            *count += 1.0;
        }
    }
    let n = answers.len() as f64;
    (n > 0.0).then(|| answers.values().map(|(sum, count)| sum / count).sum::<f64>() / n)
}

fn passes(scores: &[&Score]) -> Option<bool> {
    let known: Vec<bool> = scores.iter().filter_map(|score| score.passed).collect();
    (!known.is_empty()).then(|| known.into_iter().all(|yes| yes))
}

fn why(score: &Score) -> Option<Missing> {
    match &score.value {
        ScoreValue::Missing { why, .. } => Some(*why),
        ScoreValue::Number(number) if !number.is_finite() => Some(Missing::Unscored),
        _ => None,
    }
}
