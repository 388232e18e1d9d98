//! `llm`: a rendered template becomes a conversation (or a text to complete), and a model answers
//! (spec: promptflow.md §2.3).

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::{LlmNode, OnFiltered};
use sluicegate_flow::request;
use sluicegate_flow::template::Binding;
use sluicegate_model::{Prompt, Shortfall};
use sluicegate_value::{Value, json};

use super::{AttemptFailure, Product, named_connection, named_model, nonce, shortfall};
use crate::calls::Calls;

pub(super) async fn ask(
    llm: &LlmNode,
    on_filtered: OnFiltered,
    inputs: &[Binding],
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let (parameters, variables): (Vec<&Binding>, Vec<&Binding>) =
        inputs.iter().partition(|input| llm.is_parameter(&input.name));
    let variables: Vec<Binding> = variables.into_iter().cloned().collect();
    let parameters: Vec<(Arc<str>, Value)> =
        parameters.into_iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    let model = named_model(&parameters)?;
    let connection = named_connection(llm.connection.as_ref())?;
    let rendered = llm.template.render(&variables, nonce()).map_err(|error| AttemptFailure::of_render(&error))?;
    let prompt = if llm.completion {
        Prompt::Text(rendered.text)
    } else {
        Prompt::Messages(
            llm.messages(&rendered)
                .map_err(|error| AttemptFailure::lasting(Failure::new("template", error.to_string())))?,
        )
    };
    let request = request::llm_request(llm.api(), model, prompt, &parameters)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let reply = calls.chat(connection, &request).await?;
    if let Some(report) = shortfall::of_filter(on_filtered, &reply)? {
        return Ok(report.into());
    }
    // Half an object, or nothing, is not what a node that asks for JSON goes on with.
    let is_json = reply.text.as_deref().is_some_and(|text| json::read(text).is_ok());
    let is_stopped = matches!(reply.shortfall(), Some(Shortfall::Filtered(_)));
    match shortfall::of_json(&request, &reply).filter(|_| !is_json && !is_stopped) {
        Some(failure) => Err(failure),
        None => Ok(request::llm_output(&request, &reply).into()),
    }
}
