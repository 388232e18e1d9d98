//! The same evaluation in several settings of a flow, side by side: plain data for tables and machines.

use serde::{Deserialize, Serialize};

use crate::statistics::{benjamini_hochberg, holm};
use crate::{Adjust, Costs, Latencies, MetricName, Verdict};

/// The format's name.
pub const SCHEMA: &str = "sluicegate.matrix";
/// The format's version; it grows as that of a receipt does.
pub const VERSION: [u32; 2] = [1, 0];

/// Cells of a matrix and how each compares with the reference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// [`SCHEMA`].
    pub schema: String,
    /// Major and minor version of the format.
    pub version: [u32; 2],
    /// The flow.
    pub flow: String,
    /// The config environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The name of the cell with which the others are compared.
    pub reference: String,
    /// The name of the cell whose verdict alone counts; `None` where every cell's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// The name of the cell that decided the exit code.
    pub decided_by: String,
    /// The chance of an error that all differences together may have.
    pub alpha: f64,
    /// How `alpha` is shared among them.
    pub adjust: Adjust,
    /// The cells that were measured, in the order of the matrix.
    pub cells: Vec<MatrixCell>,
    /// Cells that were not begun any more, because the budget was spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_measured: Vec<String>,
    /// Each other cell beside the reference.
    pub pairs: Vec<Pair>,
}

/// One setting of the flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MatrixCell {
    /// What it is called: its settings.
    pub name: String,
    /// Axis and setting, in the order of the matrix.
    pub settings: Vec<[String; 2]>,
    /// What it comes to by the gate's rules.
    pub verdict: Verdict,
    /// The exit code that belongs to it.
    pub exit_code: u8,
    /// One sentence: what decided.
    pub headline: String,
    /// Whether nothing had changed since its baseline, so that nothing was measured.
    #[serde(default)]
    pub unchanged: bool,
    /// Cases.
    pub cases: u64,
    /// Metrics over its cases.
    pub metrics: Vec<CellMetric>,
    /// What was spent on it.
    pub costs: Costs,
    /// What an answer costs on average at list price, in US dollars; `None` if a price is not known.
    #[serde(default)]
    pub usd_per_case: Option<f64>,
    /// How long answers took.
    pub latencies: Latencies,
    /// Its receipt, from the folder of the matrix.
    pub receipt: String,
    /// The receipt's decision hash.
    pub decision_hash: String,
}

/// A metric over the cases of a cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellMetric {
    /// The metric.
    pub metric: MetricName,
    /// How many cases have a score.
    pub n: u64,
    /// How many should have one and have none.
    pub missing: u64,
    /// The mean over cases.
    pub mean: Option<f64>,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// The lower end of the two-sided interval.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// With what both ends together hold.
    pub confidence: Option<f64>,
    /// How the interval was computed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
}

/// A cell beside the reference.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// The reference.
    pub reference: String,
    /// The other cell.
    pub other: String,
    /// Metric by metric.
    pub differences: Vec<Difference>,
}

/// How far a metric differs: other minus reference, in the metric's own units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The metric.
    pub metric: MetricName,
    /// Cases that have a score in both.
    pub n: u64,
    /// The reference's mean over them.
    pub reference: Option<f64>,
    /// The other's.
    pub other: Option<f64>,
    /// Cases in which the other is worse.
    pub worse: u64,
    /// Cases in which it is better.
    pub better: u64,
    /// The mean difference.
    pub estimate: Option<f64>,
    /// The lower end of the two-sided interval.
    pub lower: Option<f64>,
    /// The upper end.
    pub upper: Option<f64>,
    /// With what both ends together hold.
    pub confidence: f64,
    /// How the interval was computed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The seed of random draws, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How often luck alone would make two equal cells differ so much, in either direction.
    pub p_value: Option<f64>,
    /// The same, adjusted for the number of differences in the matrix.
    pub p_adjusted: Option<f64>,
    /// Why something is not known; empty if all is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Difference {
    /// Whether it is shown that the cells differ.
    #[must_use]
    pub fn is_shown(&self, alpha: f64) -> bool {
        self.p_adjusted.is_some_and(|p| p < alpha)
    }
}

impl Matrix {
    /// JSON on several lines, keys in a fixed order, with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Adjusts the p values of all differences of a matrix: as many as there are, that many chances there were.
pub fn adjust(pairs: &mut [Pair], adjust: Adjust, alpha: f64) {
    let tested = || pairs.iter().flat_map(|pair| &pair.differences).filter_map(|difference| difference.p_value);
    let raw: Vec<f64> = tested().collect();
    let adjusted = match adjust {
        Adjust::Holm => holm(&raw, alpha).map(|adjusted| adjusted.p_values),
        Adjust::Bh => benjamini_hochberg(&raw, alpha).map(|adjusted| adjusted.p_values),
        Adjust::None => Ok(raw),
    };
    let mut adjusted = adjusted.unwrap_or_default().into_iter();
    for difference in pairs.iter_mut().flat_map(|pair| &mut pair.differences) {
        if difference.p_value.is_some() {
            difference.p_adjusted = adjusted.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::differences;
    use crate::{Arm, Case, Metric, Score, ScoreValue};

    /// An arm in which each of `passes` is a case with a score of 1 or 0.
    fn arm(metric: &Metric, passes: impl IntoIterator<Item = bool>) -> Arm {
        let mut arm = Arm::default();
        for (at, pass) in passes.into_iter().enumerate() {
            let key = format!("case-{at}");
            arm.cases.push(Case::answered(key.as_str(), ""));
            let number = if pass { 1.0 } else { 0.0 };
            arm.scores.push(Score {
                case: key.as_str().into(),
                line: None,
                repeat: 0,
                judge_repeat: 0,
                evaluator: metric.name.to_string(),
                metric: metric.name.clone(),
                value: ScoreValue::Number(number),
                passed: None,
                reason: String::new(),
                cost_usd: None,
                evaluator_hash: String::new(),
            });
        }
        arm
    }

    #[test]
    fn a_difference_is_seen_in_either_direction() {
        let metric = Metric::boolean("exact_match");
        let (good, bad) = (arm(&metric, [true; 40]), arm(&metric, (0..40).map(|at| at % 2 == 0)));
        let metrics = [metric];
        let down = differences(&metrics, &good, &bad, 0.05, 7).remove(0);
        let up = differences(&metrics, &bad, &good, 0.05, 7).remove(0);
        assert_eq!((down.estimate, down.worse, down.better), (Some(-0.5), 20, 0));
        assert_eq!((up.estimate, up.worse, up.better), (Some(0.5), 0, 20));
        assert_eq!(down.p_value, up.p_value);
        assert!(down.p_value.is_some_and(|p| p < 1e-5), "{down:?}");
        assert!(down.upper.is_some_and(|upper| upper < 0.0) && up.lower.is_some_and(|lower| lower > 0.0));
        let same = differences(&metrics, &bad, &bad, 0.05, 7).remove(0);
        assert_eq!((same.estimate, same.p_value), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn where_less_is_better_the_sign_stays_the_metrics_own() {
        let metric = Metric { lower_is_better: true, ..Metric::boolean("toxic") };
        let (clean, dirty) = (arm(&metric, [false; 30]), arm(&metric, [true; 30]));
        let found = differences(&[metric], &clean, &dirty, 0.05, 1).remove(0);
        assert_eq!((found.estimate, found.worse, found.better), (Some(1.0), 30, 0));
        assert!(found.lower.is_some_and(|lower| lower > 0.5 && lower <= 1.0), "{found:?}");
    }

    #[test]
    fn more_comparisons_ask_for_more() {
        let pair = |p: f64| Pair {
            differences: vec![
                Difference { p_value: Some(p), ..Difference::default() },
                Difference { p_value: None, ..Difference::default() },
            ],
            ..Pair::default()
        };
        let mut pairs = [pair(0.03), pair(0.04), pair(0.2)];
        adjust(&mut pairs, Adjust::Holm, 0.05);
        let adjusted: Vec<_> = pairs.iter().map(|pair| pair.differences[0].p_adjusted).collect();
        assert_eq!(adjusted, [Some(0.09), Some(0.09), Some(0.2)]);
        assert!(!pairs[0].differences[0].is_shown(0.05) && pairs[0].differences[1].p_adjusted.is_none());
        adjust(&mut pairs, Adjust::None, 0.05);
        assert!(pairs[0].differences[0].is_shown(0.05));
    }
}
