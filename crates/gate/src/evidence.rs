//! What a decision is made from: everything that was measured, as plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::score::is_zero;
use crate::{Calibration, CaseKey, Metric, MetricName, Missing, Score, ScoreValue};

/// Everything that was measured, for both arms of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The metrics that the scores are scores of.
    pub metrics: Vec<Metric>,
    /// What is judged.
    pub candidate: Arm,
    /// What it is compared with, on the cases that both have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Arm>,
    /// For every `where` expression of the policy the cases for which it holds; whoever can run expressions fills this.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selections: BTreeMap<String, Vec<CaseKey>>,
    /// What is known of the judges, by metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calibrations: BTreeMap<MetricName, Calibration>,
    /// Cases that were measured ahead of their turn, because they are critical: rules on single cases count them, means
    /// do not, since they are no random sample. Only where there are several looks, and then until their turn has come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<CaseKey>,
    /// Why measuring ended before all cases were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// One flow in one state over the cases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The cases, once for each repeat, in the order of the data.
    pub cases: Vec<Case>,
    /// Their scores, in any order.
    pub scores: Vec<Score>,
}

/// One answer of the target to one line of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The case.
    pub key: CaseKey,
    /// The line of the data file, from 1, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Which of the target's answers to the case, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// Cases of one cluster (from one article, say) are not independent of one another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// What was asked, as a person would read it; may be shortened ([`shortened`]).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// What the target gave, as a person would read it; may be shortened ([`shortened`]). Written by a model: hostile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// What the answer costs at list price, in US dollars; `None` if the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// How long the answer took, in milliseconds; `None` if it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Whether the answer came from a cache: such a case says nothing of latency, and was not billed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// The trace in which it can be looked at; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
}

/// What became of a case. A content filter's decision is a result, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target answered.
    Answered,
    /// The target failed, with what it said.
    Error(String),
    /// A content filter refused the question.
    FilteredInput,
    /// A content filter kept the answer back.
    FilteredOutput,
    /// The content filter itself failed, with what it said.
    FilterFailed(String),
}

/// Why measuring ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// The money or the time that the evaluation may take was spent.
    Budget,
    /// Somebody stopped it.
    Interrupted,
    /// A sequential look gave a decision before all cases were measured.
    Decided,
}

impl Evidence {
    /// As a receipt keeps it: with the beginnings of long texts only.
    pub(crate) fn shortened(mut self) -> Self {
        let cut = |text: &mut String| {
            // No text has more characters than bytes.
            if text.len() > KEPT_OUTPUT {
                *text = shortened(text, KEPT_OUTPUT);
            }
        };
        for arm in std::iter::once(&mut self.candidate).chain(&mut self.baseline) {
            for case in &mut arm.cases {
                cut(&mut case.input);
                cut(&mut case.output);
            }
            arm.scores.iter_mut().for_each(|score| cut(&mut score.reason));
        }
        self
    }

    /// Makes scores that are not finite numbers into missing ones, which they count as anyway.
    pub(crate) fn without_what_json_lacks(mut self) -> Self {
        let arms = std::iter::once(&mut self.candidate).chain(&mut self.baseline);
        for score in arms.flat_map(|arm| &mut arm.scores) {
            if let ScoreValue::Number(number) = score.value
                && !number.is_finite()
            {
                score.value = ScoreValue::Missing { why: Missing::Unscored, detail: format!("the score was {number}") };
            }
        }
        self
    }
}

impl Outcome {
    /// Whether a content filter kept something back.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        matches!(self, Self::FilteredInput | Self::FilteredOutput)
    }

    /// Whether something failed that has nothing to do with quality.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_) | Self::FilterFailed(_))
    }
}

impl Case {
    /// A case that was answered, with nothing else known of it.
    pub fn answered(key: impl Into<CaseKey>, output: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            line: None,
            repeat: 0,
            cluster: None,
            outcome: Outcome::Answered,
            input: String::new(),
            output: output.into(),
            cost_usd: None,
            latency_ms: None,
            cached: false,
            trace_id: String::new(),
        }
    }
}

/// How many characters of an output a receipt keeps.
pub const KEPT_OUTPUT: usize = 4_000;

/// The beginning of a text, with a note of how long the whole is; the text itself if it is short enough, or was shortened
/// so before: what a receipt keeps is judged again as it is.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) if is_note(&text[end..], limit) => text.to_owned(),
        Some((end, _)) => {
            let whole = text[end..].chars().count() + limit;
            format!("{} … [shortened: {limit} of {whole} characters]", &text[..end])
        }
    }
}

fn is_note(rest: &str, limit: usize) -> bool {
    let whole = rest
        .strip_prefix(&format!(" … [shortened: {limit} of "))
        .and_then(|rest| rest.strip_suffix(" characters]"))
        .filter(|digits| (1..20).contains(&digits.len()));
    whole.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn what_was_shortened_is_not_shortened_again() {
        let once = shortened("ééééé", 3);
        assert_eq!(once, "ééé … [shortened: 3 of 5 characters]");
        assert_eq!(shortened(&once, 3), once);
        assert!(shortened(&once, 2).starts_with("éé … [shortened: 2 of "));
    }
}
