//! Wilcoxon's signed-rank test with Pratt's treatment of zeros.

use super::correlation::average_ranks;
use super::distributions::normal_upper_tail;
use super::mcnemar::TestStatistic;
use super::{Undefined, check_at_least, differences_of};

/// Wilcoxon's test of paired differences: zeros are ranked and then dropped (Pratt), and p is from the normal approximation
/// without continuity correction, as scipy's `wilcoxon(zero_method="pratt", method="approx")`. The statistic is the smaller
/// of the two rank sums.
///
/// # Errors
///
/// There is no pair, the lengths differ, a value is not finite, or no pair differs.
pub fn wilcoxon_pratt(baseline: &[f64], candidate: &[f64]) -> Result<TestStatistic, Undefined> {
    let differences = differences_of(baseline, candidate)?;
    check_at_least("pairs", 1, differences.len())?;
    let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let ranks = average_ranks(&sizes);
    let sum_where = |wanted: fn(&f64) -> bool| -> f64 {
        differences.iter().zip(&ranks).filter(|(difference, _)| wanted(difference)).map(|(_, rank)| rank).sum()
    };
    let statistic = sum_where(|difference| *difference > 0.0).min(sum_where(|difference| *difference < 0.0));

    let n = differences.len() as f64;
    let zeros = differences.iter().filter(|difference| **difference == 0.0).count() as f64;
    let mean = (n * (n + 1.0) - zeros * (zeros + 1.0)) / 4.0;
    let mut spread = n * (n + 1.0) * (2.0 * n + 1.0) - zeros * (zeros + 1.0) * (2.0 * zeros + 1.0);
    let mut sorted = sizes;
    sorted.retain(|size| *size != 0.0);
    sorted.sort_unstable_by(f64::total_cmp);
    for tied in sorted.chunk_by(|one, other| one == other) {
        let ties = tied.len() as f64;
        spread -= 0.5 * ties * (ties * ties - 1.0);
    }
    let error = (spread / 24.0).sqrt();
    if error.is_nan() || error <= 0.0 {
        return Err(Undefined::NoSpread);
    }
    let z = (statistic - mean) / error;
    Ok(TestStatistic { statistic, p_value: (2.0 * normal_upper_tail(z.abs())).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pairs_that_do_not_differ_say_nothing() {
        assert_eq!(wilcoxon_pratt(&[1.0, 2.0], &[1.0, 2.0]), Err(Undefined::NoSpread));
        assert!(matches!(wilcoxon_pratt(&[], &[]), Err(Undefined::TooFew { .. })));
    }

    proptest! {
        #[test]
        fn swapping_the_arms_changes_nothing(pairs in proptest::collection::vec((1u8..6, 1u8..6), 1..40)) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let one = wilcoxon_pratt(&x, &y);
            prop_assert_eq!(&one, &wilcoxon_pratt(&y, &x));
            prop_assert!(one.is_err() || (0.0..=1.0).contains(&one.unwrap().p_value));
        }
    }
}
