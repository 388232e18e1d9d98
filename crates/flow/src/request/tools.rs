//! Tools and functions that a model may call: what they must look like, and which one it must call.

use sluicegate_value::{Map, Value, json, python};

use super::RequestError;

const FUNCTIONS: &str = "ChatAPIInvalidFunctions";
const TOOLS: &str = "ChatAPIInvalidTools";

/// # Errors
/// No list, an empty one, or an item that is no tool.
pub(super) fn check_tools(tools: Option<&Value>) -> Result<(), RequestError> {
    for (index, tool) in items(TOOLS, "tools", tools)?.iter().enumerate() {
        let map = dict(TOOLS, &format!("tool {index}"), tool)?;
        for key in ["type", "function"] {
            if !map.contains_key(key) {
                return refuse(TOOLS, format!("tool {index} '{}' does not have '{key}' property.", python::str(tool)));
            }
        }
        if let Some(function) = map.get("function") {
            let function = dict(TOOLS, &format!("function of tool {index}"), function)?;
            if !function.contains_key("name") {
                return refuse(TOOLS, format!("tool {index} '{}' does not have 'name' property.", python::str(tool)));
            }
        }
    }
    Ok(())
}

/// # Errors
/// No list, an empty one, or an item that is no function.
pub(super) fn check_functions(functions: Option<&Value>) -> Result<(), RequestError> {
    for (index, function) in items(FUNCTIONS, "functions", functions)?.iter().enumerate() {
        check_function(index, function)?;
    }
    Ok(())
}

fn check_function(index: usize, function: &Value) -> Result<(), RequestError> {
    let map = dict(FUNCTIONS, &format!("function {index}"), function)?;
    for key in ["name", "parameters"] {
        if !map.contains_key(key) {
            let message = format!("function {index} '{}' does not have '{key}' property.", python::str(function));
            return refuse(FUNCTIONS, message);
        }
    }
    let name = map.get("name").map(python::str).unwrap_or_default();
    let written = map.get("parameters").cloned().unwrap_or_default();
    let about = format!("function {index} '{name}' parameters");
    let Some(parameters) = written.as_map() else {
        let message = format!("{about} '{}' should be described as a JSON Schema object.", python::str(&written));
        return refuse(FUNCTIONS, message);
    };
    for key in ["type", "properties"] {
        if !parameters.contains_key(key) {
            let message = format!("{about} '{}' does not have '{key}' property.", python::str(&written));
            return refuse(FUNCTIONS, message);
        }
    }
    if parameters.get("type").and_then(Value::as_str) != Some("object") {
        return refuse(FUNCTIONS, format!("{about} 'type' should be 'object'."));
    }
    if parameters.get("properties").and_then(Value::as_map).is_none() {
        return refuse(FUNCTIONS, format!("{about} 'properties' should be described as a JSON Schema object."));
    }
    Ok(())
}

/// Which function the model calls: `auto` unless said; `none`, or a map with a name.
///
/// # Errors
/// Anything else.
pub(super) fn function_call(call: Option<&Value>) -> Result<Value, RequestError> {
    choice(FUNCTIONS, "function_call", call, &["auto", "none"], |map| map.contains_key("name"), "name")
}

/// Which tool the model calls: `auto` unless said; `none`, `required`, or a map with a type and a function.
///
/// # Errors
/// Anything else.
pub(super) fn tool_choice(choice_given: Option<&Value>) -> Result<Value, RequestError> {
    let complete = |map: &Map| {
        map.contains_key("type") && map.get("function").is_some_and(|function| function.get("name").is_some())
    };
    choice(TOOLS, "tool_choice", choice_given, &["auto", "none", "required"], complete, "function.name")
}

fn choice(
    class: &'static str,
    name: &str,
    given: Option<&Value>,
    words: &[&str],
    is_complete: impl Fn(&Map) -> bool,
    wanted: &str,
) -> Result<Value, RequestError> {
    let Some(given) = given else { return Ok("auto".into()) };
    let value = match given.as_str() {
        Some(word) if words.contains(&word) => return Ok(given.clone()),
        Some("") => return Ok("auto".into()),
        Some(text) => match json::read(text) {
            Ok(value) => value,
            Err(_) => return refuse(class, format!("{name} parameter '{text}' is an invalid json.")),
        },
        None => given.clone(),
    };
    match value.as_map() {
        None => refuse(
            class,
            format!("{name} parameter '{}' must be a dict, but not {}.", python::str(given), value.type_name()),
        ),
        Some(map) if !is_complete(map) => {
            refuse(class, format!("{name} parameter {} must contain \"{wanted}\" field.", python::str(given)))
        }
        Some(_) => Ok(value),
    }
}

fn items<'v>(class: &'static str, name: &str, value: Option<&'v Value>) -> Result<&'v [Value], RequestError> {
    match value.and_then(Value::as_list) {
        None => {
            refuse(class, format!("{name} must be a list, but not {}.", value.map_or("NoneType", Value::type_name)))
        }
        Some([]) => refuse(class, format!("{name} cannot be an empty list.")),
        Some(items) => Ok(items),
    }
}

fn dict<'v>(class: &'static str, about: &str, value: &'v Value) -> Result<&'v Map, RequestError> {
    match value.as_map() {
        Some(map) => Ok(map),
        None => refuse(class, format!("{about} '{}' is not a dict.", python::str(value))),
    }
}

fn refuse<T>(class: &'static str, message: String) -> Result<T, RequestError> {
    Err(RequestError { class, message })
}
