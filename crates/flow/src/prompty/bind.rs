//! The inputs of a render.

use std::sync::Arc;

use sluicegate_value::{Blob, Map, Value};

use crate::template::Binding;

use super::{BindingError, PromptyFile, PromptyInput, Version, strict};

/// The kind of version 2's inputs that hold a conversation.
pub(super) const THREAD: &str = "thread";

pub(super) fn bindings(prompty: &PromptyFile, given: &Map) -> Result<Vec<Binding>, BindingError> {
    let given = match &prompty.sample {
        Some(sample) if given.is_empty() => sample,
        _ => given,
    };
    if prompty.inputs.is_empty() {
        // Nothing is declared, so nothing is unknown.
        return Ok(given.iter().map(|(name, value)| binding(prompty.version, name, None, value)).collect());
    }
    let mut bindings = Vec::with_capacity(prompty.inputs.len());
    let mut missing = Vec::new();
    let mut forged = None;
    for PromptyInput { name, kind, default, required, strict, .. } in &prompty.inputs {
        let value = given.get(name).or(default.as_ref());
        if let Some((line, role)) = value.filter(|_| *strict && forged.is_none()).and_then(strict::role_in) {
            forged = Some(BindingError::StrictViolation { input: name.clone(), role, line });
        }
        match value {
            Some(value) => bindings.push(binding(prompty.version, name, kind.as_deref(), value)),
            None if *required => missing.push(name.clone()),
            None if is_thread(prompty.version, kind.as_deref()) => {
                bindings.push(binding(prompty.version, name, kind.as_deref(), &Value::empty_list()));
            }
            None => {}
        }
    }
    match forged {
        _ if !missing.is_empty() => Err(BindingError::Missing { names: missing }),
        Some(forged) => Err(forged),
        None => Ok(bindings),
    }
}

pub(super) fn is_thread(version: Version, kind: Option<&str>) -> bool {
    version == Version::V2 && kind == Some(THREAD)
}

fn binding(version: Version, name: &Arc<str>, kind: Option<&str>, value: &Value) -> Binding {
    let value = match (version, kind) {
        (Version::V1, _) => with_images(value),
        (Version::V2, Some(THREAD)) => thread(value),
        (Version::V2, Some("image")) => value.as_str().and_then(image_address).unwrap_or_else(|| value.clone()),
        (Version::V2, _) => value.clone(),
    };
    Binding::data(name.clone(), value)
}

/// The form by which a template knows a conversation: it prints a placeholder, not the turns.
fn thread(value: &Value) -> Value {
    if value.get("_kind").and_then(Value::as_str) == Some(THREAD) {
        return value.clone();
    }
    let turns = match value {
        Value::Map(map) => map.get("messages").cloned().unwrap_or_else(Value::empty_list),
        other => other.clone(),
    };
    Map::from([("_kind", Value::from(THREAD)), ("messages", turns)]).into()
}

/// The value with version 1's image texts, `data:image/png;base64:…` and `data:image/png;url:…`, replaced at any
/// depth. Images given by path stay text: a path in data would make any file of the machine a part of the prompt.
fn with_images(value: &Value) -> Value {
    match value {
        Value::Str(text) => image_text(text).unwrap_or_else(|| value.clone()),
        Value::List(items) if items.iter().any(may_hold_image) => {
            items.iter().map(with_images).collect::<Vec<_>>().into()
        }
        Value::Map(map) if map.values().any(may_hold_image) => {
            map.iter().map(|(key, item)| (key.clone(), with_images(item))).collect::<Map>().into()
        }
        other => other.clone(),
    }
}

fn may_hold_image(value: &Value) -> bool {
    match value {
        Value::Str(text) => text.starts_with("data:image/"),
        Value::List(items) => items.iter().any(may_hold_image),
        Value::Map(map) => map.values().any(may_hold_image),
        _ => false,
    }
}

fn image_text(text: &str) -> Option<Value> {
    let (mime, content) = text.strip_prefix("data:").filter(|rest| rest.starts_with("image/"))?.split_once(';')?;
    if let Some(url) = content.strip_prefix("url:") {
        return Some(Value::Blob(Arc::new(Blob::from_url(mime, url))));
    }
    let image = Blob::from_base64(mime, content.strip_prefix("base64:")?).ok()?;
    Some(Value::Blob(Arc::new(image)))
}

/// An image of version 2: an address, or a data address.
fn image_address(text: &str) -> Option<Value> {
    if text.starts_with("https://") || text.starts_with("http://") {
        return Some(Value::Blob(Arc::new(Blob::from_url("image/*", text))));
    }
    let (mime, content) = text.strip_prefix("data:")?.split_once(";base64,")?;
    Some(Value::Blob(Arc::new(Blob::from_base64(mime, content).ok()?)))
}
