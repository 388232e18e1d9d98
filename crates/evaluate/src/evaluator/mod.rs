//! Evaluators: what there is, what each takes, and which scores it gives.

mod hash;
mod kinds;
pub mod registry;
mod scorer;

use std::fmt;
use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_gate::{Comparator, Metric, MetricName};
use sluicegate_source::Span;
use sluicegate_value::Map;

pub use hash::VERSION;
pub use registry::EvaluatorKind;
pub(crate) use scorer::*;

use crate::binding::{Family, GivenInput};
use crate::judge::JudgePrompt;

/// An evaluator of an evaluation file, read and checked.
pub struct Evaluator {
    /// Its name in the file; metrics are called by it.
    pub name: Arc<str>,
    /// What it is.
    pub kind: &'static EvaluatorKind,
    /// What it takes.
    pub inputs: Vec<InputSpec>,
    /// What of that the author gave.
    pub given: Vec<GivenInput>,
    /// Its options with their effective values, as one would write them.
    pub options: Map,
    /// The metrics that it gives, the main one first. A judge's hash is that of the prompt alone until a model is known:
    /// see [`Evaluator::metrics`].
    pub(crate) metrics: Vec<EvaluatorMetric>,
    /// When a score passes, if the author says so.
    pub threshold: Option<Comparator>,
    /// For which cases it says something: `where`.
    pub only: Option<Arc<Expression>>,
    /// How often each answer is judged.
    pub repeats: u32,
    /// Where its name is written.
    pub place: Span,
    pub(crate) scorer: Scorer,
    /// Texts of files that it rests on (schema, prompt), for its hash.
    pub(crate) contents: Vec<Arc<str>>,
}

/// Something that an evaluator takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputSpec {
    /// Its name.
    pub name: Arc<str>,
    /// What it is about, by which columns of other names are found; `None` if only its own name will do.
    pub family: Option<Family>,
    /// Whether there is no score without it.
    pub required: bool,
}

/// A metric, and what of an evaluator's result it is.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluatorMetric {
    /// The metric.
    pub metric: Metric,
    /// Of an evaluation flow, the output that is the score; `None` where there is only one thing that it can be.
    pub output: Option<Arc<str>>,
}

/// What has to be done for an evaluator's scores.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Nothing: [`crate::BoundEvaluator::score`] gives them.
    Pure,
    /// Texts to be made into vectors, see [`crate::BoundEvaluator::texts_to_embed`].
    Embed(ModelChoice),
    /// A prompt to be asked for each case, as a batch of it.
    Judge {
        /// The prompt.
        prompt: JudgePrompt,
        /// Whom to ask.
        model: ModelChoice,
    },
    /// An evaluation flow to be run for each case, as a batch of it.
    Flow {
        /// Its path from the project's root.
        flow: Arc<str>,
        /// Whom its nodes ask, where that is not the flow's own.
        model: ModelChoice,
    },
    /// A Python function to be called for each case: a batch of the flex flow that [`flex_flow`] writes.
    Python {
        /// `module:function`.
        call: Arc<str>,
        /// The folder of the module, from the project's root.
        folder: Arc<str>,
    },
}

/// Whom an evaluator asks; apart from what the target asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelChoice {
    /// The connection; `None` for the prompt's own or that of the config environment.
    pub connection: Option<Arc<str>>,
    /// The deployment or model; `None` likewise.
    pub deployment: Option<Arc<str>>,
}

/// The text of a `flow.flex.yaml` that calls a Python function.
#[must_use]
pub fn flex_flow(call: &str) -> String {
    format!("entry: {}\n", sluicegate_value::Value::from(call).to_json())
}

impl Evaluator {
    /// What has to be done for its scores.
    #[must_use]
    pub fn work(&self) -> Work {
        match &self.scorer {
            Scorer::Cosine { model } => Work::Embed(model.clone()),
            Scorer::Judge(judge) => Work::Judge { prompt: judge.prompt.clone(), model: judge.model.clone() },
            Scorer::Flow(flow) => match &flow.call {
                Some(call) => Work::Python { call: call.clone(), folder: flow.path.clone() },
                None => Work::Flow { flow: flow.path.clone(), model: flow.model.clone() },
            },
            _ => Work::Pure,
        }
    }

    /// The metrics that it gives. `model` is the deployment that its judge asks: with it, the judge's hash is that of
    /// model and prompt.
    #[must_use]
    pub fn metrics(&self, model: Option<&str>) -> Vec<Metric> {
        let judge_hash = self.is_judged().then(|| self.judge_hash(model));
        self.metrics.iter().map(|given| Metric { judge_hash: judge_hash.clone(), ..given.metric.clone() }).collect()
    }

    /// Its main metric's name.
    #[must_use]
    pub fn metric(&self) -> MetricName {
        self.metrics.first().map_or_else(|| MetricName::from(self.name.clone()), |given| given.metric.name.clone())
    }

    /// Whether a model gives the score.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        matches!(self.scorer, Scorer::Judge(_))
    }

    /// Whether it reads the scores of other evaluators, and so has to come after them.
    #[must_use]
    pub fn reads_scores(&self) -> bool {
        match &self.scorer {
            Scorer::Expression(expression) => expression.variables().iter().any(|(name, _)| &**name == "scores"),
            _ => false,
        }
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Evaluator")
            .field("name", &self.name)
            .field("kind", &self.kind.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
