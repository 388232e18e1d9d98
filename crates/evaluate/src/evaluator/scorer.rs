//! Evaluators with their options compiled: what scores a case.

use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_value::Map;

use super::ModelChoice;
use crate::judge::{Expects, JudgePrompt};
use crate::text::json_path::JsonPath;
use crate::text::json_schema::JsonSchema;
use crate::text::matching::Pattern;
use crate::text::meteor::MeteorParameters;
use crate::text::numbers::Tolerance;
use crate::text::rouge::Rouge;
use crate::text::{Normalization, Tokenizer};

/// What scores a case.
#[derive(Debug)]
pub(crate) enum Scorer {
    /// Whether the two are the same; `None` for letter by letter, and lists without regard to case.
    ExactMatch {
        normalization: Option<Normalization>,
        ordered: bool,
    },
    PartialMatch {
        normalization: Option<Normalization>,
    },
    ListMatch {
        normalization: Normalization,
        ordered: bool,
        measure: ListMeasure,
    },
    Contains {
        which: Parts,
        normalization: Normalization,
    },
    StartsWith {
        normalization: Normalization,
    },
    EndsWith {
        normalization: Normalization,
    },
    /// `None` if the pattern comes from the data.
    Regex {
        pattern: Option<Pattern>,
    },
    ValidJson,
    JsonEqual,
    JsonSchema {
        schema: JsonSchema,
    },
    JsonPath {
        path: JsonPath,
        normalization: Normalization,
        tolerance: Tolerance,
    },
    Numeric {
        tolerance: Tolerance,
    },
    F1 {
        measure: Share,
    },
    Bleu {
        tokenizer: Tokenizer,
    },
    Gleu {
        tokenizer: Tokenizer,
    },
    Rouge {
        kind: Rouge,
        measure: Share,
        use_stemmer: bool,
    },
    Meteor {
        tokenizer: Tokenizer,
        parameters: MeteorParameters,
    },
    SacreBleu,
    Levenshtein {
        normalization: Normalization,
    },
    LevenshteinRatio {
        normalization: Normalization,
    },
    IndelRatio {
        normalization: Normalization,
    },
    Cosine {
        model: ModelChoice,
    },
    Latency,
    Cost,
    Tokens {
        which: Tokens,
    },
    Expression(Arc<Expression>),
    Judge(JudgeScorer),
    Flow(FlowScorer),
}

/// What of a list is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListMeasure {
    Exact,
    Partial,
    Share(Share),
}

/// What of an overlap is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    F1,
    Precision,
    Recall,
}

/// Which of the parts must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    One,
    Any,
    All,
    None,
}

/// Which tokens are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    Prompt,
    Completion,
    Total,
}

/// A prompt that is asked for the score.
#[derive(Debug)]
pub(crate) struct JudgeScorer {
    pub(crate) prompt: JudgePrompt,
    pub(crate) model: ModelChoice,
    pub(crate) expects: Expects,
    /// Inputs of the prompt that are the same for each case: criteria, the scale.
    pub(crate) constants: Map,
    /// What the prompt takes.
    pub(crate) declared: Vec<Arc<str>>,
    /// The key of a JSON reply that holds the score, where the author names one.
    pub(crate) score_key: Option<Arc<str>>,
    /// Whether the score is the mean over the probabilities of its tokens.
    pub(crate) weighted: bool,
}

/// A flow or a function whose outputs are the scores.
#[derive(Debug)]
pub(crate) struct FlowScorer {
    /// The flow, or the folder of the function's module.
    pub(crate) path: Arc<str>,
    /// The function.
    pub(crate) call: Option<Arc<str>>,
    pub(crate) model: ModelChoice,
}

impl Scorer {
    /// Whether it reads what running the target took, or its outputs by an expression.
    pub(crate) fn reads_run(&self) -> bool {
        match self {
            Self::Latency | Self::Cost | Self::Tokens { .. } => true,
            Self::Expression(expression) => {
                expression.variables().iter().any(|(name, _)| matches!(&**name, "target" | "run"))
            }
            _ => false,
        }
    }
}
