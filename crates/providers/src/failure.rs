//! From an answer that is no reply to a [`ModelError`]: the only place that reads statuses and error bodies.
//!
//! An error says the endpoint's own words; where these leave open what to change, a few of ours follow; last the id by
//! which the endpoint's people find the request.

pub(crate) mod nested;
mod words;

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Value, json};

use crate::ask::{Answer, Ask};
use crate::gate::Quota;
use crate::{filter, retry_after};
use words::Words;
pub(crate) use words::page;

/// Who was asked for what: facts that errors carry.
pub(crate) struct Asked<'a> {
    pub(crate) connection: &'a str,
    pub(crate) model: &'a str,
    /// The connection's key and what else of it an endpoint may echo and nobody shall read.
    pub(crate) secrets: &'a [String],
}

/// What an endpoint said in place of a reply.
pub(crate) struct Said<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Asked<'_> {
    /// What an answer with a status other than success means: an error, or the result that a content filter stopped the
    /// request.
    pub(crate) fn answer_or_error(&self, said: &Said<'_>, ask: &Ask<'_>) -> Result<Answer, ModelError> {
        let text = self.hide(&String::from_utf8_lossy(said.body));
        // Gateways pass a filter's error on under other statuses than 400, but never as a matter of keys or rates.
        let stopped = match said.status {
            400..=499 if !matches!(said.status, 401 | 408 | 429) => {
                json::read(&text).ok().and_then(|body| filter::of_error(&body))
            }
            _ => None,
        };
        match (stopped, ask) {
            (Some(reply), Ask::Chat(_)) => Ok(Answer::Chat(Box::new(reply))),
            (Some(reply), Ask::Embedding(_)) => Err(stopped_text(said.status, &reply)),
            (None, _) => Err(self.error(said)),
        }
    }

    /// The error that an answer with a status other than success means.
    pub(crate) fn error(&self, said: &Said<'_>) -> ModelError {
        let header = |name: &str| said.headers.get(name)?.to_str().ok().map(|text| self.hide(text));
        if (300..400).contains(&said.status) {
            let to = header("location").unwrap_or_else(|| "elsewhere".to_owned());
            let to = to.split('?').next().unwrap_or(&to);
            let message =
                format!("it redirects to {to}, and redirects are not followed: they would carry the key along");
            return ModelError::Rejected { status: said.status, message, parameter: None };
        }
        let text = self.hide(&String::from_utf8_lossy(said.body));
        let body = json::read(&text).unwrap_or_default();
        let mut words = Words::of(&body, &text);
        words.request_id = REQUEST_IDS.iter().find_map(|name| header(name)).or(words.request_id);
        let retry_after = retry_after::from_headers(said.headers, SystemTime::now());
        self.classify(said.status, retry_after, words, Quota::of_headers(said.headers).as_ref())
    }

    /// What an error body in the middle of a stream, or under a status of success, means: an error, or the result that a
    /// content filter stopped the request, or the reply of which there is something already.
    pub(crate) fn reply_or_error(&self, body: &Value, begun: Option<ChatReply>) -> Result<ChatReply, ModelError> {
        let hidden = json::read(&self.hide(&body.to_json())).unwrap_or_default();
        match filter::of_error(&hidden) {
            Some(stopped) => Ok(filter::cut_off(stopped, begun)),
            None => Err(self.error_in_body(body)),
        }
    }

    /// The error that an error body in the middle of a stream, or under a status of success, means.
    pub(crate) fn error_in_body(&self, body: &Value) -> ModelError {
        let text = self.hide(&body.to_json());
        let body = json::read(&text).unwrap_or_default();
        let error = body.get("error").filter(|error| !error.is_null()).unwrap_or(&body);
        let words = Words::of(&body, &text);
        let code = ["status", "code", "status_code"].iter().find_map(|key| match error.get(key)? {
            Value::Str(text) => text.parse().ok(),
            number => u16::try_from(number.as_int()?).ok(),
        });
        let status = code.filter(|code| (400..600).contains(code)).or_else(|| words.status());
        match status {
            Some(status) => self.classify(status, None, words, None),
            None => ModelError::Malformed { message: format!("it is an error: {}", words.message) },
        }
    }

    /// Takes secrets out of a text.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets {
            // A key of one or two characters is a test's, and would make holes everywhere.
            if secret.len() > 3 && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        }
        text
    }

    fn classify(&self, status: u16, retry_after: Option<Duration>, words: Words, quota: Option<&Quota>) -> ModelError {
        // Once more, for a key that stood in the body JSON-escaped.
        let words = Words { message: self.hide(&words.message), ..words };
        let connection = self.connection.to_owned();
        // What a header says of waiting is meant; a refused key's words may speak of it too.
        let says_when = retry_after.is_some();
        let retry_after = retry_after.or(words.wait).or_else(|| retry_after::from_words(&words.message));
        let limited = |retry_after: Option<Duration>, temporary: bool, message: String| ModelError::RateLimited {
            retry_after,
            temporary,
            message,
        };
        match status {
            // By these a gateway says that the month's or the hour's share is used up.
            403 if says_when || words.speaks_of_quota() => limited(retry_after, retry_after.is_some(), words.with("")),
            403 if words.says(&["virtual network", "firewall", "public access is disabled", "private endpoint"]) => {
                let message = words.with(NETWORK);
                ModelError::Rejected { status, message, parameter: None }
            }
            401 | 403 => ModelError::KeyRefused { connection, status, message: words.with(words.about_identity()) },
            400 if words.is("unknown_model") || words.is("model_not_found") => {
                ModelError::UnknownModel { connection, model: self.model.to_owned(), message: words.with("") }
            }
            404 if words.is_about_model() => {
                ModelError::UnknownModel { connection, model: self.model.to_owned(), message: words.with("") }
            }
            // Who knows the path better than its service says so by a code of its own.
            404 | 405 => {
                let advice = if words.has_a_code_of_its_own() { "" } else { PATH };
                ModelError::Rejected { status, message: words.with(advice), parameter: None }
            }
            // Nobody pays for this key any more.
            402 => limited(None, false, words.with("")),
            413 => ModelError::TooLong { message: words.with("") },
            429 | 529 => {
                let exhausted = quota.and_then(Quota::exhausted);
                let wait = retry_after.or_else(|| exhausted.and_then(|(_, window)| window.reset));
                let which = exhausted.map_or_else(String::new, |(what, window)| match window.limit {
                    Some(limit) => format!("of {limit} {what} a minute none are left"),
                    None => format!("no {what} are left"),
                });
                limited(wait, !words.is_for_good(), words.with(&which))
            }
            // Also what proxies and Azure say when the model behind them failed or the answer did not come in time.
            408 | 409 | 424 | 425 | 499 | 500.. => {
                ModelError::ServerFailed { status, retry_after, message: words.with("") }
            }
            _ if words.is_too_long() => ModelError::TooLong { message: words.with("") },
            _ if words.is("overloaded_error") || words.is("rate_limit_error") => {
                limited(retry_after, true, words.with(""))
            }
            _ => {
                let advice = if words.is_about_version() { VERSION } else { "" };
                ModelError::Rejected { status, message: words.with(advice), parameter: words.parameter }
            }
        }
    }
}

/// A filter that stopped a text for which vectors were wanted: there is no reply that could say so.
fn stopped_text(status: u16, reply: &ChatReply) -> ModelError {
    let message = reply.filter.as_ref().map_or_else(|| "a content filter stopped it".to_owned(), ToString::to_string);
    ModelError::Rejected { status, message, parameter: None }
}

/// The headers by which endpoints name a request, the most telling first.
const REQUEST_IDS: [&str; 4] = ["apim-request-id", "x-request-id", "x-ms-request-id", "request-id"];

const NETWORK: &str = "the resource does not let this machine's network in: allow it in the resource's network settings, or \
                       use its private endpoint";
const PATH: &str = "nothing listens at this path: look at the connection's address and at its `api` and `api_version`";
const VERSION: &str = "give the connection an `api_version` that the service knows, or `api: v1`";
