//! Quantiles by linear interpolation (type 7 of Hyndman and Fan), the same in every tool that people compare with.

use super::bootstrap::{BootstrapDistribution, Resampling, bootstrap_statistic};
use super::{Undefined, check_at_least, check_finite};

/// The quantile of values in any order. `q` is from 0 to 1.
///
/// # Errors
///
/// There is no value, one is not finite, or `q` is not from 0 to 1.
pub fn quantile(values: &[f64], q: f64) -> Result<f64, Undefined> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, q)
}

/// The quantile of values in ascending order, without sorting them.
///
/// # Errors
///
/// As [`quantile`].
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> Result<f64, Undefined> {
    check_at_least("values", 1, sorted.len())?;
    check_finite(sorted)?;
    if !(0.0..=1.0).contains(&q) {
        return Err(Undefined::OutOfRange { name: "q" });
    }
    Ok(interpolated(sorted, q))
}

/// For a sorted, finite, non-empty slice and a `q` from 0 to 1.
pub(super) fn interpolated(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let position = q * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (low, high) = (sorted[below], sorted[above]);
    low + (high - low) * (position - below as f64)
}

/// The bootstrap distribution of a quantile. Read it by percentiles: a quantile has no jackknife.
///
/// # Errors
///
/// As [`quantile`]; there are no resamples.
pub fn bootstrap_quantile(values: &[f64], q: f64, resampling: Resampling) -> Result<BootstrapDistribution, Undefined> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, q)?;
    let mut drawn = vec![0.0; sorted.len()];
    bootstrap_statistic(
        sorted.len(),
        |rows| {
            for (place, row) in drawn.iter_mut().zip(rows) {
                *place = sorted[*row];
            }
            Some(selected(&mut drawn, q))
        },
        resampling,
    )
}

/// As [`interpolated`], of values in any order, which it rearranges.
pub(super) fn selected(values: &mut [f64], q: f64) -> f64 {
    let last = values.len() - 1;
    let position = q * last as f64;
    let below = (position.floor() as usize).min(last);
    let (_, low, rest) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = rest.iter().copied().min_by(f64::total_cmp).unwrap_or(low);
    low + (high - low) * (position - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Sides;
    use proptest::prelude::*;

    #[test]
    fn between_two_values_it_interpolates() {
        assert_eq!(quantile(&[3.0, 1.0], 0.25), Ok(1.5));
        assert_eq!(quantile(&[7.0], 0.99), Ok(7.0));
        assert!(quantile(&[], 0.5).is_err());
        assert_eq!(quantile(&[1.0], 1.1), Err(Undefined::OutOfRange { name: "q" }));
    }

    #[test]
    fn a_tail_quantile_comes_with_an_interval() {
        let latencies: Vec<f64> = (1..=200).map(f64::from).collect();
        let distribution = bootstrap_quantile(&latencies, 0.95, Resampling::new(2000, 5)).unwrap();
        let interval = distribution.percentile(0.95, Sides::Two).unwrap();
        assert_eq!(interval.estimate, quantile(&latencies, 0.95).unwrap());
        assert!(interval.lower > 180.0 && interval.lower < 190.0 && interval.upper > 190.0, "{interval:?}");
    }

    proptest! {
        #[test]
        fn selecting_is_sorting(values in proptest::collection::vec(-5.0f64..5.0, 1..60), q in 0.0f64..=1.0) {
            let mut rearranged = values.clone();
            prop_assert_eq!(selected(&mut rearranged, q), quantile(&values, q).unwrap());
        }

        #[test]
        fn quantiles_rise_and_stay_inside(values in proptest::collection::vec(-5.0f64..5.0, 1..60), q in 0.0f64..=0.9) {
            let low = quantile(&values, q).unwrap();
            prop_assert!(low <= quantile(&values, q + 0.1).unwrap() + 1e-12);
            prop_assert!(low >= quantile(&values, 0.0).unwrap());
        }
    }
}
