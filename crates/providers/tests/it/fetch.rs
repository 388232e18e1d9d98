//! `http` nodes: what they may call, what goes along at a redirect, and how much they read.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_config::{HttpPolicy, Proxies};
use sluicegate_model::{CallContext, FetchReply, FetchRequest, ModelError, Models as _, Phase, TraceContext};
use sluicegate_providers::{Options, connect};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::proxy::Proxy;
use sluicegate_testkit::tls::{Authority, Server};

/// A policy that lets 127.0.0.1 be called, and nothing else of this machine.
fn here() -> HttpPolicy {
    HttpPolicy { allow_private: vec!["127.0.0.1".to_owned()], ..HttpPolicy::default() }
}

fn get(url: impl AsRef<str>) -> FetchRequest {
    FetchRequest {
        method: "GET".into(),
        url: url.as_ref().into(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        redirects: None,
        max_size: None,
    }
}

fn post(url: impl AsRef<str>, body: &str) -> FetchRequest {
    let headers = vec![("Content-Type".into(), "text/plain".into()), ("Authorization".into(), "Bearer hunter2".into())];
    FetchRequest { method: "POST".into(), headers, body: Some(Arc::from(body.as_bytes())), ..get(url) }
}

async fn fetch_with(options: Options, request: &FetchRequest) -> Result<FetchReply, ModelError> {
    connect(Vec::new(), options).fetch().fetch(request, &CallContext::detached()).await
}

async fn fetch(http: HttpPolicy, request: &FetchRequest) -> Result<FetchReply, ModelError> {
    fetch_with(Options { http, ..Options::default() }, request).await
}

async fn error(http: HttpPolicy, request: &FetchRequest) -> ModelError {
    fetch(http, request).await.unwrap_err()
}

fn redirect(status: u16, to: &str) -> Answer {
    Answer::Whole(status, vec![("location".to_owned(), to.to_owned())], "".into())
}

fn body(bytes: impl Into<Vec<u8>>) -> Answer {
    Answer::Whole(200, Vec::new(), bytes.into().into())
}

#[tokio::test]
async fn a_request_goes_out_and_an_answer_comes_back() {
    let endpoint = Endpoint::start();
    endpoint.queue(body("{\"a\": 1}").header("x-answer", "yes"));
    let request = FetchRequest {
        method: "put".into(),
        headers: vec![("X-Team".into(), "a".into()), ("x-team".into(), "b".into())],
        body: Some(Arc::from(&b"hello"[..])),
        ..get(format!("{}/path?q=1#part", endpoint.url()))
    };
    let trace = TraceContext { trace_id: 0xabc, span_id: 0x12, sampled: true };
    let context = CallContext { trace: Some(trace), ..CallContext::detached() };
    let fetcher = connect(Vec::new(), Options { http: here(), ..Options::default() }).fetch();
    let reply = fetcher.fetch(&request, &context).await.unwrap();

    assert_eq!((reply.status, &*reply.body), (200, &b"{\"a\": 1}"[..]));
    assert_eq!(&*reply.url, format!("{}/path?q=1", endpoint.url()));
    assert!(reply.headers.contains(&("x-answer".into(), "yes".into())));
    let heard = &endpoint.requests()[0];
    assert_eq!((&*heard.method, &*heard.path, &*heard.body), ("PUT", "/path?q=1", &b"hello"[..]));
    let teams: Vec<_> = heard.headers.iter().filter(|(name, _)| name == "x-team").map(|(_, value)| value).collect();
    assert_eq!(teams, ["a", "b"]);
    assert_eq!(heard.header("traceparent"), Some(&*trace.traceparent()));
    assert_eq!(heard.header("user-agent"), Some(concat!("sluicegate/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn an_answer_of_any_status_is_an_answer() {
    let endpoint = Endpoint::start();
    for status in [404, 429, 500, 304] {
        endpoint.queue(Answer::Whole(status, Vec::new(), "".into()));
        assert_eq!(fetch(here(), &get(endpoint.url())).await.unwrap().status, status);
    }
    assert_eq!(endpoint.count(), 4, "nothing is tried twice");
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    let endpoint = Endpoint::start();
    let port = endpoint.port();
    for host in [
        "127.0.0.1",
        "localhost",
        "LocalHost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "10.1.2.3",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "①②⑦.0.0.1",
    ] {
        let error = error(HttpPolicy::default(), &get(format!("http://{host}:{port}/x?key=hunter2"))).await;
        assert!(matches!(error, ModelError::Forbidden { .. }), "{host}: {error:?}");
        let message = error.to_string();
        assert!(message.contains("`http.allow_private`") && !message.contains("hunter2"), "{message}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn what_whoever_runs_the_flow_allows_may_be_called() {
    let endpoint = Endpoint::start();
    let check = |private: &'static str, hosts: Option<&'static str>, host: &'static str, expected: bool| {
        let http = HttpPolicy {
            allow_private: vec![private.to_owned()],
            allow_hosts: hosts.map(|hosts| vec![hosts.to_owned()]),
            ..HttpPolicy::default()
        };
        let request = get(endpoint.url_at(host));
        async move {
            let fetched = fetch(http, &request).await;
            assert_eq!(fetched.is_ok(), expected, "{private} {hosts:?} {host}: {fetched:?}");
        }
    };
    check("127.0.0.1", None, "127.0.0.1", true).await;
    check("127.0.0.0/8", None, "127.0.0.1", true).await;
    check("localhost", None, "localhost", true).await;
    check("127.0.0.1", None, "localhost", true).await;
    check("*", None, "localhost", true).await;
    check("localhost", None, "127.0.0.1", false).await;
    check("10.0.0.0/8", None, "127.0.0.1", false).await;
    check("*", Some("localhost"), "localhost", true).await;
    check("*", Some("api.test"), "localhost", false).await;
}

#[tokio::test]
async fn what_is_no_web_address_is_refused_without_its_secrets() {
    for (url, expected) in [
        ("file:///etc/passwd", "file:///etc/passwd may not be called: only addresses that begin with"),
        ("ftp://a.test/x?hunter2", "ftp://a.test/x may not be called: only addresses that begin with"),
        (
            "http://user:hunter2@a.test/",
            "http://a.test/ may not be called: an address must not hold a user or password",
        ),
        ("a.test/x?hunter2", "a.test/x may not be called: that is no address"),
        ("", "an empty address may not be called: that is no address"),
        ("http://", "http:// may not be called: that is no address"),
    ] {
        let error = error(here(), &get(url)).await;
        assert!(matches!(error, ModelError::Forbidden { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with(expected) && !message.contains("hunter2"), "{message}");
    }
}

#[tokio::test]
async fn headers_and_methods_that_are_not_a_flow_s_business_are_refused() {
    let endpoint = Endpoint::start();
    for name in ["Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "Proxy-Authorization", "TE"] {
        let request = FetchRequest { headers: vec![(name.into(), "x".into())], ..get(endpoint.url()) };
        let message = error(here(), &request).await.to_string();
        let expected = format!("the header `{name}` is made with each request and cannot be set by a flow");
        assert!(message.ends_with(&expected), "{message}");
    }
    for (name, value) in [("a b", "x"), ("x-a", "hunter2\r\nx-b: c"), ("", "x")] {
        let request = FetchRequest { headers: vec![(name.into(), value.into())], ..get(endpoint.url()) };
        let error = error(here(), &request).await;
        assert!(matches!(&error, ModelError::Forbidden { message, .. } if !message.contains("hunter2")), "{error:?}");
    }
    for method in ["CONNECT", "trace", "", "G T"] {
        let request = FetchRequest { method: method.into(), ..get(endpoint.url()) };
        assert!(matches!(error(here(), &request).await, ModelError::Forbidden { .. }), "{method}");
    }
    assert_eq!(endpoint.connections(), 0);
}

#[tokio::test]
async fn redirects_change_the_method_as_their_status_says() {
    let endpoint = Endpoint::start();
    for (status, method, expected) in [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (307, "POST", "POST"),
        (308, "PUT", "PUT"),
        (302, "GET", "GET"),
    ] {
        endpoint.queue(redirect(status, "../b?x=1")).queue(body("there"));
        let has_body = method != "HEAD" && method != "GET";
        let mut request = post(format!("{}/a/a", endpoint.url()), "hello");
        request.method = method.into();
        request.body = request.body.filter(|_| has_body);
        let reply = fetch(here(), &request).await.unwrap();
        assert_eq!(&*reply.url, format!("{}/b?x=1", endpoint.url()));
        let heard = endpoint.requests().pop().unwrap();
        assert_eq!((&*heard.method, &*heard.path), (expected, "/b?x=1"), "{status} {method}");
        let kept = has_body && method == expected;
        assert_eq!(&*heard.body, if kept { "hello".as_bytes() } else { b"" }, "{status} {method}");
        assert_eq!(heard.header("content-type").is_some(), kept || !has_body, "{status} {method}");
        assert_eq!(heard.header("authorization"), Some("Bearer hunter2"), "the same host");
    }
}

#[tokio::test]
async fn headers_do_not_go_along_to_another_host() {
    let (first, second) = (Endpoint::start(), Endpoint::start());
    first.queue(redirect(307, &format!("{}/there", second.url())));
    // And not back either.
    second.queue(redirect(307, &format!("{}/back", first.url())));
    let mut request = post(first.url(), "hello");
    request.headers.extend([("Cookie".into(), "a=hunter2".into()), ("X-Key".into(), "hunter2".into())]);
    request.headers.push(("Accept".into(), "text/plain".into()));
    fetch(here(), &request).await.unwrap();
    for heard in [&second.requests()[0], &first.requests()[1]] {
        for name in ["authorization", "cookie", "x-key"] {
            assert_eq!(heard.header(name), None, "{name}");
        }
        assert_eq!((heard.header("accept"), &*heard.body), (Some("text/plain"), &b"hello"[..]));
    }
    assert_eq!(first.requests()[0].header("x-key"), Some("hunter2"));
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_the_policy_forbids() {
    let (first, second) = (Endpoint::start(), Endpoint::start());
    for (to, expected) in [
        (format!("http://127.0.0.2:{}/", second.port()), "is this machine"),
        (format!("http://[::1]:{}/", second.port()), "is this machine"),
        ("http://169.254.169.254/latest/meta-data?hunter2".to_owned(), "is a link-local address"),
        ("//10.0.0.1/".to_owned(), "is a private address"),
        ("file:///etc/passwd".to_owned(), "only addresses that begin with"),
        ("http://user:hunter2@127.0.0.1/".to_owned(), "must not hold a user or password"),
        ("http://".to_owned(), "no address"),
    ] {
        first.queue(redirect(302, &to));
        let error = error(here(), &get(first.url())).await;
        assert!(matches!(error, ModelError::Forbidden { .. }), "{to}: {error:?}");
        let message = error.to_string();
        assert!(message.contains(expected) && !message.contains("hunter2"), "{message}");
    }
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn no_more_redirects_are_followed_than_settings_and_request_allow() {
    let endpoint = Endpoint::start();
    endpoint.on(|_| Some(redirect(302, "/again")));
    for (settings, request, expected) in [(2, None, 2), (2, Some(9), 2), (5, Some(1), 1)] {
        let before = endpoint.count();
        let request = FetchRequest { redirects: request, ..get(endpoint.url()) };
        let error = error(HttpPolicy { redirects: settings, ..here() }, &request).await;
        assert_eq!(error.code(), "malformed_reply");
        assert!(error.to_string().ends_with(&format!("redirects once more after {expected} redirects")), "{error}");
        assert_eq!(endpoint.count() - before, expected + 1);
    }
    let none = FetchRequest { redirects: Some(0), ..get(endpoint.url()) };
    assert_eq!(fetch(here(), &none).await.unwrap().status, 302, "who follows none sees where they lead");
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let endpoint = Endpoint::start();
    let limited = |size: u64| FetchRequest { max_size: Some(size), ..get(endpoint.url()) };
    let chunked = |pieces: &[&'static str]| Answer::Stream {
        pieces: pieces.iter().map(|piece| piece.as_bytes().into()).collect(),
        broken_at: None,
        delay: Duration::ZERO,
    };
    endpoint.queue(body("12345678"));
    assert_eq!(fetch(here(), &limited(8)).await.unwrap().body, b"12345678");
    endpoint.queue(chunked(&["1234", "5678"]));
    assert_eq!(fetch(here(), &limited(8)).await.unwrap().body, b"12345678");
    endpoint.queue(chunked(&["1234", "5678", "9"]));
    assert_eq!(error(here(), &limited(8)).await.code(), "malformed_reply");
    endpoint.queue(body("123456789"));
    let message = error(here(), &limited(8)).await.to_string();
    assert!(message.contains("is larger than 8 bytes; more is allowed by `max_size`"), "{message}");
    endpoint.queue(body("123456789"));
    let settings = HttpPolicy { max_size: 8, ..here() };
    assert_eq!(error(settings, &limited(1000)).await.code(), "malformed_reply", "never more than the settings allow");
    let head = FetchRequest { method: "HEAD".into(), ..limited(8) };
    endpoint.queue(body("123456789"));
    assert_eq!(fetch(here(), &head).await.unwrap().body, b"");
}

#[tokio::test]
async fn what_is_compressed_counts_by_what_comes_out() {
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        body(writer.finish().unwrap()).header("content-encoding", "gzip")
    };
    let endpoint = Endpoint::start();
    endpoint.queue(gzip(b"hello"));
    let reply = fetch(here(), &get(endpoint.url())).await.unwrap();
    assert_eq!(reply.body, b"hello");
    assert!(reply.headers.iter().all(|(name, _)| &**name != "content-encoding"), "it no longer is");
    // 64 MiB of nothing in 64 KiB.
    endpoint.queue(gzip(&vec![0; 64 << 20]));
    let message = error(here(), &get(endpoint.url())).await.to_string();
    assert!(message.contains("is larger than 10 MiB"), "{message}");
    endpoint.queue(body("no gzip").header("content-encoding", "gzip"));
    assert_eq!(error(here(), &get(endpoint.url())).await.code(), "malformed_reply");
}

#[tokio::test]
async fn the_whole_answer_is_waited_for_no_longer_than_asked() {
    let endpoint = Endpoint::start();
    let short = Duration::from_millis(30);
    let never_ends =
        Answer::Stream { pieces: vec!["x".into(); 100_000], broken_at: None, delay: Duration::from_millis(5) };
    for answer in [Answer::Hang, never_ends] {
        endpoint.queue(answer);
        let request = FetchRequest { timeout: Some(short), ..get(endpoint.url()) };
        assert_eq!(error(here(), &request).await, ModelError::TimedOut { phase: Phase::Total, after: short });
    }
    endpoint.queue(Answer::Hang);
    let settings = HttpPolicy { timeout: short, ..here() };
    assert_eq!(error(settings.clone(), &get(endpoint.url())).await.code(), "timed_out");
    // A flow may want less than the settings allow, never more.
    endpoint.queue(Answer::Hang);
    let patient = FetchRequest { timeout: Some(Duration::from_secs(30)), ..get(endpoint.url()) };
    assert_eq!(error(settings, &patient).await, ModelError::TimedOut { phase: Phase::Total, after: short });
}

#[tokio::test]
async fn who_is_not_there_is_named_without_the_query() {
    let endpoint = Endpoint::start();
    let url = endpoint.url();
    drop(endpoint);
    let error = error(here(), &get(format!("{url}/x?key=hunter2"))).await;
    assert!(matches!(&error, ModelError::Unreachable { endpoint, .. } if *endpoint == url), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn what_began_in_secret_does_not_go_on_in_the_open() {
    let root = Authority::new("Corp Root");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("root.pem");
    std::fs::write(&file, root.pem()).unwrap();
    let (secret, open) = (Endpoint::start_tls(&Server::new(&root.certify(&["127.0.0.1"]))), Endpoint::start());
    let options = || Options { http: here(), ca_files: vec![file.clone()], ..Options::default() };
    assert_eq!(fetch_with(options(), &get(secret.url())).await.unwrap().status, 200);
    secret.queue(redirect(302, &format!("{}/x?key=hunter2", open.url())));
    let error = fetch_with(options(), &get(secret.url())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}/x may not be called: {}/ redirects to it, from https to http, where everybody can read it",
            open.url(),
            secret.url()
        )
    );
    assert_eq!(open.connections(), 0);
    // The other direction is fine.
    open.queue(redirect(301, &secret.url()));
    assert_eq!(fetch_with(options(), &get(open.url())).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_unknown_issuer_is_named_here_too() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("other.pem");
    std::fs::write(&file, Authority::new("Other Root").pem()).unwrap();
    let endpoint = Endpoint::start_tls(&Server::new(&Authority::new("Corp Root").certify(&["127.0.0.1"])));
    let options = Options { http: here(), ca_files: vec![file], ..Options::default() };
    let message = fetch_with(options, &get(endpoint.url())).await.unwrap_err().to_string();
    assert!(message.contains("its issuer `CN=Corp Root` is unknown"), "{message}");
    assert!(message.ends_with("name it with SSL_CERT_FILE"), "{message}");
}

#[tokio::test]
async fn a_proxy_finds_public_names_and_is_not_asked_for_private_ones() {
    let endpoint = Endpoint::start();
    let proxy = Proxy::start();
    proxy.route("api.test", endpoint.port()).route("wiki.internal", endpoint.port());
    let proxies = Proxies { http: Some(proxy.url()), ..Proxies::default() };
    let with = |http: HttpPolicy| Options { http, proxies: proxies.clone(), ..Options::default() };
    let reply = fetch_with(with(HttpPolicy::default()), &get("http://api.test/x")).await.unwrap();
    assert_eq!((reply.status, &*proxy.passed()[0].line), (200, "GET http://api.test/x HTTP/1.1"));
    for host in ["wiki.internal", "metadata.google.internal", "intranet", "10.0.0.1", "169.254.169.254", "localhost"] {
        let error = fetch_with(with(HttpPolicy::default()), &get(format!("http://{host}/"))).await.unwrap_err();
        assert!(matches!(error, ModelError::Forbidden { .. }), "{host}: {error:?}");
    }
    assert_eq!(proxy.passed().len(), 1);
    let wiki = HttpPolicy { allow_private: vec!["wiki.internal".to_owned()], ..HttpPolicy::default() };
    assert_eq!(fetch_with(with(wiki), &get("http://wiki.internal/")).await.unwrap().status, 200);

    proxy.demand("Basic dTpw");
    let error = fetch_with(with(HttpPolicy::default()), &get("http://api.test/x")).await.unwrap_err();
    assert!(
        error.to_string().contains(&format!("the proxy {} refused to pass the request on", proxy.url())),
        "{error}"
    );
}
