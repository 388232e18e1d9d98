//! The sign-flip permutation test of paired differences: if the candidate changed nothing, each difference is as likely with
//! the opposite sign.

use super::bootstrap::Resampling;
use super::mean::cluster_sums;
use super::random::Random;
use super::{Interval, Method, Sides, Undefined, check_at_least, check_finite, mean_of, tail_of};

/// Up to this many differences that are not 0, every combination of signs is counted.
pub const EXACT_SIGN_FLIP_LIMIT: usize = 20;

/// The result of a sign-flip test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlip {
    /// The mean difference.
    pub estimate: f64,
    /// The number of differences.
    pub n: usize,
    /// Two-sided: the share of sign combinations whose mean is at least as far from 0.
    pub p_value: f64,
    /// One-sided: small when the candidate got lower.
    pub p_less: f64,
    /// One-sided: small when the candidate got higher.
    pub p_greater: f64,
    /// [`Method::ExactSignFlip`] or [`Method::SampledSignFlip`].
    pub method: Method,
    /// How signs were drawn; `None` if all combinations were counted.
    pub resampling: Option<Resampling>,
}

/// The sign-flip test: exact with up to [`EXACT_SIGN_FLIP_LIMIT`] differences that are not 0 (a 0 has no sign, so that
/// leaving it out changes no probability), else from random signs with `(1 + k)/(1 + draws)`.
///
/// # Errors
///
/// There is no difference, one is not finite, or signs must be drawn and `resampling` has no draws.
pub fn sign_flip_test(differences: &[f64], resampling: Resampling) -> Result<SignFlip, Undefined> {
    check_at_least("pairs", 1, differences.len())?;
    check_finite(differences)?;
    test(differences, differences.len(), mean_of(differences), resampling)
}

/// The sign-flip test on clusters of differences, each of which keeps or changes its sign as a whole.
///
/// # Errors
///
/// As [`sign_flip_test`]; the lengths differ.
pub fn sign_flip_test_clustered<K: Ord>(
    differences: &[f64],
    clusters: &[K],
    resampling: Resampling,
) -> Result<SignFlip, Undefined> {
    let sums: Vec<f64> = cluster_sums(differences, clusters)?.into_iter().map(|(sum, _)| sum).collect();
    test(&sums, differences.len(), mean_of(differences), resampling)
}

fn test(units: &[f64], n: usize, estimate: f64, resampling: Resampling) -> Result<SignFlip, Undefined> {
    let flippable: Vec<f64> = units.iter().copied().filter(|unit| *unit != 0.0).collect();
    let exact = flippable.len() <= EXACT_SIGN_FLIP_LIMIT;
    let mut counts = Counts::around(&flippable);
    if exact {
        count_all(&flippable, 0.0, &mut counts);
    } else {
        check_at_least("resamples", 1, resampling.resamples)?;
        // The observed signs are one of the combinations.
        counts.add(counts.observed);
        let mut random = Random::from_seed(resampling.seed);
        for _ in 0..resampling.resamples {
            let total = flippable.chunks(64).map(|chunk| flipped_sum(chunk, random.bits())).sum();
            counts.add(total);
        }
    }
    let share = |count: u64| count as f64 / counts.all as f64;
    Ok(SignFlip {
        estimate,
        n,
        p_value: share(counts.extreme),
        p_less: share(counts.at_most),
        p_greater: share(counts.at_least),
        method: if exact { Method::ExactSignFlip } else { Method::SampledSignFlip },
        resampling: (!exact).then_some(resampling),
    })
}

fn flipped_sum(units: &[f64], signs: u64) -> f64 {
    units.iter().enumerate().map(|(place, unit)| if signs >> place & 1 == 1 { -unit } else { *unit }).sum()
}

/// Adds every combination of signs, depth first, so that each sum is built in the order of the units.
fn count_all(units: &[f64], sum: f64, counts: &mut Counts) {
    match units {
        [] => counts.add(sum),
        [first, rest @ ..] => {
            count_all(rest, sum + first, counts);
            count_all(rest, sum - first, counts);
        }
    }
}

struct Counts {
    observed: f64,
    tolerance: f64,
    all: u64,
    extreme: u64,
    at_most: u64,
    at_least: u64,
}

impl Counts {
    fn around(units: &[f64]) -> Counts {
        let observed = units.iter().sum();
        // Sums that are equal on paper differ by rounding; 1e-12 of the size of a sum is far above that.
        let tolerance = 1e-12 * units.iter().map(|unit| unit.abs()).sum::<f64>();
        Counts { observed, tolerance, all: 0, extreme: 0, at_most: 0, at_least: 0 }
    }

    fn add(&mut self, sum: f64) {
        self.all += 1;
        self.extreme += u64::from(sum.abs() >= self.observed.abs() - self.tolerance);
        self.at_most += u64::from(sum <= self.observed + self.tolerance);
        self.at_least += u64::from(sum >= self.observed - self.tolerance);
    }
}

/// Bounds on the mean difference that the exact test does not reject, for at most [`EXACT_SIGN_FLIP_LIMIT`] differences.
///
/// The test rejects a mean μ from below when too few of the subsets' means are at most μ (Hartigan's typical values), so
/// the bounds are order statistics of all subset means. `None` in an end: so few differences reject no mean on that side.
///
/// # Errors
///
/// There is no difference, there are too many, one is not finite, all are equal ([`Undefined::NoSpread`]), or the
/// confidence is not between 0 and 1.
pub fn sign_flip_bounds(differences: &[f64], confidence: f64, sides: Sides) -> Result<SignFlipBounds, Undefined> {
    let tail = tail_of(confidence, sides)?;
    check_at_least("pairs", 1, differences.len())?;
    check_finite(differences)?;
    if differences.len() > EXACT_SIGN_FLIP_LIMIT {
        return Err(Undefined::OutOfRange { name: "differences" });
    }
    let estimate = mean_of(differences);
    if differences.iter().all(|difference| (difference - estimate).abs() <= 1e-12 * estimate.abs()) {
        return Err(Undefined::NoSpread);
    }
    let mut means: Vec<f64> = (1u32..1 << differences.len())
        .map(|subset| {
            let chosen = differences.iter().enumerate().filter(|(place, _)| subset >> place & 1 == 1);
            let (sum, size) = chosen.fold((0.0, 0u32), |(sum, size), (_, value)| (sum + value, size + 1));
            sum / f64::from(size)
        })
        .collect();
    // A hair more, so that an error of exactly one in 2^n is not lost to rounding.
    let rank = (tail * (means.len() + 1) as f64 * (1.0 + 1e-12)) as usize;
    let count = means.len();
    // Two of up to a million are wanted: no need to sort the others.
    let mut smallest = |place: usize| (place < count).then(|| *means.select_nth_unstable_by(place, f64::total_cmp).1);
    let lower = rank.checked_sub(1).and_then(&mut smallest);
    let upper = count.checked_sub(rank).filter(|_| rank > 0).and_then(&mut smallest);
    Ok(SignFlipBounds { estimate, lower, upper, n: differences.len(), confidence, sides })
}

/// What [`sign_flip_bounds`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SignFlipBounds {
    /// The mean difference.
    pub estimate: f64,
    /// The lower bound, if any mean is rejected from below.
    pub lower: Option<f64>,
    /// The upper bound, if any mean is rejected from above.
    pub upper: Option<f64>,
    /// The number of differences.
    pub n: usize,
    /// The confidence of the bounds, as `sides` reads it.
    pub confidence: f64,
    /// Whether `confidence` is of each bound or of both together.
    pub sides: Sides,
}

impl SignFlipBounds {
    /// As an interval, the scale of differences standing in where there is no bound.
    pub fn within(&self, scale: super::Scale) -> Interval {
        Interval {
            estimate: self.estimate,
            lower: self.lower.unwrap_or(scale.lowest),
            upper: self.upper.unwrap_or(scale.highest),
            standard_error: None,
            n: self.n,
            confidence: self.confidence,
            sides: self.sides,
            method: Method::ExactSignFlip,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::mcnemar;
    use proptest::prelude::*;

    const DRAWS: Resampling = Resampling { resamples: 20_000, seed: 11 };

    #[test]
    fn booleans_give_mcnemars_test() {
        let differences = [-1.0, -1.0, -1.0, -1.0, -1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let flipped = sign_flip_test(&differences, DRAWS).unwrap();
        let counted = mcnemar(5, 1);
        assert!((flipped.p_value - counted.p_two_sided).abs() < 1e-12);
        assert!((flipped.p_less - counted.p_regression).abs() < 1e-12);
    }

    #[test]
    fn only_zeros_are_no_evidence() {
        let test = sign_flip_test(&[0.0; 40], DRAWS).unwrap();
        assert_eq!((test.p_value, test.p_less, test.p_greater), (1.0, 1.0, 1.0));
        assert_eq!(test.method, Method::ExactSignFlip);
        assert!(sign_flip_test(&[], DRAWS).is_err());
        assert_eq!(sign_flip_test(&[f64::NAN], DRAWS), Err(Undefined::NotFinite));
    }

    #[test]
    fn drawn_signs_come_near_the_exact_answer() {
        let differences: Vec<f64> = (0..21).map(|place| f64::from(place % 5) * 0.1 - 0.13).collect();
        let drawn = sign_flip_test(&differences, DRAWS).unwrap();
        let mut counts = Counts::around(&differences);
        count_all(&differences, 0.0, &mut counts);
        let exact = counts.extreme as f64 / counts.all as f64;
        assert_eq!(drawn.method, Method::SampledSignFlip);
        assert!((drawn.p_value - exact).abs() < 0.02, "{} is not near {exact}", drawn.p_value);
    }

    #[test]
    fn a_lone_pair_bounds_nothing() {
        let bounds = sign_flip_bounds(&[0.1, 0.2], 0.95, Sides::One).unwrap();
        assert_eq!((bounds.lower, bounds.upper), (None, None));
        assert_eq!(sign_flip_bounds(&[0.1; 8], 0.95, Sides::One), Err(Undefined::NoSpread));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_exact_test_equals_enumeration(differences in proptest::collection::vec(-3i32..=3, 1..10)) {
            let values: Vec<f64> = differences.iter().map(|value| f64::from(*value) / 10.0).collect();
            let observed: i32 = differences.iter().sum();
            let (mut extreme, mut less) = (0u32, 0u32);
            for signs in 0u32..1 << differences.len() {
                let sum: i32 = differences.iter().enumerate().map(|(place, value)| if signs >> place & 1 == 1 { -value } else { *value }).sum();
                extreme += u32::from(sum.abs() >= observed.abs());
                less += u32::from(sum <= observed);
            }
            let ways = f64::from(1u32 << differences.len());
            let test = sign_flip_test(&values, DRAWS).unwrap();
            prop_assert!((test.p_value - f64::from(extreme) / ways).abs() < 1e-12);
            prop_assert!((test.p_less - f64::from(less) / ways).abs() < 1e-12);
        }

        #[test]
        fn order_and_scale_do_not_matter(values in proptest::collection::vec(-1.0f64..1.0, 1..12), factor in 0.01f64..100.0) {
            let test = sign_flip_test(&values, DRAWS).unwrap();
            let moved: Vec<f64> = values.iter().rev().map(|value| value * factor).collect();
            let other = sign_flip_test(&moved, DRAWS).unwrap();
            prop_assert!((test.p_value - other.p_value).abs() < 1e-12);
            let mirrored: Vec<f64> = values.iter().map(|value| -value).collect();
            prop_assert!((sign_flip_test(&mirrored, DRAWS).unwrap().p_less - test.p_greater).abs() < 1e-12);
        }

        /// A mean just outside of the bounds is rejected, and one just inside is not.
        #[test]
        fn bounds_are_where_the_test_turns(values in proptest::collection::vec(-1.0f64..1.0, 5..10)) {
            let Ok(bounds) = sign_flip_bounds(&values, 0.9, Sides::One) else { return Ok(()) };
            let p_greater = |mean: f64| {
                let moved: Vec<f64> = values.iter().map(|value| value - mean).collect();
                sign_flip_test(&moved, DRAWS).unwrap().p_greater
            };
            if let Some(lower) = bounds.lower {
                prop_assert!(p_greater(lower - 1e-6) <= 0.1 + 1e-9);
                prop_assert!(p_greater(lower + 1e-6) > 0.1);
                prop_assert!(lower <= bounds.estimate);
            }
        }
    }
}
