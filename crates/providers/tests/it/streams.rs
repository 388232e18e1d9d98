//! Replies that come in pieces.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_config::{Connection, Timeouts};
use sluicegate_model::{CallContext, ChatReply, ChatRequest, ModelError, Prompt};
use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::{Call, Ears, call, connection, model, open_ai, request};

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

/// Makes a call; once something was told of it, so much time passes for whoever waits on our side, at once.
async fn call_and_wait(endpoint: &Endpoint, stream: bool, told: &str, wait: Duration) -> Call {
    let model = model(connection(open_ai(&endpoint.url())));
    let ears = Arc::new(Ears::default());
    let context = CallContext { notices: ears.clone(), ..CallContext::detached() };
    let calling = tokio::spawn(async move { model.chat(&ChatRequest { stream, ..request() }, &context).await });
    while endpoint.count() == 0 || !ears.0.lock().unwrap().iter().any(|line| line == told) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::pause();
    tokio::time::advance(wait).await;
    tokio::time::resume();
    let result = calling.await.unwrap();
    let told = ears.0.lock().unwrap().clone();
    Call { result, told }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_broken() {
    let Answer::Stream { pieces, .. } = Answer::stream(&["a", "b"]) else { unreachable!() };
    let endpoint = Endpoint::start();
    // The third piece does not come in our time.
    endpoint.queue(Answer::Stream { pieces, broken_at: None, delay: Duration::from_millis(400) });
    let outcome = call_and_wait(&endpoint, true, "first chunk", Duration::from_secs(301)).await;
    assert_eq!(outcome.told[2..], [r#"chunk "a""#, "attempt 1 failed: stream_broken, no more"]);
    assert_eq!(outcome.error().to_string(), "the reply broke off: after `a`: nothing more came for 300s");
}

#[tokio::test]
async fn a_model_that_reasons_may_be_silent_for_minutes() {
    let Answer::Stream { pieces, .. } = Answer::stream(&["a", "b"]) else { unreachable!() };
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::Stream { pieces, broken_at: None, delay: Duration::from_millis(200) });
    let outcome = call_and_wait(&endpoint, true, "first chunk", Duration::from_secs(240)).await;
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("ab")));
}

#[tokio::test]
async fn what_is_not_streamed_may_begin_late() {
    let slow = || Answer::Slow(Duration::from_millis(300), Box::new(Answer::text("thought over")));
    let endpoint = Endpoint::start();
    endpoint.queue(slow());
    let outcome = call_and_wait(&endpoint, false, "attempt 1", Duration::from_secs(400)).await;
    assert_eq!(outcome.result.as_ref().map(text), Ok(Some("thought over")));
    assert_eq!(outcome.told, ["attempt 1"]);
    // What is streamed begins at once, or there is something wrong.
    let endpoint = Endpoint::start();
    endpoint.queue(slow());
    let outcome = call_and_wait(&endpoint, true, "attempt 1", Duration::from_secs(130)).await;
    assert_eq!(outcome.told[1], "attempt 1 failed: timed_out, again");
}

#[tokio::test]
async fn what_follows_the_end_mark_does_not_count() {
    let choice = r#"data: {"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    for garbage in ["data: {garbage\n\n", "data: {\"error\":{\"message\":\"late\",\"code\":503}}\n\n"] {
        let (outcome, count) = streamed(raw(&[&format!("{choice}\n\ndata: [DONE]\n\n{garbage}")])).await;
        assert_eq!((outcome.result.as_ref().map(text), count), (Ok(Some("x")), 1));
    }
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
