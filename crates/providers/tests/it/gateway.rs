//! What stands between us and a service: a path, headers, a query, another header for the key.

use sluicegate_config::{Auth, AuthHeader, AzureApi, ConnectionKind, Entra, Gateway, Secret, TokenSource};
use sluicegate_model::{ChatRequest, ModelError};
use sluicegate_testkit::endpoint::{Answer, Endpoint, Heard};

use crate::{KEY, azure, azure_api, call, connection, model, open_ai, request};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Secret)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect()
}

fn auth_header(name: &str, prefix: &str) -> Option<AuthHeader> {
    Some(AuthHeader { name: name.to_owned(), prefix: prefix.to_owned() })
}

async fn heard(kind: ConnectionKind, gateway: Gateway, endpoint: &Endpoint) -> Heard {
    let mut connection = connection(kind);
    connection.gateway = gateway;
    call(&*model(connection), &request()).await.result.unwrap();
    endpoint.requests().pop().unwrap()
}

async fn error(kind: ConnectionKind, gateway: Gateway) -> ModelError {
    let mut connection = connection(kind);
    connection.gateway = gateway;
    connection.retry.max_attempts = 1;
    let models = crate::models(connection);
    match sluicegate_model::Models::chat(&models, &"c".into()) {
        Ok(model) => call(&*model, &request()).await.result.unwrap_err(),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_gateway_has_a_path_a_query_headers_and_a_header_for_the_key() {
    let endpoint = Endpoint::start();
    let gateway = Gateway {
        headers: pairs(&[("X-Team", "a"), ("x-cost-center", "42")]),
        query: pairs(&[("tenant", "a b"), ("tenant", "c")]),
        auth_header: auth_header("Ocp-Apim-Subscription-Key", ""),
        path_prefix: Some("team-a/".to_owned()),
        ..Gateway::default()
    };
    let heard = heard(azure(&endpoint.url()), gateway, &endpoint).await;
    assert_eq!(
        heard.path,
        "/team-a/openai/deployments/gpt-test/chat/completions?api-version=2024-02-01&tenant=a+b&tenant=c"
    );
    assert_eq!((heard.header("x-team"), heard.header("x-cost-center")), (Some("a"), Some("42")));
    assert_eq!((heard.header("ocp-apim-subscription-key"), heard.header("api-key")), (Some(KEY), None));
}

#[tokio::test]
async fn a_path_prefix_stands_before_the_whole_path_of_every_service() {
    let endpoint = Endpoint::start();
    let url = endpoint.url();
    let check = |kind: ConnectionKind, prefix: &'static str, expected: &'static str| {
        let gateway = Gateway { path_prefix: Some(prefix.to_owned()), ..Gateway::default() };
        let endpoint = &endpoint;
        async move { assert_eq!(heard(kind, gateway, endpoint).await.path, expected) }
    };
    check(open_ai(&url), "/llm/team%20a", "/llm/team%20a/v1/chat/completions").await;
    check(open_ai(&url), "/", "/v1/chat/completions").await;
    check(azure_api(&url, AzureApi::V1), "/x", "/x/openai/v1/chat/completions").await;
}

#[tokio::test]
async fn a_gateway_s_own_headers_replace_ours() {
    let endpoint = Endpoint::start();
    let headers = pairs(&[("api-key", "the gateway's own"), ("User-Agent", "team-a"), ("x-ms-useragent", "team-a")]);
    let heard = heard(azure(&endpoint.url()), Gateway { headers, ..Gateway::default() }, &endpoint).await;
    for (name, expected) in [("api-key", "the gateway's own"), ("user-agent", "team-a"), ("x-ms-useragent", "team-a")] {
        let values: Vec<_> = heard.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value).collect();
        assert_eq!(values, [expected], "{name}");
    }
}

#[tokio::test]
async fn a_key_travels_with_the_prefix_that_the_gateway_wants() {
    let endpoint = Endpoint::start();
    let gateway = Gateway { auth_header: auth_header("Authorization", "Token "), ..Gateway::default() };
    let heard_it = heard(azure(&endpoint.url()), gateway.clone(), &endpoint).await;
    assert_eq!(heard_it.header("authorization"), Some(&*format!("Token {KEY}")));
    assert_eq!(heard_it.header("api-key"), None);
    let heard_it = heard(open_ai(&endpoint.url()), gateway, &endpoint).await;
    assert_eq!(heard_it.header("authorization"), Some(&*format!("Token {KEY}")));
}

#[tokio::test]
async fn a_token_travels_in_the_gateway_s_header_too() {
    let endpoint = Endpoint::start();
    let entra = Entra {
        scope: "scope".to_owned(),
        authority: "http://127.0.0.1:1".to_owned(),
        sources: vec![TokenSource::Token],
        tenant_id: None,
        client_id: None,
        client_secret: None,
        token: Some(Secret::new("a-token-of-somebody")),
        federated_token_file: None,
        github_url: None,
        github_token: None,
        identity_endpoint: None,
        identity_header: None,
        imds: "http://127.0.0.1:1".to_owned(),
        path: Vec::new(),
    };
    let ConnectionKind::AzureOpenAi { api_base, api, responses, .. } = azure(&endpoint.url()) else { unreachable!() };
    let kind = ConnectionKind::AzureOpenAi { api_base, auth: Auth::Entra(Box::new(entra)), api, responses };
    let gateway = Gateway { auth_header: auth_header("X-Upstream-Token", "Bearer "), ..Gateway::default() };
    let heard = heard(kind, gateway, &endpoint).await;
    assert_eq!(heard.header("x-upstream-token"), Some("Bearer a-token-of-somebody"));
    assert_eq!(heard.header("authorization"), None);
}

#[tokio::test]
async fn an_endpoint_that_echoes_secrets_does_not_get_them_into_errors() {
    let endpoint = Endpoint::start();
    endpoint.on(|heard| {
        let token = heard.header("x-auth").unwrap().split(' ').nth(1).unwrap();
        let echo = format!("{} {token} {:?}", heard.path, heard.headers);
        Some(Answer::error(400, "bad", &echo))
    });
    let gateway = Gateway {
        headers: pairs(&[("x-token", "header\"hunter1"), ("x-auth", "Basic hunter3-and-more"), ("x-region", "bad")]),
        query: pairs(&[("token", "query/hunter2 ä")]),
        auth_header: auth_header("x-key", "Bearer "),
        ..Gateway::default()
    };
    let message = error(azure(&endpoint.url()), gateway).await.to_string();
    assert!(message.contains("token=***"), "{message}");
    for secret in ["hunter1", "hunter2", "hunter3", KEY] {
        assert!(!message.contains(secret), "{message}");
    }
}

#[tokio::test]
async fn a_redirect_is_shown_without_its_query() {
    let endpoint = Endpoint::start();
    let to = "https://login.test/sign-in?code=hunter2";
    endpoint.queue(Answer::Whole(302, vec![("location".to_owned(), to.to_owned())], "".into()));
    let message = error(azure(&endpoint.url()), Gateway::default()).await.to_string();
    assert!(message.contains("redirects to https://login.test/sign-in") && !message.contains("hunter2"), "{message}");
}

#[tokio::test]
async fn settings_that_no_request_can_carry_are_told_without_their_values() {
    let check = |gateway: Gateway, expected: &'static str| async move {
        let error = error(azure("http://127.0.0.1:1"), gateway).await;
        assert!(matches!(error, ModelError::Misconfigured { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("connection `c`: {expected}"));
    };
    let with = |headers: &[(&str, &str)]| Gateway { headers: pairs(headers), ..Gateway::default() };
    check(with(&[("a b", "x")]), "its `headers` has `a b`, which is no header's name").await;
    check(with(&[("Content-Length", "1")]), "its `headers` has `Content-Length`, which is made with each request")
        .await;
    let newline = "the value of its header `x-a` has characters that no header can hold";
    check(with(&[("x-a", "hunter2\nx-b: c")]), newline).await;
    let named = Gateway { auth_header: auth_header("x:y", ""), ..Gateway::default() };
    check(named, "its `auth_header` has `x:y`, which is no header's name").await;
    for (prefix, why) in [
        ("/a?b=c", "must be a path, without `?` or `#`"),
        ("https://gw.test/a", "must be a path such as `/team-a`, not a whole address"),
        ("/a/../b", "must not hold `.`, `..` or an empty segment"),
    ] {
        let gateway = Gateway { path_prefix: Some(prefix.to_owned()), ..Gateway::default() };
        let error = error(azure("http://127.0.0.1:1"), gateway).await.to_string();
        assert_eq!(error, format!("connection `c`: its `path_prefix` {why}"));
    }
}

#[tokio::test]
async fn a_gateway_changes_embeddings_and_completions_alike() {
    let endpoint = Endpoint::start();
    let mut connection = connection(open_ai(&endpoint.url()));
    connection.gateway = Gateway { path_prefix: Some("/gw".to_owned()), ..Gateway::default() };
    let completion = ChatRequest { prompt: sluicegate_model::Prompt::Text("Once".into()), ..request() };
    call(&*model(connection), &completion).await.result.unwrap();
    assert_eq!(endpoint.requests()[0].path, "/gw/v1/completions");
}
