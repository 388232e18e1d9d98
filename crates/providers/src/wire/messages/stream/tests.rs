use proptest::prelude::*;
use sluicegate_value::{Value, json};

use super::*;

/// The events of an answer with a thought, text and a tool call, as the API sends them.
const EVENTS: &[&str] = &[
    r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":9,"cache_read_input_tokens":2,"output_tokens":1}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"A greeting."}}"#,
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
    r#"{"type":"content_block_stop","index":0}"#,
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Grüße, "}}"#,
    r#"{"type":"brand_new","index":1}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"世界"}}"#,
    r#"{"type":"content_block_stop","index":1}"#,
    r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{}}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"city\":"}}"#,
    r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":" \"Ghent\"}"}}"#,
    r#"{"type":"content_block_stop","index":2}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":21}}"#,
    r#"{"type":"message_stop"}"#,
];

const WHOLE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[
    {"type":"thinking","thinking":"A greeting.","signature":"c2ln"},{"type":"text","text":"Grüße, 世界"},
    {"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Ghent"}}],
    "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":9,"cache_read_input_tokens":2,"output_tokens":21}}"#;

fn push(assembler: &mut Assembler, events: &[&str]) -> (String, Brought) {
    let (mut text, mut last) = (String::new(), Brought::Other);
    for event in events {
        last = assembler.push(event.as_bytes()).unwrap();
        if let Brought::Text(piece) = &last {
            text.push_str(piece);
        }
    }
    (text, last)
}

#[test]
fn the_reply_is_the_one_that_would_have_come_whole() {
    let mut assembler = Assembler::default();
    let (text, last) = push(&mut assembler, EVENTS);
    assert_eq!((text.as_str(), last), ("Grüße, 世界", Brought::Done));
    let streamed = Box::new(assembler).finish().unwrap();
    assert_eq!(streamed, reply::read(json::read(WHOLE).unwrap()).unwrap());
    assert_eq!(streamed.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!((streamed.usage.input_tokens, streamed.usage.output_tokens), (Some(11), Some(21)));
    assert_eq!(streamed.message.get("reasoning_content").and_then(Value::as_str), Some("A greeting."));
}

#[test]
fn half_a_stream_is_not_complete() {
    let mut assembler = Assembler::default();
    push(&mut assembler, &EVENTS[..11]);
    assert_eq!((assembler.is_complete(), assembler.seen()), (false, "after `Grüße, 世界`".to_owned()));
}

#[test]
fn arguments_that_were_cut_off_are_kept_as_they_are() {
    let mut assembler = Assembler::default();
    push(&mut assembler, &EVENTS[..13]);
    push(&mut assembler, &[r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}"#]);
    assert!(assembler.is_complete());
    let reply = Box::new(assembler).finish().unwrap();
    assert_eq!(reply.finish_reason.as_deref(), Some("length"));
    let calls = reply.message.get("tool_calls").and_then(Value::as_list).unwrap();
    let arguments = calls[0].get("function").and_then(|function| function.get("arguments"));
    assert_eq!(arguments.and_then(Value::as_str), Some("{\"city\":"));
}

#[test]
fn an_error_in_the_stream_has_a_status() {
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let Brought::Error(error) = push(&mut Assembler::default(), &[overloaded]).1 else { panic!() };
    assert_eq!(error.get("error").and_then(|error| error.get("status")), Some(&Value::Int(529)));
}

proptest! {
    #[test]
    fn no_event_makes_it_panic(events in prop::collection::vec(
        r#"\{"type":"(message_start|content_block_(start|delta)|message_(delta|stop)|error)","index":[01],"(message|content_block|delta|usage|error)":(null|1|\{"(type|text|content|usage|stop_reason)":(1|"text"|"text_delta"|\[\{\}\]|null)\})\}"#,
        0..8,
    )) {
        let mut assembler = Assembler::default();
        for event in &events {
            let _ = assembler.push(event.as_bytes());
        }
        let _ = (assembler.seen(), assembler.is_complete());
        let _ = Box::new(assembler).finish();
    }
}
