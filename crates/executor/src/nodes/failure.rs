//! Why an attempt failed, and whether another one makes sense.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::Failure;
use sluicegate_flow::template::RenderError;
use sluicegate_model::ModelError;
use sluicegate_value::Value;

use super::http;
use crate::calls;
use crate::lookup;

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AttemptFailure {
    pub(crate) failure: Failure,
    /// Whether another attempt makes sense, if the node allows one.
    pub(crate) again: bool,
    /// How long the other side asked to wait before it.
    pub(crate) wait: Option<Duration>,
    /// Objects that it needed and that are gone: it is to be made once they are there again.
    pub(crate) lost: Vec<Lost>,
}

/// Objects that are gone with their worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) worker: Arc<str>,
    /// Their numbers; none: all that it had.
    pub(crate) objects: Vec<u64>,
}

impl AttemptFailure {
    /// A failure that another attempt may avoid.
    pub(crate) fn passing(failure: Failure) -> Self {
        Self { failure, again: true, wait: None, lost: Vec::new() }
    }

    /// A failure that stays.
    pub(crate) fn lasting(failure: Failure) -> Self {
        Self { failure, again: false, wait: None, lost: Vec::new() }
    }

    /// What a connection failed with after so many attempts. What it has repeated in vain is not repeated once more by
    /// the node; what it leaves alone, such as a reply that makes no sense, is.
    pub(crate) fn of_model(error: &ModelError, attempts: u32) -> Self {
        let again = matches!(error, ModelError::Malformed { .. }) || (error.is_transient() && attempts <= 1);
        Self { failure: calls::model_failure(error, attempts), again, wait: error.retry_after(), lost: Vec::new() }
    }

    pub(crate) fn of_render(error: &RenderError) -> Self {
        Self::passing(lookup::render_failure("template", error))
    }

    /// A failure inside of a node's flow, of which only what events tell is left.
    pub(crate) fn of_inside(failure: Failure) -> Self {
        let lasts = match &*failure.code {
            "rate_limited" | "server_failed" | "unreachable" | "timed_out" | "stream_broken" => {
                calls::was_given_up(&failure)
            }
            "http_status" => {
                let status = failure.details.get("status").and_then(Value::as_int);
                !status.and_then(|status| u16::try_from(status).ok()).is_some_and(http::may_pass)
            }
            "no_such_connection" | "misconfigured" | "unsupported" | "no_identity" | "key_refused"
            | "unknown_model" | "forbidden" | "rejected" | "too_long" | "filtered" | "refused" | "unscripted"
            | "python_missing" | "input" | "reference" => true,
            _ => false,
        };
        Self { failure, again: !lasts, wait: None, lost: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::Map;

    use super::*;

    #[test]
    fn what_is_inside_is_tried_again_like_what_is_not() {
        let again = |code: &str, details: Value| {
            AttemptFailure::of_inside(Failure { details, ..Failure::new(code, "no") }).again
        };
        let status = |status: i64| Value::from(Map::from([("status", status)]));
        let calls = |calls: i64| Value::from(Map::from([("call_attempts", calls)]));
        for code in ["no_identity", "forbidden", "refused", "filtered", "key_refused", "input", "http_status"] {
            assert!(!again(code, Value::Null), "{code}");
        }
        for code in ["unreachable", "malformed_reply", "malformed_output", "cut_off", "template", "timeout"] {
            assert!(again(code, Value::Null), "{code}");
        }
        assert!(!again("unreachable", calls(3)) && again("malformed_reply", calls(3)));
        assert!(again("http_status", status(503)) && !again("http_status", status(404)));
    }
}
