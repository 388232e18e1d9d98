//! Scores, and the metrics that they are scores of.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// What names a case in every run of it: a hash of the data columns, or of those that the evaluation names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaseKey(Arc<str>);

/// The name by which rules call a metric: `f1`, or `rouge.recall` where one evaluator gives several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricName(Arc<str>);

/// What an evaluator said of one answer to one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The case.
    pub case: CaseKey,
    /// The line of the data file, from 1, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Which of the target's answers to the case, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// Which of the judge's readings of that answer, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub judge_repeat: u32,
    /// The evaluator's name in the evaluation file.
    pub evaluator: String,
    /// What is scored.
    pub metric: MetricName,
    /// The score, or why there is none.
    pub value: ScoreValue,
    /// Whether the evaluator's own threshold is met, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<bool>,
    /// Why, in the evaluator's words; empty if it gave none. May be written by a model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the scoring itself cost, in US dollars at list price; `None` if it is free or its price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Hash of the evaluator's definition; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub evaluator_hash: String,
}

/// A score, or why there is none. Missing is missing: never zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreValue {
    /// A number on the metric's scale; one that is not finite counts as missing.
    Number(f64),
    /// Yes or no; counts as 1 or 0.
    Bool(bool),
    /// No score.
    Missing {
        /// The kind of reason.
        why: Missing,
        /// What was said about it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        detail: String,
    },
}

/// Why a score is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The target gave no answer.
    TargetFailed,
    /// A content filter kept the question or the answer back.
    Filtered,
    /// The evaluator failed.
    EvaluatorFailed,
    /// A judge replied, but not with a score.
    Unscored,
    /// The metric says nothing about this case (no reference, for example); such a case is not in the metric's sample.
    NotApplicable,
}

/// A number over cases, before there are any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name.
    pub name: MetricName,
    /// Lowest and highest possible score; `None` if it has no bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<[f64; 2]>,
    /// Whether each score is yes or no.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub boolean: bool,
    /// Whether less is better, as for a distance.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lower_is_better: bool,
    /// Hash of model and prompt of the judge that gives the score; `None` if no model does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_hash: Option<String>,
}

impl Metric {
    /// A metric whose scores are numbers from 0 to 1, more being better.
    pub fn share(name: impl Into<MetricName>) -> Self {
        Self { name: name.into(), scale: Some([0.0, 1.0]), boolean: false, lower_is_better: false, judge_hash: None }
    }

    /// A metric whose scores are yes or no.
    pub fn boolean(name: impl Into<MetricName>) -> Self {
        Self { boolean: true, ..Self::share(name) }
    }

    /// A metric on a scale of its own, more being better.
    pub fn on_scale(name: impl Into<MetricName>, lowest: f64, highest: f64) -> Self {
        Self { scale: Some([lowest, highest]), ..Self::share(name) }
    }

    /// How far the scale reaches; `None` if it has no bounds.
    #[must_use]
    pub fn width(&self) -> Option<f64> {
        self.scale.map(|[lowest, highest]| highest - lowest)
    }

    /// The worst score there can be; `None` if the scale has no bounds.
    #[must_use]
    pub fn worst(&self) -> Option<f64> {
        self.scale.map(|[lowest, highest]| if self.lower_is_better { highest } else { lowest })
    }

    /// The best score there can be; `None` if the scale has no bounds.
    #[must_use]
    pub fn best(&self) -> Option<f64> {
        self.scale.map(|[lowest, highest]| if self.lower_is_better { lowest } else { highest })
    }
}

impl ScoreValue {
    /// The score as a number, if there is one.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| number.is_finite()),
            Self::Bool(yes) => Some(if *yes { 1.0 } else { 0.0 }),
            Self::Missing { .. } => None,
        }
    }

    /// A missing score without further words.
    #[must_use]
    pub fn missing(why: Missing) -> Self {
        Self::Missing { why, detail: String::new() }
    }
}

impl CaseKey {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MetricName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for CaseKey {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl<T: Into<Arc<str>>> From<T> for MetricName {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for CaseKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(crate) fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(crate) fn is_zero_count(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_missing_and_never_zero() {
        assert_eq!(ScoreValue::Number(f64::NAN).number(), None);
        assert_eq!(ScoreValue::missing(Missing::Unscored).number(), None);
        assert_eq!(ScoreValue::Bool(false).number(), Some(0.0));
    }

    #[test]
    fn the_worst_of_a_distance_is_its_highest() {
        let distance = Metric { lower_is_better: true, ..Metric::on_scale("distance", 0.0, 9.0) };
        assert_eq!((distance.worst(), distance.best(), distance.width()), (Some(9.0), Some(0.0), Some(9.0)));
    }
}
