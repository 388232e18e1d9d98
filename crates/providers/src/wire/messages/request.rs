//! From a request to a body.

use std::sync::Arc;

use sluicegate_model::{ChatRequest, ModelError, Prompt};
use sluicegate_value::{Map, Value};

use super::blocks;
use crate::wire::parameters::{says_nothing, take_first, take_out};
use crate::wire::sendable::{self, cannot_send};

const FORMAT: &str = "Anthropic's messages";

/// What chat completions have and messages do not.
const UNKNOWN: [&str; 19] = [
    "n",
    "seed",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "prediction",
    "web_search_options",
    "store",
    "response_format",
    "verbosity",
    "reasoning_effort",
    "reasoning",
    "text",
];

/// The API wants a limit; this is what prompty v2 sends where none is given.
const MAX_TOKENS: i64 = 4096;

/// Writes the body of a request. All system messages become `system`, for messages have no such role.
pub(crate) fn body(request: &ChatRequest, connection: &str) -> Result<String, ModelError> {
    let Prompt::Messages(messages) = &request.prompt else {
        return Err(cannot_send(connection, format!("completions of a text with {FORMAT}")));
    };
    sendable::check_images(connection, messages)?;
    let mut parameters = request.parameters.clone();
    let mut body = Map::from([("model", request.model.clone())]);
    let is_system = |role: &str| matches!(role, "system" | "developer");
    let system: Vec<String> = messages
        .iter()
        .filter(|message| is_system(&message.role))
        .filter_map(|message| Some(message.content.as_ref()?.plain_text()))
        .filter(|text| !text.is_empty())
        .collect();
    if !system.is_empty() {
        body.insert("system", system.join("\n\n"));
    }
    let others = messages.iter().filter(|message| !is_system(&message.role));
    body.insert("messages", blocks::messages(connection, others)?);

    let instead = "leave it out, or ask another provider";
    take_out(&mut parameters, &UNKNOWN, connection, FORMAT, instead)?;
    let limit = take_first(&mut parameters, &["max_tokens", "max_completion_tokens", "max_output_tokens"]);
    body.insert("max_tokens", limit.unwrap_or(Value::Int(MAX_TOKENS)));
    for name in ["temperature", "top_p"] {
        // The default of the API; some models refuse to be told both.
        if parameters.get(name).is_some_and(|value| says_nothing(name, value)) {
            parameters.remove(name);
        }
    }
    if let Some(stop) = take_first(&mut parameters, &["stop_sequences", "stop"]).filter(Value::is_truthy) {
        let several = stop.as_list().is_some();
        body.insert("stop_sequences", if several { stop } else { vec![stop].into() });
    }
    if let Some(user) = parameters.remove("user").filter(Value::is_truthy)
        && !parameters.contains_key("metadata")
    {
        body.insert("metadata", Map::from([("user_id", user)]));
    }
    if let Some(tools) = parameters.remove("tools").filter(Value::is_truthy) {
        let tools = tools.as_list().unwrap_or_default().iter().map(tool).collect::<Vec<_>>();
        body.insert("tools", tools);
    }
    let one_at_a_time = parameters.remove("parallel_tool_calls").and_then(|several| several.as_bool()) == Some(false);
    if let Some(choice) = tool_choice(parameters.remove("tool_choice"), one_at_a_time) {
        body.insert("tool_choice", choice);
    }
    parameters.remove("stream_options");
    parameters.remove("stream");
    if request.stream {
        body.insert("stream", true);
    }
    for (name, value) in parameters {
        if !body.contains_key(&name) && !value.is_null() {
            body.insert(name, value);
        }
    }
    sendable::to_json(connection, body)
}

/// A function's parameters are the `input_schema`; tools of Anthropic's own stay what they are.
fn tool(tool: &Value) -> Value {
    let Some(function) = tool.get("function").and_then(Value::as_map) else { return tool.clone() };
    let mut map = Map::new();
    for (name, value) in function {
        match &**name {
            "parameters" => map.insert("input_schema", value.clone()),
            "strict" if value.as_bool() != Some(true) => None,
            _ => map.insert(name.clone(), value.clone()),
        };
    }
    if !map.contains_key("input_schema") {
        map.insert("input_schema", Map::from([("type", "object")]));
    }
    map.into()
}

fn tool_choice(choice: Option<Value>, one_at_a_time: bool) -> Option<Value> {
    let of_type = |name: &str| Map::from([("type", Value::from(name))]);
    let mut choice = match choice.filter(|choice| !choice.is_null()) {
        None if one_at_a_time => of_type("auto"),
        None => return None,
        Some(Value::Str(word)) => of_type(if &*word == "required" { "any" } else { &word }),
        Some(Value::Map(map)) => match map.get("function").and_then(|function| function.get("name")) {
            Some(name) => Map::from([("type", "tool".into()), ("name", name.clone())]),
            None => Arc::unwrap_or_clone(map),
        },
        Some(other) => return Some(other),
    };
    if one_at_a_time && choice.get("type").and_then(Value::as_str) != Some("none") {
        choice.insert("disable_parallel_tool_use", true);
    }
    Some(choice.into())
}
