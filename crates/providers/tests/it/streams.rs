//! Replies that come in pieces.

use std::time::Duration;

use sluicegate_config::{Connection, Timeouts};
use sluicegate_model::{ChatReply, ChatRequest, ModelError, Prompt};
use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::{Call, call, connection, model, open_ai, request};

async fn streamed(answer: Answer) -> (Call, usize) {
    let endpoint = Endpoint::start();
    endpoint.queue(answer);
    let timeouts = Timeouts { first_byte: Duration::from_secs(5), ..Timeouts::default() };
    let model = model(Connection { timeouts, ..connection(open_ai(&endpoint.url())) });
    let outcome = call(&*model, &ChatRequest { stream: true, ..request() }).await;
    (outcome, endpoint.count())
}

fn raw(pieces: &[&str]) -> Answer {
    let pieces = pieces.iter().map(|piece| piece.to_string().into()).collect();
    Answer::Stream { pieces, broken_at: None, delay: Duration::ZERO }
}

fn text(reply: &ChatReply) -> Option<&str> {
    reply.text.as_deref()
}

#[tokio::test]
async fn pieces_are_passed_on_and_put_together() {
    let (outcome, _) = streamed(Answer::stream(&["Hello ", "wörld"])).await;
    assert_eq!(outcome.told, ["attempt 1", "first chunk", r#"chunk "Hello ""#, r#"chunk "wörld""#]);
    let reply = outcome.result.unwrap();
    assert_eq!((text(&reply), reply.finish_reason.as_deref()), (Some("Hello wörld"), Some("stop")));
    assert_eq!(reply.model.as_deref(), Some("mock-1"));
}

#[tokio::test]
async fn a_stream_broken_before_any_text_is_tried_again() {
    let (outcome, count) = streamed(Answer::stream(&["a", "b"]).cut_after(1)).await;
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("ok")));
    assert_eq!(count, 2);
    assert_eq!(outcome.told[1], "attempt 1 failed: stream_broken, again");
}

#[tokio::test]
async fn a_stream_broken_after_text_is_not_tried_again() {
    let (outcome, count) = streamed(Answer::stream(&["Hello ", "world"]).cut_after(2)).await;
    assert!(matches!(outcome.error(), ModelError::StreamBroken { passed_on: true, .. }), "{:?}", outcome.error());
    let message = outcome.error().to_string();
    assert!(message.starts_with("the reply broke off: after `Hello`: "), "{message}");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_stream_without_its_end_mark_is_whole_if_it_told_why_it_ended() {
    let choice = r#"data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"length"}]}"#;
    let (outcome, _) = streamed(raw(&[choice, "\n\n"])).await;
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("x")));
    let (outcome, _) = streamed(raw(&[&choice.replace(r#""length""#, "null"), "\n\n"])).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: after `x`: the stream ended without an end mark");
    // The end mark alone is enough, even without its blank line.
    let (outcome, _) = streamed(raw(&[&choice.replace(r#""length""#, "null"), "\n\ndata: [DONE]"])).await;
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("x")));
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_broken() {
    let Answer::Stream { pieces, .. } = Answer::stream(&["a"]) else { unreachable!() };
    let slow = Answer::Stream { pieces, broken_at: None, delay: Duration::from_secs(30) };
    let endpoint = Endpoint::start();
    endpoint.queue(slow).reply_text("fine");
    let timeouts = Timeouts { first_byte: Duration::from_millis(500), ..Timeouts::default() };
    let model = model(Connection { timeouts, ..connection(open_ai(&endpoint.url())) });
    let outcome = call(&*model, &ChatRequest { stream: true, ..request() }).await;
    assert_eq!(outcome.told[1], "attempt 1 failed: stream_broken, again");
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("fine")));
}

#[tokio::test]
async fn an_error_in_the_middle_is_not_tried_again() {
    let (outcome, count) = streamed(raw(&[
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n",
    ]))
    .await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: the endpoint failed (503): overloaded");
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_heard_too() {
    let (outcome, _) = streamed(Answer::text("all at once")).await;
    assert_eq!(outcome.told, ["attempt 1", "first chunk", r#"chunk "all at once""#]);
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("all at once")));
}

#[tokio::test]
async fn a_server_that_streams_unasked_is_heard_too() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::stream(&["piece ", "meal"]));
    let outcome = call(&*model(connection(open_ai(&endpoint.url()))), &request()).await;
    assert_eq!(outcome.told, ["attempt 1"]);
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("piece meal")));
}

#[tokio::test]
async fn a_completion_streams() {
    let endpoint = Endpoint::start();
    endpoint.queue(raw(&[
        "data: {\"choices\":[{\"index\":0,\"text\":\"one\",\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"text\":\" two\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ]));
    let request = ChatRequest { prompt: Prompt::Text("count".into()), stream: true, ..request() };
    let outcome = call(&*model(connection(open_ai(&endpoint.url()))), &request).await;
    assert_eq!(outcome.told[2..], [r#"chunk "one""#, r#"chunk " two""#]);
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("one two")));
}
