//! From a path to what is asked.

use axum::http::Method;
use serde_json::json;
use sluicegate_model::script::Failure;

use super::body::Answer;
use super::failure;

/// Whose habits an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    OpenAi,
    /// Deployments in the path, annotations of content filters.
    Azure,
    /// Azure AI model inference.
    Inference,
    Anthropic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Messages,
    CountTokens,
    Models,
    Model(String),
    Info,
    Health,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) flavour: Flavour,
    pub(super) operation: Operation,
    /// The deployment that the path names.
    pub(super) deployment: Option<String>,
    /// Whether the body must say which model it wants.
    pub(super) needs_model: bool,
}

/// What there is, for those who lost their way.
const PATHS: &[&str] = &[
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /v1/responses",
    "POST /v1/embeddings",
    "GET /v1/models",
    "GET /v1/models/{model}",
    "POST /openai/deployments/{deployment}/chat/completions?api-version=…",
    "POST /openai/deployments/{deployment}/completions?api-version=…",
    "POST /openai/deployments/{deployment}/embeddings?api-version=…",
    "POST /openai/responses?api-version=…",
    "POST /openai/v1/… (as /v1/…)",
    "POST /chat/completions (/models/chat/completions)",
    "POST /embeddings (/models/embeddings)",
    "GET /info (/models/info)",
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "GET /health",
];

impl Route {
    /// Finds what a path asks for, or the answer to a path that leads nowhere.
    pub(super) fn find(method: &Method, path: &str, query: Option<&str>) -> Result<Self, Answer> {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        let has_version = query.is_some_and(|query| query.split('&').any(|pair| pair.starts_with("api-version=")));
        let Some(route) = resolve(&steps, has_version, method == Method::GET) else {
            let message = format!("there is nothing at {path}");
            let error = json!({
                "message": message, "type": "invalid_request_error", "param": null, "code": "unknown_path",
                "paths": PATHS,
            });
            return Err(Answer::json(404, &json!({ "error": error })));
        };
        let wanted = if route.has_body() { Method::POST } else { Method::GET };
        if *method != wanted && !(wanted == Method::GET && method == Method::HEAD) {
            let failure = Failure {
                code: Some("method_not_supported".into()),
                ..Failure::new(405, format!("{path} answers {wanted}, not {method}"))
            };
            return Err(failure::answer(route.flavour, &failure).header("allow", wanted.as_str()));
        }
        if steps.first() == Some(&"openai") && steps.get(1) != Some(&"v1") && !has_version {
            let failure = Failure {
                code: Some("404".into()),
                ..Failure::new(404, "Resource not found: this path wants a query with `api-version`")
            };
            return Err(failure::answer(route.flavour, &failure));
        }
        Ok(route)
    }

    /// Whether it has a body to read.
    pub(super) fn has_body(&self) -> bool {
        use Operation::{Health, Info, Model, Models};
        !matches!(self.operation, Models | Model(_) | Info | Health)
    }

    /// Whether it needs no key.
    pub(super) fn is_open(&self) -> bool {
        self.operation == Operation::Health
    }
}

fn resolve(steps: &[&str], has_version: bool, is_get: bool) -> Option<Route> {
    let route = |flavour, operation| Route { flavour, operation, deployment: None, needs_model: false };
    match steps {
        ["health"] => Some(route(Flavour::OpenAi, Operation::Health)),
        ["openai", "deployments", deployment, rest @ ..] => {
            let operation = open_ai(rest)?;
            let in_a_deployment = matches!(operation, Operation::Chat | Operation::Completions | Operation::Embeddings);
            let deployment = Some(decoded(deployment));
            in_a_deployment.then(|| Route { deployment, ..route(Flavour::Azure, operation) })
        }
        ["openai", "v1", rest @ ..] | ["openai", rest @ ..] => {
            Some(Route { needs_model: true, ..route(Flavour::Azure, open_ai(rest)?) })
        }
        ["anthropic", "v1", "messages"] | ["v1", "messages"] => {
            Some(Route { needs_model: true, ..route(Flavour::Anthropic, Operation::Messages) })
        }
        ["anthropic", "v1", "messages", "count_tokens"] | ["v1", "messages", "count_tokens"] => {
            Some(route(Flavour::Anthropic, Operation::CountTokens))
        }
        ["v1", rest @ ..] => Some(Route { needs_model: true, ..route(Flavour::OpenAi, open_ai(rest)?) }),
        ["info"] => Some(route(Flavour::Inference, Operation::Info)),
        ["models", "info"] if has_version || !is_get => Some(route(Flavour::Inference, Operation::Info)),
        ["models", "chat", "completions"] => Some(route(Flavour::Inference, Operation::Chat)),
        ["models", "embeddings"] if !is_get => Some(route(Flavour::Inference, Operation::Embeddings)),
        rest => {
            let flavour = if has_version { Flavour::Inference } else { Flavour::OpenAi };
            Some(route(flavour, open_ai(rest)?))
        }
    }
}

/// The paths that OpenAI has under `/v1`.
fn open_ai(steps: &[&str]) -> Option<Operation> {
    match steps {
        ["chat", "completions"] => Some(Operation::Chat),
        ["completions"] => Some(Operation::Completions),
        ["responses"] => Some(Operation::Responses),
        ["embeddings"] => Some(Operation::Embeddings),
        ["models"] => Some(Operation::Models),
        // Some models have a slash in their name.
        ["models", model @ ..] => Some(Operation::Model(decoded(&model.join("/")))),
        _ => None,
    }
}

/// A step of a path with its `%20` undone; what is no UTF-8 then stays as it came.
fn decoded(step: &str) -> String {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| char::from(after.get(at).copied().unwrap_or_default()).to_digit(16);
        let escaped = digit(0).zip(digit(1)).filter(|_| *byte == b'%');
        match escaped.and_then(|(high, low)| u8::try_from(high << 4 | low).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| step.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, expected: &str) {
        let (method, target) = request.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let found = match Route::find(&method.parse().unwrap(), path, query) {
            Ok(route) => {
                let deployment = route.deployment.map(|name| format!(" of {name}")).unwrap_or_default();
                format!("{:?} {:?}{deployment}", route.flavour, route.operation)
            }
            Err(answer) => answer.status.to_string(),
        };
        assert_eq!(found, expected, "{request}");
    }

    #[test]
    fn paths_of_open_ai() {
        check("POST /v1/chat/completions", "OpenAi Chat");
        check("POST /chat/completions", "OpenAi Chat");
        check("POST /v1/completions", "OpenAi Completions");
        check("POST /v1/responses", "OpenAi Responses");
        check("POST /v1/embeddings/", "OpenAi Embeddings");
        check("GET /v1/models", "OpenAi Models");
        check("GET /v1/models/meta%2Fllama", "OpenAi Model(\"meta/llama\")");
        check("GET /v1/models/meta/llama", "OpenAi Model(\"meta/llama\")");
    }

    #[test]
    fn paths_of_azure() {
        check("POST /openai/deployments/my%20chat/chat/completions?api-version=2024-10-21", "Azure Chat of my chat");
        check("POST /openai/deployments/e/embeddings?api-version=2024-10-21", "Azure Embeddings of e");
        check("POST /openai/deployments/e/embeddings", "404");
        check("POST /openai/deployments/e/responses?api-version=1", "404");
        check("POST /openai/responses?api-version=2025-03-01-preview", "Azure Responses");
        check("POST /openai/v1/responses", "Azure Responses");
        check("POST /openai/v1/chat/completions?api-version=preview", "Azure Chat");
        check("GET /openai/models?api-version=1", "Azure Models");
    }

    #[test]
    fn paths_of_model_inference() {
        check("POST /chat/completions?api-version=2024-05-01-preview", "Inference Chat");
        check("POST /models/chat/completions?api-version=1", "Inference Chat");
        check("POST /models/embeddings?api-version=1", "Inference Embeddings");
        check("GET /info?api-version=1", "Inference Info");
        check("GET /models/info?api-version=1", "Inference Info");
    }

    #[test]
    fn other_paths() {
        check("POST /v1/messages", "Anthropic Messages");
        check("POST /v1/messages/count_tokens", "Anthropic CountTokens");
        check("GET /health", "OpenAi Health");
        check("HEAD /health", "OpenAi Health");
        check("GET /v1/chat/completions", "405");
        check("POST /v1/models", "405");
        for nowhere in ["GET /", "POST /v2/chat/completions", "POST /openai", "GET /v1/chat"] {
            check(nowhere, "404");
        }
    }
}
