//! From a body to a reply.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError, Usage};
use sluicegate_value::{Map, Value};

/// Reads a whole reply. A completion's choice has a `text` where a conversation's has a `message`; its message is made
/// of that text, as an assistant's.
pub(crate) fn read(body: Value) -> Result<ChatReply, ModelError> {
    let Some(choice) = body.get("choices").and_then(Value::as_list).and_then(|choices| choices.first()) else {
        return Err(malformed("has no `choices`", &body));
    };
    let (text, message) = match (choice.get("message"), choice.get("text")) {
        (Some(message @ Value::Map(_)), _) => (message.get("content").and_then(plain_text), message.clone()),
        (_, Some(Value::Str(text))) => {
            let message = Map::from([("role", Value::from("assistant")), ("content", Value::from(text.clone()))]);
            (Some(text.clone()), Value::from(message))
        }
        _ => return Err(malformed("has a choice with neither `message` nor `text`", &body)),
    };
    let word = |value: Option<&Value>| match value {
        Some(Value::Str(text)) => Some(text.clone()),
        _ => None,
    };
    let refusal = refusal(&message);
    Ok(ChatReply {
        text,
        message,
        finish_reason: word(choice.get("finish_reason")),
        model: word(body.get("model")),
        id: word(body.get("id")),
        usage: usage(body.get("usage")),
        filter: crate::filter::of_reply(&body),
        refusal,
        body,
    })
}

/// The text of a message's content; some servers send it as a list of parts.
fn plain_text(content: &Value) -> Option<Arc<str>> {
    match content {
        Value::Str(text) => Some(text.clone()),
        Value::List(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            (!texts.is_empty()).then(|| texts.concat().into())
        }
        _ => None,
    }
}

/// The words in which the model refused to answer: beside the content, a part of it, or where a gateway puts what it does
/// not know.
fn refusal(message: &Value) -> Option<Arc<str>> {
    let parts = message.get("content").and_then(Value::as_list).unwrap_or_default();
    let said = std::iter::once(message).chain(parts).filter_map(|said| said.get("refusal")?.as_str());
    let words: String = said.collect();
    let elsewhere = || message.get("provider_specific_fields")?.get("refusal")?.as_str();
    let words = if words.is_empty() { elsewhere().unwrap_or_default() } else { &words };
    (!words.is_empty()).then(|| words.into())
}

fn usage(value: Option<&Value>) -> Usage {
    let count = |value: Option<&Value>| u64::try_from(value?.as_int()?).ok();
    let Some(usage) = value else { return Usage::default() };
    let detail = |group: &str, name: &str| count(usage.get(group)?.get(name));
    Usage {
        input_tokens: count(usage.get("prompt_tokens")),
        output_tokens: count(usage.get("completion_tokens")),
        cached_input_tokens: detail("prompt_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
    }
}

/// A reply that makes no sense, with the beginning of it.
pub(crate) fn malformed(what: &str, body: &Value) -> ModelError {
    ModelError::Malformed { message: format!("it {what}: {}", excerpt(&body.to_json())) }
}

/// The beginning of a text, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        // One more than there may be, so that what is cut is seen to be.
        short.extend(word.chars().take(201));
        if let Some((end, _)) = short.char_indices().nth(200) {
            short.truncate(end);
            short.push('…');
            break;
        }
    }
    short
}
