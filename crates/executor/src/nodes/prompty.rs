//! `prompty`: a prompty file asks the model that it names (spec: promptflow.md §2.7).

use sluicegate_events::Failure;
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_flow::request;
use sluicegate_flow::template::Binding;
use sluicegate_model::{ConnectionName, Prompt};
use sluicegate_value::Map;

use super::{AttemptFailure, Product, nonce};
use crate::calls::Calls;

pub(super) async fn ask(
    prompty: &PromptyFile,
    inputs: &[Binding],
    calls: &mut Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let given: Map = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    let bindings =
        prompty.bindings(&given).map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let model = &prompty.model;
    let Some(deployment) = &model.deployment else {
        return Err(AttemptFailure::lasting(Failure::new("input", "the prompty names no deployment or model").hint(
            "write `azure_deployment` or `model` into its configuration, or set `deployment_name` in the config",
        )));
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
    let reply = calls.chat(&ConnectionName(connection.clone()), &request).await?;
    let output = request::prompty_output(model.response, &prompty.outputs, &request, &reply).map_err(|error| {
        AttemptFailure::passing(
            Failure::new("malformed_output", error.to_string())
                .hint("say in the prompt what the JSON must hold, and let the node `retry`"),
        )
    })?;
    Ok(output.into())
}
