//! `http`: one HTTP call. Its answer is the node's output, or its failure where the status says so.

use std::time::{Duration, SystemTime};

use sluicegate_events::Failure;
use sluicegate_flow::plan::HttpNode;
use sluicegate_flow::request::{self, HttpError};
use sluicegate_flow::template::Binding;
use sluicegate_model::{FetchReply, FetchRequest};
use sluicegate_value::{Map, Value};

use super::{AttemptFailure, Product, nonce};
use crate::calls::{Address, Calls};

/// The most bytes of an answer that a failure quotes.
const MOST_QUOTED: usize = 2000;

/// The most letters of an answer in a failure's message.
const MOST_SAID: usize = 200;

pub(super) async fn fetch(
    http: &HttpNode,
    timeout: Option<Duration>,
    inputs: &[Binding],
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let mut request = request::http_request(http, inputs, nonce()).map_err(|error| match error {
        HttpError::Render(error) => AttemptFailure::of_render(&error),
        HttpError::Request(error) => AttemptFailure::lasting(Failure::new("input", error.to_string())),
    })?;
    // Within the settings' own limit.
    request.timeout = request.timeout.or(timeout);
    let reply = calls.fetch(&request).await?;
    match http.any_status || (200..300).contains(&reply.status) {
        true => Ok(request::http_output(&reply).into()),
        false => Err(refused(&request, &reply)),
    }
}

/// Whether the same call may be answered otherwise a moment later.
pub(super) fn may_pass(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

fn refused(request: &FetchRequest, reply: &FetchReply) -> AttemptFailure {
    let (method, url) = (&request.method, Address::of(&request.url).url);
    let (status, again) = (reply.status, may_pass(reply.status));
    let quoted = quoted(&reply.body);
    let mut message = format!("`{method} {url}` was answered with status {status}");
    if let Some(said) = quoted.as_deref().map(in_one_line).filter(|said| !said.is_empty()) {
        message = format!("{message}: {said}");
    }
    let cause = match status {
        300..=399 => "look at the address, which has moved, and at `redirects`",
        401 | 403 => "look at what the node's headers say of who asks",
        404 | 410 => "look at the node's `url`",
        _ if again => "let the node `retry`",
        _ => "look at what the node sends",
    };
    let mut failure = Failure::new("http_status", message)
        .hint(format!("{cause}; with `expect: any` an answer of any status is an output"));
    let wait = retry_after(reply, SystemTime::now());
    let mut details = Map::from([("status", Value::from(i64::from(status))), ("body", quoted.into())]);
    if let Some(wait) = wait {
        details.insert("retry_after_ms", u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    }
    failure.details = details.into();
    AttemptFailure { failure, again, wait, lost: Vec::new() }
}

/// The beginning of a body, if it is text.
fn quoted(body: &[u8]) -> Option<String> {
    let head = body.get(..MOST_QUOTED).unwrap_or(body);
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The cut may go through a letter.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

fn in_one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST_SAID) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// How long the answer asks to wait: in milliseconds, in seconds, or until a time.
fn retry_after(reply: &FetchReply, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| {
        reply.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let number = |name: &str| header(name)?.parse::<f64>().ok();
    let milliseconds = number("retry-after-ms").or_else(|| number("x-ms-retry-after-ms"));
    if let Some(seconds) = milliseconds.map(|count| count / 1000.0).or_else(|| number("retry-after")) {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = httpdate::parse_http_date(header("retry-after")?).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> FetchReply {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        FetchReply { status, url: "http://h/".into(), headers, body: body.to_vec() }
    }

    fn request() -> FetchRequest {
        FetchRequest {
            method: "GET".into(),
            url: "https://ann:pw@api.test/x?key=1".into(),
            headers: Vec::new(),
            body: None,
            timeout: None,
            redirects: None,
            max_size: None,
        }
    }

    #[test]
    fn an_answer_says_how_long_to_wait() {
        let check = |headers: &[(&str, &str)], expected: Option<u64>| {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
            let found = retry_after(&answer(429, headers, b""), now);
            assert_eq!(found, expected.map(Duration::from_millis), "{headers:?}");
        };
        check(&[], None);
        check(&[("retry-after", "2")], Some(2000));
        check(&[("Retry-After", " 1.5 ")], Some(1500));
        check(&[("retry-after", "9"), ("retry-after-ms", "250")], Some(250));
        check(&[("x-ms-retry-after-ms", "70")], Some(70));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")], Some(10_000));
        check(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0));
        check(&[("retry-after", "soon")], None);
        check(&[("retry-after", "-1")], None);
        check(&[("retry-after", "NaN")], None);
    }

    #[test]
    fn a_status_that_is_no_success_is_told_with_what_the_server_said() {
        let failed = refused(&request(), &answer(404, &[], b"{\n  \"error\": \"no such thing\"\n}"));
        let failure = &failed.failure;
        let expected = r#"`GET https://api.test/x` was answered with status 404: { "error": "no such thing" }"#;
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("http_status", expected));
        assert_eq!(failure.details.get("status"), Some(&Value::Int(404)));
        assert_eq!(failure.details.get("body").and_then(Value::as_str), Some("{\n  \"error\": \"no such thing\"\n}"));
        assert!(!failed.again && failure.hint.as_ref().is_some_and(|hint| hint.contains("`expect: any`")));
        let busy = refused(&request(), &answer(503, &[("retry-after", "3")], b""));
        assert_eq!(busy.failure.message, "`GET https://api.test/x` was answered with status 503");
        assert_eq!((busy.again, busy.wait), (true, Some(Duration::from_secs(3))));
    }

    #[test]
    fn a_long_answer_is_quoted_by_its_beginning_and_bytes_are_not() {
        let long = "é".repeat(3000);
        let failed = refused(&request(), &answer(400, &[], format!("a{long}").as_bytes())).failure;
        assert_eq!(failed.details.get("body").and_then(Value::as_str).map(str::len), Some(1999));
        assert!(failed.message.ends_with("é…"), "{}", failed.message);
        let failed = refused(&request(), &answer(400, &[], b"\xff\xd8image")).failure;
        assert_eq!((failed.details.get("body"), failed.message.contains("image")), (Some(&Value::Null), false));
    }
}
