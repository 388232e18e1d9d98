//! Which file a flow is: a folder's one flow file, a YAML file, a `.prompty` (spec: promptflow.md §1.1).

use std::sync::Arc;

use sluicegate_source::Problem;

use super::VariantChoice;
use super::extent::MOST_NESTED;
use super::session::{Asked, Session};
use crate::files::{FileError, FileKind, join};
use crate::plan::Plan;

const DAG_NAMES: [&str; 2] = ["flow.dag.yaml", "flow.dag.yml"];
pub(super) const FLEX_NAMES: [&str; 2] = ["flow.flex.yaml", "flow.flex.yml"];

impl Session<'_> {
    /// Compiles what somebody asked for on the command line.
    pub(super) fn target(&mut self, target: &str, variant: Option<&VariantChoice>) -> Option<Arc<Plan>> {
        match join("", target).ok_or_else(|| FileError::Outside(target.to_owned())) {
            Ok(path) => match self.flow_file(&path) {
                Ok(file) => self.flow(&file, variant, None),
                Err(problem) => {
                    self.report(*problem);
                    None
                }
            },
            Err(error) => {
                let problem = self.file_problem(&error, target);
                self.report(problem);
                None
            }
        }
    }

    /// Compiles the flow that a node runs, once; a flow that contains itself is a problem.
    pub(super) fn inner_flow(&mut self, path: &str, asked: Asked<'_>) -> Option<Arc<Plan>> {
        let file = match self.flow_file(path) {
            Ok(file) => file,
            Err(problem) => {
                self.report(problem.in_file(asked.file).at(asked.at, ""));
                return None;
            }
        };
        if let Some(start) = self.underway.iter().position(|flow| *flow == file) {
            let chain: Vec<&str> = self.underway[start..].iter().map(String::as_str).chain([file.as_str()]).collect();
            let problem = Problem::error("flow::recursion", format!("a flow runs itself: `{}`", chain.join("` -> `")))
                .help("to repeat a flow until something holds, use a `loop` node");
            self.report(problem.in_file(asked.file).at(asked.at, ""));
            return None;
        }
        if let Some(known) = self.plans.get(&file) {
            return known.clone();
        }
        let plan = self.flow(&file, None, Some(asked));
        self.plans.insert(file, plan.clone());
        plan
    }

    fn flow(&mut self, file: &str, variant: Option<&VariantChoice>, asked: Option<Asked<'_>>) -> Option<Arc<Plan>> {
        if self.underway.len() >= MOST_NESTED {
            self.too_deep(asked);
            return None;
        }
        let before = self.errors();
        self.underway.push(file.to_owned());
        let plan = if file.ends_with(".prompty") {
            self.prompty_flow(file, asked)
        } else {
            self.yaml_flow(file, variant, asked)
        };
        self.underway.pop();
        let plan = plan.filter(|_| self.errors() == before)?;
        self.within_limits(plan, asked)
    }

    /// The flow file at a path.
    fn flow_file(&self, path: &str) -> Result<String, Box<Problem>> {
        match self.files.kind(path) {
            FileKind::File if path.ends_with(".prompty") => Ok(path.to_owned()),
            FileKind::File if path.ends_with(".yaml") || path.ends_with(".yml") => Ok(path.to_owned()),
            FileKind::File => Err(Box::new(Problem::error("flow::not_a_flow", format!("`{path}` is no flow")).help(
                "a flow is a folder with a `flow.dag.yaml` or `flow.flex.yaml`, a YAML file, or a `.prompty` file",
            ))),
            FileKind::Folder => self.in_folder(path),
            FileKind::Missing => {
                let error = match self.files.read(path) {
                    Err(error @ FileError::Outside(_)) => error,
                    _ => FileError::Missing(path.to_owned()),
                };
                Err(Box::new(self.file_problem(&error, path)))
            }
        }
    }

    fn in_folder(&self, folder: &str) -> Result<String, Box<Problem>> {
        let at = |name: &&str| join(folder, name).unwrap_or_default();
        let found: Vec<String> = DAG_NAMES
            .iter()
            .chain(&FLEX_NAMES)
            .map(at)
            .filter(|path| self.files.kind(path) == FileKind::File)
            .collect();
        let shown = if folder.is_empty() { "." } else { folder };
        match &found[..] {
            [one] => Ok(one.clone()),
            [] => {
                let names = self.files.list(folder).unwrap_or_default();
                let prompties: Vec<&str> =
                    names.iter().map(String::as_str).filter(|name| name.ends_with(".prompty")).collect();
                let problem = Problem::error("flow::not_a_flow", format!("folder `{shown}` has no `flow.dag.yaml`"));
                Err(Box::new(match &prompties[..] {
                    [] => problem,
                    [one, ..] => problem.help(format!("did you mean `{}`?", at(one))),
                }))
            }
            several => Err(Box::new(
                Problem::error(
                    "flow::several_flow_files",
                    format!("folder `{shown}` has several flow files: `{}`", several.join("`, `")),
                )
                .help("name the one that you mean"),
            )),
        }
    }
}
