//! The third layer: the candidate against its baseline, on the cases that both have.

use super::Judging;
use super::absolute::{clusters_of, p_value, plain, resampling, scale_of, usd_per_case};
use super::finding::{Estimated, Finding, Refuted, Standing};
use super::table::says_one_thing;
use crate::statistics::{
    BootstrapDistribution, EXACT_SIGN_FLIP_LIMIT, Interval, Method, PairedCounts, RESAMPLING_LIMIT, RatioOf, Scale,
    Sides, Undefined, bootstrap_clustered, bootstrap_mean, cases_to_settle_equal_differences, cases_to_settle_mean,
    clustered_bounds, mcnemar, mean_bounds, mean_with_error, minimum_detectable_effect, paired_ratio,
    paired_share_difference, power_of_mean_test, sign_flip_bounds, sign_flip_test, sign_flip_test_clustered,
};
use crate::{CaseKey, Check, Metric, Rule, RuleResult};

/// The power at which a plan is made: four times out of five.
const POWER: f64 = 0.8;

pub(super) fn find(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding) {
    let Check::NoRegression { metric, margin, min_effect, require_power } = &rule.check else { return };
    let Some(metric) = judging.metric(metric) else { return finding.undecided("its metric was not measured", true) };
    let Some(width) = metric.width().filter(|width| *width > 0.0) else {
        return finding.skip("its metric has no scale, so that no margin fits it");
    };
    let (margin, min_effect) = (margin * width, min_effect * width);
    let pairs = Pairs::of(judging, rule, metric);
    finding.result.margin = Some(margin);
    finding.result.n = pairs.keys.len() as u64;
    if pairs.keys.is_empty() {
        return finding.skip("no case has a score in both arms");
    }
    finding.result.baseline_estimate = super::table::mean(&pairs.baseline);
    finding.result.candidate_estimate = super::table::mean(&pairs.candidate);
    finding.result.differences = thinned(&pairs.differences);
    compare(judging, &pairs, margin, min_effect, finding);
    power(judging, &pairs, margin, *require_power, finding);
}

/// Pairs of values, one for each case that both arms have; differences are turned so that less is worse.
pub(super) struct Pairs<'a> {
    pub(super) keys: Vec<&'a CaseKey>,
    pub(super) baseline: Vec<f64>,
    pub(super) candidate: Vec<f64>,
    pub(super) differences: Vec<f64>,
    clusters: Option<Vec<&'a str>>,
    single_draws: bool,
    scale: Option<Scale>,
}

impl<'a> Pairs<'a> {
    fn of(judging: &Judging<'a>, rule: &Rule, metric: &Metric) -> Self {
        Self::over(judging, judging.cases_of(rule), metric)
    }

    /// Over these cases.
    pub(super) fn over(judging: &Judging<'a>, cases: Vec<&'a CaseKey>, metric: &Metric) -> Self {
        let (mut keys, mut baseline, mut candidate) = (Vec::new(), Vec::new(), Vec::new());
        let mut single_draws = metric.boolean;
        for key in cases {
            let before = judging.baseline.as_ref().and_then(|table| table.row(key));
            let (Some(before), Some(after)) = (before, judging.candidate.row(key)) else { continue };
            let Some(was) = before.mean(&metric.name) else { continue };
            // What was answered before and is filtered now is as bad as an answer can be.
            let now = after.mean(&metric.name).or_else(|| metric.worst().filter(|_| after.is_filtered()));
            let Some(now) = now else { continue };
            single_draws &= [before, after].iter().all(|row| says_one_thing(&row.by_answer(&metric.name)));
            keys.push(key);
            baseline.push(was);
            candidate.push(now);
        }
        let sign = if metric.lower_is_better { -1.0 } else { 1.0 };
        let differences = baseline.iter().zip(&candidate).map(|(was, now)| (now - was) * sign).collect();
        let clusters = clusters_of(judging, &keys);
        let single_draws = single_draws && clusters.is_none();
        Self { keys, baseline, candidate, differences, clusters, single_draws, scale: scale_of(metric) }
    }

    pub(super) fn counts(&self) -> PairedCounts {
        let mut counts = PairedCounts { both_pass: 0, worse: 0, better: 0, both_fail: 0 };
        for (difference, was) in self.differences.iter().zip(&self.baseline) {
            match (*difference < 0.0, *difference > 0.0) {
                (true, _) => counts.worse += 1,
                (_, true) => counts.better += 1,
                _ if *was == 1.0 => counts.both_pass += 1,
                _ => counts.both_fail += 1,
            }
        }
        counts
    }

    fn all_equal(&self) -> bool {
        self.differences.iter().all(|difference| *difference == self.differences[0])
    }

    /// Draws pairs again, where what t says is to be checked by that.
    pub(super) fn drawn(&self, judging: &Judging<'_>) -> Option<BootstrapDistribution> {
        let n = self.differences.len();
        let by_t = match &self.clusters {
            Some(_) => true,
            None => !self.all_equal() && !self.single_draws && n > EXACT_SIGN_FLIP_LIMIT,
        };
        if !by_t || n > RESAMPLING_LIMIT {
            return None;
        }
        let resampling = resampling(judging, n);
        let drawn = match &self.clusters {
            Some(clusters) => bootstrap_clustered(&self.differences, clusters, resampling),
            None => bootstrap_mean(&self.differences, resampling),
        };
        drawn.ok()
    }

    /// The bounds of the mean difference. What t says is checked by resampling, and the more careful end of both is taken.
    pub(super) fn bounds(
        &self,
        drawn: Option<&BootstrapDistribution>,
        confidence: f64,
    ) -> Result<(Interval, Option<u64>), Undefined> {
        let scale = self.scale.map(Scale::of_differences);
        if self.all_equal() && self.clusters.is_none() {
            return mean_bounds(&self.differences, scale, confidence, Sides::One).map(|interval| (interval, None));
        }
        if self.single_draws {
            return paired_share_difference(&self.counts(), confidence, Sides::One).map(|interval| (interval, None));
        }
        let n = self.differences.len();
        if n <= EXACT_SIGN_FLIP_LIMIT && self.clusters.is_none() {
            let whole = Scale { lowest: f64::MIN, highest: f64::MAX };
            let found = sign_flip_bounds(&self.differences, confidence, Sides::One)?;
            return Ok((found.within(scale.unwrap_or(whole)), None));
        }
        let mut interval = match &self.clusters {
            Some(clusters) => clustered_bounds(&self.differences, clusters, scale, confidence, Sides::One)?,
            None => mean_bounds(&self.differences, scale, confidence, Sides::One)?,
        };
        if n > RESAMPLING_LIMIT || interval.method == Method::ExactDiscordantShare {
            return Ok((interval, None));
        }
        if let Some(Ok(drawn)) = drawn.map(|drawn| drawn.bca(confidence, Sides::One)) {
            interval.lower = interval.lower.min(drawn.lower);
            interval.upper = interval.upper.max(drawn.upper);
        }
        Ok((interval, drawn.map(|drawn| drawn.resampling.seed)))
    }

    /// How often luck alone would give a candidate as good as the baseline so bad a result.
    pub(super) fn p_regression(&self, judging: &Judging<'_>) -> Option<f64> {
        if self.single_draws {
            let counts = self.counts();
            return Some(mcnemar(counts.worse, counts.better).p_regression);
        }
        let resampling = resampling(judging, self.differences.len());
        if let Some(clusters) = &self.clusters {
            return sign_flip_test_clustered(&self.differences, clusters, resampling).ok().map(|test| test.p_less);
        }
        if self.differences.len() <= EXACT_SIGN_FLIP_LIMIT || self.all_equal() {
            return sign_flip_test(&self.differences, resampling).ok().map(|test| test.p_less);
        }
        let bounds = |confidence: f64| {
            mean_bounds(&self.differences, self.scale.map(Scale::of_differences), confidence, Sides::One)
        };
        p_value(&bounds, |interval| interval.upper < 0.0)
    }
}

fn compare(judging: &Judging<'_>, pairs: &Pairs<'_>, margin: f64, min_effect: f64, finding: &mut Finding) {
    let drawn = pairs.drawn(judging);
    let (interval, seed) = match pairs.bounds(drawn.as_ref(), 1.0 - judging.alpha) {
        Ok(found) => found,
        Err(why) => return finding.undecided(&format!("there are no bounds: {why}"), true),
    };
    finding.bounds(&interval);
    finding.result.seed = seed;
    finding.result.p_value = pairs.p_regression(judging);
    // Without the test it takes bounds that hold for all rules at once.
    let shared = judging.level(1.0 / judging.policy.rules.len().max(1) as f64);
    let far = pairs.bounds(drawn.as_ref(), 1.0 - shared).is_ok_and(|(interval, _)| interval.upper < -margin);
    let shown = interval.lower > -margin;
    finding.standing = Standing::Estimated(Estimated {
        shown,
        refuted: Refuted::ByTest {
            matters: -interval.estimate >= min_effect && interval.estimate < 0.0,
            outright: far,
        },
        point_holds: interval.estimate > -margin,
    });
    let counts = pairs.counts();
    let n = pairs.keys.len();
    let moved = format!("of {n} cases {} got worse and {} better", counts.worse, counts.better);
    finding.result.words = if shown {
        format!("{moved}; a drop of more than {} is ruled out", plain(-interval.lower.min(0.0)))
    } else {
        format!(
            "{moved}; a drop of {} cannot be ruled out, and {} would still do",
            plain(-interval.lower),
            plain(margin)
        )
    };
    if !shown {
        let confidence = 1.0 - judging.alpha;
        let settled = if pairs.all_equal() {
            let width = pairs.scale.map_or(1.0, |scale| scale.highest - scale.lowest);
            cases_to_settle_equal_differences(interval.estimate, width, margin, confidence)
        } else {
            deviation(pairs)
                .and_then(|deviation| cases_to_settle_mean(interval.estimate, deviation, -margin, confidence))
        };
        let more = settled.ok().and_then(|all| all.checked_sub(n)).filter(|more| *more > 0);
        finding.needs(more.map(|more| more as u64), None, usd_per_case(judging));
    }
}

/// What this comparison can see, which is said before anybody trusts it.
fn power(judging: &Judging<'_>, pairs: &Pairs<'_>, margin: f64, required: Option<f64>, finding: &mut Finding) {
    let n = pairs.keys.len();
    let Some(deviation) = deviation(pairs).ok().filter(|deviation| *deviation > 0.0) else { return };
    finding.result.detectable = minimum_detectable_effect(deviation, n, judging.alpha, POWER).ok();
    let Ok(power) = power_of_mean_test(deviation, margin, n, judging.alpha) else { return };
    if let Some(required) = required.filter(|required| power < *required) {
        let (power, required) = (plain(power), plain(required));
        finding.warning = Some(format!(
            "rule `{}` sees a drop of {} with power {power} only, and {required} is required",
            finding.result.id,
            plain(margin)
        ));
        if matches!(&finding.standing, Standing::Estimated(found) if !found.shown) {
            finding.relative = false;
        }
    }
}

/// Standard deviation of the differences, larger where cases of one cluster go together.
fn deviation(pairs: &Pairs<'_>) -> Result<f64, Undefined> {
    let found = mean_with_error(&pairs.differences)?;
    let deviation = found.standard_deviation.ok_or(Undefined::NoSpread)?;
    let effect = match &pairs.clusters {
        Some(clusters) => crate::statistics::clustered_mean(&pairs.differences, clusters)?.design_effect,
        None => None,
    };
    Ok(deviation * effect.unwrap_or(1.0).max(1.0).sqrt())
}

/// As many differences as are drawn, evenly picked from all of them in order of size, so that the extremes stay.
fn thinned(differences: &[f64]) -> Vec<f64> {
    let most = RuleResult::MOST_DIFFERENCES;
    let mut all = differences.to_vec();
    all.sort_by(f64::total_cmp);
    if all.len() <= most {
        return all;
    }
    (0..most).filter_map(|at| all.get(at * (all.len() - 1) / (most - 1)).copied()).collect()
}

/// Cost or time as a multiple of the baseline's.
pub(super) fn find_ratio(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding) {
    let (of, is) = match &rule.check {
        Check::CostPerCase { is } => (RatioOf::Means, *is),
        Check::Latency { percentile, is } => (RatioOf::Quantiles(f64::from(*percentile) / 100.0), *is),
        _ => return,
    };
    let timed = matches!(rule.check, Check::Latency { .. });
    let (mut before, mut after, mut unpriced) = (Vec::new(), Vec::new(), 0);
    for key in judging.cases_of(rule) {
        let was = judging.baseline.as_ref().and_then(|table| table.row(key));
        let (Some(was), Some(now)) = (was, judging.candidate.row(key)) else { continue };
        let spent = |row: &super::table::Row<'_>| if timed { row.latency() } else { row.mean_cost() };
        match (spent(was), spent(now)) {
            (Some(was), Some(now)) if was > 0.0 && now > 0.0 => {
                before.push(was);
                after.push(now);
            }
            _ => unpriced += usize::from(!timed && was.is_answered() && now.is_answered() && spent(now).is_none()),
        }
    }
    finding.result.n = before.len() as u64;
    if unpriced > 0 {
        finding.invalid =
            Some(format!("the price of {unpriced} answers is not known, and rule `{}` limits it", rule.id));
    }
    if before.is_empty() {
        return finding.skip(if timed { "no case was timed in both arms" } else { "no case has a price in both arms" });
    }
    let drawn = match paired_ratio(&before, &after, of, resampling(judging, before.len())) {
        Ok(drawn) => drawn,
        Err(why) => return finding.undecided(&format!("there are no bounds: {why}"), false),
    };
    finding.result.seed = Some(judging.facts.seed);
    let estimate = drawn.estimate();
    finding.result.estimate = Some(estimate);
    let words = format!("{} times the baseline", plain(estimate));
    let Ok(interval) = drawn.percentile(1.0 - judging.alpha, Sides::One) else {
        // Every pair has the same ratio: then it is what it is.
        return finding.counted(is.holds(estimate), words);
    };
    finding.bounds(&interval);
    finding.result.standard_error = None;
    let shared = judging.level(1.0 / judging.policy.rules.len().max(1) as f64);
    let refuted = drawn.percentile(1.0 - shared, Sides::One).is_ok_and(|interval| !is.holds(interval.lower));
    finding.result.words = words;
    finding.standing = Standing::Estimated(Estimated {
        shown: is.holds(interval.upper),
        refuted: Refuted::ByBounds(refuted),
        point_holds: is.holds(estimate),
    });
}
