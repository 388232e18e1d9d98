use proptest::prelude::*;
use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Value, json};

use super::Assembler;
use crate::sse::Reader;
use crate::wire::chat::reply;
use crate::wire::{Assemble as _, Brought};

/// Reads a stream in pieces; gives the reply and the text that was passed on.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Result<ChatReply, ModelError>, String) {
    let (mut reader, mut assembler, mut passed_on) = (Reader::default(), Assembler::default(), String::new());
    let mut events = Vec::new();
    for piece in pieces {
        events.extend(reader.push(piece));
    }
    events.extend(reader.finish());
    for event in events {
        match assembler.push(&event) {
            Ok(Brought::Text(text)) => passed_on.push_str(&text),
            Ok(_) => {}
            Err(error) => return (Err(error), passed_on),
        }
    }
    assert!(assembler.is_complete(), "{}", assembler.seen());
    (Box::new(assembler).finish(), passed_on)
}

fn stream(events: &[&str]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

/// The streamed reply must be the one that would have come whole.
fn check(events: &[&str], whole: &str, text: &str) {
    let (streamed, passed_on) = read([stream(events).as_bytes()]);
    let streamed = streamed.unwrap();
    assert_eq!(streamed.body.to_json_pretty(), ordered_like(&streamed.body, &json::read(whole).unwrap()));
    assert_eq!(streamed, reply::read(json::read(whole).unwrap()).unwrap());
    assert_eq!(passed_on, text);
}

/// `expected` as JSON when it equals `actual`, which hides the order of keys but shows differences well.
fn ordered_like(actual: &Value, expected: &Value) -> String {
    if actual == expected { actual.to_json_pretty() } else { expected.to_json_pretty() }
}

const TEXT: &[&str] = &[
    r#"{"id":"","object":"","created":0,"model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
    r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"gpt-x","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"gpt-x","choices":[{"index":0,"delta":{"content":"Grüße, "},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"gpt-x","choices":[{"index":0,"delta":{"content":"世界 👍"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
    r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"gpt-x","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}"#,
    r#"{"id":"c1","object":"chat.completion.chunk","created":5,"model":"gpt-x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
    "[DONE]",
];

#[test]
fn text_with_azure_s_first_chunk_and_usage_last() {
    check(
        TEXT,
        r#"{"id":"c1","object":"chat.completion","created":5,"model":"gpt-x","prompt_filter_results":[{"prompt_index":0}],
            "choices":[{"index":0,"message":{"role":"assistant","content":"Grüße, 世界 👍","refusal":null},"logprobs":null,"finish_reason":"stop"}],
            "usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}"#,
        "Grüße, 世界 👍",
    );
}

#[test]
fn tool_calls_come_in_pieces() {
    check(
        &[
            r#"{"id":"c2","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"weather","arguments":""}}]},"finish_reason":null}]}"#,
            r#"{"id":"c2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}]},"finish_reason":null}]}"#,
            r#"{"id":"c2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Ghent\"}"}}]},"finish_reason":null}]}"#,
            r#"{"id":"c2","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_b","type":"function","function":{"name":"time","arguments":"{}"}}]},"finish_reason":null}]}"#,
            r#"{"id":"c2","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
            "[DONE]",
        ],
        r#"{"id":"c2","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"call_a","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Ghent\"}"}},
            {"id":"call_b","type":"function","function":{"name":"time","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
        "",
    );
}

#[test]
fn tool_calls_without_index_go_on_with_the_last_one() {
    check(
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
        ],
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
        "",
    );
}

#[test]
fn names_repeated_with_every_piece_are_told_once() {
    check(
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"a","tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"1"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"b","tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"2"}}]},"finish_reason":"stop"}]}"#,
        ],
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"ab","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":"12"}}]},"finish_reason":"stop"}]}"#,
        "ab",
    );
}

#[test]
fn a_refusal_is_no_text() {
    check(
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":"I "}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"refusal":"will not"},"finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":"I will not"},"finish_reason":"stop"}]}"#,
        "",
    );
    let refused = r#"{"choices":[{"index":0,"delta":{"refusal":"I will not"},"finish_reason":"stop"}]}"#;
    let reply = read([stream(&[refused, "[DONE]"]).as_bytes()]).0.unwrap();
    assert_eq!((reply.text.as_deref(), reply.refusal.as_deref()), (None, Some("I will not")));
}

#[test]
fn what_content_filters_note_is_kept_and_the_worst_of_it_counts() {
    check(
        &[
            r#"{"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"low"}}}]}"#,
            r#"{"id":"c3","choices":[{"index":0,"delta":{"role":"assistant","content":"a"},"finish_reason":null,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"medium"}}}]}"#,
            r#"{"id":"","choices":[{"index":0,"content_filter_offsets":{"check_offset":0},"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"},"protected_material_text":{"filtered":true,"detected":true}},"finish_reason":null}]}"#,
            r#"{"id":"c3","choices":[{"index":0,"delta":{},"finish_reason":"content_filter","content_filter_results":{"protected_material_text":{"filtered":false,"detected":false}}}],"prompt_filter_results":[]}"#,
            "[DONE]",
        ],
        r#"{"id":"c3","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"low"}}}],
            "choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"content_filter","content_filter_offsets":{"check_offset":0},
            "content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"medium"},"protected_material_text":{"filtered":true,"detected":true}}}]}"#,
        "a",
    );
}

#[test]
fn several_choices_are_sorted_and_only_the_first_is_passed_on() {
    check(
        &[
            r#"{"choices":[{"index":1,"delta":{"role":"assistant","content":"B"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"A"},"finish_reason":"length"}]}"#,
        ],
        r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"A"},"finish_reason":"length"},{"index":1,"message":{"role":"assistant","content":"B"},"finish_reason":"stop"}]}"#,
        "A",
    );
}

#[test]
fn a_completion_is_text() {
    check(
        &[
            r#"{"id":"t","object":"text_completion","choices":[{"index":0,"text":"one ","finish_reason":null}]}"#,
            r#"{"id":"t","object":"text_completion","choices":[{"index":0,"text":"two","finish_reason":"stop"}]}"#,
            "[DONE]",
        ],
        r#"{"id":"t","object":"text_completion","choices":[{"index":0,"text":"one two","finish_reason":"stop"}]}"#,
        "one two",
    );
}

#[test]
fn half_a_stream_is_not_complete() {
    let mut assembler = Assembler::default();
    assert!(!assembler.is_complete());
    for event in &TEXT[..4] {
        assembler.push(event.as_bytes()).unwrap();
    }
    assert!(!assembler.is_complete());
    assert_eq!(assembler.seen(), "after `Grüße, 世界 👍`");
    assembler.push(TEXT[4].as_bytes()).unwrap();
    assert!(assembler.is_complete());
}

#[test]
fn an_error_in_the_stream_is_an_error() {
    let brought = Assembler::default().push(br#"{"error":{"message":"overloaded","code":503}}"#).unwrap();
    assert!(matches!(brought, Brought::Error(_)));
}

#[test]
fn nonsense_in_the_stream_is_malformed() {
    for nonsense in [&b"{\"id\""[..], b"[1]", b"\xff\xfe", b"ok"] {
        let error = Assembler::default().push(nonsense).unwrap_err();
        assert_eq!(error.code(), "malformed_reply");
    }
}

proptest! {
    #[test]
    fn cut_anywhere_the_reply_is_the_same(
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        line_end in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        comments in any::<bool>(),
    ) {
        let mut text = stream(TEXT);
        if comments {
            text = text.replace("data: ", ": keep-alive\nevent: message\ndata: ");
        }
        let whole = read([text.as_bytes()]);
        let text = text.replace('\n', line_end);
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces = read(cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]));
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn no_event_makes_it_panic(events in prop::collection::vec(r#"[\[\]{}:,"a-z0-9 ]{0,30}|\{"choices":\[(\{"(delta|text|index|finish_reason)":(null|1|"x"|\{"(content|tool_calls)":(1|"y"|\[\{"index":0\}\])\})\}){0,2}\]\}"#, 0..6)) {
        let mut assembler = Assembler::default();
        for event in &events {
            let _ = assembler.push(event.as_bytes());
        }
        let _ = (assembler.seen(), assembler.is_complete());
        let _ = Box::new(assembler).finish();
    }
}
