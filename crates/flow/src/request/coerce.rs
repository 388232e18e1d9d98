//! What flows write, as what the API takes: `temperature: 0` is sent as `0.0`, `max_tokens: "256"` as `256`.

use sluicegate_value::{BigInt, Value, json, python};

use super::RequestError;

/// Python's `float(value)`.
pub(super) fn float(name: &str, value: &Value) -> Result<Value, RequestError> {
    let number = match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::Str(text) => text.trim().replace('_', "").parse::<f64>().ok(),
        other => other.as_number(),
    };
    // What is not finite cannot be written in a body.
    number.filter(|number| number.is_finite()).map(Value::Float).ok_or_else(|| wrong(name, "a number", value))
}

/// Python's `int(value)`.
pub(super) fn integer(name: &str, value: &Value) -> Result<Value, RequestError> {
    let number = match value {
        Value::Int(_) | Value::BigInt(_) => Some(value.clone()),
        Value::Bool(yes) => Some(Value::Int(i64::from(*yes))),
        Value::Float(number) => BigInt::truncate(*number),
        Value::Str(text) => BigInt::parse(&text.trim().replace('_', "")),
        _ => None,
    };
    number.ok_or_else(|| wrong(name, "a whole number", value))
}

/// A text that is JSON of a list or a map as that list or map; anything else as it is.
pub(super) fn structured(value: &Value) -> Value {
    let Some(text) = value.as_str().map(str::trim).filter(|text| text.starts_with(['[', '{'])) else {
        return value.clone();
    };
    json::read(text).unwrap_or_else(|_| value.clone())
}

/// Whether a value says "true" in any spelling; everything else is "false", as the tools have it.
pub(super) fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| python::str(value).eq_ignore_ascii_case("true"))
}

fn wrong(name: &str, wanted: &str, value: &Value) -> RequestError {
    let found: String = python::repr(value).chars().take(80).collect();
    RequestError { class: "ToolValidationError", message: format!("`{name}` must be {wanted}, not {found}") }
}
