//! What an endpoint answered, as the original's trace recorded it, becomes a reply again.

use std::sync::Arc;

use sluicegate_model::{ChatReply, EmbeddingReply, ModelError, Usage};
use sluicegate_value::{Map, Value};

use super::recorded::RecordedCall;

/// The recorded answer to a conversation or a completion: a body, or the pieces of a streamed one.
pub(super) fn chat(call: &RecordedCall) -> Result<ChatReply, ModelError> {
    if let Some(error) = &call.error {
        return Err(failed(error));
    }
    let body = match &call.output {
        Value::List(pieces) => whole(pieces),
        body => body.clone(),
    };
    let choice = body.get("choices").and_then(Value::as_list).and_then(|choices| choices.first());
    let Some(choice) = choice else {
        return Err(ModelError::Malformed { message: "the recorded reply has no `choices`".to_owned() });
    };
    let (text, message) = match (choice.get("message"), choice.get("text")) {
        (Some(message @ Value::Map(_)), _) => {
            let content = message.get("content");
            (content.and_then(text_of), without_nulls(message))
        }
        (_, Some(Value::Str(text))) => {
            let message = Map::from([("role", Value::from("assistant")), ("content", Value::from(text.clone()))]);
            (Some(text.clone()), message.into())
        }
        _ => {
            let message = "the recorded reply has a choice with neither `message` nor `text`".to_owned();
            return Err(ModelError::Malformed { message });
        }
    };
    let refusal = message.get("refusal").and_then(text_of);
    Ok(ChatReply {
        text,
        message,
        finish_reason: choice.get("finish_reason").and_then(text_of),
        model: body.get("model").and_then(text_of),
        id: body.get("id").and_then(text_of),
        usage: usage(body.get("usage")),
        filter: None,
        refusal,
        body,
    })
}

/// The recorded vectors.
pub(super) fn embedding(call: &RecordedCall) -> Result<EmbeddingReply, ModelError> {
    if let Some(error) = &call.error {
        return Err(failed(error));
    }
    let vector = |item: &Value| {
        let numbers = item.get("embedding")?.as_list()?;
        let index = item.get("index").and_then(Value::as_int).unwrap_or_default();
        Some((index, numbers.iter().map(Value::as_number).collect::<Option<Vec<f64>>>()?))
    };
    let items = call.output.get("data").and_then(Value::as_list).unwrap_or_default();
    let vectors: Option<Vec<(i64, Vec<f64>)>> = items.iter().map(vector).collect();
    let mut vectors = vectors.filter(|vectors| !vectors.is_empty()).ok_or_else(|| ModelError::Malformed {
        message: "the recording does not hold the vectors themselves".to_owned(),
    })?;
    vectors.sort_by_key(|(index, _)| *index);
    Ok(EmbeddingReply {
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        model: call.output.get("model").and_then(text_of),
        usage: usage(call.output.get("usage")),
    })
}

/// A call that failed then fails now, and is not tried again.
fn failed(error: &Value) -> ModelError {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("it failed").to_owned();
    // "Error code: 400 - {…}", as the openai package words it.
    let status = message.strip_prefix("Error code: ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
    ModelError::Rejected { status: status.unwrap_or(400), message, parameter: None }
}

/// A whole body of the pieces of a stream: texts joined, tool calls put together by their index.
fn whole(pieces: &[Value]) -> Value {
    let mut body = Map::new();
    let mut message = Map::from([("role", Value::from("assistant"))]);
    let (mut content, mut text) = (String::new(), String::new());
    let (mut has_content, mut has_text) = (false, false);
    let mut calls: Vec<Map> = Vec::new();
    let mut function = Map::new();
    let mut finish_reason = Value::Null;
    for piece in pieces {
        for key in ["id", "model", "created", "usage"] {
            if let Some(value) = piece.get(key).filter(|value| !value.is_null()) {
                body.insert(key, value.clone());
            }
        }
        let choices = piece.get("choices").and_then(Value::as_list).unwrap_or_default();
        let of_first = |choice: &&Value| choice.get("index").and_then(Value::as_int).unwrap_or_default() == 0;
        for choice in choices.iter().filter(of_first) {
            if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
                finish_reason = reason.clone();
            }
            if let Some(more) = choice.get("text").and_then(Value::as_str) {
                (has_text, text) = (true, text + more);
            }
            let Some(delta) = choice.get("delta") else { continue };
            if let Some(more) = delta.get("content").and_then(Value::as_str) {
                (has_content, content) = (true, content + more);
            }
            for call in delta.get("tool_calls").and_then(Value::as_list).unwrap_or_default() {
                add_call(&mut calls, call);
            }
            if let Some(Value::Map(more)) = delta.get("function_call") {
                add_texts(&mut function, more);
            }
        }
    }
    message.insert("content", if has_content { content.into() } else { Value::Null });
    if !calls.is_empty() {
        message.insert("tool_calls", calls.into_iter().map(Value::from).collect::<Vec<_>>());
    }
    if !function.is_empty() {
        message.insert("function_call", function);
    }
    let mut choice = Map::from([("index", Value::from(0_i64)), ("finish_reason", finish_reason)]);
    match has_text {
        true => choice.insert("text", text),
        false => choice.insert("message", message),
    };
    body.insert("choices", vec![Value::from(choice)]);
    body.into()
}

fn add_call(calls: &mut Vec<Map>, piece: &Value) {
    let index = piece.get("index").and_then(Value::as_int).and_then(|index| usize::try_from(index).ok());
    let index = index.unwrap_or(calls.len()).min(calls.len());
    if index == calls.len() {
        calls.push(Map::from([("id", Value::Null), ("type", "function".into()), ("function", Map::new().into())]));
    }
    let Some(call) = calls.get_mut(index) else { return };
    if let Some(id) = piece.get("id").filter(|id| !id.is_null()) {
        call.insert("id", id.clone());
    }
    if let Some(Value::Map(more)) = piece.get("function") {
        let mut function = call.get("function").and_then(Value::as_map).cloned().unwrap_or_default();
        add_texts(&mut function, more);
        call.insert("function", function);
    }
}

/// Texts grow, piece by piece.
fn add_texts(map: &mut Map, more: &Map) {
    for (key, value) in more.iter().filter(|(_, value)| !value.is_null()) {
        let grown = match (map.get(key).and_then(Value::as_str), value.as_str()) {
            (Some(before), Some(more)) => Value::from(format!("{before}{more}")),
            _ => value.clone(),
        };
        map.insert(key.clone(), grown);
    }
}

/// The openai package records every field that a message could have.
fn without_nulls(message: &Value) -> Value {
    let Some(map) = message.as_map() else { return message.clone() };
    let said = map.iter().filter(|(key, value)| !value.is_null() || &***key == "content");
    said.map(|(key, value)| (key.clone(), value.clone())).collect::<Map>().into()
}

fn text_of(value: &Value) -> Option<Arc<str>> {
    match value {
        Value::Str(text) => Some(text.clone()),
        _ => None,
    }
}

fn usage(value: Option<&Value>) -> Usage {
    let count = |name: &str| u64::try_from(value?.get(name)?.as_int()?).ok();
    Usage {
        input_tokens: count("prompt_tokens"),
        output_tokens: count("completion_tokens"),
        cached_input_tokens: None,
        reasoning_tokens: None,
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::super::request::Asking;
    use super::*;

    fn call(output: &str) -> RecordedCall {
        RecordedCall {
            asking: Asking::Chat,
            node: None,
            request: Map::new(),
            output: json::read(output).unwrap(),
            error: None,
        }
    }

    #[test]
    fn pieces_of_a_stream_are_one_reply() {
        let reply = chat(&call(
            r#"[{"id":"1","choices":[]},
                {"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"}}]},
                {"choices":[{"index":0,"delta":{"content":"lo"}},{"index":1,"delta":{"content":"no"}}]},
                {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}]"#,
        ))
        .unwrap();
        assert_eq!((reply.text.as_deref(), reply.finish_reason.as_deref()), (Some("Hello"), Some("stop")));
    }

    #[test]
    fn tool_calls_of_a_stream_are_put_together() {
        let reply = chat(&call(
            r#"[{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"a\""}}]}}]},
                {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}]"#,
        ))
        .unwrap();
        assert_eq!(
            reply.message.get("tool_calls").unwrap().to_json(),
            r#"[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]"#
        );
    }

    #[test]
    fn a_recorded_failure_fails_again_with_its_status() {
        let mut failing = call("null");
        failing.error =
            Some(json::read(r#"{"message":"Error code: 429 - slow down","type":"RateLimitError"}"#).unwrap());
        assert!(matches!(chat(&failing), Err(ModelError::Rejected { status: 429, .. })));
    }
}
