//! Requests of `llm` nodes and prompties, and what becomes of the answers.

use std::sync::Arc;

use sluicegate_flow::prompty::{PromptyOutput, ResponseFormat};
use sluicegate_flow::request::{Api, is_api_parameter, llm_output, llm_request, prompty_output, prompty_request};
use sluicegate_model::{ChatReply, ChatRequest, Message, Prompt, Usage};
use sluicegate_source::Span;
use sluicegate_value::{Map, Value, json};

fn prompt() -> Prompt {
    Prompt::Messages(vec![Message::text("user", "hi")])
}

fn request(api: Api, inputs: &str) -> Result<ChatRequest, String> {
    let inputs = json::read(inputs).unwrap();
    let inputs: Vec<(Arc<str>, Value)> =
        inputs.as_map().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    llm_request(api, "m", prompt(), &inputs).map_err(|error| error.to_string())
}

fn check(api: Api, inputs: &str, expected: &str) {
    let found = request(api, inputs).map(|mut request| {
        assert_eq!(request.parameters.remove("stream"), Some(Value::from(request.stream)), "the tool always says so");
        Value::from(request.parameters)
    });
    match json::read(expected) {
        Ok(expected) => assert_eq!(found, Ok(expected), "{inputs}"),
        Err(_) => assert_eq!(found.unwrap_err(), expected, "{inputs}"),
    }
}

/// What each recorded flow gives its `llm` node, in the order of the records.
fn recorded_inputs(functions: &str) -> Vec<String> {
    vec![
        r#"{"max_tokens": 256, "temperature": 0.2}"#.to_owned(),
        format!(
            r#"{{"max_tokens": "256", "temperature": 0.7, "presence_penalty": 0, "frequency_penalty": 0, "functions": {functions}}}"#
        ),
        r#"{"max_tokens": 256, "temperature": 1, "presence_penalty": 0, "frequency_penalty": 0, "stream": true}"#
            .to_owned(),
        r#"{"temperature": 0, "presence_penalty": "0", "frequency_penalty": 0, "stop": "", "max_tokens": ""}"#
            .to_owned(),
        r#"{"max_tokens": 256, "temperature": 0.7, "top_p": 1}"#.to_owned(),
        r#"{"max_tokens": null, "logit_bias": {}, "user": ""}"#.to_owned(),
    ]
}

#[test]
fn recorded_requests_are_built_exactly() {
    let records: Vec<Value> =
        include_str!("data/llm_requests_shapes.jsonl").lines().map(|line| json::read(line).unwrap()).collect();
    let bodies: Vec<&Value> =
        records.iter().map(|record| record.get("request").unwrap().get("body").unwrap()).collect();
    let functions = bodies[1].get("functions").unwrap().to_json();
    for (inputs, body) in recorded_inputs(&functions).iter().zip(bodies) {
        let api = if body.get("prompt").is_some() { Api::Completion } else { Api::Chat };
        let request = request(api, inputs).unwrap();
        let mut expected = body.as_map().unwrap().clone();
        let stream = expected.get("stream").cloned();
        for key in ["model", "messages", "prompt"] {
            expected.remove(key);
        }
        assert_eq!(Value::from(request.parameters), Value::from(expected), "{inputs}");
        assert_eq!(Some(Value::from(request.stream)), stream);
        assert_eq!(&*request.called_from, "aoai-tool");
    }
}

#[test]
fn parameters_take_the_apis_types() {
    let rest = r#""top_p":1.0,"n":1"#;
    check(Api::Chat, "{}", &format!(r#"{{"temperature":1.0,{rest}}}"#));
    check(Api::Chat, r#"{"temperature": "0.5", "max_tokens": "inf"}"#, &format!(r#"{{"temperature":0.5,{rest}}}"#));
    check(
        Api::Chat,
        r#"{"stop": "[\"a\"]", "seed": 7.0, "response_format": {"type": "json_object"}, "user": "u", "x": 1}"#,
        &format!(
            r#"{{"temperature":1.0,{rest},"stop":["a"],"seed":7,"response_format":{{"type":"json_object"}},"user":"u"}}"#
        ),
    );
    check(Api::Chat, r#"{"temperature": "hot"}"#, "ToolValidationError: `temperature` must be a number, not 'hot'");
    check(Api::Chat, r#"{"n": []}"#, "ToolValidationError: `n` must be a whole number, not []");
}

#[test]
fn tools_win_over_functions_and_are_checked() {
    let head = r#""temperature":1.0,"top_p":1.0,"n":1"#;
    let tools = r#"[{"type":"function","function":{"name":"f"}}]"#;
    check(
        Api::Chat,
        &format!(r#"{{"tools": {tools}, "functions": []}}"#),
        &format!(r#"{{{head},"tools":{tools},"tool_choice":"auto"}}"#),
    );
    check(
        Api::Chat,
        &format!(r#"{{"tools": {tools}, "tool_choice": "{{\"type\":\"function\",\"function\":{{\"name\":\"f\"}}}}"}}"#),
        &format!(r#"{{{head},"tools":{tools},"tool_choice":{{"type":"function","function":{{"name":"f"}}}}}}"#),
    );
    check(Api::Chat, r#"{"functions": []}"#, "ChatAPIInvalidFunctions: functions cannot be an empty list.");
    check(Api::Chat, r#"{"tools": [1]}"#, "ChatAPIInvalidTools: tool 0 '1' is not a dict.");
    check(
        Api::Chat,
        r#"{"functions": [{"name": "f", "parameters": {"type": "x", "properties": {}}}]}"#,
        "ChatAPIInvalidFunctions: function 0 'f' parameters 'type' should be 'object'.",
    );
    check(
        Api::Chat,
        &format!(r#"{{"tools": {tools}, "tool_choice": "some"}}"#),
        "ChatAPIInvalidTools: tool_choice parameter 'some' is an invalid json.",
    );
}

#[test]
fn whatever_else_the_endpoint_takes_passes_through() {
    check(
        Api::Chat,
        r#"{"temperature": 0, "parameters": {"temperature": 1, "reasoning_effort": "low"}}"#,
        r#"{"temperature":1,"top_p":1.0,"n":1,"reasoning_effort":"low"}"#,
    );
    assert!(request(Api::Chat, r#"{"parameters": {"stream": true}}"#).unwrap().stream);
    check(
        Api::Chat,
        r#"{"parameters": {"messages": []}}"#,
        "ToolValidationError: `parameters` cannot set `messages`: the node says it elsewhere",
    );
}

#[test]
fn api_parameters_are_no_template_variables() {
    for (name, chat, completion) in [
        ("temperature", true, true),
        ("tools", true, false),
        ("suffix", false, true),
        ("question", false, false),
        ("parameters", true, true),
    ] {
        assert_eq!(
            (is_api_parameter(Api::Chat, name), is_api_parameter(Api::Completion, name)),
            (chat, completion),
            "{name}"
        );
    }
}

#[test]
fn a_promptys_parameters_are_sent_as_they_are() {
    let parameters = json::read(r#"{"temperature": 0, "stream": true, "model": "x", "tools": [{"type": "function", "function": {"name": "f"}}]}"#).unwrap();
    let request = prompty_request("m", prompt(), parameters.as_map().unwrap()).unwrap();
    assert_eq!(
        Value::from(request.parameters).to_json(),
        r#"{"temperature":0,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto"}"#,
    );
    assert_eq!((request.stream, &*request.called_from, &*request.model), (true, "promptflow-core", "m"));
    let empty = Map::from([("tools", Value::empty_list())]);
    assert!(prompty_request("m", prompt(), &empty).is_err());
}

fn reply(text: Option<&str>, finish: &str) -> ChatReply {
    let message = Map::from([("role", Value::from("assistant")), ("content", text.map(Value::from).into())]);
    ChatReply {
        text: text.map(Arc::from),
        message: message.into(),
        finish_reason: Some(finish.into()),
        model: None,
        id: None,
        usage: Usage::default(),
        filter: None,
        refusal: None,
        body: Map::from([("id", "body")]).into(),
    }
}

#[test]
fn an_llm_node_gives_text_or_the_message_when_tools_were_offered() {
    let plain = request(Api::Chat, "{}").unwrap();
    assert_eq!(llm_output(&plain, &reply(Some("yes"), "stop")), Value::from("yes"));
    assert_eq!(llm_output(&plain, &reply(None, "stop")), Value::Null);
    let offered = request(Api::Chat, r#"{"tools": [{"type": "function", "function": {"name": "f"}}]}"#).unwrap();
    assert_eq!(llm_output(&offered, &reply(Some("yes"), "stop")).to_json(), r#"{"role":"assistant","content":"yes"}"#);
}

fn check_prompty(response: ResponseFormat, outputs: &[&str], parameters: &str, reply: &ChatReply, expected: &str) {
    let outputs: Vec<PromptyOutput> = outputs
        .iter()
        .map(|name| PromptyOutput { name: (*name).into(), kind: None, description: None, span: Span::default() })
        .collect();
    let parameters = json::read(parameters).unwrap();
    let request = prompty_request("m", prompt(), parameters.as_map().unwrap()).unwrap();
    let found = prompty_output(response, &outputs, &request, reply);
    assert_eq!(found.map_or_else(|error| error.to_string(), |value| value.to_json()), expected);
}

#[test]
fn a_prompty_gives_what_it_declares() {
    use ResponseFormat::{All, First};
    let json_format = r#"{"response_format": {"type": "json_object"}}"#;
    let answer = reply(Some(r#"{"a": 1, "b": [2]}"#), "stop");
    check_prompty(First, &[], "{}", &reply(Some("yes"), "stop"), r#""yes""#);
    check_prompty(All, &[], "{}", &answer, r#"{"id":"body"}"#);
    check_prompty(First, &["a"], "{}", &reply(Some("yes"), "stop"), r#""yes""#);
    check_prompty(First, &[], json_format, &answer, r#"{"a":1,"b":[2]}"#);
    check_prompty(First, &["b"], json_format, &answer, r#"{"b":[2]}"#);
    check_prompty(First, &["c"], json_format, &answer, "InvalidOutputKeyError: Cannot find c in response ['a', 'b']");
    check_prompty(First, &[], json_format, &reply(None, "tool_calls"), r#"{"role":"assistant","content":null}"#);
    assert!(
        prompty_output(
            First,
            &[],
            &prompty_request("m", prompt(), json::read(json_format).unwrap().as_map().unwrap()).unwrap(),
            &reply(Some("no"), "stop")
        )
        .unwrap_err()
        .to_string()
        .starts_with("JSONDecodeError: ")
    );
}
