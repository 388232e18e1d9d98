//! What becomes of a reply that is not what was asked for: a content filter stopped it, the model refused, its tokens were
//! used up.

use sluicegate_events::Failure;
use sluicegate_flow::plan::OnFiltered;
use sluicegate_model::{ChatReply, ChatRequest, Filter, FilterState, Shortfall};
use sluicegate_value::{Map, Value};

use super::AttemptFailure;

/// The output of a node that reports what a content filter stopped; `None` if none did, or if the node takes what there
/// is.
///
/// # Errors
/// What was stopped fails the node.
pub(crate) fn of_filter(on_filtered: OnFiltered, reply: &ChatReply) -> Result<Option<Value>, AttemptFailure> {
    let Some(filter) = &reply.filter else { return Ok(None) };
    match (filter.state, on_filtered) {
        (FilterState::Input | FilterState::Output, OnFiltered::Report) => Ok(Some(report(filter, reply))),
        (FilterState::Input, OnFiltered::AsOriginal | OnFiltered::Fail) | (FilterState::Output, OnFiltered::Fail) => {
            Err(filtered(filter))
        }
        (FilterState::Output, OnFiltered::AsOriginal) | (FilterState::Unchecked | FilterState::Noted, _) => Ok(None),
    }
}

/// Why a reply is not the JSON that was asked for, if it was and it falls short by more than its form.
pub(super) fn of_json(request: &ChatRequest, reply: &ChatReply) -> Option<AttemptFailure> {
    let format = request.parameters.get("response_format").and_then(|format| format.get("type"));
    if !format.and_then(Value::as_str).is_some_and(|format| format.starts_with("json")) {
        return None;
    }
    Some(match reply.shortfall()? {
        Shortfall::Filtered(filter) if filter.state == FilterState::Unchecked => return None,
        Shortfall::Filtered(filter) => filtered(&filter),
        Shortfall::Refused(words) => refused(&words),
        Shortfall::OnlyReasoning { tokens } => {
            let tokens = tokens.map_or_else(String::new, |tokens| format!(" ({tokens} tokens)"));
            AttemptFailure::passing(
                Failure::new("cut_off", format!("all that the reply might have went into reasoning{tokens}"))
                    .hint("raise `max_completion_tokens` (or `max_tokens`), or lower `reasoning_effort`"),
            )
        }
        Shortfall::CutOff => {
            let tokens =
                reply.usage.output_tokens.map_or_else(String::new, |tokens| format!(", after {tokens} of them"));
            AttemptFailure::passing(
                Failure::new(
                    "cut_off",
                    format!("the answer was asked for as JSON, and was cut off at its most tokens{tokens}"),
                )
                .hint("raise `max_tokens` (or `max_completion_tokens`), or ask for less"),
            )
        }
    })
}

fn refused(words: &str) -> AttemptFailure {
    let mut failure = Failure::new("refused", format!("the model refused to answer: {words}"))
        .hint("reword the prompt, or ask another model");
    failure.details = Map::from([("refusal", words)]).into();
    AttemptFailure::lasting(failure)
}

/// The same request would be stopped again: this is never tried once more.
fn filtered(filter: &Filter) -> AttemptFailure {
    let what = match filter.state {
        FilterState::Input => "soften or reword the prompt",
        _ => "reword the prompt, so that it asks for something else",
    };
    let mut failure = Failure::new("filtered", filter.to_string()).hint(format!(
        "{what}, adjust the deployment's filter policy, or let the flow go on by `on_filtered: report` at the node"
    ));
    failure.details = Map::from([("filter", facts(filter))]).into();
    AttemptFailure::lasting(failure)
}

fn report(filter: &Filter, reply: &ChatReply) -> Value {
    let text = reply.text.clone().filter(|_| filter.state != FilterState::Input);
    Map::from([("filtered", facts(filter)), ("text", text.into())]).into()
}

fn facts(filter: &Filter) -> Value {
    let findings = filter.findings.iter().map(|finding| {
        Value::from(Map::from([
            ("category", Value::from(finding.category.clone())),
            ("severity", finding.severity.clone().into()),
            ("in_reply", finding.in_reply.into()),
            ("stopped", finding.stopped.into()),
        ]))
    });
    Map::from([
        ("state", Value::from(filter.state.word())),
        ("findings", findings.collect::<Vec<_>>().into()),
        ("message", filter.message.clone().into()),
    ])
    .into()
}
