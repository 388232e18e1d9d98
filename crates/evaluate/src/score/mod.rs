//! What an evaluator says of a case.

mod judged;
mod measured;
mod outputs;
mod scored;
mod texts;

use sluicegate_gate::{CaseKey, Missing, Outcome, Score};
use sluicegate_value::{Map, Value};

use crate::binding::{Reference, Side, lookup};

pub use judged::NotScored;
pub use outputs::Comparison;

/// What is known of one answer to one case.
#[derive(Clone, Copy, Debug)]
pub struct CaseFacts<'a> {
    /// The case.
    pub key: &'a CaseKey,
    /// The line of the data file, from 1, if there is one.
    pub line: Option<u64>,
    /// Which of the target's answers, from 0.
    pub repeat: u32,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// The columns of its row.
    pub data: &'a Map,
    /// The target's outputs; empty where it failed.
    pub outputs: &'a Map,
    /// What the target was run with, where that is known.
    pub run_inputs: Option<&'a Map>,
    /// The baseline's outputs for the same case.
    pub baseline: Option<&'a Map>,
    /// What running the target took.
    pub run: RunFacts,
    /// Scores of this answer that are known already, for evaluators that read them.
    pub scores: &'a [CaseScore],
}

/// What running the target for one case took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunFacts {
    /// Time, in milliseconds.
    pub latency_ms: Option<f64>,
    /// US dollars at list price; `None` if the price is not known.
    pub cost_usd: Option<f64>,
    /// Tokens that were sent.
    pub prompt_tokens: Option<u64>,
    /// Tokens that came back.
    pub completion_tokens: Option<u64>,
    /// Whether the answer came from a cache: it says nothing of latency then.
    pub cached: bool,
}

/// A score, with what belongs to it and decides nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseScore {
    /// The score.
    pub score: Score,
    /// Its parts (`precision`, `recall`), what is missing of a list, how a judge was asked.
    pub details: Map,
}

/// What a batch of a judge or an evaluation flow gave for a case.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Its outputs.
    pub outputs: &'a Map,
    /// Which of the readings of this answer, from 0.
    pub judge_repeat: u32,
    /// What it cost at list price, in US dollars.
    pub cost_usd: Option<f64>,
}

impl<'a> CaseFacts<'a> {
    /// What stands at a reference; `null` is something.
    pub(crate) fn at(&self, reference: &Reference) -> Option<&'a Value> {
        let map = match reference.side {
            Side::Data => self.data,
            Side::Target => self.outputs,
            Side::RunInputs => self.run_inputs?,
            Side::Baseline => self.baseline?,
        };
        lookup(map, &reference.path)
    }

    /// Why nothing that reads the target's answer has a score; `None` if it answered.
    pub(crate) fn unanswered(&self) -> Option<NotScored> {
        let (why, detail) = match self.outcome {
            Outcome::Answered => return None,
            Outcome::Error(message) | Outcome::FilterFailed(message) => (Missing::TargetFailed, message.clone()),
            Outcome::FilteredInput => (Missing::Filtered, "the question was filtered".to_owned()),
            Outcome::FilteredOutput => (Missing::Filtered, "the answer was filtered".to_owned()),
        };
        Some(NotScored { why, detail })
    }
}
