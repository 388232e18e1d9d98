//! From a failure to the answer that tells of it, as each dialect does.

use std::time::Duration;

use serde_json::{Value, json};
use sluicegate_model::Filter;
use sluicegate_model::script::Failure;

use super::body::Answer;
use super::dialect::filters;
use super::limits::{Level, Standing};
use super::route::Flavour;

/// Azure's words, which clients show to people.
const FILTERED: &str = "The response was filtered due to the prompt triggering content management policy. Please \
                        modify your prompt and retry.";

/// The answer that tells of a failure.
pub(super) fn answer(flavour: Flavour, failure: &Failure) -> Answer {
    let answer = Answer::json(failure.status, &body(flavour, failure));
    let Some(wait) = failure.retry_after else { return answer };
    let answer = answer.header("retry-after-ms", &wait.as_millis().to_string());
    if failure.only_milliseconds {
        return answer;
    }
    answer.header("retry-after", &wait.as_secs_f64().ceil().to_string())
}

/// The answer to a request that a content filter stopped.
pub(super) fn filtered(flavour: Flavour, filter: &Filter) -> Answer {
    if flavour == Flavour::Anthropic {
        let message = filter.message.as_deref().unwrap_or("Input blocked by content filtering policy");
        return answer(flavour, &Failure::new(400, message));
    }
    let error = json!({
        "message": filter.message.as_deref().unwrap_or(FILTERED),
        "type": null,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": filters::prompt(Some(filter)),
        },
    });
    Answer::json(400, &json!({ "error": error }))
}

/// The answer to a request that is over a limit.
pub(super) fn over_the_limit(flavour: Flavour, model: &str, wait: Duration, what: &'static str) -> Answer {
    let message = format!(
        "Rate limit reached for `{model}` on {what} per minute. Please retry after {:.3} seconds.",
        wait.as_secs_f64()
    );
    answer(flavour, &Failure { retry_after: Some(wait), ..Failure::new(429, message) })
}

/// Tells what is left of the limits.
pub(super) fn with_standing(answer: Answer, standing: &Standing) -> Answer {
    let tell = |answer: Answer, level: Option<Level>, [limit, remaining, reset]: [&'static str; 3]| match level {
        None => answer,
        Some(level) => answer
            .header(limit, &level.limit.to_string())
            .header(remaining, &level.remaining.to_string())
            .header(reset, &shown(level.reset)),
    };
    let requests = ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    let tokens = ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    tell(tell(answer, standing.requests, requests), standing.tokens, tokens)
}

/// `250ms`, `1.5s`.
fn shown(duration: Duration) -> String {
    match duration.as_millis() {
        milliseconds @ ..1000 => format!("{milliseconds}ms"),
        _ => format!("{}s", (duration.as_secs_f64() * 1000.0).round() / 1000.0),
    }
}

fn body(flavour: Flavour, failure: &Failure) -> Value {
    if flavour == Flavour::Anthropic {
        let error = json!({ "type": anthropic_type(failure), "message": failure.message });
        return json!({ "type": "error", "error": error });
    }
    let code = failure.code.as_deref().or_else(|| usual_code(flavour, failure.status));
    let kind = match failure.status {
        429 if code == Some("insufficient_quota") => "insufficient_quota",
        429 => "rate_limit_error",
        500.. => "server_error",
        401 => "authentication_error",
        _ => "invalid_request_error",
    };
    let error = json!({ "message": failure.message, "type": kind, "param": failure.parameter, "code": code });
    json!({ "error": error })
}

/// The code that a status usually comes with.
fn usual_code(flavour: Flavour, status: u16) -> Option<&'static str> {
    match (flavour, status) {
        (Flavour::Azure, 401) => Some("401"),
        (Flavour::Azure, 404) => Some("DeploymentNotFound"),
        (Flavour::Azure, 429) => Some("429"),
        (_, 401) => Some("invalid_api_key"),
        (_, 404) => Some("model_not_found"),
        (_, 429) => Some("rate_limit_exceeded"),
        _ => None,
    }
}

fn anthropic_type(failure: &Failure) -> &str {
    match (&failure.code, failure.status) {
        (Some(code), _) => code,
        (None, 401) => "authentication_error",
        (None, 403) => "permission_error",
        (None, 404) => "not_found_error",
        (None, 413) => "request_too_large",
        (None, 429) => "rate_limit_error",
        (None, 529) => "overloaded_error",
        (None, 500..) => "api_error",
        _ => "invalid_request_error",
    }
}
