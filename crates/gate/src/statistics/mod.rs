//! Intervals, tests and agreement, by exact definitions.
//!
//! Three promises hold for every function here:
//!
//! - **No NaN comes out.** What has no value is an [`Undefined`] that says why; what is optional is an `Option`.
//! - **No false certainty.** Where every observation is equal, a standard error of 0 is never turned into an interval of
//!   width 0 by the functions that rules are built on ([`mean_bounds`], [`paired_bounds`], [`clustered_bounds`]): they
//!   bound the share of cases that could have differed instead.
//! - **The same everywhere.** Random draws come from a seed, and elementary functions from `libm` instead of the
//!   platform's, so that a receipt made on one machine can be recomputed to the last bit on another.

mod agreement;
mod anytime_valid;
mod bootstrap;
mod correlation;
mod distributions;
mod group_sequential;
mod mcnemar;
mod mean;
mod multiplicity;
mod paired_share;
mod planning;
mod prediction_powered;
mod quantile;
mod random;
mod ratio;
mod repeats;
mod share;
mod sign_flip;
mod signed_rank;

pub use agreement::*;
pub use anytime_valid::*;
pub use bootstrap::*;
pub use correlation::*;
pub use distributions::*;
pub use group_sequential::*;
pub use mcnemar::*;
pub use mean::*;
pub use multiplicity::*;
pub use paired_share::*;
pub use planning::*;
pub use prediction_powered::*;
pub use quantile::*;
pub use random::*;
pub use ratio::*;
pub use repeats::*;
pub use share::*;
pub use sign_flip::*;
pub use signed_rank::*;

use std::fmt;

/// Why a statistic has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// There are not enough observations.
    #[error("needs at least {needed} {what}, found {found}")]
    TooFew {
        /// What is counted: `values`, `pairs`, `clusters`.
        what: &'static str,
        /// The least number that gives a value.
        needed: usize,
        /// The number that there is.
        found: usize,
    },
    /// Two inputs that belong together differ in length.
    #[error("{left} values stand against {right}")]
    LengthsDiffer {
        /// Length of the first input.
        left: usize,
        /// Length of the second input.
        right: usize,
    },
    /// An input is NaN or infinite.
    #[error("a value is not a finite number")]
    NotFinite,
    /// All values are equal, so that there is nothing to scale by.
    #[error("all values are equal")]
    NoSpread,
    /// An argument lies outside of its range.
    #[error("`{name}` is out of range")]
    OutOfRange {
        /// The argument.
        name: &'static str,
    },
    /// The estimate lies exactly on the limit, or the search came to its end: more of the same does not decide.
    #[error("no number of cases settles it")]
    NeverSettled,
}

/// How the ends of an interval share the allowed error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sides {
    /// Each end alone holds with the stated confidence; both together with less. What rules compare with a limit.
    One,
    /// Both ends together hold with the stated confidence. What people read.
    Two,
}

/// How a number was computed; its text stands in receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Wilson's score interval of a share.
    Wilson,
    /// Clopper and Pearson's exact interval of a share.
    ClopperPearson,
    /// Tango's score interval of a difference of paired shares.
    Tango,
    /// Student's t on independent values.
    StudentT,
    /// Student's t with the cluster-robust standard error and one degree of freedom fewer than clusters.
    ClusterRobustT,
    /// The normal distribution.
    Normal,
    /// The bound on the share of cases that could differ, when none of those seen does.
    ExactDiscordantShare,
    /// Percentiles of the bootstrap distribution.
    BootstrapPercentile,
    /// Bias-corrected and accelerated percentiles of the bootstrap distribution.
    BootstrapBca,
    /// Every combination of signs.
    ExactSignFlip,
    /// Signs drawn at random.
    SampledSignFlip,
    /// A confidence sequence by betting: holds at every look.
    Betting,
    /// Predictions on all cases, corrected by the cases with labels.
    PredictionPowered,
}

impl Method {
    /// The name that stands in receipts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wilson => "wilson",
            Self::ClopperPearson => "clopper-pearson",
            Self::Tango => "tango",
            Self::StudentT => "student-t",
            Self::ClusterRobustT => "cluster-robust-t",
            Self::Normal => "normal",
            Self::ExactDiscordantShare => "exact-discordant-share",
            Self::BootstrapPercentile => "bootstrap-percentile",
            Self::BootstrapBca => "bootstrap-bca",
            Self::ExactSignFlip => "exact-sign-flip",
            Self::SampledSignFlip => "sampled-sign-flip",
            Self::Betting => "betting",
            Self::PredictionPowered => "prediction-powered",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// An estimate with its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// The point estimate.
    pub estimate: f64,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// The standard error, where the method has one.
    pub standard_error: Option<f64>,
    /// The number of values that went in.
    pub n: usize,
    /// The confidence of the bounds, as `sides` reads it.
    pub confidence: f64,
    /// Whether `confidence` is of each bound or of both together.
    pub sides: Sides,
    /// How the bounds were computed.
    pub method: Method,
}

/// The least and the greatest value that a score can have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The least possible score.
    pub lowest: f64,
    /// The greatest possible score.
    pub highest: f64,
}

impl Scale {
    /// Of booleans and shares: 0 to 1.
    pub const UNIT: Scale = Scale { lowest: 0.0, highest: 1.0 };

    /// The scale of differences of two scores on this scale.
    pub fn of_differences(self) -> Scale {
        Scale { lowest: self.lowest - self.highest, highest: self.highest - self.lowest }
    }

    fn check(self) -> Result<(), Undefined> {
        if self.lowest.is_finite() && self.highest.is_finite() && self.lowest < self.highest {
            Ok(())
        } else {
            Err(Undefined::OutOfRange { name: "scale" })
        }
    }
}

/// The error that one bound may have.
fn tail_of(confidence: f64, sides: Sides) -> Result<f64, Undefined> {
    if !(confidence > 0.0 && confidence < 1.0) {
        return Err(Undefined::OutOfRange { name: "confidence" });
    }
    Ok(match sides {
        Sides::One => 1.0 - confidence,
        Sides::Two => (1.0 - confidence) / 2.0,
    })
}

fn check_alpha(alpha: f64) -> Result<(), Undefined> {
    if alpha > 0.0 && alpha < 1.0 { Ok(()) } else { Err(Undefined::OutOfRange { name: "alpha" }) }
}

fn check_finite(values: &[f64]) -> Result<(), Undefined> {
    if values.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Undefined::NotFinite) }
}

fn check_lengths(left: usize, right: usize) -> Result<(), Undefined> {
    if left == right { Ok(()) } else { Err(Undefined::LengthsDiffer { left, right }) }
}

fn check_at_least(what: &'static str, needed: usize, found: usize) -> Result<(), Undefined> {
    if found >= needed { Ok(()) } else { Err(Undefined::TooFew { what, needed, found }) }
}

fn differences_of(baseline: &[f64], candidate: &[f64]) -> Result<Vec<f64>, Undefined> {
    check_lengths(baseline.len(), candidate.len())?;
    check_finite(baseline)?;
    check_finite(candidate)?;
    Ok(baseline.iter().zip(candidate).map(|(before, after)| after - before).collect())
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// The arithmetic mean; of values that are all the same, that value to the last bit.
fn mean_of(values: &[f64]) -> f64 {
    match values {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => *first,
        _ => sum(values) / values.len() as f64,
    }
}
