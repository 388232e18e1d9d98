//! `prompty`: a prompty file asks the model that it names (spec: promptflow.md §2.7).

use sluicegate_events::Failure;
use sluicegate_flow::prompty::{PromptyFile, ResponseFormat};
use sluicegate_flow::request;
use sluicegate_flow::template::Binding;
use sluicegate_model::{ChatReply, ConnectionName, Prompt};
use sluicegate_value::{Map, Value, json};

use super::{AttemptFailure, Product, nonce};
use crate::calls::Calls;

pub(super) async fn ask(
    prompty: &PromptyFile,
    inputs: &[Binding],
    calls: &mut Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let given: Map = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    let bindings = prompty
        .bindings(&given)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let model = &prompty.model;
    let Some(deployment) = &model.deployment else {
        return Err(AttemptFailure::lasting(
            Failure::new("input", "the prompty names no deployment or model")
                .hint("write `azure_deployment` or `model` into its configuration, or set `deployment_name` in the config"),
        ));
    };
    let Some(connection) = &model.connection else {
        return Err(AttemptFailure::lasting(
            Failure::new("misconfigured", "the prompty names no connection")
                .hint("write `connection` into its configuration, or `connection_name` into the config"),
        ));
    };
    let rendered = prompty.template.render(&bindings, nonce()).map_err(|error| AttemptFailure::of_render(&error))?;
    let prompt = if &*model.api == "completion" {
        Prompt::Text(rendered.text)
    } else {
        Prompt::Messages(
            prompty
                .messages(&rendered, &bindings)
                .map_err(|error| AttemptFailure::lasting(Failure::new("template", error.to_string())))?,
        )
    };
    let request = request::prompty_request(deployment, prompt, &model.parameters)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let reply = calls.chat(&ConnectionName(connection.clone()), request).await?;
    output(prompty, reply).map(Product::from)
}

/// The text, or the message if the model calls tools, or what the text says as JSON where the prompty asks for that.
fn output(prompty: &PromptyFile, reply: ChatReply) -> Result<Value, AttemptFailure> {
    if prompty.model.response == ResponseFormat::All {
        return Ok(reply.body);
    }
    if reply.finish_reason.as_deref() == Some("tool_calls") {
        return Ok(reply.message);
    }
    let Some(text) = reply.text else { return Ok(Value::Null) };
    let format = prompty.model.parameters.get("response_format").and_then(|format| format.get("type"));
    if format.and_then(Value::as_str) != Some("json_object") {
        return Ok(text.into());
    }
    let value = json::read(&text).map_err(|error| {
        AttemptFailure::passing(
            Failure::new("malformed_output", format!("the reply should be JSON and is not: {error}"))
                .hint("ask for JSON in the prompt, and let the node `retry`"),
        )
    })?;
    if prompty.outputs.is_empty() {
        return Ok(value);
    }
    let mut outputs = Map::new();
    for output in &prompty.outputs {
        let Some(found) = value.get(&output.name) else {
            return Err(AttemptFailure::passing(Failure::new(
                "malformed_output",
                format!("the reply has no `{}`, which the prompty declares as an output", output.name),
            )));
        };
        outputs.insert(output.name.clone(), found.clone());
    }
    Ok(outputs.into())
}
