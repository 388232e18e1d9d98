//! `prompty`: a prompty file asks the model that it names (spec: promptflow.md §2.7).

use sluicegate_events::Failure;
use sluicegate_flow::plan::OnFiltered;
use sluicegate_flow::prompty::{PromptyFile, ResponseFormat};
use sluicegate_flow::request;
use sluicegate_flow::template::Binding;
use sluicegate_model::{ConnectionName, Prompt};
use sluicegate_value::Map;

use super::{AttemptFailure, Product, nonce, shortfall};
use crate::calls::{Asker, Calls};

pub(super) async fn ask(
    prompty: &PromptyFile,
    on_filtered: OnFiltered,
    inputs: &[Binding],
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let given: Map = inputs.iter().map(|input| (input.name.clone(), input.value.clone())).collect();
    ask_for(Asker::default(), prompty, on_filtered, &given, calls).await
}

/// What a prompty renders to.
pub(crate) fn prompt_of(prompty: &PromptyFile, given: &Map) -> Result<Prompt, AttemptFailure> {
    let bindings =
        prompty.bindings(given).map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let rendered = prompty.template.render(&bindings, nonce()).map_err(|error| AttemptFailure::of_render(&error))?;
    Ok(if &*prompty.model.api == "completion" {
        Prompt::Text(rendered.text)
    } else {
        Prompt::Messages(
            prompty
                .messages(&rendered, &bindings)
                .map_err(|error| AttemptFailure::lasting(Failure::new("template", error.to_string())))?,
        )
    })
}

/// Asks the model that a prompty names, for a node or for user code within it.
pub(crate) async fn ask_for(
    asker: Asker<'_>,
    prompty: &PromptyFile,
    on_filtered: OnFiltered,
    given: &Map,
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
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
    let prompt = prompt_of(prompty, given)?;
    let request = prompty
        .request(deployment, prompt)
        .map_err(|error| AttemptFailure::lasting(Failure::new("input", error.to_string())))?;
    let reply = calls.chat_for(asker, &ConnectionName(connection.clone()), &request).await?;
    if let Some(report) = shortfall::of_filter(on_filtered, &reply)? {
        return Ok(report.into());
    }
    let output = request::prompty_output(model.response, &prompty.outputs, &request, &reply);
    // Of a reply that is no JSON since it is no whole reply, the form is not what is wrong.
    let is_whole = output.is_ok() && reply.text.as_deref().is_some_and(|text| !text.trim().is_empty());
    if !is_whole
        && !matches!(model.response, ResponseFormat::All | ResponseFormat::Lenient)
        && let Some(failure) = shortfall::of_json(&request, &reply)
    {
        return Err(failure);
    }
    output.map(Product::from).map_err(|error| {
        AttemptFailure::passing(
            Failure::new("malformed_output", error.to_string())
                .hint("say in the prompt what the JSON must hold, and let the node `retry`"),
        )
    })
}
