//! From an answer that is no reply to a [`ModelError`]: the only place that reads statuses and error bodies.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use sluicegate_model::ModelError;
use sluicegate_value::{Value, json};

use crate::chat::reply::excerpt;
use crate::retry_after;

/// Who was asked for what: facts that errors carry.
pub(crate) struct Asked<'a> {
    pub(crate) connection: &'a str,
    pub(crate) model: &'a str,
    /// The connection's key, which an endpoint may echo and nobody shall read.
    pub(crate) secret: Option<&'a str>,
}

/// What an endpoint said in place of a reply.
pub(crate) struct Said<'a> {
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Asked<'_> {
    /// The error that an answer with a status other than success means.
    pub(crate) fn error(&self, said: &Said<'_>) -> ModelError {
        let retry_after = retry_after::from_headers(said.headers, SystemTime::now());
        if (300..400).contains(&said.status) {
            let to = said.headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or("elsewhere");
            let message = format!(
                "it redirects to {}, and redirects are not followed: they would carry the key along",
                self.hide(to)
            );
            return ModelError::Rejected { status: said.status, message, parameter: None };
        }
        let text = self.hide(&String::from_utf8_lossy(said.body));
        let body = json::read(&text).unwrap_or_default();
        self.classify(said.status, retry_after, &body, &text)
    }

    /// The error that an error body in the middle of a stream, or under a status of success, means.
    pub(crate) fn error_in_body(&self, body: &Value) -> ModelError {
        let text = self.hide(&body.to_json());
        let body = json::read(&text).unwrap_or_default();
        let error = body.get("error").unwrap_or(&body);
        let code = ["status", "code"].iter().find_map(|key| error.get(key)?.as_int());
        match code.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code)) {
            Some(status) => self.classify(status, None, &body, &text),
            None => {
                let words = Words::of(&body, &text);
                match words.code.as_str() {
                    "rate_limit_exceeded" | "insufficient_quota" => self.classify(429, None, &body, &text),
                    "content_filter" => ModelError::Filtered { message: words.message },
                    "server_error" | "internal_error" => self.classify(500, None, &body, &text),
                    _ => ModelError::Malformed { message: format!("it is an error: {}", words.message) },
                }
            }
        }
    }

    /// Takes the key out of a text.
    pub(crate) fn hide(&self, text: &str) -> String {
        match self.secret {
            // A key of one or two characters is a test's, and would make holes everywhere.
            Some(secret) if secret.len() > 3 && text.contains(secret) => text.replace(secret, "***"),
            _ => text.to_owned(),
        }
    }

    fn classify(&self, status: u16, retry_after: Option<Duration>, body: &Value, text: &str) -> ModelError {
        let Words { message, code, kind, parameter } = Words::of(body, text);
        // Once more, for a key that stood in the body JSON-escaped.
        let message = self.hide(&message);
        let connection = self.connection.to_owned();
        let is = |name: &str| code == name || kind == name;
        match status {
            401 | 403 => ModelError::KeyRefused { connection, status, message },
            404 => ModelError::UnknownModel { connection, model: self.model.to_owned(), message },
            413 => ModelError::TooLong { message },
            429 => ModelError::RateLimited {
                retry_after: retry_after.or_else(|| retry_after::from_words(&message)),
                temporary: !is("insufficient_quota"),
                message,
            },
            408 | 500.. => ModelError::ServerFailed { status, retry_after, message },
            _ if is("context_length_exceeded") || message.contains("maximum context length") => {
                ModelError::TooLong { message }
            }
            _ if is("content_filter") || is("ResponsibleAIPolicyViolation") => {
                ModelError::Filtered { message: with_categories(message, body) }
            }
            _ => ModelError::Rejected { status, message, parameter },
        }
    }
}

/// What an error body says, in whatever shape.
struct Words {
    message: String,
    code: String,
    kind: String,
    parameter: Option<String>,
}

impl Words {
    /// Reads `{"error": {"message", "code", "type", "param", "innererror": {"code"}}}`, `{"error": "…"}`,
    /// `{"message"}`, `{"detail"}`; else the beginning of the text.
    fn of(body: &Value, text: &str) -> Self {
        let error = body.get("error").unwrap_or(body);
        let word = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
        let message = error.as_str().map(str::to_owned).or_else(|| word("message")).or_else(|| word("detail"));
        let blank = |value: &Value| value.is_null() || value.as_str().is_some_and(|said| said.trim().is_empty());
        let is_nothing = match error {
            Value::Map(fields) => fields.values().all(blank),
            Value::List(items) => items.is_empty(),
            Value::Str(_) => blank(error),
            // Also what a text that is no JSON was read as.
            Value::Null => matches!(text.trim(), "" | "null"),
            _ => false,
        };
        let message = message.filter(|message| !message.trim().is_empty()).map_or_else(
            || if is_nothing { "it said no more".to_owned() } else { page(text) },
            |message| excerpt(&message),
        );
        let inner = error.get("innererror").and_then(|inner| inner.get("code")).and_then(Value::as_str);
        Self {
            message,
            code: word("code").unwrap_or_default(),
            kind: inner.map(str::to_owned).or_else(|| word("type")).unwrap_or_default(),
            parameter: word("param"),
        }
    }
}

/// What a text that is no JSON says: the title of an HTML page, or its beginning.
pub(crate) fn page(text: &str) -> String {
    let start = text.trim_start();
    if !start.starts_with('<') {
        return excerpt(start);
    }
    let title = start.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    match title {
        Some((title, _)) => format!("a web page, `{}`", excerpt(title)),
        None => format!("a web page, {}", excerpt(start)),
    }
}

/// Adds which categories a content filter found, as Azure tells them.
fn with_categories(message: String, body: &Value) -> String {
    let error = body.get("error").unwrap_or(body);
    let result = error.get("innererror").and_then(|inner| inner.get("content_filter_result")).and_then(Value::as_map);
    let categories: Vec<String> = result
        .into_iter()
        .flatten()
        .filter(|(_, found)| found.get("filtered").and_then(Value::as_bool) == Some(true))
        .map(|(category, found)| match found.get("severity").and_then(Value::as_str) {
            Some(severity) => format!("{category}: {severity}"),
            None => category.to_string(),
        })
        .collect();
    if categories.is_empty() { message } else { format!("{message} ({})", categories.join(", ")) }
}
