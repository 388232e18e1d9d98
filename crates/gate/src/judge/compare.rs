//! Two arms side by side, by no rule: how far each metric differs, in either direction.

use super::Judging;
use super::relative::Pairs;
use super::table::{Table, mean};
use crate::matrix::Difference;
use crate::{Arm, Evidence, Metric, Policy};

/// The difference of each metric between two arms, other minus reference, over the cases that both have. Bounds hold
/// together with `1 - alpha`; p values are of both directions, each for itself (see [`crate::matrix::adjust`]).
#[must_use]
pub fn differences(metrics: &[Metric], reference: &Arm, other: &Arm, alpha: f64, seed: u64) -> Vec<Difference> {
    let (policy, evidence) = (Policy::default(), Evidence { metrics: metrics.to_vec(), ..Evidence::default() });
    let facts = super::Facts { seed, ..super::Facts::default() };
    let judging = Judging {
        policy: &policy,
        evidence: &evidence,
        facts: &facts,
        candidate: Table::of(other),
        confirmed: Table::of(other),
        baseline: Some(Table::of(reference)),
        alpha,
        ahead: std::collections::BTreeSet::new(),
        uncalibrated: std::collections::BTreeMap::new(),
    };
    metrics.iter().map(|metric| difference(&judging, metric)).collect()
}

fn difference(judging: &Judging<'_>, metric: &Metric) -> Difference {
    let mut pairs = Pairs::over(judging, judging.common(), metric);
    let mut found = Difference {
        metric: metric.name.clone(),
        n: pairs.keys.len() as u64,
        reference: mean(&pairs.baseline),
        other: mean(&pairs.candidate),
        confidence: 1.0 - judging.alpha,
        ..Difference::default()
    };
    if pairs.keys.is_empty() {
        found.note = "no case has a score in both".to_owned();
        return found;
    }
    let counts = pairs.counts();
    (found.worse, found.better) = (counts.worse as u64, counts.better as u64);
    // Both ends together: each may miss with half of the chance.
    match pairs.bounds(pairs.drawn(judging).as_ref(), 1.0 - judging.alpha / 2.0) {
        Ok((interval, seed)) => {
            found.estimate = Some(interval.estimate);
            (found.lower, found.upper) = (Some(interval.lower), Some(interval.upper));
            found.method = interval.method.to_string();
            found.seed = seed;
        }
        Err(why) => {
            found.estimate = mean(&pairs.differences);
            found.note = format!("there are no bounds: {why}");
        }
    }
    let worse = pairs.p_regression(judging);
    pairs.differences.iter_mut().for_each(|difference| *difference = -*difference);
    let better = pairs.p_regression(judging);
    found.p_value = worse.zip(better).map(|(worse, better)| (2.0 * worse.min(better)).min(1.0));
    // Differences were turned so that less is worse; people read them as the metric counts.
    if metric.lower_is_better {
        found.estimate = found.estimate.map(|number| -number);
        (found.lower, found.upper) = (found.upper.map(|end| -end), found.lower.map(|end| -end));
    }
    found
}
