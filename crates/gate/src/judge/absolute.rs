//! The second layer: rules on the candidate alone.

use super::Judging;
use super::finding::{Estimated, Finding, Refuted, Standing};
use super::table::{mean, passes, says_one_thing};
use crate::statistics::{
    self, Interval, Resampling, Scale, Sides, Undefined, binomial_at_least, binomial_cdf, cases_to_settle_mean,
    cases_to_settle_share, clustered_bounds, mean_bounds, mean_with_error, quantile, variance_split, wilson,
};
use crate::{Bound, CaseKey, Check, Comparator, Metric, Rule};

/// What a sample is bounded by, at any confidence.
pub(super) type Bounds<'b> = dyn Fn(f64) -> Result<Interval, Undefined> + 'b;

pub(super) fn find(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding) {
    match &rule.check {
        Check::Threshold { metric, is, bound } => {
            let Some(metric) = judging.metric(metric) else {
                return finding.undecided("its metric was not measured", false);
            };
            threshold(judging, rule, metric, *is, *bound, finding);
        }
        Check::PassHatK { metric, k, is } => pass_hat_k(judging, rule, metric.as_ref(), *k, *is, finding),
        Check::FlakyCases { metric, is } => flaky(judging, rule, metric.as_ref(), *is, finding),
        Check::Filtered { is } => {
            let keys = judging.cases_of(rule);
            let rows = keys.iter().filter_map(|key| judging.candidate.row(key));
            let filtered = rows.filter(|row| row.answers.iter().any(|answer| answer.outcome.is_filtered())).count();
            share(judging, finding, filtered, keys.len(), *is, "filtered");
        }
        _ => {}
    }
}

/// What was spent on an answer, in money or in time: a budget, held against the estimate itself.
pub(super) fn find_spent(judging: &Judging<'_>, rule: &Rule, finding: &mut Finding) {
    let keys = judging.cases_of(rule);
    let rows: Vec<_> =
        keys.iter().filter_map(|key| judging.candidate.row(key)).filter(|row| row.is_answered()).collect();
    if let Check::CostPerCase { is } = &rule.check {
        let costs: Vec<f64> = rows.iter().filter_map(|row| row.mean_cost()).collect();
        finding.result.n = costs.len() as u64;
        if costs.len() < rows.len() {
            finding.invalid = Some(format!(
                "the price of {} answers is not known, and rule `{}` limits it",
                rows.len() - costs.len(),
                rule.id
            ));
            return finding.undecided("the price of some answers is not known", false);
        }
        let Some(cost) = mean(&costs) else { return finding.skip("there are no answers") };
        if let Ok(interval) = mean_bounds(&costs, None, 1.0 - judging.alpha, Sides::One) {
            finding.bounds(&interval);
        }
        finding.result.estimate = Some(cost);
        return finding.counted(is.holds(cost), format!("an answer costs ${cost:.4} on average"));
    }
    let Check::Latency { percentile, is } = &rule.check else { return };
    let mut times = Vec::new();
    for answer in rows.iter().flat_map(|row| &row.answers) {
        times.extend(answer.latency_ms.filter(|_| !answer.cached && !answer.outcome.is_error()));
    }
    finding.result.n = times.len() as u64;
    let Ok(time) = quantile(&times, f64::from(*percentile) / 100.0) else {
        return finding.skip("no answer was timed (those from a cache say nothing of time)");
    };
    finding.result.estimate = Some(time);
    finding.result.method = "quantile".to_owned();
    finding.counted(is.holds(time), format!("p{percentile} is {} ms", time.round()));
}

fn threshold(judging: &Judging<'_>, rule: &Rule, metric: &Metric, is: Comparator, bound: Bound, finding: &mut Finding) {
    let keys = judging.cases_of(rule);
    let sample = Sample::of(judging, &keys, metric);
    finding.result.n = sample.values.len() as u64;
    let Some(estimate) = mean(&sample.values) else {
        return finding.undecided("no case has a score", false);
    };
    if bound == Bound::Point {
        finding.result.estimate = Some(estimate);
        finding.result.method = "point".to_owned();
        return finding.counted(
            is.holds(estimate),
            format!("{} is {}{is}", plain(estimate), if is.holds(estimate) { "" } else { "not " }),
        );
    }
    estimated(judging, finding, is, sample.exact_p(is), &|confidence| sample.bounds(metric, confidence));
    if let Standing::Estimated(Estimated { shown: false, .. }) = finding.standing {
        let confidence = 1.0 - judging.alpha;
        let more = sample.more_cases(metric, is, confidence);
        let repeats = sample.repeats(judging, metric, is, confidence);
        finding.needs(more, repeats, usd_per_case(judging));
    }
}

/// Holds an interval against a comparator, in three values. `exact_p` is the p value of the exact test, where there is one.
fn estimated(judging: &Judging<'_>, finding: &mut Finding, is: Comparator, exact_p: Option<f64>, bounds: &Bounds<'_>) {
    let interval = match bounds(1.0 - judging.alpha) {
        Ok(interval) => interval,
        Err(why) => return finding.undecided(&format!("there are no bounds: {why}"), false),
    };
    finding.bounds(&interval);
    let good_end = |interval: &Interval| if is.wants_more() { interval.upper } else { interval.lower };
    let bad_end = if is.wants_more() { interval.lower } else { interval.upper };
    let least = judging.level(1.0 / judging.policy.rules.len().max(1) as f64);
    let p = p_value(bounds, |interval| !is.holds(good_end(interval))).map(|p| match exact_p {
        // Wilson's bounds refute a share near an end of the scale several times too often, and the more so the smaller the
        // error may be. Where it could matter the exact test has the last word.
        Some(exact) if p < judging.alpha && exact >= least => p.max(exact),
        _ => p,
    });
    finding.result.p_value = p;
    let (shown, point_holds) = (is.holds(bad_end), is.holds(interval.estimate));
    finding.standing = Standing::Estimated(Estimated {
        shown,
        refuted: if p.is_some() {
            Refuted::ByTest { matters: true, outright: false }
        } else {
            Refuted::ByBounds(!is.holds(good_end(&interval)))
        },
        point_holds,
    });
    let estimate = plain(interval.estimate);
    finding.result.words = if shown {
        format!("{estimate}, and at least as good as {} with confidence {}", plain(bad_end), interval.confidence)
    } else if point_holds {
        format!("{estimate} is {is}, but {} cases do not show it", interval.n)
    } else {
        format!("{estimate} is not {is}")
    };
}

/// The smallest error at which the bounds refute a rule, by bisection: the p value of the test that belongs to them.
pub(super) fn p_value(bounds: &Bounds<'_>, refutes: impl Fn(&Interval) -> bool) -> Option<f64> {
    let refuted_at = |error: f64| bounds(1.0 - error).map(|interval| refutes(&interval));
    // On the scale of odds, so that small values are found as exactly as large ones.
    let error_of = |odds: f64| 1.0 / (1.0 + (-odds).exp());
    let (mut low, mut high) = (-25.0_f64, 15.0_f64);
    if !refuted_at(error_of(high)).ok()? {
        return Some(1.0);
    }
    if refuted_at(error_of(low)).ok()? {
        return Some(error_of(low));
    }
    for _ in 0..48 {
        let middle = f64::midpoint(low, high);
        if refuted_at(error_of(middle)).ok()? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(error_of(high))
}

/// One value for each case.
pub(super) struct Sample<'a> {
    pub(super) values: Vec<f64>,
    keys: Vec<&'a CaseKey>,
    clusters: Option<Vec<&'a str>>,
    /// Whether each value is one yes or no, however often it was drawn.
    single_draws: bool,
}

impl<'a> Sample<'a> {
    fn of(judging: &Judging<'a>, keys: &[&'a CaseKey], metric: &Metric) -> Self {
        let (mut values, mut found, mut single_draws) = (Vec::new(), Vec::new(), metric.boolean);
        for key in keys {
            let Some(row) = judging.candidate.row(key) else { continue };
            let answers = row.by_answer(&metric.name);
            let Some(value) = row.mean(&metric.name) else { continue };
            single_draws &= says_one_thing(&answers);
            values.push(value);
            found.push(*key);
        }
        Self::with(judging, found, values, single_draws)
    }

    fn with(judging: &Judging<'a>, keys: Vec<&'a CaseKey>, values: Vec<f64>, single_draws: bool) -> Self {
        let clusters = clusters_of(judging, &keys);
        let single_draws = single_draws && clusters.is_none();
        Self { values, keys, clusters, single_draws }
    }

    fn bounds(&self, metric: &Metric, confidence: f64) -> Result<Interval, Undefined> {
        if self.single_draws {
            let yes = self.values.iter().filter(|value| **value == 1.0).count();
            return wilson(yes, self.values.len(), confidence, Sides::One);
        }
        let scale = scale_of(metric);
        match &self.clusters {
            Some(clusters) => clustered_bounds(&self.values, clusters, scale, confidence, Sides::One),
            None => mean_bounds(&self.values, scale, confidence, Sides::One),
        }
    }

    /// How often luck alone would give so few (or so many) of single draws, if the truth is just at the limit.
    fn exact_p(&self, is: Comparator) -> Option<f64> {
        let (limit, n) = (is.number(), self.values.len() as u64);
        if !(self.single_draws && limit > 0.0 && limit < 1.0) {
            return None;
        }
        let yes = self.values.iter().filter(|value| **value == 1.0).count() as u64;
        Some(if is.wants_more() { binomial_cdf(yes, n, limit) } else { binomial_at_least(yes, n, limit) })
    }

    /// How many more cases would settle it.
    fn more_cases(&self, metric: &Metric, is: Comparator, confidence: f64) -> Option<u64> {
        let n = self.values.len();
        let settled = if self.single_draws {
            let yes = self.values.iter().filter(|value| **value == 1.0).count();
            cases_to_settle_share(yes, n, is.number(), confidence)
        } else {
            let found = mean_with_error(&self.values).ok()?;
            match found.standard_deviation.filter(|deviation| *deviation > 0.0) {
                // Clusters tell less than so many cases would: more of the same are needed in proportion.
                Some(deviation) => {
                    let effect = self
                        .clusters
                        .as_ref()
                        .and_then(|clusters| statistics::clustered_mean(&self.values, clusters).ok()?.design_effect);
                    let deviation = deviation * effect.unwrap_or(1.0).max(1.0).sqrt();
                    cases_to_settle_mean(found.estimate, deviation, is.number(), confidence)
                }
                None => {
                    return crate::policy::cases_needed(metric, is, 1.0 - confidence)?
                        .checked_sub(n as u64)
                        .filter(|more| *more > 0);
                }
            }
        };
        settled.ok().and_then(|all| all.checked_sub(n)).filter(|more| *more > 0).map(|more| more as u64)
    }

    /// How many repeats of each case would settle it, where the repeats that are there tell how much they help.
    fn repeats(&self, judging: &Judging<'_>, metric: &Metric, is: Comparator, confidence: f64) -> Option<u64> {
        let scores: Vec<Vec<Vec<f64>>> =
            self.keys.iter().filter_map(|key| Some(judging.candidate.row(key)?.by_answer(&metric.name))).collect();
        let split = variance_split(&scores).ok().filter(|split| split.target.is_some())?;
        let gap = (split.estimate - is.number()).abs();
        let repeats = split.repeats_to_settle(self.values.len(), gap, confidence, 1, 20).ok()?;
        Some(repeats as u64)
    }
}

fn pass_hat_k(
    judging: &Judging<'_>,
    rule: &Rule,
    metric: Option<&crate::MetricName>,
    k: u32,
    is: Comparator,
    finding: &mut Finding,
) {
    let (mut values, mut keys) = (Vec::new(), Vec::new());
    for key in judging.cases_of(rule) {
        let Some(row) = judging.candidate.row(key) else { continue };
        let [passed, of] = row.passed(metric, |score| {
            passes(score, None, judging.policy.threshold(&score.metric)).filter(|_| judging.counts(metric, score))
        });
        if let Ok(value) = statistics::pass_hat_k(of as usize, passed as usize, k as usize) {
            values.push(value);
            keys.push(key);
        }
    }
    finding.result.n = values.len() as u64;
    if values.is_empty() {
        return finding.undecided(&format!("no case was answered {k} times; set `repeats` of the target"), false);
    }
    let sample = Sample::with(judging, keys, values, false);
    let metric = Metric::share("pass_hat_k");
    estimated(judging, finding, is, None, &|confidence| sample.bounds(&metric, confidence));
    if let Standing::Estimated(Estimated { shown: false, .. }) = finding.standing {
        let more = sample.more_cases(&metric, is, 1.0 - judging.alpha);
        finding.needs(more, None, usd_per_case(judging));
    }
}

fn flaky(
    judging: &Judging<'_>,
    rule: &Rule,
    metric: Option<&crate::MetricName>,
    is: Comparator,
    finding: &mut Finding,
) {
    let (mut flaky, mut repeated) = (0, 0);
    for key in judging.cases_of(rule) {
        let Some(row) = judging.candidate.row(key) else { continue };
        let [passed, of] = row.passed(metric, |score| {
            passes(score, None, judging.policy.threshold(&score.metric)).filter(|_| judging.counts(metric, score))
        });
        if of >= 2 {
            repeated += 1;
            flaky += usize::from(passed > 0 && passed < of);
        }
    }
    if repeated == 0 {
        return finding.undecided("no case was answered twice; set `repeats` of the target", false);
    }
    share(judging, finding, flaky, repeated, is, "flaky");
}

/// A share of cases as a budget: held against the share itself, with its interval for those who read.
fn share(judging: &Judging<'_>, finding: &mut Finding, found: usize, of: usize, is: Comparator, what: &str) {
    finding.result.n = of as u64;
    let Ok(interval) = wilson(found, of, 1.0 - judging.alpha, Sides::One) else {
        return finding.undecided("there are no cases", false);
    };
    finding.bounds(&interval);
    finding.counted(is.holds(interval.estimate), format!("{found} of {of} cases are {what}"));
}

/// The cluster of each case, where there are clusters; a case without one is its own.
pub(super) fn clusters_of<'a>(judging: &Judging<'a>, keys: &[&'a CaseKey]) -> Option<Vec<&'a str>> {
    let table = &judging.candidate;
    table.has_clusters().then(|| {
        keys.iter().map(|key| table.row(key).and_then(super::table::Row::cluster).unwrap_or(key.as_str())).collect()
    })
}

pub(super) fn scale_of(metric: &Metric) -> Option<Scale> {
    metric.scale.map(|[lowest, highest]| Scale { lowest, highest })
}

/// What measuring one more case costs, judges included; `None` if prices are not known.
pub(super) fn usd_per_case(judging: &Judging<'_>) -> Option<f64> {
    let costs: Option<Vec<f64>> = judging
        .candidate
        .rows()
        .map(|(_, row)| {
            let judged: f64 = row.all_scores().filter_map(|score| score.cost_usd).sum();
            row.mean_cost().map(|cost| cost + judged)
        })
        .collect();
    mean(&costs?).filter(|cost| *cost > 0.0)
}

pub(super) fn resampling(judging: &Judging<'_>, n: usize) -> Resampling {
    match judging.facts.resamples {
        Some(resamples) => Resampling::new(resamples, judging.facts.seed),
        None => Resampling::for_size(n, judging.facts.seed),
    }
}

/// A number as people write it, for sentences.
pub(super) fn plain(number: f64) -> String {
    let rounded = (number * 1e4).round() / 1e4;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}
