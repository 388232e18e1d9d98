//! The bootstrap: cases, pairs or whole clusters are drawn again with replacement, and the statistic is computed each time.
//!
//! One distribution gives several readings: percentile intervals, and bias-corrected and accelerated ones (Efron 1987, with
//! the conventions of scipy: half weight to replicates that equal the estimate, acceleration from the jackknife).

use super::distributions::{normal_cdf, normal_quantile_inside};
use super::mean::cluster_sums;
use super::quantile::interpolated;
use super::random::Random;
use super::{Interval, Method, Sides, Undefined, check_at_least, check_finite, differences_of, mean_of, tail_of};

/// Above this many cases the t bound is as good as resampling, and rules use it instead.
pub const RESAMPLING_LIMIT: usize = 10_000;

/// How often to draw, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resampling {
    /// The number of draws.
    pub resamples: usize,
    /// What determines the draws.
    pub seed: u64,
}

impl Resampling {
    /// This many draws from this seed.
    pub fn new(resamples: usize, seed: u64) -> Resampling {
        Resampling { resamples, seed }
    }

    /// As many draws as a fraction of a second allows for `n` values: from 10,000 to 100,000. With more draws, another seed
    /// changes less.
    pub fn for_size(n: usize, seed: u64) -> Resampling {
        Resampling { resamples: (20_000_000 / n.max(1)).clamp(10_000, 100_000), seed }
    }
}

/// The bootstrap distribution of a statistic.
#[derive(Clone, Debug, PartialEq)]
pub struct BootstrapDistribution {
    /// The statistic on the values themselves.
    pub estimate: f64,
    /// The number of cases, or of clusters, that were drawn from.
    pub n: usize,
    /// The statistic on each resample, ascending.
    pub replicates: Vec<f64>,
    /// Resamples on which the statistic was undefined; they are left out.
    pub undefined_replicates: usize,
    /// The jackknife's acceleration; `None` where it was not computed or nothing varies.
    pub acceleration: Option<f64>,
    /// How it was drawn.
    pub resampling: Resampling,
}

impl BootstrapDistribution {
    /// The standard deviation of the replicates; `None` for fewer than two.
    pub fn standard_error(&self) -> Option<f64> {
        let count = self.replicates.len();
        let mean = mean_of(&self.replicates);
        let squares: f64 = self.replicates.iter().map(|value| (value - mean) * (value - mean)).sum();
        (count > 1).then(|| (squares / (count - 1) as f64).sqrt())
    }

    /// Whether every replicate is the same, so that the intervals say nothing about uncertainty.
    pub fn is_degenerate(&self) -> bool {
        self.replicates.first() == self.replicates.last()
    }

    /// The interval between two percentiles of the replicates (type 7). Of width 0 where the distribution
    /// [is degenerate](Self::is_degenerate).
    ///
    /// # Errors
    ///
    /// The confidence is not between 0 and 1.
    pub fn percentile(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        let tail = tail_of(confidence, sides)?;
        self.between(tail, 1.0 - tail, confidence, sides, Method::BootstrapPercentile)
    }

    /// The bias-corrected and accelerated interval.
    ///
    /// # Errors
    ///
    /// The confidence is not between 0 and 1, there is no acceleration, or all replicates lie on one side of the estimate.
    pub fn bca(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        let tail = tail_of(confidence, sides)?;
        let acceleration = self.acceleration.ok_or(Undefined::NoSpread)?;
        let correction = self.bias_correction().ok_or(Undefined::NoSpread)?;
        let moved = |z: f64| {
            let shifted = correction + z;
            normal_cdf(correction + shifted / (1.0 - acceleration * shifted))
        };
        let z = normal_quantile_inside(tail);
        let (low, high) = (moved(z), moved(-z));
        if low.is_nan() || high.is_nan() {
            return Err(Undefined::NoSpread);
        }
        self.between(low.min(high), high.max(low), confidence, sides, Method::BootstrapBca)
    }

    /// The normal quantile of the share of replicates below the estimate; `None` if none or all of them are.
    pub fn bias_correction(&self) -> Option<f64> {
        let below = self.replicates.partition_point(|value| *value < self.estimate);
        let at_most = self.replicates.partition_point(|value| *value <= self.estimate);
        let share = (below + at_most) as f64 / (2.0 * self.replicates.len() as f64);
        (share > 0.0 && share < 1.0).then(|| normal_quantile_inside(share))
    }

    fn between(
        &self,
        low: f64,
        high: f64,
        confidence: f64,
        sides: Sides,
        method: Method,
    ) -> Result<Interval, Undefined> {
        check_at_least("replicates", 1, self.replicates.len())?;
        Ok(Interval {
            estimate: self.estimate,
            lower: interpolated(&self.replicates, low),
            upper: interpolated(&self.replicates, high),
            standard_error: self.standard_error(),
            n: self.n,
            confidence,
            sides,
            method,
        })
    }
}

/// The bootstrap distribution of a mean.
///
/// # Errors
///
/// There is no value, one is not finite, or there are no resamples.
pub fn bootstrap_mean(values: &[f64], resampling: Resampling) -> Result<BootstrapDistribution, Undefined> {
    check_at_least("values", 1, values.len())?;
    check_at_least("resamples", 1, resampling.resamples)?;
    check_finite(values)?;
    let n = values.len();
    let mut random = Random::from_seed(resampling.seed);
    let replicates = (0..resampling.resamples)
        .map(|_| {
            let total: f64 = (0..n).map(|_| values.get(random.below(n)).copied().unwrap_or_default()).sum();
            total / n as f64
        })
        .collect();
    let estimate = mean_of(values);
    // Leaving value i out moves the mean by (mean − value)/(n − 1): the jackknife needs no second pass.
    let influences: Vec<f64> = values.iter().map(|value| value - estimate).collect();
    Ok(finished(estimate, n, replicates, skewness_acceleration(&influences), resampling))
}

/// The bootstrap distribution of the mean paired difference, candidate minus baseline: pairs are drawn.
///
/// # Errors
///
/// As [`bootstrap_mean`]; the lengths differ.
pub fn bootstrap_paired(
    baseline: &[f64],
    candidate: &[f64],
    resampling: Resampling,
) -> Result<BootstrapDistribution, Undefined> {
    bootstrap_mean(&differences_of(baseline, candidate)?, resampling)
}

/// The bootstrap distribution of a mean over values in clusters: whole clusters are drawn. For paired differences, hand in
/// the differences.
///
/// # Errors
///
/// As [`bootstrap_mean`]; the lengths differ.
pub fn bootstrap_clustered<K: Ord>(
    values: &[f64],
    clusters: &[K],
    resampling: Resampling,
) -> Result<BootstrapDistribution, Undefined> {
    let sums = cluster_sums(values, clusters)?;
    check_at_least("resamples", 1, resampling.resamples)?;
    let count = sums.len();
    let mut random = Random::from_seed(resampling.seed);
    let replicates = (0..resampling.resamples)
        .map(|_| {
            let (mut total, mut size) = (0.0, 0usize);
            for _ in 0..count {
                if let Some((sum, rows)) = sums.get(random.below(count)) {
                    total += sum;
                    size += rows;
                }
            }
            total / size as f64
        })
        .collect();
    let (total, size) = sums.iter().fold((0.0, 0usize), |(total, size), (sum, rows)| (total + sum, size + rows));
    let without_one: Vec<f64> =
        sums.iter().filter(|(_, rows)| *rows < size).map(|(sum, rows)| (total - sum) / (size - rows) as f64).collect();
    let acceleration = jackknife_acceleration(&without_one);
    Ok(finished(mean_of(values), count, replicates, acceleration, resampling))
}

/// The bootstrap distribution of any statistic of `n` cases. The statistic sees the numbers of the drawn cases, and says
/// `None` where it is undefined on them. There is no acceleration; see [`with_jackknife`] for one.
///
/// # Errors
///
/// There are no cases or no resamples, or the statistic is undefined on the cases themselves or on every resample.
pub fn bootstrap_statistic(
    n: usize,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
    resampling: Resampling,
) -> Result<BootstrapDistribution, Undefined> {
    check_at_least("values", 1, n)?;
    check_at_least("resamples", 1, resampling.resamples)?;
    let mut defined = |rows: &[usize]| statistic(rows).filter(|value| value.is_finite());
    let mut rows: Vec<usize> = (0..n).collect();
    let estimate = defined(&rows).ok_or(Undefined::NoSpread)?;
    let mut random = Random::from_seed(resampling.seed);
    let mut replicates = Vec::with_capacity(resampling.resamples);
    for _ in 0..resampling.resamples {
        for row in &mut rows {
            *row = random.below(n);
        }
        replicates.extend(defined(&rows));
    }
    if replicates.is_empty() {
        return Err(Undefined::NoSpread);
    }
    Ok(finished(estimate, n, replicates, None, resampling))
}

/// As [`bootstrap_statistic`], with the acceleration that [`bca`](BootstrapDistribution::bca) needs: the statistic is
/// computed `n` times more, each time without one case. Not for quantiles, which the jackknife does not suit.
///
/// # Errors
///
/// As [`bootstrap_statistic`].
pub fn with_jackknife(
    n: usize,
    mut statistic: impl FnMut(&[usize]) -> Option<f64>,
    resampling: Resampling,
) -> Result<BootstrapDistribution, Undefined> {
    let mut distribution = bootstrap_statistic(n, &mut statistic, resampling)?;
    let mut rows: Vec<usize> = (1..n).collect();
    let mut without_one = Vec::with_capacity(n);
    for left_out in 0..n {
        without_one.push(if rows.is_empty() { None } else { statistic(&rows).filter(|value| value.is_finite()) });
        if let Some(row) = rows.get_mut(left_out) {
            *row = left_out;
        }
    }
    let all: Option<Vec<f64>> = without_one.into_iter().collect();
    distribution.acceleration = all.and_then(|values| jackknife_acceleration(&values));
    Ok(distribution)
}

fn finished(
    estimate: f64,
    n: usize,
    mut replicates: Vec<f64>,
    acceleration: Option<f64>,
    resampling: Resampling,
) -> BootstrapDistribution {
    replicates.sort_unstable_by(f64::total_cmp);
    let undefined_replicates = resampling.resamples - replicates.len();
    BootstrapDistribution { estimate, n, replicates, undefined_replicates, acceleration, resampling }
}

/// The acceleration from the statistic without each case in turn.
fn jackknife_acceleration(without_one: &[f64]) -> Option<f64> {
    let centre = mean_of(without_one);
    let influences: Vec<f64> = without_one.iter().map(|value| centre - value).collect();
    skewness_acceleration(&influences)
}

fn skewness_acceleration(influences: &[f64]) -> Option<f64> {
    let squares: f64 = influences.iter().map(|value| value * value).sum();
    let cubes: f64 = influences.iter().map(|value| value * value * value).sum();
    let acceleration = cubes / (6.0 * squares * squares.sqrt());
    acceleration.is_finite().then_some(acceleration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VALUES: [f64; 8] = [0.1, 0.9, 0.4, 0.4, 0.7, 0.2, 0.8, 0.35];

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        let draw = |seed| bootstrap_mean(&VALUES, Resampling::new(500, seed)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1).replicates, draw(2).replicates);
    }

    #[test]
    fn a_pinned_seed_draws_what_it_always_drew() {
        let distribution = bootstrap_mean(&VALUES, Resampling::new(1000, 42)).unwrap();
        let interval = distribution.bca(0.95, Sides::Two).unwrap();
        assert_eq!((interval.lower, interval.upper), (0.312_499_999_999_999_94, 0.693_354_972_877_350_7));
    }

    #[test]
    fn any_statistic_can_be_drawn_the_mean_too() {
        let mean = |rows: &[usize]| Some(rows.iter().map(|row| VALUES[*row]).sum::<f64>() / rows.len() as f64);
        let general = with_jackknife(VALUES.len(), mean, Resampling::new(700, 9)).unwrap();
        let special = bootstrap_mean(&VALUES, Resampling::new(700, 9)).unwrap();
        for (one, other) in general.replicates.iter().zip(&special.replicates) {
            assert!((one - other).abs() < 1e-15);
        }
        assert!((general.acceleration.unwrap() - special.acceleration.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn clusters_of_one_are_cases() {
        let keys: Vec<usize> = (0..VALUES.len()).collect();
        let clustered = bootstrap_clustered(&VALUES, &keys, Resampling::new(300, 4)).unwrap();
        let plain = bootstrap_mean(&VALUES, Resampling::new(300, 4)).unwrap();
        assert_eq!(clustered.replicates, plain.replicates);
        assert!((clustered.acceleration.unwrap() - plain.acceleration.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn equal_values_are_called_degenerate_and_have_no_bca() {
        let distribution = bootstrap_mean(&[0.5; 6], Resampling::new(100, 1)).unwrap();
        assert!(distribution.is_degenerate());
        assert_eq!(distribution.bca(0.95, Sides::Two), Err(Undefined::NoSpread));
        assert_eq!(distribution.percentile(0.95, Sides::Two).unwrap().lower, 0.5);
    }

    #[test]
    fn undefined_resamples_are_counted() {
        // Undefined where the first case was not drawn.
        let statistic = |rows: &[usize]| rows.contains(&0).then(|| rows.iter().sum::<usize>() as f64);
        let distribution = bootstrap_statistic(3, statistic, Resampling::new(1000, 1)).unwrap();
        assert_eq!(distribution.replicates.len() + distribution.undefined_replicates, 1000);
        // (2/3)³ of the resamples leave the first case out.
        assert!(distribution.undefined_replicates.abs_diff(296) < 80, "{}", distribution.undefined_replicates);
        assert!(bootstrap_statistic(3, |_| None, Resampling::new(10, 1)).is_err());
        assert!(bootstrap_mean(&[], Resampling::new(10, 1)).is_err());
        assert!(bootstrap_mean(&VALUES, Resampling::new(0, 1)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn intervals_widen_with_confidence_and_move_with_the_values(values in proptest::collection::vec(0.0f64..1.0, 2..20), shift in -2.0f64..2.0) {
            let distribution = bootstrap_mean(&values, Resampling::new(400, 7)).unwrap();
            let narrow = distribution.percentile(0.8, Sides::Two).unwrap();
            let wide = distribution.percentile(0.95, Sides::Two).unwrap();
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
            let moved: Vec<f64> = values.iter().map(|value| value + shift).collect();
            let other = bootstrap_mean(&moved, Resampling::new(400, 7)).unwrap().percentile(0.95, Sides::Two).unwrap();
            prop_assert!((other.lower - wide.lower - shift).abs() < 1e-9);
        }
    }
}
