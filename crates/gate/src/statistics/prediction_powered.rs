//! Prediction-powered inference: a judge's scores on all cases, corrected by the cases that people labelled as well.
//!
//! Angelopoulos and others 2023; the weight on the judge is that of Angelopoulos, Duchi and Zrnic, "PPI++" (2024), which is
//! never worse than the labels alone.

use super::distributions::normal_quantile_inside;
use super::{Interval, Method, Sides, Undefined, check_at_least, check_finite, check_lengths, mean_of, tail_of};

/// How much the judge's scores on unlabelled cases count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JudgeWeight {
    /// Fully: the judge's mean minus its mean error on labelled cases.
    Full,
    /// As much as makes the estimate most precise.
    Tuned,
}

/// A prediction-powered mean.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionPowered {
    /// The corrected mean with normal bounds.
    pub interval: Interval,
    /// The weight on the judge, from 0 to 1.
    pub judge_weight: f64,
    /// The judge's mean error on labelled cases: judge minus human.
    pub judge_bias: f64,
    /// The number of labelled cases.
    pub labelled: usize,
    /// The number of cases with a judge's score only.
    pub unlabelled: usize,
}

/// The mean that human labels would have over all cases.
///
/// `judge_on_labelled` stands beside `human` case by case; `judge_on_unlabelled` are other cases.
///
/// # Errors
///
/// There are fewer than two labelled or unlabelled cases, the lengths differ, a score is not finite, the confidence is not
/// between 0 and 1, or nothing varies at all ([`Undefined::NoSpread`]).
pub fn prediction_powered_mean(
    human: &[f64],
    judge_on_labelled: &[f64],
    judge_on_unlabelled: &[f64],
    weight: JudgeWeight,
    confidence: f64,
    sides: Sides,
) -> Result<PredictionPowered, Undefined> {
    let tail = tail_of(confidence, sides)?;
    check_lengths(human.len(), judge_on_labelled.len())?;
    check_at_least("labelled cases", 2, human.len())?;
    check_at_least("unlabelled cases", 2, judge_on_unlabelled.len())?;
    [human, judge_on_labelled, judge_on_unlabelled].into_iter().try_for_each(check_finite)?;
    let (labelled, unlabelled) = (human.len() as f64, judge_on_unlabelled.len() as f64);
    let judge_weight = match weight {
        JudgeWeight::Full => 1.0,
        JudgeWeight::Tuned => {
            let all: Vec<f64> = judge_on_labelled.iter().chain(judge_on_unlabelled).copied().collect();
            let spread = covariance(&all, &all) * (1.0 + labelled / unlabelled);
            if spread > 0.0 { (covariance(human, judge_on_labelled) / spread).clamp(0.0, 1.0) } else { 0.0 }
        }
    };
    let rectified: Vec<f64> =
        human.iter().zip(judge_on_labelled).map(|(label, score)| label - judge_weight * score).collect();
    let estimate = judge_weight * mean_of(judge_on_unlabelled) + mean_of(&rectified);
    let variance = judge_weight * judge_weight * covariance(judge_on_unlabelled, judge_on_unlabelled) / unlabelled
        + covariance(&rectified, &rectified) / labelled;
    if variance <= 0.0 {
        return Err(Undefined::NoSpread);
    }
    let error = variance.sqrt();
    let half = -normal_quantile_inside(tail) * error;
    let interval = Interval {
        estimate,
        lower: estimate - half,
        upper: estimate + half,
        standard_error: Some(error),
        n: human.len() + judge_on_unlabelled.len(),
        confidence,
        sides,
        method: Method::PredictionPowered,
    };
    let judge_bias = mean_of(judge_on_labelled) - mean_of(human);
    let (labelled, unlabelled) = (human.len(), judge_on_unlabelled.len());
    Ok(PredictionPowered { interval, judge_weight, judge_bias, labelled, unlabelled })
}

fn covariance(x: &[f64], y: &[f64]) -> f64 {
    let (mean_x, mean_y) = (mean_of(x), mean_of(y));
    let total: f64 = x.iter().zip(y).map(|(one, other)| (one - mean_x) * (other - mean_y)).sum();
    total / (x.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Random;

    /// Humans pass 70 %; the judge says pass more often, by this chance on what failed.
    fn cases(random: &mut Random, n: usize, kindness: f64) -> (Vec<f64>, Vec<f64>) {
        (0..n)
            .map(|_| {
                let human = f64::from(u8::from(random.unit() < 0.7));
                let judge = if random.unit() < kindness { 1.0 } else { human };
                (human, judge)
            })
            .unzip()
    }

    #[test]
    fn a_kind_judge_is_corrected_and_the_truth_covered() {
        let mut random = Random::from_seed(31);
        let runs = 300;
        let (mut covered, mut narrower) = (0, 0);
        for _ in 0..runs {
            let (human, judge) = cases(&mut random, 80, 0.2);
            let (_, others) = cases(&mut random, 800, 0.2);
            let found = prediction_powered_mean(&human, &judge, &others, JudgeWeight::Tuned, 0.9, Sides::Two).unwrap();
            assert!(found.judge_bias >= 0.0 && (0.0..=1.0).contains(&found.judge_weight));
            covered += usize::from(found.interval.lower <= 0.7 && 0.7 <= found.interval.upper);
            let alone = (covariance(&human, &human) / 80.0).sqrt();
            narrower += usize::from(found.interval.standard_error.unwrap() < alone);
        }
        assert!(covered as f64 / f64::from(runs) > 0.85, "{covered}");
        assert_eq!(narrower, runs as usize);
    }

    #[test]
    fn full_weight_is_the_judges_mean_less_its_error() {
        let found = prediction_powered_mean(
            &[1.0, 0.0, 1.0, 0.0],
            &[1.0, 1.0, 1.0, 0.0],
            &[1.0, 1.0, 0.0, 1.0],
            JudgeWeight::Full,
            0.95,
            Sides::One,
        )
        .unwrap();
        assert_eq!((found.interval.estimate, found.judge_bias), (0.5, 0.25));
    }

    #[test]
    fn too_little_to_correct_by_is_refused() {
        let found = prediction_powered_mean(&[1.0], &[1.0], &[1.0, 0.0], JudgeWeight::Full, 0.95, Sides::One);
        assert_eq!(found, Err(Undefined::TooFew { what: "labelled cases", needed: 2, found: 1 }));
        let found = prediction_powered_mean(&[1.0; 3], &[1.0; 3], &[1.0; 3], JudgeWeight::Tuned, 0.95, Sides::One);
        assert_eq!(found, Err(Undefined::NoSpread));
    }
}
