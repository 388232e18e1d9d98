use proptest::prelude::*;
use sluicegate_value::{Value, json};

use super::*;

/// The events of an answer with reasoning, text and a tool call, as the API sends them.
const EVENTS: &[&str] = &[
    r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","output":[],"error":null},"sequence_number":0}"#,
    r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
    r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[]}}"#,
    r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"Grüße, "}"#,
    r#"{"type":"response.brand_new.thing","delta":"nobody knows this"}"#,
    r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"世界"}"#,
    r#"{"type":"response.function_call_arguments.delta","output_index":2,"delta":"{\"city\":"}"#,
    r#"{"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"call_1","name":"weather","arguments":"{\"city\":\"Ghent\"}"}}"#,
    r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Grüße, 世界"}]}}"#,
];

const OUTPUT: &str = r#"[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Grüße, 世界"}]},{"type":"function_call","call_id":"call_1","name":"weather","arguments":"{\"city\":\"Ghent\"}"}]"#;

fn end(output: &str) -> String {
    format!(
        r#"{{"type":"response.completed","response":{{"id":"resp_1","model":"gpt-x","status":"completed","output":{output},"usage":{{"input_tokens":9,"output_tokens":7,"output_tokens_details":{{"reasoning_tokens":4}}}}}}}}"#
    )
}

/// Pushes events; gives the text that was passed on and what the last one brought.
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
    // Some servers leave the items out of the last event.
    for output in [OUTPUT, "[]"] {
        let mut assembler = Assembler::default();
        let (text, _) = push(&mut assembler, EVENTS);
        assert_eq!(text, "Grüße, 世界");
        assert_eq!((assembler.is_complete(), assembler.seen()), (false, "after `Grüße, 世界`".to_owned()));
        assert_eq!(push(&mut assembler, &[&end(output)]).1, Brought::Done);
        let streamed = Box::new(assembler).finish().unwrap();
        let whole = json::read(&end(OUTPUT)).unwrap().get("response").cloned().unwrap();
        assert_eq!(streamed, reply::read(whole).unwrap());
        assert_eq!(streamed.finish_reason.as_deref(), Some("tool_calls"));
        assert_eq!(streamed.usage.reasoning_tokens, Some(4));
    }
}

#[test]
fn a_gateway_s_end_mark_is_not_the_end() {
    let mut assembler = Assembler::default();
    assert_eq!(push(&mut assembler, &[EVENTS[3], "[DONE]"]).1, Brought::Other);
    assert!(!assembler.is_complete());
}

#[test]
fn errors_in_the_stream_are_errors() {
    let brings = |event: &str| push(&mut Assembler::default(), &[event]).1;
    let failed = brings(
        r#"{"type":"response.failed","response":{"status":"failed","output":[],"error":{"code":"server_error","message":"boom"}}}"#,
    );
    let Brought::Error(failed) = failed else { panic!("{failed:?}") };
    assert_eq!(failed.get("error").and_then(|error| error.get("code")).and_then(Value::as_str), Some("server_error"));
    assert!(matches!(brings(r#"{"type":"error","code":"rate_limit_exceeded","message":"slow"}"#), Brought::Error(_)));
    assert!(matches!(brings(r#"{"error":{"message":"slow"}}"#), Brought::Error(_)));
}

proptest! {
    #[test]
    fn no_event_makes_it_panic(events in prop::collection::vec(
        r#"\{"type":"(response\.(completed|incomplete|failed|output_text\.delta|output_item\.done)|error)","(response|item|delta|output_index)":(null|1|"x"|\[\]|\{"(output|status|error)":(1|"y"|\[\{\}\]|null)\})\}"#,
        0..6,
    )) {
        let mut assembler = Assembler::default();
        for event in &events {
            let _ = assembler.push(event.as_bytes());
        }
        let _ = (assembler.seen(), assembler.is_complete());
        let _ = Box::new(assembler).finish();
    }
}
