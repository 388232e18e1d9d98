//! A `.prompty` as a flow of its own, and as a node.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, bind};
use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::MemoryFiles;
use sluicegate_flow::plan::{NodeKind, Operand, Plan};
use sluicegate_value::{Map, Value};

use crate::project::{check_problems, plan_of};

const PROMPTY: &str = "\
---
name: Extract
model:
  api: chat
  configuration:
    type: azure_openai
    azure_deployment: ${env:DEPLOYMENT}
    azure_endpoint: ${env:ENDPOINT}
  parameters: {response_format: {type: json_object}}
inputs:
  text: {type: string}
  style: {type: string, default: short}
outputs:
  names: {type: list}
sample: {text: from the sample}
---
user:
{{ text }} {{ style }}
";

fn plan(prompty: &str) -> Arc<Plan> {
    let compiled = compile(&MemoryFiles::new(&[("p/x.prompty", prompty)]), "p/x.prompty", &CompileOptions::default());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    compiled.plan.unwrap_or_else(|| panic!("{problems:#?}"))
}

#[test]
fn a_prompty_is_a_flow_of_one_node() {
    let plan = plan(PROMPTY);
    assert_eq!((&*plan.name, plan.nodes.len()), ("Extract", 1));
    assert_eq!(plan.inputs.keys().map(|name| &**name).collect::<Vec<_>>(), ["text", "style"]);
    assert!(matches!(&plan.outputs["names"].from, Operand::Output { written, .. } if &**written == "names"));
    let sample = plan.resolve_inputs(&Map::new()).unwrap();
    assert_eq!(Value::from(sample).to_json(), r#"{"text":"from the sample","style":"short"}"#);
    assert!(plan.resolve_inputs(&Map::from([("style", Value::from("long"))])).is_err(), "the sample is all or nothing");
}

#[test]
fn plain_text_is_one_output() {
    let plain = plan(&PROMPTY.replace("  parameters: {response_format: {type: json_object}}\n", ""));
    assert!(matches!(&plain.outputs["names"].from, Operand::Output { property, .. } if property.is_empty()));
    let none = plan(&PROMPTY.replace("outputs:\n  names: {type: list}\n", ""));
    assert_eq!(none.outputs.keys().map(|name| &**name).collect::<Vec<_>>(), ["output"]);
}

#[test]
fn a_connection_from_outside_makes_its_own_settings_unneeded() {
    let plan = plan(PROMPTY);
    let nothing = |_: &str| None;
    let mut bindings = Bindings::new(&nothing);
    let problems = bind(&plan, &bindings).unwrap_err();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "p/x.prompty:7:23: variable `DEPLOYMENT` is not set, which `model.configuration.azure_deployment` takes",
            "p/x.prompty:8:21: variable `ENDPOINT` is not set, which `model.configuration.azure_endpoint` takes",
        ]
    );
    bindings.connection_name = Some("local".into());
    bindings.deployment_name = Some("gpt".into());
    let bound = bind(&plan, &bindings).unwrap();
    let NodeKind::Prompty(prompty) = &bound.plan().nodes[0].kind else { panic!() };
    assert_eq!(
        (prompty.model.connection.as_deref(), prompty.model.deployment.as_deref()),
        (Some("local"), Some("gpt"))
    );
}

#[test]
fn a_prompty_node_is_given_what_the_prompty_needs() {
    let node = |inputs: &str| {
        format!(
            "inputs: {{q: {{type: string}}}}\noutputs: {{}}\nnodes:\n- {{name: a, type: prompty, source: {{path: x.prompty}}, inputs: {{{inputs}}}}}\n"
        )
    };
    check_problems(
        &node("txt: '${inputs.q}'"),
        &[("f/x.prompty", PROMPTY)],
        &[
            "error flow::missing_input f/flow.dag.yaml:4:10: node `a` does not give input `text`, which `f/x.prompty` needs [add `text: ${…}` to its inputs]",
            "warning flow::unknown_inner_input f/flow.dag.yaml:4:64: prompty `f/x.prompty` has no input `txt`; it is ignored [did you mean `text`?]",
        ],
    );
    let plan = plan_of(&[("f/flow.dag.yaml", &node("text: '${inputs.q}'")), ("f/x.prompty", PROMPTY)]);
    assert!(matches!(plan.nodes[0].kind, NodeKind::Prompty(_)));
    assert_eq!(plan.needs.len(), 2);
}

#[test]
fn an_authors_own_images_are_loaded_from_the_promptys_folder_and_data_reads_no_file() {
    let prompty = "---\nmodel: {api: chat, configuration: {type: openai, model: m}}\ninputs:\n  logo: {type: image, default: 'data:image/png;path:img/logo.png'}\nsample: {logo: 'data:image/png;path:img/logo.png'}\n---\nuser:\n![image]({{logo}})\n";
    let files = MemoryFiles::new(&[("p/a.prompty", prompty), ("p/img/logo.png", "PNG"), ("secret.png", "no")]);
    let compiled = compile(&files, "p/a.prompty", &CompileOptions::default());
    let plan = compiled.plan.unwrap_or_else(|| panic!("{:?}", compiled.problems));
    let loaded = Some(r#"{"data:image/png;base64":"UE5H"}"#.to_owned());
    let default = plan.inputs["logo"].default.as_ref();
    assert_eq!(default.map(|value| value.to_json()), loaded);
    assert_eq!(plan.sample.as_ref().and_then(|sample| sample.get("logo")).map(|value| value.to_json()), loaded);
    let given = sluicegate_value::Map::from([("logo", "data:image/png;path:img/logo.png")]);
    let resolved = plan.resolve_inputs(&given).unwrap();
    assert_eq!(resolved.get("logo").and_then(|value| value.as_str()), Some("data:image/png;path:img/logo.png"));

    let outside = prompty.replace("img/logo.png", "../secret.png");
    let files = MemoryFiles::new(&[("p/a.prompty", &outside), ("secret.png", "no")]);
    let compiled = compile(&files, "p/a.prompty", &CompileOptions::default());
    let told: Vec<String> = compiled.problems.iter().map(|problem| format!("{} {problem}", problem.code)).collect();
    assert_eq!(
        told,
        [
            "flow::bad_image p/a.prompty:1:1: something in `sample` should be an image: `../secret.png` lies outside of the project",
            "flow::bad_image p/a.prompty:4:3: the default of input `logo` should be an image: `../secret.png` lies outside of the project",
        ]
    );
}
