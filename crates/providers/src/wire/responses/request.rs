//! From a request to a body.

use std::sync::Arc;

use sluicegate_model::{ChatRequest, ModelError, Prompt};
use sluicegate_value::{Map, Value};

use super::input;
use crate::wire::parameters::{says_nothing, take_first, take_out};
use crate::wire::sendable::{self, cannot_send};

const FORMAT: &str = "the responses API";
const INSTEAD: &str = "leave it out, or say `api: chat`";

/// What chat completions have and responses do not.
const UNKNOWN: [&str; 14] = [
    "n",
    "stop",
    "seed",
    "logit_bias",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "functions",
    "function_call",
    "audio",
    "modalities",
    "prediction",
    "web_search_options",
    // An answer that is fetched later is none that a node could wait for.
    "background",
];

/// Writes the body of a request. System messages at the beginning become `instructions`, unless the parameters have
/// their own; all others are items of the input, in their order.
pub(crate) fn body(request: &ChatRequest, connection: &str) -> Result<String, ModelError> {
    let mut parameters = request.parameters.clone();
    let mut body = Map::from([("model", request.model.clone())]);
    parameters.remove("stream");
    if request.stream {
        body.insert("stream", true);
    }
    match &request.prompt {
        Prompt::Text(text) => {
            body.insert("input", text.clone());
        }
        Prompt::Messages(messages) => {
            sendable::check_images(connection, messages)?;
            let leading = match parameters.contains_key("instructions") {
                true => 0,
                false => messages.iter().take_while(|message| &*message.role == "system").count(),
            };
            let (system, others) = messages.split_at(leading);
            let texts: Vec<String> =
                system.iter().filter_map(|message| Some(message.content.as_ref()?.plain_text())).collect();
            let instructions = texts.join("\n\n");
            if !instructions.is_empty() {
                body.insert("instructions", instructions);
            }
            body.insert("input", input::items(connection, others)?);
        }
    }
    take_out(&mut parameters, &UNKNOWN, connection, FORMAT, INSTEAD)?;
    for name in ["temperature", "top_p"] {
        // The default of the API; a reasoning model refuses to be told.
        if parameters.get(name).is_some_and(|value| says_nothing(name, value)) {
            parameters.remove(name);
        }
    }
    if let Some(limit) = take_first(&mut parameters, &["max_output_tokens", "max_completion_tokens", "max_tokens"]) {
        body.insert("max_output_tokens", limit);
    }
    if let Some(tools) = parameters.remove("tools") {
        body.insert("tools", tools_of(&tools));
    }
    if let Some(choice) = parameters.remove("tool_choice") {
        body.insert("tool_choice", tool_choice(&choice));
    }
    let effort = parameters.remove("reasoning_effort");
    grouped(&mut body, &mut parameters, connection, "reasoning", [("effort", effort)])?;
    // `{"type": "json_schema", "json_schema": {"name", "schema", "strict"}}` has its fields beside the type.
    let format = parameters.remove("response_format").map(|format| flattened(&format));
    let verbosity = parameters.remove("verbosity");
    grouped(&mut body, &mut parameters, connection, "text", [("format", format), ("verbosity", verbosity)])?;
    if let Some(options) = stream_options(parameters.remove("stream_options")) {
        body.insert("stream_options", options);
    }
    for (name, value) in parameters {
        if !body.contains_key(&name) {
            body.insert(name, value);
        }
    }
    sendable::to_json(connection, body)
}

/// Puts what chat completions say by parameters of their own into one group; what the group itself says comes first.
fn grouped<const N: usize>(
    body: &mut Map,
    parameters: &mut Map,
    connection: &str,
    name: &str,
    members: [(&str, Option<Value>); N],
) -> Result<(), ModelError> {
    let given = parameters.remove(name).filter(|given| !given.is_null());
    let mut group = match given {
        None => Map::new(),
        Some(Value::Map(group)) => Arc::unwrap_or_clone(group),
        Some(_) => return Err(cannot_send(connection, format!("`{name}` that is no map with {FORMAT}"))),
    };
    for (member, value) in members {
        if let Some(value) = value.filter(|value| !value.is_null())
            && !group.contains_key(member)
        {
            group.insert(member, value);
        }
    }
    if !group.is_empty() {
        body.insert(name, group);
    }
    Ok(())
}

/// Token counts come without being asked for.
fn stream_options(options: Option<Value>) -> Option<Value> {
    let Value::Map(options) = options? else { return None };
    let rest: Map = Arc::unwrap_or_clone(options).into_iter().filter(|(name, _)| &**name != "include_usage").collect();
    (!rest.is_empty()).then(|| rest.into())
}

fn tools_of(tools: &Value) -> Value {
    match tools.as_list() {
        Some(tools) => tools.iter().map(flattened).collect::<Vec<_>>().into(),
        None => tools.clone(),
    }
}

/// `{"type": "function", "function": {"name": …}}` as `{"type": "function", "name": …}`; so with every type that has
/// its fields under its own name.
fn flattened(nested: &Value) -> Value {
    let kind = nested.get("type").and_then(Value::as_str);
    match kind.and_then(|kind| Some((kind, nested.get(kind)?.as_map()?))) {
        Some((kind, fields)) => {
            let mut flat = Map::from([("type", kind)]);
            for (name, value) in fields {
                flat.insert(name.clone(), value.clone());
            }
            flat.into()
        }
        None => nested.clone(),
    }
}

fn tool_choice(choice: &Value) -> Value {
    let flat = flattened(choice);
    match (&flat, flat.get("tools")) {
        // `allowed_tools` lists tools.
        (Value::Map(map), Some(tools)) => {
            let mut map = (**map).clone();
            map.insert("tools", tools_of(tools));
            map.into()
        }
        _ => flat,
    }
}
