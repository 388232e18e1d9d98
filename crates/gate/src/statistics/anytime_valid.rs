//! Looking after every case: a confidence sequence by betting, for scores on a known scale.
//!
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2024): a gambler bets that the mean
//! is greater (or less) than m, with stakes that depend on the past only. A fair m lets the capital grow to 1/error with
//! probability of at most the error, at any time; so every m against which the capital got there is left out. The stakes
//! are those of the paper's predictable plug-in, cut off at one half of what the gambler could lose.

use super::{Interval, Method, Scale, Sides, Undefined, check_at_least, check_finite, mean_of, tail_of};

/// The bounds of a confidence sequence after all of these scores, in the order in which they came. Whoever looks after each
/// score, and stops when they like, is still right with the stated confidence.
///
/// Cases must be in random order: what is bounded is the mean that the next scores are expected to have.
///
/// # Errors
///
/// There is no score, one is not finite or outside of the scale, or the confidence is not between 0 and 1.
pub fn confidence_sequence(scores: &[f64], scale: Scale, confidence: f64, sides: Sides) -> Result<Interval, Undefined> {
    let error = tail_of(confidence, sides)?;
    check_at_least("values", 1, scores.len())?;
    check_finite(scores)?;
    scale.check()?;
    let width = scale.highest - scale.lowest;
    let units: Vec<f64> = scores.iter().map(|score| (score - scale.lowest) / width).collect();
    if units.iter().any(|unit| !(-1e-12..=1.0 + 1e-12).contains(unit)) {
        return Err(Undefined::OutOfRange { name: "value" });
    }
    let mirrored: Vec<f64> = units.iter().map(|unit| 1.0 - unit).collect();
    let lower = lower_bound(&units, error);
    let upper = 1.0 - lower_bound(&mirrored, error);
    Ok(Interval {
        estimate: mean_of(scores),
        lower: scale.lowest + width * lower,
        upper: scale.lowest + width * upper,
        standard_error: None,
        n: scores.len(),
        confidence,
        sides,
        method: Method::Betting,
    })
}

/// The least mean that the gambler on "greater" never won against.
fn lower_bound(units: &[f64], error: f64) -> f64 {
    let stakes = stakes(units, error);
    let target = -libm::log(error);
    let ever_won = |mean: f64| {
        let mut capital = 0.0;
        units.iter().zip(&stakes).any(|(unit, stake)| {
            capital += libm::log1p(stake.min(0.5 / mean) * (unit - mean));
            capital >= target
        })
    };
    // The greater the mean, the less is won against it.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if ever_won(middle) { low = middle } else { high = middle }
    }
    low
}

fn stakes(units: &[f64], error: f64) -> Vec<f64> {
    let (mut sum, mut squares) = (0.5, 0.25);
    let mut variance = 0.25;
    let doubled_target = -2.0 * libm::log(error);
    units
        .iter()
        .enumerate()
        .map(|(place, unit)| {
            let time = (place + 1) as f64;
            let stake = (doubled_target / (variance * time * libm::log1p(time))).sqrt();
            sum += unit;
            let mean = sum / (time + 1.0);
            squares += (unit - mean) * (unit - mean);
            variance = squares / (time + 1.0);
            stake
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Random, wilson};
    use proptest::prelude::*;

    #[test]
    fn looking_after_every_case_errs_no_more_often_than_allowed() {
        let (runs, cases, mean) = (400, 150, 0.8);
        let mut random = Random::from_seed(23);
        let erred = (0..runs)
            .filter(|_| {
                let scores: Vec<f64> = (0..cases).map(|_| f64::from(u8::from(random.unit() < mean))).collect();
                // The bound after all scores remembers every earlier look.
                confidence_sequence(&scores, Scale::UNIT, 0.95, Sides::One).unwrap().lower > mean
            })
            .count();
        assert!(erred <= 28, "{erred} of {runs}");
    }

    #[test]
    fn many_cases_decide() {
        let scores: Vec<f64> = (0..400).map(|place| f64::from(u8::from(place % 10 != 3))).collect();
        let sequence = confidence_sequence(&scores, Scale::UNIT, 0.95, Sides::One).unwrap();
        let fixed = wilson(360, 400, 0.95, Sides::One).unwrap();
        assert!(sequence.lower > 0.83 && sequence.lower < fixed.lower, "{sequence:?} {fixed:?}");
        assert!(sequence.upper < 0.95 && sequence.upper > fixed.upper, "{sequence:?} {fixed:?}");
    }

    #[test]
    fn scores_off_the_scale_are_refused() {
        let off = confidence_sequence(&[1.5], Scale::UNIT, 0.95, Sides::One);
        assert_eq!(off, Err(Undefined::OutOfRange { name: "value" }));
        assert!(confidence_sequence(&[], Scale::UNIT, 0.95, Sides::One).is_err());
        assert!(confidence_sequence(&[1.0], Scale { lowest: 1.0, highest: 1.0 }, 0.95, Sides::One).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bounds_widen_with_confidence_and_move_with_the_scale(scores in proptest::collection::vec(0.0f64..=1.0, 1..80)) {
            let narrow = confidence_sequence(&scores, Scale::UNIT, 0.8, Sides::Two).unwrap();
            let wide = confidence_sequence(&scores, Scale::UNIT, 0.95, Sides::Two).unwrap();
            prop_assert!(wide.lower <= narrow.lower + 0.02 && narrow.upper <= wide.upper + 0.02);
            prop_assert!(wide.lower <= wide.upper);
            let stars: Vec<f64> = scores.iter().map(|score| 1.0 + 4.0 * score).collect();
            let moved = confidence_sequence(&stars, Scale { lowest: 1.0, highest: 5.0 }, 0.95, Sides::Two).unwrap();
            prop_assert!((moved.lower - (1.0 + 4.0 * wide.lower)).abs() < 1e-9);
        }
    }
}
