//! Requests as they were recorded and as we make them, brought into one form: without what says how they travel, and
//! without what says the API's own default.

use sluicegate_model::{ChatRequest, EmbeddingRequest, Prompt};
use sluicegate_value::{Map, Value};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// A message.
    Chat,
    /// A text to be gone on with.
    Completion,
    /// Vectors.
    Embedding,
}

/// Arguments of the recorded function that never stand in a body.
const NOT_IN_THE_BODY: &[&str] = &[
    "api_base",
    "api_key",
    "api_type",
    "api_version",
    "azure_ad_token",
    "azure_endpoint",
    "base_url",
    "deployment_id",
    "extra_headers",
    "extra_query",
    "headers",
    "organization",
    "request_timeout",
    "self",
    "timeout",
];

impl Asking {
    /// By its arguments: whatever the version called the function.
    pub(crate) fn of(arguments: &Map) -> Option<Self> {
        [("messages", Self::Chat), ("prompt", Self::Completion), ("input", Self::Embedding)]
            .into_iter()
            .find(|(key, _)| arguments.contains_key(key))
            .map(|(_, asking)| asking)
    }
}

/// A request in the one form: keys that say the default, or nothing, are left out.
pub(crate) fn normalized(asking: Asking, request: &Map) -> Map {
    let mut all = Map::new();
    for (key, value) in request {
        match (&**key, value) {
            (key, _) if NOT_IN_THE_BODY.contains(&key) => {}
            ("engine", value) if !request.contains_key("model") => {
                all.insert("model", value.clone());
            }
            ("engine", _) => {}
            ("extra_body", Value::Map(more)) => {
                more.iter().for_each(|(key, value)| drop(all.insert(key.clone(), value.clone())));
            }
            ("messages", Value::List(messages)) => {
                all.insert("messages", messages.iter().map(message).collect::<Vec<_>>());
            }
            _ => {
                all.insert(key.clone(), value.clone());
            }
        }
    }
    let chooses = |all: &Map, list: &str| all.get(list).is_some_and(Value::is_truthy);
    let (has_tools, has_functions) = (chooses(&all, "tools"), chooses(&all, "functions"));
    all.iter()
        .filter(|(key, value)| match (&***key, value.as_str()) {
            ("tool_choice", Some("auto")) => !has_tools,
            ("function_call", Some("auto")) => !has_functions,
            (_, Some("NOT_GIVEN")) => false,
            _ => !says_nothing(asking, key, value),
        })
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Our request in the same form.
pub(crate) fn of_chat(request: &ChatRequest) -> (Asking, Map) {
    let mut all = request.parameters.clone();
    all.insert("model", request.model.clone());
    all.insert("stream", request.stream);
    let asking = match &request.prompt {
        Prompt::Messages(messages) => {
            all.insert("messages", messages.iter().map(|message| message.to_value()).collect::<Vec<_>>());
            Asking::Chat
        }
        Prompt::Text(text) => {
            all.insert("prompt", text.clone());
            Asking::Completion
        }
    };
    (asking, normalized(asking, &all))
}

/// Our request for vectors in the same form.
pub(crate) fn of_embedding(request: &EmbeddingRequest) -> (Asking, Map) {
    let mut all = request.parameters.clone();
    all.insert("model", request.model.clone());
    all.insert("input", request.input.to_value());
    (Asking::Embedding, normalized(Asking::Embedding, &all))
}

/// A message without the keys that hold nothing.
fn message(message: &Value) -> Value {
    match message.as_map() {
        Some(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map>()
            .into(),
        None => message.clone(),
    }
}

/// Whether a parameter says what the API takes anyway.
fn says_nothing(asking: Asking, key: &str, value: &Value) -> bool {
    if value.is_null() {
        return true;
    }
    let is_number = |number: f64| value.as_number() == Some(number);
    match key {
        "temperature" | "top_p" | "n" => is_number(1.0),
        "presence_penalty" | "frequency_penalty" => is_number(0.0),
        "stream" => value.as_bool() == Some(false),
        "logit_bias" | "stop" | "user" | "tools" | "functions" => !value.is_truthy(),
        "suffix" | "echo" if asking == Asking::Completion => !value.is_truthy(),
        "best_of" if asking == Asking::Completion => is_number(1.0),
        "max_tokens" if asking == Asking::Completion => is_number(16.0),
        "encoding_format" if asking == Asking::Embedding => value.as_str() == Some("float"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    fn check(request: &str, expected: &str) {
        let request = json::read(request).unwrap().as_map().cloned().unwrap();
        let asking = Asking::of(&request).unwrap();
        assert_eq!(Value::from(normalized(asking, &request)).to_json(), expected);
    }

    #[test]
    fn defaults_and_what_says_how_it_travels_are_left_out() {
        check(
            r#"{"messages":[{"role":"user","content":"hi","name":null}],"model":"m","temperature":1.0,"top_p":1,"n":1,
            "stream":false,"stop":null,"max_tokens":null,"presence_penalty":0.0,"logit_bias":{},"user":"",
            "extra_headers":{"a":"b"},"seed":"NOT_GIVEN"}"#,
            r#"{"messages":[{"role":"user","content":"hi"}],"model":"m"}"#,
        );
        check(r#"{"engine":"m","messages":[],"temperature":0}"#, r#"{"model":"m","messages":[],"temperature":0}"#);
        check(r#"{"prompt":"p","model":"m","max_tokens":16,"best_of":1}"#, r#"{"prompt":"p","model":"m"}"#);
        check(r#"{"messages":[],"max_tokens":16}"#, r#"{"messages":[],"max_tokens":16}"#);
    }

    #[test]
    fn a_choice_of_tools_is_the_default_only_where_there_are_tools() {
        check(r#"{"messages":[],"tools":[{}],"tool_choice":"auto"}"#, r#"{"messages":[],"tools":[{}]}"#);
        check(r#"{"messages":[],"tool_choice":"auto"}"#, r#"{"messages":[],"tool_choice":"auto"}"#);
    }
}
