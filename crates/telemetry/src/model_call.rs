//! A model call's attributes, in the words of the GenAI conventions.

use sluicegate_events::CallEnd;
use sluicegate_model::{ChatReply, Usage};
use sluicegate_value::{Map, Value};

use crate::attributes::{Attributes, Content};
use crate::names;

/// `chat` or `text_completion`, by what the request holds.
pub(crate) fn operation(request: &Value) -> &'static str {
    if request.get("prompt").is_some() && request.get("messages").is_none() { "text_completion" } else { "chat" }
}

/// What was asked: parameters, and with content the messages.
pub(crate) fn describe_request(attributes: &mut Attributes, content: Content, request: &Value) {
    // Parameters stand beside the messages, or in a map of their own.
    let parameter = |name: &str| {
        let found = request.get(name).or_else(|| request.get("parameters")?.get(name));
        found.filter(|value| !value.is_null())
    };
    let number = |name: &str| parameter(name).and_then(Value::as_number);
    let integer = |name: &str| parameter(name).and_then(Value::as_int);
    attributes.set_some(names::REQUEST_TEMPERATURE, number("temperature"));
    attributes.set_some(names::REQUEST_TOP_P, number("top_p"));
    attributes.set_some(names::REQUEST_FREQUENCY_PENALTY, number("frequency_penalty"));
    attributes.set_some(names::REQUEST_PRESENCE_PENALTY, number("presence_penalty"));
    attributes.set_some(names::REQUEST_MAX_TOKENS, integer("max_tokens").or_else(|| integer("max_completion_tokens")));
    attributes.set_some(names::REQUEST_SEED, integer("seed"));
    attributes.set_some(names::REQUEST_CHOICE_COUNT, integer("n").filter(|count| *count != 1));
    let stops: Vec<String> = match parameter("stop") {
        Some(Value::Str(text)) => vec![text.to_string()],
        Some(Value::List(texts)) => texts.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect(),
        _ => Vec::new(),
    };
    if !stops.is_empty() {
        attributes.set_texts(names::REQUEST_STOP_SEQUENCES, stops);
    }
    let format = parameter("response_format").and_then(|format| format.get("type")?.as_str());
    attributes
        .set_some(names::OUTPUT_TYPE, format.map(|format| if format.starts_with("json") { "json" } else { "text" }));
    if content.capture {
        let messages = match (parameter("messages"), parameter("prompt")) {
            (Some(Value::List(messages)), _) => messages.iter().map(|message| told(message, None)).collect(),
            (_, Some(prompt)) => vec![told(&Map::from([("content", prompt.clone())]).into(), None)],
            _ => Vec::new(),
        };
        attributes.set_json(content, names::INPUT_MESSAGES, &Value::from(messages));
        if let Some(tools) = parameter("tools") {
            attributes.set_json(content, names::TOOL_DEFINITIONS, tools);
        }
    }
}

/// What was answered.
pub(crate) fn describe_end(attributes: &mut Attributes, content: Content, end: &CallEnd) {
    let CallEnd::Replied { reply } = end else { return };
    let ChatReply { text, message, finish_reason, model, id, usage, .. } = &**reply;
    attributes.set_some(names::RESPONSE_ID, id.as_deref().map(str::to_owned));
    attributes.set_some(names::RESPONSE_MODEL, model.as_deref().map(str::to_owned));
    if let Some(reason) = finish_reason {
        attributes.set_texts(names::RESPONSE_FINISH_REASONS, vec![reason.to_string()]);
    }
    describe_usage(attributes, usage);
    if content.capture {
        let said = match message {
            Value::Map(_) => message.clone(),
            _ => Map::from([("role", Value::from("assistant")), ("content", text.clone().into())]).into(),
        };
        let told = told(&said, finish_reason.as_deref());
        attributes.set_json(content, names::OUTPUT_MESSAGES, &Value::from(vec![told]));
    }
}

fn describe_usage(attributes: &mut Attributes, usage: &Usage) {
    attributes.set_count(names::USAGE_INPUT_TOKENS, usage.input_tokens);
    attributes.set_count(names::USAGE_OUTPUT_TOKENS, usage.output_tokens);
    attributes.set_count(names::USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_input_tokens);
    attributes.set_count(names::USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning_tokens);
}

/// A message of the chat API as the conventions spell it: a role, and parts with types.
fn told(message: &Value, finish_reason: Option<&str>) -> Value {
    let text_of = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let role = if text_of("role").is_empty() { "user" } else { text_of("role") };
    let content = message.get("content").cloned().unwrap_or_default();
    let mut parts = Vec::new();
    if role == "tool" {
        parts.push(part("tool_call_response", [("id", text_of("tool_call_id").into()), ("response", content)]));
    } else {
        match &content {
            Value::Null => {}
            Value::List(list) => parts.extend(list.iter().map(content_part)),
            other => parts.push(part("text", [("content", other.clone())])),
        }
    }
    for call in message.get("tool_calls").and_then(Value::as_list).unwrap_or_default() {
        let of_function = |name: &str| call.get("function").and_then(|it| it.get(name)).cloned().unwrap_or_default();
        let id = call.get("id").cloned().unwrap_or_default();
        parts.push(part(
            "tool_call",
            [("id", id), ("name", of_function("name")), ("arguments", of_function("arguments"))],
        ));
    }
    let mut told = Map::from([("role", Value::from(role)), ("parts", Value::from(parts))]);
    if let Some(reason) = finish_reason {
        told.insert("finish_reason", reason);
    }
    told.into()
}

fn content_part(item: &Value) -> Value {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    match item.get("type").and_then(Value::as_str) {
        Some("text") => part("text", [("content", text(item.get("text")).into())]),
        Some("image_url") => {
            let address = text(item.get("image_url").and_then(|image| image.get("url")));
            part("uri", [("modality", "image".into()), ("uri", without_data(&address).into())])
        }
        kind => part(kind.unwrap_or("other"), [("content", item.clone())]),
    }
}

/// An image's bytes would fill the whole attribute and show nothing.
fn without_data(address: &str) -> String {
    match address.split_once(";base64,") {
        Some((head, data)) => format!("{head};base64,… ({} characters)", data.len()),
        None => address.to_owned(),
    }
}

fn part<const N: usize>(kind: &str, fields: [(&str, Value); N]) -> Value {
    let mut part = Map::from([("type", kind)]);
    for (name, value) in fields {
        part.insert(name, value);
    }
    part.into()
}
