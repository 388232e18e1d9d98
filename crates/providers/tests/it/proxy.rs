//! Proxies: who goes by them, what they see, and what is said when they refuse.

use std::path::PathBuf;

use sluicegate_config::{Gateway, Proxies};
use sluicegate_model::{ChatModel, ModelError, Models as _};
use sluicegate_providers::{Options, connect};
use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::proxy::Proxy;
use sluicegate_testkit::tls::{Authority, Server};

use crate::{KEY, call, connection, open_ai, request};

/// `user` and `p@ss`, as a header carries them.
const CREDENTIALS: &str = "Basic dXNlcjpwQHNz";

fn by(proxy: &str) -> Proxies {
    Proxies { http: Some(proxy.to_owned()), https: Some(proxy.to_owned()), ..Proxies::default() }
}

fn model(url: &str, proxies: Proxies, ca_file: Option<PathBuf>) -> std::sync::Arc<dyn ChatModel> {
    let mut connection = connection(open_ai(url));
    connection.retry.max_attempts = 1;
    connection.gateway = Gateway { ca_file, ..Gateway::default() };
    connect(vec![connection], Options { proxies, ..Options::default() }).chat(&"c".into()).unwrap()
}

async fn error(url: &str, proxies: Proxies) -> ModelError {
    call(&*model(url, proxies, None), &request()).await.result.unwrap_err()
}

/// An authority and an endpoint that it vouches for under the name `far.test`, which only a proxy can find.
fn far() -> (tempfile::TempDir, PathBuf, Endpoint) {
    let root = Authority::new("Corp Root");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("root.pem");
    std::fs::write(&file, root.pem()).unwrap();
    (folder, file, Endpoint::start_tls(&Server::new(&root.certify(&["far.test"]))))
}

#[tokio::test]
async fn https_goes_through_a_tunnel_with_credentials() {
    let (_folder, trusted, endpoint) = far();
    let proxy = Proxy::start();
    proxy.route("far.test", endpoint.port()).demand(CREDENTIALS);
    let model = model("https://far.test", by(&proxy.url_for("user", "p%40ss")), Some(trusted));
    call(&*model, &request()).await.result.unwrap();
    call(&*model, &request()).await.result.unwrap();

    let passed = proxy.passed();
    assert_eq!(passed.len(), 1, "the tunnel is used again");
    assert_eq!(passed[0].line, "CONNECT far.test:443 HTTP/1.1");
    assert_eq!(passed[0].header("proxy-authorization"), Some(CREDENTIALS));
    assert_eq!(passed[0].header("authorization"), None);
    let heard = &endpoint.requests()[0];
    assert_eq!(heard.header("authorization"), Some(&*format!("Bearer {KEY}")));
    assert_eq!(heard.header("proxy-authorization"), None);
}

#[tokio::test]
async fn http_is_passed_on_with_credentials() {
    let endpoint = Endpoint::start();
    let proxy = Proxy::start();
    proxy.route("far.test", endpoint.port()).demand(CREDENTIALS);
    let model = model("http://far.test", by(&proxy.url_for("user", "p%40ss")), None);
    call(&*model, &request()).await.result.unwrap();
    assert_eq!(proxy.passed()[0].line, "POST http://far.test/v1/chat/completions HTTP/1.1");
    assert_eq!(endpoint.requests()[0].path, "/v1/chat/completions");
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_is_named_without_the_one_it_got() {
    let proxy = Proxy::start();
    proxy.route("far.test", 1).demand(CREDENTIALS);
    for (scheme, variable) in [("http", "HTTP_PROXY"), ("https", "HTTPS_PROXY")] {
        for address in [proxy.url(), proxy.url_for("user", "hunter2")] {
            let error = error(&format!("{scheme}://far.test"), by(&address)).await;
            assert!(matches!(error, ModelError::Misconfigured { .. }), "{error:?}");
            assert_eq!(
                error.to_string(),
                format!(
                    "connection `c`: the proxy {} refused to pass the request on without a user and password, or with \
                     those that it got (407); write them into {variable} as `http://USER:PASSWORD@HOST:PORT`",
                    proxy.url()
                )
            );
        }
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_is_its_own_doing() {
    let proxy = Proxy::start();
    proxy.refuse(403);
    let refused = error("https://far.test", by(&proxy.url_for("user", "hunter2"))).await;
    assert_eq!(
        refused.to_string(),
        format!(
            "cannot reach https://far.test: the proxy {} refused to connect us to it; ask whoever runs the proxy, or name \
             the host in NO_PROXY",
            proxy.url()
        )
    );
    let gone = proxy.url_for("user", "hunter2");
    let shown = proxy.url();
    drop(proxy);
    for scheme in ["http", "https"] {
        let message = error(&format!("{scheme}://far.test"), by(&gone)).await.to_string();
        let expected = format!("cannot reach {scheme}://far.test: its proxy {shown} cannot be reached: ");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[tokio::test]
async fn this_machine_is_reached_without_a_proxy() {
    let endpoint = Endpoint::start();
    let proxy = Proxy::start();
    for url in [endpoint.url(), endpoint.url_at("localhost")] {
        call(&*model(&url, by(&proxy.url()), None), &request()).await.result.unwrap();
    }
    assert_eq!((endpoint.count(), proxy.passed().len()), (2, 0));
}

#[tokio::test]
async fn a_proxy_that_changes_certificates_is_named_with_its_issuer() {
    let (_folder, _, endpoint) = far();
    let (_other_folder, other, _) = far();
    let proxy = Proxy::start();
    proxy.route("far.test", endpoint.port());
    let model = model("https://far.test", by(&proxy.url()), Some(other));
    let message = call(&*model, &request()).await.result.unwrap_err().to_string();
    let by_way_of =
        format!("connection `c`: by way of the proxy {}: the certificate of https://far.test ", proxy.url());
    assert!(message.starts_with(&by_way_of), "{message}");
}

#[tokio::test]
async fn a_proxy_that_is_no_web_proxy_is_told_by_the_variable_that_was_set() {
    for (address, why) in [
        (
            "socks5://user:hunter2@127.0.0.1:1080",
            "the proxy of [variable] is one of kind `socks5`; only http:// and https:// work",
        ),
        ("http://", "the proxy's address in [variable] is not a URL"),
    ] {
        for (set, expected) in [(None, "HTTPS_PROXY"), (Some("all_proxy"), "all_proxy")] {
            let proxies = Proxies { https_variable: set.map(str::to_owned), ..by(address) };
            let error = error("https://far.test", proxies).await;
            assert_eq!(error.to_string(), format!("connection `c`: {}", why.replace("[variable]", expected)));
        }
    }
}

#[tokio::test]
async fn a_proxy_of_no_use_spoils_nothing_that_does_not_go_by_it() {
    let endpoint = Endpoint::start();
    let socks = "socks5://127.0.0.1:1080";
    for url in [endpoint.url(), endpoint.url_at("localhost")] {
        call(&*model(&url, by(socks), None), &request()).await.result.unwrap();
    }
    // It is not there; but nobody speaks of a proxy.
    let except = Proxies { except: Some(".test".to_owned()), ..by(socks) };
    assert_eq!(error("https://far.test", except).await.code(), "unreachable");
    // The other scheme has a proxy that works.
    let proxy = Proxy::start();
    proxy.route("far.test", endpoint.port());
    let mixed = Proxies { http: Some(proxy.url()), ..by(socks) };
    call(&*model("http://far.test", mixed, None), &request()).await.result.unwrap();
    assert_eq!((endpoint.count(), proxy.passed().len()), (3, 1));
}
