//! `llm`: a rendered template becomes a conversation (or a text to complete), and a model answers
//! (spec: promptflow.md §2.3).

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::messages::{self, Flavour};
use sluicegate_flow::plan::LlmNode;
use sluicegate_flow::request::{self, Api};
use sluicegate_flow::template::Binding;
use sluicegate_model::Prompt;
use sluicegate_value::Value;

use super::{AttemptFailure, Product, nonce};
use crate::calls::Calls;

pub(super) async fn ask(llm: &LlmNode, inputs: &[Binding], calls: &mut Calls<'_>) -> Result<Product, AttemptFailure> {
    let api = if llm.completion { Api::Completion } else { Api::Chat };
    let (parameters, variables): (Vec<&Binding>, Vec<&Binding>) =
        inputs.iter().partition(|input| request::is_api_parameter(api, &input.name));
    let variables: Vec<Binding> = variables.into_iter().cloned().collect();
    let parameters: Vec<(Arc<str>, Value)> =
        parameters.into_iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    let given = |name: &str| parameters.iter().find(|(key, _)| &**key == name).map(|(_, value)| value);
    let Some(model) = given("deployment_name").or_else(|| given("model")).and_then(Value::as_str) else {
        return Err(AttemptFailure::lasting(
            Failure::new("input", "no deployment or model is named")
                .hint("give the node an input `deployment_name` or `model`, or set `deployment_name` in the config"),
        ));
    };
    let Some(connection) = &llm.connection else {
        return Err(AttemptFailure::lasting(
            Failure::new("misconfigured", "the node names no connection")
                .hint("write `connection:` into the node, or `connection_name` into the config"),
        ));
    };
    let rendered = llm.template.render(&variables, nonce()).map_err(|error| AttemptFailure::of_render(&error))?;
    let prompt = if llm.completion {
        Prompt::Text(rendered.text)
    } else {
        Prompt::Messages(
            messages::chat_messages(&rendered, Flavour::Tool)
                .map_err(|error| AttemptFailure::lasting(Failure::new("template", error.to_string())))?,
        )
    };
    let request = request::llm_request(api, model, prompt, &parameters)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let reply = calls.chat(connection, &request).await?;
    Ok(request::llm_output(&request, &reply).into())
}
