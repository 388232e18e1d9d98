//! The lines of a batch's files: what is asked, and what came of it.

use std::sync::Arc;

use sluicegate_model::CallContext;
use sluicegate_value::{Value, hash, json};

/// What a call is known by from one process to the next: line, repeat and number, and a hash of what is asked. Two nodes
/// that ask the same in one line have the same key, and may have each other's answer.
pub(super) fn call_key(url: &str, body: &str, context: &CallContext) -> String {
    let line = context.line.map_or_else(|| "x".to_owned(), |line| line.to_string());
    let (repeat, index) = (context.repeat, context.index);
    let hash = hash::sha256_of_parts([url, body, &line, &repeat.to_string(), &index.to_string()]);
    let hash: String = hash.chars().take(32).collect();
    format!("{line}-{repeat}-{index}-{hash}")
}

/// The id of a call in its file: its key, numbered where the file has the same one already.
pub(super) fn custom_id(key: &str, same_before: usize) -> Arc<str> {
    match same_before {
        0 => key.into(),
        more => format!("{key}-{}", more + 1).into(),
    }
}

/// The key of a call with this id.
pub(super) fn key_of(custom_id: &str) -> &str {
    custom_id.match_indices('-').nth(3).map_or(custom_id, |(end, _)| &custom_id[..end])
}

/// One line of the input file.
pub(super) fn input(custom_id: &str, url: &str, body: &str) -> String {
    format!(r#"{{"custom_id":"{custom_id}","method":"POST","url":"{url}","body":{body}}}"#)
}

/// What came of one call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Came {
    /// An answer, with its status.
    Answer(u16, Value),
    /// The provider never got an answer, and says why: `{"error": {…}}`.
    Error(Value),
}

impl Came {
    /// Whether the call was answered as it should.
    pub(super) fn is_reply(&self) -> bool {
        matches!(self, Self::Answer(200..300, _))
    }

    /// The provider's code for a call that it did not get to: `batch_expired`, `batch_cancelled`.
    pub(super) fn code(&self) -> Option<&str> {
        match self {
            Self::Error(body) => body.get("error")?.get("code")?.as_str(),
            Self::Answer(..) => None,
        }
    }
}

/// Reads one line of an output or error file: `{"custom_id", "response": {"status_code", "body"}, "error"}`. `None` for
/// one that makes no sense; its call is then one without an answer.
pub(super) fn output(line: &str) -> Option<(Arc<str>, Came)> {
    let line = json::read(line).ok()?;
    let id = line.get("custom_id")?.as_str()?.into();
    let response = line.get("response").filter(|response| !response.is_null());
    let status = response.and_then(|response| u16::try_from(response.get("status_code")?.as_int()?).ok());
    let body = response.and_then(|response| response.get("body")).map(|body| match body {
        // Some write the body as the text that it was.
        Value::Str(text) => json::read(text).unwrap_or_else(|_| body.clone()),
        other => other.clone(),
    });
    let error = line.get("error").filter(|error| !error.is_null());
    let came = match (status.filter(|status| (100..600).contains(status)), body, error) {
        (Some(status), Some(body), _) if !is_empty(&body) => Came::Answer(status, body),
        (_, _, Some(error)) => Came::Error(sluicegate_value::Map::from([("error", error.clone())]).into()),
        (Some(status), body, None) => Came::Answer(status, body.unwrap_or_default()),
        (None, _, None) => return None,
    };
    Some((id, came))
}

fn is_empty(body: &Value) -> bool {
    body.is_null() || body.as_map().is_some_and(|map| map.iter().next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_known_again_whoever_asks() {
        let context = |line, repeat, index| CallContext { line, repeat, index, ..CallContext::detached() };
        let key = |body: &str, context: &CallContext| call_key("/v1/chat/completions", body, context);
        let first = key("{}", &context(Some(7), 0, 0));
        assert_eq!(first, key("{}", &context(Some(7), 0, 0)));
        assert!(first.starts_with("7-0-0-") && first.len() <= 60, "{first}");
        let others = [
            key("{ }", &context(Some(7), 0, 0)),
            key("{}", &context(Some(8), 0, 0)),
            key("{}", &context(Some(7), 1, 0)),
            key("{}", &context(Some(7), 0, 1)),
            key("{}", &context(None, 0, 0)),
        ];
        assert!(!others.contains(&first), "{others:?}");
        for (before, ending) in [(0, ""), (1, "-2"), (2, "-3")] {
            let id = custom_id(&first, before);
            assert_eq!(*id, format!("{first}{ending}"));
            assert_eq!(key_of(&id), first);
        }
        assert_eq!(key_of("what is this"), "what is this");
    }

    #[test]
    fn output_lines_in_all_their_forms() {
        let check = |line: &str, expected: Option<Came>| {
            assert_eq!(output(line), expected.map(|came| (Arc::from("a"), came)), "{line}");
        };
        let body = || json::read(r#"{"choices":[]}"#).unwrap();
        let reply = Some(Came::Answer(200, body()));
        check(r#"{"custom_id":"a","response":{"status_code":200,"body":{"choices":[]}},"error":null}"#, reply.clone());
        check(r#"{"custom_id":"a","response":{"status_code":200,"body":"{\"choices\":[]}"}}"#, reply);
        let refused = json::read(r#"{"error":{"message":"no"}}"#).unwrap();
        check(
            r#"{"custom_id":"a","response":{"status_code":400,"body":{"error":{"message":"no"}}},"error":null}"#,
            Some(Came::Answer(400, refused)),
        );
        let expired = json::read(r#"{"error":{"code":"batch_expired"}}"#).unwrap();
        let expired = Some(Came::Error(expired));
        assert_eq!(expired.as_ref().and_then(Came::code), Some("batch_expired"));
        check(r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}"#, expired.clone());
        let without_status =
            r#"{"custom_id":"a","response":{"status_code":0,"body":{}},"error":{"code":"batch_expired"}}"#;
        check(without_status, expired);
        for nonsense in ["", "{", "7", r#"{"custom_id":"a"}"#, r#"{"response":{"status_code":200,"body":{}}}"#] {
            check(nonsense, None);
        }
    }

    #[test]
    fn an_input_line_is_one_line_of_json() {
        let line = json::read(&input("a", "/v1/chat/completions", r#"{"model":"m"}"#)).unwrap();
        assert_eq!(line.get("body").and_then(|body| body.get("model")).and_then(Value::as_str), Some("m"));
        assert_eq!(line.get("method").and_then(Value::as_str), Some("POST"));
    }
}
