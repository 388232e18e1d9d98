//! `embedding` nodes: what a flow file may say, whom they ask, and what is asked.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, NodeBinding, bind};
use sluicegate_flow::plan::{NodeKind, Operand, Plan};
use sluicegate_flow::request::embedding_request;
use sluicegate_value::{Value, json};

use crate::project::{check_problems, plan_of_yaml};

const FLOW: &str = "\
inputs: {texts: {type: list}}
outputs: {}
nodes:
- {name: own, type: embedding, connection: c, inputs: {input: '${inputs.texts}', model: small, dimensions: '256'}}
- {name: bare, type: embedding, inputs: {input: hello}}
- {name: ask, type: llm, source: {path: llm.jinja2}, inputs: {x: '1', model: chatty}}
";

fn asked(plan: &Plan, node: &str) -> String {
    let node = plan.node(plan.find(node).unwrap());
    let connection = match &node.kind {
        NodeKind::Embedding(embedding) => embedding.connection.as_ref(),
        NodeKind::Llm(llm) => llm.connection.as_ref(),
        other => panic!("{other:?}"),
    };
    let deployment = ["deployment_name", "model"].iter().find_map(|key| match node.inputs.get(*key) {
        Some(Operand::Literal(value)) => value.as_str(),
        _ => None,
    });
    format!("{} {}", connection.map_or("-", |name| &name.0), deployment.unwrap_or("-"))
}

fn check_bound(change: impl FnOnce(&mut Bindings<'_>), expected: [&str; 3]) {
    let plan = plan_of_yaml(FLOW);
    let unset = |_: &str| None;
    let mut bindings = Bindings::new(&unset);
    bindings.connection_name = Some("aoai".into());
    bindings.deployment_name = Some("gpt".into());
    change(&mut bindings);
    let bound = bind(&plan, &bindings).unwrap();
    assert_eq!(["own", "bare", "ask"].map(|node| asked(bound.plan(), node)), expected);
}

#[test]
fn a_chats_deployment_is_asked_for_vectors_only_where_none_is_named() {
    check_bound(|_| {}, ["aoai small", "aoai gpt", "aoai gpt"]);
}

#[test]
fn a_section_names_a_deployment_for_vectors_and_a_node_its_own() {
    check_bound(
        |bindings| bindings.embedding_deployment_name = Some("ada".into()),
        ["aoai ada", "aoai ada", "aoai gpt"],
    );
    check_bound(
        |bindings| {
            bindings.embedding_deployment_name = Some("ada".into());
            let own = NodeBinding { connection: Some("vectors".into()), deployment_name: Some("large".into()) };
            bindings.nodes.insert("own".into(), own);
        },
        ["vectors large", "aoai ada", "aoai gpt"],
    );
}

#[test]
fn what_a_node_does_not_name_is_told() {
    let plan = plan_of_yaml(FLOW);
    let unset = |_: &str| None;
    let problems = bind(&plan, &Bindings::new(&unset)).unwrap_err();
    let problems: Vec<String> =
        problems.iter().map(|problem| format!("{problem} [{}]", problem.help.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        problems[..2],
        [
            "f/flow.dag.yaml:5:10: node `bare` names no connection [give it one (`connection:`), or give the flow one (`connection_name:` in its config section)]",
            "f/flow.dag.yaml:5:10: node `bare` names no deployment and no model [give it one (`deployment_name:` in its inputs), or give the flow one (`embedding_deployment_name:` in its config section)]",
        ]
    );
}

#[test]
fn mistakes_in_a_node_are_told() {
    check_problems(
        "\
outputs: {}
nodes:
- {name: a, type: embedding}
- {name: b, type: embedding, inputs: {input: [x, ''], dimension: 3}}
- {name: c, type: embedding, inputs: {input: 7, dimensions: many}}
- {name: d, type: embedding, source: {path: x}, inputs: {input: x}}
",
        &[],
        &[
            "error flow::missing_key f/flow.dag.yaml:3:10: `embedding` node `a` has no `input` [give it a text or a list of texts: `input: ${…}` among its inputs]",
            "error flow::bad_literal f/flow.dag.yaml:4:46: node `b` has nothing to turn into vectors: `input[1]` is an empty text, which has no vector",
            "warning flow::unused_input f/flow.dag.yaml:4:55: input `dimension` of node `b` is used by nothing [did you mean `dimensions`?]",
            "error flow::bad_literal f/flow.dag.yaml:5:46: node `c` has nothing to turn into vectors: `input` must be text, not int",
            "error flow::bad_literal f/flow.dag.yaml:5:61: parameter `dimensions` of node `c` is no `int`: 'many'",
            "warning flow::unused_key f/flow.dag.yaml:6:30: `source` has no effect on `embedding` node `d` [it is for nodes of kind `llm`, `prompt`, `python`, `custom_llm`, `prompty`, `flow`, `map`, `loop`, `csharp`]",
        ],
    );
}

fn check_request(inputs: &str, expected: &str) {
    let inputs = json::read(inputs).unwrap();
    let inputs: Vec<(Arc<str>, Value)> =
        inputs.as_map().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let found = embedding_request("m", &inputs).map_or_else(
        |error| error.to_string(),
        |request| format!("{} {}", request.input.to_value().to_json(), Value::from(request.parameters).to_json()),
    );
    assert_eq!(found, expected);
}

#[test]
fn a_request_has_texts_and_parameters() {
    check_request(r#"{"input": "a", "model": "x"}"#, r#""a" {}"#);
    check_request(
        r#"{"input": ["a", "b"], "dimensions": "256", "user": "", "input_type": "query", "parameters": {"truncate": "END"}}"#,
        r#"["a","b"] {"dimensions":256,"input_type":"query","truncate":"END"}"#,
    );
    check_request(r#"{"input": ["a"]}"#, r#"["a"] {}"#);
}

#[test]
fn a_request_without_text_says_which() {
    check_request("{}", "ToolValidationError: `input` is not given");
    check_request(r#"{"input": []}"#, "ToolValidationError: `input` is an empty list");
    check_request(r#"{"input": ""}"#, "ToolValidationError: `input` is an empty text, which has no vector");
    check_request(r#"{"input": ["a", null]}"#, "ToolValidationError: `input[1]` must be text, not NoneType");
    check_request(r#"{"input": {"a": 1}}"#, "ToolValidationError: `input` must be text, not dict");
    check_request(
        r#"{"input": "a", "parameters": {"input": "b"}}"#,
        "ToolValidationError: `parameters` cannot set `input`: the node says it elsewhere",
    );
}
