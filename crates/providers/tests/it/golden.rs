//! Requests as each service wants them: where they go, what they carry, and their bodies.

use std::sync::Arc;

use sluicegate_config::{Auth, AzureApi, ConnectionKind, ExtraParameters, Secret};
use sluicegate_model::{
    CallContext, ChatRequest, Content, EmbeddingInput, EmbeddingRequest, Message, Models as _, Part, Prompt,
};
use sluicegate_testkit::endpoint::{Answer, Endpoint, Heard};
use sluicegate_value::{Blob, Map, Value, json};

use crate::{KEY, connection, models};

fn text(value: &Value, key: &str) -> Option<Arc<str>> {
    value.get(key).and_then(Value::as_str).map(Into::into)
}

/// A connection to an endpoint, by what a golden file says of it.
fn kind(said: &Value, url: &str) -> ConnectionKind {
    let responses = said.get("responses").is_some();
    let key = || Secret::new(KEY);
    match &*text(said, "type").unwrap() {
        "azure_open_ai" => ConnectionKind::AzureOpenAi {
            api_base: url.to_owned(),
            auth: Auth::Key(key()),
            api: match &*text(said, "api").unwrap() {
                "v1" => AzureApi::V1,
                version => AzureApi::Dated(version.to_owned()),
            },
            responses,
        },
        "open_ai" => ConnectionKind::OpenAi {
            base_url: format!("{url}/v1"),
            api_key: Some(key()),
            organization: None,
            responses,
        },
        "serverless" => ConnectionKind::Serverless {
            endpoint: format!("{url}/models"),
            auth: Auth::Key(key()),
            api_version: "2024-05-01-preview".to_owned(),
            extra_parameters: match text(said, "extra_parameters").as_deref() {
                Some("pass-through") => ExtraParameters::PassThrough,
                _ => ExtraParameters::Unsaid,
            },
        },
        "anthropic" => ConnectionKind::Anthropic {
            base_url: url.to_owned(),
            api_key: Some(key()),
            version: "2023-06-01".to_owned(),
        },
        other => panic!("{other}"),
    }
}

/// A message, from the way chat completions spell it.
fn message(said: &Value) -> Message {
    let content = match said.get("content") {
        Some(Value::Str(text)) => Some(Content::Text(text.clone())),
        Some(Value::List(parts)) => Some(Content::Parts(parts.iter().map(part).collect())),
        _ => None,
    };
    Message {
        content,
        tool_call_id: text(said, "tool_call_id"),
        tool_calls: said.get("tool_calls").cloned(),
        ..Message::text(text(said, "role").unwrap(), "")
    }
}

fn part(said: &Value) -> Part {
    let Some(image) = said.get("image_url") else { return Part::Text(text(said, "text").unwrap()) };
    let url = text(image, "url").unwrap();
    let bytes = url.strip_prefix("data:image/png;base64,").unwrap();
    Part::Image {
        image: Arc::new(Blob::from_base64("image/png", bytes).unwrap()),
        detail: text(image, "detail").unwrap(),
    }
}

/// What any service answers, by the path on which it is asked.
fn answer(heard: &Heard) -> Answer {
    let path = heard.path.split('?').next().unwrap();
    let body = match path.rsplit('/').next().unwrap() {
        "responses" => r#"{"status":"completed","output":[]}"#,
        "messages" => r#"{"content":[],"stop_reason":"end_turn"}"#,
        "embeddings" if heard.json()["input"].is_string() => r#"{"data":[{"embedding":[1]}]}"#,
        "embeddings" => r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#,
        _ => r#"{"choices":[{"message":{"content":"ok"}}]}"#,
    };
    Answer::Whole(200, Vec::new(), body.into())
}

/// Sends a golden request; gives what the service heard.
async fn send(said: &Value, kind: ConnectionKind, endpoint: &Endpoint) -> Heard {
    let models = models(connection(kind));
    let (context, model) = (CallContext::detached(), text(said, "model").unwrap());
    let parameters = said.get("parameters").and_then(Value::as_map).cloned().unwrap();
    match (said.get("input"), said.get("messages")) {
        (Some(input), _) => {
            let input = match input {
                Value::List(texts) => {
                    EmbeddingInput::Many(texts.iter().map(|text| text.as_str().unwrap().into()).collect())
                }
                text => EmbeddingInput::One(text.as_str().unwrap().into()),
            };
            let request = EmbeddingRequest { model, input, parameters, called_from: "aoai-tool".into() };
            models.embedding(&"c".into()).unwrap().embed(&request, &context).await.unwrap();
        }
        (None, messages) => {
            let messages = messages.and_then(Value::as_list).unwrap().iter().map(message).collect();
            let request = ChatRequest {
                model,
                prompt: Prompt::Messages(messages),
                parameters,
                stream: said.get("stream").is_some(),
                called_from: "aoai-tool".into(),
                api: None,
            };
            models.chat(&"c".into()).unwrap().chat(&request, &context).await.unwrap();
        }
    }
    endpoint.requests().pop().unwrap()
}

#[tokio::test]
async fn every_service_hears_what_it_wants() {
    let golden = json::read(include_str!("../data/golden_requests.json")).unwrap();
    let endpoint = Endpoint::start();
    endpoint.on(|heard| Some(answer(heard)));
    let cases = golden.get("cases").and_then(Value::as_list).unwrap();
    for case in cases {
        let said = case.get("connection").unwrap();
        let name = format!("{} to {}", text(case, "request").unwrap(), said.to_json());
        let request = golden.get("requests").and_then(|all| all.get(&text(case, "request")?)).unwrap();
        let heard = send(request, kind(said, &endpoint.url()), &endpoint).await;
        assert_eq!((&*heard.method, &*heard.path), ("POST", &*text(case, "path").unwrap()), "{name}");
        for (header, expected) in case.get("headers").and_then(Value::as_map).unwrap() {
            let expected = expected
                .as_str()
                .map(|expected| expected.replace("KEY", KEY).replace("VERSION", env!("CARGO_PKG_VERSION")));
            assert_eq!(heard.header(header), expected.as_deref(), "{name}: {header}");
        }
        let body = json::read(std::str::from_utf8(&heard.body).unwrap()).unwrap();
        // `Value` tells 1 from 1.0.
        assert_eq!(body.to_json_pretty(), ordered_as(&body, case.get("body").unwrap()).to_json_pretty(), "{name}");
    }
    assert_eq!(cases.len(), 14);
}

/// The expected body with its keys in the order of the one that came, so that a difference is easily seen.
fn ordered_as(found: &Value, expected: &Value) -> Value {
    match (found, expected) {
        (Value::Map(found), Value::Map(expected)) => {
            let known = found.keys().filter(|key| expected.contains_key(key));
            let missing = expected.keys().filter(|key| !found.contains_key(key));
            let ordered: Map = known
                .chain(missing)
                .map(|key| {
                    let value = &expected.get(key).cloned().unwrap();
                    (key.clone(), ordered_as(found.get(key).unwrap_or(&Value::Null), value))
                })
                .collect();
            ordered.into()
        }
        (Value::List(found), Value::List(expected)) if found.len() == expected.len() => found
            .iter()
            .zip(expected.iter())
            .map(|(found, expected)| ordered_as(found, expected))
            .collect::<Vec<_>>()
            .into(),
        _ => expected.clone(),
    }
}
