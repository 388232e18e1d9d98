//! The chat API as OpenAI has it, and the older completions.

use crate::support::{Running, steady};

const SCRIPT: &str = r#"{"replies": [
    {"when": {"tool": "sunny"}, "reply": "It is ${tool}."},
    {"when": {"user": "tool"}, "tool_calls": [{"name": "look_up", "arguments": {"word": "of two"}}]},
    {"when": {"user": "refused"}, "refusal": "I will not."},
    {"when": {"user": "parts"}, "reply": "${system}; ${user}"},
    {"when": {"user": "thinks"}, "reply": "", "finish_reason": "length",
     "usage": {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 64, "reasoning_tokens": 60}}
], "default": "one two"}"#;

const CHAT: &str = "/v1/chat/completions";

fn asking(user: &str, more: &str) -> String {
    format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": "{user}"}}]{more}}}"#)
}

#[test]
fn a_reply_in_one_piece() {
    let endpoint = Running::start(SCRIPT);
    let answer = endpoint.post(CHAT, &asking("hi", ""));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        answer.steady(),
        r#"{"id":"chatcmpl-ID","object":"chat.completion","created":NOW,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one two","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"system_fingerprint":"fp_simulated"}"#
    );
    let (one, other) = (answer, endpoint.post(CHAT, &asking("hi", "")));
    assert_eq!(one.header("x-request-id"), one.header("apim-request-id"));
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    assert_eq!(one.json().get("id"), other.json().get("id"), "the same request has the same reply");
}

#[test]
fn a_streamed_reply() {
    let endpoint = Running::start(SCRIPT);
    let answer = endpoint.post(CHAT, &asking("hi", r#", "stream": true, "stream_options": {"include_usage": true}"#));
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let chunk = |rest: &str| {
        format!(
            r#"{{"id":"chatcmpl-ID","object":"chat.completion.chunk","created":NOW,"model":"m","system_fingerprint":"fp_simulated",{rest}}}"#
        )
    };
    let choice = |delta: &str, ends: &str| {
        chunk(&format!(
            r#""choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{ends}}}],"usage":null"#
        ))
    };
    assert_eq!(
        answer.events(),
        [
            choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null"),
            choice(r#"{"content":"one "}"#, "null"),
            choice(r#"{"content":"two"}"#, "null"),
            choice("{}", r#""stop""#),
            chunk(
                r#""choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}"#
            ),
            "[DONE]".to_owned(),
        ]
    );
    let answer = endpoint.post(CHAT, &asking("hi", r#", "stream": true"#));
    assert!(!answer.body.contains("usage"), "nobody asked for it: {}", answer.body);
}

/// The choices of a reply, or the deltas of a stream.
fn check_choices(request: &str, expected: &[&str]) {
    let answer = Running::start(SCRIPT).post(CHAT, request);
    let found: Vec<String> = if answer.body.starts_with("data: ") {
        let deltas = answer.events().into_iter().filter_map(|data| {
            let (_, delta) = data.split_once(r#""delta":"#)?;
            Some(delta.split_once(r#","logprobs""#)?.0.to_owned())
        });
        deltas.collect()
    } else {
        answer
            .json()
            .get("choices")
            .unwrap()
            .as_list()
            .unwrap()
            .iter()
            .map(|choice| choice.get("message").unwrap().to_json())
            .collect()
    };
    let found: Vec<String> = found.iter().map(|text| steady(text).replace(r#","annotations":[]"#, "")).collect();
    assert_eq!(found, expected);
}

#[test]
fn tool_calls_and_what_follows_them() {
    check_choices(
        &asking("tool", ""),
        &[
            r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"call_ID_0","type":"function","function":{"name":"look_up","arguments":"{\"word\":\"of two\"}"}}]}"#,
        ],
    );
    check_choices(
        &asking("tool", r#", "stream": true"#),
        &[
            r#"{"role":"assistant","content":null,"refusal":null}"#,
            r#"{"tool_calls":[{"index":0,"id":"call_ID_0","type":"function","function":{"name":"look_up","arguments":""}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"word\":\"of "}}]}"#,
            r#"{"tool_calls":[{"index":0,"function":{"arguments":"two\"}"}}]}"#,
            "{}",
        ],
    );
    check_choices(
        r#"{"model": "m", "messages": [{"role": "user", "content": "tool"},
            {"role": "assistant", "content": null, "tool_calls": []},
            {"role": "tool", "tool_call_id": "x", "content": "sunny"}]}"#,
        &[r#"{"role":"assistant","content":"It is sunny.","refusal":null}"#],
    );
}

#[test]
fn a_refusal() {
    check_choices(&asking("refused", ""), &[r#"{"role":"assistant","content":null,"refusal":"I will not."}"#]);
    check_choices(
        &asking("refused", r#", "stream": true"#),
        &[
            r#"{"role":"assistant","content":null,"refusal":null}"#,
            r#"{"refusal":"I "}"#,
            r#"{"refusal":"will "}"#,
            r#"{"refusal":"not."}"#,
            "{}",
        ],
    );
}

#[test]
fn several_choices_are_the_same() {
    let said = r#"{"role":"assistant","content":"one two","refusal":null}"#;
    check_choices(&asking("hi", r#", "n": 2"#), &[said, said]);
}

#[test]
fn a_content_may_have_parts() {
    check_choices(
        r#"{"model": "m", "unknown": {"x": [1]}, "messages": [{"role": "developer", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "parts"}, {"type": "image_url", "image_url": {"url": "x"}},
             {"type": "text", "text": "and more"}]}]}"#,
        &[r#"{"role":"assistant","content":"be brief; parts\nand more","refusal":null}"#],
    );
}

#[test]
fn tokens_spent_on_reasoning() {
    let answer = Running::start(SCRIPT).post(CHAT, &asking("thinks", ""));
    let json = answer.json();
    let choice = &json.get("choices").unwrap().as_list().unwrap()[0];
    assert_eq!(choice.get("finish_reason").unwrap().as_str(), Some("length"));
    assert!(
        answer.body.contains(r#""completion_tokens":64,"total_tokens":73,"prompt_tokens_details":{"cached_tokens":4,"#)
    );
    assert!(answer.body.contains(r#"{"reasoning_tokens":60,"#));
}

#[test]
fn a_text_is_completed() {
    let endpoint = Running::start(SCRIPT);
    let answer = endpoint.post("/v1/completions", r#"{"model": "m", "prompt": "hi"}"#);
    assert_eq!(
        answer.steady(),
        r#"{"id":"cmpl-ID","object":"text_completion","created":NOW,"model":"m","choices":[{"text":"one two","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}"#
    );
    let answer = endpoint.post("/v1/completions", r#"{"model": "m", "prompt": ["hi"], "stream": true}"#);
    let chunk = |text: &str, ends: &str| {
        format!(
            r#"{{"id":"cmpl-ID","object":"text_completion","created":NOW,"model":"m","choices":[{{"text":"{text}","index":0,"logprobs":null,"finish_reason":{ends}}}]}}"#
        )
    };
    assert_eq!(
        answer.events(),
        [chunk("one ", "null"), chunk("two", "null"), chunk("", r#""stop""#), "[DONE]".to_owned()]
    );
}

#[test]
fn what_there_is() {
    let endpoint = Running::start(r#"{"default": "x", "models": ["one", "two/three"]}"#);
    let model = |name: &str| format!(r#"{{"id":"{name}","object":"model","created":0,"owned_by":"sluicegate"}}"#);
    let list = format!(r#"{{"object":"list","data":[{},{}]}}"#, model("one"), model("two/three"));
    assert_eq!(endpoint.get("/v1/models").body, list);
    assert_eq!(endpoint.get("/v1/models/two/three").body, model("two/three"));
    assert_eq!(endpoint.get("/v1/models/four").status, 404);
    assert_eq!(endpoint.get("/health").body, r#"{"status":"ok"}"#);
    let nameless = Running::start(r#"{"default": "x"}"#);
    assert_eq!(nameless.get("/v1/models").body, format!(r#"{{"object":"list","data":[{}]}}"#, model("simulated")));
    assert_eq!(nameless.get("/v1/models/any").body, model("any"));
}

#[test]
fn a_listener_hears_of_each_request() {
    let endpoint = Running::start(SCRIPT);
    endpoint.post(CHAT, &asking("hi", ""));
    endpoint
        .post("/openai/deployments/d/chat/completions?api-version=1&key=secret", &asking("hi", r#", "stream": true"#));
    endpoint.get("/nowhere");
    assert_eq!(
        endpoint.heard(3),
        ["POST /v1/chat/completions m 200", "POST /openai/deployments/d/chat/completions d 200", "GET /nowhere - 404",]
    );
}
