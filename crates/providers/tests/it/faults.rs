//! Everything that goes wrong, and the one clear error that comes of it.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use sluicegate_config::{Connection, Limits, Secret, Timeouts};
use sluicegate_model::{ChatRequest, ModelError};
use sluicegate_testkit::endpoint::{Answer, Endpoint};

use crate::{Call, KEY, azure, call, connection, model, open_ai, request};

/// Calls an endpoint that answers with each of `answers` in turn, then "ok".
async fn after(answers: impl IntoIterator<Item = Answer>) -> (Call, usize) {
    let endpoint = Endpoint::start();
    for answer in answers {
        endpoint.queue(answer);
    }
    let outcome = call(&*model(connection(azure(&endpoint.url()))), &request()).await;
    (outcome, endpoint.count())
}

/// An answer that fails the call at once: its error, as text, and that nothing was tried again.
async fn check_fails(answer: Answer, code: &str, expected: &str) {
    let (outcome, count) = after([answer]).await;
    let said = outcome.error().to_string();
    // Where it was asked for differs from run to run; `an_address_that_leads_nowhere_is_shown` looks at it.
    let said = said.split(" (asked for ").next().unwrap_or(&said);
    assert_eq!((outcome.error().code(), said, count), (code, expected, 1));
    assert_eq!(outcome.told, ["attempt 1".to_owned(), format!("attempt 1 failed: {code}, no more")]);
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_shown() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::json(404, &serde_json::json!({"error": {"code": "404", "message": "Resource not found"}})));
    let mut connection = connection(azure(&format!("{}/too/much", endpoint.url())));
    connection.gateway.query = vec![("zone".to_owned(), Secret::new("a-secret-zone"))];
    let outcome = call(&*model(connection), &request()).await;
    let expected = format!(
        "(asked for POST {}/too/much/openai/deployments/gpt-test/chat/completions?api-version=2024-02-01&zone=…)",
        endpoint.url()
    );
    assert!(outcome.error().to_string().ends_with(&expected), "{}", outcome.error());
}

/// An answer after which the call is tried again, and succeeds.
async fn check_tried_again(answer: Answer, code: &str) {
    let (outcome, count) = after([answer]).await;
    assert_eq!(outcome.result.as_ref().map(|reply| reply.text.as_deref()), Ok(Some("ok")));
    assert_eq!(count, 2);
    assert_eq!(
        outcome.told,
        ["attempt 1".to_owned(), format!("attempt 1 failed: {code}, again"), "attempt 2".to_owned()]
    );
}

#[tokio::test]
async fn a_wrong_key() {
    let says = format!("Incorrect API key provided: {KEY}.");
    check_fails(
        Answer::error(401, "invalid_api_key", &says),
        "key_refused",
        "connection `c` refused the key (401): Incorrect API key provided: ***.",
    )
    .await;
}

/// Each of these fails a call at once, with this error.
#[tokio::test]
async fn every_refusal_says_what_to_change() {
    let says = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } });
    let typed = |kind: &str, message: &str| json!({ "type": "error", "error": { "type": kind, "message": message } });
    let refused = "the endpoint refused the request";
    let cases = [
        // Keys and identities.
        (403, json!({ "statusCode": 403, "message": "Access denied." }), "key_refused", "connection `c` refused the key (403): Access denied.".to_owned()),
        (
            401,
            says("PermissionDenied", "The principal `x` lacks the required data action `chat/completions/action`."),
            "key_refused",
            "connection `c` refused the key (401): The principal `x` lacks the required data action \
             `chat/completions/action`; give the identity the role `Cognitive Services OpenAI User` on this resource; that \
             takes some minutes to work"
                .to_owned(),
        ),
        (
            403,
            says("AuthenticationTypeDisabled", "Key based authentication is disabled for this resource."),
            "key_refused",
            "connection `c` refused the key (403): Key based authentication is disabled for this resource; the resource takes \
             no keys: set the connection's `auth: entra`"
                .to_owned(),
        ),
        (
            403,
            says("403", "Access denied due to Virtual Network/Firewall rules."),
            "rejected",
            format!(
                "{refused} (403): Access denied due to Virtual Network/Firewall rules; the resource does not let this \
                 machine's network in: allow it in the resource's network settings, or use its private endpoint"
            ),
        ),
        (401, typed("authentication_error", "invalid x-api-key"), "key_refused", "connection `c` refused the key (401): invalid x-api-key".to_owned()),
        // Models and paths.
        (
            404,
            says("model_not_found", "The model `gpt-test` does not exist or you do not have access to it."),
            "unknown_model",
            "connection `c` has no model or deployment `gpt-test`: The model `gpt-test` does not exist or you do not have \
             access to it."
                .to_owned(),
        ),
        (404, json!({ "error": "model 'gpt-test' not found" }), "unknown_model", "connection `c` has no model or deployment `gpt-test`: model 'gpt-test' not found".to_owned()),
        (
            404,
            says("404", "Resource not found"),
            "rejected",
            format!(
                "{refused} (404): Resource not found; nothing listens at this path: look at the connection's address and at \
                 its `api` and `api_version`"
            ),
        ),
        (
            404,
            json!({ "detail": "Not Found" }),
            "rejected",
            format!(
                "{refused} (404): Not Found; nothing listens at this path: look at the connection's address and at its `api` \
                 and `api_version`"
            ),
        ),
        // Who knows the path says more than that nobody is there.
        (404, says("no_fixture_match", "No fixture matches."), "rejected", format!("{refused} (404): No fixture matches.")),
        (404, typed("no_fixture_match", "No fixture matches."), "rejected", format!("{refused} (404): No fixture matches.")),
        (
            404,
            says("unknown_url", "Unknown request URL."),
            "rejected",
            format!(
                "{refused} (404): Unknown request URL; nothing listens at this path: look at the connection's address and at \
                 its `api` and `api_version`"
            ),
        ),
        (
            400,
            says("BadRequest", "API version not supported"),
            "rejected",
            format!(
                "{refused} (400): API version not supported; give the connection an `api_version` that the service knows, or \
                 `api: v1`"
            ),
        ),
        // Length.
        (400, typed("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"), "too_long", "the request is too long: prompt is too long: 9 tokens > 8 maximum".to_owned()),
        (413, says("tokens_limit_reached", "Request body too large."), "too_long", "the request is too long: Request body too large.".to_owned()),
        // Money.
        (402, says("402", "Insufficient Balance"), "rate_limited", "rate limited: Insufficient Balance".to_owned()),
        (403, json!({ "statusCode": 403, "message": "Quota exceeded." }), "rate_limited", "rate limited: Quota exceeded.".to_owned()),
        // Whatever else, with whatever there is of words.
        (400, json!([{ "error": { "code": 400, "message": "Bad thing.", "status": "INVALID" } }]), "rejected", format!("{refused} (400): Bad thing.")),
        (422, json!({ "detail": [{ "loc": ["body", "messages", 0, "role"], "msg": "Input should be 'user'" }] }), "rejected", format!("{refused} (422): messages.role: Input should be 'user'")),
    ];
    for (status, body, code, expected) in cases {
        check_fails(Answer::json(status, &body), code, &expected).await;
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_however_it_is_said() {
    let typed = |kind: &str| json!({ "type": "error", "error": { "type": kind, "message": "busy" } });
    let says = |message: &str| json!({ "error": { "message": message } });
    for (status, body, code) in [
        (529, typed("overloaded_error"), "rate_limited"),
        (429, typed("rate_limit_error"), "rate_limited"),
        (500, typed("api_error"), "server_failed"),
        (503, json!({ "error": "Model x is currently loading", "estimated_time": 0.01 }), "server_failed"),
        (424, says("Failed dependency"), "server_failed"),
        (409, says("conflict"), "server_failed"),
        (499, says("the client went away"), "server_failed"),
        (200, typed("overloaded_error"), "rate_limited"),
    ] {
        check_tried_again(Answer::json(status, &body), code).await;
    }
    // A gateway's quota: the key is fine.
    let quota = json!({ "statusCode": 403, "message": "Out of call volume quota." });
    check_tried_again(Answer::json(403, &quota).header("retry-after-ms", "5"), "rate_limited").await;
}

#[tokio::test]
async fn a_quota_says_when_it_comes_back_and_which_it_is() {
    let replenished =
        json!({ "statusCode": 403, "message": "Out of call volume quota. Quota will be replenished in 01:12:33." });
    let (outcome, count) = after([Answer::json(403, &replenished)]).await;
    assert_eq!((outcome.error().retry_after(), count), (Some(Duration::from_secs(4353)), 1));
    let exhausted = Answer::error(429, "429", "Too many.")
        .header("x-ratelimit-limit-tokens", "60000")
        .header("x-ratelimit-remaining-tokens", "0")
        .header("x-ratelimit-reset-tokens", "20m");
    let (outcome, _) = after([exhausted]).await;
    let expected = "rate limited, retry after 20 min: Too many; of 60000 tokens a minute none are left";
    assert_eq!(outcome.error().to_string(), expected);
}

#[tokio::test]
async fn an_error_names_its_request() {
    for name in ["apim-request-id", "x-request-id", "x-ms-request-id", "request-id"] {
        let answer = Answer::error(400, "x", "No.").header(name, "ab-12");
        check_fails(answer, "rejected", "the endpoint refused the request (400): No. (request id ab-12)").await;
    }
    let body = json!({ "error": { "type": "invalid_request_error", "message": "No." }, "request_id": "req_1" });
    check_fails(Answer::json(400, &body), "rejected", "the endpoint refused the request (400): No. (request id req_1)")
        .await;
}

#[tokio::test]
async fn an_endpoint_that_says_nothing() {
    for body in [json!({}), json!({ "error": {} }), json!(null), json!({ "error": { "message": "" } }), json!([])] {
        check_fails(Answer::json(400, &body), "rejected", "the endpoint refused the request (400): it said no more")
            .await;
    }
}

#[tokio::test]
async fn an_unknown_deployment() {
    check_fails(
        Answer::error(404, "DeploymentNotFound", "The API deployment for this resource does not exist."),
        "unknown_model",
        "connection `c` has no model or deployment `gpt-test`: The API deployment for this resource does not exist.",
    )
    .await;
}

#[tokio::test]
async fn a_request_that_is_too_long() {
    let says = "This model's maximum context length is 4096 tokens.";
    let expected = format!("the request is too long: {says}");
    check_fails(Answer::error(400, "context_length_exceeded", says), "too_long", &expected).await;
}

#[tokio::test]
async fn a_refused_parameter() {
    let body = json!({ "error": { "message": "too hot", "param": "temperature", "code": null } });
    let (outcome, count) = after([Answer::json(400, &body)]).await;
    let expected =
        ModelError::Rejected { status: 400, message: "too hot".to_owned(), parameter: Some("temperature".to_owned()) };
    assert_eq!((outcome.error(), count), (&expected, 1));
}

/// What a gateway quotes of the service behind it says more than its own words.
#[tokio::test]
async fn a_refused_parameter_is_named_by_what_a_gateway_quotes() {
    let behind =
        json!({ "type": "error", "error": { "type": "invalid_request_error", "param": "top_k", "message": "no" } });
    let message = format!("litellm.BadRequestError: AnthropicException - b'{behind}'. Received Model Group=m");
    let body = json!({ "error": { "message": message, "type": null, "param": null, "code": "400" } });
    let (outcome, _) = after([Answer::json(400, &body)]).await;
    let message = "litellm.BadRequestError: AnthropicException - no".to_owned();
    let expected = ModelError::Rejected { status: 400, message, parameter: Some("top_k".to_owned()) };
    assert_eq!(outcome.error(), &expected);
}

#[tokio::test]
async fn a_date_is_measured_by_the_clock_that_wrote_it() {
    let answer = Answer::error(429, "429", "slow down")
        .header("date", "Sun, 06 Nov 1994 08:49:37 GMT")
        .header("retry-after", "Sun, 06 Nov 1994 09:49:37 GMT");
    let (outcome, _) = after([answer]).await;
    assert_eq!(outcome.error().retry_after(), Some(Duration::from_secs(3600)));
}

#[tokio::test]
async fn a_refusal_is_read_where_a_gateway_puts_it() {
    let message = json!({ "content": null, "provider_specific_fields": { "refusal": "I will not." } });
    let whole = json!({ "choices": [{ "index": 0, "finish_reason": "stop", "message": message }] });
    let piece = json!({ "choices": [{ "index": 0, "finish_reason": "stop", "delta": message }] });
    let pieces = vec![format!("data: {piece}\n\n").into()];
    let streamed = Answer::Stream { pieces, broken_at: None, delay: Duration::ZERO };
    for answer in [Answer::json(200, &whole), streamed] {
        let (outcome, _) = after([answer]).await;
        assert_eq!(outcome.result.unwrap().refusal.as_deref(), Some("I will not."));
    }
}

#[tokio::test]
async fn what_follows_the_end_of_a_stream_is_nothing() {
    let piece = json!({ "choices": [{ "index": 0, "finish_reason": "stop", "delta": { "content": "Hi" } }] });
    let overloaded = json!({ "error": { "code": "rate_limit_exceeded", "message": "busy" } });
    let stream = |text: String| Answer::Stream { pieces: vec![text.into()], broken_at: None, delay: Duration::ZERO };
    let (outcome, _) = after([stream(format!("data: {piece}\n\ndata: [DONE]\n\ndata: {{ nonsense\n\n"))]).await;
    assert_eq!(outcome.result.unwrap().text.as_deref(), Some("Hi"));
    let (outcome, count) = after([stream(format!("data: {overloaded}\n\ndata: {{ nonsense\n\n"))]).await;
    assert_eq!((outcome.result.is_ok(), count), (true, 2));
    assert_eq!(outcome.told[1], "attempt 1 failed: rate_limited, again");
}

/// The deployment is a part of the path.
#[tokio::test]
async fn a_deployment_s_name_leads_nowhere_else() {
    for (name, shown) in [(".", "."), ("..", ".."), ("a\nb", r"a\nb"), ("a\u{7f}", r"a\u{7f}")] {
        let endpoint = Endpoint::start();
        let asked = ChatRequest { model: name.into(), ..request() };
        let outcome = call(&*model(connection(azure(&endpoint.url()))), &asked).await;
        let expected = format!("connection `c` does not offer a deployment named `{shown}`");
        assert_eq!((outcome.error().to_string(), endpoint.count()), (expected, 0));
    }
}

#[tokio::test]
async fn too_many_requests_are_tried_again_when_asked_to() {
    let answer = Answer::error(429, "429", "slow down");
    check_tried_again(answer.clone().header("retry-after-ms", "30"), "rate_limited").await;
    check_tried_again(answer, "rate_limited").await;
}

#[tokio::test]
async fn retry_after_is_in_the_error() {
    let answer = Answer::error(429, "429", "slow down").header("retry-after", "7000");
    let (outcome, count) = after([answer]).await;
    assert_eq!((outcome.error().retry_after(), count), (Some(Duration::from_secs(7000)), 1));
    let (outcome, _) = after([Answer::error(429, "429", "Please retry after 7001 seconds.")]).await;
    assert_eq!(outcome.error().retry_after(), Some(Duration::from_secs(7001)));
}

#[tokio::test]
async fn an_exhausted_quota_is_not_tried_again() {
    check_fails(
        Answer::error(429, "insufficient_quota", "You exceeded your current quota."),
        "rate_limited",
        "rate limited: You exceeded your current quota.",
    )
    .await;
}

#[tokio::test]
async fn a_failing_endpoint_is_tried_again() {
    for status in [408, 500, 502, 503, 504] {
        check_tried_again(Answer::error(status, "x", "oops"), "server_failed").await;
    }
    check_tried_again(Answer::Whole(502, Vec::new(), "<html>".into()), "server_failed").await;
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_is_given_up() {
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    let answer = Answer::Whole(502, vec![("content-type".to_owned(), "text/html".to_owned())], page.into());
    let (outcome, count) = after([answer.clone(), answer.clone(), answer]).await;
    assert_eq!(outcome.error().to_string(), "the endpoint failed (502): a web page, `502 Bad Gateway`");
    assert_eq!(count, 3);
    assert_eq!(outcome.told.last().unwrap(), "attempt 3 failed: server_failed, no more");
}

#[tokio::test]
async fn a_reset_is_tried_again() {
    check_tried_again(Answer::Reset, "unreachable").await;
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = call(&*model(connection(open_ai(&url))), &request()).await;
    let message = outcome.error().to_string();
    assert!(
        message.starts_with(&format!("cannot reach {url}: ")) && message.to_lowercase().contains("refused"),
        "{message}"
    );
    assert_eq!(outcome.told.len(), 6);
}

#[tokio::test]
async fn a_host_that_does_not_exist() {
    let outcome = call(&*model(connection(open_ai("http://no-such-host.invalid"))), &request()).await;
    let message = outcome.error().to_string();
    assert!(message.starts_with("cannot reach http://no-such-host.invalid: "), "{message}");
}

#[tokio::test]
async fn a_hang() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::Hang).reply_text("awake");
    let timeouts = Timeouts { first_byte: Duration::from_millis(500), ..Timeouts::default() };
    let outcome = call(&*model(Connection { timeouts, ..connection(open_ai(&endpoint.url())) }), &request()).await;
    assert_eq!(outcome.result.unwrap().text.as_deref(), Some("awake"));
    assert_eq!(outcome.told, ["attempt 1", "attempt 1 failed: timed_out, again", "attempt 2"]);
}

#[tokio::test]
async fn the_total_timeout_ends_a_hang() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::Hang);
    let timeouts = Timeouts { total: Duration::from_millis(100), ..Timeouts::default() };
    let outcome = call(&*model(Connection { timeouts, ..connection(open_ai(&endpoint.url())) }), &request()).await;
    assert_eq!(outcome.error().to_string(), "no complete reply within 100 ms");
}

#[tokio::test]
async fn broken_json() {
    let (outcome, count) = after([Answer::broken_json()]).await;
    let message = outcome.error().to_string();
    assert!(message.starts_with("the endpoint's reply makes no sense: it is no JSON ("), "{message}");
    assert!(message.ends_with(r#"{"id": "chatcmpl-1", "choices": [{"mess"#), "{message}");
    assert_eq!((outcome.error().code(), count), ("malformed_reply", 1));
}

#[tokio::test]
async fn replies_that_are_none() {
    for (body, expected) in [
        (r#"{"choices": []}"#, "it has no `choices`: "),
        (r#"{"choices": [{}]}"#, "it has a choice with neither `message` nor `text`: "),
        (r#"{"error": {"message": "oops"}}"#, "it is an error: oops"),
        ("<html><title>Log in</title></html>", "application/json): a web page, `Log in`"),
        ("", "it is no JSON ("),
    ] {
        let (outcome, _) = after([Answer::Whole(200, Vec::new(), body.into())]).await;
        let message = outcome.error().to_string();
        assert!(message.contains(expected), "{message}");
        assert_eq!(outcome.error().code(), "malformed_reply");
    }
}

#[tokio::test]
async fn an_error_under_a_status_of_success_counts_as_what_it_says() {
    let body = json!({ "error": { "message": "overloaded", "code": 503 } });
    check_tried_again(Answer::json(200, &body), "server_failed").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Endpoint::start();
    let answer = Answer::json(307, &json!({})).header("location", &elsewhere.url());
    let (outcome, _) = after([answer]).await;
    let message = outcome.error().to_string();
    assert!(message.contains(&format!("it redirects to {}", elsewhere.url())), "{message}");
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn no_error_holds_the_key() {
    let quoted = KEY.to_owned();
    let answers = [
        Answer::error(400, &quoted, &format!("bad {quoted}")),
        Answer::Whole(500, Vec::new(), format!("{}{quoted}", "x".repeat(190)).into()),
        Answer::Whole(200, Vec::new(), format!("<{quoted}>").into()),
        Answer::json(200, &json!({ "error": format!("bad {quoted}") })),
        Answer::json(200, &json!({ "nothing": quoted })),
        Answer::json(301, &json!({})).header("location", &format!("http://x/{quoted}")),
        Answer::Stream { pieces: vec![format!("data: {quoted}\n\n").into()], broken_at: None, delay: Duration::ZERO },
        Answer::stream(&[&quoted]).cut_after(2),
    ];
    for answer in answers {
        let (outcome, _) = after([answer.clone(), answer.clone(), answer]).await;
        let told = format!("{} {:?} {:?}", outcome.error(), outcome.error(), outcome.told);
        assert!(!told.contains("sk-secret"), "{told}");
    }
}

#[tokio::test]
async fn a_compressed_reply_is_read() {
    // `{"choices":[{"text":"zipped"}]}`, compressed.
    let zipped: &[u8] = include_bytes!("../data/reply.json.gz");
    let answer =
        |bytes: &[u8]| Answer::Whole(200, Vec::new(), bytes.to_vec().into()).header("content-encoding", "gzip");
    let (outcome, _) = after([answer(zipped)]).await;
    assert_eq!(outcome.result.unwrap().text.as_deref(), Some("zipped"));
    let (outcome, _) = after([answer(b"not compressed at all")]).await;
    assert_eq!(outcome.error().code(), "malformed_reply");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_used_again_and_limits_hold_over_http() {
    let endpoint = Endpoint::start();
    endpoint.latency(Duration::from_millis(5));
    let limits = Limits { max_in_flight: 4, ..Limits::default() };
    let model = model(Connection { limits, ..connection(open_ai(&endpoint.url())) });
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let model = model.clone();
        calls.spawn(async move { call(&*model, &ChatRequest { ..request() }).await.result.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|worked| worked));
    assert_eq!(endpoint.count(), 40);
    assert!(endpoint.connections() <= 4, "{} connections", endpoint.connections());
}
