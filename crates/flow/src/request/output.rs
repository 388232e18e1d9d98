//! What a node makes of an answer.

use sluicegate_model::{ChatReply, ChatRequest};
use sluicegate_value::{Map, Value, json, python};

use crate::prompty::{PromptyOutput, ResponseFormat};

/// Why an answer cannot be a node's output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct OutputError {
    /// The name of prompt flow's (or Python's) exception: `InvalidOutputKeyError`, `JSONDecodeError`.
    pub class: &'static str,
    /// What is wrong, in its words.
    pub message: String,
}

/// The output of an `llm` node: the text of the answer, `null` if it has none; the whole message if the request
/// offered tools or functions.
#[must_use]
pub fn llm_output(request: &ChatRequest, reply: &ChatReply) -> Value {
    let offers = |key: &str| request.parameters.get(key).is_some_and(|value| !value.is_null());
    if offers("tools") || offers("functions") { reply.message.clone() } else { reply.text.clone().into() }
}

/// The output of a prompty, by its `model.response` and its `outputs` (none: all that the answer holds).
///
/// * `response: all`: the whole body;
/// * an answer that ends in calls of tools or functions: its message;
/// * an answer that was asked for as JSON: what it holds, reduced to the declared outputs;
/// * else its text, `null` if it has none.
///
/// [`ResponseFormat::Lenient`], version 2's, never fails: calls of tools are a list of `{id, name, arguments}`, a refusal
/// is its words, no text an empty one, and text that was asked for as JSON is what it holds, whole, or else as it is.
///
/// # Errors
/// Text that was asked for as JSON and is none, and declared outputs that are not in it.
pub fn prompty_output(
    response: ResponseFormat,
    outputs: &[PromptyOutput],
    request: &ChatRequest,
    reply: &ChatReply,
) -> Result<Value, OutputError> {
    if response == ResponseFormat::All {
        return Ok(reply.body.clone());
    }
    if response == ResponseFormat::Lenient {
        return Ok(lenient(outputs, request, reply));
    }
    if matches!(reply.finish_reason.as_deref(), Some("tool_calls" | "function_call")) {
        return Ok(reply.message.clone());
    }
    let is_json = asks_for_json(outputs, request);
    match &reply.text {
        Some(text) if is_json => reduced(text, outputs),
        text => Ok(text.clone().into()),
    }
}

/// Whether the answer is read as JSON.
fn asks_for_json(outputs: &[PromptyOutput], request: &ChatRequest) -> bool {
    let format =
        request.parameters.get("response_format").and_then(|format| format.get("type")).and_then(Value::as_str);
    format == Some("json_object") || (format == Some("json_schema") && !outputs.is_empty())
}

fn lenient(outputs: &[PromptyOutput], request: &ChatRequest, reply: &ChatReply) -> Value {
    let calls = reply.message.get("tool_calls").and_then(Value::as_list).unwrap_or_default();
    if !calls.is_empty() {
        return calls.iter().map(tool_call).collect::<Vec<_>>().into();
    }
    if let Some(refusal) = &reply.refusal {
        return refusal.clone().into();
    }
    let text = reply.text.clone().unwrap_or_default();
    let answer = if asks_for_json(outputs, request) { json::read(&text).ok() } else { None };
    answer.unwrap_or_else(|| text.into())
}

fn tool_call(call: &Value) -> Value {
    let of_function = |key: &str| call.get("function").and_then(|function| function.get(key)).cloned();
    Map::from([
        ("id", call.get("id").cloned().unwrap_or_default()),
        ("name", of_function("name").unwrap_or_default()),
        ("arguments", of_function("arguments").unwrap_or_default()),
    ])
    .into()
}

fn reduced(text: &str, outputs: &[PromptyOutput]) -> Result<Value, OutputError> {
    let answer = json::read(text).map_err(|error| OutputError {
        class: "JSONDecodeError",
        message: format!("the answer was asked for as JSON, and is none: {error}"),
    })?;
    if outputs.is_empty() {
        return Ok(answer);
    }
    let found: Vec<Value> =
        answer.as_map().into_iter().flat_map(Map::keys).map(|key| Value::from(key.clone())).collect();
    outputs
        .iter()
        .map(|PromptyOutput { name, .. }| match answer.get(name) {
            Some(value) => Ok((name.clone(), value.clone())),
            None => Err(OutputError {
                class: "InvalidOutputKeyError",
                message: format!("Cannot find {name} in response {}", python::repr(&found.clone().into())),
            }),
        })
        .collect::<Result<Map, _>>()
        .map(Value::from)
}
