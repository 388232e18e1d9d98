//! Scores by case.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Arm, Case, CaseKey, Comparator, MetricName, Missing, Score, ScoreValue};

/// One arm, by case.
pub(crate) struct Table<'a> {
    order: Vec<&'a CaseKey>,
    rows: BTreeMap<&'a CaseKey, Row<'a>>,
}

/// One case: its answers, and their scores.
pub(crate) struct Row<'a> {
    pub(crate) answers: Vec<&'a Case>,
    scores: BTreeMap<&'a MetricName, Vec<&'a Score>>,
}

impl<'a> Table<'a> {
    /// What was measured as planned.
    pub(crate) fn of(arm: &'a Arm) -> Self {
        Self::of_answers(arm, |case| !case.confirming)
    }

    /// The same, with the answers to cases that were run again because they fell.
    pub(super) fn with_confirming(arm: &'a Arm) -> Self {
        Self::of_answers(arm, |_| true)
    }

    fn of_answers(arm: &'a Arm, counts: impl Fn(&Case) -> bool) -> Self {
        let left_out: BTreeSet<(&CaseKey, u32)> =
            arm.cases.iter().filter(|case| !counts(case)).map(|case| (&case.key, case.repeat)).collect();
        let mut order = Vec::new();
        let mut rows: BTreeMap<&CaseKey, Row<'_>> = BTreeMap::new();
        for case in arm.cases.iter().filter(|case| counts(case)) {
            let row = rows.entry(&case.key).or_insert_with(|| {
                order.push(&case.key);
                Row { answers: Vec::new(), scores: BTreeMap::new() }
            });
            row.answers.push(case);
        }
        for score in arm.scores.iter().filter(|score| !left_out.contains(&(&score.case, score.repeat))) {
            // A score of no case is nobody's.
            if let Some(row) = rows.get_mut(&score.case) {
                row.scores.entry(&score.metric).or_default().push(score);
            }
        }
        // Answers come in the order in which they were finished, which is nobody's decision.
        for row in rows.values_mut() {
            row.answers.sort_by_key(|answer| answer.repeat);
            row.scores.values_mut().for_each(|scores| scores.sort_by_key(|score| (score.repeat, score.judge_repeat)));
        }
        order.sort_by_key(|key| (rows.get(*key).and_then(Row::line).unwrap_or(u64::MAX), *key));
        Self { order, rows }
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'a CaseKey> + '_ {
        self.order.iter().copied()
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&'a CaseKey, &Row<'a>)> {
        self.order.iter().filter_map(|key| Some((*key, self.rows.get(*key)?)))
    }

    pub(crate) fn row(&self, key: &CaseKey) -> Option<&Row<'a>> {
        self.rows.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn has_clusters(&self) -> bool {
        self.rows.values().any(|row| row.cluster().is_some())
    }
}

impl<'a> Row<'a> {
    pub(crate) fn line(&self) -> Option<u64> {
        self.answers.first().and_then(|answer| answer.line)
    }

    pub(crate) fn cluster(&self) -> Option<&'a str> {
        self.answers.iter().find_map(|answer| answer.cluster.as_deref())
    }

    pub(crate) fn scores(&self, metric: &MetricName) -> &[&'a Score] {
        self.scores.get(metric).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn all_scores(&self) -> impl Iterator<Item = &'a Score> + '_ {
        self.scores.values().flatten().copied()
    }

    /// The scores of a metric, by answer.
    pub(crate) fn by_answer(&self, metric: &MetricName) -> Vec<Vec<f64>> {
        let mut by_answer: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for score in self.scores(metric) {
            if let Some(number) = score.value.number() {
                by_answer.entry(score.repeat).or_default().push(number);
            }
        }
        by_answer.into_values().collect()
    }

    /// The mean over answers of the mean over the judge's readings of each.
    pub(crate) fn mean(&self, metric: &MetricName) -> Option<f64> {
        let answers = self.by_answer(metric);
        let means: Vec<f64> = answers.iter().filter_map(|readings| mean(readings)).collect();
        mean(&means)
    }

    /// Whether the metric says nothing of this case by its nature.
    pub(crate) fn is_not_applicable(&self, metric: &MetricName) -> bool {
        let scores = self.scores(metric);
        let not_applicable =
            |score: &&Score| matches!(score.value, ScoreValue::Missing { why: Missing::NotApplicable, .. });
        !scores.is_empty() && scores.iter().all(not_applicable)
    }

    pub(crate) fn is_filtered(&self) -> bool {
        self.answers.iter().all(|answer| answer.outcome.is_filtered())
    }

    pub(crate) fn is_answered(&self) -> bool {
        self.answers.iter().any(|answer| !answer.outcome.is_filtered() && !answer.outcome.is_error())
    }

    /// How many answers pass, of how many of which that is known. An answer passes if every score of it passes.
    pub(crate) fn passed(&self, metric: Option<&MetricName>, passes: impl Fn(&Score) -> Option<bool>) -> [u32; 2] {
        let mut by_answer: BTreeMap<u32, bool> = BTreeMap::new();
        let scores = self.scores.iter().filter(|(name, _)| metric.is_none_or(|metric| metric == **name));
        for score in scores.flat_map(|(_, scores)| scores) {
            if let Some(passed) = passes(score) {
                by_answer.entry(score.repeat).and_modify(|all| *all &= passed).or_insert(passed);
            }
        }
        [by_answer.values().filter(|passed| **passed).count() as u32, by_answer.len() as u32]
    }

    pub(crate) fn mean_cost(&self) -> Option<f64> {
        let costs: Option<Vec<f64>> =
            self.answers.iter().filter(|answer| !answer.outcome.is_error()).map(|answer| answer.cost_usd).collect();
        costs.and_then(|costs| mean(&costs))
    }

    /// The mean time of answers that did not come from a cache.
    pub(crate) fn latency(&self) -> Option<f64> {
        let times: Vec<f64> = self
            .answers
            .iter()
            .filter(|answer| !answer.cached && !answer.outcome.is_error())
            .filter_map(|answer| answer.latency_ms)
            .collect();
        mean(&times)
    }
}

/// Whether a score passes: by a comparator if there is one, else by the evaluator's own word, else by `otherwise`.
pub(crate) fn passes(score: &Score, is: Option<Comparator>, otherwise: Option<Comparator>) -> Option<bool> {
    let number = score.value.number()?;
    if let Some(is) = is {
        return Some(is.holds(number));
    }
    if score.passed.is_some() {
        return score.passed;
    }
    match score.value {
        ScoreValue::Bool(yes) => Some(yes),
        _ => otherwise.map(|is| is.holds(number)),
    }
}

/// Whether all readings of a case are the same. To ask again what always gives the same answer tells nothing more: such a
/// case is one draw, or repeats would make evidence of nothing.
pub(crate) fn says_one_thing(answers: &[Vec<f64>]) -> bool {
    let mut readings = answers.iter().flatten();
    readings.next().is_none_or(|first| readings.all(|next| next == first))
}

pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
