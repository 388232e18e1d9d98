//! Messages as lists of blocks.

use sluicegate_model::{Content, Message, ModelError, Part};
use sluicegate_value::{Blob, BlobSource, Map, Value, json};

use crate::wire::sendable::cannot_send;

/// The messages of a conversation, none of which is the system's.
pub(super) fn messages<'a>(connection: &str, messages: impl Iterator<Item = &'a Message>) -> Result<Value, ModelError> {
    let unsaid = |what: &str| cannot_send(connection, format!("{what} with Anthropic's messages"));
    let mut all: Vec<(&'static str, Vec<Value>)> = Vec::new();
    let mut after_tool = false;
    for message in messages {
        if message.name.is_some() {
            return Err(unsaid("a message with a `name`"));
        }
        let said = match &message.content {
            None => Vec::new(),
            Some(content) => blocks(connection, content)?,
        };
        let is_tool = &*message.role == "tool";
        match &*message.role {
            "user" => all.push(("user", said)),
            "assistant" => {
                let calls = message.tool_calls.as_ref().and_then(Value::as_list).unwrap_or_default();
                let calls: Option<Vec<Value>> = calls.iter().map(tool_use).collect();
                let calls = calls.ok_or_else(|| unsaid("a tool call whose arguments are no JSON object"))?;
                all.push(("assistant", said.into_iter().chain(calls).collect()));
            }
            "tool" => {
                let id = message.tool_call_id.clone();
                let id = id.ok_or_else(|| unsaid("a tool's message without `tool_call_id`"))?;
                let content: Value = match &message.content {
                    Some(Content::Text(text)) => text.clone().into(),
                    _ => said.into(),
                };
                let result =
                    Map::from([("type", "tool_result".into()), ("tool_use_id", id.into()), ("content", content)]);
                // The results of one turn's calls belong into one message.
                match all.last_mut().filter(|_| after_tool) {
                    Some((_, results)) => results.push(result.into()),
                    None => all.push(("user", vec![result.into()])),
                }
            }
            role => return Err(unsaid(&format!("a message of role `{role}`"))),
        }
        after_tool = is_tool;
    }
    let message =
        |(role, blocks): (&str, Vec<Value>)| Map::from([("role", Value::from(role)), ("content", blocks.into())]);
    Ok(all.into_iter().map(|said| message(said).into()).collect::<Vec<Value>>().into())
}

/// What a message says. A text without a letter is refused by the API, and says nothing.
fn blocks(connection: &str, content: &Content) -> Result<Vec<Value>, ModelError> {
    match content {
        Content::Text(said) if said.is_empty() => Ok(Vec::new()),
        Content::Text(said) => Ok(vec![text(said.clone().into())]),
        Content::Parts(parts) => parts.iter().map(|said| part(connection, said)).collect(),
    }
}

fn part(connection: &str, part: &Part) -> Result<Value, ModelError> {
    let other = match part {
        Part::Text(said) => return Ok(text(said.clone().into())),
        Part::Image { image, .. } => return Ok(with_source("image", image_source(image))),
        Part::Other(other) => other,
    };
    let kind = other.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "text" => Ok(text(other.get("text").cloned().unwrap_or_default())),
        "image_url" => {
            let image = other.get("image_url");
            let address = image.and_then(|image| image.get("url").or(Some(image))).and_then(Value::as_str);
            Ok(with_source("image", address_source(address.unwrap_or_default())))
        }
        "file" => match other.get("file").and_then(|file| file.get("file_data")).and_then(Value::as_str) {
            Some(data) => Ok(with_source("document", address_source(data))),
            None => Err(cannot_send(connection, "a file without `file_data` with Anthropic's messages")),
        },
        "input_audio" => Err(cannot_send(connection, "sound with Anthropic's messages")),
        // A block of Anthropic's own.
        _ => Ok(other.clone()),
    }
}

fn text(text: Value) -> Value {
    Map::from([("type", "text".into()), ("text", text)]).into()
}

fn with_source(kind: &str, source: Map) -> Value {
    Map::from([("type", Value::from(kind)), ("source", source.into())]).into()
}

fn image_source(image: &Blob) -> Map {
    match (&image.source, image.to_base64()) {
        (BlobSource::Url(address), _) => address_source(address),
        (_, bytes) => base64_source(&image.mime, bytes.unwrap_or_default()),
    }
}

/// The source at an address, which may hold the bytes itself (`data:`).
fn address_source(address: &str) -> Map {
    let data = address.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
    match data {
        Some((mime, bytes)) => base64_source(mime, bytes.to_owned()),
        None => Map::from([("type", "url"), ("url", address)]),
    }
}

fn base64_source(mime: &str, bytes: String) -> Map {
    Map::from([("type", "base64".into()), ("media_type", mime.into()), ("data", Value::from(bytes))])
}

/// A tool call as a block; `None` if its arguments are no JSON object.
fn tool_use(call: &Value) -> Option<Value> {
    let function = call.get("function")?;
    let arguments = function.get("arguments").and_then(Value::as_str).unwrap_or_default();
    let input = match arguments.trim() {
        "" => Map::new().into(),
        text => json::read(text).ok().filter(|input| input.as_map().is_some())?,
    };
    let field = |value: Option<&Value>| value.cloned().unwrap_or_default();
    Some(
        Map::from([
            ("type", "tool_use".into()),
            ("id", field(call.get("id"))),
            ("name", field(function.get("name"))),
            ("input", input),
        ])
        .into(),
    )
}
