//! Anthropic's messages.

use crate::support::Running;

const SCRIPT: &str = r#"{"replies": [
    {"when": {"tool": "sunny"}, "reply": "It is ${tool}."},
    {"when": {"user": "tool"}, "reply": "Let me see.", "tool_calls": [{"name": "look_up", "arguments": {"word": "two"}}]},
    {"when": {"user": "refused"}, "refusal": "I will not."},
    {"when": {"user": "bad"}, "reply": "x", "faults": [{"status": 529}]},
    {"when": {"system": "brief"}, "reply": "yes",
     "usage": {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 1}}
], "models": ["m"]}"#;

fn check(content: &str, more: &str, expected: &str) {
    let body =
        format!(r#"{{"model": "m", "max_tokens": 9, "messages": [{{"role": "user", "content": {content}}}]{more}}}"#);
    assert_eq!(Running::start(SCRIPT).post("/v1/messages", &body).steady(), expected);
}

#[test]
fn replies_in_one_piece() {
    check(
        r#""hi""#,
        r#", "system": [{"type": "text", "text": "be brief"}]"#,
        r#"{"id":"msg_ID","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"yes"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":1}}"#,
    );
    check(
        r#"[{"type": "text", "text": "tool"}]"#,
        "",
        r#"{"id":"msg_ID","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Let me see."},{"type":"tool_use","id":"toolu_ID_0","name":"look_up","input":{"word":"two"}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":34}}"#,
    );
    check(
        r#"[{"type": "tool_result", "tool_use_id": "x", "content": [{"type": "text", "text": "sunny"}]}]"#,
        "",
        r#"{"id":"msg_ID","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"It is sunny."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}"#,
    );
    check(
        r#""refused""#,
        "",
        r#"{"id":"msg_ID","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"I will not."}],"stop_reason":"refusal","stop_sequence":null,"usage":{"input_tokens":2,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}"#,
    );
}

#[test]
fn a_streamed_reply() {
    let body = r#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "tool"}]}"#;
    let answer = Running::start(SCRIPT).post("/v1/messages", body);
    assert_eq!(
        answer.events(),
        [
            r#"{"type":"message_start","message":{"id":"msg_ID","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"me "}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"see."}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_ID_0","name":"look_up","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"word\":\"two\"}"}}"#,
            r#"{"type":"content_block_stop","index":1}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":34}}"#,
            r#"{"type":"message_stop"}"#,
        ]
    );
    assert_eq!(answer.names().len(), 12);
}

#[test]
fn errors_and_counts() {
    check(r#""bad""#, "", r#"{"type":"error","error":{"type":"overloaded_error","message":"the script says so"}}"#);
    let endpoint = Running::start(SCRIPT);
    let unknown = endpoint.post("/v1/messages", r#"{"model": "x", "messages": [{"role": "user", "content": "hi"}]}"#);
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("not_found_error"), "{}", unknown.body);
    let count = r#"{"model": "m", "messages": [{"role": "user", "content": "12345678"}]}"#;
    assert_eq!(endpoint.post("/v1/messages/count_tokens", count).body, r#"{"input_tokens":2}"#);
}
