//! Parameters of chat completions that another format does not have, or calls otherwise.

use sluicegate_model::ModelError;
use sluicegate_value::{Map, Value};

use super::sendable::cannot_send;

/// Whether a parameter asks for what is done without it: llm nodes always send some of these.
pub(super) fn says_nothing(name: &str, value: &Value) -> bool {
    let number = value.as_number();
    match name {
        _ if value.is_null() => true,
        "n" | "temperature" | "top_p" | "best_of" => number == Some(1.0),
        "presence_penalty" | "frequency_penalty" | "top_logprobs" => number == Some(0.0),
        "logprobs" | "store" | "background" => value.as_bool() == Some(false),
        "parallel_tool_calls" => value.as_bool() == Some(true),
        "stop" | "logit_bias" | "functions" | "audio" | "prediction" | "web_search_options" => !value.is_truthy(),
        // They speak of functions, which are refused by themselves.
        "function_call" => true,
        "modalities" => matches!(value.as_list(), Some([only]) if only.as_str() == Some("text")),
        "response_format" => value.get("type").and_then(Value::as_str) == Some("text"),
        _ => false,
    }
}

/// Takes out what a format does not have; refuses by name what would have changed the answer.
pub(super) fn take_out(
    parameters: &mut Map,
    names: &[&str],
    connection: &str,
    format: &str,
    instead: &str,
) -> Result<(), ModelError> {
    for name in names {
        if let Some(value) = parameters.remove(name)
            && !says_nothing(name, &value)
        {
            return Err(cannot_send(connection, format!("`{name}` with {format} ({instead})")));
        }
    }
    Ok(())
}

/// Takes out the first of these names that says something, and the others with it.
pub(super) fn take_first(parameters: &mut Map, names: &[&str]) -> Option<Value> {
    let taken: Vec<Value> = names.iter().filter_map(|name| parameters.remove(name)).collect();
    taken.into_iter().find(|value| !value.is_null())
}
