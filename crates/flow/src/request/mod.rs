//! What an `llm` node or a prompty asks of a model, and what it makes of the answer (spec: promptflow.md §2.3, §2.7).

mod coerce;
mod llm;
mod output;
mod tools;

use std::sync::Arc;

use sluicegate_model::{ChatRequest, Prompt};
use sluicegate_value::{Map, Value};

pub use output::{OutputError, llm_output, prompty_output};

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
///
/// `parameters` is ours: a map of whatever else the endpoint takes, put into the body as it is.
#[must_use]
pub fn is_api_parameter(api: Api, name: &str) -> bool {
    api_parameters(api).any(|known| known == name)
}

/// The names for which [`is_api_parameter`] holds.
pub(crate) fn api_parameters(api: Api) -> impl Iterator<Item = &'static str> {
    const BOTH: [&str; 14] = [
        "prompt",
        "deployment_name",
        "model",
        "temperature",
        "top_p",
        "n",
        "stream",
        "stop",
        "max_tokens",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "user",
        "parameters",
    ];
    const CHAT: [&str; 6] = ["function_call", "functions", "tool_choice", "tools", "response_format", "seed"];
    const COMPLETION: [&str; 4] = ["suffix", "logprobs", "echo", "best_of"];
    let own: &[&'static str] = match api {
        Api::Chat => &CHAT,
        Api::Completion => &COMPLETION,
    };
    BOTH.into_iter().chain(own.iter().copied())
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
    let given = llm::Given(parameters);
    let mut body = match api {
        Api::Chat => llm::chat(&given)?,
        Api::Completion => llm::completion(&given)?,
    };
    let mut stream = coerce::is_true(given.get("stream"));
    if let Some(more) = given.get("parameters") {
        stream |= llm::merge(&mut body, more)?;
    }
    // The tool says so either way; a prompty only when it streams.
    body.insert("stream", stream);
    Ok(ChatRequest { model: model.into(), prompt, parameters: body, stream, called_from: "aoai-tool".into() })
}

/// The request of a prompty: its parameters verbatim.
///
/// # Errors
/// Tools or functions that are not what the API takes.
pub fn prompty_request(model: &str, prompt: Prompt, parameters: &Map) -> Result<ChatRequest, RequestError> {
    let mut body = parameters.clone();
    let stream = coerce::is_true(body.remove("stream").as_ref());
    // These say what is asked of whom, which a prompty says elsewhere.
    for key in ["model", "messages", "prompt"] {
        body.remove(key);
    }
    let has = |body: &Map, key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if has(&body, "tools") {
        tools::check_tools(body.get("tools"))?;
        if !has(&body, "tool_choice") {
            body.insert("tool_choice", "auto");
        }
    } else if has(&body, "functions") {
        tools::check_functions(body.get("functions"))?;
        if !has(&body, "function_call") {
            body.insert("function_call", "auto");
        }
    }
    Ok(ChatRequest { model: model.into(), prompt, parameters: body, stream, called_from: "promptflow-core".into() })
}
