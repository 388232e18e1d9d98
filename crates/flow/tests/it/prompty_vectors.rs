//! The conformance data of prompty version 2, where it lies beside the workspace.

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_flow::prompty::PromptyFile;
use sluicegate_flow::request::prompty_output;
use sluicegate_flow::template::{Binding, Nonce};
use sluicegate_model::{ChatApi, ChatReply, ChatRequest, Content, Message, Part, Prompt};
use sluicegate_source::SourceFile;
use sluicegate_value::{Map, Value, json};

use crate::messages::written;
use crate::prompty::read;

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/prompty_v2"));
    if !folder.is_dir() {
        eprintln!("skipped: {} is not here", folder.display());
        return None;
    }
    Some(folder)
}

fn cases(name: &str) -> Vec<Value> {
    let Some(folder) = folder() else { return Vec::new() };
    let text = std::fs::read_to_string(folder.join("vectors").join(name)).unwrap();
    json::read(&text).unwrap().as_list().unwrap().to_vec()
}

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// Whether everything in `expected` stands in `found`; what is expected to be null must be absent.
fn holds(found: Option<&Value>, expected: &Value) -> bool {
    match (found, expected) {
        (None | Some(Value::Null), Value::Null) => true,
        (Some(Value::Map(found)), Value::Map(expected)) => {
            expected.iter().all(|(key, value)| holds(found.get(key), value))
        }
        (Some(Value::List(found)), Value::List(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected.iter()).all(|(found, expected)| holds(Some(found), expected))
        }
        (Some(found), expected) => found.python_eq(expected),
        (None, _) => false,
    }
}

/// The agent that version 2 loads from a prompty, from what we read of it.
fn agent(prompty: &PromptyFile, front: &Map) -> Value {
    let mut agent = Map::from([("kind", "prompt"), ("instructions", prompty.template.source())]);
    agent.insert("name", prompty.name.clone());
    agent.insert("description", prompty.description.clone());
    for key in ["metadata", "tools", "template"] {
        agent.insert(key, front.get(key).cloned().unwrap_or_default());
    }
    agent.insert(
        "model",
        match front.get("model") {
            Some(Value::Str(_)) => Map::from([("id", prompty.model.deployment.clone())]).into(),
            other => other.cloned().unwrap_or_default(),
        },
    );
    let inputs = prompty.inputs.iter().map(|input| {
        Map::from([
            ("name", Value::from(input.name.clone())),
            ("kind", input.kind.clone().into()),
            ("default", input.default.clone().unwrap_or_default()),
            ("description", input.description.clone().into()),
        ])
        .into()
    });
    let outputs = prompty.outputs.iter().map(|output| {
        Map::from([
            ("name", Value::from(output.name.clone())),
            ("kind", output.kind.clone().into()),
            ("description", output.description.clone().into()),
            ("required", true.into()),
        ])
        .into()
    });
    let list = |items: Vec<Value>| if items.is_empty() { Value::Null } else { items.into() };
    agent.insert("inputs", list(inputs.collect()));
    agent.insert("outputs", list(outputs.collect()));
    agent.into()
}

/// The text of the prompty that a load case is about; `None` if there is no such file.
fn source(input: &Value) -> Option<(String, String)> {
    if let Some(name) = text(input, "fixture") {
        let found = std::fs::read_to_string(folder()?.join("fixtures").join(name)).ok()?;
        return Some((name.to_owned(), found));
    }
    if let Some(raw) = text(input, "frontmatter_raw") {
        return Some(("raw.prompty".to_owned(), raw.to_owned()));
    }
    Some((
        "case.prompty".to_owned(),
        format!("---\n{}\n---\nhello", input.get("frontmatter").unwrap().to_json_pretty()),
    ))
}

fn load(input: &Value) -> Result<Value, String> {
    let (name, source) = source(input).ok_or_else(|| "FileNotFoundError".to_owned())?;
    let read_file = |path: &str| {
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return Err("outside allowed roots".to_owned());
        }
        let file = input.get("files").and_then(|files| files.get(path)).ok_or("no such file")?;
        Ok(Arc::from(file.to_json()))
    };
    let joined = |problems: Vec<sluicegate_source::Problem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let prompty = PromptyFile::read(&SourceFile::new(name, source), &read_file).map_err(joined)?;
    let (_, front) =
        prompty.resolve(&|name| input.get("env").and_then(|env| text(env, name)).map(Arc::from)).map_err(joined)?;
    if let Some(inputs) = input.get("inputs") {
        let bindings = prompty.bindings(inputs.as_map().unwrap()).map_err(|missing| missing.to_string())?;
        let bound: Map = bindings.into_iter().map(|binding| (binding.name, binding.value)).collect();
        return Ok(Map::from([("validated_inputs", Value::from(bound))]).into());
    }
    Ok(agent(&prompty, &front))
}

#[test]
fn agents_load() {
    for case in cases("load.json") {
        let name = text(&case, "name").unwrap();
        let expected = case.get("expected").unwrap();
        let found = load(case.get("input").unwrap());
        let Some(error) = text(expected, "error") else {
            let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(
                holds(Some(&found), expected),
                "{name}:\n{}\n{}",
                found.to_json_pretty(),
                expected.to_json_pretty()
            );
            continue;
        };
        // The data quotes another program's words; what they must name is what counts.
        let named = match name {
            "env_missing_error" => "`NONEXISTENT` is not set",
            "invalid_frontmatter_error" => "raw.prompty:",
            "template_string_invalid" => "invalid template format",
            "input_validation_required" => "Missing required inputs: ['city']",
            _ => error,
        };
        let found = found.unwrap_err();
        assert!(found.contains(named), "{name}: {found}");
    }
}

/// A message in the data's words. Of a role's attributes we keep those that the API has.
fn message(message: &Message) -> Value {
    let parts = match message.content.as_ref().unwrap() {
        Content::Text(text) => vec![text.clone()],
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                other => panic!("no text: {other:?}"),
            })
            .collect(),
    };
    let parts = parts.into_iter().map(|text| Map::from([("kind", Value::from("text")), ("value", text.into())]).into());
    let mut map =
        Map::from([("role", Value::from(message.role.clone())), ("content", parts.collect::<Vec<Value>>().into())]);
    if let Some(name) = &message.name {
        map.insert("metadata", Map::from([("name", name.clone())]));
    }
    map.into()
}

#[test]
fn texts_parse_into_messages() {
    for case in cases("parse.json") {
        let name = text(&case, "name").unwrap();
        let input = case.get("input").unwrap();
        let prompty = read("---\nmodel: gpt-4\ninputs:\n  - {name: conversation, kind: thread}\n---\nx");
        let threads = input.get("thread_inputs").and_then(Value::as_map).cloned().unwrap_or_default();
        let inputs: Vec<Binding> = prompty.bindings(&threads).unwrap();
        let messages = prompty.messages(&written(text(input, "rendered").unwrap()), &inputs).unwrap();
        let found: Vec<Value> = messages.iter().map(message).collect();
        let mut expected = case.get("expected").unwrap().get("messages").unwrap().clone();
        if name == "role_with_multiple_unquoted_attributes" {
            let json = expected.to_json().replace(r#","id":7"#, "");
            expected = json::read(&json).unwrap();
        }
        assert_eq!(Value::from(found), expected, "{name}");
    }
}

/// The prompty that a wire case is about: its messages are the turns of a conversation.
fn agent_of(input: &Value) -> PromptyFile {
    let mut model = Map::from([("id", input.get("model_id").unwrap().clone())]);
    for key in ["apiType", "options", "provider"] {
        model.insert(key, input.get(key).unwrap().clone());
    }
    let mut front = Map::from([("model", model)]);
    for key in ["tools", "outputs"] {
        front.insert(key, input.get(key).unwrap().clone());
    }
    front.insert("inputs", Map::from([("conversation", Map::from([("kind", "thread")]))]));
    read(&format!("---\n{}\n---\n{{{{conversation}}}}", Value::from(front).to_json_pretty()))
}

fn request_of(input: &Value) -> ChatRequest {
    let prompty = agent_of(input);
    let given = Map::from([("conversation", input.get("messages").unwrap().clone())]);
    let inputs = prompty.bindings(&given).unwrap();
    let rendered = prompty.template.render(&inputs, Nonce(0x1234_5678_9abc)).unwrap();
    let messages = prompty.messages(&rendered, &inputs).unwrap();
    prompty.request(prompty.model.deployment.as_deref().unwrap(), Prompt::Messages(messages)).unwrap()
}

/// The request as a body of chat completions. `auto` is what the API takes for a detail that is not said.
fn body_of(request: ChatRequest) -> Value {
    let Prompt::Messages(messages) = &request.prompt else { panic!("no messages") };
    let messages: Vec<Value> = messages.iter().map(Message::to_value).collect();
    let messages = Value::from(messages).to_json().replace(r#","detail":"auto""#, "");
    let mut body = Map::from([("model", Value::from(request.model)), ("messages", json::read(&messages).unwrap())]);
    for (key, value) in request.parameters {
        body.insert(key, value);
    }
    body.into()
}

#[test]
fn a_prompty_becomes_the_body_of_a_chat() {
    let mut run = 0;
    for case in cases("wire.json") {
        let input = case.get("input").unwrap();
        if text(&case, "provider") != Some("openai") || text(input, "apiType") != Some("chat") {
            continue;
        }
        let expected = case.get("expected").unwrap().get("request_body").unwrap();
        let request = request_of(input);
        assert_eq!((request.api, request.stream), (None, false));
        let found = body_of(request);
        assert!(
            found.python_eq(expected),
            "{}:\n{}\n{}",
            text(&case, "name").unwrap(),
            found.to_json_pretty(),
            expected.to_json_pretty()
        );
        run += 1;
    }
    assert!(run == 18 || folder().is_none(), "only {run} cases were run");
}

/// Who speaks the responses API translates a request for chat completions: what it then says is the same.
#[test]
fn a_prompty_for_the_responses_api_says_so_and_asks_the_same() {
    for case in cases("wire.json") {
        let input = case.get("input").unwrap();
        if text(input, "apiType") != Some("responses") {
            continue;
        }
        let name = text(&case, "name").unwrap();
        let expected = case.get("expected").unwrap().get("request_body").unwrap();
        let request = request_of(input);
        assert_eq!(request.api, Some(ChatApi::Responses), "{name}");
        let format = request.parameters.get("response_format").and_then(|format| format.get("json_schema"));
        let wanted = expected.get("text").and_then(|text| text.get("format"));
        assert_eq!(
            format.and_then(|format| format.get("schema")),
            wanted.and_then(|format| format.get("schema")),
            "{name}"
        );
        let functions: Vec<Value> = request
            .parameters
            .get("tools")
            .and_then(Value::as_list)
            .unwrap_or_default()
            .iter()
            .map(|tool| {
                let function = tool.get("function").unwrap().as_map().unwrap().clone();
                Map::from([("type", Value::from("function"))]).into_iter().chain(function).collect::<Map>().into()
            })
            .collect();
        assert_eq!(functions, expected.get("tools").and_then(Value::as_list).unwrap_or_default(), "{name}");
    }
}

#[test]
fn answers_of_a_chat_become_results() {
    let mut run = 0;
    for case in cases("process.json") {
        let input = case.get("input").unwrap();
        if text(input, "provider") != Some("openai") || text(input, "apiType") != Some("chat") {
            continue;
        }
        let has_outputs = input.get("has_outputs") == Some(&true.into());
        let outputs = if has_outputs { "outputs: {city: {kind: string}, temp: {kind: integer}}\n" } else { "" };
        let prompty = read(&format!("---\nmodel: m\n{outputs}---\nhi\n"));
        let request = prompty.request("m", Prompt::Messages(Vec::new())).unwrap();
        let body = input.get("response").unwrap();
        let choice = &body.get("choices").and_then(Value::as_list).unwrap()[0];
        let message = choice.get("message").unwrap();
        let reply = ChatReply {
            text: text(message, "content").map(Arc::from),
            message: message.clone(),
            finish_reason: text(choice, "finish_reason").map(Arc::from),
            refusal: text(message, "refusal").map(Arc::from),
            body: body.clone(),
            ..ChatReply::of_text("")
        };
        let found = prompty_output(prompty.model.response, &prompty.outputs, &request, &reply).unwrap();
        let name = text(&case, "name").unwrap();
        assert_eq!(Some(&found), case.get("expected").unwrap().get("result"), "{name}");
        run += 1;
    }
    assert!(run == 8 || folder().is_none(), "only {run} cases were run");
}

/// A prompty of a case: its template, and its inputs, the strict ones marked so.
fn prompty_of(case: &Value) -> PromptyFile {
    let strict = case.get("strict_props").and_then(Value::as_list).unwrap_or_default();
    let mut inputs = Map::new();
    for name in case.get("inputs").and_then(Value::as_map).unwrap().keys() {
        let is_strict = strict.iter().any(|strict| strict.as_str() == Some(name));
        inputs.insert(name.clone(), Map::from([("kind", Value::from("string")), ("strict", is_strict.into())]));
    }
    let front = Map::from([("model", Value::from("gpt-4")), ("inputs", inputs.into())]);
    read(&format!("---\n{}\n---\n{}", Value::from(front).to_json_pretty(), text(case, "template").unwrap()))
}

/// Segments, each part of the text with its source, are not a thing that we give out. What they are for is checked
/// instead: a strict input that forges a role is refused, and what any other input forges stays text of one message.
fn check_segments(case: &Value, expected: &Value) {
    let prompty = prompty_of(case);
    let bound = prompty.bindings(case.get("inputs").and_then(Value::as_map).unwrap());
    if let Some(class) = text(expected, "error").or(text(expected, "throws")) {
        assert_eq!(bound.unwrap_err().class(), class, "{}", case.to_json());
        return;
    }
    let inputs = bound.unwrap();
    let rendered = prompty.template.render(&inputs, Nonce(7)).unwrap();
    let segments = expected.get("segments").and_then(Value::as_list).unwrap();
    let whole: String = segments.iter().map(|segment| text(segment, "text").unwrap()).collect();
    assert_eq!(&*rendered.text, whole);
    let messages = prompty.messages(&rendered, &inputs).unwrap();
    let literal: String = segments
        .iter()
        .map(|segment| if text(segment, "kind") == Some("literal") { text(segment, "text").unwrap() } else { "" })
        .collect();
    assert_eq!(messages.len(), literal.matches(":\n").count(), "{}", case.to_json());
    let said = segments.iter().filter(|segment| text(segment, "kind") == Some("interp")).all(|segment| {
        let wanted = text(segment, "text").unwrap();
        messages.iter().any(|message| matches!(&message.content, Some(Content::Text(text)) if text.contains(wanted)))
    });
    assert!(said, "{}", case.to_json());
}

#[test]
fn strict_inputs_refuse_what_reads_as_a_role() {
    let mut checked = 0;
    for case in cases("render-segments.json") {
        check_segments(case.get("input").unwrap(), case.get("expected").unwrap());
        checked += 1;
    }
    let Some(folder) = folder() else { return };
    let golden = std::fs::read_to_string(folder.join("jinja_subset/segments_golden.json")).unwrap();
    for case in json::read(&golden).unwrap().as_list().unwrap() {
        check_segments(case, case);
        checked += 1;
    }
    let corpus = std::fs::read_to_string(folder.join("jinja_subset/corpus.json")).unwrap();
    for case in json::read(&corpus).unwrap().get("cases").unwrap().as_list().unwrap() {
        if case.get("strict_props").is_none() {
            continue;
        }
        let throws = case.get("expect_throw").and_then(Value::as_bool) == Some(true);
        let bound = prompty_of(case).bindings(case.get("inputs").and_then(Value::as_map).unwrap());
        assert_eq!(bound.is_err(), throws, "{}", case.to_json());
        checked += 1;
    }
    assert_eq!(checked, 13);
}
