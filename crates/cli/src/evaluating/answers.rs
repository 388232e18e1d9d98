//! A batch read back: what became of each line, and what it took.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_evaluate::RunFacts;
use sluicegate_events::{CallEnd, Event, EventKind, Failure, LineEnd, RunId, SpanRef};
use sluicegate_gate::Outcome;
use sluicegate_model::{ChatReply, FilterState};
use sluicegate_store::{LineFilter, LineStatus, Store};
use sluicegate_value::Map;

use crate::commands::runs::store_error;
use crate::error::CliError;

/// What became of a line that is over.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) outcome: Outcome,
    /// Empty where it failed.
    pub(crate) outputs: Map,
    pub(crate) inputs: Option<Map>,
    pub(crate) run: RunFacts,
    /// The line's span, if it is recorded.
    pub(crate) span: Option<SpanRef>,
    /// The models that answered, by the endpoint's word, each with its fingerprint if it has one.
    pub(crate) served: BTreeSet<String>,
}

/// The lines of a batch that are over, by their numbers.
pub(crate) fn answers_of(store: &Store, run: &RunId) -> Result<BTreeMap<u64, Answer>, CliError> {
    let reader = store.open_run(run).map_err(store_error)?;
    let mut answers = BTreeMap::new();
    for row in reader.lines(&LineFilter::default()).map_err(store_error)? {
        if !matches!(row.status, LineStatus::Completed | LineStatus::Failed) {
            continue;
        }
        let events = reader.events_of(row.line, row.repeat).map_err(store_error)?;
        let mut answer = answer(&events);
        answer.run.latency_ms = row.duration.map(|took| took.as_secs_f64() * 1000.0);
        answers.insert(row.line, answer);
    }
    Ok(answers)
}

fn answer(events: &[Event]) -> Answer {
    let mut answer = Answer {
        outcome: Outcome::Error("it has no end".to_owned()),
        outputs: Map::new(),
        inputs: None,
        run: RunFacts::default(),
        span: None,
        served: BTreeSet::new(),
    };
    let mut filter = None;
    for event in events {
        match &event.kind {
            EventKind::LineStarted { inputs } => answer.inputs = Some(inputs.clone()),
            EventKind::ReplyFound { .. } => answer.run.cached = true,
            EventKind::ModelCallFinished { end: CallEnd::Replied { reply }, .. } => {
                filter = reply.filter.as_ref().map(|filter| filter.state);
                answer.served.extend(served(reply));
            }
            EventKind::LineFinished { end, usage, cost } => {
                answer.span = event.trace.filter(|span| span.sampled);
                answer.run.cost_usd = *cost;
                answer.run.prompt_tokens = usage.input_tokens;
                answer.run.completion_tokens = usage.output_tokens;
                match end {
                    LineEnd::Completed { outputs } => {
                        (answer.outcome, answer.outputs) = (Outcome::Answered, outputs.clone());
                    }
                    LineEnd::Failed { failure, .. } => {
                        (answer.outcome, answer.outputs) = (outcome(failure, filter), Map::new());
                    }
                    LineEnd::Cancelled => {}
                }
            }
            _ => {}
        }
    }
    answer
}

fn served(reply: &ChatReply) -> Option<String> {
    let model = reply.model.as_deref()?;
    let fingerprint = reply.body.as_map().and_then(|body| body.get("system_fingerprint")?.as_str());
    Some(match fingerprint {
        Some(fingerprint) => format!("{model} ({fingerprint})"),
        None => model.to_owned(),
    })
}

fn outcome(failure: &Failure, filter: Option<FilterState>) -> Outcome {
    match (failure.code.as_str(), filter) {
        ("filtered", Some(FilterState::Output)) => Outcome::FilteredOutput,
        ("filtered", Some(FilterState::Unchecked)) => Outcome::FilterFailed(failure.message.clone()),
        ("filtered", _) => Outcome::FilteredInput,
        _ => Outcome::Error(failure.message.clone()),
    }
}
