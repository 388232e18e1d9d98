//! What an `llm` node or a prompty asks of a model (spec: promptflow.md §2.3, §2.7).

use std::sync::Arc;

use sluicegate_model::{ChatRequest, Prompt};
use sluicegate_value::{Map, Value};

/// Which API of prompt flow's `llm` tools a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Messages in, a message out.
    Chat,
    /// Text in, text out.
    Completion,
}

/// Why a request cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct RequestError {
    /// The name of prompt flow's exception: `ToolValidationError` …
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

/// Whether an `llm` node's input is a parameter of the API rather than a variable of its template.
#[must_use]
pub fn is_api_parameter(api: Api, name: &str) -> bool {
    let _ = (api, name);
    false
}

/// The request of an `llm` node: `parameters` are the node's inputs that are API parameters (others are ignored),
/// with the values that they have now; what is not given is sent with prompt flow's default.
///
/// # Errors
/// A parameter that is not what the API takes, as the tool refuses it.
pub fn llm_request(
    api: Api,
    model: &str,
    prompt: Prompt,
    parameters: &[(Arc<str>, Value)],
) -> Result<ChatRequest, RequestError> {
    let _ = (api, parameters);
    Ok(ChatRequest {
        model: model.into(),
        prompt,
        parameters: Map::new(),
        stream: false,
        called_from: "aoai-tool".into(),
    })
}

/// The request of a prompty: its parameters verbatim.
///
/// # Errors
/// Tools or functions that are not what the API takes.
pub fn prompty_request(model: &str, prompt: Prompt, parameters: &Map) -> Result<ChatRequest, RequestError> {
    let _ = parameters;
    Ok(ChatRequest {
        model: model.into(),
        prompt,
        parameters: Map::new(),
        stream: false,
        called_from: "promptflow-core".into(),
    })
}
