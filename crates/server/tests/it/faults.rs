//! Faults: errors, cut and hanging connections, delays.

use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

use crate::support::Running;

const CHAT: &str = "/v1/chat/completions";

fn asking(user: &str, more: &str) -> String {
    format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": "{user}"}}]{more}}}"#)
}

#[test]
fn the_first_identical_requests_fail() {
    let endpoint = Running::start(r#"{"default": "ok", "faults": [{"times": 2, "status": 503}]}"#);
    let status = |user: &str| endpoint.post(CHAT, &asking(user, "")).status;
    assert_eq!(
        [status("a"), status("b"), status("a"), status("a"), status("b"), status("b")],
        [503, 503, 503, 200, 503, 200]
    );
}

#[test]
fn errors_carry_their_facts() {
    let endpoint = Running::start(
        r#"{"default": "ok", "faults": [
            {"when": {"parameter": "max_tokens"}, "status": 400, "code": "unsupported_parameter", "parameter": "max_tokens"},
            {"when": {"user": "^seconds"}, "status": 429, "retry_after": "1500ms", "message": "slow down"},
            {"when": {"user": "milliseconds"}, "status": 503, "retry_after_ms": 250},
            {"when": {"user": "quota"}, "status": 429, "code": "insufficient_quota"}
        ]}"#,
    );
    let refused = endpoint.post(CHAT, &asking("hi", r#", "max_tokens": 5"#));
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body,
        r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#
    );
    assert_eq!(endpoint.post(CHAT, &asking("hi", r#", "max_completion_tokens": 5"#)).status, 200);
    let limited = endpoint.post(CHAT, &asking("seconds", ""));
    assert_eq!((limited.header("retry-after"), limited.header("retry-after-ms")), (Some("2"), Some("1500")));
    assert_eq!(
        limited.body,
        r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}"#
    );
    let busy = endpoint.post(CHAT, &asking("milliseconds", ""));
    assert_eq!((busy.status, busy.header("retry-after"), busy.header("retry-after-ms")), (503, None, Some("250")));
    assert!(busy.body.contains(r#""type":"server_error""#));
    let quota = endpoint.post(CHAT, &asking("quota", ""));
    assert!(quota.body.contains(r#""type":"insufficient_quota","param":null,"code":"insufficient_quota""#));
    let azure = endpoint.post("/openai/deployments/d/chat/completions?api-version=1", &asking("seconds", ""));
    assert!(azure.body.contains(r#""code":"429""#), "{}", azure.body);
}

#[test]
fn a_connection_is_really_reset() {
    let endpoint = Running::start(r#"{"default": "ok", "faults": [{"reset": true}]}"#);
    let error = endpoint.send("POST", CHAT, &[], &asking("hi", "")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(endpoint.heard(1), ["POST /v1/chat/completions m -"]);
}

#[test]
fn a_stream_is_cut_after_its_pieces() {
    let endpoint = Running::start(r#"{"default": "one two three four", "faults": [{"cut_after": 2}]}"#);
    for (path, body) in [
        (CHAT, asking("hi", r#", "stream": true"#)),
        ("/v1/responses", r#"{"model": "m", "input": "hi", "stream": true}"#.to_owned()),
        ("/v1/messages", asking("hi", r#", "stream": true"#)),
    ] {
        let (came, error) = endpoint.send_until_cut(path, &body);
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(came.contains("\"two \"") && !came.contains("three"), "{came}");
    }
    let error = endpoint.send("POST", CHAT, &[], &asking("hi", "")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "in one piece it never comes");
}

#[test]
fn hanging_is_hanging_until_the_end() {
    let mut endpoint = Running::start(r#"{"default": "ok", "faults": [{"when": {"user": "hang"}, "hang": true}]}"#);
    let mut stream = endpoint.connect("POST", CHAT, &[], &asking("hang", "")).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let error = stream.read(&mut [0; 64]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert_eq!(endpoint.post(CHAT, &asking("hi", "")).status, 200, "others are served meanwhile");
    endpoint.stop();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)), "it ends with the endpoint");
}

#[test]
fn a_client_that_leaves_is_heard_of() {
    let endpoint = Running::start(
        r#"{"default": "ok", "faults": [{"when": {"user": "hang"}, "hang": true}], "limits": {"tokens_per_minute": 1000000, "burst": "1m"}}"#,
    );
    let stream = endpoint.connect("POST", CHAT, &[], &asking("hang", r#", "max_tokens": 900000"#)).unwrap();
    // Once its tokens are taken the request is heard, and hangs.
    let mut asked = 0;
    let left = || {
        let answer = endpoint.post(CHAT, &asking("hi", ""));
        answer.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap()
    };
    while left() > 500_000 {
        asked += 1;
        assert!(asked < 2000, "it is never heard");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(stream);
    let heard = endpoint.heard(asked + 2);
    assert_eq!(heard.iter().filter(|line| *line == "POST /v1/chat/completions m -").count(), 1, "{heard:?}");
}

#[test]
fn delays_are_at_least_as_long_as_said() {
    let endpoint = Running::start(r#"{"default": "one two three", "delay": "30ms", "chunk_delay": "40ms"}"#);
    let took = |body: &str| {
        let start = Instant::now();
        assert_eq!(endpoint.post(CHAT, body).status, 200);
        start.elapsed()
    };
    assert!(took(&asking("hi", "")) >= Duration::from_millis(30));
    assert!(took(&asking("hi", r#", "stream": true"#)) >= Duration::from_millis(30 + 2 * 40));
    let overridden = Running::start_with(r#"{"default": "ok", "delay": "1h"}"#, |simulate| {
        simulate.latency = Some(Duration::ZERO);
    });
    assert_eq!(overridden.post(CHAT, &asking("hi", "")).status, 200);
}

#[test]
fn what_the_script_does_not_know_is_told() {
    let endpoint = Running::start(r#"{"replies": [{"when": {"user": "^a$"}, "reply": "b"}]}"#);
    let answer = endpoint.post(CHAT, &asking("hi", ""));
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.body,
        r#"{"error":{"message":"the script has no reply for this request: model `m`, system ``, user `hi`","type":"invalid_request_error","param":null,"code":"unscripted"}}"#
    );
}
