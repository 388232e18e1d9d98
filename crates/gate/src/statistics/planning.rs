//! What a number of cases can show, and how many it would take.
//!
//! Everything here is one-sided, as the gate's rules are, and reads "with the same rates and spread as seen so far".

use super::distributions::{
    binomial_at_least, binomial_probability, normal_cdf, normal_quantile_inside, student_t_from_tail,
};
use super::{Sides, Undefined, check_alpha, check_at_least, tail_of};

/// No plan goes beyond this number of cases.
pub const MOST_CASES: usize = 100_000_000;

fn check_spread(standard_deviation: f64) -> Result<(), Undefined> {
    if standard_deviation > 0.0 && standard_deviation.is_finite() { Ok(()) } else { Err(Undefined::NoSpread) }
}

/// The sum of the two normal quantiles that size and power ask for.
fn z_of(alpha: f64, power: f64) -> Result<f64, Undefined> {
    check_alpha(alpha)?;
    if !(power > 0.0 && power < 1.0) {
        return Err(Undefined::OutOfRange { name: "power" });
    }
    Ok(normal_quantile_inside(power) - normal_quantile_inside(alpha))
}

/// The smallest mean difference that a one-sided test of `n` pairs sees with this power: `(z_{1−α} + z_power)·sd/√n`.
///
/// # Errors
///
/// There is no pair, the spread is not positive, or alpha or power is not between 0 and 1.
pub fn minimum_detectable_effect(standard_deviation: f64, n: usize, alpha: f64, power: f64) -> Result<f64, Undefined> {
    check_spread(standard_deviation)?;
    check_at_least("pairs", 1, n)?;
    Ok(z_of(alpha, power)? * standard_deviation / (n as f64).sqrt())
}

/// The pairs that a one-sided test needs to see this mean difference with this power.
///
/// # Errors
///
/// As [`minimum_detectable_effect`]; [`Undefined::NeverSettled`] for an effect of 0 or a plan beyond [`MOST_CASES`].
pub fn cases_for_power(standard_deviation: f64, effect: f64, alpha: f64, power: f64) -> Result<usize, Undefined> {
    check_spread(standard_deviation)?;
    let ratio = z_of(alpha, power)? * standard_deviation / effect.abs();
    whole_cases(ratio * ratio)
}

/// Rounds up, but not for the last digits of rounding.
fn whole_cases(count: f64) -> Result<usize, Undefined> {
    let whole = (count * (1.0 - 1e-9)).ceil().max(1.0);
    if whole <= MOST_CASES as f64 { Ok(whole as usize) } else { Err(Undefined::NeverSettled) }
}

/// The cases after which the one-sided Wilson bounds of a share decide on `threshold`, either way.
///
/// # Errors
///
/// As [`super::wilson`]; the threshold is not between 0 and 1; [`Undefined::NeverSettled`] if the share seen equals the
/// threshold or the number is beyond [`MOST_CASES`].
pub fn cases_to_settle_share(successes: usize, n: usize, threshold: f64, confidence: f64) -> Result<usize, Undefined> {
    let z = -normal_quantile_inside(tail_of(confidence, Sides::One)?);
    check_at_least("values", 1, n)?;
    if successes > n {
        return Err(Undefined::OutOfRange { name: "successes" });
    }
    if !(threshold > 0.0 && threshold < 1.0) {
        return Err(Undefined::OutOfRange { name: "threshold" });
    }
    // Wilson's bound reaches the threshold where the score test rejects it: no search is needed.
    let gap = successes as f64 / n as f64 - threshold;
    whole_cases(z * z * threshold * (1.0 - threshold) / (gap * gap))
}

/// The values after which the one-sided t bound of a mean (or of a mean difference, with minus the margin as threshold)
/// decides on `threshold`, either way.
///
/// # Errors
///
/// The spread is not positive, the confidence is not between 0 and 1; [`Undefined::NeverSettled`] if the estimate equals the
/// threshold or the number is beyond [`MOST_CASES`].
pub fn cases_to_settle_mean(
    estimate: f64,
    standard_deviation: f64,
    threshold: f64,
    confidence: f64,
) -> Result<usize, Undefined> {
    check_spread(standard_deviation)?;
    let tail = tail_of(confidence, Sides::One)?;
    let gap = (estimate - threshold).abs();
    if !gap.is_finite() {
        return Err(Undefined::NotFinite);
    }
    let settles = |n: usize| {
        let t = if tail < 0.5 { student_t_from_tail(tail, (n - 1) as f64) } else { 0.0 };
        t * standard_deviation / (n as f64).sqrt() < gap
    };
    first_from(2, settles)
}

/// The pairs after which the exact bound of equal differences decides: all differences are `difference`, and those unseen
/// reach down to minus `range`, the width of the score's scale. For [`super::Method::ExactDiscordantShare`].
///
/// # Errors
///
/// [`Undefined::NeverSettled`] if the difference is not above minus the margin; an argument is out of range.
pub fn cases_to_settle_equal_differences(
    difference: f64,
    range: f64,
    margin: f64,
    confidence: f64,
) -> Result<usize, Undefined> {
    let tail = tail_of(confidence, Sides::One)?;
    if !(range > 0.0 && range.is_finite()) {
        return Err(Undefined::OutOfRange { name: "range" });
    }
    if !(difference.is_finite() && margin.is_finite()) {
        return Err(Undefined::NotFinite);
    }
    let room = difference + margin;
    if room <= 0.0 {
        return Err(Undefined::NeverSettled);
    }
    let allowed_share = room / (difference + range);
    if allowed_share >= 1.0 {
        return Ok(1);
    }
    whole_cases(libm::log(tail) / libm::log1p(-allowed_share))
}

/// The cases after which McNemar's exact one-sided test shows a regression, with the shares of cases that got worse and
/// better as in the `n` seen.
///
/// # Errors
///
/// There is no case, or more differ than there are; alpha is not between 0 and 1; [`Undefined::NeverSettled`] unless more
/// got worse than better.
pub fn cases_to_show_regression(worse: usize, better: usize, n: usize, alpha: f64) -> Result<usize, Undefined> {
    check_alpha(alpha)?;
    check_at_least("pairs", 1, n)?;
    if worse + better > n {
        return Err(Undefined::OutOfRange { name: "worse and better" });
    }
    if worse <= better {
        return Err(Undefined::NeverSettled);
    }
    let shows = |cases: usize| {
        let expected = |count: usize| (count as f64 * cases as f64 / n as f64).round() as u64;
        let (lost, gained) = (expected(worse), expected(better));
        binomial_at_least(lost, lost + gained, 0.5) <= alpha
    };
    first_from(1, shows)
}

/// The power of McNemar's exact one-sided test over `n` cases, of which the share `discordant` differs and the pass share
/// drops by `drop`.
///
/// # Errors
///
/// There is no case, alpha is not between 0 and 1, or the drop is greater than the discordant share, which must be from 0
/// to 1.
pub fn mcnemar_power(n: usize, discordant: f64, drop: f64, alpha: f64) -> Result<f64, Undefined> {
    check_alpha(alpha)?;
    check_at_least("pairs", 1, n)?;
    if !(discordant > 0.0 && discordant <= 1.0) {
        return Err(Undefined::OutOfRange { name: "discordant" });
    }
    if drop.is_nan() || drop.abs() > discordant {
        return Err(Undefined::OutOfRange { name: "drop" });
    }
    let worse_share = (discordant + drop) / (2.0 * discordant);
    let (mean, total) = (n as f64 * discordant, n as u64);
    let spread = 9.0 * (mean * (1.0 - discordant)).sqrt() + 10.0;
    let (least, most) = ((mean - spread).max(0.0) as u64, ((mean + spread) as u64).min(total));
    // As the discordant pairs grow by one, the critical count grows by one or stays.
    let mut critical = critical_count(least, alpha);
    let mut power = 0.0;
    for differing in least..=most {
        while binomial_at_least(critical, differing, 0.5) > alpha {
            critical += 1;
        }
        power +=
            binomial_probability(differing, total, discordant) * binomial_at_least(critical, differing, worse_share);
    }
    Ok(power.clamp(0.0, 1.0))
}

fn critical_count(differing: u64, alpha: f64) -> u64 {
    let (mut below, mut reached) = (0, differing + 1);
    while reached - below > 1 {
        let middle = below + (reached - below) / 2;
        if binomial_at_least(middle, differing, 0.5) <= alpha { reached = middle } else { below = middle }
    }
    reached
}

/// The cases with which McNemar's exact one-sided test sees a drop of the pass share with this power, by search.
///
/// # Errors
///
/// As [`mcnemar_power`]; the drop or the power is not positive; [`Undefined::NeverSettled`] beyond a million cases.
pub fn mcnemar_cases_for_power(discordant: f64, drop: f64, alpha: f64, power: f64) -> Result<usize, Undefined> {
    z_of(alpha, power)?;
    if drop.is_nan() || drop <= 0.0 {
        return Err(Undefined::OutOfRange { name: "drop" });
    }
    mcnemar_power(1, discordant, drop, alpha)?;
    const MOST: usize = 1_000_000;
    let enough = |n: usize| mcnemar_power(n, discordant, drop, alpha).is_ok_and(|reached| reached >= power);
    let spread = (discordant - drop * drop).max(1e-12).sqrt();
    let start = cases_for_power(spread, drop, alpha, power)?.clamp(1, MOST);
    let (mut failing, mut passing) = (0, start);
    while !enough(passing) {
        failing = passing;
        passing = passing + passing / 4 + 1;
        if passing > MOST {
            return Err(Undefined::NeverSettled);
        }
    }
    while passing - failing > 1 {
        let middle = failing + (passing - failing) / 2;
        if enough(middle) { passing = middle } else { failing = middle }
    }
    Ok(passing)
}

/// The power of a one-sided t test, by the normal approximation, for the line that a plan prints.
///
/// # Errors
///
/// As [`minimum_detectable_effect`].
pub fn power_of_mean_test(standard_deviation: f64, effect: f64, n: usize, alpha: f64) -> Result<f64, Undefined> {
    check_spread(standard_deviation)?;
    check_alpha(alpha)?;
    check_at_least("pairs", 1, n)?;
    let shift = effect / standard_deviation * (n as f64).sqrt();
    if shift.is_nan() { Err(Undefined::NotFinite) } else { Ok(normal_cdf(shift + normal_quantile_inside(alpha))) }
}

/// The first number from `least` on that holds, for a condition that keeps holding.
fn first_from(least: usize, holds: impl Fn(usize) -> bool) -> Result<usize, Undefined> {
    let (mut failing, mut passing) = (least.saturating_sub(1), least);
    while !holds(passing) {
        failing = passing;
        passing *= 2;
        if passing > MOST_CASES {
            return Err(Undefined::NeverSettled);
        }
    }
    while passing - failing > 1 {
        let middle = failing + (passing - failing) / 2;
        if holds(middle) { passing = middle } else { failing = middle }
    }
    Ok(passing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{mcnemar, mean_bounds, wilson};
    use proptest::prelude::*;

    #[test]
    fn a_small_drop_needs_many_cases() {
        // With 10 % of the cases differing: a drop of 2 points, and one of 5.
        let two = mcnemar_cases_for_power(0.10, 0.02, 0.05, 0.8).unwrap();
        let five = mcnemar_cases_for_power(0.10, 0.05, 0.05, 0.8).unwrap();
        assert!((1450..1700).contains(&two), "{two}");
        assert!((220..290).contains(&five), "{five}");
        assert!(mcnemar_power(five, 0.10, 0.05, 0.05).unwrap() >= 0.8);
        assert!(mcnemar_power(five - 20, 0.10, 0.05, 0.05).unwrap() < 0.8);
    }

    #[test]
    fn power_equals_the_sum_over_all_tables() {
        let (n, discordant, drop, alpha) = (12u64, 0.4, 0.2, 0.1);
        let (worse_share, better_share) = ((discordant + drop) / 2.0, (discordant - drop) / 2.0);
        let mut power = 0.0;
        for worse in 0..=n {
            for better in 0..=n - worse {
                let p = binomial_probability(worse, n, worse_share)
                    * binomial_probability(better, n - worse, better_share / (1.0 - worse_share));
                if mcnemar(worse as usize, better as usize).p_regression <= alpha {
                    power += p;
                }
            }
        }
        assert!((mcnemar_power(12, discordant, drop, alpha).unwrap() - power).abs() < 1e-12);
    }

    #[test]
    fn without_a_drop_power_is_at_most_alpha() {
        for n in [5, 50, 500, 5000] {
            assert!(mcnemar_power(n, 0.2, 0.0, 0.05).unwrap() <= 0.05);
        }
    }

    #[test]
    fn the_share_at_the_threshold_never_settles() {
        assert_eq!(cases_to_settle_share(4, 5, 0.8, 0.95), Err(Undefined::NeverSettled));
        assert_eq!(cases_to_settle_mean(0.5, 0.2, 0.5, 0.95), Err(Undefined::NeverSettled));
        assert_eq!(cases_to_settle_equal_differences(-0.1, 1.0, 0.05, 0.95), Err(Undefined::NeverSettled));
        assert_eq!(cases_to_show_regression(2, 2, 50, 0.05), Err(Undefined::NeverSettled));
        assert_eq!(cases_for_power(0.0, 0.1, 0.05, 0.8), Err(Undefined::NoSpread));
    }

    #[test]
    fn fifty_nine_equal_pairs_settle_a_margin_of_five_points() {
        assert_eq!(cases_to_settle_equal_differences(0.0, 1.0, 0.05, 0.95), Ok(59));
    }

    #[test]
    fn a_regression_needs_five_losses_at_least() {
        // One in ten got worse, none better: five losses are the fewest that show it, expected from 45 cases on.
        assert_eq!(cases_to_show_regression(1, 0, 10, 0.05), Ok(45));
    }

    proptest! {
        #[test]
        fn the_planned_number_of_draws_settles_a_share(n in 2usize..60, successes in 0usize..60, threshold in 0.05f64..0.95) {
            let successes = successes.min(n);
            let Ok(cases) = cases_to_settle_share(successes, n, threshold, 0.95) else { return Ok(()) };
            // As many times the cases seen as there are needed, so that the share is the same.
            let times = cases.div_ceil(n);
            let bounds = wilson(successes * times, n * times, 0.95, Sides::One).unwrap();
            prop_assert!(bounds.lower >= threshold - 1e-9 || bounds.upper <= threshold + 1e-9);
        }

        #[test]
        fn effect_and_cases_undo_each_other(deviation in 0.05f64..2.0, n in 2usize..5000) {
            let effect = minimum_detectable_effect(deviation, n, 0.05, 0.8).unwrap();
            prop_assert_eq!(cases_for_power(deviation, effect, 0.05, 0.8), Ok(n));
            prop_assert!((power_of_mean_test(deviation, effect, n, 0.05).unwrap() - 0.8).abs() < 1e-9);
        }

        #[test]
        fn the_planned_number_of_values_settles_a_mean(gap in 0.02f64..0.5, half in 0.05f64..0.5) {
            let cases = cases_to_settle_mean(gap, half, 0.0, 0.95).unwrap();
            // An even number of values around `gap`, with a deviation no greater than planned.
            let count = cases + cases % 2;
            let reach = half * ((count - 1) as f64 / count as f64).sqrt();
            let values: Vec<f64> = (0..count).map(|place| if place % 2 == 0 { gap - reach } else { gap + reach }).collect();
            prop_assert!(mean_bounds(&values, None, 0.95, Sides::One).unwrap().lower > 0.0);
        }
    }
}
