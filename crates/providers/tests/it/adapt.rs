//! Parameters that a deployment does not take: declared, or learned from its refusal.

use std::sync::Arc;

use serde_json::{Value, json};
use sluicegate_config::{Connection, Deployment, Deployments};
use sluicegate_model::{ChatModel, ChatRequest, ModelError};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::Map;

use crate::{azure, call, connection, model, request};

/// A refusal as OpenAI and Azure spell it.
fn refusal(code: &str, parameter: &str, message: &str) -> Answer {
    let kind = "invalid_request_error";
    Answer::json(400, &json!({ "error": { "message": message, "type": kind, "param": parameter, "code": code } }))
}

fn max_tokens_refused() -> Answer {
    let message =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    refusal("unsupported_parameter", "max_tokens", message)
}

fn temperature_refused() -> Answer {
    let message = "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.";
    refusal("unsupported_value", "temperature", message)
}

fn with(parameters: &[(&str, f64)]) -> ChatRequest {
    ChatRequest { parameters: parameters.iter().map(|(name, value)| (*name, *value)).collect(), ..request() }
}

/// The parameters of each request that was heard, as JSON.
fn heard(endpoint: &Endpoint) -> Vec<String> {
    let parameters = |body: Value| {
        let Value::Object(mut body) = body else { return body.to_string() };
        ["model", "messages", "prompt", "stream"].iter().for_each(|key| drop(body.shift_remove(*key)));
        Value::Object(body).to_string()
    };
    endpoint.requests().iter().map(|heard| parameters(heard.json())).collect()
}

fn declared(endpoint: &Endpoint, name: &str, deployment: Deployment) -> Arc<dyn ChatModel> {
    let deployments = Deployments { by_name: [(name.into(), deployment)].into(), never_adapt: false };
    model(Connection { deployments, ..connection(azure(&endpoint.url())) })
}

#[tokio::test]
async fn what_is_declared_is_right_at_once() {
    let endpoint = Endpoint::start();
    let reasoning = Deployment { reasoning: true, ..Deployment::default() };
    let parameters =
        [("temperature", 1.0), ("top_p", 1.0), ("n", 1.0), ("max_tokens", 9.0), ("seed", 7.0), ("logprobs", 1.0)];
    call(&*declared(&endpoint, "gpt-test", reasoning.clone()), &with(&parameters)).await.result.unwrap();
    call(&*declared(&endpoint, "*", reasoning), &with(&[("max_tokens", 9.0), ("max_completion_tokens", 5.0)]))
        .await
        .result
        .unwrap();
    let other = Deployment {
        rename: vec![("max_tokens".into(), "max_output".into())],
        drop: vec!["seed".into()],
        ..Deployment::default()
    };
    call(&*declared(&endpoint, "gpt-test", other.clone()), &with(&[("max_tokens", 9.0), ("seed", 7.0)]))
        .await
        .result
        .unwrap();
    call(&*declared(&endpoint, "another", other), &with(&[("seed", 7.0)])).await.result.unwrap();
    assert_eq!(
        heard(&endpoint),
        [
            r#"{"n":1.0,"max_completion_tokens":9.0,"seed":7.0}"#,
            r#"{"max_completion_tokens":5.0}"#,
            r#"{"max_output":9.0}"#,
            r#"{"seed":7.0}"#,
        ]
    );
}

#[tokio::test]
async fn what_is_refused_is_learned_once_and_told_once() {
    let endpoint = Endpoint::start();
    endpoint.queue(max_tokens_refused()).queue(temperature_refused());
    let model = model(connection(azure(&endpoint.url())));
    let request = with(&[("temperature", 0.2), ("max_tokens", 9.0)]);
    let first = call(&*model, &request).await;
    assert_eq!(first.result.unwrap().text.as_deref(), Some("ok"));
    assert_eq!(
        first.told,
        ["attempt 1", "adapted max_tokens: Renamed(\"max_completion_tokens\")", "adapted temperature: Dropped"]
    );
    let second = call(&*model, &request).await;
    assert_eq!(second.told, ["attempt 1"]);
    // Another deployment has a mind of its own.
    call(&*model, &ChatRequest { model: "other".into(), ..request }).await.result.unwrap();
    assert_eq!(
        heard(&endpoint),
        [
            r#"{"temperature":0.2,"max_tokens":9.0}"#,
            r#"{"temperature":0.2,"max_completion_tokens":9.0}"#,
            r#"{"max_completion_tokens":9.0}"#,
            r#"{"max_completion_tokens":9.0}"#,
            r#"{"temperature":0.2,"max_tokens":9.0}"#,
        ]
    );
}

#[tokio::test]
async fn servers_of_all_kinds_are_understood() {
    let error = |message: &str| json!({ "error": { "message": message, "type": "invalid_request_error" } });
    for (status, body, told) in [
        (400, error("Unrecognized request argument supplied: seed"), "adapted seed: Dropped"),
        (400, error("Unknown parameter: 'seed'."), "adapted seed: Dropped"),
        (400, error("seed: Extra inputs are not permitted"), "adapted seed: Dropped"),
        (
            400,
            error("'seed' does not support 7 with this model. Only the default value is supported."),
            "adapted seed: Dropped",
        ),
        (
            400,
            json!({ "error": { "message": "no", "param": "seed", "code": "unsupported_value" } }),
            r#"adapted seed: ValueDropped("7.0")"#,
        ),
        (
            400,
            json!({ "error": { "message": "no", "param": "seed", "code": "unsupported_parameter" } }),
            "adapted seed: Dropped",
        ),
        (
            400,
            json!({ "error": { "message": "This model does not support it.", "param": "seed" } }),
            "adapted seed: Dropped",
        ),
        (
            400,
            error(
                r#"litellm.BadRequestError: OpenAIException - {"type":"error","error":{"type":"unsupported_parameter","message":"Unsupported parameter: 'seed' is not supported with this model."}}"#,
            ),
            "adapted seed: Dropped",
        ),
        (
            422,
            json!({ "detail": [{ "type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted" }] }),
            "adapted seed: Dropped",
        ),
        (
            422,
            json!({ "status": 422, "code": "parameter_not_supported", "detail": { "loc": ["body", "seed"], "input": 7 },
            "message": "One of the parameters contain invalid values." }),
            "adapted seed: Dropped",
        ),
        (
            400,
            error("Extra parameters ['seed'] are not allowed when extra-parameters is not set or set to be 'error'."),
            "adapted seed: Dropped",
        ),
    ] {
        let endpoint = Endpoint::start();
        endpoint.queue(Answer::json(status, &body));
        let outcome = call(&*model(connection(azure(&endpoint.url()))), &with(&[("seed", 7.0)])).await;
        assert_eq!(outcome.result.map(|_| outcome.told), Ok(vec!["attempt 1".to_owned(), told.to_owned()]), "{body}");
        assert_eq!(heard(&endpoint), [r#"{"seed":7.0}"#, "{}"]);
    }
}

fn effort(value: &str) -> ChatRequest {
    ChatRequest { parameters: Map::from([("reasoning_effort", value)]), ..request() }
}

/// Of some models that take a parameter, each takes other values of it.
fn refusing_efforts(endpoint: &Endpoint, refused: &'static [&'static str]) {
    endpoint.on(move |heard| {
        let body = heard.json();
        let effort = body.get("reasoning_effort")?.as_str().filter(|effort| refused.contains(effort))?;
        let message = format!("Unsupported value: 'reasoning_effort' does not support '{effort}' with this model.");
        Some(refusal("unsupported_value", "reasoning_effort", &message))
    });
}

#[tokio::test]
async fn a_value_that_is_refused_is_left_out_and_others_are_sent() {
    let endpoint = Endpoint::start();
    refusing_efforts(&endpoint, &["minimal", "none"]);
    let model = model(connection(azure(&endpoint.url())));
    let mut told = Vec::new();
    for value in ["minimal", "low", "none", "minimal", "low"] {
        let outcome = call(&*model, &effort(value)).await;
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        told.extend(outcome.told.into_iter().filter(|line| line.starts_with("adapted")));
    }
    let left_out = |value: &str| format!("adapted reasoning_effort: ValueDropped({:?})", format!("\"{value}\""));
    assert_eq!(told, [left_out("minimal"), left_out("none")]);
    let sent = |value: &str| format!(r#"{{"reasoning_effort":"{value}"}}"#);
    let nothing = "{}".to_owned();
    assert_eq!(
        heard(&endpoint),
        [sent("minimal"), nothing.clone(), sent("low"), sent("none"), nothing.clone(), nothing, sent("low")]
    );
}

#[tokio::test]
async fn who_refuses_every_value_refuses_the_parameter() {
    const VALUES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
    let endpoint = Endpoint::start();
    refusing_efforts(&endpoint, &VALUES);
    let model = model(connection(azure(&endpoint.url())));
    let mut told = Vec::new();
    for value in VALUES {
        told.extend(call(&*model, &effort(value)).await.told.into_iter().filter(|line| line.starts_with("adapted")));
    }
    assert_eq!((told.len(), told.last().unwrap().as_str()), (9, "adapted reasoning_effort: Dropped"));
    assert_eq!(endpoint.count(), VALUES.len() + 9);
}

#[tokio::test]
async fn an_old_server_is_asked_by_the_old_name() {
    let endpoint = Endpoint::start();
    endpoint.queue(refusal("x", "", "Unrecognized request argument supplied: max_completion_tokens"));
    call(&*model(connection(azure(&endpoint.url()))), &with(&[("max_completion_tokens", 9.0)])).await.result.unwrap();
    assert_eq!(heard(&endpoint).last().unwrap(), r#"{"max_tokens":9.0}"#);
}

/// A refusal that nothing can be made of: the error, after one request.
async fn check_not_adapted(request: &ChatRequest, answer: Answer, expected: &str) {
    let endpoint = Endpoint::start();
    endpoint.queue(answer);
    let outcome = call(&*model(connection(azure(&endpoint.url()))), request).await;
    let error = outcome.error();
    assert_eq!((error.code(), error.to_string().as_str(), endpoint.count()), ("rejected", expected, 1));
    assert_eq!(outcome.told, ["attempt 1", "attempt 1 failed: rejected, no more"]);
}

/// Whoever reads of a parameter is told to leave it out: none is named where that makes no sense.
#[tokio::test]
async fn what_a_request_cannot_do_without_is_no_parameter_to_leave_out() {
    for name in ["prompt", "messages", "messages[0].content", "input", "tools", "response_format"] {
        let unsupported = format!("Unsupported parameter: '{name}'.");
        for answer in [refusal("invalid_value", name, "no"), refusal("unsupported_parameter", name, &unsupported)] {
            let endpoint = Endpoint::start();
            endpoint.queue(answer);
            let outcome = call(&*model(connection(azure(&endpoint.url()))), &request()).await;
            let ModelError::Rejected { parameter, .. } = outcome.error() else { panic!("{:?}", outcome.error()) };
            assert_eq!((parameter, endpoint.count()), (&None, 1), "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_request_means_is_never_left_out() {
    let tools = ChatRequest { parameters: Map::from([("tools", Map::new())]), ..request() };
    check_not_adapted(
        &tools,
        refusal("unsupported_parameter", "tools", "Unsupported parameter: 'tools' is not supported with this model."),
        "the endpoint refused the request (400): Unsupported parameter: 'tools' is not supported with this model; \
         it is not left out, since without `tools` the request would mean something else",
    )
    .await;
    check_not_adapted(
        &with(&[("n", 3.0)]),
        refusal("unsupported_value", "n", "Unsupported value: 'n' does not support 3 with this model."),
        "the endpoint refused the request (400): Unsupported value: 'n' does not support 3 with this model; \
         it is not left out, since without `n` the request would mean something else",
    )
    .await;
    let role = "Unsupported value: 'messages[0].role' does not support 'system' with this model.";
    check_not_adapted(
        &request(),
        refusal("unsupported_value", "messages[0].role", role),
        &format!(
            "the endpoint refused the request (400): {}; it is not left out, since without `messages` the request would \
             mean something else",
            role.trim_end_matches('.')
        ),
    )
    .await;
}

#[tokio::test]
async fn what_the_request_does_not_have_cannot_be_left_out() {
    check_not_adapted(
        &request(),
        refusal("unsupported_parameter", "seed", "Unsupported parameter: 'seed'."),
        "the endpoint refused the request (400): Unsupported parameter: 'seed'.",
    )
    .await;
    check_not_adapted(
        &with(&[("temperature", 9.0)]),
        refusal("invalid_value", "temperature", "Invalid 'temperature': at most 2."),
        "the endpoint refused the request (400): Invalid 'temperature': at most 2.",
    )
    .await;
}

#[tokio::test]
async fn switched_off_it_says_what_to_write() {
    let endpoint = Endpoint::start();
    endpoint.queue(max_tokens_refused());
    let deployments = Deployments { never_adapt: true, ..Deployments::default() };
    let model = model(Connection { deployments, ..connection(azure(&endpoint.url())) });
    let outcome = call(&*model, &with(&[("max_tokens", 9.0)])).await;
    let ModelError::Rejected { parameter, message, .. } = outcome.error() else { panic!("{:?}", outcome.error()) };
    assert_eq!(parameter.as_deref(), Some("max_tokens"));
    let line = "`connections: { c: { deployments: { gpt-test: { rename: { max_tokens: max_completion_tokens } } } } }`";
    assert!(message.contains(line), "{message}");
    assert_eq!(endpoint.count(), 1);
    // There is no line for a value: another one has to be written.
    refusing_efforts(&endpoint, &["minimal"]);
    let message = call(&*model, &effort("minimal")).await.error().to_string();
    assert!(message.ends_with("`adapt` is off, so that it is not left out; use another value"), "{message}");
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_is_given_up() {
    let endpoint = Endpoint::start();
    endpoint.on(|heard| {
        let body = heard.json();
        let name = body.as_object()?.keys().rfind(|key| key.starts_with('p'))?.clone();
        Some(refusal("unsupported_parameter", &name, &format!("Unsupported parameter: '{name}'.")))
    });
    let names: Vec<String> = (0..9).map(|number| format!("p{number}")).collect();
    let parameters = names.iter().map(|name| (name.as_str(), 1.0)).collect::<Vec<_>>();
    let outcome = call(&*model(connection(azure(&endpoint.url()))), &with(&parameters)).await;
    assert_eq!((outcome.error().code(), endpoint.count()), ("rejected", 7));
    // And one that refuses what is not there any more.
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(max_tokens_refused()));
    let outcome = call(&*model(connection(azure(&endpoint.url()))), &with(&[("max_tokens", 1.0)])).await;
    assert_eq!((outcome.error().code(), endpoint.count()), ("rejected", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_learn_the_same_at_once_tell_it_once() {
    let endpoint = Endpoint::start();
    endpoint.latency(std::time::Duration::from_millis(30));
    endpoint.on(|heard| heard.json().get("max_tokens").is_some().then(max_tokens_refused));
    let model = model(connection(azure(&endpoint.url())));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let model = model.clone();
        calls.spawn(async move { call(&*model, &with(&[("max_tokens", 9.0)])).await });
    }
    let outcomes = calls.join_all().await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    let told: Vec<&String> =
        outcomes.iter().flat_map(|outcome| &outcome.told).filter(|line| line.starts_with("adapted")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}
