//! Prompt flow's recorded behaviour, on twins of its flows that need no Python: `expression` nodes stand where the
//! original has a Python function that echoes, adds or gives a constant.
//!
//! Of 330 recorded runs 295 have a twin here. Without one: `literal_*` (5; literals coerced by the annotations of a
//! Python function), `py_*` (27; properties of Python tools), `subfolder_source` (1; where a Python file is found),
//! `user_error` (2; exceptions that Python code raises).

use sluicegate_events::NodeStatus;
use sluicegate_flow::bind::BoundPlan;
use sluicegate_value::{Map, Value, json, python};

use crate::support::*;

/// What the original records a float as that JSON does not have.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Map(map) if map.len() == 1 && map.contains_key("__float__") => {
            Value::Float(map.get("__float__").unwrap().as_str().unwrap().parse().unwrap())
        }
        Value::Map(map) => map.iter().map(|(key, value)| (key.clone(), with_floats(value))).collect::<Map>().into(),
        Value::List(items) => items.iter().map(with_floats).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

/// The original's error classes for what is found wrong here before, or while, the flow runs.
fn class_of(code: &str) -> &'static [&'static str] {
    match code {
        "flow::unsupported_reference" => &["UnsupportedReference"],
        "flow::unknown_node" => &["NodeReferenceNotFound"],
        "flow::unknown_input" => &["InputReferenceNotFound"],
        "flow::unknown_output_reference" => &["OutputReferenceNotFound"],
        "flow::empty_output_reference" => &["EmptyOutputReference"],
        // A bound method is a value in Python, which then fails as an output; here it is no property at all.
        "reference" => &["InvalidReferenceProperty", "FlowOutputUnserializable"],
        "template" => &["JinjaTemplateError"],
        "expression" => &["ToolExecutionError"],
        _ => &[],
    }
}

/// `{"type": .., "repr": ..}`, as the original's flow tells a value of Python.
fn described(value: &Value) -> Value {
    Map::from([("type", Value::from(value.type_name())), ("repr", python::repr(value).into())]).into()
}

struct Found {
    /// Or the codes of what is wrong.
    outputs: Result<Value, Vec<String>>,
    nodes: Vec<(String, Value)>,
}

async fn run_twin(flow: &str, plan: &BoundPlan, given: &Map) -> Found {
    let inputs = match plan.plan().resolve_inputs(given) {
        Ok(inputs) => inputs,
        Err(errors) => {
            let class = match &errors[0] {
                sluicegate_flow::coerce::InputError::Type { .. } => "InputTypeError",
                sluicegate_flow::coerce::InputError::Json { .. } => "InputParseError",
                sluicegate_flow::coerce::InputError::Missing { .. } => "InputNotFound",
                sluicegate_flow::coerce::InputError::Image { .. } => "image",
            };
            return Found { outputs: Err(vec![class.to_owned()]), nodes: Vec::new() };
        }
    };
    let journal = std::sync::Arc::new(MemoryJournal::default());
    let engine = engine(&FakeModel::echo(), &journal);
    let start = sluicegate_executor::Start::New(sluicegate_executor::NewRun::of(inputs));
    let report = sluicegate_executor::run(&engine, plan, start, std::future::pending()).await;
    assert!(report.aggregation_failure.is_none(), "{:?}", report.aggregation_failure);
    let nodes = report
        .summary
        .nodes
        .iter()
        .filter(|(_, node)| matches!(node.status, NodeStatus::Completed | NodeStatus::Bypassed))
        .map(|(path, node)| (path.to_string(), node.output.clone().unwrap_or_default()))
        .collect();
    let outputs = match (report.failure, report.outputs) {
        (Some(failure), _) => Err(vec![failure.code]),
        (None, Some(outputs)) if flow == "coerce_inputs" => {
            Ok(outputs.iter().map(|(name, value)| (name.clone(), described(value))).collect::<Map>().into())
        }
        (None, outputs) => Ok(outputs.unwrap_or_default().into()),
    };
    Found { outputs, nodes }
}

#[tokio::test(start_paused = true)]
async fn twins_behave_as_recorded() {
    let flows = json::read(include_str!("data/flows.json")).unwrap();
    let mut differing = Vec::new();
    let mut count = 0;
    for line in include_str!("data/cases.jsonl").lines() {
        let case = json::read(line).unwrap();
        let field = |name: &str| case.get(name).and_then(Value::as_str).unwrap_or_default();
        let files: Vec<(&str, &str)> = flows
            .get(field("flow"))
            .unwrap()
            .as_map()
            .unwrap()
            .iter()
            .map(|(path, text)| (&**path, text.as_str().unwrap()))
            .collect();
        let given = with_floats(case.get("inputs").unwrap());
        let found = match try_plan(&files) {
            Ok(plan) => run_twin(field("flow"), &plan, given.as_map().unwrap()).await,
            Err(problems) => {
                let codes = problems.iter().map(|problem| problem.code.to_owned()).collect();
                Found { outputs: Err(codes), nodes: Vec::new() }
            }
        };
        let expected = case.get("outputs").map(with_floats);
        let same = match (&found.outputs, &expected) {
            (Ok(found), Some(expected)) => found == expected,
            (Err(codes), None) => {
                let error = field("error");
                codes.iter().any(|code| code == error || class_of(code).contains(&error))
            }
            _ => false,
        };
        if !same {
            differing.push(format!("{line}\n    found {:?}", found.outputs.map(|value| value.to_json())));
        }
        for (name, value) in case.get("nodes").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            let Some((_, found)) = found.nodes.iter().find(|(path, _)| *path == **name) else { continue };
            if *found != with_floats(value) {
                differing.push(format!("{line}\n    node {name} gives {}", found.to_json()));
            }
        }
        count += 1;
    }
    assert!(differing.is_empty(), "{} of {count} differ:\n{}", differing.len(), differing.join("\n"));
    assert_eq!(count, 295);
}
