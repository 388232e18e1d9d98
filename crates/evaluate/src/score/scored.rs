//! From what a scorer found to scores of the evaluator's metrics.

use sluicegate_gate::{Metric, Missing, Score, ScoreValue};
use sluicegate_value::Map;

use super::{CaseFacts, CaseScore, NotScored, measured, texts};
use crate::binding::{BoundEvaluator, Family, Operand, Side};
use crate::evaluator::{Scorer, Work};

/// What a scorer found for one metric.
pub(super) struct Found {
    pub(super) value: ScoreValue,
    pub(super) reason: String,
    pub(super) details: Map,
}

impl Found {
    pub(super) fn yes(yes: bool, reason: impl Into<String>) -> Self {
        Self { value: ScoreValue::Bool(yes), reason: reason.into(), details: Map::new() }
    }

    pub(super) fn number(number: f64, reason: impl Into<String>) -> Self {
        Self { value: ScoreValue::Number(number), reason: reason.into(), details: Map::new() }
    }

    pub(super) fn with(mut self, details: Map) -> Self {
        self.details = details;
        self
    }
}

impl BoundEvaluator {
    /// Scores a case by an evaluator that needs nothing of the outside ([`Work::Pure`]): one score for each metric.
    ///
    /// An evaluator that does need something gives a missing score: its reply is for
    /// [`BoundEvaluator::score_outputs`], its vectors for [`BoundEvaluator::score_vectors`].
    #[must_use]
    pub fn score(&self, facts: &CaseFacts<'_>) -> Vec<CaseScore> {
        let found = self.ready(facts).and_then(|()| match &self.evaluator.scorer {
            Scorer::Latency | Scorer::Cost | Scorer::Tokens { .. } | Scorer::Expression(_) => measured::score(
                &self.evaluator.scorer,
                facts,
                self.evaluator.metrics.first().map(|given| &given.metric),
            ),
            _ if self.evaluator.work() != Work::Pure => Err(NotScored {
                why: Missing::EvaluatorFailed,
                detail: format!("`{}` has not been asked", self.evaluator.kind.name),
            }),
            _ => texts::score(self, facts),
        });
        match found {
            Ok(found) => self.one(facts, 0, None, found),
            Err(missing) => self.missing(facts, 0, &missing),
        }
    }

    /// Missing scores for all of its metrics: a line of its batch that failed, a case that it was not asked about.
    #[must_use]
    pub fn missing(&self, facts: &CaseFacts<'_>, judge_repeat: u32, missing: &NotScored) -> Vec<CaseScore> {
        let value = || ScoreValue::Missing { why: missing.why, detail: shortened(&missing.detail) };
        let scores = self.evaluator.metrics.iter().map(|given| {
            let found = Found { value: value(), reason: String::new(), details: Map::new() };
            self.case_score(facts, judge_repeat, None, &given.metric, found)
        });
        scores.collect()
    }

    /// The score of the main metric; there is no other.
    pub(super) fn one(
        &self,
        facts: &CaseFacts<'_>,
        judge_repeat: u32,
        cost_usd: Option<f64>,
        found: Found,
    ) -> Vec<CaseScore> {
        let metric = self.evaluator.metrics.first().map(|given| &given.metric);
        metric.map(|metric| self.case_score(facts, judge_repeat, cost_usd, metric, found)).into_iter().collect()
    }

    pub(super) fn case_score(
        &self,
        facts: &CaseFacts<'_>,
        judge_repeat: u32,
        cost_usd: Option<f64>,
        metric: &Metric,
        found: Found,
    ) -> CaseScore {
        let value = fitting(found.value, metric);
        let passed = self.passed(&value, metric);
        CaseScore {
            score: Score {
                case: facts.key.clone(),
                line: facts.line,
                repeat: facts.repeat,
                judge_repeat,
                evaluator: self.evaluator.name.to_string(),
                metric: metric.name.clone(),
                value,
                passed,
                reason: found.reason,
                cost_usd,
                evaluator_hash: self.hash().to_owned(),
            },
            details: found.details,
        }
    }

    /// Whether a score meets the author's threshold; a yes or no without one is its own word.
    fn passed(&self, value: &ScoreValue, metric: &Metric) -> Option<bool> {
        let number = value.number()?;
        match (&self.evaluator.threshold, value) {
            (Some(threshold), _) => Some(threshold.holds(number)),
            (None, ScoreValue::Bool(yes)) => Some(*yes != metric.lower_is_better),
            (None, _) => None,
        }
    }

    /// Whether the case can be scored: the evaluator says something about it, the target answered if that is read, and
    /// what is needed is there.
    pub(super) fn ready(&self, facts: &CaseFacts<'_>) -> Result<(), NotScored> {
        if let Some(only) = &self.evaluator.only {
            match only.eval(&measured::variables(only, facts)) {
                Ok(held) if held.is_truthy() => {}
                Ok(_) => return Err(NotScored::not_applicable("`where` does not hold")),
                // Where the target failed there is nothing to ask.
                Err(_) if facts.unanswered().is_some() => {}
                Err(error) => return Err(NotScored::failed(format!("`where` failed: {}", error.message))),
            }
        }
        if self.reads_target()
            && let Some(missing) = facts.unanswered()
        {
            return Err(missing);
        }
        for input in self.evaluator.inputs.iter().filter(|input| input.required) {
            let Some(operand) = self.operand(&input.name) else { continue };
            if self.value(&input.name, facts).is_some_and(|value| !value.is_null()) {
                continue;
            }
            let Operand::Reference(reference) = operand else { continue };
            return Err(match reference.side {
                // Nothing was answered; a row without a reference says nothing about the answer.
                side if side == Side::Target || input.family == Some(Family::Response) => {
                    NotScored { why: Missing::TargetFailed, detail: format!("`{reference}` is nothing") }
                }
                _ => NotScored::not_applicable(format!("`{reference}` is nothing")),
            });
        }
        Ok(())
    }
}

/// A value as its metric has it: 0 and 1 of a metric of yes and no are no and yes.
fn fitting(value: ScoreValue, metric: &Metric) -> ScoreValue {
    match value {
        ScoreValue::Number(number) if !number.is_finite() => {
            ScoreValue::Missing { why: Missing::Unscored, detail: format!("the score was {number}") }
        }
        ScoreValue::Number(number) if metric.boolean => match number {
            0.0 => ScoreValue::Bool(false),
            1.0 => ScoreValue::Bool(true),
            _ => ScoreValue::Missing {
                why: Missing::EvaluatorFailed,
                detail: format!("the score was {number}, which is neither yes nor no; say its `scale`"),
            },
        },
        ScoreValue::Number(number) => match metric.scale {
            Some([lowest, highest]) if !(lowest..=highest).contains(&number) => {
                // Rounding may carry a share over its end by a hair.
                let near = number.clamp(lowest, highest);
                if (number - near).abs() <= 1e-9 * (highest - lowest) {
                    ScoreValue::Number(near)
                } else {
                    let detail = format!("the score was {number}, which is not between {lowest} and {highest}");
                    ScoreValue::Missing { why: Missing::EvaluatorFailed, detail }
                }
            }
            _ => ScoreValue::Number(number),
        },
        other => other,
    }
}

fn shortened(text: &str) -> String {
    sluicegate_gate::shortened(text, 400)
}
