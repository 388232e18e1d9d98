//! From a request to a body.

use sluicegate_model::{ChatRequest, Message, ModelError, Prompt};
use sluicegate_value::Map;

use crate::wire::sendable;

/// Writes the body of a request.
///
/// `stream` stands in it when the reply shall come in pieces, or when the parameters name it: prompt flow's llm nodes
/// always send it, its prompties do not. `stream_options` is the caller's affair, since the original sends none, unless
/// `stream_usage` asks for token counts.
pub(crate) fn body(request: &ChatRequest, connection: &str, stream_usage: bool) -> Result<String, ModelError> {
    let mut body = Map::new();
    // A serverless endpoint serves one model, which need not be named.
    if !request.model.is_empty() {
        body.insert("model", request.model.clone());
    }
    if request.stream || request.parameters.contains_key("stream") {
        body.insert("stream", request.stream);
    }
    match &request.prompt {
        Prompt::Text(text) => {
            body.insert("prompt", text.clone());
        }
        Prompt::Messages(messages) => {
            sendable::check_images(connection, messages)?;
            body.insert("messages", messages.iter().map(Message::to_value).collect::<Vec<_>>());
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
    sendable::to_json(connection, body)
}
