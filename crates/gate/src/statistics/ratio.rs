//! Cost and latency against the baseline: the ratio of the two, by the bootstrap over pairs on its logarithm.

use super::bootstrap::{BootstrapDistribution, Resampling, bootstrap_mean, bootstrap_statistic};
use super::quantile::selected;
use super::{Interval, Sides, Undefined, check_at_least, differences_of};

/// What of the two arms is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RatioOf {
    /// The geometric mean of the pairs' ratios: the typical case.
    Pairs,
    /// The means: what the bill says.
    Means,
    /// A quantile of each arm, such as 0.95; from 0 to 1.
    Quantiles(f64),
}

/// The bootstrap distribution of the logarithm of a ratio, candidate over baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct RatioDistribution {
    /// Of the logarithm.
    pub of_logarithm: BootstrapDistribution,
}

impl RatioDistribution {
    /// The ratio with its percentile bounds: 1.2 is a fifth more than the baseline. The standard error is that of the
    /// logarithm.
    ///
    /// # Errors
    ///
    /// The confidence is not between 0 and 1, or no resample differs ([`Undefined::NoSpread`]).
    pub fn percentile(&self, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
        if self.of_logarithm.is_degenerate() {
            return Err(Undefined::NoSpread);
        }
        let mut interval = self.of_logarithm.percentile(confidence, sides)?;
        interval.estimate = libm::exp(interval.estimate);
        interval.lower = libm::exp(interval.lower);
        interval.upper = libm::exp(interval.upper);
        Ok(interval)
    }

    /// The ratio itself.
    pub fn estimate(&self) -> f64 {
        libm::exp(self.of_logarithm.estimate)
    }
}

/// The ratio of paired costs or latencies, candidate over baseline.
///
/// # Errors
///
/// There is no pair, the lengths differ, a value is not finite and positive ([`Undefined::OutOfRange`]: nothing is so many
/// times as much as nothing), a quantile is not from 0 to 1, or there are no resamples.
pub fn paired_ratio(
    baseline: &[f64],
    candidate: &[f64],
    of: RatioOf,
    resampling: Resampling,
) -> Result<RatioDistribution, Undefined> {
    differences_of(baseline, candidate)?;
    check_at_least("pairs", 1, baseline.len())?;
    if baseline.iter().chain(candidate).any(|value| *value <= 0.0) {
        return Err(Undefined::OutOfRange { name: "value" });
    }
    let n = baseline.len();
    let of_logarithm = match of {
        RatioOf::Pairs => {
            let logarithms: Vec<f64> =
                baseline.iter().zip(candidate).map(|(before, after)| libm::log(*after) - libm::log(*before)).collect();
            bootstrap_mean(&logarithms, resampling)?
        }
        RatioOf::Means => {
            let total = |values: &[f64], rows: &[usize]| rows.iter().filter_map(|row| values.get(*row)).sum::<f64>();
            let statistic = |rows: &[usize]| Some(libm::log(total(candidate, rows) / total(baseline, rows)));
            bootstrap_statistic(n, statistic, resampling)?
        }
        RatioOf::Quantiles(q) => {
            if !(0.0..=1.0).contains(&q) {
                return Err(Undefined::OutOfRange { name: "q" });
            }
            let mut drawn: Vec<f64> = Vec::with_capacity(n);
            let mut quantile = |values: &[f64], rows: &[usize]| {
                drawn.clear();
                drawn.extend(rows.iter().filter_map(|row| values.get(*row)));
                selected(&mut drawn, q)
            };
            let statistic = |rows: &[usize]| Some(libm::log(quantile(candidate, rows) / quantile(baseline, rows)));
            bootstrap_statistic(n, statistic, resampling)?
        }
    };
    Ok(RatioDistribution { of_logarithm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DRAWS: Resampling = Resampling { resamples: 2000, seed: 2 };

    fn latencies() -> Vec<f64> {
        (0..60).map(|place| 200.0 + f64::from(place * 37 % 60) * 15.0).collect()
    }

    #[test]
    fn a_tenth_slower_on_every_case_is_a_ratio_of_1_1() {
        let baseline = latencies();
        let candidate: Vec<f64> = baseline
            .iter()
            .enumerate()
            .map(|(place, value)| value * if place % 2 == 0 { 1.05 } else { 1.15 })
            .collect();
        for of in [RatioOf::Pairs, RatioOf::Means, RatioOf::Quantiles(0.5), RatioOf::Quantiles(0.95)] {
            let ratio = paired_ratio(&baseline, &candidate, of, DRAWS).unwrap();
            let interval = ratio.percentile(0.95, Sides::One).unwrap();
            assert!(interval.lower > 1.0 && interval.upper < 1.2, "{of:?} {interval:?}");
            assert!((ratio.estimate() - 1.1).abs() < 0.05, "{of:?}");
        }
    }

    #[test]
    fn an_equal_ratio_everywhere_has_no_interval() {
        let ratio = paired_ratio(&[1.0, 2.0], &[2.0, 4.0], RatioOf::Pairs, DRAWS).unwrap();
        assert!((ratio.estimate() - 2.0).abs() < 1e-12);
        assert_eq!(ratio.percentile(0.95, Sides::One), Err(Undefined::NoSpread));
    }

    #[test]
    fn free_calls_have_no_ratio() {
        let free = paired_ratio(&[0.0, 1.0], &[1.0, 1.0], RatioOf::Means, DRAWS);
        assert_eq!(free, Err(Undefined::OutOfRange { name: "value" }));
        assert!(paired_ratio(&[], &[], RatioOf::Pairs, DRAWS).is_err());
        assert!(paired_ratio(&[1.0], &[1.0], RatioOf::Quantiles(2.0), DRAWS).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn seconds_or_milliseconds_give_one_ratio(pairs in proptest::collection::vec((0.1f64..9.0, 0.1f64..9.0), 2..30)) {
            let (baseline, candidate): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let larger = |values: &[f64]| values.iter().map(|value| value * 1000.0).collect::<Vec<_>>();
            for of in [RatioOf::Pairs, RatioOf::Means, RatioOf::Quantiles(0.9)] {
                let one = paired_ratio(&baseline, &candidate, of, DRAWS).unwrap();
                let other = paired_ratio(&larger(&baseline), &larger(&candidate), of, DRAWS).unwrap();
                prop_assert!((one.estimate() - other.estimate()).abs() < 1e-9);
            }
        }
    }
}
