//! The flows of a project: what they are made of, and whether they are sound here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::DiskFiles;
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_source::yaml::{self, Document};
use sluicegate_source::{Problem, Severity};
use sluicegate_value::Value;

use super::config_file::ConfigFacts;
use super::survey::{is_below, name_of, parent};

/// Folders whose name says what part of a project they are, not which flow.
const NOT_A_NAME: &[&str] = &["standard", "flow", "flows", "src", "evaluation", "evaluate"];

/// A flow of the project.
#[derive(Debug)]
pub(crate) struct FlowFacts {
    /// What the config calls it, or should.
    pub(crate) name: String,
    /// Its folder; its file for a prompty.
    pub(crate) path: String,
    pub(crate) file: String,
    pub(crate) shape: Shape,
    /// Compiled as it will be run.
    pub(crate) plan: Option<Arc<Plan>>,
    /// What is wrong or odd, a line each.
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
    /// How many nodes of each kind.
    pub(crate) kinds: BTreeMap<String, usize>,
    /// Each node that asks a model, with its connection and deployment.
    pub(crate) asking: Vec<Asking>,
    /// Connections that Python nodes are given.
    pub(crate) other_connections: BTreeSet<String>,
    pub(crate) is_chat: bool,
    /// Whether it evaluates: `type: evaluation`, or nodes over all lines.
    pub(crate) has_aggregation: bool,
    pub(crate) is_csharp: bool,
    /// Whether it is run by itself; a prompty beside a flow is a part of it.
    pub(crate) is_own: bool,
    /// A secret that stands in its file.
    pub(crate) written_secrets: Vec<String>,
}

/// Which form a flow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Dag,
    Flex,
    Prompty,
}

/// A node that asks a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asking {
    pub(crate) node: String,
    pub(crate) connection: Option<String>,
    pub(crate) deployment: Option<String>,
    /// Whether its connection is OpenAI's, not Azure's, by what the node says.
    pub(crate) is_open_ai: bool,
}

impl FlowFacts {
    /// Whether Python runs in it.
    pub(crate) fn needs_python(&self) -> bool {
        self.shape == Shape::Flex || self.kinds.keys().any(|kind| kind == "python" || kind == "custom_llm")
    }

    /// Every connection that it names.
    pub(crate) fn connections(&self) -> BTreeSet<&str> {
        let asked = self.asking.iter().filter_map(|asking| asking.connection.as_deref());
        asked.chain(self.other_connections.iter().map(String::as_str)).collect()
    }

    /// What it is made of, in words.
    pub(crate) fn described(&self) -> String {
        match self.shape {
            Shape::Flex => "flex flow, Python".to_owned(),
            Shape::Prompty => "prompty".to_owned(),
            Shape::Dag if self.kinds.is_empty() => "no nodes".to_owned(),
            Shape::Dag => {
                let kinds = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
                kinds.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Every flow among the project's files.
pub(crate) fn all(root: &Path, documents: &[Document], prompties: &[&String], config: &ConfigFacts) -> Vec<FlowFacts> {
    let files = DiskFiles::new(root);
    let mut flows = Vec::new();
    for document in documents {
        let file = document.file.name();
        let name = name_of(file);
        let is_dag = matches!(name, "flow.dag.yaml" | "flow.dag.yml");
        let is_flex = matches!(name, "flow.flex.yaml" | "flow.flex.yml");
        // A flow may have another name; then its shape tells.
        let is_by_shape =
            name.contains("flow") && document.root.get("nodes").is_some_and(|nodes| nodes.as_list().is_some());
        if is_dag || is_flex || is_by_shape {
            let shape = if document.root.get("entry").is_some() { Shape::Flex } else { Shape::Dag };
            let path = if is_dag || is_flex { parent(file) } else { file };
            let path = if path.is_empty() { "." } else { path };
            flows.push(FlowFacts::of(&files, path, file, shape, &document.root));
        }
    }
    let folders: Vec<String> = flows.iter().map(|flow| parent(&flow.file).to_owned()).collect();
    for file in prompties {
        let root = front_matter(&files, file);
        let mut flow = FlowFacts::of(&files, file, file, Shape::Prompty, &root);
        flow.is_own = !folders.iter().any(|folder| is_below(file, folder) && !folder.is_empty());
        flows.push(flow);
    }
    name_all(&mut flows, config);
    flows
}

impl FlowFacts {
    fn of(files: &DiskFiles, path: &str, file: &str, shape: Shape, root: &yaml::Node) -> Self {
        let compiled = compile(files, path, &CompileOptions::default());
        let lines = |severity: Severity| {
            let of_severity = compiled.problems.iter().filter(move |problem| problem.severity == severity);
            of_severity.map(line_of).collect::<Vec<_>>()
        };
        let mut flow = Self {
            name: String::new(),
            path: path.to_owned(),
            file: file.to_owned(),
            shape,
            errors: lines(Severity::Error),
            warnings: lines(Severity::Warning),
            plan: compiled.plan,
            kinds: BTreeMap::new(),
            asking: Vec::new(),
            other_connections: BTreeSet::new(),
            is_chat: false,
            has_aggregation: false,
            is_csharp: text_at(root, &["language"]).as_deref() == Some("csharp"),
            is_own: true,
            written_secrets: Vec::new(),
        };
        match shape {
            Shape::Dag => flow.read_nodes(root),
            Shape::Prompty => flow.read_prompty(root),
            Shape::Flex => {}
        }
        if let Some(plan) = &flow.plan {
            flow.is_chat = plan.chat.is_some();
            if shape == Shape::Dag {
                flow.kinds = kinds_of(plan);
            }
        }
        flow
    }

    fn read_nodes(&mut self, root: &yaml::Node) {
        let nodes = root.get("nodes").and_then(yaml::Node::as_list).unwrap_or_default();
        let variants = root.get("node_variants").and_then(yaml::Node::as_map).unwrap_or_default();
        let variants = variants
            .iter()
            .filter_map(|entry| entry.value.get("variants")?.as_map())
            .flatten()
            .filter_map(|variant| variant.value.get("node"));
        for node in nodes.iter().chain(variants) {
            let kind = text_at(node, &["type"]).unwrap_or_default();
            *self.kinds.entry(if kind.is_empty() { "node".to_owned() } else { kind.clone() }).or_default() += 1;
            self.has_aggregation |= ["aggregation", "reduce"]
                .iter()
                .any(|key| node.get(key).and_then(yaml::Node::as_scalar).and_then(Value::as_bool) == Some(true));
            let connection = text_at(node, &["connection"]);
            let given = |keys: [&str; 2]| {
                let literal = keys.iter().find_map(|key| text_at(node, &["inputs", key]));
                literal.filter(|text| !text.is_empty() && !text.starts_with("${"))
            };
            match kind.as_str() {
                "llm" | "embedding" => self.asking.push(Asking {
                    node: text_at(node, &["name"]).unwrap_or_default(),
                    connection: connection.filter(|name| !name.is_empty()),
                    deployment: given(["deployment_name", "model"]),
                    is_open_ai: text_at(node, &["provider"]).as_deref() == Some("OpenAI")
                        || text_at(node, &["module"]).is_some_and(|module| module.ends_with("tools.openai")),
                }),
                _ => self.other_connections.extend(connection.filter(|name| !name.is_empty())),
            }
            for input in node.get("inputs").and_then(yaml::Node::as_map).unwrap_or_default() {
                let name = input.value.as_str().filter(|text| !text.is_empty() && !text.starts_with("${"));
                let is_named = input.key.ends_with("connection") || &*input.key == "conn";
                self.other_connections.extend(name.filter(|_| is_named).map(str::to_owned));
            }
        }
    }

    fn read_prompty(&mut self, root: &yaml::Node) {
        let configuration = ["model", "configuration"];
        let text = |key: &str| text_at(root, &[configuration[0], configuration[1], key]);
        self.kinds.insert("prompty".to_owned(), 1);
        let stem = name_of(&self.file).trim_end_matches(".prompty").to_owned();
        self.asking.push(Asking {
            node: stem,
            connection: text("connection").filter(|name| !name.is_empty()),
            deployment: text("azure_deployment").or_else(|| text("model")).filter(|name| !name.starts_with("${")),
            is_open_ai: text("type").is_some_and(|kind| matches!(kind.as_str(), "openai" | "open_ai")),
        });
        if text("api_key").is_some_and(|key| !key.is_empty() && !key.contains("${")) {
            self.written_secrets.push("model.configuration.api_key".to_owned());
        }
    }
}

/// The front matter of a prompty; nothing if it has none.
fn front_matter(files: &DiskFiles, path: &str) -> yaml::Node {
    let text = sluicegate_flow::files::read_text(files, path).unwrap_or_default();
    let front = text.trim_start_matches('\u{feff}').strip_prefix("---").and_then(|rest| rest.split_once("\n---"));
    let source = sluicegate_source::SourceFile::new(path, front.map_or("", |(front, _)| front));
    let nothing = || yaml::Node {
        span: sluicegate_source::Span::default(),
        defined: None,
        data: yaml::Data::Scalar { value: Value::Null, plain: true },
    };
    yaml::read(&source).map_or_else(|_| nothing(), |document| document.root)
}

fn kinds_of(plan: &Plan) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for node in &plan.nodes {
        let word = match &node.kind {
            NodeKind::Python(python) if python.template.is_some() => "custom_llm",
            kind => kind.word(),
        };
        *kinds.entry(word.to_owned()).or_default() += 1;
    }
    kinds
}

/// A problem with what to do, on one line.
fn line_of(problem: &Problem) -> String {
    let help = problem.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
    format!("{problem}{help}").replace('\n', " ")
}

/// The text at a path of keys; a number is text too.
pub(crate) fn text_at(node: &yaml::Node, keys: &[&str]) -> Option<String> {
    let found = keys.iter().try_fold(node, |node, key| node.get(key))?;
    match found.as_scalar()? {
        Value::Str(text) => Some(text.to_string()),
        Value::Null => None,
        other => Some(other.to_json()),
    }
}

/// Names: what the config says; else the folder's, or that of the folder around it; each once.
fn name_all(flows: &mut [FlowFacts], config: &ConfigFacts) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for flow in flows.iter_mut() {
        if let Some(name) = config.name_of(&flow.path).or_else(|| config.name_of(&flow.file)) {
            flow.name = name.to_owned();
            taken.insert(name.to_owned());
        }
    }
    for flow in flows.iter_mut().filter(|flow| flow.name.is_empty()) {
        let path = flow.path.strip_suffix(".prompty").unwrap_or(&flow.path);
        let path = path.strip_suffix(".yaml").or_else(|| path.strip_suffix(".yml")).unwrap_or(path);
        let mut folders: Vec<&str> = path.split('/').filter(|name| *name != ".").collect();
        let mut name = folders.pop().unwrap_or("flow").to_owned();
        if flow.shape != Shape::Prompty
            && NOT_A_NAME.contains(&name.as_str())
            && let Some(around) = folders.pop().filter(|around| !NOT_A_NAME.contains(around))
        {
            name = if matches!(name.as_str(), "evaluation" | "evaluate") {
                format!("{around}_{name}")
            } else {
                around.to_owned()
            };
        }
        let name = word(&name);
        let mut candidate = name.clone();
        while !taken.insert(candidate.clone()) {
            candidate = match folders.pop() {
                Some(folder) => format!("{}_{candidate}", word(folder)),
                None => format!("{candidate}_2"),
            };
        }
        flow.name = candidate;
    }
}

/// A name that a section can have.
fn word(name: &str) -> String {
    let word: String = name.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '_' }).collect();
    if word.is_empty() { "flow".to_owned() } else { word }
}
