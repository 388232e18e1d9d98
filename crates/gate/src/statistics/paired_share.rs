//! The difference of two paired shares, by Tango's score interval ("Equivalence test and confidence interval for the
//! difference in proportions for the paired-sample design", 1998).
//!
//! Where few pairs differ, Student's t on the differences is too sure of itself; the score interval is not, and it has a
//! width even when no pair differs.

use super::distributions::normal_quantile_inside;
use super::mcnemar::PairedCounts;
use super::{Interval, Method, Sides, Undefined, check_at_least, tail_of};

/// The difference of pass shares, candidate minus baseline.
///
/// # Errors
///
/// There is no pair, or the confidence is not between 0 and 1.
pub fn paired_share_difference(counts: &PairedCounts, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
    let z = -normal_quantile_inside(tail_of(confidence, sides)?);
    let n = counts.n();
    check_at_least("pairs", 1, n)?;
    let (total, gained, lost) = (n as f64, counts.better as f64, counts.worse as f64);
    let estimate = (gained - lost) / total;
    let solve = |wanted: f64| {
        // The score falls as the difference under test rises.
        let (mut below, mut above) = (-1.0, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (below + above);
            if middle <= below || middle >= above {
                break;
            }
            if score(total, gained, lost, middle) > wanted { below = middle } else { above = middle }
        }
        0.5 * (below + above)
    };
    let lower = solve(z).min(estimate);
    let upper = solve(-z).max(estimate);
    let spread = (gained + lost) / total - estimate * estimate;
    let standard_error = Some((spread.max(0.0) / total).sqrt());
    Ok(Interval { estimate, lower, upper, standard_error, n, confidence, sides, method: Method::Tango })
}

/// How many standard errors the observed difference lies above `difference`.
fn score(n: f64, gained: f64, lost: f64, difference: f64) -> f64 {
    let excess = gained - lost - n * difference;
    // The share of losses that is likeliest if `difference` is true.
    let a = 2.0 * n;
    let b = -gained - lost + (a - gained + lost) * difference;
    let c = -lost * difference * (1.0 - difference);
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    let losses = ((root - b) / (2.0 * a)).max(0.0);
    let variance = n * (2.0 * losses + difference * (1.0 - difference));
    if variance > 0.0 {
        excess / variance.sqrt()
    } else if excess == 0.0 {
        0.0
    } else {
        f64::INFINITY.copysign(excess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(n: usize, worse: usize, better: usize) -> PairedCounts {
        PairedCounts { both_pass: n - worse - better, worse, better, both_fail: 0 }
    }

    #[test]
    fn the_published_example_comes_out() {
        // Tango 1998, table of 44 pairs with 0 and 1 discordant: (-0.027, 0.118).
        let interval = paired_share_difference(&counts(44, 0, 1), 0.95, Sides::Two).unwrap();
        assert!((interval.estimate - 0.0227).abs() < 1e-4);
        assert!((interval.lower + 0.060).abs() < 1e-3, "{interval:?}");
        assert!((interval.upper - 0.118).abs() < 1e-3, "{interval:?}");
    }

    #[test]
    fn without_a_discordant_pair_there_is_still_a_width() {
        // The score bound is z²/(n+z²).
        let interval = paired_share_difference(&counts(50, 0, 0), 0.95, Sides::One).unwrap();
        let square = 1.644_853_626_951_472_7f64.powi(2);
        assert!((interval.lower + square / (50.0 + square)).abs() < 1e-9, "{interval:?}");
        assert!((interval.upper - square / (50.0 + square)).abs() < 1e-9, "{interval:?}");
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_estimate_and_mirrors(n in 1usize..200, worse in 0usize..100, better in 0usize..100) {
            let worse = worse.min(n);
            let better = better.min(n - worse);
            let interval = paired_share_difference(&counts(n, worse, better), 0.9, Sides::Two).unwrap();
            let wider = paired_share_difference(&counts(n, worse, better), 0.95, Sides::Two).unwrap();
            prop_assert!(-1.0 <= interval.lower && interval.lower <= interval.estimate);
            prop_assert!(interval.estimate <= interval.upper && interval.upper <= 1.0);
            prop_assert!(wider.lower <= interval.lower && wider.upper >= interval.upper);
            let mirror = paired_share_difference(&counts(n, better, worse), 0.9, Sides::Two).unwrap();
            prop_assert!((mirror.lower + interval.upper).abs() < 1e-9);
        }
    }
}
