//! `simulate`, and what its faults show of connections.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use sluicegate_testkit::project::Project;

use crate::fixture::SLUICEGATE;

/// A served script; stops when dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn script(project: &Project) -> Self {
        let mut command =
            project.command(SLUICEGATE, &["simulate", "--script", "model.yaml", "--listen", "0", "--quiet"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut address).expect("an address");
        Self { child, address: address.trim().to_owned() }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const FLOW: &str = r#"
inputs: { q: { type: string, default: hi } }
outputs: { answer: { type: string, reference: "${ask.output}" } }
nodes:
- name: ask
  type: llm
  api: chat
  source: { type: code, path: ask.jinja2 }
  connection: served
  inputs: { deployment_name: thinker, max_tokens: 50, q: "${inputs.q}" }
"#;

fn project(script: &str) -> Project {
    Project::new()
        .file("model.yaml", script)
        .file("flows/ask/flow.dag.yaml", FLOW)
        .file("flows/ask/ask.jinja2", "user:\n{{q}}\n")
}

fn with_connection(project: &Project, served: &Served, more: &str) {
    let connection = format!(
        "connections:\n  served: {{ type: open_ai, base_url: {}/v1, api_key: k{more} }}\nflow_configs: {{ ask: {{ flow_path: flows/ask }} }}\n",
        served.address
    );
    project.write("config/config.yaml", connection);
}

const REFUSES_MAX_TOKENS: &str = "
default: well thought
faults:
- { when: { parameter: max_tokens }, status: 400, code: unsupported_parameter, parameter: max_tokens,
    message: \"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.\" }
";

#[test]
fn what_a_deployment_refuses_is_sent_by_its_other_name_and_told_for_the_config() {
    let project = project(REFUSES_MAX_TOKENS);
    let served = Served::script(&project);
    with_connection(&project, &served, "");
    let ran = project.run(SLUICEGATE, &["run", "ask"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let line = "deployments: { thinker: { rename: { max_tokens: max_completion_tokens } } }";
    assert!(ran.stderr.contains("`thinker` does not take `max_tokens`") && ran.stderr.contains(line), "{}", ran.stderr);
    // What is said is what the config takes, and then nothing is left to say.
    with_connection(&project, &served, &format!(", {line}"));
    let ran = project.run(SLUICEGATE, &["run", "ask"]);
    assert!(ran.code == 0 && !ran.stderr.contains("does not take"), "{}", ran.shown());
    with_connection(&project, &served, ", adapt: off");
    let ran = project.run(SLUICEGATE, &["run", "ask"]);
    assert!(ran.code == 1 && ran.stderr.contains("max_completion_tokens"), "{}", ran.shown());
}

#[test]
fn a_stopped_request_is_told_with_its_category_and_never_tried_again() {
    let project = project("replies: [{ filter: { input: { hate: high, jailbreak: true } } }]\n");
    let served = Served::script(&project);
    with_connection(&project, &served, "");
    let ran = project.run(SLUICEGATE, &["run", "ask", "--json"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let node = &report["nodes"]["ask"];
    assert_eq!((&node["error"]["code"], &node["filter"]["state"]), (&"filtered".into(), &"input".into()), "{node}");
    assert_eq!(node["calls"], 1);
    assert!(ran.stderr.contains("hate: high"), "{}", ran.stderr);
    let shown = project.run(SLUICEGATE, &["runs", "show", "latest"]);
    assert!(shown.stdout.contains("filter: input (hate: high, jailbreak)"), "{}", shown.shown());
}
