//! A share of successes: its interval, and chances over several tries.

use super::distributions::{beta_quantile, normal_quantile_inside};
use super::{Interval, Method, Sides, Undefined, check_at_least, tail_of};

/// Wilson's score interval of a share. `Sides::One` takes each bound at the full error, `Sides::Two` at half of it.
///
/// # Errors
///
/// There is no draw, more successes than draws, or a confidence that is not between 0 and 1.
pub fn wilson(successes: usize, n: usize, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
    let (share, z) = share_and_z(successes, n, confidence, sides)?;
    let (lower, upper) = wilson_bounds(successes, n, z);
    let standard_error = Some((share * (1.0 - share) / n as f64).sqrt());
    Ok(Interval { estimate: share, lower, upper, standard_error, n, confidence, sides, method: Method::Wilson })
}

fn share_and_z(successes: usize, n: usize, confidence: f64, sides: Sides) -> Result<(f64, f64), Undefined> {
    let tail = tail_of(confidence, sides)?;
    check_at_least("values", 1, n)?;
    if successes > n {
        return Err(Undefined::OutOfRange { name: "successes" });
    }
    Ok((successes as f64 / n as f64, -normal_quantile_inside(tail)))
}

fn wilson_bounds(successes: usize, n: usize, z: f64) -> (f64, f64) {
    let (count, share) = (n as f64, successes as f64 / n as f64);
    let square = z * z;
    let shrink = 1.0 + square / count;
    let centre = (share + square / (2.0 * count)) / shrink;
    let half = z / shrink * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
    // At the ends the bound is the share itself; rounding must not move it past.
    let lower = if successes == 0 && z >= 0.0 { 0.0 } else { (centre - half).clamp(0.0, 1.0) };
    let upper = if successes == n && z >= 0.0 { 1.0 } else { (centre + half).clamp(0.0, 1.0) };
    (lower, upper)
}

/// The fewest successes among `n` whose one-sided Wilson lower bound reaches `threshold`, or `None` if not even `n` of `n`
/// do: then no score can pass.
///
/// # Errors
///
/// There is no draw, or the confidence is not between 0 and 1.
pub fn wilson_fewest_passing(n: usize, threshold: f64, confidence: f64) -> Result<Option<usize>, Undefined> {
    let (_, z) = share_and_z(0, n, confidence, Sides::One)?;
    if threshold.is_nan() {
        return Err(Undefined::OutOfRange { name: "threshold" });
    }
    let reaches = |successes: usize| wilson_bounds(successes, n, z).0 >= threshold;
    if !reaches(n) {
        return Ok(None);
    }
    let (mut failing, mut passing) = (0, n);
    if reaches(0) {
        return Ok(Some(0));
    }
    while passing - failing > 1 {
        let middle = failing + (passing - failing) / 2;
        if reaches(middle) { passing = middle } else { failing = middle }
    }
    Ok(Some(passing))
}

/// Clopper and Pearson's exact interval of a share.
///
/// # Errors
///
/// As [`wilson`].
pub fn clopper_pearson(successes: usize, n: usize, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
    let (share, _) = share_and_z(successes, n, confidence, sides)?;
    let tail = tail_of(confidence, sides)?;
    let (hits, misses) = (successes as f64, (n - successes) as f64);
    let lower = if successes == 0 { 0.0 } else { beta_quantile(tail, hits, misses + 1.0) };
    // The mirror image, so that a tiny tail is not rounded away against 1.
    let upper = if successes == n { 1.0 } else { 1.0 - beta_quantile(tail, misses, hits + 1.0) };
    let standard_error = Some((share * (1.0 - share) / n as f64).sqrt());
    Ok(Interval { estimate: share, lower, upper, standard_error, n, confidence, sides, method: Method::ClopperPearson })
}

/// The greatest share of cases that could differ although none of `n` did: `1 − error^(1/n)`, about 3/n at 95 %.
///
/// # Errors
///
/// There is no case, or the confidence is not between 0 and 1.
pub fn unseen_share(n: usize, confidence: f64, sides: Sides) -> Result<f64, Undefined> {
    let tail = tail_of(confidence, sides)?;
    check_at_least("values", 1, n)?;
    Ok(-libm::expm1(libm::log(tail) / n as f64))
}

/// The chance that at least one of `k` tries is right, when `correct` of `n` were: unbiased, `1 − C(n−c,k)/C(n,k)`.
///
/// # Errors
///
/// `k` is 0 or greater than `n`, or more were correct than tried.
pub fn pass_at_k(n: usize, correct: usize, k: usize) -> Result<f64, Undefined> {
    check_tries(n, correct, k)?;
    if n - correct < k {
        return Ok(1.0);
    }
    // All of k wrong: each try takes one of the wrong ones away.
    let all_wrong = chance_of_all(n, n - correct, k);
    Ok((1.0 - all_wrong).clamp(0.0, 1.0))
}

/// The chance that all of `k` tries are right, when `correct` of `n` were: unbiased, `C(c,k)/C(n,k)`.
///
/// # Errors
///
/// As [`pass_at_k`].
pub fn pass_hat_k(n: usize, correct: usize, k: usize) -> Result<f64, Undefined> {
    check_tries(n, correct, k)?;
    Ok(chance_of_all(n, correct, k))
}

fn check_tries(n: usize, correct: usize, k: usize) -> Result<(), Undefined> {
    if correct > n {
        return Err(Undefined::OutOfRange { name: "correct" });
    }
    if k == 0 {
        return Err(Undefined::OutOfRange { name: "k" });
    }
    check_at_least("tries", k, n)
}

fn chance_of_all(n: usize, of_the_kind: usize, k: usize) -> f64 {
    if of_the_kind < k {
        return 0.0;
    }
    (0..k).map(|taken| (of_the_kind - taken) as f64 / (n - taken) as f64).product()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fifteen_of_fifteen_cannot_show_85_percent_and_47_of_50_can() {
        assert!((wilson(15, 15, 0.95, Sides::One).unwrap().lower - 0.847).abs() < 5e-4);
        assert_eq!(wilson_fewest_passing(15, 0.85, 0.95).unwrap(), None);
        assert_eq!(wilson_fewest_passing(50, 0.85, 0.95).unwrap(), Some(47));
        assert_eq!(wilson_fewest_passing(50, 0.0, 0.95).unwrap(), Some(0));
    }

    #[test]
    fn no_draws_have_no_share() {
        let none = Undefined::TooFew { what: "values", needed: 1, found: 0 };
        assert_eq!(wilson(0, 0, 0.95, Sides::Two), Err(none.clone()));
        assert_eq!(clopper_pearson(0, 0, 0.95, Sides::Two), Err(none));
        assert_eq!(wilson(2, 1, 0.95, Sides::Two), Err(Undefined::OutOfRange { name: "successes" }));
        for confidence in [0.0, 1.0, f64::NAN] {
            assert_eq!(wilson(1, 2, confidence, Sides::Two), Err(Undefined::OutOfRange { name: "confidence" }));
        }
    }

    #[test]
    fn none_of_100_leaves_about_three_in_a_hundred() {
        assert!((unseen_share(100, 0.95, Sides::One).unwrap() - 0.0295).abs() < 1e-4);
        assert!((unseen_share(1, 0.95, Sides::One).unwrap() - 0.95).abs() < 1e-12);
    }

    /// Chances by looking at every way to choose `k` of `n`.
    fn chances_by_enumeration(n: usize, correct: usize, k: usize) -> (f64, f64) {
        let (mut ways, mut some, mut all) = (0u32, 0u32, 0u32);
        for chosen in 0u32..1 << n {
            if chosen.count_ones() as usize == k {
                let right = (chosen & ((1 << correct) - 1)).count_ones() as usize;
                ways += 1;
                some += u32::from(right > 0);
                all += u32::from(right == k);
            }
        }
        (f64::from(some) / f64::from(ways), f64::from(all) / f64::from(ways))
    }

    #[test]
    fn chances_over_tries_equal_enumeration() {
        for n in 1..=9 {
            for correct in 0..=n {
                for k in 1..=n {
                    let (some, all) = chances_by_enumeration(n, correct, k);
                    assert!((pass_at_k(n, correct, k).unwrap() - some).abs() < 1e-12);
                    assert!((pass_hat_k(n, correct, k).unwrap() - all).abs() < 1e-12);
                }
            }
        }
        assert_eq!(pass_at_k(3, 1, 4), Err(Undefined::TooFew { what: "tries", needed: 4, found: 3 }));
        assert_eq!(pass_at_k(3, 1, 0), Err(Undefined::OutOfRange { name: "k" }));
    }

    proptest! {
        #[test]
        fn intervals_hold_the_share_and_widen_with_confidence(n in 1usize..400, part in 0.0f64..=1.0, confidence in 0.5f64..0.99) {
            let successes = ((n as f64 * part) as usize).min(n);
            for interval in [wilson, clopper_pearson] {
                let narrow = interval(successes, n, confidence, Sides::Two).unwrap();
                let wide = interval(successes, n, confidence + 0.009, Sides::Two).unwrap();
                prop_assert!(narrow.lower <= narrow.estimate && narrow.estimate <= narrow.upper);
                prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
                // What fails is what does not pass.
                let mirror = interval(n - successes, n, confidence, Sides::Two).unwrap();
                prop_assert!((mirror.lower - (1.0 - narrow.upper)).abs() < 1e-12);
            }
        }

        #[test]
        fn a_one_sided_bound_is_the_two_sided_one_at_twice_the_error(n in 1usize..200, successes in 0usize..200) {
            let successes = successes.min(n);
            for interval in [wilson, clopper_pearson] {
                let one = interval(successes, n, 0.95, Sides::One).unwrap();
                let two = interval(successes, n, 0.90, Sides::Two).unwrap();
                prop_assert!((one.lower - two.lower).abs() < 1e-12 && (one.upper - two.upper).abs() < 1e-12);
            }
        }
    }
}
