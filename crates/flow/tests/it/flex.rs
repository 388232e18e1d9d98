//! Flex flows: a Python function or class in place of nodes.

use std::sync::Arc;

use sluicegate_flow::bind::{Bindings, bind};
use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::draw;
use sluicegate_flow::files::MemoryFiles;
use sluicegate_flow::plan::{Entry, NodeKind, Plan};
use sluicegate_model::ConnectionName;
use sluicegate_value::{Map, Value, json};

use crate::project::problems_of;

const CLASS: &str = "\
$schema: https://azuremlschemas.azureedge.net/promptflow/latest/Flow.schema.json
entry: flow:ChatFlow
inputs:
  question: { type: string, is_chat_input: true }
  chat_history: { type: list, is_chat_history: true }
  tone: { type: string, default: \"\" }
outputs:
  answer: { type: string, is_chat_output: true }
init:
  model_config: { type: AzureOpenAIModelConfiguration }
  search: { type: CognitiveSearchConnection, default: search }
  most: { type: int, default: 3 }
sample:
  inputs: { question: What is a sluice gate? }
  init: { model_config: { connection: aoai, azure_deployment: gpt }, most: 5 }
environment: { python_requirements_txt: requirements.txt }
environment_variables: { REGION: '${env:REGION}' }
";
const PYTHON: &str = "class ChatFlow:\n    def __init__(self, model_config, search, most=3): ...\n    def __call__(self, question, chat_history=None): ...\n    def __aggregate__(self, lines): ...\n";

fn files() -> Vec<(&'static str, &'static str)> {
    vec![("f/flow.flex.yaml", CLASS), ("f/flow.py", PYTHON), ("f/requirements.txt", "")]
}

fn plan() -> Arc<Plan> {
    plan_of(&files())
}

fn plan_of(files: &[(&str, &str)]) -> Arc<Plan> {
    let compiled = compile(&MemoryFiles::new(files), "f", &CompileOptions::default());
    let problems: Vec<String> = compiled.problems.iter().map(ToString::to_string).collect();
    compiled.plan.unwrap_or_else(|| panic!("{}", problems.join("\n")))
}

/// What is wrong with a flow of this text, beside a module `m` with a function `f`.
#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    let files = [("f/flow.flex.yaml", yaml), ("f/m.py", "def f(x): ...\n"), ("f/pkg/__init__.py", "")];
    assert_eq!(problems_of(&files, &CompileOptions::default()), expected);
}

fn map(text: &str) -> Map {
    json::read(text).unwrap().as_map().unwrap().clone()
}

fn region(name: &str) -> Option<Arc<str>> {
    (name == "REGION").then(|| "eu".into())
}

#[test]
fn the_entry_becomes_a_plan_of_one_node() {
    let plan = plan();
    assert_eq!(plan.nodes.len(), 1);
    assert_eq!(&*plan.nodes[0].name.0, "ChatFlow");
    let NodeKind::Python(python) = &plan.nodes[0].kind else { panic!("{:?}", plan.nodes[0].kind) };
    assert_eq!(python.entry, Some(Entry { entry: "flow:ChatFlow".into(), is_aggregate: false }));
    assert_eq!(plan.inputs.keys().map(|name| &**name).collect::<Vec<_>>(), ["question", "chat_history", "tone"]);
    assert_eq!(plan.outputs.keys().map(|name| &**name).collect::<Vec<_>>(), ["answer"]);
    let chat = plan.chat.clone().unwrap();
    assert_eq!((&*chat.input, &*chat.history, &*chat.output), ("question", "chat_history", "answer"));
    assert_eq!(plan.requirements.as_deref(), Some("f/requirements.txt"));
    let flex = plan.flex.as_ref().unwrap();
    assert!(flex.may_aggregate && flex.open && !flex.signed);
    assert_eq!(flex.init.keys().map(|name| &**name).collect::<Vec<_>>(), ["model_config", "search", "most"]);
    assert!(flex.init["search"].connection);
    let needs: Vec<String> = plan.needs.iter().map(|need| format!("{:?}", need.what)).collect();
    assert_eq!(
        needs,
        [r#"Connection(ConnectionName("search"))"#, r#"Connection(ConnectionName("aoai"))"#, r#"Variable("REGION")"#]
    );
    assert!(draw::mermaid(&plan).contains("python flow:ChatFlow"), "{}", draw::mermaid(&plan));
}

#[test]
fn inputs_that_nobody_declared_go_to_the_function() {
    let plan = plan();
    let given = map(r#"{"question": 5, "more": [1]}"#);
    assert!(plan.unknown_inputs(&given).is_empty());
    assert_eq!(
        Value::from(plan.resolve_inputs(&given).unwrap()).to_json(),
        r#"{"question":"5","chat_history":[],"more":[1]}"#,
        "what the file declares gets its type, and `tone` has no default"
    );
    let sample = plan.resolve_inputs(&Map::new()).unwrap();
    assert_eq!(sample.get("question"), Some(&"What is a sluice gate?".into()));
}

#[test]
fn what_a_class_is_made_with_is_given_or_sampled_or_a_default() {
    let plan = plan();
    let made_with = |init: &str| {
        let mut bindings = Bindings::new(&region);
        bindings.init = map(init);
        Value::from(bind(&plan, &bindings).unwrap().plan().flex.clone().unwrap().init_values).to_json()
    };
    assert_eq!(
        made_with("{}"),
        r#"{"model_config":{"connection":"aoai","azure_deployment":"gpt"},"most":5,"search":"search"}"#
    );
    assert_eq!(made_with(r#"{"most": "7", "other": "x"}"#), r#"{"most":7,"other":"x","search":"search"}"#);
}

#[test]
fn connections_among_it_are_checked() {
    let plan = plan();
    let told = |known: &[&str], init: &str| -> Vec<String> {
        let mut bindings = Bindings::new(&region);
        bindings.connections = Some(known.iter().copied().map(ConnectionName::from).collect());
        bindings.init = map(init);
        let problems = bind(&plan, &bindings).err().into_iter().flatten();
        problems.map(|problem| format!("{} {problem}", problem.code)).collect()
    };
    assert_eq!(told(&["aoai", "search"], "{}"), Vec::<String>::new());
    assert_eq!(
        told(&["aoai"], "{}"),
        ["flow::unknown_connection f/flow.flex.yaml:11:3: there is no connection `search`"]
    );
    assert_eq!(
        told(&["search"], r#"{"model_config": {"connection": "x"}, "most": "many"}"#),
        [
            "flow::unknown_connection f/flow.flex.yaml:2:8: there is no connection `x`",
            "flow::bad_init f/flow.flex.yaml:12:3: `most` of `init` is no `int`: 'many'",
        ]
    );
}

#[test]
fn a_flow_of_nodes_is_made_with_nothing() {
    let plan = plan_of(&[("f/flow.dag.yaml", "outputs: {}\nnodes: []\n")]);
    let mut bindings = Bindings::new(&region);
    bindings.init = map(r#"{"a": 1}"#);
    let problems = bind(&plan, &bindings).unwrap_err();
    assert_eq!(problems[0].to_string(), "flow `f` is no flex flow: nothing is made with `init`");
}

#[test]
fn samples_may_stand_in_files() {
    let plan =
        |yaml: &str| plan_of(&[("f/flow.flex.yaml", yaml), ("f/m.py", "def f(x): ..."), ("f/s.json", r#"{"x": 1}"#)]);
    for yaml in [
        "entry: m:f\nsample: {inputs: '${file:s.json}'}\n",
        "entry: m:f\nsample: ${file:./s.json}\n",
        "entry: m:f\nsample: {x: 1}\n",
    ] {
        assert_eq!(plan(yaml).sample, Some(map(r#"{"x": 1}"#)), "{yaml}");
    }
    check(
        "entry: m:f\nsample: ${file:gone.json}\n",
        &[
            "error flow::file_reference f/flow.flex.yaml:2:9: cannot read `gone.json`: file `f/gone.json` does not exist",
        ],
    );
}

#[test]
fn the_folder_of_the_code_is_where_it_runs() {
    let plan = plan_of(&[("f/flow.flex.yaml", "entry: m.n:f\ncode: src\n"), ("f/src/m/n.py", "def f(): ...")]);
    assert_eq!((&*plan.name, &*plan.folder), ("f", "f/src"));
    check("entry: m:f\ncode: gone\n", &["error flow::missing_file f/flow.flex.yaml:2:7: file `gone` does not exist"]);
}

#[test]
fn an_entry_that_cannot_be_is_told() {
    check(
        "inputs: {}\n",
        &[
            "error flow::missing_key f/flow.flex.yaml:1:1: the flex flow has no `entry` [name the function or class: `entry: module:name`]",
        ],
    );
    check(
        "entry: m.f\n",
        &[
            "error flow::bad_entry f/flow.flex.yaml:1:8: `m.f` is no entry [write the module and the function or class in it: `module:name`, `package.module:name`]",
        ],
    );
    check("entry: m:g\n", &["error flow::unknown_entry f/flow.flex.yaml:1:8: `f/m.py` has no `g`"]);
    check(
        "entry: pkg.sub:f\n",
        &[
            "error flow::missing_file f/flow.flex.yaml:1:8: module `pkg.sub` is not there: neither `pkg/sub.py` nor `pkg/sub/__init__.py`",
        ],
    );
    check(
        "entry: elsewhere.mod:f\n",
        &[
            "warning flow::entry_elsewhere f/flow.flex.yaml:1:8: module `elsewhere.mod` is not in `f`; only Python knows if it is installed",
        ],
    );
    check(
        "entry: m:f\nlanguage: csharp\n",
        &[
            "error flow::kind_not_supported f/flow.flex.yaml:2:11: a flex flow in `csharp` does not run: only Python ones do",
        ],
    );
    check(
        "entry: m:f\nnodes:\n- {name: a, type: python}\n",
        &[
            "error flow::entry_and_nodes f/flow.flex.yaml:2:1: a flow has `nodes`, or it is a flex flow with an `entry` [take out one of the two]",
        ],
    );
}

#[test]
fn keys_and_types_of_the_file_are_checked() {
    check(
        "entry: m:f\ninput: {}\ninputs: {x: {type: strin}, y: {default: 1}}\ninit: {a: {type: Thing}, b: {type: int, default: x}}\n",
        &[
            "error flow::unknown_key f/flow.flex.yaml:2:1: the flex flow has no key `input` [did you mean `inputs`?]",
            "error flow::unknown_type f/flow.flex.yaml:3:20: there is no type `strin` [did you mean `string`?]",
            "error flow::missing_key f/flow.flex.yaml:3:28: input `y` has no `type` [say what it is: `string`, `int`, `double`, `bool`, `list`, `object` or `image`]",
            "warning flow::unknown_type f/flow.flex.yaml:4:18: `Thing` of `init` is a type that is not known here; what is given is passed as it is",
            "error flow::bad_default f/flow.flex.yaml:4:50: the default of `b` is no `int`: 'x'",
        ],
    );
}

#[test]
fn a_flex_flow_is_a_node_of_another_flow() {
    let plan = plan_of(&[
        (
            "f/flow.dag.yaml",
            "inputs: {q: {type: string}}\noutputs: {a: {reference: '${in.output.answer}'}}\nnodes:\n- {name: in, type: flow, source: {path: ../g}, inputs: {x: '${inputs.q}'}}\n",
        ),
        ("g/flow.flex.yaml", "entry: m:f\n"),
        ("g/m.py", "def f(x): ...\n"),
    ]);
    assert!(plan.nodes[0].kind.inner().unwrap().flex.is_some());
}

#[test]
fn values_of_a_class_are_not_printed() {
    let mut bindings = Bindings::new(&region);
    bindings.init = map(r#"{"most": 7, "secret": "hunter2"}"#);
    let bound = bind(&plan(), &bindings).unwrap();
    assert!(!format!("{bound:?} {:?}", bound.plan().flex).contains("hunter2"));
}
