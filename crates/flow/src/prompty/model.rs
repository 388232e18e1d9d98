//! The model of a prompty, from its front matter.

use std::sync::Arc;

use sluicegate_value::{Map, Value, python};

use super::{PromptyModel, ResponseFormat, Version, options};

/// The model that front matter names. What is not there, or not what it should be, is left out: `check` has told.
pub(super) fn of(version: Version, front: &Map) -> PromptyModel {
    match version {
        Version::V1 => first(front),
        Version::V2 => second(front),
    }
}

fn first(front: &Map) -> PromptyModel {
    let model = map(front.get("model"));
    let configuration = map(model.get("configuration"));
    PromptyModel {
        api: text(model.get("api")).unwrap_or_else(|| "chat".into()),
        provider: text(configuration.get("type")),
        deployment: text(configuration.get("azure_deployment")).or_else(|| text(configuration.get("model"))),
        connection: text(configuration.get("connection")),
        parameters: map(model.get("parameters")),
        response: match model.get("response").and_then(Value::as_str) {
            Some("all") => ResponseFormat::All,
            _ => ResponseFormat::First,
        },
        configuration,
    }
}

fn second(front: &Map) -> PromptyModel {
    let model = match front.get("model") {
        // `model: gpt-4o` is short for `model: {id: gpt-4o}`.
        Some(Value::Str(id)) => Map::from([("id", id.clone())]),
        other => map(other),
    };
    let configuration = map(model.get("connection"));
    let is_reference = configuration.get("kind").and_then(Value::as_str) == Some("reference");
    let api = text(model.get("apiType")).unwrap_or_else(|| "chat".into());
    PromptyModel {
        provider: text(model.get("provider")),
        deployment: text(model.get("id")),
        connection: is_reference.then(|| text(configuration.get("name"))).flatten(),
        parameters: options::parameters(&api, &map(model.get("options")), front),
        response: ResponseFormat::Lenient,
        api,
        configuration,
    }
}

fn map(value: Option<&Value>) -> Map {
    value.and_then(Value::as_map).cloned().unwrap_or_default()
}

/// A name; a number that YAML made of one is text again.
fn text(value: Option<&Value>) -> Option<Arc<str>> {
    match value? {
        Value::Str(text) if text.is_empty() => None,
        Value::Str(text) => Some(text.clone()),
        number @ (Value::Int(_) | Value::Float(_)) => Some(python::str(number).into()),
        _ => None,
    }
}
