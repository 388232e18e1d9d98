//! What goes over the wire: paths, headers, bodies.

use std::sync::Arc;

use sluicegate_config::{Auth, AzureApi, Connection, ConnectionKind, Proxies, Secret};
use sluicegate_model::{CallContext, ChatRequest, Content, Message, ModelError, Models as _, Prompt, TraceContext};
use sluicegate_providers::{Options, connect};
use sluicegate_testkit::endpoint::{Endpoint, Heard};
use sluicegate_value::{Map, Value, json};

use crate::{KEY, azure, azure_api, call, connection, model, models, open_ai, request};

async fn heard(kind: ConnectionKind, request: &ChatRequest, endpoint: &Endpoint) -> Heard {
    call(&*model(connection(kind)), request).await.result.unwrap();
    endpoint.requests().pop().unwrap()
}

/// A request as the flow crate would build it, from a body as the original sends it.
fn from_body(body: &Value) -> ChatRequest {
    let text = |value: &Value| value.as_str().map(Arc::<str>::from);
    let mut parameters = body.as_map().unwrap().clone();
    let model = parameters.remove("model").and_then(|model| text(&model)).unwrap();
    let prompt = match (parameters.remove("prompt"), parameters.remove("messages")) {
        (Some(prompt), _) => Prompt::Text(text(&prompt).unwrap()),
        (_, messages) => {
            let messages = messages.unwrap();
            let message = |value: &Value| Message {
                content: value.get("content").and_then(text).map(Content::Text),
                ..Message::text(text(value.get("role").unwrap()).unwrap(), "")
            };
            Prompt::Messages(messages.as_list().unwrap().iter().map(message).collect())
        }
    };
    let stream = parameters.get("stream").and_then(Value::as_bool).unwrap_or_default();
    ChatRequest { model, prompt, parameters, stream, called_from: "aoai-tool".into(), api: None }
}

#[tokio::test]
async fn bodies_paths_and_headers_are_the_original_s() {
    let endpoint = Endpoint::start();
    let mut compared = 0;
    for line in include_str!("../data/llm_requests_shapes.jsonl").lines() {
        let recorded = json::read(line).unwrap();
        let recorded = recorded.get("request").unwrap();
        let (path, body) = (recorded.get("path").unwrap().as_str().unwrap(), recorded.get("body").unwrap());
        if path.contains("/embeddings") {
            continue;
        }
        let heard = heard(azure(&endpoint.url()), &from_body(body), &endpoint).await;
        assert_eq!(heard.path, path);
        assert_eq!(heard.header("api-key"), Some(KEY));
        assert_eq!(heard.header("ms-azure-ai-promptflow-called-from"), Some("aoai-tool"));
        // `Value` tells 1 from 1.0.
        assert_eq!(&json::read(std::str::from_utf8(&heard.body).unwrap()).unwrap(), body);
        compared += 1;
    }
    assert_eq!(compared, 6);
}

#[tokio::test]
async fn azure_addresses_in_every_form() {
    let endpoint = Endpoint::start();
    let url = endpoint.url();
    let deployment = "/openai/deployments/gpt-test/chat/completions?api-version=2024-02-01";
    for base in [url.clone(), format!("{url}/"), format!("{url}/openai"), format!("{url}/openai/v1/")] {
        assert_eq!(heard(azure(&base), &request(), &endpoint).await.path, deployment);
        let v1 = azure_api(&base, AzureApi::V1);
        assert_eq!(heard(v1, &request(), &endpoint).await.path, "/openai/v1/chat/completions");
    }
    let gateway = azure(&format!("{url}/gateway/team%20a"));
    assert_eq!(heard(gateway, &request(), &endpoint).await.path, format!("/gateway/team%20a{deployment}"));
    let odd = ChatRequest { model: "a/b c?d".into(), ..request() };
    let path = heard(azure(&url), &odd, &endpoint).await.path;
    assert_eq!(path, "/openai/deployments/a%2Fb%20c%3Fd/chat/completions?api-version=2024-02-01");
}

#[tokio::test]
async fn open_ai_addresses_and_headers() {
    let endpoint = Endpoint::start();
    let url = endpoint.url();
    for base in [format!("{url}/v1"), format!("{url}/v1/"), format!("{url}/v1/chat/completions")] {
        let kind = ConnectionKind::OpenAi {
            base_url: base,
            api_key: Some(Secret::new(format!(" {KEY}\n"))),
            organization: Some("org-1".to_owned()),
            responses: false,
        };
        let heard = heard(kind, &request(), &endpoint).await;
        assert_eq!(heard.path, "/v1/chat/completions");
        assert_eq!(heard.header("authorization"), Some(&*format!("Bearer {KEY}")));
        assert_eq!(heard.header("openai-organization"), Some("org-1"));
        assert_eq!(heard.header("content-type"), Some("application/json"));
        assert_eq!(heard.header("user-agent"), Some(concat!("sluicegate/", env!("CARGO_PKG_VERSION"))));
        assert_eq!(heard.header("ms-azure-ai-promptflow-called-from"), None);
    }
    let completion = ChatRequest { prompt: Prompt::Text("Once".into()), ..request() };
    let heard = heard(open_ai(&url), &completion, &endpoint).await;
    assert_eq!((&*heard.path, heard.json()["prompt"].as_str()), ("/v1/completions", Some("Once")));
}

#[tokio::test]
async fn a_server_on_this_machine_needs_no_key() {
    let endpoint = Endpoint::start();
    for api_key in [None, Some(Secret::new(""))] {
        let kind = ConnectionKind::OpenAi { base_url: endpoint.url(), api_key, organization: None, responses: false };
        assert_eq!(heard(kind, &request(), &endpoint).await.header("authorization"), None);
    }
}

#[tokio::test]
async fn the_trace_goes_along() {
    let endpoint = Endpoint::start();
    let trace = TraceContext { trace_id: 0xabc, span_id: 0x12, sampled: true };
    let context = CallContext { trace: Some(trace), ..CallContext::detached() };
    model(connection(open_ai(&endpoint.url()))).chat(&request(), &context).await.unwrap();
    let expected = "00-00000000000000000000000000000abc-0000000000000012-01";
    assert_eq!(endpoint.requests()[0].header("traceparent"), Some(expected));
}

#[tokio::test]
async fn stream_is_sent_when_asked_or_named() {
    let endpoint = Endpoint::start();
    let kind = || open_ai(&endpoint.url());
    assert_eq!(heard(kind(), &request(), &endpoint).await.json().get("stream"), None);
    let named = ChatRequest { parameters: Map::from([("stream", false)]), ..request() };
    assert_eq!(heard(kind(), &named, &endpoint).await.json()["stream"], false);
    let asked = ChatRequest { stream: true, ..named };
    let body = heard(kind(), &asked, &endpoint).await.json();
    assert_eq!((&body["stream"], body.get("stream_options")), (&serde_json::Value::Bool(true), None));

    let options = Options { stream_usage: true, ..Options::default() };
    let counting = connect(vec![connection(kind())], options).chat(&"c".into()).unwrap();
    call(&*counting, &asked).await.result.unwrap();
    let body = endpoint.requests().pop().unwrap().json();
    assert_eq!(body["stream_options"], serde_json::json!({ "include_usage": true }));
}

#[tokio::test]
async fn what_json_cannot_say_is_not_sent() {
    let endpoint = Endpoint::start();
    let parameters = Map::from([("logit_bias", Value::from(Map::from([("50256", f64::NAN)])))]);
    let outcome = call(&*model(connection(open_ai(&endpoint.url()))), &ChatRequest { parameters, ..request() }).await;
    assert_eq!(
        outcome.error().to_string(),
        "connection `c` does not offer `NaN` or an infinity in a request (`logit_bias.50256`)"
    );
    assert_eq!(endpoint.count(), 0);
}

#[tokio::test]
async fn a_whole_reply_is_kept_whole() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("Hello!");
    let reply = call(&*model(connection(azure(&endpoint.url()))), &request()).await.result.unwrap();
    assert_eq!(reply.text.as_deref(), Some("Hello!"));
    assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
    assert_eq!((reply.model.as_deref(), reply.id.as_deref()), (Some("mock-1"), Some("chatcmpl-mock")));
    assert_eq!((reply.usage.input_tokens, reply.usage.output_tokens), (Some(10), Some(3)));
    assert_eq!(reply.body.get("object"), Some(&Value::from("chat.completion")));
}

#[tokio::test]
async fn only_other_machines_are_reached_by_proxy() {
    let (proxy, endpoint) = (Endpoint::start(), Endpoint::start());
    let options = |no_proxy: Option<&str>| Options {
        proxies: Proxies { http: Some(proxy.url()), except: no_proxy.map(str::to_owned), ..Proxies::default() },
        ..Options::default()
    };
    let ask = async |url: &str, no_proxy: Option<&str>| {
        let models = connect(vec![connection(open_ai(url))], options(no_proxy));
        call(&*models.chat(&"c".into()).unwrap(), &request()).await.result
    };
    ask("http://far.invalid", None).await.unwrap();
    assert_eq!(proxy.requests()[0].header("host"), Some("far.invalid"));
    ask(&endpoint.url(), None).await.unwrap();
    ask(&endpoint.url().replace("127.0.0.1", "localhost"), None).await.unwrap();
    assert_eq!((proxy.count(), endpoint.count()), (1, 2));
    assert_eq!(ask("http://far.invalid", Some("far.invalid")).await.unwrap_err().code(), "unreachable");
    assert_eq!(proxy.count(), 1);
}

#[tokio::test]
async fn a_proxy_that_nobody_runs_is_named_without_its_password() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxies = Proxies { http: Some(format!("http://u:hunter2@{closed}")), ..Proxies::default() };
    let models = connect(vec![connection(open_ai("http://far.invalid"))], Options { proxies, ..Options::default() });
    let error = call(&*models.chat(&"c".into()).unwrap(), &request()).await.result.unwrap_err().to_string();
    let expected = format!("cannot reach http://far.invalid: its proxy http://{closed} cannot be reached: ");
    assert!(error.starts_with(&expected) && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn tls_is_spoken_to_https_addresses() {
    let endpoint = Endpoint::start();
    let outcome = call(&*model(connection(open_ai(&endpoint.url().replace("http:", "https:")))), &request()).await;
    let message = outcome.error().to_string();
    assert!(message.contains("does not speak TLS"), "{message}");
    assert_eq!(endpoint.count(), 0);
}

#[test]
fn about_needs_no_call() {
    let about = |kind| model(connection(kind)).about().clone();
    let azure = about(azure("https://name.openai.azure.com/"));
    assert_eq!((&*azure.provider, &*azure.host, azure.port), ("azure.ai.openai", "name.openai.azure.com", 443));
    let open_ai = about(open_ai("http://[::1]:11434"));
    assert_eq!((&*open_ai.provider, &*open_ai.host, open_ai.port), ("openai", "::1", 11434));
}

fn check_misconfigured(kind: ConnectionKind, expected: &str) {
    let error = models(connection(kind)).chat(&"c".into()).err().expect("a failure");
    assert_eq!(error.to_string(), expected);
}

#[test]
fn settings_that_cannot_work_are_told_before_any_call() {
    let with = |api_base: &str, api_key: &str, api_version: &str| ConnectionKind::AzureOpenAi {
        api_base: api_base.to_owned(),
        auth: Auth::Key(Secret::new(api_key)),
        api: AzureApi::Dated(api_version.to_owned()),
        responses: false,
    };
    let (base, version) = ("https://x.openai.azure.com", "2024-02-01");
    check_misconfigured(with(base, " ", version), "connection `c`: its `api_key` is empty");
    check_misconfigured(with(base, "a\nb", version), "connection `c`: its `api_key` holds characters that no key has");
    check_misconfigured(with(base, KEY, " "), "connection `c`: has no `api_version` (and is not `api: v1`)");
    check_misconfigured(with("", KEY, version), "connection `c`: its `api_base` is empty");
    check_misconfigured(
        with("x.openai.azure.com", KEY, version),
        "connection `c`: its `api_base` is not an address: relative URL without a base",
    );
    check_misconfigured(
        with("ftp://x", KEY, version),
        "connection `c`: its `api_base` must begin with https:// or http://",
    );
    check_misconfigured(
        ConnectionKind::Other { type_name: "weaviate".to_owned() },
        "connection `c` does not offer models, for this version does not speak its type `weaviate`",
    );
}

#[test]
fn an_unknown_connection_names_those_that_exist() {
    let named = |name: &str| Connection { name: name.into(), ..connection(open_ai("http://localhost")) };
    let models = connect(vec![named("b"), named("a")], Options::default());
    let error = models.chat(&"z".into()).err().expect("a failure");
    assert_eq!(
        error,
        ModelError::NoSuchConnection { name: "z".to_owned(), known: vec!["a".to_owned(), "b".to_owned()] }
    );
}
