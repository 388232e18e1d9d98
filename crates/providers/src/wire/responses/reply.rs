//! From a response to a reply, spelled as chat completions spell it.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError, Usage};
use sluicegate_value::{Map, Value};

use crate::wire::chat::reply::malformed;

/// Reads a whole response.
pub(crate) fn read(body: Value) -> Result<ChatReply, ModelError> {
    let word = |name: &str| body.get(name).and_then(Value::as_str).map(Arc::<str>::from);
    let Some(output) = body.get("output").and_then(Value::as_list) else {
        return Err(malformed("has no `output`", &body));
    };
    let said = Said::of(output);
    let incomplete = body.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Value::as_str);
    let finish_reason: Arc<str> = match (word("status").as_deref(), incomplete) {
        (Some("completed") | None, _) if !said.calls.is_empty() => "tool_calls".into(),
        (Some("completed") | None, _) => "stop".into(),
        (Some("incomplete"), Some("max_output_tokens") | None) => "length".into(),
        (Some("incomplete"), Some(reason)) => reason.into(),
        (Some(status), _) => return Err(malformed(&format!("is a response that is `{status}`"), &body)),
    };
    let text: Option<Arc<str>> = said.text.map(Into::into);
    let refusal: Option<Arc<str>> = (!said.refusal.is_empty()).then(|| said.refusal.into());
    let mut message = Map::from([("role", Value::from("assistant")), ("content", text.clone().into())]);
    if let Some(refusal) = &refusal {
        message.insert("refusal", refusal.clone());
    }
    if !said.calls.is_empty() {
        message.insert("tool_calls", said.calls);
    }
    let filter = crate::filter::of_reply(&body);
    Ok(ChatReply {
        text,
        message: message.into(),
        finish_reason: Some(finish_reason),
        model: word("model"),
        id: word("id"),
        usage: usage(body.get("usage")),
        filter,
        refusal,
        body,
    })
}

/// What the items of an output say together.
#[derive(Default)]
struct Said {
    text: Option<String>,
    refusal: String,
    calls: Vec<Value>,
}

impl Said {
    fn of(output: &[Value]) -> Self {
        let mut said = Self::default();
        for item in output {
            match item.get("type").and_then(Value::as_str) {
                Some("message") => said.message(item),
                Some("function_call") => said.call(item, "function", "arguments"),
                Some("custom_tool_call") => said.call(item, "custom", "input"),
                // Reasoning, and what the service did by itself, such as a search: they stay in the body.
                _ => {}
            }
        }
        said
    }

    fn message(&mut self, item: &Value) {
        for part in item.get("content").and_then(Value::as_list).unwrap_or_default() {
            if let Some(text) = part.get("text").and_then(Value::as_str) {
                self.text.get_or_insert_default().push_str(text);
            }
            if let Some(refusal) = part.get("refusal").and_then(Value::as_str) {
                self.refusal.push_str(refusal);
            }
        }
    }

    fn call(&mut self, item: &Value, kind: &str, argument: &str) {
        let field = |name: &str| item.get(name).cloned().unwrap_or_default();
        let id = item.get("call_id").or_else(|| item.get("id")).cloned().unwrap_or_default();
        let called = Map::from([("name", field("name")), (argument, field(argument))]);
        self.calls.push(Map::from([("id", id), ("type", kind.into()), (kind, called.into())]).into());
    }
}

fn usage(value: Option<&Value>) -> Usage {
    let count = |value: Option<&Value>| u64::try_from(value?.as_int()?).ok();
    let Some(usage) = value else { return Usage::default() };
    let detail = |group: &str, name: &str| count(usage.get(group)?.get(name));
    Usage {
        input_tokens: count(usage.get("input_tokens")),
        output_tokens: count(usage.get("output_tokens")),
        cached_input_tokens: detail("input_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("output_tokens_details", "reasoning_tokens"),
    }
}
