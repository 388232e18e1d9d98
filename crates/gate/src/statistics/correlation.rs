//! Correlation of two series, and the cosine of two vectors.

use super::distributions::{normal_upper_tail, student_t_two_sided};
use super::{Undefined, check_at_least, check_finite, check_lengths, mean_of};

/// A correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Correlation {
    /// From −1 to 1.
    pub estimate: f64,
    /// Two-sided, against no correlation; `None` where there are too few pairs for one.
    pub p_value: Option<f64>,
    /// The number of pairs.
    pub n: usize,
}

fn check_series(x: &[f64], y: &[f64]) -> Result<(), Undefined> {
    check_lengths(x.len(), y.len())?;
    check_finite(x)?;
    check_finite(y)?;
    check_at_least("pairs", 2, x.len())?;
    let constant = |values: &[f64]| values.windows(2).all(|pair| matches!(pair, [one, other] if one == other));
    if constant(x) || constant(y) { Err(Undefined::NoSpread) } else { Ok(()) }
}

/// Pearson's correlation; its p is that of Student's t with n − 2 degrees of freedom, and 1 for two pairs.
///
/// # Errors
///
/// There are fewer than two pairs, the lengths differ, a value is not finite, or a series is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<Correlation, Undefined> {
    check_series(x, y)?;
    let estimate = product_moment(x, y)?;
    let n = x.len();
    let p_value = if n == 2 { Some(1.0) } else { p_of_correlation(estimate, n) };
    Ok(Correlation { estimate, p_value, n })
}

/// Spearman's correlation: Pearson's of the average ranks. No p for two pairs.
///
/// # Errors
///
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64]) -> Result<Correlation, Undefined> {
    check_series(x, y)?;
    let estimate = product_moment(&average_ranks(x), &average_ranks(y))?;
    Ok(Correlation { estimate, p_value: p_of_correlation(estimate, x.len()), n: x.len() })
}

fn product_moment(x: &[f64], y: &[f64]) -> Result<f64, Undefined> {
    let (mean_x, mean_y) = (mean_of(x), mean_of(y));
    // Divided by the greatest deviation, so that no square is lost below or above what a float can hold.
    let scaled = |values: &[f64], mean: f64| {
        let greatest = values.iter().fold(0.0f64, |most, value| most.max((value - mean).abs()));
        values.iter().map(|value| (value - mean) / greatest).collect::<Vec<f64>>()
    };
    let (dx, dy) = (scaled(x, mean_x), scaled(y, mean_y));
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
    let correlation = product(&dx, &dy) / (product(&dx, &dx) * product(&dy, &dy)).sqrt();
    if correlation.is_finite() { Ok(correlation.clamp(-1.0, 1.0)) } else { Err(Undefined::NoSpread) }
}

fn p_of_correlation(correlation: f64, n: usize) -> Option<f64> {
    let df = n.checked_sub(2).filter(|df| *df > 0)? as f64;
    let unexplained = (1.0 - correlation) * (1.0 + correlation);
    if unexplained <= 0.0 {
        return Some(0.0);
    }
    student_t_two_sided(correlation * (df / unexplained).sqrt(), df).ok()
}

/// Ranks from 1, equal values sharing the mean of theirs.
///
/// Values must be finite; the ranks come in the order of the values.
pub fn average_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut ranks = vec![0.0; values.len()];
    let mut passed = 0;
    for tied in order.chunk_by(|one, other| values[*one] == values[*other]) {
        let rank = passed as f64 + (tied.len() + 1) as f64 / 2.0;
        for place in tied {
            ranks[*place] = rank;
        }
        passed += tied.len();
    }
    ranks
}

/// Kendall's τ-b. As in scipy, its p is exact without ties when there are at most 33 pairs (or at most one pair of pairs out
/// of order), else from the normal approximation with the ties' variance.
///
/// # Errors
///
/// As [`pearson`].
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Result<Correlation, Undefined> {
    check_series(x, y)?;
    let n = x.len();
    let (mut concordant, mut discordant) = (0u64, 0u64);
    for (place, (x1, y1)) in x.iter().zip(y).enumerate() {
        for (x2, y2) in x.iter().zip(y).take(place) {
            let same_way = (x1 > x2) == (y1 > y2);
            if x1 != x2 && y1 != y2 {
                if same_way { concordant += 1 } else { discordant += 1 }
            }
        }
    }
    let (ties_x, ties_y) = (TieSums::of(x), TieSums::of(y));
    let count = n as f64;
    let pairs = count * (count - 1.0) / 2.0;
    let excess = concordant as f64 - discordant as f64;
    let estimate = (excess / ((pairs - ties_x.pairs) * (pairs - ties_y.pairs)).sqrt()).clamp(-1.0, 1.0);
    let untied = ties_x.pairs == 0.0 && ties_y.pairs == 0.0;
    let fewer = concordant.min(discordant);
    let p_value = if untied && (n <= 33 || fewer <= 1) {
        p_of_inversions(n, fewer)
    } else {
        let ordered = count * (count - 1.0);
        let mut variance = (ordered * (2.0 * count + 5.0) - ties_x.first - ties_y.first) / 18.0
            + 2.0 * ties_x.pairs * ties_y.pairs / ordered;
        if n > 2 {
            variance += ties_x.second * ties_y.second / (9.0 * ordered * (count - 2.0));
        }
        (2.0 * normal_upper_tail((excess / variance.sqrt()).abs())).min(1.0)
    };
    Ok(Correlation { estimate, p_value: p_value.is_finite().then_some(p_value), n })
}

/// Sums over groups of `t` equal values.
struct TieSums {
    /// Σ t(t−1)/2
    pairs: f64,
    /// Σ t(t−1)(2t+5)
    first: f64,
    /// Σ t(t−1)(t−2)
    second: f64,
}

impl TieSums {
    fn of(values: &[f64]) -> TieSums {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let mut sums = TieSums { pairs: 0.0, first: 0.0, second: 0.0 };
        for tied in sorted.chunk_by(|one, other| one == other) {
            let t = tied.len() as f64;
            sums.pairs += t * (t - 1.0) / 2.0;
            sums.first += t * (t - 1.0) * (2.0 * t + 5.0);
            sums.second += t * (t - 1.0) * (t - 2.0);
        }
        sums
    }
}

/// Twice the share of all orders of `n` with at most `inversions` pairs out of order, at most 1.
fn p_of_inversions(n: usize, inversions: u64) -> f64 {
    let wanted = inversions as usize;
    // The share of orders of `size` with exactly each number of inversions; a new item adds 0 to size − 1 of them.
    let mut shares = vec![0.0; wanted + 1];
    shares[0] = 1.0;
    for size in 2..=n {
        let mut sums = 0.0;
        let mut next = vec![0.0; wanted + 1];
        for place in 0..=wanted {
            sums += shares[place];
            if place >= size {
                sums -= shares[place - size];
            }
            next[place] = sums / size as f64;
        }
        shares = next;
    }
    (2.0 * shares.iter().sum::<f64>()).clamp(0.0, 1.0)
}

/// The cosine of the angle between two vectors.
///
/// # Errors
///
/// The lengths differ, a value is not finite, or a vector is zero (or empty).
pub fn cosine(a: &[f64], b: &[f64]) -> Result<f64, Undefined> {
    check_lengths(a.len(), b.len())?;
    check_finite(a)?;
    check_finite(b)?;
    let scaled = |values: &[f64]| {
        let greatest = values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        (greatest > 0.0).then(|| values.iter().map(|value| value / greatest).collect::<Vec<f64>>())
    };
    let (Some(a), Some(b)) = (scaled(a), scaled(b)) else { return Err(Undefined::NoSpread) };
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
    Ok((product(&a, &b) / (product(&a, &a).sqrt() * product(&b, &b).sqrt())).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn constant_and_short_series_have_no_correlation() {
        for correlation in [pearson, spearman, kendall_tau_b] {
            assert_eq!(correlation(&[1.0, 2.0, 3.0], &[5.0; 3]), Err(Undefined::NoSpread));
            assert!(matches!(correlation(&[1.0], &[2.0]), Err(Undefined::TooFew { .. })));
            assert!(matches!(correlation(&[1.0, 2.0], &[2.0]), Err(Undefined::LengthsDiffer { .. })));
            assert_eq!(correlation(&[1.0, f64::INFINITY], &[2.0, 3.0]), Err(Undefined::NotFinite));
        }
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 0.0]), Err(Undefined::NoSpread));
        assert_eq!(cosine(&[], &[]), Err(Undefined::NoSpread));
        assert_eq!(cosine(&[1e-200, 0.0], &[1e200, 0.0]), Ok(1.0));
    }

    #[test]
    fn a_perfect_order_is_one() {
        let x = [1.0, 2.0, 3.0, 4.0, 5.0];
        let y = [2.0, 3.0, 5.0, 8.0, 100.0];
        assert_eq!(spearman(&x, &y).unwrap(), Correlation { estimate: 1.0, p_value: Some(0.0), n: 5 });
        let tau = kendall_tau_b(&x, &y).unwrap();
        // Two of the 120 orders are as extreme.
        assert!((tau.estimate - 1.0).abs() < 1e-15 && (tau.p_value.unwrap() - 2.0 / 120.0).abs() < 1e-15);
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]).unwrap().p_value, None);
        assert_eq!(pearson(&[1.0, 2.0], &[1.0, 2.0]).unwrap().p_value, Some(1.0));
    }

    fn permutations(items: Vec<f64>) -> Vec<Vec<f64>> {
        if items.len() < 2 {
            return vec![items];
        }
        (0..items.len())
            .flat_map(|place| {
                let mut rest = items.clone();
                let first = rest.remove(place);
                permutations(rest).into_iter().map(move |mut tail| {
                    tail.insert(0, first);
                    tail
                })
            })
            .collect()
    }

    #[test]
    fn the_exact_p_of_tau_equals_enumeration() {
        let x: Vec<f64> = (0..6).map(f64::from).collect();
        let all: Vec<f64> = permutations(x.clone()).iter().map(|y| kendall_tau_b(&x, y).unwrap().estimate).collect();
        for y in permutations(x.clone()).iter().step_by(37) {
            let found = kendall_tau_b(&x, y).unwrap();
            let extreme = all.iter().filter(|tau| tau.abs() >= found.estimate.abs() - 1e-12).count();
            assert!((found.p_value.unwrap() - extreme as f64 / all.len() as f64).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn correlations_are_bounded_symmetric_and_do_not_care_for_order(pairs in proptest::collection::vec((0u8..6, 0u8..6), 2..40), shift in -5.0f64..5.0) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|(x, y)| (f64::from(*x), f64::from(*y))).unzip();
            let (rx, ry): (Vec<f64>, Vec<f64>) = pairs.iter().rev().map(|(x, y)| (f64::from(*x) * 2.0 + shift, f64::from(*y))).unzip();
            for correlation in [pearson, spearman, kendall_tau_b] {
                match (correlation(&x, &y), correlation(&ry, &rx)) {
                    (Ok(one), Ok(other)) => {
                        prop_assert!((one.estimate - other.estimate).abs() < 1e-9);
                        prop_assert!((-1.0..=1.0).contains(&one.estimate));
                        prop_assert!(one.p_value.is_none_or(|p| (0.0..=1.0).contains(&p)));
                    }
                    (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
                }
            }
        }
    }
}
