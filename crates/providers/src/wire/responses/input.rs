//! Messages as items of the input.

use sluicegate_model::{Content, Message, ModelError, Part};
use sluicegate_value::{Map, Value};

use crate::wire::sendable::cannot_send;

/// The items of a conversation: a message is one; an assistant's has one more for each tool call, and a tool's is the
/// call's output.
pub(super) fn items(connection: &str, messages: &[Message]) -> Result<Value, ModelError> {
    let unsaid = |what: &str| cannot_send(connection, format!("{what} with the responses API (say `api: chat`)"));
    let mut items: Vec<Value> = Vec::with_capacity(messages.len());
    for message in messages {
        if message.name.is_some() && &*message.role != "function" {
            return Err(unsaid("a message with a `name`"));
        }
        match &*message.role {
            "function" => return Err(unsaid("a message of role `function`")),
            "tool" => {
                let id = message.tool_call_id.clone();
                let id = id.ok_or_else(|| unsaid("a tool's message without `tool_call_id`"))?;
                let mut output = Map::from([("type", Value::from("function_call_output")), ("call_id", id.into())]);
                output
                    .insert("output", message.content.as_ref().map_or_else(|| "".into(), |said| content("tool", said)));
                items.push(output.into());
            }
            role => {
                let calls = message.tool_calls.as_ref().and_then(Value::as_list).unwrap_or_default();
                let says_something = match &message.content {
                    None => false,
                    Some(Content::Text(text)) => !text.is_empty() || calls.is_empty(),
                    Some(Content::Parts(parts)) => !parts.is_empty() || calls.is_empty(),
                };
                if let (true, Some(said)) = (says_something, &message.content) {
                    items.push(Map::from([("role", role.into()), ("content", content(role, said))]).into());
                }
                items.extend(calls.iter().map(call));
            }
        }
    }
    Ok(items.into())
}

/// What a message says: one text stays a text.
fn content(role: &str, content: &Content) -> Value {
    match content {
        Content::Text(text) => text.clone().into(),
        Content::Parts(parts) => parts.iter().map(|said| part(role, said)).collect::<Vec<_>>().into(),
    }
}

fn part(role: &str, part: &Part) -> Value {
    let text_type = if role == "assistant" { "output_text" } else { "input_text" };
    let text = |text: Value| Map::from([("type", Value::from(text_type)), ("text", text)]).into();
    match part {
        Part::Text(said) => text(said.clone().into()),
        Part::Image { image, detail } => {
            let mut map = Map::from([("type", Value::from("input_image")), ("image_url", image.to_data_url().into())]);
            if !detail.is_empty() {
                map.insert("detail", detail.clone());
            }
            map.into()
        }
        Part::Other(other) => match (other.get("type").and_then(Value::as_str), other) {
            (Some("text"), _) => text(other.get("text").cloned().unwrap_or_default()),
            (Some("image_url"), _) => {
                let mut map = Map::from([("type", "input_image")]);
                match other.get("image_url") {
                    Some(Value::Map(image)) => {
                        for (name, value) in image.iter() {
                            map.insert(if &**name == "url" { "image_url" } else { &**name }, value.clone());
                        }
                    }
                    address => {
                        map.insert("image_url", address.cloned());
                    }
                }
                map.into()
            }
            (Some("file"), _) => {
                let mut map = Map::from([("type", "input_file")]);
                for (name, value) in other.get("file").and_then(Value::as_map).into_iter().flatten() {
                    map.insert(name.clone(), value.clone());
                }
                map.into()
            }
            _ => other.clone(),
        },
    }
}

/// A tool call as an item.
fn call(call: &Value) -> Value {
    let custom = call.get("custom");
    let (kind, said, argument) = match custom {
        Some(custom) => ("custom_tool_call", Some(custom), "input"),
        None => ("function_call", call.get("function"), "arguments"),
    };
    let field = |name: &str| said.and_then(|said| said.get(name)).cloned().unwrap_or_else(|| "".into());
    Map::from([
        ("type", kind.into()),
        ("call_id", call.get("id").cloned().unwrap_or_default()),
        ("name", field("name")),
        (argument, field(argument)),
    ])
    .into()
}
