//! What is given for inputs, as prompt flow itself treated it: `data/coercion.jsonl` was recorded from it.

use sluicegate_flow::coerce::InputError;
use sluicegate_value::{Map, Value, json, python};

use crate::project::{plan_of, plan_of_yaml};

const FLOW: &str = "
inputs:
  i: {type: int, default: 1}
  d: {type: double, default: 1}
  b: {type: bool, default: true}
  s: {type: string, default: hi}
  l: {type: list, default: []}
  o: {type: object, default: {}}
outputs: {}
nodes: []
";

#[test]
fn inputs_are_coerced_as_prompt_flow_did() {
    let plan = plan_of_yaml(FLOW);
    for line in include_str!("data/coercion.jsonl").lines() {
        let record = json::read(line).unwrap();
        let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let input = field("input");
        let given = Map::from([(input, record.get("given").unwrap().clone())]);
        match plan.resolve_inputs(&given) {
            Ok(resolved) => {
                let value = resolved.get(input).unwrap();
                assert_eq!((value.type_name(), &*python::repr(value)), (field("type"), field("repr")), "{line}");
            }
            Err(errors) => {
                let class = match &errors[..] {
                    [InputError::Type { .. }] => "InputTypeError",
                    [InputError::Json { .. }] => "InputParseError",
                    other => panic!("{other:?}"),
                };
                assert_eq!(class, field("error"), "{line}");
            }
        }
    }
}

#[test]
fn defaults_have_their_types() {
    let resolved = plan_of_yaml(FLOW).resolve_inputs(&Map::new()).unwrap();
    assert_eq!(Value::from(resolved).to_json(), r#"{"i":1,"d":1.0,"b":true,"s":"hi","l":[],"o":{}}"#);
}

#[test]
fn every_wrong_input_is_named() {
    let plan =
        plan_of_yaml("inputs:\n  a: {type: int}\n  b: {type: list}\n  c: {type: string}\noutputs: {}\nnodes: []\n");
    let given = Map::from([("a", Value::from("abc")), ("b", Value::from("no"))]);
    let errors: Vec<String> = plan.resolve_inputs(&given).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors[0], "input `a` does not match its type `int`: it is 'abc'");
    assert!(
        errors[1].starts_with("input `b` has type `list`, but the text given for it is not JSON: "),
        "{}",
        errors[1]
    );
    assert_eq!(errors[2], "input `c` is not given, and it has no default");
}

#[test]
fn names_that_the_flow_does_not_take_are_told() {
    let plan = plan_of_yaml(FLOW.replace("  s:", "  style:").as_str());
    let given = Map::from([("stile", Value::from("x")), ("zzz", Value::Null), ("i", Value::Int(2))]);
    let told: Vec<String> = plan.unknown_inputs(&given).iter().map(ToString::to_string).collect();
    assert_eq!(told, ["the flow has no input `stile`, did you mean `style`?", "the flow has no input `zzz`"]);
    assert!(!plan.resolve_inputs(&given).unwrap().contains_key("zzz"));
}

#[test]
fn a_chat_begins_with_an_empty_history() {
    let plan = plan_of(&[(
        "f/flow.dag.yaml",
        "inputs:\n  chat_history: {type: list}\n  question: {type: string, is_chat_input: true}\n\
         outputs:\n  answer: {type: string, reference: '${inputs.question}', is_chat_output: true}\nnodes: []\n",
    )]);
    let resolved = plan.resolve_inputs(&Map::from([("question", Value::from("hi"))])).unwrap();
    assert_eq!(resolved.get("chat_history"), Some(&Value::empty_list()));
}

#[test]
fn images_become_blobs() {
    let plan = plan_of_yaml("inputs:\n  i: {type: image}\n  l: {type: list}\noutputs: {}\nnodes: []\n");
    let given = json::read(
        r#"{"i": {"data:image/png;base64": "iVBORw0KGgo="}, "l": [{"data:image/jpg;url": "https://x/y.jpg"}, 1]}"#,
    )
    .unwrap();
    let resolved = plan.resolve_inputs(given.as_map().unwrap()).unwrap();
    assert!(matches!(resolved.get("i"), Some(Value::Blob(_))));
    assert!(matches!(resolved.get("l").and_then(Value::as_list), Some([Value::Blob(_), Value::Int(1)])));
}
