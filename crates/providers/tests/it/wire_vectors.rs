//! The vectors of prompty's own specification (version 2) that are about what goes over the wire and what comes back,
//! against real HTTP. They do not travel with this project.

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_config::{ConnectionKind, Secret};
use sluicegate_model::{
    CallContext, ChatApi, ChatReply, ChatRequest, Content, EmbeddingInput, EmbeddingRequest, Message, Models as _,
    Part, Prompt,
};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_value::{Blob, Map, Value, json};

use crate::{connection, models};

/// Whose API a vector is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoken {
    Chat,
    Responses,
    Anthropic,
    Embedding,
    /// No kind of node makes images.
    Image,
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn cases(file: &str) -> Option<Vec<Value>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/prompty_v2/vectors");
    match std::fs::read_to_string(folder.join(file)) {
        Ok(text) => Some(json::read(&text).unwrap().as_list().unwrap().to_vec()),
        Err(_) => {
            eprintln!("skipped: {} is not here", folder.join(file).display());
            None
        }
    }
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_list).unwrap_or_default()
}

fn spoken(input: &Value) -> Spoken {
    match (text(input, "provider").unwrap(), text(input, "apiType").unwrap()) {
        ("anthropic", "chat") => Spoken::Anthropic,
        ("openai", "chat") => Spoken::Chat,
        ("openai", "responses") => Spoken::Responses,
        ("openai", "embedding") => Spoken::Embedding,
        ("openai", "image") => Spoken::Image,
        other => panic!("{other:?}"),
    }
}

fn kind(spoken: Spoken, url: &str) -> ConnectionKind {
    let api_key = Some(Secret::new("k"));
    match spoken {
        Spoken::Anthropic => {
            ConnectionKind::Anthropic { base_url: url.to_owned(), api_key, version: "2023-06-01".to_owned() }
        }
        _ => ConnectionKind::OpenAi {
            base_url: format!("{url}/v1"),
            api_key,
            organization: None,
            responses: spoken == Spoken::Responses,
        },
    }
}

/// The request that a flow would make of a case: prompty's words become those of chat completions.
fn request_of(input: &Value, spoken: Spoken) -> ChatRequest {
    let mut parameters = Map::new();
    for (name, value) in input.get("options").and_then(Value::as_map).unwrap() {
        match &**name {
            "additionalProperties" => {
                for (name, value) in value.as_map().unwrap() {
                    parameters.insert(name.clone(), value.clone());
                }
            }
            name => {
                let name = match name {
                    "maxOutputTokens" => "max_completion_tokens",
                    "topP" => "top_p",
                    "topK" => "top_k",
                    "frequencyPenalty" => "frequency_penalty",
                    "presencePenalty" => "presence_penalty",
                    "stopSequences" => "stop",
                    other => other,
                };
                parameters.insert(name, value.clone());
            }
        }
    }
    if !list(input, "tools").is_empty() {
        parameters.insert("tools", list(input, "tools").iter().map(tool).collect::<Vec<_>>());
    }
    if !list(input, "outputs").is_empty() {
        let schema = object(list(input, "outputs"), &[], true);
        let format = Map::from([("name", "structured_output".into()), ("strict", true.into()), ("schema", schema)]);
        let format = Map::from([("type", Value::from("json_schema")), ("json_schema", format.into())]);
        parameters.insert("response_format", format);
    }
    ChatRequest {
        model: text(input, "model_id").unwrap().into(),
        prompt: Prompt::Messages(list(input, "messages").iter().map(message).collect()),
        parameters,
        stream: false,
        called_from: "promptflow-core".into(),
        api: (spoken == Spoken::Responses).then_some(ChatApi::Responses),
    }
}

fn message(said: &Value) -> Message {
    let content = match list(said, "content") {
        [only] if text(only, "kind") == Some("text") => Content::Text(text(only, "value").unwrap().into()),
        parts => Content::Parts(parts.iter().map(part).collect()),
    };
    Message { content: Some(content), ..Message::text(text(said, "role").unwrap(), "") }
}

fn part(said: &Value) -> Part {
    let (value, mime) = (text(said, "value").unwrap(), text(said, "mediaType"));
    match (text(said, "kind").unwrap(), mime) {
        ("text", _) => Part::Text(value.into()),
        ("image", None) => Part::Image { image: Arc::new(Blob::from_url("image/*", value)), detail: "auto".into() },
        // The vectors' base64 is none, so that it stays the text that it is.
        ("image", Some(mime)) => {
            let address = format!("data:{mime};base64,{value}");
            Part::Image { image: Arc::new(Blob::from_url(mime, address)), detail: "auto".into() }
        }
        ("audio", mime) => {
            let format = if mime == Some("audio/mpeg") { "mp3" } else { "wav" };
            let audio = Map::from([("data", value), ("format", format)]);
            Part::Other(Map::from([("type", "input_audio".into()), ("input_audio", Value::from(audio))]).into())
        }
        other => panic!("{other:?}"),
    }
}

fn tool(tool: &Value) -> Value {
    let strict = tool.get("strict").and_then(Value::as_bool) == Some(true);
    let bound: Vec<&str> =
        tool.get("bindings").and_then(Value::as_map).into_iter().flatten().map(|(name, _)| &**name).collect();
    let mut function = Map::new();
    for key in ["name", "description", "strict"] {
        if let Some(value) = tool.get(key) {
            function.insert(key, value.clone());
        }
    }
    function.insert("parameters", object(list(tool, "parameters"), &bound, strict));
    Map::from([("type", Value::from("function")), ("function", function.into())]).into()
}

/// The JSON schema of an object with these properties; a strict one requires all, and what was optional may be null.
fn object(properties: &[Value], without: &[&str], strict: bool) -> Value {
    let (mut schemas, mut required) = (Map::new(), Vec::new());
    for property in properties.iter().filter(|property| !without.contains(&text(property, "name").unwrap())) {
        let name = text(property, "name").unwrap();
        let is_required = property.get("required").and_then(Value::as_bool) == Some(true);
        let mut schema = schema(property, strict);
        if strict && !is_required {
            let mut nullable = schema.as_map().unwrap().clone();
            let kind = nullable.get("type").cloned().unwrap();
            nullable.insert("type", vec![kind, "null".into()]);
            schema = nullable.into();
        }
        if strict || is_required {
            required.push(Value::from(name));
        }
        schemas.insert(name, schema);
    }
    let mut object = Map::from([("type", Value::from("object")), ("properties", schemas.into())]);
    if !required.is_empty() {
        object.insert("required", required);
    }
    if strict {
        object.insert("additionalProperties", false);
    }
    object.into()
}

fn schema(property: &Value, strict: bool) -> Value {
    let kind = text(property, "kind").unwrap();
    if kind == "object" && !list(property, "properties").is_empty() {
        return object(list(property, "properties"), &[], strict);
    }
    let mut schema = Map::from([("type", if kind == "float" { "number" } else { kind })]);
    if let Some(items) = property.get("items") {
        schema.insert("items", self::schema(items, strict));
    }
    schema.into()
}

/// A value without nulls, and without the detail of images that the API takes where none is said.
fn bare(value: &Value) -> Value {
    match value {
        Value::Map(map) => map
            .iter()
            .filter(|(key, value)| !value.is_null() && (&***key, value.as_str()) != ("detail", Some("auto")))
            .map(|(key, value)| (key.clone(), bare(value)))
            .collect::<Map>()
            .into(),
        Value::List(items) => items.iter().map(bare).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// Any answer that a format takes.
fn some_answer(spoken: Spoken) -> &'static str {
    match spoken {
        Spoken::Chat | Spoken::Image => r#"{"choices":[{"message":{"content":"ok"}}]}"#,
        Spoken::Responses => r#"{"output":[]}"#,
        Spoken::Anthropic => r#"{"content":[],"stop_reason":"end_turn"}"#,
        Spoken::Embedding => r#"{"data":[{"embedding":[1]}]}"#,
    }
}

#[tokio::test]
async fn requests_are_what_prompty_sends() {
    let Some(cases) = cases("wire.json") else { return };
    let mut applied = Vec::new();
    let mut not_ours = Vec::new();
    for case in &cases {
        let (name, input) = (text(case, "name").unwrap(), case.get("input").unwrap());
        let spoken = spoken(input);
        if spoken == Spoken::Image {
            not_ours.push(name);
            continue;
        }
        let endpoint = Endpoint::start();
        endpoint.on(move |_| Some(Answer::Whole(200, Vec::new(), some_answer(spoken).into())));
        let models = models(connection(kind(spoken, &endpoint.url())));
        let context = CallContext::detached();
        if spoken == Spoken::Embedding {
            let Some(Content::Text(said)) = message(&list(input, "messages")[0]).content else { panic!("{name}") };
            let request = EmbeddingRequest {
                model: text(input, "model_id").unwrap().into(),
                input: EmbeddingInput::One(said),
                parameters: Map::new(),
                called_from: "".into(),
            };
            models.embedding(&"c".into()).unwrap().embed(&request, &context).await.unwrap();
        } else {
            models.chat(&"c".into()).unwrap().chat(&request_of(input, spoken), &context).await.unwrap();
        }
        let heard = endpoint.requests().pop().unwrap();
        let body = bare(&json::read(std::str::from_utf8(&heard.body).unwrap()).unwrap());
        let expected = bare(case.get("expected").unwrap().get("request_body").unwrap());
        assert!(body.python_eq(&expected), "{name}:\n{}\n{}", body.to_json_pretty(), expected.to_json_pretty());
        applied.push(name);
    }
    assert_eq!((applied.len(), not_ours), (27, vec!["image_wire"]));
}

/// What prompty makes of a reply: the calls, else the text (or the refusal), read as JSON if outputs are declared.
fn result_of(reply: &ChatReply, has_outputs: bool) -> Value {
    let calls = list(&reply.message, "tool_calls");
    if !calls.is_empty() {
        let call = |call: &Value| {
            let function = call.get("function").unwrap();
            let field = |value: &Value, key: &str| value.get(key).cloned().unwrap_or_default();
            Map::from([
                ("id", field(call, "id")),
                ("name", field(function, "name")),
                ("arguments", field(function, "arguments")),
            ])
        };
        return calls.iter().map(|known| call(known).into()).collect::<Vec<Value>>().into();
    }
    let text = reply.text.as_deref().or(reply.refusal.as_deref()).unwrap_or_default();
    match json::read(text) {
        Ok(structured) if has_outputs => structured,
        _ => text.into(),
    }
}

#[tokio::test]
async fn replies_are_read_as_prompty_reads_them() {
    let Some(cases) = cases("process.json") else { return };
    let mut applied = 0;
    let mut not_ours = Vec::new();
    for case in &cases {
        let (name, input) = (text(case, "name").unwrap(), case.get("input").unwrap());
        let spoken = spoken(input);
        if spoken == Spoken::Image {
            not_ours.push(name);
            continue;
        }
        let body = input.get("response").unwrap().to_json();
        let endpoint = Endpoint::start();
        endpoint.on(move |_| Some(Answer::Whole(200, Vec::new(), body.clone().into())));
        let models = models(connection(kind(spoken, &endpoint.url())));
        let context = CallContext::detached();
        let result = if spoken == Spoken::Embedding {
            let texts = list(input.get("response").unwrap(), "data").len();
            let input = match texts {
                1 => EmbeddingInput::One("x".into()),
                _ => EmbeddingInput::Many(vec!["x".into(); texts]),
            };
            let request = EmbeddingRequest { model: "m".into(), input, parameters: Map::new(), called_from: "".into() };
            let reply = models.embedding(&"c".into()).unwrap().embed(&request, &context).await.unwrap();
            reply.to_value(&request.input)
        } else {
            let request = ChatRequest { parameters: Map::new(), ..crate::request() };
            let reply = models.chat(&"c".into()).unwrap().chat(&request, &context).await.unwrap();
            result_of(&reply, input.get("has_outputs").and_then(Value::as_bool) == Some(true))
        };
        assert_eq!(Some(&result), case.get("expected").unwrap().get("result"), "{name}");
        applied += 1;
    }
    assert_eq!((applied, not_ours), (18, vec!["image_url", "image_b64", "image_revised_prompt"]));
}
