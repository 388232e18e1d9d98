//! Looking before the end: group-sequential boundaries by alpha spending (Lan and DeMets 1983), computed by the recursive
//! integration of Armitage, McPherson and Rowe.

use super::distributions::{normal_cdf, normal_quantile_inside, normal_upper_tail};
use super::{Undefined, check_alpha, check_at_least};

/// How the allowed error is spent as information comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlphaSpending {
    /// Nearly nothing early, nearly all at the end: `2(1 − Φ(z_{α/2}/√t))`, in the manner of O'Brien and Fleming.
    ObrienFleming,
    /// Evenly over the looks: `α ln(1 + (e−1)t)`, in the manner of Pocock.
    Pocock,
}

impl AlphaSpending {
    /// The error spent up to the share `information` of all cases.
    pub fn spent(self, information: f64, alpha: f64) -> f64 {
        if information <= 0.0 {
            return 0.0;
        }
        if information >= 1.0 {
            return alpha;
        }
        match self {
            Self::ObrienFleming => 2.0 * normal_upper_tail(-normal_quantile_inside(alpha / 2.0) / information.sqrt()),
            Self::Pocock => alpha * libm::log1p((std::f64::consts::E - 1.0) * information),
        }
    }
}

/// One look, and what it takes to stop there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The share of all cases that are in.
    pub information: f64,
    /// The error spent up to and including this look.
    pub cumulative_alpha: f64,
    /// Stop if z is at least this.
    pub z_bound: f64,
    /// The same as a p value: stop if the one-sided p at this look is at most this. Bounds at this look hold with
    /// confidence one minus this.
    pub nominal_alpha: f64,
}

/// The looks after equal parts of the cases: for 3 looks, after a third, two thirds and all.
pub fn equal_looks(looks: usize) -> Vec<f64> {
    (1..=looks).map(|look| look as f64 / looks as f64).collect()
}

/// The one-sided boundaries of the looks at these shares of information, which must rise and end at 1 at most.
///
/// # Errors
///
/// There is no look, shares do not rise within 0 to 1, or alpha is not between 0 and one half.
pub fn group_sequential(information: &[f64], alpha: f64, spending: AlphaSpending) -> Result<Vec<Look>, Undefined> {
    check_at_least("looks", 1, information.len())?;
    check_alpha(alpha)?;
    if alpha >= 0.5 {
        return Err(Undefined::OutOfRange { name: "alpha" });
    }
    let (mut previous, mut narrowest) = (0.0, 1.0f64);
    for share in information {
        if !(*share > previous && *share <= 1.0) {
            return Err(Undefined::OutOfRange { name: "information" });
        }
        narrowest = narrowest.min(share - previous);
        previous = *share;
    }
    let mut looks: Vec<Look> = Vec::with_capacity(information.len());
    let mut walk: Option<Continuation> = None;
    let mut spent = 0.0;
    for share in information {
        let cumulative_alpha = spending.spent(*share, alpha);
        let step = (cumulative_alpha - spent).max(0.0);
        let crossing = |z_bound: f64| match &walk {
            None => normal_upper_tail(z_bound),
            Some(walk) => walk.crossing(*share, z_bound),
        };
        let z_bound = boundary(step, crossing);
        looks.push(Look { information: *share, cumulative_alpha, z_bound, nominal_alpha: normal_upper_tail(z_bound) });
        if looks.len() < information.len() {
            walk = Some(Continuation::after(walk.as_ref(), *share, z_bound, narrowest));
        }
        spent = cumulative_alpha;
    }
    Ok(looks)
}

/// The bound that is crossed with probability `step`.
fn boundary(step: f64, crossing: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-8.0, 38.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if crossing(middle) > step { low = middle } else { high = middle }
    }
    high
}

/// The walk `z·√t` after a look, where it did not stop: points, with the density times the integration weight.
struct Continuation {
    information: f64,
    points: Vec<(f64, f64)>,
}

impl Continuation {
    /// `narrowest` is the least information between two looks, which the grid must resolve.
    fn after(before: Option<&Continuation>, information: f64, z_bound: f64, narrowest: f64) -> Continuation {
        let scale = information.sqrt();
        let (low, high) = (-8.0 * scale, z_bound.min(8.0) * scale);
        // Simpson's rule, ten points to a standard deviation of the narrowest step; looks that nearly coincide get fewer.
        let intervals = 2 * ((5.0 * (high - low) / narrowest.sqrt()).ceil().clamp(200.0, 2000.0) as usize);
        let width = (high - low) / intervals as f64;
        let points = (0..=intervals)
            .map(|place| {
                let at = low + width * place as f64;
                let weight = match place {
                    _ if place == 0 || place == intervals => 1.0,
                    _ if place % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                let density = match before {
                    None => normal_density(at / scale) / scale,
                    Some(before) => before.density(information, at),
                };
                (at, density * weight * width / 3.0)
            })
            .collect();
        Continuation { information, points }
    }

    fn density(&self, information: f64, at: f64) -> f64 {
        let scale = (information - self.information).sqrt();
        self.points.iter().map(|(from, mass)| mass * normal_density((at - from) / scale) / scale).sum()
    }

    fn crossing(&self, information: f64, z_bound: f64) -> f64 {
        let (bound, scale) = (z_bound * information.sqrt(), (information - self.information).sqrt());
        self.points.iter().map(|(from, mass)| mass * normal_upper_tail((bound - from) / scale)).sum()
    }
}

fn normal_density(z: f64) -> f64 {
    libm::exp(-0.5 * z * z) * 0.398_942_280_401_432_7
}

/// The chance that the last look's z reaches `final_bound`, given `z` at the share `information`, if the rest goes as so far
/// (`drift` is `None`) or with this expected final z. Stop for futility when it is small.
///
/// # Errors
///
/// `information` does not lie strictly between 0 and 1, or a number is not finite.
pub fn conditional_power(z: f64, information: f64, final_bound: f64, drift: Option<f64>) -> Result<f64, Undefined> {
    if !(information > 0.0 && information < 1.0) {
        return Err(Undefined::OutOfRange { name: "information" });
    }
    let drift = drift.unwrap_or(z / information.sqrt());
    if !(z.is_finite() && final_bound.is_finite() && drift.is_finite()) {
        return Err(Undefined::NotFinite);
    }
    let remaining = 1.0 - information;
    Ok(normal_cdf((z * information.sqrt() + drift * remaining - final_bound) / remaining.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Random;

    fn check_bounds(looks: usize, alpha: f64, spending: AlphaSpending, wanted: &[f64]) {
        let found = group_sequential(&equal_looks(looks), alpha, spending).unwrap();
        for (look, wanted) in found.iter().zip(wanted) {
            assert!((look.z_bound - wanted).abs() < 1e-3, "{} is not {wanted}", look.z_bound);
        }
        assert_eq!(found.len(), wanted.len());
    }

    #[test]
    fn bounds_are_the_published_ones() {
        use AlphaSpending::{ObrienFleming, Pocock};
        check_bounds(1, 0.025, ObrienFleming, &[1.960]);
        check_bounds(2, 0.025, ObrienFleming, &[2.963, 1.969]);
        check_bounds(3, 0.025, ObrienFleming, &[3.710, 2.511, 1.993]);
        check_bounds(5, 0.025, ObrienFleming, &[4.877, 3.357, 2.680, 2.290, 2.031]);
        check_bounds(2, 0.025, Pocock, &[2.157, 2.201]);
    }

    #[test]
    fn the_spent_error_is_reached_in_simulation() {
        let looks = group_sequential(&equal_looks(3), 0.05, AlphaSpending::ObrienFleming).unwrap();
        assert_eq!(looks[2].cumulative_alpha, 0.05);
        let mut random = Random::from_seed(17);
        let runs = 40_000;
        let stopped = (0..runs)
            .filter(|_| {
                let (mut walk, mut before) = (0.0, 0.0);
                looks.iter().any(|look| {
                    walk += random.normal() * (look.information - before).sqrt();
                    before = look.information;
                    walk / look.information.sqrt() >= look.z_bound
                })
            })
            .count();
        // Standard deviation 0.0011.
        assert!((stopped as f64 / f64::from(runs) - 0.05).abs() < 0.005, "{stopped}");
    }

    #[test]
    fn early_looks_close_together_are_still_exact() {
        let information = [0.1, 0.101, 0.9, 0.902, 1.0];
        let looks = group_sequential(&information, 0.05, AlphaSpending::Pocock).unwrap();
        assert!(looks.iter().all(|look| look.nominal_alpha > 0.0 && look.nominal_alpha < 0.05));
        assert!(looks.windows(2).all(|pair| pair[0].cumulative_alpha < pair[1].cumulative_alpha));
    }

    #[test]
    fn looks_must_rise() {
        for information in [&[][..], &[0.0], &[0.5, 0.5], &[0.5, 1.1], &[f64::NAN]] {
            assert!(group_sequential(information, 0.05, AlphaSpending::ObrienFleming).is_err());
        }
    }

    #[test]
    fn what_goes_badly_will_hardly_succeed() {
        assert!(conditional_power(-0.5, 0.5, 1.645, None).unwrap() < 0.01);
        assert!(conditional_power(2.5, 0.5, 1.645, None).unwrap() > 0.99);
        assert!(
            conditional_power(0.0, 0.5, 1.645, Some(3.0)).unwrap() > conditional_power(0.0, 0.5, 1.645, None).unwrap()
        );
        assert!(conditional_power(0.0, 1.0, 1.645, None).is_err());
    }
}
