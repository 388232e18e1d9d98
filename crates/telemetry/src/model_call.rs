//! A model call's attributes, in the words of the GenAI conventions.

use opentelemetry::KeyValue;
use sluicegate_events::{CallEnd, Operation};
use sluicegate_model::{Adaptation, ChatReply, EmbeddingReply, Filter, Usage};
use sluicegate_value::{Map, Value};

use crate::attributes::{Attributes, Content, cut};
use crate::names;

/// OpenInference's word for the span of a call.
pub(crate) fn span_kind(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat | Operation::TextCompletion => "LLM",
        Operation::Embeddings => "EMBEDDING",
    }
}

/// What a call was, by its end alone.
pub(crate) fn operation_of(end: &CallEnd) -> Operation {
    match end {
        CallEnd::Embedded { .. } => Operation::Embeddings,
        CallEnd::Replied { .. } | CallEnd::Failed { .. } | CallEnd::Cancelled => Operation::Chat,
    }
}

/// What was asked: parameters, and with content the messages or texts.
pub(crate) fn describe_request(attributes: &mut Attributes, content: Content, operation: Operation, request: &Value) {
    // Parameters stand beside the messages, or in a map of their own. They are few: a search is faster than a look-up.
    let beside = request.as_map().into_iter().flat_map(Map::iter);
    let own = request.get("parameters").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let all: Vec<(&str, &Value)> = beside.chain(own).map(|(name, value)| (&**name, value)).collect();
    let parameter = |name: &str| {
        let found = all.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        found.filter(|value| !value.is_null())
    };
    let number = |name: &str| parameter(name).and_then(Value::as_number);
    let integer = |name: &str| parameter(name).and_then(Value::as_int);
    if operation == Operation::Embeddings {
        attributes.set_some(names::EMBEDDINGS_DIMENSION_COUNT, integer("dimensions"));
        let format = parameter("encoding_format").and_then(Value::as_str);
        if let Some(format) = format {
            attributes.set_texts(names::REQUEST_ENCODING_FORMATS, vec![format.to_owned()]);
        }
        if let Some(input) = parameter("input") {
            attributes.set_content(content, (names::INPUT_VALUE, names::INPUT_MIME_TYPE), input);
        }
        return;
    }
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
    match end {
        CallEnd::Replied { reply } => describe_reply(attributes, content, reply),
        CallEnd::Embedded { reply } => {
            // The vectors themselves tell nobody anything.
            let EmbeddingReply { vectors, model, usage } = &**reply;
            attributes.set_some(names::RESPONSE_MODEL, model.as_deref().map(str::to_owned));
            attributes.set_count(names::EMBEDDINGS_DIMENSION_COUNT, vectors.first().map(|vector| vector.len() as u64));
            describe_usage(attributes, usage);
        }
        CallEnd::Failed { .. } | CallEnd::Cancelled => {}
    }
}

fn describe_reply(attributes: &mut Attributes, content: Content, reply: &ChatReply) {
    let ChatReply { text, message, finish_reason, model, id, usage, filter, refusal: _, body: _ } = reply;
    attributes.set_some(names::RESPONSE_ID, id.as_deref().map(str::to_owned));
    attributes.set_some(names::RESPONSE_MODEL, model.as_deref().map(str::to_owned));
    if let Some(reason) = finish_reason {
        attributes.set_texts(names::RESPONSE_FINISH_REASONS, vec![reason.to_string()]);
    }
    if let Some(filter) = filter {
        describe_filter(attributes, filter);
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

fn describe_filter(attributes: &mut Attributes, filter: &Filter) {
    attributes.set(names::FILTER_STATE, filter.state.word());
    let mut categories: Vec<String> = Vec::new();
    for finding in &filter.findings {
        if !categories.iter().any(|known| **known == *finding.category) {
            categories.push(finding.category.to_string());
        }
    }
    if !categories.is_empty() {
        attributes.set_texts(names::FILTER_CATEGORIES, categories);
    }
}

/// The attributes of the event of a parameter that the endpoint refused.
pub(crate) fn adaptation(content: Content, parameter: &str, adaptation: &Adaptation, message: &str) -> Vec<KeyValue> {
    let mut attributes = Attributes::default();
    attributes.set(names::ADAPTATION_PARAMETER, parameter.to_owned());
    match adaptation {
        Adaptation::Renamed(name) => attributes.set(names::ADAPTATION_RENAMED_TO, name.to_string()),
        Adaptation::Dropped => {}
        Adaptation::ValueDropped(value) if content.capture => {
            attributes.set(names::ADAPTATION_VALUE, cut(value, content.limit));
        }
        Adaptation::ValueDropped(_) => {}
    }
    if content.capture {
        attributes.set(names::ADAPTATION_MESSAGE, cut(message, content.limit));
    }
    attributes.0
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
    if let Some(refusal) = message.get("refusal").filter(|refusal| !refusal.is_null()) {
        parts.push(part("refusal", [("content", refusal.clone())]));
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
