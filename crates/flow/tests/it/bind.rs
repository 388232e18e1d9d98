//! A plan meets an environment.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, ConnectionValue, NodeBinding, Setting, bind};
use sluicegate_flow::plan::{NodeKind, Operand, Plan};
use sluicegate_model::ConnectionName;
use sluicegate_value::{Map, Value};

use crate::project::{plan_of, plan_of_yaml};

const FLOW: &str = "\
inputs: {q: {type: int, default: 1}}
outputs: {r: {reference: '${ask.output.text}'}}
nodes:
- {name: ask, type: llm, source: {path: llm.jinja2}, connection: own, inputs: {x: '${inputs.q}', model: small}}
- {name: other, type: llm, source: {path: llm.jinja2}, inputs: {x: '${ask.output.text}', temperature: 0, model: large}}
- {name: token, type: expression, expression: t, inputs: {t: '${env:TOKEN}'}}
";

fn nothing(_: &str) -> Option<Arc<str>> {
    None
}

fn token(name: &str) -> Option<Arc<str>> {
    (name == "TOKEN").then(|| "tok".into())
}

fn connection_of(plan: &Plan, node: &str) -> Option<String> {
    match &plan.node(plan.find(node).unwrap()).kind {
        NodeKind::Llm(llm) => llm.connection.as_ref().map(ToString::to_string),
        other => panic!("{other:?}"),
    }
}

fn literal(plan: &Plan, node: &str, input: &str) -> Option<Value> {
    match plan.node(plan.find(node).unwrap()).inputs.get(input)? {
        Operand::Literal(value) => Some(value.clone()),
        other => panic!("{other:?}"),
    }
}

fn problems(plan: &Plan, bindings: &Bindings<'_>) -> Vec<String> {
    bind(plan, bindings).unwrap_err().iter().map(|problem| format!("{} {problem}", problem.code)).collect()
}

#[test]
fn a_section_replaces_what_nodes_ask_unless_a_node_has_its_own_entry() {
    let plan = plan_of_yaml(FLOW);
    let mut bindings = Bindings::new(&token);
    bindings.connection_name = Some("aoai".into());
    bindings.deployment_name = Some("gpt".into());
    let own = NodeBinding { connection: Some("special".into()), deployment_name: Some("big".into()) };
    bindings.nodes.insert("other".into(), own);
    let bound = bind(&plan, &bindings).unwrap();
    assert_eq!(connection_of(bound.plan(), "ask").as_deref(), Some("aoai"));
    assert_eq!(connection_of(bound.plan(), "other").as_deref(), Some("special"));
    assert_eq!(literal(bound.plan(), "ask", "deployment_name"), Some("gpt".into()));
    assert_eq!(literal(bound.plan(), "ask", "model"), None);
    assert_eq!(literal(bound.plan(), "other", "deployment_name"), Some("big".into()));
    assert_eq!(literal(bound.plan(), "token", "t"), Some("tok".into()));
}

#[test]
fn everything_that_is_missing_is_told_with_its_place() {
    let plan = plan_of_yaml(FLOW);
    let mut bindings = Bindings::new(&nothing);
    bindings.connections = Some([ConnectionName::from("owm")].into());
    assert_eq!(
        problems(&plan, &bindings),
        [
            "flow::unknown_connection f/flow.dag.yaml:4:10: there is no connection `own`",
            "flow::no_connection f/flow.dag.yaml:5:10: node `other` names no connection",
            "flow::unset_variable f/flow.dag.yaml:6:10: variable `TOKEN` is not set",
        ]
    );
}

#[test]
fn settings_replace_values_and_defaults() {
    let plan = plan_of_yaml(FLOW);
    let mut bindings = Bindings::new(&token);
    bindings.connection_name = Some("local".into());
    let settings = ["nodes.other.inputs.temperature=1", "nodes.other.inputs.x=plain", "inputs.q.default=7"];
    bindings.set = settings.iter().map(|text| Setting::parse(text).unwrap()).collect();
    let bound = bind(&plan, &bindings).unwrap();
    assert_eq!(literal(bound.plan(), "other", "temperature"), Some(Value::Float(1.0)));
    assert_eq!(literal(bound.plan(), "other", "x"), Some("plain".into()));
    assert_eq!(bound.plan().resolve_inputs(&Map::new()).unwrap().get("q"), Some(&Value::Int(7)));
    let ask = bound.plan().find("ask").unwrap();
    assert_eq!(bound.plan().successors(ask).count(), 0, "nobody reads `ask` any more");

    bindings.set = [
        "nodes.othr.inputs.x=1",
        "nodes.ask.inputs.x=${inputs.q}",
        "inputs.q.default=many",
        "nodes.ask.inputs.temperature=hot",
    ]
    .iter()
    .map(|text| Setting::parse(text).unwrap())
    .collect();
    assert_eq!(
        problems(&plan, &bindings),
        [
            "flow::bad_setting there is no node `othr` to set `x` of",
            "flow::bad_setting `x` of node `ask` can be set to a value, not to a reference",
            "flow::bad_setting input `q` does not match its type `int`: it is 'many'",
            "flow::bad_setting `temperature` of node `ask` is no `double`: 'hot'",
        ]
    );
    assert!(Setting::parse("nodes.a=1").is_err());
}

#[test]
fn inner_flows_are_bound_too() {
    let plan = plan_of(&[
        ("f/flow.dag.yaml", "outputs: {}\nnodes:\n- {name: in, type: flow, source: {path: ../g}}\n"),
        ("g/flow.dag.yaml", "outputs: {}\nnodes:\n- {name: ask, type: llm, source: {path: t.jinja2}}\n"),
        ("g/t.jinja2", "user:\nhi\n"),
    ]);
    let mut bindings = Bindings::new(&nothing);
    bindings.connection_name = Some("local".into());
    bindings
        .nodes
        .insert("in/ask".into(), NodeBinding { deployment_name: Some("big".into()), ..NodeBinding::default() });
    let bound = bind(&plan, &bindings).unwrap();
    let inner = bound.plan().nodes[0].kind.inner().unwrap();
    assert_eq!(connection_of(inner, "ask").as_deref(), Some("local"));
    assert_eq!(literal(inner, "ask", "deployment_name"), Some("big".into()));
}

#[test]
fn one_node_alone_takes_what_it_read() {
    let plan = plan_of_yaml(FLOW);
    let alone = plan.only("other").unwrap();
    let names: Vec<&str> = alone.inputs.keys().map(|name| &**name).collect();
    assert_eq!(names, ["ask.output.text"]);
    assert_eq!(alone.outputs.keys().map(|name| &**name).collect::<Vec<_>>(), ["output"]);
    let alone = plan.only("ask").unwrap();
    assert_eq!(alone.resolve_inputs(&Map::new()).unwrap().get("q"), Some(&Value::Int(1)), "its default stays");
    assert!(plan.only("nope").is_none());
}

#[test]
fn one_node_alone_ignores_what_is_said_of_the_others() {
    let plan = plan_of_yaml(FLOW);
    let alone = plan.only("ask").unwrap();
    let mut bindings = Bindings::new(&nothing);
    bindings.nodes.insert("other".into(), NodeBinding { connection: Some("x".into()), ..NodeBinding::default() });
    bindings.set = vec![Setting::parse("nodes.token.inputs.t=1").unwrap()];
    assert_eq!(problems(&alone, &bindings).len(), 2);
    bindings.whole = Some(&plan);
    assert!(bind(&alone, &bindings).is_ok(), "and the variable of `token` is not asked for");
}

#[test]
fn a_setting_of_an_outer_node_leaves_inner_ones_of_its_name_alone() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "outputs: {}\nnodes:\n- {name: ask, type: llm, source: {path: llm.jinja2}, connection: c, inputs: {x: a}}\n- {name: inner, type: flow, source: {path: ../g}}\n",
        ),
        ("f/llm.jinja2", "user:\n{{x}}\n"),
        (
            "g/flow.dag.yaml",
            "outputs: {}\nnodes:\n- {name: ask, type: llm, source: {path: ../f/llm.jinja2}, connection: c, inputs: {x: a}}\n",
        ),
    ]);
    let mut bindings = Bindings::new(&nothing);
    bindings.deployment_name = Some("of-the-section".into());
    bindings.set = vec![Setting::parse("nodes.ask.inputs.deployment_name=of-the-flag").unwrap()];
    let bound = bind(&plan, &bindings).unwrap();
    let inner = bound.plan().nodes[1].kind.inner().unwrap();
    assert_eq!(literal(bound.plan(), "ask", "deployment_name"), Some("of-the-flag".into()));
    assert_eq!(literal(inner, "ask", "deployment_name"), Some("of-the-section".into()));
}

#[test]
fn an_inner_flow_is_bound_once_unless_one_of_its_runs_asks_another_model() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "outputs: {}\nnodes:\n- {name: a, type: flow, source: {path: ../g}}\n- {name: b, type: flow, source: {path: ../g}}\n- {name: c, type: flow, source: {path: ../g}}\n",
        ),
        (
            "g/flow.dag.yaml",
            "outputs: {}\nnodes:\n- {name: ask, type: llm, source: {path: llm.jinja2}, connection: own, inputs: {x: '${env:UNSET}', model: m}}\n",
        ),
        ("g/llm.jinja2", "user:\n{{x}}\n"),
    ]);
    assert_eq!(problems(&plan, &Bindings::new(&nothing)).len(), 1, "told once, for it stands once in the file");
    let set = |_: &str| Some("set".into());
    let mut bindings = Bindings::new(&set);
    let other = NodeBinding { connection: Some("other".into()), deployment_name: None };
    bindings.nodes.insert("b/ask".into(), other);
    let bound = bind(&plan, &bindings).unwrap();
    let [a, b, c] = [0, 1, 2].map(|index| bound.plan().nodes[index].kind.inner().unwrap());
    assert!(Arc::ptr_eq(a, c));
    assert_eq!(connection_of(a, "ask").as_deref(), Some("own"));
    assert_eq!(connection_of(b, "ask").as_deref(), Some("other"));
}

#[test]
fn environment_variables_are_needed_only_where_python_reads_them() {
    let of = |nodes: &str| {
        plan_of_yaml(&format!("environment_variables: {{A: '${{env:TOKEN}}', B: 1}}\noutputs: {{}}\nnodes:\n{nodes}"))
    };
    let without = of("- {name: e, type: expression, expression: '1'}\n");
    assert!(without.all_needs().is_empty());
    bind(&without, &Bindings::new(&nothing)).unwrap();

    let with = of("- {name: p, type: python, source: {type: code, path: a.py}}\n");
    let unset = problems(&with, &Bindings::new(&nothing));
    assert_eq!(unset.len(), 1, "{unset:?}");
    assert!(unset[0].contains("`TOKEN` is not set"), "{unset:?}");
    let bound = bind(&with, &Bindings::new(&token)).unwrap();
    assert_eq!(bound.plan().environment_variables.values().collect::<Vec<_>>(), [&Value::from("tok"), &"1".into()]);
}

#[test]
fn environment_variables_take_values_of_connections() {
    let plan = plan_of_yaml(
        "environment_variables:\n  A: '${aoai.api_base}'\n  B: '${aoai.configs.api_base}'\n  C: '${aoai.api_kee}'\n  D: '${aoia.x}'\n  E: '${half.x}'\n  F: '${aoai}'\noutputs: {}\nnodes:\n- {name: p, type: python, source: {type: code, path: a.py}}\n",
    );
    let lookup = |connection: &ConnectionName, key: &str| match (&*connection.0, key) {
        ("aoai", "api_base") => ConnectionValue::Text("https://x".into()),
        ("aoai", _) => ConnectionValue::NoKey(vec!["api_base".to_owned(), "api_key".to_owned()]),
        ("half", _) => ConnectionValue::Incomplete("`K` is not set".to_owned()),
        _ => ConnectionValue::NoConnection,
    };
    let mut bindings = Bindings::new(&nothing);
    bindings.connections = Some(["aoai", "half"].map(ConnectionName::from).into());
    assert_eq!(
        problems(&plan, &bindings),
        [
            "flow::unknown_connection f/flow.dag.yaml:5:6: there is no connection `aoia`, which environment variable `D` of the flow reads"
        ],
        "names can be checked without values"
    );
    bindings.connection_value = Some(&lookup);
    assert_eq!(
        problems(&plan, &bindings),
        [
            "flow::unknown_connection_key f/flow.dag.yaml:4:6: connection `aoai` has no `api_kee`, which environment variable `C` of the flow reads",
            "flow::unknown_connection f/flow.dag.yaml:5:6: there is no connection `aoia`, which environment variable `D` of the flow reads",
            "flow::incomplete_connection f/flow.dag.yaml:6:6: connection `half` is not complete, and environment variable `E` of the flow reads its `x`: `K` is not set",
        ]
    );
    let sound = plan_of_yaml(
        "environment_variables: {A: '${aoai.api_base}', B: ' ${aoai.configs.api_base}', F: '${aoai}', G: [1, a]}\noutputs: {}\nnodes:\n- {name: p, type: python, source: {type: code, path: a.py}}\n",
    );
    let bound = bind(&sound, &bindings).unwrap();
    assert_eq!(
        bound.plan().environment_variables.values().map(|value| value.as_str().unwrap()).collect::<Vec<_>>(),
        ["https://x", "https://x", "${aoai}", "[1,\"a\"]"]
    );
}

#[test]
fn no_value_of_a_variable_is_printed() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "environment_variables: {A: '${env:KEY}'}\noutputs: {r: {reference: '${env:KEY}'}}\nnodes:\n- {name: e, type: expression, expression: x, inputs: {x: '${env:KEY}'}}\n- {name: y, type: python, source: {type: code, path: a.py}, connection: '${env:KEY}'}\n- {name: p, type: prompty, source: {path: p.prompty}}\n",
        ),
        ("f/a.py", ""),
        (
            "f/p.prompty",
            "---\nmodel:\n  api: chat\n  configuration: {type: openai, model: m, api_key: '${env:KEY}'}\n  parameters: {user: '${env:KEY}'}\n---\nuser:\nhello\n",
        ),
    ]);
    let bound = bind(&plan, &Bindings::new(&|_| Some("hunter2".into()))).unwrap();
    let prompty = bound.plan().nodes.iter().find_map(|node| match &node.kind {
        NodeKind::Prompty(prompty) => Some(prompty),
        _ => None,
    });
    let prompty = prompty.unwrap();
    assert_eq!(prompty.model.configuration.get("api_key").and_then(Value::as_str), Some("hunter2"));
    let inputs: Vec<_> = bound.plan().nodes.iter().map(|node| &node.inputs).collect();
    for printed in [
        format!("{bound:?}"),
        format!("{:?}", bound.plan().outputs),
        format!("{inputs:?}"),
        format!("{prompty:?}"),
        format!("{:?}", prompty.model),
        format!("{:#?}", bound.plan().nodes[0]),
    ] {
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}

#[test]
fn a_model_node_without_a_deployment_is_told() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "inputs: {m: {type: string}}\noutputs: {}\nnodes:\n- {name: a, type: llm, source: {path: l.jinja2}, connection: c}\n- {name: b, type: llm, source: {path: l.jinja2}, connection: c, inputs: {model: ''}}\n- {name: c, type: llm, source: {path: l.jinja2}, connection: c, inputs: {model: '${inputs.m}'}}\n- {name: d, type: prompty, source: {path: p.prompty}}\n",
        ),
        ("f/l.jinja2", "user:\nhello\n"),
        (
            "f/p.prompty",
            "---\nmodel:\n  api: chat\n  configuration: {type: openai, model: '${env:M}'}\n---\nuser:\nhello\n",
        ),
    ]);
    let variable = |_: &str| Some("".into());
    let mut bindings = Bindings::new(&variable);
    assert_eq!(
        problems(&plan, &bindings),
        [
            "flow::no_deployment f/flow.dag.yaml:4:10: node `a` names no deployment and no model",
            "flow::no_deployment f/flow.dag.yaml:5:10: node `b` names no deployment and no model",
            "flow::no_deployment f/p.prompty:1:1: node `d` names no deployment and no model",
        ]
    );
    bindings.deployment_name = Some("gpt".into());
    assert!(bind(&plan, &bindings).is_ok());
}
