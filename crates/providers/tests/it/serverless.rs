//! Azure AI model inference: addresses, and what an endpoint says of itself.

use sluicegate_config::{Auth, ConnectionKind, ExtraParameters, Secret};
use sluicegate_model::{ChatApi, ChatRequest, ModelError};
use sluicegate_providers::Described;
use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::{KEY, call, connection, model, models, request};

fn serverless(endpoint: &str) -> ConnectionKind {
    ConnectionKind::Serverless {
        endpoint: endpoint.to_owned(),
        auth: Auth::Key(Secret::new(KEY)),
        api_version: "2024-05-01-preview".to_owned(),
        extra_parameters: ExtraParameters::Drop,
    }
}

#[tokio::test]
async fn an_address_with_or_without_its_path() {
    let endpoint = Endpoint::start();
    let url = endpoint.url();
    let ends = [
        "",
        "/",
        "/chat/completions",
        "/chat/completions/",
        "/embeddings",
        "/info",
        "/chat/completions?api-version=2024-02-15",
    ];
    for end in ends {
        call(&*model(connection(serverless(&format!("{url}{end}")))), &request()).await.result.unwrap();
        let heard = endpoint.requests().pop().unwrap();
        assert_eq!(heard.path, "/chat/completions?api-version=2024-05-01-preview");
        assert_eq!(heard.header("extra-parameters"), Some("drop"));
    }
    for base in ["/models", "/models/chat/completions", "/v1"] {
        call(&*model(connection(serverless(&format!("{url}{base}")))), &request()).await.result.unwrap();
        let base = base.trim_end_matches("/chat/completions");
        let path = endpoint.requests().pop().unwrap().path;
        assert_eq!(path, format!("{base}/chat/completions?api-version=2024-05-01-preview"));
    }
}

#[tokio::test]
async fn an_endpoint_of_one_model_needs_no_name() {
    let endpoint = Endpoint::start();
    let unnamed = ChatRequest { model: "".into(), ..request() };
    call(&*model(connection(serverless(&endpoint.url()))), &unnamed).await.result.unwrap();
    assert_eq!(endpoint.requests()[0].json().get("model"), None);
    // Azure OpenAI's address needs one.
    let error = call(&*model(connection(crate::azure(&endpoint.url()))), &unnamed).await.result.unwrap_err();
    assert_eq!(error.to_string(), "connection `c` does not offer a model without a `deployment_name`");
}

#[tokio::test]
async fn the_responses_api_is_refused_by_name() {
    let asked = ChatRequest { api: Some(ChatApi::Responses), ..request() };
    let outcome = call(&*model(connection(serverless("http://localhost:9"))), &asked).await;
    assert_eq!(outcome.error().to_string(), "connection `c` does not offer the responses API (`api: responses`)");
}

async fn described(answer: Answer) -> Result<Described, ModelError> {
    let endpoint = Endpoint::start();
    endpoint.queue(answer);
    let models = models(connection(serverless(&format!("{}/models/chat/completions", endpoint.url()))));
    let described = models.describe(&"c".into()).await;
    let heard = endpoint.requests().pop().unwrap();
    assert_eq!((&*heard.method, &*heard.path), ("GET", "/models/info?api-version=2024-05-01-preview"));
    assert_eq!(heard.header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(heard.header("api-key"), Some(KEY));
    described
}

#[tokio::test]
async fn an_endpoint_says_what_it_serves() {
    let info = r#"{"model_name":"Phi-9","model_type":"chat-completion","model_provider_name":"Microsoft"}"#;
    let expected = Described {
        model: Some("Phi-9".into()),
        kind: Some("chat-completion".into()),
        maker: Some("Microsoft".into()),
    };
    assert_eq!(described(Answer::Whole(200, Vec::new(), info.into())).await, Ok(expected));
    assert_eq!(described(Answer::error(404, "not_found", "no such path")).await, Ok(Described::default()));
    let refused = described(Answer::error(401, "unauthorized", "bad key")).await.unwrap_err();
    assert_eq!(refused.code(), "key_refused");
}

#[tokio::test]
async fn others_are_not_asked() {
    let endpoint = Endpoint::start();
    let models = models(connection(crate::open_ai(&endpoint.url())));
    assert_eq!(models.describe(&"c".into()).await, Ok(Described::default()));
    assert_eq!(endpoint.count(), 0);
    assert_eq!(models.describe(&"z".into()).await.unwrap_err().code(), "no_such_connection");
}
