//! What can go over the wire at all.

use sluicegate_model::{Content, Message, ModelError, Part};
use sluicegate_value::{Map, Value};

/// The error that a format, or JSON, has no words for something.
pub(super) fn cannot_send(connection: &str, what: impl Into<String>) -> ModelError {
    ModelError::Unsupported { connection: connection.to_owned(), what: what.into() }
}

/// Refuses images whose bytes are not here.
pub(super) fn check_images(connection: &str, messages: &[Message]) -> Result<(), ModelError> {
    let parts = messages.iter().filter_map(|message| match &message.content {
        Some(Content::Parts(parts)) => Some(parts),
        _ => None,
    });
    for part in parts.flatten() {
        if let Part::Image { image, .. } = part
            && image.to_data_url().is_none()
        {
            return Err(cannot_send(connection, "an image whose bytes are elsewhere"));
        }
    }
    Ok(())
}

/// A body as text, unless JSON cannot say it.
pub(super) fn to_json(connection: &str, body: Map) -> Result<String, ModelError> {
    let body = Value::from(body);
    match unsendable(&body) {
        Some((path, what)) => Err(cannot_send(connection, format!("{what} in a request (`{path}`)"))),
        None => Ok(body.to_json()),
    }
}

/// The first thing in `value` that JSON has no words for, and where it stands.
fn unsendable(value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::Float(number) if !number.is_finite() => Some((String::new(), "`NaN` or an infinity")),
        Value::Handle(_) => Some((String::new(), "a Python object")),
        Value::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            let (path, what) = unsendable(item)?;
            let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            Some((format!("[{index}]{dot}{path}"), what))
        }),
        Value::Map(map) => map.iter().find_map(|(key, item)| {
            let (path, what) = unsendable(item)?;
            let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            Some((format!("{key}{dot}{path}"), what))
        }),
        _ => None,
    }
}
