//! A batch of three lines, the second of which fails, and what it looks like.

use serde_json::Value;
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::{KEY, SLUICEGATE, config};

/// An llm node, and an expression behind it.
pub(crate) const TWO_NODES: &str = "inputs:
  q: { type: string }
outputs:
  said: { type: string, reference: \"${shout.output}\" }
nodes:
- name: ask
  type: llm
  api: chat
  connection: gateway
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: gpt-4o-mini, temperature: 0, q: \"${inputs.q}\" }
- name: shout
  type: expression
  inputs: { said: \"${ask.output}\" }
  expression: said | upper
";

/// Says `[text]` to each text, and refuses `two`.
pub(crate) fn refuses_two() -> Endpoint {
    let endpoint = Endpoint::start();
    endpoint.on(|request| {
        let text = request.json()["messages"][0]["content"].as_str().expect("a text").to_owned();
        Some(match text.as_str() {
            "two" => Answer::error(400, "bad_request", "Not that one."),
            text => Answer::text(&format!("[{text}]")),
        })
    });
    endpoint
}

/// A project whose flow `ask` leads to `endpoint` in `pr`, with three rows.
pub(crate) fn three_rows(endpoint: &Endpoint) -> Project {
    Project::new()
        .file("config/config.yaml", config(&endpoint.url(), "") + "prices: { small: { input: 1000, output: 1000 } }\n")
        .file("flows/ask/flow.dag.yaml", TWO_NODES)
        .file("flows/ask/ask.jinja2", "user:\n{{q}}\n")
        .file("rows.jsonl", "{\"q\": \"one\"}\n{\"q\": \"two\"}\n{\"q\": \"three\"}\n")
        .variable("THE_KEY", KEY)
}

/// The project after its batch, which is called `three`.
pub(crate) fn ran() -> (Endpoint, Project) {
    let endpoint = refuses_two();
    let project = three_rows(&endpoint);
    let ran = batch(&project, &[]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    (endpoint, project)
}

pub(crate) fn batch(project: &Project, more: &[&str]) -> Ran {
    let words = ["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--name", "three"];
    project.run(SLUICEGATE, &[&words, more].concat())
}

/// `sluicegate runs …`.
pub(crate) fn runs(project: &Project, words: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["runs"], words].concat())
}

/// What `sluicegate runs …` gives, if it goes well.
pub(crate) fn told(project: &Project, words: &[&str]) -> String {
    let ran = runs(project, words);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    ran.stdout
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

/// Takes out what is another each time: times, sizes, and the blanks that line up with them.
macro_rules! steady {
    ($test:expr) => {
        insta::with_settings!({filters => vec![
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
            (r"\d\d:\d\d:\d\d\.\d{3}", "[time]"),
            (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[time]"),
            (r"(?m)^ *\d+  \[time\]", "[seq]  [time]"),
            (r"\d+(\.\d+)? (ms|s)\b", "[took]"),
            (r"\d+(\.\d+)? (B|kB|MB)\b", "[size]"),
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", "[run]"),
            (r" {2,}", "  "),
        ]}, { $test })
    };
}
pub(crate) use steady;
