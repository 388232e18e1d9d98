//! Where the spread of scores comes from: cases, repeats of the target, repeats of the judge.

use super::distributions::student_t_from_tail;
use super::{Sides, Undefined, check_at_least, check_finite, tail_of};

/// The variance of scores, split by its sources (nested analysis of variance, unbalanced designs included).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceSplit {
    /// The mean over all scores.
    pub estimate: f64,
    /// Between cases.
    pub between_cases: f64,
    /// Between repeats of the target on one case; `None` if no case was repeated. Then it is part of `between_cases`.
    pub target: Option<f64>,
    /// Between repeats of the judge on one answer; `None` if no answer was judged twice. Then it is part of `target`.
    pub judge: Option<f64>,
    /// The number of cases.
    pub cases: usize,
    /// The number of answers over all cases.
    pub answers: usize,
    /// The number of scores over all answers.
    pub scores: usize,
}

impl VarianceSplit {
    /// The standard error of the mean over this many cases, repeats of the target on each, and repeats of the judge on each
    /// of those.
    pub fn standard_error(&self, cases: usize, target_repeats: usize, judge_repeats: usize) -> f64 {
        let answers = cases as f64 * target_repeats as f64;
        let variance = self.between_cases / cases as f64
            + self.target.unwrap_or(0.0) / answers
            + self.judge.unwrap_or(0.0) / (answers * judge_repeats as f64);
        variance.sqrt()
    }

    /// The repeats of the target with which the one-sided t bound over `cases` is nearer than `gap` to the mean.
    ///
    /// # Errors
    ///
    /// There are fewer than two cases, the confidence is not between 0 and 1; [`Undefined::NeverSettled`] if more than
    /// `most` repeats would be needed: then only more cases help.
    pub fn repeats_to_settle(
        &self,
        cases: usize,
        gap: f64,
        confidence: f64,
        judge_repeats: usize,
        most: usize,
    ) -> Result<usize, Undefined> {
        let tail = tail_of(confidence, Sides::One)?;
        check_at_least("cases", 2, cases)?;
        let t = if tail < 0.5 { student_t_from_tail(tail, (cases - 1) as f64) } else { 0.0 };
        let judge_repeats = judge_repeats.max(1);
        (1..=most)
            .find(|repeats| t * self.standard_error(cases, *repeats, judge_repeats) < gap.abs())
            .ok_or(Undefined::NeverSettled)
    }
}

/// Splits the variance of `scores[case][answer][judgement]`. Cases, answers and judgements may be missing here and there.
///
/// Negative estimates, which small samples give, are cut off at 0.
///
/// # Errors
///
/// There are fewer than two cases with scores, or a score is not finite.
pub fn variance_split(scores: &[Vec<Vec<f64>>]) -> Result<VarianceSplit, Undefined> {
    let mut cases: Vec<Vec<&[f64]>> = scores
        .iter()
        .map(|answers| answers.iter().filter(|scores| !scores.is_empty()).map(Vec::as_slice).collect())
        .collect();
    cases.retain(|answers| !answers.is_empty());
    check_at_least("cases", 2, cases.len())?;
    cases.iter().flatten().try_for_each(|scores| check_finite(scores))?;

    let size_of = |answers: &[&[f64]]| answers.iter().map(|scores| scores.len()).sum::<usize>() as f64;
    let sum_of = |answers: &[&[f64]]| answers.iter().copied().flatten().sum::<f64>();
    let total = cases.iter().map(|answers| size_of(answers)).sum::<f64>();
    let answer_count = cases.iter().map(Vec::len).sum::<usize>();
    let grand = cases.iter().map(|answers| sum_of(answers)).sum::<f64>() / total;

    let (mut between_cases, mut between_answers, mut within) = (0.0, 0.0, 0.0);
    // Sums that say how often each source enters each mean square (Searle, Linear Models).
    let (mut case_squares, mut answer_squares, mut answer_squares_by_case) = (0.0, 0.0, 0.0);
    for answers in &cases {
        let size = size_of(answers);
        let case_mean = sum_of(answers) / size;
        between_cases += size * (case_mean - grand) * (case_mean - grand);
        case_squares += size * size;
        for judgements in answers {
            let count = judgements.len() as f64;
            let mean = judgements.iter().sum::<f64>() / count;
            between_answers += count * (mean - case_mean) * (mean - case_mean);
            within += judgements.iter().map(|score| (score - mean) * (score - mean)).sum::<f64>();
            answer_squares += count * count;
            answer_squares_by_case += count * count / size;
        }
    }
    let case_df = (cases.len() - 1) as f64;
    let answer_df = (answer_count - cases.len()) as f64;
    let within_df = total - answer_count as f64;

    let judge = (within_df > 0.0).then(|| within / within_df);
    let target = (answer_df > 0.0).then(|| {
        let scores_per_answer = (total - answer_squares_by_case) / answer_df;
        ((between_answers / answer_df - judge.unwrap_or(0.0)) / scores_per_answer).max(0.0)
    });
    let answers_per_case = (answer_squares_by_case - answer_squares / total) / case_df;
    let scores_per_case = (total - case_squares / total) / case_df;
    let from_below = judge.unwrap_or(0.0) + answers_per_case * target.unwrap_or(0.0);
    Ok(VarianceSplit {
        estimate: grand,
        between_cases: ((between_cases / case_df - from_below) / scores_per_case).max(0.0),
        target,
        judge,
        cases: cases.len(),
        answers: answer_count,
        scores: total as usize,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Random, mean_with_error};

    /// Unbalanced on purpose: one to four answers, one to three judgements.
    fn drawn_scores(random: &mut Random, cases: usize) -> Vec<Vec<Vec<f64>>> {
        let mut scores = Vec::new();
        for _ in 0..cases {
            let case = random.normal() * 2.0;
            let mut answers = Vec::new();
            for _ in 0..1 + random.below(4) {
                let answer = case + random.normal();
                answers.push((0..1 + random.below(3)).map(|_| answer + random.normal() * 0.5).collect());
            }
            scores.push(answers);
        }
        scores
    }

    #[test]
    fn the_sources_are_told_apart() {
        let mut random = Random::from_seed(8);
        let splits: Vec<VarianceSplit> =
            (0..200).map(|_| variance_split(&drawn_scores(&mut random, 40)).unwrap()).collect();
        let average = |part: fn(&VarianceSplit) -> f64| splits.iter().map(part).sum::<f64>() / splits.len() as f64;
        // On average the estimates are right: 2², 1² and 0.5², within about three standard errors.
        let between_cases = average(|split| split.between_cases);
        assert!((between_cases - 4.0).abs() < 0.3, "{between_cases}");
        let target = average(|split| split.target.unwrap());
        assert!((target - 1.0).abs() < 0.06, "{target}");
        let judge = average(|split| split.judge.unwrap());
        assert!((judge - 0.25).abs() < 0.01, "{judge}");
    }

    #[test]
    fn a_balanced_design_gives_the_textbook_mean_squares() {
        let scores = vec![vec![vec![1.0, 3.0], vec![5.0, 7.0]], vec![vec![2.0, 2.0], vec![4.0, 8.0]]];
        let split = variance_split(&scores).unwrap();
        // Within: (2 + 2 + 0 + 8)/4 = 3. Between answers: 2·(2²+2²+2²+2²)/2 = 16, so (16 − 3)/2. Between cases: 0.
        assert_eq!((split.judge, split.target, split.between_cases), (Some(3.0), Some(6.5), 0.0));
    }

    #[test]
    fn without_repeats_only_cases_vary() {
        let values = [0.2, 0.9, 0.4, 0.6];
        let split = variance_split(&values.map(|value| vec![vec![value]])).unwrap();
        let plain = mean_with_error(&values).unwrap();
        assert_eq!((split.target, split.judge), (None, None));
        assert!((split.standard_error(4, 1, 1) - plain.standard_error.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn repeats_help_only_against_the_spread_of_repeats() {
        let split = VarianceSplit {
            estimate: 0.8,
            between_cases: 0.01,
            target: Some(0.09),
            judge: None,
            cases: 50,
            answers: 150,
            scores: 150,
        };
        assert_eq!(split.repeats_to_settle(50, 0.04, 0.95, 1, 10), Ok(5));
        assert_eq!(split.repeats_to_settle(50, 0.02, 0.95, 1, 10), Err(Undefined::NeverSettled));
    }

    #[test]
    fn one_case_cannot_be_split() {
        assert!(matches!(variance_split(&[vec![vec![1.0, 2.0]], vec![vec![]]]), Err(Undefined::TooFew { .. })));
        assert_eq!(variance_split(&[vec![vec![1.0]], vec![vec![f64::NAN]]]), Err(Undefined::NotFinite));
    }
}
