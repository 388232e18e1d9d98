//! What a project holds, read once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_source::SourceFile;
use sluicegate_source::yaml::{self, Document};

use super::config_file::ConfigFacts;
use super::connections::{self, ConnectionFacts};
use super::flows::{self, FlowFacts};
use super::run_files::{self, RunFacts};
use super::scripts::{self, Scripts};
use super::walk::Walk;

/// A file beyond this is data, not something that an author wrote.
const LARGEST: u64 = 2 << 20;

/// What a project holds.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) files: Vec<String>,
    pub(crate) flows: Vec<FlowFacts>,
    pub(crate) config: ConfigFacts,
    pub(crate) connections: Vec<ConnectionFacts>,
    pub(crate) runs: Vec<RunFacts>,
    pub(crate) scripts: Scripts,
    /// Pipelines and shell scripts, as they stand.
    pub(crate) pipelines: Vec<Arc<SourceFile>>,
    /// The text of `.env.sample` and the names in it.
    pub(crate) sample_variables: Option<(String, BTreeSet<String>)>,
    /// Experiment files of the older template.
    pub(crate) experiments: Vec<String>,
    /// What could not be read, or was not.
    pub(crate) notes: Vec<String>,
}

impl Survey {
    /// Reads the project in `root`.
    pub(crate) fn of(root: &Path) -> Self {
        let Walk { files, mut notes } = Walk::of(root);
        let mut reader = Reader { root: root.to_owned(), notes: Vec::new() };
        let (mut documents, mut pipelines, mut experiments) = (Vec::new(), Vec::new(), Vec::new());
        for path in &files {
            if is_pipeline(path) {
                pipelines.extend(reader.text(path));
            } else if is_yaml(path)
                && let Some(document) = reader.yaml(path)
            {
                if name_of(path).starts_with("experiment") && document.root.get("flow").is_some() {
                    experiments.push(path.clone());
                } else {
                    documents.push(document);
                }
            }
        }
        let config = ConfigFacts::read(root, &mut reader.notes);
        let prompties: Vec<&String> = files.iter().filter(|path| path.ends_with(".prompty")).collect();
        let flows = flows::all(root, &documents, &prompties, &config);
        let connections = connections::all(&documents, &mut reader.notes);
        let runs = run_files::all(&documents);
        // A pipeline may stand under another name too: whatever has steps with commands.
        pipelines.extend(documents.iter().filter(|document| has_steps(document)).map(|document| document.file.clone()));
        let python: Vec<String> = files.iter().filter(|path| path.ends_with(".py")).cloned().collect();
        let scripts = scripts::read(root, &python);
        notes.append(&mut reader.notes);
        notes.extend(scripts.notes.iter().cloned());
        let notebooks = files.iter().filter(|path| path.ends_with(".ipynb")).count();
        if notebooks > 0 {
            notes.push(format!("notebooks are not read: {notebooks} of them"));
        }
        let sample_variables = super::env_draft::read(root);
        Self { files, flows, config, connections, runs, scripts, pipelines, sample_variables, experiments, notes }
    }

    /// Whether nothing in it is of prompt flow.
    pub(crate) fn is_empty(&self) -> bool {
        self.flows.is_empty() && self.runs.is_empty() && self.connections.is_empty() && self.experiments.is_empty()
    }

    /// The flow that lies at a path of the project: its folder or its file.
    pub(crate) fn flow_at(&self, path: &str) -> Option<&FlowFacts> {
        let path = plain(path);
        self.flows.iter().find(|flow| flow.path == path || flow.file == path)
    }

    /// The flow of this name.
    pub(crate) fn flow_named(&self, name: &str) -> Option<&FlowFacts> {
        self.flows.iter().find(|flow| flow.name == name)
    }

    /// The flow in whose folder, or beside whose folder, a file lies: `flows/x/evaluate/evaluate.py` is of
    /// `flows/x/standard`. `None` if several could be meant.
    pub(crate) fn flow_near(&self, file: &str) -> Option<&FlowFacts> {
        let mut folder = parent(file);
        loop {
            let mut inside = self.flows.iter().filter(|flow| flow.is_own && is_below(&flow.path, folder));
            match (inside.next(), inside.next()) {
                (Some(flow), None) => return Some(flow),
                (Some(_), Some(_)) => return None,
                _ if folder.is_empty() => return None,
                _ => folder = parent(folder),
            }
        }
    }
}

/// Reads files of the project, and notes what cannot be read.
pub(crate) struct Reader {
    root: PathBuf,
    notes: Vec<String>,
}

impl Reader {
    fn text(&mut self, path: &str) -> Option<Arc<SourceFile>> {
        let full = self.root.join(path);
        if full.metadata().is_ok_and(|about| about.len() > LARGEST) {
            self.notes.push(format!("{path} is larger than {} MiB: not read", LARGEST >> 20));
            return None;
        }
        let bytes = match std::fs::read(full) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.notes.push(format!("{path} cannot be read: {error}"));
                return None;
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Some(SourceFile::new(path, text)),
            Err(_) => {
                self.notes.push(format!("{path} is not UTF-8 text"));
                None
            }
        }
    }

    /// A YAML file; one that is none is noted if it could be prompt flow's.
    fn yaml(&mut self, path: &str) -> Option<Document> {
        let file = self.text(path)?;
        match yaml::read(&file) {
            Ok(document) => Some(document),
            Err(problems) => {
                if could_be_ours(path, file.text()) {
                    self.notes.extend(problems.first().map(ToString::to_string));
                }
                None
            }
        }
    }
}

fn could_be_ours(path: &str, text: &str) -> bool {
    let name = name_of(path);
    name.starts_with("flow.")
        || name.contains("run")
        || path.split('/').any(|folder| matches!(folder, "config" | "connections"))
        || text.contains("promptflow")
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yaml") || path.ends_with(".yml")
}

/// Whether a file holds the commands of a pipeline, by its place or name.
fn is_pipeline(path: &str) -> bool {
    let name = name_of(path);
    let folders = [".github/", ".azure-pipelines/", ".azuredevops/", ".pipelines/"];
    let by_place = is_yaml(path) && folders.iter().any(|folder| path.starts_with(folder));
    by_place
        || path.starts_with(".jenkins/")
        || (is_yaml(path) && name.starts_with("azure-pipelines"))
        || matches!(name, "Makefile" | "Jenkinsfile" | ".gitlab-ci.yml")
        || name.ends_with(".sh")
        || name.ends_with(".ps1")
}

fn has_steps(document: &Document) -> bool {
    ["steps", "jobs", "stages"].iter().any(|key| document.root.get(key).is_some_and(|node| node.as_scalar().is_none()))
}

/// The last name of a path.
pub(crate) fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The folder of a path; empty for the root.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether a path is a folder, or below it.
pub(crate) fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty() || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A path as the survey spells it: without `./` and a slash at its end, `..` followed.
pub(crate) fn plain(path: &str) -> String {
    sluicegate_flow::files::join("", path).unwrap_or_else(|| path.to_owned())
}

/// A path that a file of `folder` names.
pub(crate) fn from_folder(folder: &str, path: &str) -> String {
    sluicegate_flow::files::join(folder, path).unwrap_or_else(|| path.to_owned())
}
