//! What is asked, as events tell it and as a resumed run finds it again.

use std::fmt::Write as _;

use sluicegate_model::{ChatApi, ChatRequest, EmbeddingRequest, FetchRequest, Prompt};
use sluicegate_value::json::write_string;
use sluicegate_value::{Map, Value};

/// A request's body as events tell it: messages or prompt first, then the parameters.
pub(super) fn chat_body(request: &ChatRequest) -> Value {
    let mut body = Map::new();
    match &request.prompt {
        Prompt::Messages(messages) => {
            body.insert("messages", messages.iter().map(|message| message.to_value()).collect::<Vec<_>>())
        }
        Prompt::Text(text) => body.insert("prompt", text.clone()),
    };
    with_parameters(body, &request.parameters)
}

/// A request's body as events tell it: texts first, then the parameters.
pub(super) fn embedding_body(request: &EmbeddingRequest) -> Value {
    with_parameters(Map::from([("input", request.input.to_value())]), &request.parameters)
}

fn with_parameters(mut body: Map, parameters: &Map) -> Value {
    for (name, value) in parameters {
        body.insert(name.clone(), value.clone());
    }
    body.into()
}

/// A chat API in one word.
pub(super) fn api_word(api: ChatApi) -> &'static str {
    match api {
        ChatApi::Completions => "completions",
        ChatApi::Responses => "responses",
    }
}

/// Names what is asked, whoever is asked: SHA-256 over provider, model, the body with sorted keys, the repeat, and the API
/// where it is not the connection's usual one.
pub(super) fn request_hash(provider: &str, model: &str, body: &Value, repeat: u32, api: Option<&str>) -> String {
    let mut canonical = String::new();
    for text in [provider, model] {
        write_string(text, &mut canonical);
        canonical.push('\n');
    }
    write_sorted(body, &mut canonical);
    let _ = write!(canonical, "\n{repeat}");
    if let Some(api) = api {
        let _ = write!(canonical, "\n{api}");
    }
    sluicegate_value::hash::sha256(canonical)
}

/// Names what is asked of an address: method, address and body without their secrets, and the repeat of nothing: HTTP
/// calls are found again by their place.
pub(super) fn fetch_hash(request: &FetchRequest, masked: &dyn Fn(&str) -> String) -> String {
    let mut canonical = format!("fetch\n{}\n{}\n", request.method, masked(&request.url));
    match request.body.as_deref().map(std::str::from_utf8) {
        Some(Ok(body)) => canonical.push_str(&masked(body)),
        Some(Err(_)) => {
            canonical.push_str(&sluicegate_value::hash::sha256(request.body.as_deref().unwrap_or_default()))
        }
        None => {}
    }
    sluicegate_value::hash::sha256(canonical)
}

/// Compact JSON with the keys of all maps in order.
fn write_sorted(value: &Value, out: &mut String) {
    match value {
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_sorted(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_sorted(item, out);
            }
            out.push('}');
        }
        Value::Str(text) => write_string(text, out),
        other => out.push_str(&other.to_json()),
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    fn hash(body: &str, repeat: u32, api: Option<&str>) -> String {
        request_hash("openai", "m", &json::read(body).unwrap(), repeat, api)
    }

    #[test]
    fn the_order_of_keys_does_not_change_what_is_asked() {
        let first = hash(r#"{"a":1,"b":[{"c":1,"d":2}]}"#, 0, None);
        assert_eq!(first, hash(r#"{"b":[{"d":2,"c":1}],"a":1}"#, 0, None));
        assert_ne!(first, hash(r#"{"a":1.0,"b":[{"c":1,"d":2}]}"#, 0, None), "1 and 1.0 are different bodies");
        assert_ne!(first, hash(r#"{"a":1,"b":[{"c":1,"d":2}]}"#, 1, None), "repeats are asked anew");
    }

    #[test]
    fn another_api_is_another_question() {
        let all = [None, Some(api_word(ChatApi::Completions)), Some(api_word(ChatApi::Responses)), Some("embeddings")];
        let hashes: std::collections::HashSet<String> = all.map(|api| hash("{}", 0, api)).into();
        assert_eq!(hashes.len(), all.len());
    }

    #[test]
    fn what_was_asked_by_earlier_versions_is_found_again() {
        // From a journal of version 0.1.0.
        let body = r#"{"messages":[{"role":"system","content":"say something"},{"role":"user","content":"hi"}],
            "temperature":1.0,"top_p":1.0,"n":1,"max_tokens":64,"stream":false}"#;
        let found = request_hash("simulated", "simulated", &json::read(body).unwrap(), 0, None);
        assert_eq!(found, "fdddefc8369c9b6c8a99be27fa13c4e10f1494c1fa81c6396501547407fe9a3b");
    }
}
