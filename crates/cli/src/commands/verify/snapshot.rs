//! What changed in a flow since a run of it: the run's own copy, beside the flow as it is now.

use std::collections::BTreeMap;
use std::path::Path;

use sluicegate_source::{SourceFile, yaml};
use sluicegate_value::{Map, Value};

use super::difference::differences;

/// Files of a copy beyond this many are not compared.
const MOST_FILES: usize = 2_000;
const DAG_NAMES: [&str; 2] = ["flow.dag.yaml", "flow.dag.yml"];

/// What differs between a flow and the copy of it that a run kept.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Files that are not as they were, or are gone, by their paths in the flow's folder.
    files: Vec<String>,
    /// What differs in `flow.dag.yaml`, by node; the empty name is the flow itself.
    nodes: BTreeMap<String, Vec<String>>,
    /// The source file of each node.
    sources: BTreeMap<String, String>,
}

impl Changes {
    /// Compares a flow (its folder, or a prompty) with the copy in a run folder.
    pub(crate) fn between(run_folder: &Path, flow: &Path) -> Self {
        let copy = run_folder.join("snapshot");
        let folder = if flow.is_dir() { flow } else { flow.parent().unwrap_or(flow) };
        let mut changes = Self::default();
        let mut names = Vec::new();
        list(&copy, "", &mut names);
        for name in names {
            let then = std::fs::read(copy.join(&name)).unwrap_or_default();
            let now = std::fs::read(folder.join(&name)).ok();
            if DAG_NAMES.contains(&name.as_str()) {
                changes
                    .compare_flows(&String::from_utf8_lossy(&then), &String::from_utf8_lossy(&now.unwrap_or_default()));
            } else if now.is_none_or(|now| without_returns(&now) != without_returns(&then)) {
                changes.files.push(name);
            }
        }
        changes.files.sort();
        changes
    }

    /// Whether anything changed that a person should know of.
    pub(crate) fn files(&self) -> &[String] {
        &self.files
    }

    /// What changed in the definition of a node or of its file.
    pub(crate) fn of_node(&self, node: &str) -> Option<String> {
        let mut told = self.nodes.get(node).cloned().unwrap_or_default();
        let source = self.sources.get(node);
        told.extend(source.filter(|source| self.files.contains(source)).map(|source| format!("`{source}` changed")));
        (!told.is_empty()).then(|| format!("since that run: {}", told.join("; ")))
    }

    /// What changed in a single file.
    pub(crate) fn of_file(&self, name: &str) -> Option<String> {
        self.files.iter().any(|changed| changed == name).then(|| format!("since that run: `{name}` changed"))
    }

    fn compare_flows(&mut self, then: &str, now: &str) {
        let read =
            |text: &str| yaml::read(&SourceFile::new("flow.dag.yaml", text)).ok().map(|file| file.root.to_value());
        let (Some(then), Some(now)) = (read(then), read(now)) else { return };
        let (nodes_then, nodes_now) = (nodes_of(&then), nodes_of(&now));
        for (name, node) in &nodes_now {
            let path =
                |node: &Value| Some(node.get("source")?.get("path")?.as_str()?.trim_start_matches("./").to_owned());
            if let Some(source) = path(node) {
                self.sources.insert(name.clone(), source);
            }
            let Some(before) = nodes_then.get(name) else {
                self.nodes.entry(name.clone()).or_default().push(format!("node `{name}` is new"));
                continue;
            };
            for found in differences(before, node) {
                let now = found.ours.map_or_else(|| "gone".to_owned(), |value| value.to_json());
                let then = found.recorded.map_or_else(|| "not there".to_owned(), |value| value.to_json());
                let told = format!("`{}` of node `{name}` is {now}, and was {then}", found.path);
                self.nodes.entry(name.clone()).or_default().push(told);
            }
        }
        for key in ["inputs", "outputs"] {
            let section = |flow: &Value| flow.get(key).cloned().unwrap_or_default();
            for found in differences(&section(&then), &section(&now)) {
                self.nodes.entry(String::new()).or_default().push(format!("`{key}.{}` changed", found.path));
            }
        }
    }
}

fn nodes_of(flow: &Value) -> BTreeMap<String, Value> {
    let nodes = flow.get("nodes").and_then(Value::as_list).unwrap_or_default();
    // The copy is resolved: a variant stands in the node itself there.
    let without_variants = |node: &Map| {
        node.iter()
            .filter(|(key, _)| &***key != "use_variants")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Map>()
    };
    nodes
        .iter()
        .filter_map(|node| Some((node.get("name")?.as_str()?.to_owned(), without_variants(node.as_map()?).into())))
        .collect()
}

/// Windows and git write line ends as they like.
fn without_returns(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| *byte != b'\r').collect()
}

/// The files below a folder, but not what tools leave there.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && !name.starts_with('.') && name != "__pycache__" {
            list(&entry.path(), &path, names);
        } else if kind.is_file() && !name.starts_with('.') && names.len() < MOST_FILES {
            names.push(path);
        }
    }
}
