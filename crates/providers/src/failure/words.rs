//! What an error body says, in whatever shape it says it.

use std::time::Duration;

use sluicegate_value::Value;

use super::nested;
use crate::adapt::{self, Refusal};
use crate::wire::chat::reply::excerpt;

/// What an error body says.
pub(crate) struct Words {
    pub(crate) message: String,
    pub(super) code: String,
    pub(super) kind: String,
    pub(super) inner: String,
    pub(super) parameter: Option<String>,
    pub(super) request_id: Option<String>,
    /// How long a model takes to load.
    pub(super) wait: Option<Duration>,
}

impl Words {
    /// Reads `{"error": {"message", "code", "type", "param", "innererror": {"code"}}}`, `{"error": "…"}`, `{"message"}`,
    /// `{"detail"}` with a text or a list of complaints, a list of any of these; else the beginning of the text. What a
    /// gateway quotes from the service behind it counts more than its own words.
    pub(super) fn of(body: &Value, text: &str) -> Self {
        let body = body.as_list().and_then(<[Value]>::first).unwrap_or(body);
        let error = body.get("error").unwrap_or(body);
        let word = |key: &str| error.get(key).and_then(Value::as_str).map(str::to_owned);
        let complaints = ["detail", "details", "message"].iter().find_map(|key| complaint(error.get(key)?));
        let said = error.as_str().map(str::to_owned).or_else(|| word("message")).or_else(|| word("detail"));
        let behind = said.as_deref().and_then(nested::quoted);
        if let Some((before, behind)) = behind.map(|(before, object)| (before, Self::of(&object, ""))) {
            return Self {
                message: excerpt(&format!("{before} {}", behind.message)),
                code: if is_specific(&behind.code) { behind.code } else { word("code").unwrap_or_default() },
                kind: if behind.kind.is_empty() { word("type").unwrap_or_default() } else { behind.kind },
                parameter: behind.parameter.or_else(|| parameter(word("param"))),
                request_id: request_id(body).or(behind.request_id),
                ..behind
            };
        }
        let (message, complained) = match (said, complaints) {
            (Some(said), Some((about, what))) if !said.trim().is_empty() => {
                (Some(format!("{said} ({about}: {what})")), Some(about))
            }
            (_, Some((about, what))) => (Some(format!("{about}: {what}")), Some(about)),
            (said, None) => (said, None),
        };
        let blank = |value: &Value| value.is_null() || value.as_str().is_some_and(|said| said.trim().is_empty());
        let is_nothing = match error {
            Value::Map(fields) => fields.values().all(blank),
            Value::List(items) => items.is_empty(),
            Value::Str(_) => blank(error),
            // Also what a text that is no JSON was read as.
            Value::Null => matches!(text.trim(), "" | "null"),
            _ => false,
        };
        let full = message.filter(|message| !message.trim().is_empty());
        let code = word("code").unwrap_or_default();
        let inner = ["innererror", "inner_error"].iter().find_map(|key| error.get(key)?.get("code")?.as_str());
        // Read from the whole message, since the excerpt may end before the name.
        let kind = word("type").unwrap_or_default();
        let refusing = [&code, &kind].into_iter().find(|word| Refusal::is_code(word)).map_or("", String::as_str);
        let refusal = full.as_deref().and_then(|message| Refusal::read(message, refusing));
        let is_refusal = refusal.is_some() || !refusing.is_empty();
        let named = refusal.and_then(|refusal| refusal.names.into_iter().next());
        let seconds = ["estimated_time", "retry_after"].iter().find_map(|key| body.get(key)?.as_number());
        let message = full.map_or_else(
            || if is_nothing { "it said no more".to_owned() } else { page(text) },
            |message| excerpt(&message),
        );
        let named = word("param").filter(|name| !name.is_empty()).or(complained).or(named);
        // What only the code or `param` says would be lost: whoever reads the error sees the message alone.
        let is_nameless = || Refusal::read(&message, "").is_none_or(|refusal| refusal.names.is_empty());
        let message = match &named {
            Some(named) if is_refusal && is_nameless() => {
                let what = if refusing == "unsupported_value" { "value of" } else { "parameter" };
                format!("unsupported {what} `{named}`: {message}")
            }
            _ => message,
        };
        Self {
            message,
            kind,
            inner: inner.unwrap_or_default().to_owned(),
            parameter: parameter(named),
            code,
            request_id: request_id(body),
            wait: seconds
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(|wait| wait.as_secs() < 3600),
        }
    }

    /// Whether one of its names for what happened is this.
    pub(super) fn is(&self, name: &str) -> bool {
        [&self.code, &self.kind, &self.inner].iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    /// Whether it names what happened more exactly than a status does.
    pub(super) fn has_a_code_of_its_own(&self) -> bool {
        is_specific(&self.code) || is_specific(&self.kind)
    }

    /// Whether its message holds one of these, in lower case.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| message.contains(word))
    }

    /// The message, then what to change, then the request's id.
    pub(super) fn with(&self, advice: &str) -> String {
        let mut message = if advice.is_empty() {
            self.message.clone()
        } else {
            format!("{}; {advice}", self.message.trim_end_matches('.'))
        };
        if let Some(id) = self.request_id.as_deref().filter(|id| !id.trim().is_empty() && id.len() <= 100) {
            message = format!("{message} (request id {})", excerpt(id));
        }
        message
    }

    /// The status that goes with its words, for errors that come without one.
    pub(super) fn status(&self) -> Option<u16> {
        let any = |names: &[&str]| names.iter().any(|name| self.is(name));
        if any(&["rate_limit_exceeded", "insufficient_quota", "rate_limit_error", "too_many_requests"]) {
            Some(429)
        } else if any(&["overloaded_error"]) {
            Some(529)
        } else if any(&["server_error", "internal_error", "api_error", "internal_server_error", "timeout_error"]) {
            Some(500)
        } else if any(&["authentication_error", "invalid_api_key"]) {
            Some(401)
        } else if any(&["permission_error"]) {
            Some(403)
        } else if any(&["model_not_found", "DeploymentNotFound"]) {
            Some(404)
        } else if any(&["context_length_exceeded", "invalid_request_error"]) {
            Some(400)
        } else {
            None
        }
    }

    pub(super) fn is_about_model(&self) -> bool {
        ["DeploymentNotFound", "model_not_found", "ModelNotFound", "not_found_error"].iter().any(|name| self.is(name))
            || (self.says(&["model", "deployment"]) && !self.says(&["resource not found", "invalid url"]))
    }

    pub(super) fn is_about_version(&self) -> bool {
        self.is("UnsupportedApiVersion")
            || self.is("InvalidApiVersionParameter")
            || (self.says(&["api version", "api-version", "apiversion"])
                && self.says(&["not supported", "unsupported", "invalid", "missing", "required", "not enabled"]))
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.is("context_length_exceeded")
            || self.is("string_above_max_length")
            || self.is("tokens_limit_reached")
            || self.says(&[
                "maximum context length",
                "prompt is too long",
                "input is too long",
                "exceeds the context window",
                "exceed context limit",
                "context window exceeded",
            ])
    }

    /// Whether a gateway says that what one may use in a day or month is used up.
    pub(super) fn speaks_of_quota(&self) -> bool {
        self.is("quota_exceeded")
            || self.says(&[
                "call volume quota",
                "quota exceeded",
                "quota is exceeded",
                "token quota",
                "quota will be replenished",
            ])
    }

    /// Whether waiting does not help: money, not rate.
    pub(super) fn is_for_good(&self) -> bool {
        self.is("insufficient_quota") || self.is("billing_hard_limit_reached") || self.is("billing_not_active")
    }

    /// What to change so that an identity is let in.
    pub(super) fn about_identity(&self) -> &'static str {
        if self.is("PermissionDenied") || self.says(&["data action"]) {
            "give the identity the role `Cognitive Services OpenAI User` on this resource; that takes some minutes to work"
        } else if self.is("AuthenticationTypeDisabled") || self.says(&["key based authentication is disabled"]) {
            "the resource takes no keys: set the connection's `auth: entra`"
        } else if self.says(&["audience is incorrect", "invalid audience"]) {
            "if it is a token, it must be for this service: look at the connection's `scope`"
        } else if self.says(&["does not match resource tenant", "tenant provided in token"]) {
            "the identity is of another tenant than the resource: set `tenant_id`"
        } else {
            ""
        }
    }
}

/// The parameter that an error names, unless a request means nothing without it: nobody can leave that out.
fn parameter(named: Option<String>) -> Option<String> {
    named.filter(|name| !name.is_empty() && adapt::essential(name).is_none())
}

fn request_id(body: &Value) -> Option<String> {
    ["request_id", "requestId"].iter().find_map(|key| body.get(key)?.as_str()).map(str::to_owned)
}

/// Codes that say no more than that something is not there, or was asked wrongly.
const GENERAL: [&str; 12] = [
    "error",
    "none",
    "null",
    "not_found",
    "notfound",
    "not_found_error",
    "resource_not_found",
    "resourcenotfound",
    "unknown_url",
    "invalid_request_error",
    "badrequest",
    "bad_request",
];

/// Whether a code is one of its own, and neither a status nor an address (as problem details have).
fn is_specific(code: &str) -> bool {
    let is_word = code.chars().all(|letter| letter.is_alphanumeric() || "_-.".contains(letter));
    is_word
        && code.chars().any(char::is_alphabetic)
        && !GENERAL.iter().any(|general| general.eq_ignore_ascii_case(code))
}

/// What a server written with pydantic complains of first: the name and the words.
fn complaint(value: &Value) -> Option<(String, String)> {
    let value = value.get("detail").unwrap_or(value);
    let first = value.as_list().and_then(<[Value]>::first).unwrap_or(value);
    let steps = first.get("loc")?.as_list()?;
    let names: Vec<&str> = steps.iter().filter_map(Value::as_str).filter(|name| *name != "body").collect();
    let words = ["msg", "message"].iter().find_map(|key| first.get(key)?.as_str()).unwrap_or("not accepted");
    (!names.is_empty()).then(|| (names.join("."), words.to_owned()))
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
