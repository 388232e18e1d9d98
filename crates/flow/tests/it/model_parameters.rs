//! What models of today take: parameters that the original does not know, the role `developer`, the responses API.

use std::sync::Arc;

use sluicegate_flow::messages::{Flavour, chat_messages, conversation};
use sluicegate_flow::plan::{LlmNode, NodeKind, OnFiltered};
use sluicegate_flow::request::{Api, llm_request};
use sluicegate_flow::template::Nonce;
use sluicegate_model::{ChatApi, Message, Prompt};
use sluicegate_value::{Value, json};

use crate::messages::written;
use crate::project::{check_problems, plan_of, plan_of_yaml};
use crate::prompty::read;

fn prompt() -> Prompt {
    Prompt::Messages(vec![Message::text("user", "hi")])
}

/// What stands in the body beside what always does.
fn check_sent(inputs: &str, expected: &str) {
    let inputs = json::read(inputs).unwrap();
    let inputs: Vec<(Arc<str>, Value)> =
        inputs.as_map().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let found = llm_request(Api::Chat, "m", prompt(), &inputs).map_or_else(
        |error| error.to_string(),
        |request| {
            let mut body = request.parameters;
            for always in ["temperature", "top_p", "n", "stream"] {
                assert!(body.remove(always).is_some());
            }
            Value::from(body).to_json()
        },
    );
    assert_eq!(found, expected);
}

#[test]
fn parameters_of_today_are_sent_as_they_are_and_only_when_given() {
    check_sent("{}", "{}");
    check_sent(r#"{"max_completion_tokens": "500"}"#, r#"{"max_completion_tokens":500}"#);
    check_sent(
        r#"{"reasoning_effort": "low", "verbosity": "", "service_tier": null, "store": false, "parallel_tool_calls": false,
            "seed": 7, "top_logprobs": 2.0, "logprobs": true, "modalities": "[\"text\"]", "metadata": {"k": 1.0},
            "stream_options": "{\"include_usage\": true}", "prompt_cache_key": "p", "safety_identifier": "s"}"#,
        r#"{"seed":7,"reasoning_effort":"low","parallel_tool_calls":false,"store":false,"metadata":{"k":1.0},"stream_options":{"include_usage":true},"modalities":["text"],"logprobs":true,"top_logprobs":2,"prompt_cache_key":"p","safety_identifier":"s"}"#,
    );
    let schema = r#"{"type":"json_schema","json_schema":{"name":"a","strict":true,"schema":{"type":"object"}}}"#;
    check_sent(&format!(r#"{{"response_format": {schema}}}"#), &format!(r#"{{"response_format":{schema}}}"#));
    check_sent(
        &format!(r#"{{"response_format": {}}}"#, Value::from(schema).to_json()),
        &format!(r#"{{"response_format":{schema}}}"#),
    );
    check_sent(
        r#"{"max_completion_tokens": "many"}"#,
        "ToolValidationError: `max_completion_tokens` must be a whole number, not 'many'",
    );
}

fn llm_of(yaml: &str, template: &str) -> LlmNode {
    let plan = plan_of(&[("f/flow.dag.yaml", yaml), ("f/l.jinja2", template)]);
    match &plan.nodes[0].kind {
        NodeKind::Llm(llm) => llm.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_template_that_reads_a_later_name_keeps_it_as_its_variable() {
    let yaml = "\
outputs: {}
nodes:
- name: ask
  type: llm
  source: {path: l.jinja2}
  inputs: {metadata: '${ask2.output}', store: 'true', verbosity: low}
- {name: ask2, type: expression, expression: '1'}
";
    let llm = llm_of(yaml, "user:\n{{ metadata }}\n");
    let parameters = ["metadata", "store", "verbosity", "temperature", "question"].map(|name| llm.is_parameter(name));
    assert_eq!(parameters, [false, true, true, true, false]);
    check_problems(
        yaml,
        &[("f/l.jinja2", "user:\n{{ metadata }}\n")],
        &[
            "warning flow::shadowed_parameter f/flow.dag.yaml:6:12: `metadata` of node `ask` is a variable of its template, and not sent to the API [to send it, write `parameters: {metadata: …}` among the node's inputs]",
        ],
    );
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: llm, source: {path: l.jinja2}, inputs: {seed: 1, store: maybe, top_logprobs: 3}}\n",
        &[("f/l.jinja2", "user:\n{{ seed }}\n")],
        &[
            "error flow::bad_literal f/flow.dag.yaml:3:75: parameter `store` of node `a` is no `bool`: 'maybe'",
            "error flow::reserved_variable f/l.jinja2:2:4: a template variable of `llm` node `a` is named like API parameter `seed` [rename it]",
        ],
    );
}

#[test]
fn an_llm_node_can_ask_the_responses_api() {
    let flow = |api: &str| {
        format!(
            "outputs: {{}}\nnodes:\n- {{name: a, type: llm, {api}source: {{path: l.jinja2}}, inputs: {{x: '1'}}}}\n"
        )
    };
    for (written, api, asked) in [
        ("", Api::Chat, None),
        ("api: chat, ", Api::Chat, None),
        ("api: responses, ", Api::Responses, Some(ChatApi::Responses)),
    ] {
        let llm = llm_of(&flow(written), "user:\n{{ x }}\n");
        assert_eq!(llm.api(), api);
        let request = llm_request(llm.api(), "m", prompt(), &[]).unwrap();
        assert_eq!(request.api, asked);
        assert_eq!(request.parameters.get("n"), Some(&Value::Int(1)));
    }
}

#[test]
fn developer_is_a_role_when_switched_on() {
    let text = "developer:\nBe brief.\nuser:\nhi\n";
    let roles = |messages: Vec<Message>| messages.iter().map(|message| message.role.to_string()).collect::<Vec<_>>();
    let refused = chat_messages(&written(text), Flavour::Tool).unwrap_err();
    assert!(refused.message.contains("parsed role 'developer:\nbe brief.'"), "{refused}");
    assert_eq!(roles(conversation(&written(text), Flavour::Tool, true).unwrap()), ["developer", "user"]);

    let flow = |key: &str| {
        format!(
            "outputs: {{}}\nnodes:\n- {{name: a, type: llm, {key}source: {{path: l.jinja2}}, inputs: {{x: 'user:'}}}}\n"
        )
    };
    let template = "user:\n{{ x }}\ndeveloper:\nBe brief.\n";
    let messages = |key: &str| {
        let llm = llm_of(&flow(key), template);
        roles(llm.messages(&llm.template.render(&[], Nonce(1)).unwrap()).unwrap())
    };
    assert_eq!(messages(""), ["user"], "it is text of the message before it, as in the original");
    assert_eq!(messages("developer_role: true, "), ["user", "developer"]);

    let prompty = |key: &str| read(&format!("---\nmodel: {{api: chat}}\n{key}---\n{template}"));
    let of_prompty = |key: &str| {
        let prompty = prompty(key);
        roles(prompty.messages(&prompty.template.render(&[], Nonce(1)).unwrap(), &[]).unwrap())
    };
    assert_eq!(of_prompty(""), ["user"]);
    assert_eq!(of_prompty("developer_role: true\n"), ["user", "developer"]);
}

#[test]
fn a_filtered_call_can_fail_or_be_reported() {
    let plan = plan_of_yaml(
        "outputs: {}\nnodes:\n- {name: a, type: llm, source: {path: llm.jinja2}, inputs: {x: '1'}, on_filtered: report}\n- {name: b, type: llm, source: {path: llm.jinja2}, inputs: {x: '1'}, on_filtered: fail}\n- {name: c, type: llm, source: {path: llm.jinja2}, inputs: {x: '1'}}\n",
    );
    let found: Vec<OnFiltered> = plan.nodes.iter().map(|node| node.on_filtered).collect();
    assert_eq!(found, [OnFiltered::Report, OnFiltered::Fail, OnFiltered::AsOriginal]);
    check_problems(
        "outputs: {}\nnodes:\n- {name: a, type: expression, expression: '1', on_filtered: fail}\n- {name: b, type: prompty, source: {path: p.prompty}, on_filtered: ignore, developer_role: true}\n",
        &[("f/p.prompty", "---\nmodel: {api: chat}\n---\nuser:\nhi\n")],
        &[
            "warning flow::unused_key f/flow.dag.yaml:3:48: `on_filtered` has no effect on `expression` node `a` [it is for nodes of kind `llm`, `prompty`]",
            "error flow::wrong_value f/flow.dag.yaml:4:68: there is no way to take a filtered call `ignore` [known: `fail`, `report`]",
            "warning flow::unused_key f/flow.dag.yaml:4:76: `developer_role` has no effect on `prompty` node `b` [it is for nodes of kind `llm`]",
        ],
    );
}

#[test]
fn a_promptys_parameters_of_today_are_sent_as_they_are() {
    let first = read(
        "---\nmodel:\n  api: responses\n  parameters: {max_completion_tokens: 500, reasoning_effort: low, store: false, verbosity: '', metadata: {a: 1}, extra: 1.0}\n---\nuser:\nhi\n",
    );
    let request = first.request("m", prompt()).unwrap();
    assert_eq!((request.api, &*first.model.api), (Some(ChatApi::Responses), "responses"));
    assert_eq!(
        Value::from(request.parameters).to_json(),
        r#"{"max_completion_tokens":500,"reasoning_effort":"low","store":false,"verbosity":"","metadata":{"a":1},"extra":1.0}"#
    );
    let second = read(
        "---\nmodel:\n  id: gpt-4o\n  apiType: responses\n  options: {maxOutputTokens: 5, reasoning_effort: low, additionalProperties: {verbosity: low}}\ntools: [{name: f, kind: function, parameters: [{name: a, kind: string, required: true}]}]\noutputs: {city: {kind: string, required: true, enumValues: [a]}, temp: {kind: integer, enumValues: [1]}}\n---\nhi\n",
    );
    let request = second.request("m", prompt()).unwrap();
    assert_eq!(request.api, Some(ChatApi::Responses));
    assert_eq!(
        Value::from(request.parameters).to_json(),
        r#"{"max_completion_tokens":5,"reasoning_effort":"low","verbosity":"low","tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}}}],"response_format":{"type":"json_schema","json_schema":{"name":"structured_output","strict":true,"schema":{"type":"object","properties":{"city":{"type":"string","enum":["a"]},"temp":{"type":["integer","null"],"enum":[1,null]}},"required":["city","temp"],"additionalProperties":false}}}}"#,
        "in the words of chat completions: who speaks responses translates"
    );
}

#[test]
fn a_prompty_that_is_no_chat_is_refused_by_name() {
    let flow = "outputs: {}\nnodes:\n- {name: a, type: prompty, source: {path: p.prompty}}\n";
    for (api, expected) in [
        (
            "embedding",
            "error prompty::cannot_run f/p.prompty:2:25: a prompty with `apiType: embedding` does not run here: it must be a chat [vectors are made by a node of kind `embedding` in a flow]",
        ),
        (
            "image",
            "error prompty::cannot_run f/p.prompty:2:25: a prompty with `apiType: image` does not run here: it must be a chat [a node of kind `http` can call an endpoint that makes images]",
        ),
    ] {
        let prompty = format!("---\nmodel: {{id: m, apiType: {api}}}\n---\nhi\n");
        check_problems(flow, &[("f/p.prompty", &prompty)], &[expected]);
    }
}
