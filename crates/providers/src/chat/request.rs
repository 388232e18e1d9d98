//! From a request to a body.

use sluicegate_model::{ChatRequest, Content, ModelError, Part, Prompt};
use sluicegate_value::{Map, Value};

/// Writes the body of a request.
///
/// `stream` stands in it when the reply shall come in pieces, or when the parameters name it: prompt flow's llm nodes
/// always send it, its prompties do not. `stream_options` is the caller's affair, since the original sends none, unless
/// `stream_usage` asks for token counts.
pub(crate) fn body(request: &ChatRequest, connection: &str, stream_usage: bool) -> Result<String, ModelError> {
    let mut body = Map::new();
    body.insert("model", request.model.clone());
    if request.stream || request.parameters.contains_key("stream") {
        body.insert("stream", request.stream);
    }
    match &request.prompt {
        Prompt::Text(text) => {
            body.insert("prompt", text.clone());
        }
        Prompt::Messages(messages) => {
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
            body.insert("messages", messages.iter().map(sluicegate_model::Message::to_value).collect::<Vec<_>>());
        }
    }
    for (name, value) in &request.parameters {
        if !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    if request.stream && stream_usage && !body.contains_key("stream_options") {
        body.insert("stream_options", Map::from([("include_usage", true)]));
    }
    let body = Value::from(body);
    match unsendable(&body) {
        Some((path, what)) => Err(cannot_send(connection, &format!("{what} in a request (`{path}`)"))),
        None => Ok(body.to_json()),
    }
}

fn cannot_send(connection: &str, what: &str) -> ModelError {
    ModelError::Unsupported { connection: connection.to_owned(), what: what.to_owned() }
}

/// The first thing in `value` that JSON has no words for, and where it stands.
fn unsendable(value: &Value) -> Option<(String, &'static str)> {
    match value {
        Value::Float(number) if !number.is_finite() => Some((String::new(), "`NaN` or an infinity")),
        Value::Handle(_) => Some((String::new(), "a Python object")),
        Value::List(items) => items.iter().enumerate().find_map(|(index, item)| {
            let (path, what) = unsendable(item)?;
            Some((format!("[{index}]{path}"), what))
        }),
        Value::Map(map) => map.iter().find_map(|(key, item)| {
            let (path, what) = unsendable(item)?;
            let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            Some((format!("{key}{dot}{path}"), what))
        }),
        _ => None,
    }
}
