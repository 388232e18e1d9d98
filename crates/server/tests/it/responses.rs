//! The responses API.

use crate::support::Running;

const SCRIPT: &str = r#"{"replies": [
    {"when": {"tool": "sunny"}, "reply": "It is ${tool}."},
    {"when": {"user": "tool"}, "tool_calls": [{"name": "look_up", "arguments": {"word": "of two"}}]},
    {"when": {"user": "refused"}, "refusal": "I will not."},
    {"when": {"user": "thinks"}, "reply": "", "finish_reason": "length",
     "usage": {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 64, "reasoning_tokens": 60}},
    {"when": {"system": "brief"}, "reply": "${system}; ${user}"}
], "default": "one two"}"#;

fn respond(body: &str) -> crate::support::Answer {
    Running::start(SCRIPT).post("/v1/responses", body)
}

fn check_output(body: &str, status: &str, expected: &str) {
    let answer = respond(body).json();
    assert_eq!(answer.get("status").unwrap().as_str(), Some(status));
    let output = answer.get("output").unwrap().to_json();
    // Ids are hashes of the request.
    let id = answer.get("id").unwrap().as_str().unwrap().trim_start_matches("resp_").to_owned();
    assert_eq!(output.replace(&id, "ID"), expected);
}

#[test]
fn a_response_in_one_piece() {
    let answer = respond(r#"{"model": "m", "input": "hi", "temperature": 0.5, "metadata": {"a": "b"}}"#);
    assert_eq!(
        answer.steady(),
        r#"{"id":"resp_ID","object":"response","created_at":NOW,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":"m","output":[{"type":"message","id":"msg_ID","status":"completed","role":"assistant","content":[{"type":"output_text","text":"one two","annotations":[],"logprobs":[]}]}],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"service_tier":"default","store":true,"temperature":0.5,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3},"user":null,"metadata":{"a":"b"}}"#
    );
}

#[test]
fn what_is_in_the_output() {
    check_output(
        r#"{"model": "m", "input": "refused"}"#,
        "completed",
        r#"[{"type":"message","id":"msg_ID","status":"completed","role":"assistant","content":[{"type":"refusal","refusal":"I will not."}]}]"#,
    );
    check_output(
        r#"{"model": "m", "input": "thinks"}"#,
        "incomplete",
        r#"[{"type":"reasoning","id":"rs_ID","summary":[]}]"#,
    );
    check_output(
        r#"{"model": "m", "input": [{"role": "user", "content": "tool"}]}"#,
        "completed",
        r#"[{"type":"function_call","id":"fc_ID_0","status":"completed","call_id":"call_ID_0","name":"look_up","arguments":"{\"word\":\"of two\"}"}]"#,
    );
    check_output(
        r#"{"model": "m", "input": [{"role": "user", "content": "tool"}, {"type": "reasoning", "id": "x"},
            {"type": "function_call", "call_id": "c", "name": "look_up", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "sunny"}]}"#,
        "completed",
        r#"[{"type":"message","id":"msg_ID","status":"completed","role":"assistant","content":[{"type":"output_text","text":"It is sunny.","annotations":[],"logprobs":[]}]}]"#,
    );
    check_output(
        r#"{"model": "m", "instructions": "be brief", "input": [{"type": "message", "role": "user",
            "content": [{"type": "input_text", "text": "hi"}]}]}"#,
        "completed",
        r#"[{"type":"message","id":"msg_ID","status":"completed","role":"assistant","content":[{"type":"output_text","text":"be brief; hi","annotations":[],"logprobs":[]}]}]"#,
    );
}

#[test]
fn a_text_in_events() {
    let answer = respond(r#"{"model": "m", "input": "hi", "stream": true}"#);
    let events = answer.events();
    assert_eq!(
        events[2..9],
        [
            r#"{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"type":"message","id":"msg_ID","status":"in_progress","role":"assistant","content":[]}}"#,
            r#"{"type":"response.content_part.added","sequence_number":3,"item_id":"msg_ID","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_ID","output_index":0,"content_index":0,"delta":"one ","logprobs":[]}"#,
            r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_ID","output_index":0,"content_index":0,"delta":"two","logprobs":[]}"#,
            r#"{"type":"response.output_text.done","sequence_number":6,"item_id":"msg_ID","output_index":0,"content_index":0,"text":"one two","logprobs":[]}"#,
            r#"{"type":"response.content_part.done","sequence_number":7,"item_id":"msg_ID","output_index":0,"content_index":0,"part":{"type":"output_text","text":"one two","annotations":[],"logprobs":[]}}"#,
            r#"{"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":{"type":"message","id":"msg_ID","status":"completed","role":"assistant","content":[{"type":"output_text","text":"one two","annotations":[],"logprobs":[]}]}}"#,
        ]
    );
    assert!(events[0].contains(r#""status":"in_progress""#) && events[0].contains(r#""usage":null"#));
    let whole = respond(r#"{"model": "m", "input": "hi", "stream": false}"#).steady();
    assert_eq!(events[9], format!(r#"{{"type":"response.completed","sequence_number":9,"response":{whole}}}"#));
}

#[test]
fn other_events() {
    let names = |input: &str| -> Vec<String> {
        let answer = respond(&format!(r#"{{"model": "m", "input": "{input}", "stream": true}}"#));
        let names = answer.names();
        let [first, second, rest @ ..] = names.as_slice() else { panic!("{names:?}") };
        assert_eq!((*first, *second), ("response.created", "response.in_progress"));
        rest.iter().map(|name| name.trim_start_matches("response.").to_owned()).collect()
    };
    assert_eq!(
        names("tool"),
        [
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "completed"
        ]
    );
    assert_eq!(
        names("refused"),
        [
            "output_item.added",
            "content_part.added",
            "refusal.delta",
            "refusal.delta",
            "refusal.delta",
            "refusal.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    assert_eq!(names("thinks"), ["output_item.added", "output_item.done", "incomplete"]);
}
