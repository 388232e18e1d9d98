//! What an `llm` node or a prompty asks of a model, and what it makes of the answer (spec: promptflow.md §2.3, §2.7).

mod coerce;
mod embedding;
mod http;
mod llm;
mod output;
mod tools;

use std::sync::Arc;

use sluicegate_model::{ChatApi, ChatRequest, Prompt};
use sluicegate_value::{Map, Value};

pub(crate) use embedding::EMBEDDING_PARAMETERS;
pub use embedding::embedding_request;
pub use http::{HttpError, http_output, http_request};
pub use output::{OutputError, llm_output, prompty_output};

/// Which API of prompt flow's `llm` tools a node speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Messages in, a message out, by whichever API the connection speaks.
    Chat,
    /// The same by the responses API, whatever the connection speaks.
    Responses,
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

/// Whether an `llm` node's input is a parameter of the API rather than a variable of its template; for a certain node
/// see [`crate::plan::LlmNode::is_parameter`].
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
    let own: [&[&'static str]; 2] = match api {
        Api::Chat | Api::Responses => [&CHAT, &LATER],
        Api::Completion => [&COMPLETION, &[]],
    };
    BOTH.into_iter().chain(own.into_iter().flatten().copied())
}

/// Parameters of the chat API that the original does not know. There each of them was a variable of the template, and
/// in a template that reads it, it still is.
const LATER: [&str; 17] = [
    "max_completion_tokens",
    "reasoning_effort",
    "verbosity",
    "parallel_tool_calls",
    "service_tier",
    "store",
    "metadata",
    "stream_options",
    "prediction",
    "modalities",
    "audio",
    "logprobs",
    "top_logprobs",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "web_search_options",
];

/// Whether a parameter is one of those that the original does not know.
pub(crate) fn is_later_parameter(api: Api, name: &str) -> bool {
    api != Api::Completion && LATER.contains(&name)
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
        Api::Chat | Api::Responses => llm::chat(&given)?,
        Api::Completion => llm::completion(&given)?,
    };
    let mut stream = coerce::is_true(given.get("stream"));
    if let Some(more) = given.get("parameters") {
        stream |= llm::merge(&mut body, more)?;
    }
    // The tool says so either way; a prompty only when it streams.
    body.insert("stream", stream);
    Ok(ChatRequest {
        model: model.into(),
        prompt,
        parameters: body,
        stream,
        called_from: "aoai-tool".into(),
        api: (api == Api::Responses).then_some(ChatApi::Responses),
    })
}

/// The request of a prompty of version 1: its parameters verbatim, and which tool is called where there are any. See
/// [`crate::prompty::PromptyFile::request`].
///
/// # Errors
/// Tools or functions that are not what the API takes.
pub fn prompty_request(model: &str, prompt: Prompt, parameters: &Map) -> Result<ChatRequest, RequestError> {
    let mut request = verbatim_request(model, prompt, parameters);
    let body = &mut request.parameters;
    let has = |body: &Map, key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if has(body, "tools") {
        tools::check_tools(body.get("tools"))?;
        if !has(body, "tool_choice") {
            body.insert("tool_choice", "auto");
        }
    } else if has(body, "functions") {
        tools::check_functions(body.get("functions"))?;
        if !has(body, "function_call") {
            body.insert("function_call", "auto");
        }
    }
    Ok(request)
}

/// The request of a prompty with its parameters and nothing else.
pub(crate) fn verbatim_request(model: &str, prompt: Prompt, parameters: &Map) -> ChatRequest {
    let mut body = parameters.clone();
    let stream = coerce::is_true(body.remove("stream").as_ref());
    // These say what is asked of whom, which a prompty says elsewhere.
    for key in ["model", "messages", "prompt"] {
        body.remove(key);
    }
    ChatRequest {
        model: model.into(),
        prompt,
        parameters: body,
        stream,
        called_from: "promptflow-core".into(),
        api: None,
    }
}
