//! Azure OpenAI, by deployment and by v1 path, and Azure AI model inference.

use crate::support::{Answer, Running};

const SCRIPT: &str = r#"{"replies": [
    {"when": {"user": "filtered input"}, "filter": {"input": {"hate": "high", "jailbreak": true}}},
    {"when": {"user": "filtered output"}, "reply": "It be", "filter": {"output": {"violence": "medium", "my_list": true}}},
    {"when": {"user": "unchecked"}, "reply": "ok", "filter": {"unchecked": true}},
    {"when": {"user": "noted"}, "reply": "ok", "filter": {"note": {"hate": "low", "protected_material_text": true}}}
], "default": "one two"}"#;

const CLEAN_PROMPT: &str = r#"{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}"#;
const CLEAN_REPLY: &str = r#"{"hate":{"filtered":false,"severity":"safe"},"protected_material_code":{"filtered":false,"detected":false},"protected_material_text":{"filtered":false,"detected":false},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}"#;
const UNCHECKED: &str = r#"{"error":{"code":"content_filter_error","message":"The contents are not filtered"}}"#;

fn chat(user: &str, more: &str) -> Answer {
    let body = format!(r#"{{"messages": [{{"role": "user", "content": "{user}"}}]{more}}}"#);
    Running::start(SCRIPT).post("/openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", &body)
}

/// What filters found in request and reply.
fn check_findings(user: &str, ends: &str, prompt: &str, reply: &str) {
    let body = chat(user, "").steady();
    assert!(body.contains(&format!(r#""finish_reason":"{ends}","content_filter_results":{reply}}}]"#)), "{body}");
    let prompts = format!(r#""prompt_filter_results":[{{"prompt_index":0,"content_filter_results":{prompt}}}]}}"#);
    assert!(body.ends_with(&prompts), "{body}");
}

#[test]
fn a_deployment_is_the_model() {
    let answer = chat("hi", r#", "model": "other""#);
    assert!(answer.body.contains(r#""model":"my chat","#), "{}", answer.body);
}

#[test]
fn replies_tell_what_filters_found() {
    check_findings("hi", "stop", CLEAN_PROMPT, CLEAN_REPLY);
    check_findings("unchecked", "stop", UNCHECKED, UNCHECKED);
    let violent = CLEAN_REPLY.replace(
        r#""violence":{"filtered":false,"severity":"safe"}"#,
        r#""violence":{"filtered":true,"severity":"medium"},"my_list":{"filtered":true,"detected":true}"#,
    );
    check_findings("filtered output", "content_filter", CLEAN_PROMPT, &violent);
    let hateful =
        CLEAN_PROMPT.replacen(r#"{"filtered":false,"severity":"safe"}"#, r#"{"filtered":false,"severity":"low"}"#, 1);
    let known = CLEAN_REPLY.replace(
        r#""protected_material_text":{"filtered":false,"detected":false}"#,
        r#""protected_material_text":{"filtered":false,"detected":true}"#,
    );
    check_findings("noted", "stop", &hateful, &known);
}

#[test]
fn a_stream_begins_without_a_choice() {
    let events = chat("filtered output", r#", "stream": true"#).events();
    assert_eq!(
        events[0],
        format!(
            r#"{{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{{"prompt_index":0,"content_filter_results":{CLEAN_PROMPT}}}]}}"#
        )
    );
    // What stopped the reply is told at its end.
    let found: Vec<bool> = events.iter().map(|event| event.contains(r#""violence":{"filtered":true"#)).collect();
    assert_eq!(found, [false, false, false, false, true, false]);
    assert!(events[4].contains(r#""finish_reason":"content_filter""#));
    let unchecked = chat("unchecked", r#", "stream": true"#).events();
    assert!(unchecked[..4].iter().all(|event| event.contains(UNCHECKED)), "{unchecked:?}");
}

#[test]
fn a_request_that_a_filter_stopped_is_refused() {
    for more in ["", r#", "stream": true"#] {
        let answer = chat("filtered input", more);
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.body,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"},"jailbreak":{"filtered":true,"detected":true},"self_harm":{"filtered":false,"severity":"safe"},"sexual":{"filtered":false,"severity":"safe"},"violence":{"filtered":false,"severity":"safe"}}}}}"#
        );
    }
}

#[test]
fn elsewhere_annotations_come_only_with_a_filter() {
    let endpoint = Running::start(SCRIPT);
    let ask = |user: &str| {
        let body = format!(r#"{{"model": "m", "messages": [{{"role": "user", "content": "{user}"}}]}}"#);
        endpoint.post("/v1/chat/completions", &body)
    };
    assert!(!ask("hi").body.contains("filter"));
    assert!(ask("unchecked").body.contains(UNCHECKED));
}

#[test]
fn v1_paths_name_the_model_in_the_body() {
    let endpoint = Running::start(SCRIPT);
    let body = r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#;
    let answer = endpoint.post("/openai/v1/chat/completions", body);
    assert!(
        answer.body.contains(r#""model":"m","#) && answer.body.contains("prompt_filter_results"),
        "{}",
        answer.body
    );
    let response = endpoint.post("/openai/v1/responses", r#"{"model": "m", "input": "hi"}"#);
    assert!(response.body.contains(r#""content_filters":[{"blocked":false,"source_type":"prompt","#));
    assert_eq!(endpoint.get("/openai/v1/models").status, 200);
}

#[test]
fn model_inference_needs_no_model() {
    let endpoint = Running::start_with(SCRIPT, |simulate| simulate.name = "phi".into());
    let body = r#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    for path in ["/chat/completions", "/models/chat/completions"] {
        let answer = endpoint.post(&format!("{path}?api-version=2024-05-01-preview"), body);
        assert!(answer.body.contains(r#""model":"phi","#), "{}", answer.body);
    }
    for path in ["/info", "/models/info"] {
        assert_eq!(
            endpoint.get(&format!("{path}?api-version=2024-05-01-preview")).body,
            r#"{"model_name":"phi","model_type":"chat-completion","model_provider_name":"sluicegate"}"#
        );
    }
}
