//! A project for the occasion: a config, three flows, the rows.

use std::fs;
use std::path::{Path, PathBuf};

use crate::batch::rows::{SYSTEM, write_rows};
use crate::batch::scenario::{FlowKind, Scenario};
use crate::batch::sides::Setting;
use crate::failure::Failure;

/// The config environment that scenarios run in.
pub(crate) const ENVIRONMENT: &str = "bench";

const INPUTS: &str = "\
inputs:
  text: { type: string }
  entity_type: { type: string }
";

const EXTRACT: &str = "\
- name: extract
  type: llm
  source: { type: code, path: extract.jinja2 }
  inputs:
    deployment_name: mock
    temperature: 0
    max_tokens: 64
    entity_type: ${inputs.entity_type}
    text: ${inputs.text}
  connection: mock
  api: chat
";

const CLEAN_UP: &str = r#""""The list that a model's untidy answer means."""

from typing import List

from promptflow.core import tool


@tool
def clean_up(reply: str) -> List[str]:
    """Splits at commas, strips blanks, dots and quotes, drops what is empty."""
    entities = [entity.strip(' \t\n."') for entity in reply.split(",")]
    return [entity for entity in entities if entity]
"#;

/// A project in a temporary folder; gone when dropped.
#[derive(Debug)]
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    /// Writes a project for one run of a scenario.
    pub(crate) fn write(scenario: &Scenario, setting: &Setting, mock: &str) -> Result<Self, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("sluicegate-bench-").disable_cleanup(setting.keep);
        let folder = match &setting.folder {
            Some(parent) => builder.tempdir_in(parent),
            None => builder.tempdir(),
        };
        let project = Self { folder: folder.map_err(Failure::while_doing("making a folder for the project"))? };
        project.file("config/config.yaml", &config(scenario, mock, setting.python.as_deref()))?;
        for kind in FlowKind::ALL {
            project.file(&format!("flows/{}/flow.dag.yaml", kind.name()), &flow(kind))?;
            let template =
                format!("system:\n{SYSTEM}\nuser:\nEntity type: {{{{entity_type}}}}\nText: {{{{text}}}}\nEntities:\n");
            project.file(&format!("flows/{}/extract.jinja2", kind.name()), &template)?;
            project.file(&format!("flows/{}/clean_up.py", kind.name()), CLEAN_UP)?;
        }
        write_rows(&project.rows(), scenario.rows)?;
        Ok(project)
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn rows(&self) -> PathBuf {
        self.path().join("rows.jsonl")
    }

    /// A folder or file for results, which is not there yet.
    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path().join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(Failure::while_doing(format_args!("writing {}", path.display())))
    }
}

fn flow(kind: FlowKind) -> String {
    let clean_up = |reply: &str| {
        format!(
            "- name: clean_up\n  type: python\n  source: {{ type: code, path: clean_up.py }}\n  inputs:\n    reply: {reply}\n"
        )
    };
    let (answer, output_type, nodes) = match kind {
        FlowKind::Llm => ("${extract.output}", "string", EXTRACT.to_owned()),
        FlowKind::LlmAndPython => ("${clean_up.output}", "list", EXTRACT.to_owned() + &clean_up("${extract.output}")),
        FlowKind::Python => ("${clean_up.output}", "list", clean_up("${inputs.text}")),
    };
    format!("{INPUTS}outputs:\n  answer: {{ type: {output_type}, reference: \"{answer}\" }}\nnodes:\n{nodes}")
}

/// The journal waits for the disk (`full` is the default, written down), content capture is off, and the limit of calls in
/// flight is that of the scenario.
fn config(scenario: &Scenario, mock: &str, python: Option<&Path>) -> String {
    let in_flight = scenario.in_flight;
    let mut text = format!(
        "max_in_flight: {in_flight}\n\
         connections:\n  mock: {{ type: open_ai, base_url: \"{mock}\", api_key: none, max_in_flight: {in_flight} }}\n\
         store: {{ durability: full }}\n"
    );
    if scenario.traces {
        let collector = mock.trim_end_matches("/v1");
        text += &format!("telemetry: {{ endpoint: \"{collector}\", capture_content: false }}\n");
    } else {
        text += "telemetry: { disabled: true }\n";
    }
    if let Some(python) = python {
        text += &format!("python: {{ interpreter: \"{}\" }}\n", python.display());
    }
    text += "flow_configs:\n";
    for kind in FlowKind::ALL {
        let name = kind.name();
        text += &format!(
            "  {name}:\n    flow_path: flows/{name}\n    \
             column_mapping: {{ text: \"${{data.text}}\", entity_type: \"${{data.entity_type}}\" }}\n  {name}_{ENVIRONMENT}: "
        );
        text += if kind.calls() { "{ connection_name: mock, deployment_name: mock }\n" } else { "{}\n" };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::scenario;

    #[test]
    fn a_project_says_what_its_scenario_does() {
        let setting = Setting {
            sluicegate: PathBuf::new(),
            folder: None,
            keep: false,
            python: Some("/py".into()),
            concurrency: None,
            arguments: Vec::new(),
            floor_threads: 1,
        };
        let check = |name: &str, expected: &[&str]| {
            let scenario = scenario::all().into_iter().find(|scenario| scenario.name == name).unwrap();
            let scenario = Scenario { rows: 3, ..scenario };
            let project = Project::write(&scenario, &setting, "http://h:1/v1").unwrap();
            let config = fs::read_to_string(project.path().join("config/config.yaml")).unwrap();
            for part in expected {
                assert!(config.contains(part), "no `{part}` in {config}");
            }
            assert_eq!(fs::read_to_string(project.rows()).unwrap().lines().count(), 3);
        };
        check("50ms", &["max_in_flight: 200", "endpoint: \"http://h:1\", capture_content: false", "durability: full"]);
        check("0ms", &["max_in_flight: 64", "disabled: true", "python: { interpreter: \"/py\" }"]);
    }
}
