//! What is refused before the script is asked: keys, paths, bodies.

use crate::support::Running;

const CHAT: &str = "/v1/chat/completions";
const HI: &str = r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;

fn check_refused(body: &str, expected: &str) {
    let answer = Running::start(r#"{"default": "ok"}"#).post(CHAT, body);
    assert_eq!((answer.status, answer.body.as_str()), (400, expected), "{body}");
}

#[test]
fn the_key_opens_every_path_by_every_header() {
    let endpoint = Running::start(r#"{"default": "ok", "api_key": "very-secret"}"#);
    let status = |path: &str, headers: &[(&str, &str)]| endpoint.send("POST", path, headers, HI).unwrap().status;
    for path in [CHAT, "/openai/deployments/d/chat/completions?api-version=1", "/v1/messages"] {
        for header in [
            ("authorization", "Bearer very-secret"),
            ("authorization", "bearer very-secret"),
            ("api-key", "very-secret"),
            ("x-api-key", "very-secret"),
            ("ocp-apim-subscription-key", "very-secret"),
        ] {
            assert_eq!(status(path, &[header]), 200, "{path} {header:?}");
        }
        for header in [("authorization", "Bearer other"), ("authorization", "very-secret"), ("api-key", "very")] {
            assert_eq!(status(path, &[header]), 401, "{path} {header:?}");
        }
        assert_eq!(status(path, &[]), 401);
    }
    assert_eq!(endpoint.get("/health").status, 200);
    assert_eq!(endpoint.get("/v1/models").status, 401);
    let refused = endpoint.post(CHAT, HI);
    assert_eq!(
        refused.body,
        r#"{"error":{"message":"the key is missing, or is not the one that this endpoint demands","type":"authentication_error","param":null,"code":"invalid_api_key"}}"#
    );
}

#[test]
fn a_key_given_beside_the_script_wins() {
    let endpoint = Running::start_with(r#"{"default": "ok", "api_key": "one"}"#, |simulate| {
        simulate.api_key = Some(sluicegate_model::script::ApiKey::new("two"));
    });
    assert_eq!(endpoint.send("POST", CHAT, &[("api-key", "one")], HI).unwrap().status, 401);
    assert_eq!(endpoint.send("POST", CHAT, &[("api-key", "two")], HI).unwrap().status, 200);
}

#[test]
fn bodies_that_make_no_sense() {
    check_refused(
        "{\"model\": ",
        r#"{"error":{"message":"the body is not JSON: the text ends where a JSON value should begin at line 1 column 11","type":"invalid_request_error","param":null,"code":null}}"#,
    );
    check_refused(
        "[]",
        r#"{"error":{"message":"the body must be a JSON object","type":"invalid_request_error","param":null,"code":null}}"#,
    );
    check_refused(
        r#"{"messages": []}"#,
        r#"{"error":{"message":"you must provide a model parameter","type":"invalid_request_error","param":"model","code":null}}"#,
    );
    check_refused(
        r#"{"model": "m"}"#,
        r#"{"error":{"message":"Missing required parameter: 'messages'.","type":"invalid_request_error","param":"messages","code":"missing_required_parameter"}}"#,
    );
    check_refused(
        r#"{"model": "m", "messages": []}"#,
        r#"{"error":{"message":"`messages` must be a list with at least one message","type":"invalid_request_error","param":"messages","code":null}}"#,
    );
    check_refused(
        r#"{"model": "m", "messages": [{"content": "x"}]}"#,
        r#"{"error":{"message":"each of `messages` must have a `role`","type":"invalid_request_error","param":"messages","code":null}}"#,
    );
    check_refused(
        r#"{"model": "m", "stream": "yes", "messages": [{"role": "user", "content": "hi"}]}"#,
        r#"{"error":{"message":"`stream` must be `true` or `false`","type":"invalid_request_error","param":"stream","code":null}}"#,
    );
}

#[test]
fn models_that_are_not_served() {
    let endpoint = Running::start(r#"{"default": "ok", "models": ["one"]}"#);
    let answer = endpoint.post(CHAT, HI);
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        r#"{"error":{"message":"the script has no model or deployment `m`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#
    );
    let azure = endpoint.post("/openai/deployments/d/chat/completions?api-version=1", HI);
    assert!(azure.status == 404 && azure.body.contains("DeploymentNotFound"), "{}", azure.body);
}

#[test]
fn paths_that_lead_nowhere() {
    let endpoint = Running::start(r#"{"default": "ok"}"#);
    let lost = endpoint.post("/v1/chat/complete", HI);
    assert_eq!(lost.status, 404);
    assert!(lost.body.starts_with(r#"{"error":{"message":"there is nothing at /v1/chat/complete","#));
    assert!(lost.body.contains("POST /v1/chat/completions"), "it tells what there is");
    let wrong = endpoint.get(CHAT);
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    let unversioned = endpoint.post("/openai/deployments/d/chat/completions", HI);
    assert!(unversioned.status == 404 && unversioned.body.contains("api-version"), "{}", unversioned.body);
}

#[test]
fn a_content_type_does_not_matter() {
    let endpoint = Running::start(r#"{"default": "ok"}"#);
    assert_eq!(endpoint.send("POST", CHAT, &[("content-type", "text/plain")], HI).unwrap().status, 200);
}
