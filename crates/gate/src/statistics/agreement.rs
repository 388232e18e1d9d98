//! Agreement between raters: Cohen's κ of two, Krippendorff's α of any number with missing ratings.

use std::cmp::Ordering;

use super::bootstrap::{BootstrapDistribution, Resampling, with_jackknife};
use super::share::unseen_share;
use super::{Interval, Method, Sides, Undefined, check_at_least, check_lengths};

/// What a disagreement between two labels costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KappaWeights {
    /// All disagreements alike.
    None,
    /// The distance between the labels' ranks.
    Linear,
    /// The square of that distance.
    Quadratic,
}

impl KappaWeights {
    fn cost(self, one: usize, other: usize) -> f64 {
        let distance = one.abs_diff(other) as f64;
        match self {
            Self::None => f64::from(u8::from(one != other)),
            Self::Linear => distance,
            Self::Quadratic => distance * distance,
        }
    }
}

/// Cohen's κ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kappa {
    /// From −1 to 1; 0 is the agreement that the raters' habits alone would give.
    pub estimate: f64,
    /// The large-sample standard error (Fleiss, Cohen and Everitt 1969). 0 in perfect agreement: then see
    /// [`kappa_bounds`].
    pub standard_error: f64,
    /// The share of items with equal labels; to be shown beside κ.
    pub raw_agreement: f64,
    /// The number of items.
    pub n: usize,
    /// The number of different labels that either rater used.
    pub labels: usize,
}

/// The labels of both raters as ranks among all labels used, and the number of those.
fn ranked<T: PartialOrd>(a: &[T], b: &[T]) -> Result<(Vec<usize>, Vec<usize>, usize), Undefined> {
    check_lengths(a.len(), b.len())?;
    check_at_least("values", 1, a.len())?;
    // What cannot be compared with itself (NaN) is no label.
    if a.iter().chain(b).any(|label| label.partial_cmp(label) != Some(Ordering::Equal)) {
        return Err(Undefined::NotFinite);
    }
    let mut labels: Vec<&T> = a.iter().chain(b).collect();
    labels.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    labels.dedup_by(|one, other| one == other);
    let rank = |label: &T| labels.partition_point(|known| *known < label);
    Ok((a.iter().map(rank).collect(), b.iter().map(rank).collect(), labels.len()))
}

/// Cohen's κ of two raters. Weights are on the *rank* of a label among those that were used, as in scikit-learn: labels 1, 5
/// and 10 are one step apart each.
///
/// # Errors
///
/// There is no item, the lengths differ, a label is NaN, or both raters gave every item the same label
/// ([`Undefined::NoSpread`]).
pub fn cohen_kappa<T: PartialOrd>(a: &[T], b: &[T], weights: KappaWeights) -> Result<Kappa, Undefined> {
    let (a, b, labels) = ranked(a, b)?;
    kappa_of_ranks(&a, &b, labels, weights).ok_or(Undefined::NoSpread)
}

fn kappa_of_ranks(a: &[usize], b: &[usize], labels: usize, weights: KappaWeights) -> Option<Kappa> {
    let n = a.len() as f64;
    let (mut of_a, mut of_b) = (vec![0.0; labels], vec![0.0; labels]);
    for (one, other) in a.iter().zip(b) {
        *of_a.get_mut(*one)? += 1.0 / n;
        *of_b.get_mut(*other)? += 1.0 / n;
    }
    let pairs = || a.iter().zip(b);
    // What a label costs on average against what the other rater gives by habit.
    let against_b: Vec<f64> = (0..labels).map(|one| expected(&of_b, |other| weights.cost(one, other))).collect();
    let against_a: Vec<f64> = (0..labels).map(|other| expected(&of_a, |one| weights.cost(one, other))).collect();
    let by_habit = expected(&of_a, |one| against_b.get(one).copied().unwrap_or_default());
    let seen = pairs().map(|(one, other)| weights.cost(*one, *other)).sum::<f64>() / n;
    if by_habit <= 0.0 {
        return None;
    }
    let estimate = 1.0 - seen / by_habit;
    // Fleiss, Cohen and Everitt, written in costs instead of weights: how far each item moves κ. The mean of that is 0.
    let remaining = seen / by_habit;
    let squares = pairs().map(|(one, other)| {
        let habit =
            against_b.get(*one).copied().unwrap_or_default() + against_a.get(*other).copied().unwrap_or_default();
        let influence = weights.cost(*one, *other) - remaining * (habit - by_habit);
        influence * influence
    });
    let variance = squares.sum::<f64>() / n;
    Some(Kappa {
        estimate,
        standard_error: (variance / n).sqrt() / by_habit,
        raw_agreement: pairs().filter(|(one, other)| one == other).count() as f64 / n,
        n: a.len(),
        labels,
    })
}

fn expected(shares: &[f64], value: impl Fn(usize) -> f64) -> f64 {
    shares.iter().enumerate().map(|(place, share)| share * value(place)).sum()
}

/// The bootstrap distribution of κ over items, with the ranks of all items' labels. Resamples with a single shared label are
/// left out and counted.
///
/// # Errors
///
/// As [`cohen_kappa`]; there are no resamples.
pub fn bootstrap_kappa<T: PartialOrd>(
    a: &[T],
    b: &[T],
    weights: KappaWeights,
    resampling: Resampling,
) -> Result<BootstrapDistribution, Undefined> {
    let (a, b, labels) = ranked(a, b)?;
    let mut drawn = (Vec::with_capacity(a.len()), Vec::with_capacity(b.len()));
    let statistic = |rows: &[usize]| {
        drawn.0.clear();
        drawn.1.clear();
        drawn.0.extend(rows.iter().filter_map(|row| a.get(*row)));
        drawn.1.extend(rows.iter().filter_map(|row| b.get(*row)));
        kappa_of_ranks(&drawn.0, &drawn.1, labels, weights).map(|kappa| kappa.estimate)
    };
    with_jackknife(a.len(), statistic, resampling)
}

/// Bounds on κ, for rules: bias-corrected bootstrap, percentiles where that is undefined; in perfect agreement, where every
/// resample agrees as well, the lower bound lets the unseen share of items differ as far as labels can.
///
/// # Errors
///
/// As [`bootstrap_kappa`]; the confidence is not between 0 and 1.
pub fn kappa_bounds<T: PartialOrd>(
    a: &[T],
    b: &[T],
    weights: KappaWeights,
    confidence: f64,
    sides: Sides,
    resampling: Resampling,
) -> Result<Interval, Undefined> {
    let kappa = cohen_kappa(a, b, weights)?;
    if kappa.raw_agreement == 1.0 {
        let (ranks, _, labels) = ranked(a, b)?;
        let share = unseen_share(kappa.n, confidence, sides)?;
        let costs = |one: &usize| ranks.iter().map(move |other| weights.cost(*one, *other)).sum::<f64>();
        let by_habit = ranks.iter().map(costs).sum::<f64>() / (kappa.n * kappa.n) as f64;
        let greatest = weights.cost(0, labels - 1);
        let lower = (1.0 - share * greatest / by_habit).max(-1.0);
        let (n, method) = (kappa.n, Method::ExactDiscordantShare);
        return Ok(Interval { estimate: 1.0, lower, upper: 1.0, standard_error: None, n, confidence, sides, method });
    }
    let distribution = bootstrap_kappa(a, b, weights, resampling)?;
    let mut interval = distribution.bca(confidence, sides).or_else(|_| distribution.percentile(confidence, sides))?;
    interval.lower = interval.lower.min(interval.estimate);
    interval.upper = interval.upper.max(interval.estimate);
    Ok(interval)
}

/// What a difference between two ratings means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RatingLevel {
    /// Names: equal or not.
    Nominal,
    /// Ranks: the ratings that lie between count.
    Ordinal,
    /// Numbers: the squared difference.
    Interval,
}

/// Krippendorff's α.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KrippendorffAlpha {
    /// At most 1; 0 is chance, and it can be negative.
    pub estimate: f64,
    /// Units with at least two ratings; the others are dropped.
    pub units: usize,
    /// Ratings in those units.
    pub ratings: usize,
}

/// Krippendorff's α. One row for each rater, one column for each unit; missing is `None`. Rows may differ in length.
///
/// # Errors
///
/// No unit has two ratings, a rating is not finite, or all ratings are equal ([`Undefined::NoSpread`]).
pub fn krippendorff_alpha<R: AsRef<[Option<f64>]>>(
    ratings_by_rater: &[R],
    level: RatingLevel,
) -> Result<KrippendorffAlpha, Undefined> {
    let columns = ratings_by_rater.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let mut units: Vec<Vec<f64>> = (0..columns)
        .map(|unit| ratings_by_rater.iter().filter_map(|row| row.as_ref().get(unit).copied().flatten()).collect())
        .collect();
    units.retain(|ratings| ratings.len() > 1);
    check_at_least("units with two ratings", 1, units.len())?;
    units.iter().try_for_each(|ratings| super::check_finite(ratings))?;

    let mut values: Vec<f64> = units.iter().flatten().copied().collect();
    let total = values.len();
    values.sort_unstable_by(f64::total_cmp);
    values.dedup_by(|one, other| one == other);
    let place = |rating: f64| values.partition_point(|value| *value < rating);
    let mut counts = vec![0.0; values.len()];
    let mut coincidences = vec![vec![0.0; values.len()]; values.len()];
    for ratings in &units {
        let weight = 1.0 / (ratings.len() - 1) as f64;
        for (first, one) in ratings.iter().enumerate() {
            counts[place(*one)] += 1.0;
            for (second, other) in ratings.iter().enumerate() {
                if first != second {
                    coincidences[place(*one)][place(*other)] += weight;
                }
            }
        }
    }
    // Ratings up to and including each value, for the ordinal distance.
    let running: Vec<f64> = counts
        .iter()
        .scan(0.0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let cost = |one: usize, other: usize| {
        let (low, high) = (one.min(other), one.max(other));
        match level {
            RatingLevel::Nominal => f64::from(u8::from(low != high)),
            RatingLevel::Interval => (values[high] - values[low]) * (values[high] - values[low]),
            RatingLevel::Ordinal => {
                let between = running[high] - running[low] + counts[low] - (counts[low] + counts[high]) / 2.0;
                between * between
            }
        }
    };
    let (mut seen, mut by_chance) = (0.0, 0.0);
    for one in 0..values.len() {
        for other in 0..values.len() {
            seen += coincidences[one][other] * cost(one, other);
            by_chance += counts[one] * counts[other] * cost(one, other);
        }
    }
    if by_chance <= 0.0 {
        return Err(Undefined::NoSpread);
    }
    Ok(KrippendorffAlpha { estimate: 1.0 - (total - 1) as f64 * seen / by_chance, units: units.len(), ratings: total })
}

/// Bounds on α of two raters without missing ratings, for rules, as [`kappa_bounds`] has them.
///
/// # Errors
///
/// As [`krippendorff_alpha`]; the lengths differ, the confidence is not between 0 and 1, or there are no resamples.
pub fn alpha_bounds(
    a: &[f64],
    b: &[f64],
    level: RatingLevel,
    confidence: f64,
    sides: Sides,
    resampling: Resampling,
) -> Result<Interval, Undefined> {
    check_lengths(a.len(), b.len())?;
    let alpha_of = |rows: &mut dyn Iterator<Item = usize>| {
        let (one, other): (Vec<_>, Vec<_>) = rows.map(|row| (a.get(row).copied(), b.get(row).copied())).unzip();
        krippendorff_alpha(&[one, other], level)
    };
    let n = a.len();
    let found = alpha_of(&mut (0..n))?;
    if a == b {
        // None of the units differs: at worst the unseen share does, each by as much as two ratings can.
        let share = unseen_share(n, confidence, sides)?;
        let (lowest, highest) =
            a.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (value.min(low), value.max(high)));
        let at_worst: Vec<f64> =
            b.iter().map(|value| if value - lowest > highest - value { lowest } else { highest }).collect();
        let turned = krippendorff_alpha(
            &[a.iter().copied().map(Some).collect::<Vec<_>>(), at_worst.into_iter().map(Some).collect()],
            level,
        )?;
        let lower = (1.0 - share * (1.0 - turned.estimate)).max(-1.0);
        let method = Method::ExactDiscordantShare;
        return Ok(Interval { estimate: 1.0, lower, upper: 1.0, standard_error: None, n, confidence, sides, method });
    }
    let statistic = |rows: &[usize]| alpha_of(&mut rows.iter().copied()).ok().map(|alpha| alpha.estimate);
    let distribution = with_jackknife(n, statistic, resampling)?;
    let mut interval = distribution.bca(confidence, sides).or_else(|_| distribution.percentile(confidence, sides))?;
    interval.lower = interval.lower.min(found.estimate);
    interval.upper = interval.upper.max(found.estimate).min(1.0);
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_of_alpha_hold_the_truth_as_often_as_they_say() {
        let mut random = crate::statistics::Random::from_seed(5);
        let mut drawn = |n: usize| -> (Vec<f64>, Vec<f64>) {
            (0..n)
                .map(|_| {
                    let truth = random.unit();
                    (truth + 0.2 * random.normal(), truth + 0.2 * random.normal())
                })
                .unzip()
        };
        // Two raters with the same spread: alpha is the correlation.
        let truth = (1.0 / 12.0) / (1.0 / 12.0 + 0.04);
        let runs = 40;
        let covered = (0..runs)
            .filter(|seed| {
                let (one, other) = drawn(30);
                let resampling = Resampling::new(200, *seed);
                let bounds = alpha_bounds(&one, &other, RatingLevel::Interval, 0.95, Sides::One, resampling).unwrap();
                assert!(bounds.lower <= bounds.estimate && bounds.estimate <= bounds.upper && bounds.upper <= 1.0);
                bounds.lower <= truth
            })
            .count();
        // 38 on average, with a standard deviation of 1.4.
        assert!(covered >= 34, "{covered}");
    }

    #[test]
    fn the_standard_error_is_that_of_the_published_formula() {
        // Fleiss, Cohen and Everitt's diagnosis example: 100 items, κ = 0.429, SE = 0.0735 (unweighted).
        let table = [[53, 5, 2], [11, 14, 5], [1, 6, 3]];
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (row, cells) in table.iter().enumerate() {
            for (column, count) in cells.iter().enumerate() {
                a.extend(std::iter::repeat_n(row, *count));
                b.extend(std::iter::repeat_n(column, *count));
            }
        }
        let kappa = cohen_kappa(&a, &b, KappaWeights::None).unwrap();
        assert!((kappa.estimate - 0.429).abs() < 1e-3, "{kappa:?}");
        // The same from the delta method, by leaving weight off each item: the infinitesimal jackknife.
        let jackknife: Vec<f64> = (0..a.len())
            .map(|left_out| {
                let keep = |labels: &[usize]| -> Vec<usize> {
                    labels.iter().enumerate().filter(|(place, _)| *place != left_out).map(|(_, label)| *label).collect()
                };
                cohen_kappa(&keep(&a), &keep(&b), KappaWeights::None).unwrap().estimate
            })
            .collect();
        let centre = jackknife.iter().sum::<f64>() / 100.0;
        let error = (jackknife.iter().map(|value| (value - centre).powi(2)).sum::<f64>() * 99.0 / 100.0).sqrt();
        assert!((kappa.standard_error - error).abs() < 0.002, "{} is not {error}", kappa.standard_error);
    }

    #[test]
    fn one_shared_label_has_no_kappa() {
        assert_eq!(cohen_kappa(&[1, 1], &[1, 1], KappaWeights::Quadratic), Err(Undefined::NoSpread));
        assert!(cohen_kappa::<u8>(&[], &[], KappaWeights::None).is_err());
        assert_eq!(cohen_kappa(&[1.0, f64::NAN], &[1.0, 2.0], KappaWeights::None), Err(Undefined::NotFinite));
    }

    #[test]
    fn perfect_agreement_on_fifty_items_is_not_certainty() {
        let labels: Vec<u8> = (0..50).map(|place| place % 2).collect();
        let bounds =
            kappa_bounds(&labels, &labels, KappaWeights::None, 0.95, Sides::One, Resampling::new(100, 1)).unwrap();
        assert_eq!((bounds.estimate, bounds.upper), (1.0, 1.0));
        // 5.8 % of the items could differ, where half would by habit.
        assert!((bounds.lower - (1.0 - 0.0582 / 0.5)).abs() < 1e-3, "{bounds:?}");
    }

    #[test]
    fn bounds_of_kappa_hold_the_estimate() {
        let a: Vec<usize> = (0..80).map(|place| place % 5).collect();
        let b: Vec<usize> = (0..80).map(|place| if place % 7 == 0 { (place + 1) % 5 } else { place % 5 }).collect();
        let resampling = Resampling::new(2000, 3);
        let bounds = kappa_bounds(&a, &b, KappaWeights::Quadratic, 0.95, Sides::One, resampling).unwrap();
        assert!(bounds.lower < bounds.estimate && bounds.estimate < bounds.upper && bounds.upper <= 1.0);
        let kappa = cohen_kappa(&a, &b, KappaWeights::Quadratic).unwrap();
        assert!((bounds.standard_error.unwrap() / kappa.standard_error - 1.0).abs() < 0.2, "{bounds:?} {kappa:?}");
    }

    #[test]
    fn units_with_one_rating_do_not_count() {
        let none: [[Option<f64>; 2]; 2] = [[Some(1.0), None], [None, Some(2.0)]];
        assert!(matches!(krippendorff_alpha(&none, RatingLevel::Nominal), Err(Undefined::TooFew { .. })));
        let equal = [[Some(1.0), Some(1.0)], [Some(1.0), Some(1.0)]];
        assert_eq!(krippendorff_alpha(&equal, RatingLevel::Interval), Err(Undefined::NoSpread));
        let alpha = krippendorff_alpha(
            &[[Some(1.0), Some(2.0), Some(9.0)], [Some(1.0), Some(2.0), None]],
            RatingLevel::Interval,
        );
        assert_eq!(alpha.unwrap(), KrippendorffAlpha { estimate: 1.0, units: 2, ratings: 4 });
        assert!(krippendorff_alpha::<Vec<Option<f64>>>(&[], RatingLevel::Nominal).is_err());
    }

    proptest! {
        #[test]
        fn kappa_does_not_care_who_is_first_or_in_what_order(pairs in proptest::collection::vec((0u8..4, 0u8..4), 1..40)) {
            let (a, b): (Vec<u8>, Vec<u8>) = pairs.iter().copied().unzip();
            let (back_a, back_b): (Vec<u8>, Vec<u8>) = pairs.iter().rev().copied().unzip();
            for weights in [KappaWeights::None, KappaWeights::Linear, KappaWeights::Quadratic] {
                match (cohen_kappa(&a, &b, weights), cohen_kappa(&back_b, &back_a, weights)) {
                    (Ok(one), Ok(other)) => {
                        prop_assert!((one.estimate - other.estimate).abs() < 1e-9);
                        prop_assert!((one.standard_error - other.standard_error).abs() < 1e-6);
                        prop_assert!((-1.0 - 1e-9..=1.0).contains(&one.estimate));
                    }
                    (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
                }
            }
            // Names of labels do not matter without weights.
            let renamed = |labels: &[u8]| labels.iter().map(|label| [3u8, 0, 2, 1][*label as usize]).collect::<Vec<_>>();
            if let Ok(kappa) = cohen_kappa(&a, &b, KappaWeights::None) {
                let other = cohen_kappa(&renamed(&a), &renamed(&b), KappaWeights::None).unwrap();
                prop_assert!((kappa.estimate - other.estimate).abs() < 1e-9);
            }
        }

        #[test]
        fn alpha_does_not_care_for_the_order_of_raters_and_units(rows in proptest::collection::vec(proptest::array::uniform3(proptest::option::of(1u8..5)), 2..20)) {
            let by_rater = |order: [usize; 3], rows: &[[Option<u8>; 3]]| -> Vec<Vec<Option<f64>>> {
                order.iter().map(|rater| rows.iter().map(|unit| unit[*rater].map(f64::from)).collect()).collect()
            };
            let mut reversed = rows.clone();
            reversed.reverse();
            for level in [RatingLevel::Nominal, RatingLevel::Ordinal, RatingLevel::Interval] {
                match (krippendorff_alpha(&by_rater([0, 1, 2], &rows), level), krippendorff_alpha(&by_rater([2, 0, 1], &reversed), level)) {
                    (Ok(one), Ok(other)) => prop_assert!((one.estimate - other.estimate).abs() < 1e-9 && one.estimate <= 1.0),
                    (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
                }
            }
        }
    }
}
