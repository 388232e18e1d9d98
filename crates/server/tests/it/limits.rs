//! Limits per minute.

use crate::support::Running;

const CHAT: &str = "/v1/chat/completions";

fn asking(model: &str, more: &str) -> String {
    format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "1234"}}]{more}}}"#)
}

#[test]
fn requests_beyond_the_limit_are_told_when_to_come_back() {
    let endpoint = Running::start(r#"{"default": "ok", "limits": {"requests_per_minute": 2}}"#);
    let first = endpoint.post(CHAT, &asking("m", ""));
    assert_eq!(first.status, 200);
    assert_eq!(first.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("1"));
    assert!(first.header("x-ratelimit-reset-requests").is_some());
    assert_eq!(first.header("x-ratelimit-limit-tokens"), None);
    assert_eq!(endpoint.post(CHAT, &asking("m", "")).status, 200);
    let refused = endpoint.post(CHAT, &asking("m", ""));
    assert_eq!(refused.status, 429);
    let milliseconds: u64 = refused.header("retry-after-ms").unwrap().parse().unwrap();
    assert!((1..=30_000).contains(&milliseconds), "{milliseconds}");
    assert_eq!(refused.header("retry-after").unwrap().parse::<u64>().unwrap(), milliseconds.div_ceil(1000));
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
    let message = "Rate limit reached for `m` on requests per minute. Please retry after ";
    assert!(refused.body.contains(message) && refused.body.contains("rate_limit_exceeded"), "{}", refused.body);
    assert_eq!(endpoint.post(CHAT, &asking("other", "")).status, 200, "each model has its own");
}

#[test]
fn tokens_that_a_reply_may_have_count() {
    let endpoint = Running::start(r#"{"default": "ok", "limits": {"tokens_per_minute": 100}}"#);
    let remaining = |more: &str| {
        let answer = endpoint.post(CHAT, &asking("m", more));
        (answer.status, answer.header("x-ratelimit-remaining-tokens").unwrap().parse::<u64>().unwrap())
    };
    assert_eq!(remaining(""), (200, 98), "one token asked, one answered");
    let (status, left) = remaining(r#", "max_tokens": 90"#);
    // 91 of them; a few may have come back since.
    assert!(status == 200 && (7..50).contains(&left), "{status}: {left} left");
    assert_eq!(remaining(r#", "max_completion_tokens": 90"#).0, 429);
    let azure =
        endpoint.post("/openai/deployments/m/chat/completions?api-version=1", &asking("x", r#", "max_tokens": 90"#));
    assert_eq!(azure.status, 429);
    assert!(azure.body.contains(r#""code":"429""#), "{}", azure.body);
}

#[test]
fn embeddings_count_too() {
    let endpoint = Running::start(r#"{"embeddings": {"dimensions": 2}, "limits": {"tokens_per_minute": 10}}"#);
    let body = format!(r#"{{"model": "m", "input": "{}"}}"#, "x".repeat(40));
    assert_eq!(endpoint.post("/v1/embeddings", &body).status, 200);
    assert_eq!(endpoint.post("/v1/embeddings", &body).status, 429);
}
