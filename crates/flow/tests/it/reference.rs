//! References as prompt flow itself treated them: `data/references.jsonl` was recorded from it.

use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::MemoryFiles;
use sluicegate_flow::plan::Operand;
use sluicegate_flow::property::{self, PropertyError};
use sluicegate_value::{Value, json};

const SOURCE: &str = r#"{"d": {"e": [1, 2, {"f": "g"}]}, "k k": "space", "dot.ted": "dotted", "0": "zero",
    "lst": ["x", "y"], "n": null, "t": "abc"}"#;

/// What became of a reference: the value, or the class of the original's error that our code stands for.
fn outcome(place: &str, text: &str) -> Result<Value, &'static str> {
    let quoted = Value::from(text).to_json();
    let (outputs, input) = match place {
        "node" => ("${use.output}".to_owned(), quoted),
        _ => (text.to_owned(), "1".to_owned()),
    };
    let yaml = format!(
        "inputs:\n  q: {{type: object, default: {{sub: 1}}}}\noutputs:\n  r: {{type: object, reference: {}}}\nnodes:\n\
         - name: src\n  type: expression\n  expression: '1'\n\
         - name: use\n  type: expression\n  expression: x\n  inputs: {{x: {input}}}\n",
        Value::from(outputs).to_json()
    );
    let files = MemoryFiles::new(&[("f/flow.dag.yaml", &yaml)]);
    let compiled = compile(&files, "f", &CompileOptions::default());
    let Some(plan) = compiled.plan else {
        let code = compiled.problems.iter().find(|problem| problem.severity == sluicegate_source::Severity::Error);
        return Err(match code.map(|problem| problem.code) {
            Some("flow::unknown_node") => "NodeReferenceNotFound",
            Some("flow::unknown_input") => "InputReferenceNotFound",
            Some("flow::unknown_output_reference") => "OutputReferenceNotFound",
            Some("flow::empty_output_reference") => "EmptyOutputReference",
            Some("flow::unsupported_reference") => "UnsupportedReference",
            other => panic!("{text}: {other:?}"),
        });
    };
    let operand = match place {
        "node" => &plan.node(plan.find("use").unwrap()).inputs["x"],
        _ => &plan.outputs["r"].from,
    };
    match operand {
        Operand::Literal(value) => Ok(value.clone()),
        Operand::Input(name) => Ok(plan.default_of(name).unwrap()),
        Operand::Output { property, written, .. } => {
            match property::walk("src", &json::read(SOURCE).unwrap(), property, written) {
                Ok(value) => Ok(value),
                Err(PropertyError::Missing(_)) => Err("InvalidReferenceProperty"),
                Err(PropertyError::InWorker { .. }) => panic!("there is no worker"),
            }
        }
    }
}

#[test]
fn references_lead_where_prompt_flow_led() {
    let mut checked = 0;
    for line in include_str!("data/references.jsonl").lines() {
        let record = json::read(line).unwrap();
        let field = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = outcome(&field("place"), &field("text"));
        let expected = match record.get("value") {
            Some(value) => Ok(value.clone()),
            None => Err(field("error")),
        };
        let found = found.map_err(str::to_owned);
        // A Python method is no JSON, so the original fails a moment later.
        let expected = expected.map_err(|error| error.replace("FlowOutputUnserializable", "InvalidReferenceProperty"));
        assert_eq!(found, expected, "{}", field("case"));
        checked += 1;
    }
    assert_eq!(checked, 67);
}
