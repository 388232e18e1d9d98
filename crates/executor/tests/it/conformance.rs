//! The original's recorded behaviour (promptflow 1.18.5), on its own flows with its own Python files: every record of
//! `run.jsonl` behaves as recorded, or its difference stands in [`DIFFERENCES`] with its reason.
//!
//! `SLUICEGATE_CONFORMANCE=DIR` names another folder of that shape: `flows/` and `run.jsonl`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use sluicegate_events::NodeStatus;
use sluicegate_executor::python::{PythonSide, load_tools};
use sluicegate_executor::{Engine, RunReport};
use sluicegate_flow::coerce::InputError;
use sluicegate_value::{Map, Value, json, python};

use crate::python_support::{Disk, pools, run_on};
use crate::support::*;

/// What differs on purpose: flow, and why. A name that ends with `*` is the beginning of several.
const DIFFERENCES: &[(&str, &str)] = &[
    ("ref_15", "a method of a text (`.upper`) is no property of it: the reference fails where it is, not the output"),
    (
        "outref_15",
        "a method of a text (`.upper`) is no property of it: the reference fails where it is, not the output",
    ),
    (
        "prompt_nodes",
        "a method of a text (`.upper`) is no property of it: the reference fails where it is, not the output",
    ),
    ("prompt_no_up", "a prompt node's text arrives as `str`, not as `PromptResult`"),
    (
        "literal_coercion",
        "a date is the text that was written; numbers are Python's own, not YAML's subclasses of them",
    ),
    ("py_sysexit", "`sys.exit` in a tool fails its node, not the process"),
    ("py_generator", "what a generator gave is kept as its node's output, not `<generator object …>`"),
    ("py_async_gen", "what a generator gave is kept as its node's output, not `<async_generator object …>`"),
    ("py_datetime_out", "an object's text is `str()` of it, not `repr()`"),
];

/// The original's error class of what is wrong here.
fn class_of(code: &str) -> &'static [&'static str] {
    match code {
        "flow::unsupported_reference" => &["UnsupportedReference"],
        "flow::unknown_node" => &["NodeReferenceNotFound"],
        "flow::unknown_input" => &["InputReferenceNotFound"],
        "flow::unknown_output_reference" => &["OutputReferenceNotFound"],
        "flow::empty_output_reference" => &["EmptyOutputReference"],
        "reference" => &["InvalidReferenceProperty"],
        "template" => &["JinjaTemplateError"],
        "python" => &["ToolExecutionError"],
        "unserializable" => &["FlowOutputUnserializable"],
        "python::no_tool_defined" => &["NoToolDefined"],
        "python::multiple_tools_defined" => &["MultipleToolsDefined"],
        "python::python_load_error" => &["PythonLoadError"],
        "python::node_input_validation_error" => &["NodeInputValidationError"],
        _ => &[],
    }
}

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

/// A value as JSON, without what differs from run to run: addresses of objects.
fn told(value: &Value) -> Value {
    let written = json::read(&value.to_json()).unwrap();
    written
        .map_strings(&mut |text| {
            let (before, after) = text.split_once(" at 0x")?;
            let rest = after.trim_start_matches(|letter: char| letter.is_ascii_hexdigit() || letter == '.');
            Some(format!("{before} at 0x..{rest}"))
        })
        .unwrap_or(written)
}

/// What came of a record here.
struct Found {
    outputs: Result<Value, Wrong>,
    nodes: BTreeMap<String, (NodeStatus, Value)>,
    metrics: Map,
}

/// What is wrong, and where.
#[derive(Debug)]
struct Wrong {
    classes: Vec<String>,
    messages: Vec<String>,
    node: Option<String>,
}

impl Found {
    fn wrong(classes: Vec<String>, messages: Vec<String>) -> Self {
        let outputs = Err(Wrong { classes, messages, node: None });
        Self { outputs, nodes: BTreeMap::new(), metrics: Map::new() }
    }

    fn of(report: RunReport) -> Self {
        let nodes = report.summary.nodes.iter();
        let nodes =
            nodes.map(|(path, node)| (path.to_string(), (node.status, node.output.clone().unwrap_or_default())));
        let outputs = match (report.failure, report.outputs) {
            (Some(failure), _) => Err(Wrong {
                classes: class_of(&failure.code).iter().map(ToString::to_string).collect(),
                messages: vec![failure.message],
                node: report.failed_node.map(|node| node.to_string()),
            }),
            (None, outputs) => Ok(outputs.unwrap_or_default().into()),
        };
        let metrics = report.summary.metrics.iter().map(|(key, value)| (Arc::<str>::from(key.as_str()), value.clone()));
        Self { outputs, nodes: nodes.collect(), metrics: metrics.collect() }
    }
}

struct Corpus {
    disk: Arc<Disk>,
    side: Arc<PythonSide>,
    _copy: tempfile::TempDir,
}

impl Corpus {
    async fn run(&self, engine: &Engine, flow: &str, given: &Map) -> Found {
        let bound = self.disk.bound(flow);
        let loaded = match &bound {
            Ok(bound) => load_tools(&self.side, bound).await,
            Err(problems) => Err(problems.clone()),
        };
        let plan = match loaded {
            Ok(plan) => plan,
            Err(problems) => {
                let codes = problems.iter().flat_map(|problem| class_of(problem.code)).map(ToString::to_string);
                return Found::wrong(codes.collect(), problems.iter().map(|problem| problem.message.clone()).collect());
            }
        };
        match plan.plan().resolve_inputs(given) {
            Ok(inputs) => Found::of(run_on(engine, &plan, inputs).await),
            Err(errors) => {
                let class = match &errors[0] {
                    InputError::Type { .. } => "InputTypeError",
                    InputError::Json { .. } => "InputParseError",
                    InputError::Missing { .. } => "InputNotFound",
                    InputError::Image { .. } => "image",
                };
                Found::wrong(vec![class.to_owned()], errors.iter().map(ToString::to_string).collect())
            }
        }
    }
}

/// What differs between a record and what was found.
fn differences(record: &Value, found: &Found) -> Vec<String> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut differing = Vec::new();
    match (&found.outputs, record.get("outputs")) {
        (Ok(found), Some(expected)) => {
            let (found, expected) = (told(found), with_floats(expected));
            // NaN is what NaN is.
            if found.to_json() != expected.to_json() && !found.python_eq(&expected) {
                differing.push(format!("gives {}, not {}", found.to_json(), expected.to_json()));
            }
        }
        (Ok(found), None) => {
            differing.push(format!("gives {}, and should fail: {}", told(found).to_json(), text("error")))
        }
        (Err(wrong), Some(_)) => differing.push(format!("fails: {wrong:?}")),
        (Err(wrong), None) => {
            let inner = if text("error_inner").is_empty() { text("error") } else { text("error_inner") };
            let class = inner.split(':').next().unwrap_or_default();
            if !wrong.classes.iter().any(|found| found == class) {
                differing.push(format!("fails as {wrong:?}, not as {class}"));
            }
            // A tool's exception in its own words, at its node.
            let message = inner.split_once(": ").map_or("", |(_, message)| message);
            if let Some((node, raised)) =
                message.strip_prefix("Execution failure in '").and_then(|rest| rest.split_once("': "))
                && (wrong.node.as_deref() != Some(node) || wrong.messages != [raised])
            {
                differing.push(format!("fails as {wrong:?}, not at `{node}` with {raised}"));
            }
            let said = message.split("<EXTRA>").last().unwrap_or_default().trim_start_matches('/');
            let is_of_python = matches!(
                class,
                "NoToolDefined" | "MultipleToolsDefined" | "PythonLoadError" | "NodeInputValidationError"
            );
            if is_of_python && !wrong.messages.iter().any(|found| found.contains(said)) {
                differing.push(format!("says {:?}, not {message}", wrong.messages));
            }
        }
    }
    // What is found before a flow runs has no nodes.
    let ran = !found.nodes.is_empty();
    for (name, node) in record.get("nodes").and_then(Value::as_map).into_iter().flat_map(Map::iter).filter(|_| ran) {
        let expected = with_floats(node.get("output").unwrap_or(&Value::Null));
        let status = node.get("status").and_then(Value::as_str).unwrap_or_default();
        match found.nodes.get(&**name) {
            // Whatever runs beside a node that fails may be over or not.
            None | Some((NodeStatus::Cancelled, _)) if found.outputs.is_err() => {}
            None => differing.push(format!("node {name} does not run")),
            Some((found, output)) => {
                if found.word() != status.to_lowercase() {
                    differing.push(format!("node {name} is {}, not {status}", found.word()));
                } else if told(output).to_json() != told(&expected).to_json() && !told(output).python_eq(&expected) {
                    differing.push(format!("node {name} gives {}, not {}", told(output).to_json(), expected.to_json()));
                }
            }
        }
    }
    let metrics = record.get("metrics").and_then(Value::as_map).cloned().unwrap_or_default();
    if found.outputs.is_ok() && Value::from(metrics.clone()) != Value::from(found.metrics.clone()) {
        differing.push(format!("metrics are {}", Value::from(found.metrics.clone()).to_json()));
    }
    differing
}

fn reason(flow: &str) -> Option<&'static str> {
    let known = DIFFERENCES.iter().find(|(name, _)| match name.strip_suffix('*') {
        Some(beginning) => flow.starts_with(beginning),
        None => flow == *name,
    });
    known.map(|(_, reason)| *reason)
}

#[tokio::test]
async fn every_record_behaves_as_recorded() {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests may name another corpus")]
    let named = std::env::var_os("SLUICEGATE_CONFORMANCE").map(PathBuf::from);
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/promptflow");
    let corpus_folder = named.clone().unwrap_or(ours);
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&corpus_folder.join("flows"), copy.path());
    let disk = Arc::new(Disk { root: copy.path().to_owned(), connections: Mutex::default() });
    let side = Arc::new(PythonSide::new(pools(1), disk.clone()));
    let corpus = Corpus { disk, side, _copy: copy };
    let engine =
        Engine { python: Some(corpus.side.clone()), ..engine(&FakeModel::echo(), &Arc::new(MemoryJournal::default())) };
    let records = std::fs::read_to_string(corpus_folder.join("run.jsonl")).unwrap();
    let (mut differing, mut count, mut excused) = (Vec::new(), 0, BTreeMap::<String, usize>::new());
    for line in records.lines().filter(|line| !line.trim().is_empty()) {
        let record = json::read(line).unwrap();
        let flow = record.get("flow").and_then(Value::as_str).unwrap();
        let name = flow.strip_prefix("flows/").unwrap_or(flow);
        let given = with_floats(record.get("inputs").unwrap());
        let found = corpus.run(&engine, name, given.as_map().unwrap()).await;
        let differences = differences(&record, &found);
        match (differences.is_empty(), reason(name)) {
            (true, _) => {}
            (false, Some(_)) => *excused.entry(name.to_owned()).or_default() += 1,
            (false, None) => {
                differing.push(format!("{name} on {}:\n    {}", given.to_json(), differences.join("\n    ")));
            }
        }
        count += 1;
    }
    corpus.side.shutdown().await;
    assert!(differing.is_empty(), "{} of {count} differ:\n{}", differing.len(), differing.join("\n"));
    if named.is_none() {
        assert_eq!(count, 330);
        let unused: Vec<&str> =
            DIFFERENCES.iter().map(|(name, _)| *name).filter(|name| !excused.contains_key(*name)).collect();
        assert!(unused.is_empty(), "no difference any more: {unused:?}");
    }
    eprintln!("{count} records, {} differ on purpose", excused.values().sum::<usize>());
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `{"type": .., "repr": ..}`, as some flows of the corpus tell a value of Python.
#[test]
fn values_are_told_as_python_tells_them() {
    assert_eq!(python::repr(&told(&Value::from("<object object at 0x7f93>"))), "'<object object at 0x..>'");
}
