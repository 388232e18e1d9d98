//! What evaluators said of a case, as a span in the case's own trace with an event for each score.

use std::sync::Arc;
use std::time::SystemTime;

use jiff::Timestamp;
use opentelemetry::trace::{Event as SpanEvent, SpanKind};
use sluicegate_events::{RunId, SpanRef};

use crate::attributes::{Attributes, Content, cut};
use crate::names;
use crate::open::OpenSpan;

/// What evaluators said of one answer to one case.
#[derive(Clone, Debug)]
pub struct CaseEvaluation<'a> {
    /// The span that tells it; its parent is that of the answer.
    pub span: SpanRef,
    /// The flow that answered.
    pub flow: &'a str,
    /// The batch that the answer is of.
    pub run: &'a RunId,
    /// The answer's line there, from 0.
    pub line: u64,
    /// Which of the answers to the case, from 0.
    pub repeat: u32,
    /// The evaluation.
    pub evaluation: &'a str,
    /// The case.
    pub case: &'a str,
    /// When it was scored.
    pub at: Timestamp,
    /// Its scores.
    pub results: Vec<EvaluationResult<'a>>,
}

/// One score, or why there is none.
#[derive(Clone, Debug)]
pub struct EvaluationResult<'a> {
    /// The metric.
    pub metric: &'a str,
    /// The score.
    pub score: Option<f64>,
    /// Whether it is good enough, where that is known.
    pub passed: Option<bool>,
    /// Why, in the evaluator's words, secrets taken out.
    pub explanation: String,
    /// A word for why there is no score.
    pub missing: Option<&'static str>,
    /// Which of the judge's readings, from 0.
    pub judge_repeat: u32,
}

impl CaseEvaluation<'_> {
    /// The span, which ends when it begins.
    pub(crate) fn open(&self, content: Content) -> OpenSpan {
        let mut attributes = Attributes::default();
        attributes.add(names::SPAN_KIND, "EVALUATOR");
        attributes.add(names::WORKFLOW_NAME, self.flow.to_owned());
        attributes.add(names::EVALUATION_ID, self.evaluation.to_owned());
        attributes.add(names::CASE_KEY, self.case.to_owned());
        attributes.add(names::RUN_ID, Arc::clone(&self.run.0));
        attributes.set_count(names::LINE, Some(self.line));
        if self.repeat != 0 {
            attributes.add(names::REPEAT, i64::from(self.repeat));
        }
        let name = format!("evaluate {}", self.flow);
        let mut open = OpenSpan::at(self.at, self.run.clone(), self.span, name, SpanKind::Internal, attributes);
        let at = SystemTime::from(self.at);
        open.events.extend(
            self.results
                .iter()
                .map(|result| SpanEvent::new(names::EVALUATION_RESULT, at, result.attributes(content).0, 0)),
        );
        open
    }
}

impl EvaluationResult<'_> {
    fn attributes(&self, content: Content) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.add(names::EVALUATION_NAME, self.metric.to_owned());
        attributes.add_some(names::EVALUATION_SCORE_VALUE, self.score);
        let label = self.passed.map(|passed| if passed { "pass" } else { "fail" });
        attributes.add_some(names::EVALUATION_SCORE_LABEL, label);
        if content.capture && !self.explanation.is_empty() {
            attributes.add(names::EVALUATION_EXPLANATION, cut(&self.explanation, content.limit));
        }
        attributes.add_some(names::ERROR_TYPE, self.missing);
        if self.judge_repeat != 0 {
            attributes.add(names::JUDGE_REPEAT, i64::from(self.judge_repeat));
        }
        attributes
    }
}
