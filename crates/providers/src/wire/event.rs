//! One event of a stream.

use sluicegate_model::ModelError;
use sluicegate_value::{Map, Value, json};

use super::chat::reply::excerpt;

/// What the data of an event is.
pub(super) enum Event {
    /// Nothing: a server keeps the connection alive.
    Nothing,
    /// `[DONE]`.
    End,
    /// An object.
    Object(Map),
}

/// Reads the data of an event.
pub(super) fn read(data: &[u8]) -> Result<Event, ModelError> {
    let makes_no_sense = |why: &str| ModelError::Malformed {
        message: format!("an event of the stream {why}: {}", excerpt(&String::from_utf8_lossy(data))),
    };
    let text = std::str::from_utf8(data).map_err(|_| makes_no_sense("is not UTF-8"))?.trim();
    match text {
        "" => return Ok(Event::Nothing),
        "[DONE]" => return Ok(Event::End),
        _ => {}
    }
    match json::read(text).map_err(|error| makes_no_sense(&format!("is no JSON ({error})")))? {
        // Nobody else holds it, so this does not copy.
        Value::Map(event) => Ok(Event::Object(std::sync::Arc::unwrap_or_clone(event))),
        _ => Err(makes_no_sense("is not an object")),
    }
}

/// How far a stream came, by the last of its text: ``after `…` ``.
pub(super) fn seen(text: Option<&str>) -> String {
    match text {
        Some(text) if !text.is_empty() => {
            let start = text.char_indices().rev().nth(39).map_or(0, |(start, _)| start);
            format!("after `{}`", excerpt(&text[start..]))
        }
        _ => "before any text".to_owned(),
    }
}
