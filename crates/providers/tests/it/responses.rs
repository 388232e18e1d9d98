//! The responses API: what is refused, what comes back, whole and in pieces.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_config::{ConnectionKind, Secret};
use sluicegate_model::{ChatApi, ChatReply, ChatRequest, Content, Message, ModelError, Prompt, Shortfall};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::{Map, Value, json};

use crate::{Call, KEY, azure, call, connection, model, open_ai, request};

fn responses(url: &str) -> ConnectionKind {
    ConnectionKind::OpenAi {
        base_url: format!("{url}/v1"),
        api_key: Some(Secret::new(KEY)),
        organization: None,
        responses: true,
    }
}

/// What is made of a response.
async fn answered(body: &str) -> Result<ChatReply, ModelError> {
    let endpoint = Endpoint::start();
    endpoint.on({
        let body = body.to_owned();
        move |_| Some(Answer::Whole(200, Vec::new(), body.clone().into()))
    });
    call(&*model(connection(responses(&endpoint.url()))), &request()).await.result
}

async fn streamed(events: &[&str]) -> (Call, usize) {
    let endpoint = Endpoint::start();
    let pieces = events.iter().map(|event| {
        let kind = event.split('"').nth(3).unwrap();
        format!("event: {kind}\ndata: {event}\n\n").into()
    });
    endpoint.queue(Answer::Stream { pieces: pieces.collect(), broken_at: None, delay: Duration::ZERO });
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), r#"{"output":[]}"#.into())));
    let asked = ChatRequest { stream: true, ..request() };
    let outcome = call(&*model(connection(responses(&endpoint.url()))), &asked).await;
    (outcome, endpoint.count())
}

async fn refused(parameters: Map, messages: Option<Vec<Message>>) -> String {
    let endpoint = Endpoint::start();
    let prompt = messages.map_or_else(|| request().prompt, Prompt::Messages);
    let asked = ChatRequest { parameters, prompt, ..request() };
    let outcome = call(&*model(connection(responses(&endpoint.url()))), &asked).await;
    assert_eq!(endpoint.count(), 0);
    outcome.error().to_string()
}

#[tokio::test]
async fn what_the_api_does_not_have_is_refused_by_name() {
    let cases: [(&str, Value); 7] = [
        ("stop", "END".into()),
        ("n", Value::Int(2)),
        ("seed", Value::Int(7)),
        ("logit_bias", Map::from([("50256", Value::Int(-100))]).into()),
        ("presence_penalty", Value::Float(0.5)),
        ("logprobs", true.into()),
        ("background", true.into()),
    ];
    for (name, value) in cases {
        assert_eq!(
            refused(Map::from([(name, value)]), None).await,
            format!("connection `c` does not offer `{name}` with the responses API (leave it out, or say `api: chat`)")
        );
    }
    let function = Message { name: Some("f".into()), ..Message::text("function", "4") };
    assert_eq!(
        refused(Map::new(), Some(vec![function])).await,
        "connection `c` does not offer a message of role `function` with the responses API (say `api: chat`)"
    );
}

async fn heard_body(parameters: Map, prompt: Prompt) -> Value {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(Answer::Whole(200, Vec::new(), r#"{"output":[]}"#.into())));
    let asked = ChatRequest { parameters, prompt, ..request() };
    call(&*model(connection(responses(&endpoint.url()))), &asked).await.result.unwrap();
    json::read(std::str::from_utf8(&endpoint.requests()[0].body).unwrap()).unwrap()
}

#[tokio::test]
async fn what_says_nothing_is_left_out() {
    let neutral = r#"{"n": 1, "stop": null, "logit_bias": {}, "presence_penalty": 0, "frequency_penalty": 0.0, "seed": null,
        "logprobs": false, "temperature": 1, "top_p": 1.0, "response_format": {"type": "text"}, "functions": null,
        "stream_options": {"include_usage": true}, "user": "u"}"#;
    let neutral = json::read(neutral).unwrap().as_map().unwrap().clone();
    let body = heard_body(neutral, Prompt::Messages(vec![Message::text("user", "Hi")])).await;
    let expected = r#"{"model": "gpt-test", "input": [{"role": "user", "content": "Hi"}], "user": "u",
        "text": {"format": {"type": "text"}}}"#;
    assert_eq!(body, json::read(expected).unwrap());
}

#[tokio::test]
async fn groups_take_what_chat_says_beside_them() {
    let parameters = r#"{"reasoning": {"summary": "auto"}, "reasoning_effort": "high", "text": {"verbosity": "low"},
        "verbosity": "high", "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
        "tools": [{"type": "function", "function": {"name": "f"}}]}}, "max_tokens": 5, "max_completion_tokens": 7}"#;
    let parameters = json::read(parameters).unwrap().as_map().unwrap().clone();
    let messages = [("system", "A"), ("user", "B"), ("system", "C")].map(|(role, text)| Message::text(role, text));
    let body = heard_body(parameters, Prompt::Messages(messages.to_vec())).await;
    let expected = r#"{"model": "gpt-test", "instructions": "A",
        "input": [{"role": "user", "content": "B"}, {"role": "system", "content": "C"}], "max_output_tokens": 7,
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        "reasoning": {"summary": "auto", "effort": "high"}, "text": {"verbosity": "low"}}"#;
    assert_eq!(body, json::read(expected).unwrap());
}

#[tokio::test]
async fn a_request_chooses_its_api() {
    let endpoint = Endpoint::start();
    let bodies = [r#"{"output":[]}"#, r#"{"choices":[{"message":{"content":"ok"}}]}"#];
    endpoint.on(move |heard| {
        let body = bodies[usize::from(!heard.path.contains("responses"))];
        Some(Answer::Whole(200, Vec::new(), body.into()))
    });
    let url = endpoint.url();
    let ask = async |kind: ConnectionKind, api: Option<ChatApi>| {
        call(&*model(connection(kind)), &ChatRequest { api, ..request() }).await.result.unwrap();
        endpoint.requests().pop().unwrap().path
    };
    assert_eq!(ask(open_ai(&url), Some(ChatApi::Responses)).await, "/v1/responses");
    assert_eq!(ask(azure(&url), Some(ChatApi::Responses)).await, "/openai/responses?api-version=2024-02-01");
    assert_eq!(ask(responses(&url), Some(ChatApi::Completions)).await, "/v1/chat/completions");
    assert_eq!(ask(responses(&url), None).await, "/v1/responses");
    let text = ChatRequest { api: Some(ChatApi::Responses), prompt: Prompt::Text("Once".into()), ..request() };
    call(&*model(connection(open_ai(&url))), &text).await.result.unwrap();
    assert_eq!(endpoint.requests().pop().unwrap().json()["input"], "Once");
    let given = ConnectionKind::OpenAi {
        base_url: format!("{url}/v1/responses"),
        api_key: None,
        organization: None,
        responses: true,
    };
    assert_eq!(ask(given, None).await, "/v1/responses");
}

#[tokio::test]
async fn a_response_is_read_as_chat_completions_spell_it() {
    let body = r#"{"id":"resp_1","model":"gpt-x","status":"completed","error":null,"output":[
        {"type":"reasoning","summary":[]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello, "},{"type":"output_text","text":"you"}]},
        {"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{}"},
        {"type":"custom_tool_call","id":"ct_1","call_id":"call_2","name":"g","input":"x"}],
        "usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":8},"output_tokens":87,"output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}"#;
    let reply = answered(body).await.unwrap();
    let message = r#"{"role":"assistant","content":"Hello, you","tool_calls":[
        {"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},
        {"id":"call_2","type":"custom","custom":{"name":"g","input":"x"}}]}"#;
    assert_eq!(reply.message, json::read(message).unwrap());
    assert_eq!((reply.text.as_deref(), reply.finish_reason.as_deref()), (Some("Hello, you"), Some("tool_calls")));
    assert_eq!((reply.id.as_deref(), reply.model.as_deref()), (Some("resp_1"), Some("gpt-x")));
    let usage = reply.usage;
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (Some(36), Some(8)));
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (Some(87), Some(64)));
    assert_eq!(reply.body, json::read(body).unwrap());
}

#[tokio::test]
async fn why_a_response_ended_early() {
    let with = |status: &str, output: &str| {
        format!(
            r#"{{{status},"output":[{output}],"usage":{{"output_tokens":9,"output_tokens_details":{{"reasoning_tokens":9}}}}}}"#
        )
    };
    let cut = answered(&with(r#""status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}"#, ""))
        .await
        .unwrap();
    assert_eq!(cut.finish_reason.as_deref(), Some("length"));
    assert_eq!(cut.shortfall(), Some(Shortfall::OnlyReasoning { tokens: Some(9) }));
    let filtered =
        answered(&with(r#""status":"incomplete","incomplete_details":{"reason":"content_filter"}"#, "")).await.unwrap();
    assert_eq!(filtered.finish_reason.as_deref(), Some("content_filter"));
    let no = r#"{"type":"message","content":[{"type":"refusal","refusal":"I will not"}]}"#;
    let refused = answered(&with(r#""status":"completed""#, no)).await.unwrap();
    assert_eq!((refused.text.as_deref(), refused.refusal.as_deref()), (None, Some("I will not")));
    assert_eq!(refused.shortfall(), Some(Shortfall::Refused(Arc::from("I will not"))));
}

#[tokio::test]
async fn a_response_that_failed_is_an_error() {
    let error = answered(r#"{"status":"failed","output":[],"error":{"code":"server_error","message":"boom"}}"#).await;
    assert_eq!(error.unwrap_err().to_string(), "the endpoint failed (500): boom");
    let error = answered(r#"{"status":"in_progress","output":[],"error":null}"#).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the endpoint's reply makes no sense: it is a response that is `in_progress`"),
        "{error}"
    );
    let error = answered(r#"{"status":"completed"}"#).await.unwrap_err().to_string();
    assert!(error.contains("it has no `output`"), "{error}");
}

const DELTA: &str = r#"{"type":"response.output_text.delta","output_index":0,"delta":"Hello"}"#;
const END: &str = r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":1,"output_tokens":2}}}"#;

#[tokio::test]
async fn a_response_streams() {
    let created = r#"{"type":"response.created","response":{"status":"in_progress","output":[]}}"#;
    let (outcome, count) = streamed(&[created, DELTA, END]).await;
    assert_eq!(outcome.told, ["attempt 1", "first chunk", r#"chunk "Hello""#]);
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text.as_deref(), reply.finish_reason.as_deref()), (Some("Hello"), Some("stop")));
    assert_eq!((reply.usage.total(), count), (Some(3), 1));
}

#[tokio::test]
async fn a_stream_without_its_response_is_broken() {
    let (outcome, count) = streamed(&[DELTA]).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: after `Hello`: the stream ended without an end mark");
    assert_eq!(count, 1);
    // Before any text it is asked again.
    assert_eq!(streamed(&[r#"{"type":"response.created","response":{}}"#]).await.1, 2);
}

#[tokio::test]
async fn an_error_in_the_stream_is_an_error() {
    let failed = r#"{"type":"response.failed","response":{"status":"failed","output":[],"error":{"code":"server_error","message":"boom"}}}"#;
    let (outcome, _) = streamed(&[DELTA, failed]).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: the endpoint failed (500): boom");
    let (outcome, _) =
        streamed(&[DELTA, r#"{"type":"error","code":"server_error","message":"boom","param":null}"#]).await;
    assert_eq!(outcome.error().to_string(), "the reply broke off: the endpoint failed (500): boom");
}

#[tokio::test]
async fn files_and_images_in_other_spellings() {
    use sluicegate_model::Part;
    let parts = [
        r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,QQ=="}}"#,
        r#"{"type":"image_url","image_url":"https://example.com/a.png"}"#,
        r#"{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}"#,
    ];
    let parts = parts.map(|part| Part::Other(json::read(part).unwrap()));
    let message = Message { content: Some(Content::Parts(parts.to_vec())), ..Message::text("user", "") };
    let body = heard_body(Map::new(), Prompt::Messages(vec![message])).await;
    let expected = r#"[{"role":"user","content":[
        {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,QQ=="},
        {"type":"input_image","image_url":"https://example.com/a.png"},
        {"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}]}]"#;
    assert_eq!(body.get("input"), Some(&json::read(expected).unwrap()));
}
