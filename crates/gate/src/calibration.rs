//! How a judge agrees with people: the record of a calibration, made from labelled cases.
//!
//! ```text
//! labels of people ┐
//! judge's readings ┴─► [Labelled] ──record(labels, options)──► Calibration ──► JSON file ──► Evidence::calibrations
//!                                                                 └─ CalibrationLimits::shortcomings: may its rules block?
//! ```
//!
//! Reading files and asking the judge is for whoever calls this. A judge should be asked at least twice for each label:
//! without a second reading its agreement with itself is not known, and a judge of which it is not known gives advice only.

use serde::{Deserialize, Serialize};

use crate::policy::CalibrationLimits;
use crate::statistics::{
    Interval, KappaWeights, RatingLevel, Resampling, Scale, Sides, Undefined, alpha_bounds, kappa_bounds, mean_bounds,
    wilson,
};

/// One labelled case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// What people say, on the metric's scale; yes is 1 and no 0. The mean, where several people labelled it.
    pub human: f64,
    /// What the judge says, once for each reading of the same answer; `None` for a reading that gave no score.
    pub judge: Vec<Option<f64>>,
}

/// How agreement beyond chance is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// Cohen's kappa: any disagreement counts alike.
    Kappa,
    /// Cohen's kappa, by the distance of the labels' ranks.
    LinearKappa,
    /// Cohen's kappa, by the square of that distance: what one wants of a scale of several steps.
    QuadraticKappa,
    /// Krippendorff's alpha by the squared difference: for scores that are no steps, such as 0.73.
    Alpha,
}

impl Agreement {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kappa => "kappa",
            Self::LinearKappa => "kappa, linear weights",
            Self::QuadraticKappa => "kappa, quadratic weights",
            Self::Alpha => "Krippendorff's alpha",
        }
    }
}

/// What a record is made by.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Hash of the judge (model and prompt): that of [`crate::Metric::judge_hash`], or rules will not know the record.
    pub judge_hash: String,
    /// The metric's scale. Biases are shares of it; `None` for that of the labels themselves.
    pub scale: Option<[f64; 2]>,
    /// How agreement is measured.
    pub agreement: Agreement,
    /// Confidence of each bound alone.
    pub confidence: f64,
    /// From what resamples are drawn.
    pub seed: u64,
    /// How often; `None` for as often as a fraction of a second allows.
    pub resamples: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            judge_hash: String::new(),
            scale: None,
            agreement: Agreement::QuadraticKappa,
            confidence: 0.95,
            seed: 0,
            resamples: None,
        }
    }
}

impl Options {
    /// What a policy's limits ask for: kappa with the weights that they name, quadratic ones if they name none.
    #[must_use]
    pub fn of(limits: &CalibrationLimits) -> Self {
        let agreement = match limits.kappa_weights.as_deref() {
            Some("none") => Agreement::Kappa,
            Some("linear") => Agreement::LinearKappa,
            _ => Agreement::QuadraticKappa,
        };
        Self { agreement, ..Self::default() }
    }
}

/// Why there is no record.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// No label has a reading with a score.
    #[error("none of {labels} labels has a score of the judge")]
    NothingScored {
        /// How many labels there are.
        labels: usize,
    },
    /// A label or a reading is not a number on the scale.
    #[error("{value} is not on the scale from {lowest} to {highest}")]
    OutsideScale {
        /// What was found.
        value: f64,
        /// The least that may be.
        lowest: f64,
        /// The most that may be.
        highest: f64,
    },
    /// A label or a reading is not a finite number.
    #[error("a label or a score is not a finite number")]
    NotFinite,
}

/// How a judge agrees with people: the record of a calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Hash of the judge (model and prompt) that was calibrated.
    pub judge_hash: String,
    /// How many labelled cases it rests on: those of which the judge gave a score.
    pub n: u64,
    /// Labelled cases of which it gave none.
    #[serde(default, skip_serializing_if = "crate::score::is_zero_count")]
    pub unscored: u64,
    /// How agreement was measured; `None` in records of which it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_by: Option<Agreement>,
    /// Agreement beyond chance. `None` where it has no value, as when all labels are the same.
    pub kappa: Option<f64>,
    /// One-sided 95 % lower bound of `kappa`.
    pub kappa_lower: Option<f64>,
    /// One-sided 95 % upper bound of `kappa`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kappa_upper: Option<f64>,
    /// Share of cases in which judge and person agree outright.
    pub agreement: Option<f64>,
    /// Share of the label that people give most often: what a judge that never looks would reach.
    pub base_rate: Option<f64>,
    /// Mean of judge minus person, as a share of the scale.
    pub bias: Option<f64>,
    /// One-sided 95 % bounds of `bias`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_between: Option<[f64; 2]>,
    /// Share of cases in which the judge agrees with itself.
    pub self_agreement: Option<f64>,
    /// One-sided 95 % lower bound of `self_agreement`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_agreement_lower: Option<f64>,
    /// Cases that the judge read more than once.
    #[serde(default, skip_serializing_if = "crate::score::is_zero_count")]
    pub read_again: u64,
    /// How often people gave one label and the judge another; `None` where there are too many different ones to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// How old the record is, in days; `None` if it is not known. Filled in by whoever reads the record, not by [`record`].
    pub age_days: Option<f64>,
}

/// How often people gave one label and the judge another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// All labels that were given, ascending.
    pub labels: Vec<f64>,
    /// One row for each label of people, one column for each of the judge.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// With more labels than this there is no table.
    pub const MOST_LABELS: usize = 11;
}

/// Makes the record of a calibration. The same labels, options and seed give the same record.
///
/// The judge's first reading is what is compared with people; a case whose first reading has no score counts as unscored,
/// whatever came later, since that is what happens in an evaluation. Where people's labels are whole numbers, the judge's
/// readings are rounded to whole numbers for kappa, agreement and the table (a judge that weights by probability says 3.8),
/// not for the bias. A case agrees with itself if all its readings are the same then.
///
/// # Errors
/// No label has a score, or a number is not finite or not on the scale.
pub fn record(labels: &[Labelled], options: &Options) -> Result<Calibration, CalibrationError> {
    check_numbers(labels, options.scale)?;
    let scored: Vec<(f64, f64)> =
        labels.iter().filter_map(|label| Some((label.human, label.judge.first().copied().flatten()?))).collect();
    if scored.is_empty() {
        return Err(CalibrationError::NothingScored { labels: labels.len() });
    }
    let whole = scored.iter().all(|(human, _)| human.fract() == 0.0);
    let step = |value: f64| if whole { value.round() } else { value };
    let human: Vec<f64> = scored.iter().map(|(human, _)| *human).collect();
    let judge: Vec<f64> = scored.iter().map(|(_, judge)| step(*judge)).collect();
    let n = scored.len();
    let agreeing = human.iter().zip(&judge).filter(|(human, judge)| human == judge).count();
    let bounds = agreement_bounds(&human, &judge, options).ok();
    let bias = bias(&scored, options);
    let (same, read_again) = with_itself(labels, step);
    let with_itself = wilson(same, read_again, options.confidence, Sides::One).ok();
    Ok(Calibration {
        judge_hash: options.judge_hash.clone(),
        n: n as u64,
        unscored: (labels.len() - n) as u64,
        measured_by: Some(options.agreement),
        kappa: bounds.as_ref().map(|bounds| bounds.estimate),
        kappa_lower: bounds.as_ref().map(|bounds| bounds.lower),
        kappa_upper: bounds.as_ref().map(|bounds| bounds.upper),
        agreement: Some(agreeing as f64 / n as f64),
        base_rate: Some(most_frequent(&human) as f64 / n as f64),
        bias: bias.as_ref().map(|(bias, _)| *bias),
        bias_between: bias.and_then(|(_, between)| between),
        self_agreement: with_itself.as_ref().map(|share| share.estimate),
        self_agreement_lower: with_itself.map(|share| share.lower),
        read_again: read_again as u64,
        confusion: confusion(&human, &judge),
        age_days: None,
    })
}

fn check_numbers(labels: &[Labelled], scale: Option<[f64; 2]>) -> Result<(), CalibrationError> {
    for value in
        labels.iter().flat_map(|label| std::iter::once(label.human).chain(label.judge.iter().copied().flatten()))
    {
        if !value.is_finite() {
            return Err(CalibrationError::NotFinite);
        }
        if let Some([lowest, highest]) = scale.filter(|[lowest, highest]| !(*lowest..=*highest).contains(&value)) {
            return Err(CalibrationError::OutsideScale { value, lowest, highest });
        }
    }
    Ok(())
}

fn agreement_bounds(human: &[f64], judge: &[f64], options: &Options) -> Result<Interval, Undefined> {
    let resampling = match options.resamples {
        Some(resamples) => Resampling::new(resamples, options.seed),
        None => Resampling {
            resamples: Resampling::for_size(human.len(), options.seed).resamples.min(20_000),
            seed: options.seed,
        },
    };
    let weights = match options.agreement {
        Agreement::Kappa => KappaWeights::None,
        Agreement::LinearKappa => KappaWeights::Linear,
        Agreement::QuadraticKappa => KappaWeights::Quadratic,
        Agreement::Alpha => {
            return alpha_bounds(human, judge, RatingLevel::Interval, options.confidence, Sides::One, resampling);
        }
    };
    kappa_bounds(human, judge, weights, options.confidence, Sides::One, resampling)
}

/// Judge minus person as a share of the scale, with its bounds where there are any.
fn bias(scored: &[(f64, f64)], options: &Options) -> Option<(f64, Option<[f64; 2]>)> {
    let all = || scored.iter().flat_map(|(human, judge)| [*human, *judge]);
    let [lowest, highest] =
        options.scale.unwrap_or([all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max)]);
    let width = highest - lowest;
    if width <= 0.0 {
        // All labels and all readings are one number.
        return Some((0.0, None));
    }
    let errors: Vec<f64> = scored.iter().map(|(human, judge)| (judge - human) / width).collect();
    let bounds = mean_bounds(&errors, Some(Scale { lowest: -1.0, highest: 1.0 }), options.confidence, Sides::One);
    match bounds {
        Ok(bounds) => Some((bounds.estimate, Some([bounds.lower, bounds.upper]))),
        Err(_) => Some((errors.iter().sum::<f64>() / errors.len() as f64, None)),
    }
}

/// Of how many cases all readings are the same, of how many that were read more than once.
fn with_itself(labels: &[Labelled], step: impl Fn(f64) -> f64) -> (usize, usize) {
    let readings = |label: &Labelled| label.judge.iter().copied().flatten().map(&step).collect::<Vec<f64>>();
    let again: Vec<Vec<f64>> = labels.iter().map(readings).filter(|readings| readings.len() > 1).collect();
    let same = again.iter().filter(|readings| readings.windows(2).all(|pair| pair[0] == pair[1])).count();
    (same, again.len())
}

fn distinct<'v>(values: impl Iterator<Item = &'v f64>) -> Vec<f64> {
    let mut all: Vec<f64> = values.copied().collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    all
}

fn most_frequent(values: &[f64]) -> usize {
    let count = |label: &f64| values.iter().filter(|value| *value == label).count();
    distinct(values.iter()).iter().map(count).max().unwrap_or(0)
}

fn confusion(human: &[f64], judge: &[f64]) -> Option<Confusion> {
    let labels = distinct(human.iter().chain(judge));
    if labels.len() > Confusion::MOST_LABELS {
        return None;
    }
    let mut counts = vec![vec![0; labels.len()]; labels.len()];
    let place = |value: &f64| labels.partition_point(|label| label < value);
    for (human, judge) in human.iter().zip(judge) {
        *counts.get_mut(place(human))?.get_mut(place(judge))? += 1;
    }
    Some(Confusion { labels, counts })
}
