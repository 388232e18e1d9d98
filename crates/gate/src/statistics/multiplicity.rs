//! Several tests at once: p values adjusted so that many gates do not make one red by chance.

use super::{Undefined, check_alpha};

/// Adjusted p values, in the order in which the p values came.
#[derive(Clone, Debug, PartialEq)]
pub struct Adjusted {
    /// To be compared with alpha; at least the p value itself, at most 1.
    pub p_values: Vec<f64>,
    /// Which are rejected at alpha.
    pub rejected: Vec<bool>,
}

/// Holm's step-down adjustment: bounds the chance of any false rejection.
///
/// # Errors
///
/// A p value is not from 0 to 1, or alpha is not between 0 and 1.
pub fn holm(p_values: &[f64], alpha: f64) -> Result<Adjusted, Undefined> {
    let order = ascending(p_values, alpha)?;
    let mut adjusted = Adjusted { p_values: vec![1.0; p_values.len()], rejected: vec![false; p_values.len()] };
    let (mut highest, mut rejecting) = (0.0f64, true);
    for (rank, place) in order.into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        highest = highest.max(p_values[place] * remaining).min(1.0);
        rejecting = rejecting && p_values[place] <= alpha / remaining;
        adjusted.p_values[place] = highest;
        adjusted.rejected[place] = rejecting;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's step-up adjustment: bounds the share of false ones among the rejections.
///
/// # Errors
///
/// As [`holm`].
pub fn benjamini_hochberg(p_values: &[f64], alpha: f64) -> Result<Adjusted, Undefined> {
    let order = ascending(p_values, alpha)?;
    let mut adjusted = Adjusted { p_values: vec![1.0; p_values.len()], rejected: vec![false; p_values.len()] };
    let count = p_values.len() as f64;
    let (mut lowest, mut rejecting) = (1.0f64, false);
    for (rank, place) in order.into_iter().enumerate().rev() {
        let share = (rank + 1) as f64 / count;
        lowest = lowest.min(p_values[place] / share);
        rejecting = rejecting || p_values[place] <= share * alpha;
        adjusted.p_values[place] = lowest;
        adjusted.rejected[place] = rejecting;
    }
    Ok(adjusted)
}

/// As [`holm`], with a factor of one's own for the p value at each rank, from 0: where p values belong to one of several
/// looks, testing one of `m` takes more than `m` times. The factors must not rise. Adjusted p values only.
///
/// # Errors
///
/// As [`holm`].
pub fn holm_with(p_values: &[f64], alpha: f64, factor: impl Fn(usize) -> f64) -> Result<Vec<f64>, Undefined> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut highest = 0.0f64;
    for (rank, place) in ascending(p_values, alpha)?.into_iter().enumerate() {
        highest = highest.max(p_values[place] * factor(rank)).min(1.0);
        adjusted[place] = highest;
    }
    Ok(adjusted)
}

/// As [`benjamini_hochberg`], with a factor of one's own for each rank, as [`holm_with`].
///
/// # Errors
///
/// As [`holm`].
pub fn benjamini_hochberg_with(
    p_values: &[f64],
    alpha: f64,
    factor: impl Fn(usize) -> f64,
) -> Result<Vec<f64>, Undefined> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut lowest = 1.0f64;
    for (rank, place) in ascending(p_values, alpha)?.into_iter().enumerate().rev() {
        lowest = lowest.min(p_values[place] * factor(rank));
        adjusted[place] = lowest;
    }
    Ok(adjusted)
}

fn ascending(p_values: &[f64], alpha: f64) -> Result<Vec<usize>, Undefined> {
    check_alpha(alpha)?;
    if !p_values.iter().all(|p| (0.0..=1.0).contains(p)) {
        return Err(Undefined::OutOfRange { name: "p" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|one, other| p_values[*one].total_cmp(&p_values[*other]));
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_pays_for_all_and_the_greatest_for_itself() {
        let adjusted = holm(&[0.03, 0.01, 0.02], 0.05).unwrap();
        assert_eq!(adjusted.p_values, [0.04, 0.03, 0.04]);
        assert_eq!(adjusted.rejected, [true, true, true]);
        assert_eq!(benjamini_hochberg(&[0.03, 0.01, 0.02], 0.05).unwrap().p_values, [0.03, 0.03, 0.03]);
    }

    #[test]
    fn one_or_none_need_no_adjustment() {
        for adjust in [holm, benjamini_hochberg] {
            assert_eq!(adjust(&[], 0.05).unwrap().p_values, Vec::<f64>::new());
            assert_eq!(adjust(&[0.2], 0.05).unwrap().p_values, [0.2]);
            assert_eq!(adjust(&[f64::NAN], 0.05), Err(Undefined::OutOfRange { name: "p" }));
            assert_eq!(adjust(&[0.1], 0.0), Err(Undefined::OutOfRange { name: "alpha" }));
        }
    }

    #[test]
    fn factors_of_the_textbook_give_the_textbook() {
        let p_values = [0.03, 0.01, 0.02, 0.5];
        let holm_too = holm_with(&p_values, 0.05, |rank| (4 - rank) as f64).unwrap();
        let bh_too = benjamini_hochberg_with(&p_values, 0.05, |rank| 4.0 / (rank + 1) as f64).unwrap();
        for (found, wanted) in [
            (holm_too, holm(&p_values, 0.05).unwrap().p_values),
            (bh_too, benjamini_hochberg(&p_values, 0.05).unwrap().p_values),
        ] {
            assert!(found.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{found:?}");
        }
    }

    proptest! {
        #[test]
        fn adjusted_is_at_least_raw_and_keeps_the_order(p_values in proptest::collection::vec(0.0f64..=1.0, 0..12)) {
            let strict = holm(&p_values, 0.05).unwrap();
            let lenient = benjamini_hochberg(&p_values, 0.05).unwrap();
            for (place, raw) in p_values.iter().enumerate() {
                prop_assert!(*raw <= lenient.p_values[place] && *raw <= strict.p_values[place]);
                prop_assert!(lenient.p_values[place] <= strict.p_values[place] + 1e-12 && strict.p_values[place] <= 1.0);
                prop_assert!(!strict.rejected[place] || lenient.rejected[place]);
                for (other, other_raw) in p_values.iter().enumerate() {
                    prop_assert!(raw > other_raw || strict.p_values[place] <= strict.p_values[other]);
                }
            }
            let reversed: Vec<f64> = p_values.iter().rev().copied().collect();
            let mut mirrored = holm(&reversed, 0.05).unwrap().p_values;
            mirrored.reverse();
            prop_assert_eq!(mirrored, strict.p_values);
        }
    }
}
