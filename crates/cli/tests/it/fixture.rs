//! Projects that several tests start from.

use std::path::{Path, PathBuf};

use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::project::{Project, Ran};

/// The binary under test.
pub(crate) const SLUICEGATE: &str = env!("CARGO_BIN_EXE_sluicegate");

/// A key that must never be seen anywhere but in a request's header.
pub(crate) const KEY: &str = "sk-very/secret+key=1234567890";

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// The repository's own flows, config and data in a temporary project.
pub(crate) fn samples() -> Project {
    let root = repository();
    ["flows", "config", "data"]
        .into_iter()
        .fold(Project::new(), |project, name| project.copy_of(&root.join(name), name))
}

/// A project with a flow of one llm node, and a section `pr` that leads to `endpoint`.
pub(crate) fn one_call(endpoint: &Endpoint) -> Project {
    Project::new()
        .file("config/config.yaml", config(&endpoint.url(), ""))
        .file("flows/ask/flow.dag.yaml", ASK)
        .file("flows/ask/ask.jinja2", "system:\nAnswer briefly.\nuser:\n{{question}}\n")
        .variable("THE_KEY", KEY)
}

/// A config whose only connection leads to `url`; `more` is added to the connection, indented by four.
pub(crate) fn config(url: &str, more: &str) -> String {
    format!(
        "connections:
  gateway:
    type: open_ai
    base_url: {url}/v1
    api_key: ${{THE_KEY}}
    retry: {{ max_attempts: 3, initial: 10ms, max: 50ms }}
{more}
flow_configs:
  ask:
    flow_path: flows/ask
  ask_pr:
    connection_name: gateway
    deployment_name: small
"
    )
}

/// One llm node, whose text is the output.
pub(crate) const ASK: &str = "inputs:
  question: { type: string, default: What is a sluice gate? }
outputs:
  answer: { type: string, reference: \"${ask.output}\" }
nodes:
- name: ask
  type: llm
  source: { type: code, path: ask.jinja2 }
  inputs:
    deployment_name: gpt-4o-mini
    temperature: 0
    question: ${inputs.question}
  connection: gateway
  api: chat
";

/// Runs the flow of [`one_call`] in `pr`.
pub(crate) fn ask(project: &Project, more: &[&str]) -> Ran {
    let arguments = [&["run", "ask", "--environment_name", "pr"], more].concat();
    project.run(SLUICEGATE, &arguments)
}
