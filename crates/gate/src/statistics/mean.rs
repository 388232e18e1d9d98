//! Means, paired differences of means, and means over clusters, with t bounds.
//!
//! Each comes twice. The *textbook* form ([`mean_with_error`], [`paired_t`], [`clustered_mean`]) has what other tools
//! print, an interval of width 0 included when all values are equal. The *bounds* ([`mean_bounds`], [`paired_bounds`],
//! [`clustered_bounds`]) are what rules compare with limits: where nothing varies, they bound the share of cases that could
//! differ and let those differ as far as the scale goes.

use std::collections::BTreeMap;

use super::distributions::{student_t_from_tail, student_t_upper_tail};
use super::share::unseen_share;
use super::{
    Interval, Method, Scale, Sides, Undefined, check_at_least, check_finite, check_lengths, differences_of, mean_of,
    tail_of,
};

/// Values whose spread is less than this part of their size differ by rounding only.
const ROUNDING: f64 = 1e-12;

/// A mean with its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The number of values.
    pub n: usize,
    /// The mean.
    pub estimate: f64,
    /// With n − 1 below the line; `None` for one value.
    pub standard_deviation: Option<f64>,
    /// Standard deviation over √n; `None` for one value.
    pub standard_error: Option<f64>,
}

impl Mean {
    /// Student's t interval, as textbooks have it: of width 0 when all values are equal.
    ///
    /// # Errors
    ///
    /// There is only one value.
    pub fn t_interval(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        t_interval(self.estimate, self.standard_error, self.n, self.n, "values", confidence, sides, Method::StudentT)
    }
}

#[allow(clippy::too_many_arguments)]
fn t_interval(
    estimate: f64,
    standard_error: Option<f64>,
    n: usize,
    independent: usize,
    what: &'static str,
    confidence: f64,
    sides: Sides,
    method: Method,
) -> Result<Interval, Undefined> {
    let tail = tail_of(confidence, sides)?;
    let Some(error) = standard_error else {
        return Err(Undefined::TooFew { what, needed: 2, found: independent });
    };
    let half = student_t_from_tail(tail, (independent - 1) as f64) * error;
    let (lower, upper) = (estimate - half, estimate + half);
    Ok(Interval { estimate, lower, upper, standard_error, n, confidence, sides, method })
}

/// The mean and its standard error.
///
/// # Errors
///
/// There is no value, or one is not finite.
pub fn mean_with_error(values: &[f64]) -> Result<Mean, Undefined> {
    check_at_least("values", 1, values.len())?;
    check_finite(values)?;
    let (n, estimate) = (values.len(), mean_of(values));
    let standard_deviation = (n > 1).then(|| (squares_around(values, estimate) / (n - 1) as f64).sqrt());
    let standard_error = standard_deviation.map(|deviation| deviation / (n as f64).sqrt());
    Ok(Mean { n, estimate, standard_deviation, standard_error })
}

fn squares_around(values: &[f64], centre: f64) -> f64 {
    values.iter().map(|value| (value - centre) * (value - centre)).sum()
}

/// Student's t on paired differences, candidate minus baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PairedT {
    /// The number of pairs.
    pub n: usize,
    /// The mean difference.
    pub estimate: f64,
    /// Of the differences; 0 when they are all equal, `None` for one pair.
    pub standard_deviation: Option<f64>,
    /// Of the mean difference.
    pub standard_error: Option<f64>,
    /// `None` where the standard error is 0 or unknown.
    pub t: Option<f64>,
    /// Two-sided.
    pub p_value: Option<f64>,
    /// One-sided: small when the candidate got lower.
    pub p_less: Option<f64>,
    /// One-sided: small when the candidate got higher.
    pub p_greater: Option<f64>,
}

impl PairedT {
    /// Student's t interval of the mean difference, as textbooks have it.
    ///
    /// # Errors
    ///
    /// There is only one pair.
    pub fn t_interval(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        t_interval(self.estimate, self.standard_error, self.n, self.n, "pairs", confidence, sides, Method::StudentT)
    }
}

/// Student's t on paired differences.
///
/// # Errors
///
/// There is no pair, the lengths differ, or a value is not finite.
pub fn paired_t(baseline: &[f64], candidate: &[f64]) -> Result<PairedT, Undefined> {
    let differences = differences_of(baseline, candidate)?;
    check_at_least("pairs", 1, differences.len())?;
    let Mean { n, estimate, standard_deviation, standard_error } = mean_with_error(&differences)?;
    let t = standard_error.filter(|error| *error > 0.0).map(|error| estimate / error);
    let upper_tail = |t: f64| student_t_upper_tail(t, (n - 1) as f64).ok();
    let p_greater = t.and_then(upper_tail);
    let p_less = t.and_then(|t| upper_tail(-t));
    let p_value = t.and_then(|t| upper_tail(t.abs())).map(|tail| (2.0 * tail).min(1.0));
    Ok(PairedT { n, estimate, standard_deviation, standard_error, t, p_value, p_less, p_greater })
}

/// A mean of values that come in clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusteredMean {
    /// The number of values.
    pub n: usize,
    /// The number of clusters; the degrees of freedom are one fewer.
    pub clusters: usize,
    /// The mean over all values.
    pub estimate: f64,
    /// As if the values were independent; `None` for one value.
    pub naive_standard_error: Option<f64>,
    /// `√(Σ_c (Σ deviations)²) / n`, which is too small for few clusters.
    pub uncorrected_standard_error: f64,
    /// The same times `√(C/(C−1))`: the one to use. `None` for one cluster.
    pub standard_error: Option<f64>,
    /// The square of `standard_error` over `naive_standard_error`; `None` where either is unknown or 0.
    pub design_effect: Option<f64>,
}

impl ClusteredMean {
    /// Student's t interval with clusters − 1 degrees of freedom, as textbooks have it.
    ///
    /// # Errors
    ///
    /// There is only one cluster.
    pub fn t_interval(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        let (count, method) = (self.clusters, Method::ClusterRobustT);
        t_interval(self.estimate, self.standard_error, self.n, count, "clusters", confidence, sides, method)
    }
}

/// The sums and sizes of clusters, in the order of their keys.
pub(super) fn cluster_sums<K: Ord>(values: &[f64], clusters: &[K]) -> Result<Vec<(f64, usize)>, Undefined> {
    check_lengths(values.len(), clusters.len())?;
    check_at_least("values", 1, values.len())?;
    check_finite(values)?;
    let mut sums: BTreeMap<&K, (f64, usize)> = BTreeMap::new();
    for (value, cluster) in values.iter().zip(clusters) {
        let (sum, size) = sums.entry(cluster).or_default();
        *sum += value;
        *size += 1;
    }
    Ok(sums.into_values().collect())
}

/// A mean with cluster-robust standard errors.
///
/// # Errors
///
/// There is no value, the lengths differ, or a value is not finite.
pub fn clustered_mean<K: Ord>(values: &[f64], clusters: &[K]) -> Result<ClusteredMean, Undefined> {
    check_lengths(values.len(), clusters.len())?;
    let naive = mean_with_error(values)?;
    let deviations: Vec<f64> = values.iter().map(|value| value - naive.estimate).collect();
    let sums = cluster_sums(&deviations, clusters)?;
    let (n, count) = (naive.n as f64, sums.len() as f64);
    let uncorrected_standard_error = sums.iter().map(|(sum, _)| sum * sum).sum::<f64>().sqrt() / n;
    let standard_error = (sums.len() > 1).then(|| uncorrected_standard_error * (count / (count - 1.0)).sqrt());
    let design_effect = match (standard_error, naive.standard_error) {
        (Some(robust), Some(naive)) if naive > 0.0 => Some((robust / naive) * (robust / naive)),
        _ => None,
    };
    Ok(ClusteredMean {
        n: naive.n,
        clusters: sums.len(),
        estimate: naive.estimate,
        naive_standard_error: naive.standard_error,
        uncorrected_standard_error,
        standard_error,
        design_effect,
    })
}

/// Bounds on a mean of independent values, for rules: Student's t, and where all values are equal (or there is one), the
/// bound on the share of cases that could differ. `scale` clamps the bounds; without it, equal values have none.
///
/// # Errors
///
/// There is no value, one is not finite or outside of the scale, or all are equal and the scale is unknown
/// ([`Undefined::NoSpread`]).
pub fn mean_bounds(values: &[f64], scale: Option<Scale>, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
    bounds_of(values, greatest_size(values), scale, confidence, sides)
}

/// `size` is that of the numbers which the values were computed from, and so of their rounding.
fn bounds_of(
    values: &[f64],
    size: f64,
    scale: Option<Scale>,
    confidence: f64,
    sides: Sides,
) -> Result<Interval, Undefined> {
    let mean = mean_with_error(values)?;
    check_within(values, scale)?;
    if spread_is_rounding(values, size) {
        return constant_bounds(mean.estimate, mean.n, mean.n, scale, confidence, sides);
    }
    mean.t_interval(confidence, sides).map(|interval| clamp(interval, scale))
}

/// Bounds on the mean paired difference, candidate minus baseline, as [`mean_bounds`]; `scale` is that of one score.
///
/// # Errors
///
/// As [`mean_bounds`]; the lengths differ.
pub fn paired_bounds(
    baseline: &[f64],
    candidate: &[f64],
    scale: Option<Scale>,
    confidence: f64,
    sides: Sides,
) -> Result<Interval, Undefined> {
    check_within(baseline, scale)?;
    check_within(candidate, scale)?;
    let differences = differences_of(baseline, candidate)?;
    check_at_least("pairs", 1, differences.len())?;
    let size = greatest_size(baseline).max(greatest_size(candidate));
    bounds_of(&differences, size, scale.map(Scale::of_differences), confidence, sides)
}

/// Bounds on a mean of values in clusters (repeats of one case, cases of one article), as [`mean_bounds`], with the
/// cluster-robust t. For paired differences, hand in the differences and [`Scale::of_differences`].
///
/// # Errors
///
/// As [`mean_bounds`]; the lengths differ; there is one cluster whose values differ.
pub fn clustered_bounds<K: Ord>(
    values: &[f64],
    clusters: &[K],
    scale: Option<Scale>,
    confidence: f64,
    sides: Sides,
) -> Result<Interval, Undefined> {
    let mean = clustered_mean(values, clusters)?;
    check_within(values, scale)?;
    let size = greatest_size(values);
    let no_spread_between = mean.clusters > 1 && mean.uncorrected_standard_error <= ROUNDING * size;
    if spread_is_rounding(values, size) || no_spread_between {
        return constant_bounds(mean.estimate, mean.n, mean.clusters, scale, confidence, sides);
    }
    mean.t_interval(confidence, sides).map(|interval| clamp(interval, scale))
}

/// Of `independent` observations none differed: at worst the unseen share does, by all that the scale allows.
fn constant_bounds(
    value: f64,
    n: usize,
    independent: usize,
    scale: Option<Scale>,
    confidence: f64,
    sides: Sides,
) -> Result<Interval, Undefined> {
    let share = unseen_share(independent, confidence, sides)?;
    let Scale { lowest, highest } = scale.ok_or(Undefined::NoSpread)?;
    Ok(Interval {
        estimate: value,
        lower: value + share * (lowest - value),
        upper: value + share * (highest - value),
        standard_error: None,
        n,
        confidence,
        sides,
        method: Method::ExactDiscordantShare,
    })
}

fn spread_is_rounding(values: &[f64], size: f64) -> bool {
    let (lowest, highest) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(lowest, highest), value| (value.min(lowest), value.max(highest)));
    highest - lowest <= ROUNDING * size
}

fn greatest_size(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |size, value| value.abs().max(size))
}

fn check_within(values: &[f64], scale: Option<Scale>) -> Result<(), Undefined> {
    let Some(scale) = scale else { return Ok(()) };
    scale.check()?;
    let slack = ROUNDING * (scale.highest - scale.lowest);
    if values.iter().any(|value| *value < scale.lowest - slack || *value > scale.highest + slack) {
        return Err(Undefined::OutOfRange { name: "value" });
    }
    Ok(())
}

fn clamp(mut interval: Interval, scale: Option<Scale>) -> Interval {
    if let Some(Scale { lowest, highest }) = scale {
        interval.lower = interval.lower.clamp(lowest, highest);
        interval.upper = interval.upper.clamp(lowest, highest);
    }
    interval
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fifty_equal_pairs_leave_room_for_six_percent() {
        let scores = vec![1.0; 50];
        let bounds = paired_bounds(&scores, &scores, Some(Scale::UNIT), 0.95, Sides::One).unwrap();
        assert_eq!(bounds.method, Method::ExactDiscordantShare);
        assert!((bounds.lower + 0.0582).abs() < 1e-4 && (bounds.upper - 0.0582).abs() < 1e-4, "{bounds:?}");
        assert_eq!(bounds.standard_error, None);
    }

    #[test]
    fn equal_drops_are_equal_even_when_rounded() {
        let baseline = [0.9, 0.8, 0.7, 0.3];
        let candidate = [0.8, 0.7, 0.6, 0.2];
        let bounds = paired_bounds(&baseline, &candidate, Some(Scale::UNIT), 0.95, Sides::One).unwrap();
        assert_eq!(bounds.method, Method::ExactDiscordantShare);
        assert!(bounds.lower >= -1.0 && bounds.upper <= 1.0);
    }

    #[test]
    fn equal_values_without_a_scale_have_no_bounds() {
        assert_eq!(mean_bounds(&[4.0, 4.0], None, 0.95, Sides::One), Err(Undefined::NoSpread));
        assert_eq!(mean_bounds(&[4.0], None, 0.95, Sides::One), Err(Undefined::NoSpread));
        assert_eq!(mean_with_error(&[4.0, 4.0]).unwrap().standard_error, Some(0.0));
    }

    #[test]
    fn what_cannot_be_measured_says_so() {
        assert_eq!(mean_with_error(&[]), Err(Undefined::TooFew { what: "values", needed: 1, found: 0 }));
        assert_eq!(mean_with_error(&[1.0, f64::NAN]), Err(Undefined::NotFinite));
        assert_eq!(paired_t(&[1.0], &[]), Err(Undefined::LengthsDiffer { left: 1, right: 0 }));
        assert_eq!(
            mean_bounds(&[2.0, 0.5], Some(Scale::UNIT), 0.95, Sides::One),
            Err(Undefined::OutOfRange { name: "value" })
        );
        let one = paired_t(&[1.0], &[0.0]).unwrap();
        assert_eq!((one.estimate, one.standard_error, one.p_value), (-1.0, None, None));
        let equal = paired_t(&[1.0, 1.0], &[1.0, 1.0]).unwrap();
        assert_eq!((equal.standard_error, equal.t, equal.p_value), (Some(0.0), None, None));
    }

    #[test]
    fn one_cluster_tells_nothing_of_others() {
        let values = [1.0, 0.0, 1.0];
        assert_eq!(clustered_mean(&values, &["a"; 3]).unwrap().standard_error, None);
        let too_few = Undefined::TooFew { what: "clusters", needed: 2, found: 1 };
        assert_eq!(clustered_bounds(&values, &["a"; 3], Some(Scale::UNIT), 0.95, Sides::One), Err(too_few));
    }

    #[test]
    fn clusters_that_agree_in_their_means_are_bounded_by_their_number() {
        let values = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0];
        let bounds = clustered_bounds(&values, &[1, 1, 2, 2, 3, 3], Some(Scale::UNIT), 0.95, Sides::One).unwrap();
        assert_eq!(bounds.method, Method::ExactDiscordantShare);
        // Three clusters: 1 − 0.05^(1/3) = 0.63 of them could be all 0.
        assert!((bounds.lower - 0.5 * 0.05f64.cbrt()).abs() < 1e-12, "{bounds:?}");
    }

    proptest! {
        #[test]
        fn clusters_of_one_are_no_clusters(values in proptest::collection::vec(0.0f64..1.0, 2..40)) {
            let keys: Vec<usize> = (0..values.len()).collect();
            let clustered = clustered_mean(&values, &keys).unwrap();
            let plain = mean_with_error(&values).unwrap();
            prop_assert!((clustered.standard_error.unwrap() - plain.standard_error.unwrap()).abs() < 1e-12);
        }

        #[test]
        fn intervals_hold_the_mean_and_widen_with_confidence(values in proptest::collection::vec(0.0f64..1.0, 1..40)) {
            let narrow = mean_bounds(&values, Some(Scale::UNIT), 0.9, Sides::One).unwrap();
            let wide = mean_bounds(&values, Some(Scale::UNIT), 0.95, Sides::One).unwrap();
            prop_assert!(narrow.lower <= narrow.estimate && narrow.estimate <= narrow.upper);
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
            prop_assert!(0.0 <= wide.lower && wide.upper <= 1.0);
        }

        #[test]
        fn order_shift_and_scale_carry_over(values in proptest::collection::vec(-1.0f64..1.0, 2..40), shift in -3.0f64..3.0, factor in 0.1f64..9.0) {
            let mean = mean_with_error(&values).unwrap();
            let moved: Vec<f64> = values.iter().rev().map(|value| value * factor + shift).collect();
            let other = mean_with_error(&moved).unwrap();
            prop_assert!((other.estimate - (mean.estimate * factor + shift)).abs() < 1e-9);
            prop_assert!((other.standard_error.unwrap() - mean.standard_error.unwrap() * factor).abs() < 1e-9);
        }

        #[test]
        fn the_paired_p_is_a_probability(pairs in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 2..40)) {
            let (baseline, candidate): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let test = paired_t(&baseline, &candidate).unwrap();
            let (Some(p), Some(less), Some(greater)) = (test.p_value, test.p_less, test.p_greater) else { return Ok(()) };
            prop_assert!((0.0..=1.0).contains(&p));
            prop_assert!((less + greater - 1.0).abs() < 1e-9);
            // The interval leaves 0 out exactly where the test rejects.
            let interval = test.t_interval(1.0 - p, Sides::Two);
            if let Ok(interval) = interval {
                prop_assert!(interval.lower.abs().min(interval.upper.abs()) < 1e-6);
            }
        }
    }
}
