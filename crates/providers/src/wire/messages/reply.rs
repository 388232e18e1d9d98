//! From a message to a reply, spelled as chat completions spell it.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError, Usage};
use sluicegate_value::{Map, Value};

use crate::wire::chat::reply::malformed;

/// Reads a whole message.
pub(crate) fn read(body: Value) -> Result<ChatReply, ModelError> {
    let word = |name: &str| body.get(name).and_then(Value::as_str).map(Arc::<str>::from);
    let Some(blocks) = body.get("content").and_then(Value::as_list) else {
        return Err(malformed("has no `content`", &body));
    };
    let texts = |kind: &str, field: &str| -> Option<Arc<str>> {
        let of_kind = blocks.iter().filter(|block| block.get("type").and_then(Value::as_str) == Some(kind));
        let texts: Vec<&str> = of_kind.filter_map(|block| block.get(field)?.as_str()).collect();
        (!texts.is_empty()).then(|| texts.concat().into())
    };
    let calls: Vec<Value> = blocks.iter().filter_map(call).collect();
    let stop_reason = word("stop_reason");
    let finish_reason: Option<Arc<str>> = stop_reason.as_deref().map(|reason| match reason {
        "end_turn" | "stop_sequence" => "stop".into(),
        "max_tokens" | "model_context_window_exceeded" => "length".into(),
        "tool_use" => "tool_calls".into(),
        "refusal" => "content_filter".into(),
        other => other.into(),
    });
    let said = texts("text", "text");
    let (text, refusal) = match stop_reason.as_deref() {
        // What was said before it was stopped is no answer.
        Some("refusal") => (None, Some(refusal(&body, said))),
        _ => (said, None),
    };
    let mut message = Map::from([("role", Value::from("assistant")), ("content", text.clone().into())]);
    if let Some(refusal) = &refusal {
        message.insert("refusal", refusal.clone());
    }
    if let Some(thought) = texts("thinking", "thinking") {
        // As other services spell it.
        message.insert("reasoning_content", thought);
    }
    if !calls.is_empty() {
        message.insert("tool_calls", calls);
    }
    Ok(ChatReply {
        text,
        message: message.into(),
        finish_reason,
        model: word("model"),
        id: word("id"),
        usage: usage(body.get("usage")),
        filter: None,
        refusal,
        body,
    })
}

/// In which words the model refused: the service's explanation, else what the model said last.
fn refusal(body: &Value, said: Option<Arc<str>>) -> Arc<str> {
    let details = body.get("stop_details");
    let words = |name: &str| {
        let words = details?.get(name)?.as_str()?;
        (!words.trim().is_empty()).then(|| Arc::<str>::from(words))
    };
    words("explanation")
        .or(said.filter(|said| !said.trim().is_empty()))
        .or_else(|| words("category"))
        .unwrap_or_else(|| "it said no more".into())
}

fn call(block: &Value) -> Option<Value> {
    if block.get("type").and_then(Value::as_str) != Some("tool_use") {
        return None;
    }
    let arguments = match block.get("input") {
        // Arguments that broke off in the middle of a stream.
        Some(Value::Str(text)) => text.to_string(),
        Some(Value::Null) | None => "{}".to_owned(),
        Some(input) => input.to_json(),
    };
    let name = block.get("name").cloned().unwrap_or_default();
    let function = Map::from([("name", name), ("arguments", arguments.into())]);
    let id = block.get("id").cloned().unwrap_or_default();
    Some(Map::from([("id", id), ("type", "function".into()), ("function", function.into())]).into())
}

/// Tokens that were cached, or are from now on, stand beside those of the request and not among them.
fn usage(value: Option<&Value>) -> Usage {
    let Some(usage) = value else { return Usage::default() };
    let count = |name: &str| u64::try_from(usage.get(name)?.as_int()?).ok();
    let cached = count("cache_read_input_tokens");
    let beside = cached.unwrap_or_default().saturating_add(count("cache_creation_input_tokens").unwrap_or_default());
    Usage {
        input_tokens: count("input_tokens").map(|fresh| fresh.saturating_add(beside)),
        output_tokens: count("output_tokens"),
        cached_input_tokens: cached,
        reasoning_tokens: None,
    }
}
