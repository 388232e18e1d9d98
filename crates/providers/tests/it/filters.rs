//! Content filters are results: three states, told apart, and the first two never tried again.

use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_model::{
    CallContext, ChatRequest, EmbeddingInput, EmbeddingRequest, FilterState, Models as _, Shortfall,
};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::Map;

use crate::{Call, azure, call, connection, model, models, request};

/// Calls an endpoint that gives this answer once.
async fn after(answer: Answer, stream: bool) -> (Call, usize) {
    let endpoint = Endpoint::start();
    endpoint.queue(answer);
    let outcome = call(&*model(connection(azure(&endpoint.url()))), &ChatRequest { stream, ..request() }).await;
    (outcome, endpoint.count())
}

/// An answer that is a reply with this filter, after one attempt and with nothing failed.
async fn check(answer: Answer, state: FilterState, expected: &str) -> Call {
    let (outcome, count) = after(answer, false).await;
    let reply = outcome.result.as_ref().unwrap();
    let filter = reply.filter.as_ref().unwrap();
    assert_eq!((filter.state, filter.to_string().as_str(), count), (state, expected, 1));
    assert_eq!(outcome.told, ["attempt 1"]);
    match state {
        FilterState::Noted => assert_eq!(reply.shortfall(), None),
        _ => assert_eq!(reply.shortfall(), Some(Shortfall::Filtered(filter.clone()))),
    }
    outcome
}

fn safe_but(category: &str, found: Value) -> Value {
    let mut results = json!({ "hate": { "filtered": false, "severity": "safe" }, "sexual": { "filtered": false, "severity": "safe" } });
    results[category] = found;
    results
}

fn filtered_input(category: &str, found: Value) -> Value {
    json!({ "error": {
        "message": "The response was filtered due to the prompt triggering the policy. To learn more: https://x", "type": null,
        "param": "prompt", "code": "content_filter", "status": 400,
        "innererror": { "code": "ResponsibleAIPolicyViolation", "content_filter_result": safe_but(category, found) },
    } })
}

fn reply(finish_reason: &str, content: Value, results: Value) -> Value {
    json!({
        "choices": [{
            "index": 0, "finish_reason": finish_reason, "message": { "role": "assistant", "content": content },
            "content_filter_results": results,
        }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13 },
    })
}

#[tokio::test]
async fn a_filtered_input_is_a_reply_without_text() {
    for (category, found, shown) in [
        ("violence", json!({ "filtered": true, "severity": "medium" }), "violence: medium"),
        ("jailbreak", json!({ "filtered": true, "detected": true }), "jailbreak"),
        ("indirect_attack", json!({ "filtered": true, "detected": true }), "indirect_attack"),
        ("profanity", json!({ "filtered": true, "detected": true }), "profanity"),
        ("custom_blocklists", json!([{ "id": "rivals", "filtered": true }]), "rivals"),
        ("custom_blocklists", json!({ "filtered": true, "details": [{ "id": "rivals", "filtered": true }] }), "rivals"),
    ] {
        let expected = format!(
            "the request was stopped by a content filter ({shown}): \
             The response was filtered due to the prompt triggering the policy."
        );
        let outcome = check(Answer::json(400, &filtered_input(category, found)), FilterState::Input, &expected).await;
        let reply = outcome.result.unwrap();
        assert_eq!((reply.text, reply.finish_reason.as_deref()), (None, Some("content_filter")));
        assert_eq!(reply.message.to_json(), r#"{"role":"assistant","content":null}"#);
        assert!(reply.body.get("error").is_some());
    }
}

#[tokio::test]
async fn a_filtered_input_is_known_in_every_shape() {
    let stopped = "the request was stopped by a content filter";
    let bodies = [
        // Azure, as some API versions nest it.
        json!({ "error": { "code": "content_filter", "inner_error": { "code": "ResponsibleAIPolicyViolation",
            "content_filter_results": safe_but("hate", json!({ "filtered": true, "severity": "high" })) } } }),
        // Azure's responses API.
        json!({ "error": { "code": "content_filter", "type": "invalid_request_error", "content_filters": [
            { "blocked": true, "source_type": "prompt",
              "content_filter_results": safe_but("hate", json!({ "filtered": true, "severity": "high" })) }] } }),
    ];
    for body in bodies {
        check(Answer::json(400, &body), FilterState::Input, &format!("{stopped} (hate: high)")).await;
    }
    // Azure AI model inference.
    let inference =
        json!({ "status": 400, "code": "content_filter", "message": "The response was filtered", "param": "messages" });
    check(Answer::json(400, &inference), FilterState::Input, &format!("{stopped}: The response was filtered")).await;
    // A gateway that makes a 403 or a success of it.
    let gateway = json!({ "error": { "code": "content_filter", "message": "no" } });
    for status in [200, 403] {
        check(Answer::json(status, &gateway), FilterState::Input, &format!("{stopped}: no")).await;
    }
}

/// What gateways make of a filter's error.
#[tokio::test]
async fn a_filtered_input_is_known_behind_a_gateway() {
    let stopped = "the request was stopped by a content filter";
    let azure = filtered_input("violence", json!({ "filtered": true, "severity": "medium" }))["error"].take();
    let error =
        |message: &str| json!({ "message": message, "type": "invalid_request_error", "param": null, "code": "400" });
    // What the service said, in fields of its own.
    let mut body = error("litellm.BadRequestError: litellm.ContentPolicyViolationError: The response was filtered");
    body["provider_specific_fields"] = json!({ "innererror": azure["innererror"], "azure_error": azure });
    let expected = format!(
        "{stopped} (violence: medium): litellm.BadRequestError: litellm.ContentPolicyViolationError: The response was filtered"
    );
    check(Answer::json(400, &json!({ "error": body })), FilterState::Input, &expected).await;
    // Its words alone.
    for words in [
        "litellm.BadRequestError: OpenAIException - The response was filtered due to the prompt triggering content management policy.",
        "litellm.BadRequestError: AzureException - The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "litellm.ContentPolicyViolationError: no.",
    ] {
        let mut body = error(words);
        body["param"] = json!("prompt");
        check(Answer::json(400, &json!({ "error": body })), FilterState::Input, &format!("{stopped}: {words}")).await;
    }
    // All that it said, as text.
    let body = error(&format!("litellm.BadRequestError: AzureException - {}", json!({ "error": azure })));
    let expected =
        format!("{stopped} (violence: medium): The response was filtered due to the prompt triggering the policy.");
    check(Answer::json(400, &json!({ "error": body })), FilterState::Input, &expected).await;
}

#[tokio::test]
async fn a_filtered_output_keeps_what_there_is_of_the_reply() {
    let results = safe_but("violence", json!({ "filtered": true, "severity": "high" }));
    let body = reply("content_filter", json!("Once upon"), results);
    let expected = "the reply was stopped by a content filter (violence: high)";
    let outcome = check(Answer::json(200, &body), FilterState::Output, expected).await;
    assert_eq!(outcome.result.unwrap().text.as_deref(), Some("Once upon"));
    let bare = reply("content_filter", Value::Null, json!({}));
    check(Answer::json(200, &bare), FilterState::Output, "the reply was stopped by a content filter").await;
}

#[tokio::test]
async fn a_filter_that_failed_leaves_the_reply_unchecked() {
    let failed = json!({ "error": { "code": "content_filter_error", "message": "The contents are not filtered" } });
    let expected = "the content filter failed, and the reply went through unchecked: The contents are not filtered";
    for (reason, key) in [("stop", "content_filter_results"), ("content_filter", "content_filter_result")] {
        let mut body = reply(reason, json!("fine"), json!({}));
        body["choices"][0][key] = failed.clone();
        check(Answer::json(200, &body), FilterState::Unchecked, expected).await;
    }
}

#[tokio::test]
async fn what_a_filter_found_and_let_pass_is_noted() {
    let results = safe_but("protected_material_text", json!({ "filtered": false, "detected": true }));
    let mut body = reply("stop", json!("To be or not"), results);
    body["prompt_filter_results"] = json!([{ "prompt_index": 0, "content_filter_results": { "jailbreak": { "filtered": false, "detected": true } } }]);
    let expected = "a content filter found something and let it pass (jailbreak, protected_material_text)";
    check(Answer::json(200, &body), FilterState::Noted, expected).await;
    let (outcome, _) = after(
        Answer::json(
            200,
            &reply("stop", json!("ok"), safe_but("violence", json!({ "filtered": false, "severity": "safe" }))),
        ),
        false,
    )
    .await;
    assert_eq!(outcome.result.unwrap().filter, None);
}

/// A stream of these events.
fn events(events: &[Value]) -> Answer {
    let pieces = events.iter().map(|event| format!("data: {event}\n\n").into()).collect();
    Answer::Stream { pieces, broken_at: None, delay: Duration::ZERO }
}

fn piece(text: &str) -> Value {
    json!({ "id": "x", "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }] })
}

#[tokio::test]
async fn a_stream_that_begins_with_what_was_found_in_the_prompt() {
    let first = json!({ "id": "", "model": "", "choices": [], "prompt_filter_results": [
        { "prompt_index": 0, "content_filter_results": { "hate": { "filtered": false, "severity": "low" } } }] });
    let last = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] });
    let (outcome, _) = after(events(&[first, piece("Hi"), last]), true).await;
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text.as_deref(), outcome.told.len()), (Some("Hi"), 3));
    assert_eq!(reply.filter.unwrap().to_string(), "a content filter found something and let it pass (hate: low)");
}

#[tokio::test]
async fn a_stream_that_the_filter_ends() {
    let found = |filtered: bool, severity: &str| json!({ "violence": { "filtered": filtered, "severity": severity } });
    let mut safe = piece("Once ");
    safe["choices"][0]["content_filter_results"] = found(false, "safe");
    let mut again = piece("upon");
    again["choices"][0]["content_filter_results"] = found(false, "safe");
    let last = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "content_filter",
        "content_filter_results": found(true, "medium") }] });
    let (outcome, count) = after(events(&[safe, again, last]), true).await;
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text.as_deref(), count), (Some("Once upon"), 1));
    assert_eq!(reply.filter.unwrap().to_string(), "the reply was stopped by a content filter (violence: medium)");
}

#[tokio::test]
async fn a_filter_s_error_in_a_stream_is_a_result_too() {
    let error = filtered_input("hate", json!({ "filtered": true, "severity": "high" }));
    let (outcome, count) = after(events(std::slice::from_ref(&error)), true).await;
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text, count), (None, 1));
    assert_eq!(reply.filter.unwrap().state, FilterState::Input);
    let (outcome, count) = after(events(&[piece("Once "), error]), true).await;
    let reply = outcome.result.unwrap();
    assert_eq!(
        (reply.text.as_deref(), reply.finish_reason.as_deref(), count),
        (Some("Once "), Some("content_filter"), 1)
    );
    assert_eq!(reply.filter.unwrap().state, FilterState::Output);
}

#[tokio::test]
async fn a_filtered_text_has_no_vector() {
    let endpoint = Endpoint::start();
    endpoint.queue(Answer::json(400, &filtered_input("hate", json!({ "filtered": true, "severity": "high" }))));
    let embedding = models(connection(azure(&endpoint.url()))).embedding(&"c".into()).unwrap();
    let request = EmbeddingRequest {
        model: "m".into(),
        input: EmbeddingInput::One("x".into()),
        parameters: Map::new(),
        called_from: "".into(),
    };
    let error = embedding.embed(&request, &CallContext::detached()).await.unwrap_err();
    assert_eq!(error.code(), "rejected");
    let message = error.to_string();
    assert!(message.contains("the request was stopped by a content filter (hate: high)"), "{message}");
    assert_eq!(endpoint.count(), 1);
}
