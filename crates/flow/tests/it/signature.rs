//! What Python says of its functions meets what a flow says.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, bind};
use sluicegate_flow::plan::{Entry, InputType, NodeKind, Operand, Plan};
use sluicegate_flow::signature::{AGGREGATE, Parameter, Signature};
use sluicegate_model::ConnectionName;
use sluicegate_value::{Map, Value, json};

use crate::project::plan_of;

fn parameter(name: &str, kind: InputType) -> Parameter {
    Parameter { name: name.into(), kind, connection: false, required: true, default: None }
}

fn optional(name: &str, kind: InputType, default: Option<Value>) -> Parameter {
    Parameter { required: false, default, ..parameter(name, kind) }
}

fn flex(yaml: &str) -> Arc<Plan> {
    plan_of(&[("f/flow.flex.yaml", yaml), ("f/m.py", "class f: ...\n")])
}

fn map(text: &str) -> Map {
    json::read(text).unwrap().as_map().unwrap().clone()
}

fn resolved(plan: &Plan, given: &str) -> String {
    match plan.resolve_inputs(&map(given)) {
        Ok(inputs) => Value::from(inputs).to_json(),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

fn told(plan: &Plan, signature: &Signature) -> Vec<String> {
    let problems = plan.with_signature(signature).err().into_iter().flatten();
    problems
        .map(|problem| {
            let help = problem.help.as_ref().map_or(String::new(), |help| format!(" [{help}]"));
            format!("{} {problem}{help}", problem.code)
        })
        .collect()
}

#[test]
fn a_signature_gives_inputs_types_and_defaults() {
    let plan = flex("entry: m:f\ninputs: {a: {type: string, default: x}}\n");
    let signature = Signature {
        parameters: vec![
            parameter("a", InputType::Object),
            parameter("b", InputType::Int),
            optional("c", InputType::Int, Some(Value::Int(3))),
            optional("d", InputType::Object, None),
        ],
        ..Signature::default()
    };
    let signed = plan.with_signature(&signature).unwrap();
    assert_eq!(signed.nodes[0].inputs.len(), 4);
    assert_eq!(resolved(&signed, r#"{"b": "5", "z": 1}"#), r#"{"a":"x","b":5,"c":3}"#, "`d` stays Python's");
    assert_eq!(resolved(&signed, r#"{"b": "5", "d": [1]}"#), r#"{"a":"x","b":5,"c":3,"d":[1]}"#);
    assert_eq!(resolved(&signed, "{}"), "input `b` is not given, and it has no default");
    let unknown = signed.unknown_inputs(&map(r#"{"bb": 1}"#));
    assert_eq!(unknown.len(), 1);
    let any = Signature { takes_any: true, ..signature };
    assert_eq!(resolved(&plan.with_signature(&any).unwrap(), r#"{"b": 1, "z": 1}"#), r#"{"a":"x","b":1,"c":3,"z":1}"#);
}

#[test]
fn what_the_file_declares_and_the_function_does_not_take_is_told() {
    let plan = flex("entry: m:f\ninputs: {questoin: {type: string}}\n");
    let signature = Signature { parameters: vec![parameter("question", InputType::String)], ..Signature::default() };
    assert_eq!(
        told(&plan, &signature),
        ["flow::unknown_parameter f/flow.flex.yaml:2:10: `m:f` takes no input `questoin` [did you mean `question`?]"]
    );
    assert!(told(&plan, &Signature { takes_any: true, ..signature }).is_empty());
}

#[test]
fn a_class_gets_what_it_is_made_with_in_its_types() {
    let plan = flex("entry: m:f\ninit: {a: {type: string}, b: {type: string, default: x}}\n");
    let nothing = |_: &str| None;
    let mut bindings = Bindings::new(&nothing);
    bindings.init = map(r#"{"a": 1, "number": "5"}"#);
    let bound = bind(&plan, &bindings).unwrap();
    let mut signature = Signature {
        init: vec![
            parameter("a", InputType::String),
            parameter("b", InputType::String),
            parameter("number", InputType::Int),
        ],
        ..Signature::default()
    };
    let signed = bound.with_signature(&signature).unwrap();
    let values = signed.plan().flex.clone().unwrap().init_values;
    assert_eq!(Value::from(values).to_json(), r#"{"a":1,"number":5,"b":"x"}"#);

    signature.init.pop();
    signature.init.push(parameter("numbers", InputType::Int));
    assert_eq!(
        told(bound.plan(), &signature),
        [
            "flow::unknown_init f/flow.flex.yaml:1:8: `m:f` is not made with `number` [did you mean `numbers`?]",
            "flow::missing_init `m:f` is made with `numbers`, which is not given [give it: `--init numbers=…`, or `sample: {init: {numbers: …}}` in the flow's file]",
        ]
    );
}

#[test]
fn a_class_that_aggregates_gets_a_node_for_it() {
    let plan = flex("entry: m:f\n");
    let signature = Signature { aggregate: Some("line_results".into()), ..Signature::default() };
    let signed = plan.with_signature(&signature).unwrap();
    let node = signed.node(signed.find(AGGREGATE).unwrap());
    assert!(node.aggregation);
    let NodeKind::Python(python) = &node.kind else { panic!("{:?}", node.kind) };
    assert_eq!(python.entry, Some(Entry { entry: "m:f".into(), is_aggregate: true }));
    assert!(matches!(&node.inputs["line_results"], Operand::Output { property, .. } if property.is_empty()));
    assert_eq!(signed.successors(signed.find("f").unwrap()).count(), 1);
    let again = signed.with_signature(&signature).unwrap();
    assert_eq!(again.nodes.len(), 2, "once is enough");
}

#[test]
fn nodes_are_held_against_their_tools() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "inputs: {q: {type: string}}\noutputs: {}\nnodes:\n- {name: a, type: python, source: {type: code, path: a.py}, inputs: {text: '${inputs.q}', conn: aoia, count: many, extra: 1, empty: ''}}\n- {name: b, type: python, source: {type: code, path: a.py}, inputs: {text: x, conn: '${env:C}', empty: 1}}\n",
        ),
        ("f/a.py", "@tool\ndef a(): ...\n"),
    ]);
    let signature = Arc::new(Signature {
        parameters: vec![
            parameter("text", InputType::String),
            Parameter { connection: true, ..parameter("conn", InputType::Untouched) },
            optional("count", InputType::Int, None),
            parameter("empty", InputType::Untouched),
        ],
        ..Signature::default()
    });
    let known = ["aoai"].map(ConnectionName::from).into();
    let problems = plan.check_signatures(&|_| Some(signature.clone()), Some(&known));
    let told: Vec<String> = problems.iter().map(|problem| format!("{} {problem}", problem.code)).collect();
    assert_eq!(
        told,
        [
            "flow::missing_parameter f/flow.dag.yaml:4:10: the tool of node `a` needs `empty`, which the node does not give",
            "flow::unknown_connection f/flow.dag.yaml:4:10: there is no connection `aoia`, which node `a` gives as `conn`",
            "flow::bad_literal f/flow.dag.yaml:4:10: `count` of node `a` is no `int`, as its tool takes: 'many'",
            "flow::unknown_parameter f/flow.dag.yaml:4:10: the tool of node `a` takes no `extra`",
        ]
    );
    assert!(plan.check_signatures(&|_| None, None).is_empty());
}
