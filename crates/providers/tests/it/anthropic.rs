//! Anthropic's messages: what is refused, what comes back, whole and in pieces.

use std::time::Duration;

use sluicegate_config::{ConnectionKind, Secret};
use sluicegate_model::{
    CallContext, ChatApi, ChatReply, ChatRequest, EmbeddingInput, EmbeddingRequest, FilterState, Message, ModelError,
    Models as _, Prompt, Shortfall,
};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::{Map, Value, json};

use crate::{KEY, call, connection, model, models, request};

fn anthropic(url: &str) -> ConnectionKind {
    ConnectionKind::Anthropic {
        base_url: url.to_owned(),
        api_key: Some(Secret::new(KEY)),
        version: "2023-06-01".to_owned(),
    }
}

const OK: &str = r#"{"id":"msg_1","type":"message","model":"claude-x","content":[{"type":"text","text":"ok"}],"stop_reason":"end_turn"}"#;

async fn answered(status: u16, body: &str) -> Result<ChatReply, ModelError> {
    let endpoint = Endpoint::start();
    let body = body.to_owned();
    endpoint.on(move |_| Some(Answer::Whole(status, Vec::new(), body.clone().into())));
    call(&*model(connection(anthropic(&endpoint.url()))), &request()).await.result
}

async fn heard_body(parameters: &str) -> Value {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), OK.into())));
    let parameters = json::read(parameters).unwrap().as_map().unwrap().clone();
    let prompt = Prompt::Messages(vec![Message::text("user", "Hi")]);
    let asked = ChatRequest { parameters, prompt, ..request() };
    call(&*model(connection(anthropic(&endpoint.url()))), &asked).await.result.unwrap();
    json::read(std::str::from_utf8(&endpoint.requests()[0].body).unwrap()).unwrap()
}

#[tokio::test]
async fn addresses_in_every_form() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), OK.into())));
    for end in ["", "/", "/v1", "/v1/messages"] {
        let asked = ChatRequest { api: Some(ChatApi::Completions), ..request() };
        call(&*model(connection(anthropic(&format!("{}{end}", endpoint.url())))), &asked).await.result.unwrap();
        assert_eq!(endpoint.requests().pop().unwrap().path, "/v1/messages");
    }
}

#[tokio::test]
async fn parameters_are_translated() {
    let parameters = r#"{"temperature": 1.0, "top_p": 1.0, "n": 1, "stream": false, "stop": "END", "user": "u-1",
        "max_completion_tokens": 9, "tool_choice": "required", "response_format": {"type": "text"}, "top_k": 4,
        "thinking": {"type": "enabled", "budget_tokens": 1024}, "presence_penalty": 0.0,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}]}"#;
    let expected = r#"{"model": "gpt-test", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "max_tokens": 9, "stop_sequences": ["END"], "metadata": {"user_id": "u-1"}, "top_k": 4,
        "tools": [{"type": "web_search_20250305", "name": "web_search"}], "tool_choice": {"type": "any"},
        "thinking": {"type": "enabled", "budget_tokens": 1024}}"#;
    assert_eq!(heard_body(parameters).await, json::read(expected).unwrap());
}

#[tokio::test]
async fn what_messages_do_not_have_is_refused_by_name() {
    let schema = Map::from([("type", "json_schema")]);
    let cases: [(&str, Value); 4] = [
        ("response_format", schema.into()),
        ("reasoning_effort", "low".into()),
        ("seed", Value::Int(7)),
        ("n", Value::Int(2)),
    ];
    let refusal = async |request: ChatRequest| {
        call(&*model(connection(anthropic("http://localhost:9"))), &request).await.error().to_string()
    };
    for (name, value) in cases {
        assert_eq!(
            refusal(ChatRequest { parameters: Map::from([(name, value)]), ..request() }).await,
            format!(
                "connection `c` does not offer `{name}` with Anthropic's messages (leave it out, or ask another provider)"
            )
        );
    }
    assert_eq!(
        refusal(ChatRequest { prompt: Prompt::Text("Once".into()), ..request() }).await,
        "connection `c` does not offer completions of a text"
    );
    assert_eq!(
        refusal(ChatRequest { api: Some(ChatApi::Responses), ..request() }).await,
        "connection `c` does not offer the responses API (`api: responses`)"
    );
    let embedding = EmbeddingRequest {
        model: "m".into(),
        input: EmbeddingInput::One("x".into()),
        parameters: Map::new(),
        called_from: "".into(),
    };
    let models = models(connection(anthropic("http://localhost:9")));
    let error = models.embedding(&"c".into()).unwrap().embed(&embedding, &CallContext::detached()).await.unwrap_err();
    assert_eq!(error.to_string(), "connection `c` does not offer embeddings");
}

#[tokio::test]
async fn a_message_is_read_as_chat_completions_spell_it() {
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[
        {"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Hello"},{"type":"text","text":", you"},
        {"type":"tool_use","id":"toolu_1","name":"f","input":{"city":"Ghent"}}],"stop_reason":"tool_use",
        "usage":{"input_tokens":10,"cache_read_input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":3}}"#;
    let reply = answered(200, body).await.unwrap();
    let message = r#"{"role":"assistant","content":"Hello, you","reasoning_content":"Hm.",
        "tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"city\":\"Ghent\"}"}}]}"#;
    assert_eq!(reply.message, json::read(message).unwrap());
    assert_eq!((reply.text.as_deref(), reply.finish_reason.as_deref()), (Some("Hello, you"), Some("tool_calls")));
    let usage = reply.usage;
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (Some(17), Some(5), Some(3)));
}

#[tokio::test]
async fn why_a_message_ended() {
    let reason = async |reason: &str| {
        let body = format!(r#"{{"content":[{{"type":"text","text":"x"}}],"stop_reason":"{reason}"}}"#);
        answered(200, &body).await.unwrap()
    };
    for (theirs, ours) in
        [("end_turn", "stop"), ("stop_sequence", "stop"), ("max_tokens", "length"), ("pause_turn", "pause_turn")]
    {
        assert_eq!(reason(theirs).await.finish_reason.as_deref(), Some(ours));
    }
    let refused = reason("refusal").await;
    assert_eq!((refused.text.as_deref(), refused.finish_reason.as_deref()), (None, Some("content_filter")));
    assert_eq!(refused.shortfall(), Some(Shortfall::Refused("x".into())));
}

#[tokio::test]
async fn errors_say_the_service_s_words() {
    let error = async |status: u16, kind: &str| {
        let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"in its words"}}}}"#);
        let error = answered(status, &body).await.unwrap_err();
        assert!(error.to_string().contains("in its words"), "{error}");
        error.code()
    };
    assert_eq!(error(401, "authentication_error").await, "key_refused");
    assert_eq!(error(404, "not_found_error").await, "unknown_model");
    assert_eq!(error(429, "rate_limit_error").await, "rate_limited");
    assert_eq!(error(529, "overloaded_error").await, "rate_limited");
    assert_eq!(error(400, "invalid_request_error").await, "rejected");
}

#[tokio::test]
async fn a_blocked_message_is_a_result() {
    for (words, state) in [("Output", FilterState::Output), ("Input", FilterState::Input)] {
        let words = format!("{words} blocked by content filtering policy");
        let error = format!(r#"{{"type":"error","error":{{"type":"invalid_request_error","message":"{words}"}}}}"#);
        let reply = answered(400, &error).await.unwrap();
        assert_eq!((reply.text, reply.finish_reason.as_deref()), (None, Some("content_filter")));
        let filter = reply.filter.unwrap();
        assert_eq!((filter.state, filter.message.as_deref()), (state, Some(words.as_str())));
        // In the middle of a stream what there is of it is kept.
        let (outcome, count) = streamed(&[START, BLOCK, DELTA, &error]).await;
        let reply = outcome.result.unwrap();
        assert_eq!((reply.text.as_deref(), count), (Some("Hello"), 1));
        assert_eq!(reply.filter.unwrap().state, FilterState::Output);
    }
}

const START: &str =
    r#"{"type":"message_start","message":{"id":"msg_1","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}"#;
const BLOCK: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const DELTA: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}"#;
const REASON: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

async fn streamed(events: &[&str]) -> (crate::Call, usize) {
    let endpoint = Endpoint::start();
    let pieces = events.iter().map(|event| {
        let kind = event.split('"').nth(3).unwrap();
        format!("event: {kind}\ndata: {event}\n\n").into()
    });
    endpoint.queue(Answer::Stream { pieces: pieces.collect(), broken_at: None, delay: Duration::ZERO });
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), OK.into())));
    let asked = ChatRequest { stream: true, ..request() };
    let outcome = call(&*model(connection(anthropic(&endpoint.url()))), &asked).await;
    (outcome, endpoint.count())
}

#[tokio::test]
async fn a_message_streams() {
    let (outcome, _) = streamed(&[START, r#"{"type":"ping"}"#, BLOCK, DELTA, REASON, STOP]).await;
    assert_eq!(outcome.told, ["attempt 1", "first chunk", r#"chunk "Hello""#]);
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text.as_deref(), reply.finish_reason.as_deref()), (Some("Hello"), Some("stop")));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (Some(9), Some(4)));
    // Without its last event it is whole too, once it has told why it ended.
    assert_eq!(streamed(&[START, BLOCK, DELTA, REASON]).await.0.result.unwrap().text.as_deref(), Some("Hello"));
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_broken() {
    let (outcome, count) = streamed(&[START, BLOCK, DELTA]).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: after `Hello`: the stream ended without an end mark");
    assert_eq!(count, 1);
    let overloaded = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (outcome, _) = streamed(&[START, BLOCK, DELTA, overloaded]).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: rate limited: Overloaded");
    // Before any text it is asked again.
    let (outcome, count) = streamed(&[START, overloaded]).await;
    assert_eq!((outcome.result.unwrap().text.as_deref(), count), (Some("ok"), 2));
}
