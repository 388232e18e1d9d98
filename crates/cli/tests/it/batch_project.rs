//! Projects for batches, and what is left of one: outputs, and the journal as the store reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sluicegate_events::Event;
use sluicegate_store::Store;
use sluicegate_testkit::endpoint::{Answer, Endpoint, Heard};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::{KEY, SLUICEGATE, config};

/// One llm node that is asked the row's text.
pub(crate) const ONE: &str = "inputs:
  q: { type: string }
outputs:
  said: { type: string, reference: \"${first.output}\" }
nodes:
- name: first
  type: llm
  api: chat
  connection: gateway
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: small, q: \"${inputs.q}\" }
";

/// A second llm node that is asked what the first one said, and one that counts lines at the end.
pub(crate) const CHAIN: &str = "inputs:
  q: { type: string }
outputs:
  said: { type: string, reference: \"${second.output}\" }
nodes:
- name: first
  type: llm
  api: chat
  connection: gateway
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: small, q: \"${inputs.q}\" }
- name: second
  type: llm
  api: chat
  connection: gateway
  source: { type: code, path: ask.jinja2 }
  inputs: { deployment_name: small, q: \"${first.output}\" }
";

/// A flow that asks nobody: `said` is twice the text.
pub(crate) const OFFLINE: &str = "inputs:
  q: { type: string }
outputs:
  said: { type: string, reference: \"${twice.output}\" }
nodes:
- { name: twice, type: expression, inputs: { q: \"${inputs.q}\" }, expression: q ~ q }
";

/// A project whose flow `ask` is `flow`, over `count` rows `{"q": "row 0"}` in `rows.jsonl`. `more` is added to its
/// connection.
pub(crate) fn project(endpoint: &Endpoint, flow: &str, count: usize, more: &str) -> Project {
    // Half a reply's price is 0.01 dollars: ten tokens in and three out are 0.013.
    let prices = "prices: { small: { input: 1000, output: 1000 } }\n";
    Project::new()
        .file("config/config.yaml", config(&endpoint.url(), more) + prices)
        .file("flows/ask/flow.dag.yaml", flow)
        .file("flows/ask/ask.jinja2", "user:\n{{q}}\n")
        .file("rows.jsonl", rows(count))
        .variable("THE_KEY", KEY)
}

/// A project with a flow that asks nobody.
pub(crate) fn offline(data: impl AsRef<[u8]>) -> Project {
    Project::new().file("flow/flow.dag.yaml", OFFLINE).file("rows.jsonl", data)
}

/// Runs the batch of [`offline`], its outputs in `out/`.
pub(crate) fn over_rows(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["batch", "flow", "--data", "rows.jsonl", "--output", "out"], more].concat())
}

/// Rows `{"q": "row 0"}`.
pub(crate) fn rows(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, row| {
        let _ = writeln!(text, "{{\"q\": \"row {row}\"}}");
        text
    })
}

/// Runs the batch of [`project`] in `pr`, its outputs in `out/`.
pub(crate) fn batch(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&BATCH[..], more].concat())
}

/// The words of [`batch`].
pub(crate) const BATCH: [&str; 8] = ["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--output", "out"];

/// Goes on with the latest batch.
pub(crate) fn resume(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["batch", "--resume", "latest", "--output", "out"], more].concat())
}

/// Answers each request by `[its text]`.
pub(crate) fn echoes(endpoint: &Endpoint) -> &Endpoint {
    endpoint.on(|request| Some(Answer::text(&format!("[{}]", text_of(request)))))
}

/// The last message of a request.
pub(crate) fn text_of(request: &Heard) -> String {
    let body = request.json();
    let message = body["messages"].as_array().and_then(|messages| messages.last()).expect("a message");
    message["content"].as_str().expect("a text").to_owned()
}

/// How often each text was heard.
pub(crate) fn asked(endpoint: &Endpoint) -> BTreeMap<String, usize> {
    endpoint.requests().iter().fold(BTreeMap::new(), |mut counts, request| {
        *counts.entry(text_of(request)).or_default() += 1;
        counts
    })
}

/// The rows of `out/output.jsonl`.
pub(crate) fn outputs(project: &Project) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(project.path().join("out/output.jsonl")).expect("outputs");
    text.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect()
}

/// The outputs are these lines, once each and in order, and what each says is `said` of it.
pub(crate) fn check_outputs(project: &Project, lines: impl IntoIterator<Item = usize>, said: impl Fn(usize) -> String) {
    let expected: Vec<_> =
        lines.into_iter().map(|line| serde_json::json!({ "line_number": line, "said": said(line) })).collect();
    assert_eq!(outputs(project), expected);
}

/// Every event of the latest batch.
pub(crate) fn events(project: &Project) -> Vec<Event> {
    let store = Store::open(project.path().join(".sluicegate")).expect("the store");
    let run = store.find("latest").expect("a run");
    store.open_run(&run).and_then(|reader| reader.events()).expect("its events")
}

/// What a batch said about its end as JSON.
pub(crate) fn report(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {}", ran.shown()))
}

/// Interrupts a process as Ctrl-C does.
#[cfg(unix)]
pub(crate) fn ctrl_c(child: &std::process::Child) {
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill").success());
}

/// Numbers that follow from a seed, so that one number tells a whole story.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Another story each time; a failing test prints its seed.
    pub(crate) fn thrown() -> Self {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        Self(RandomState::new().build_hasher().finish())
    }

    pub(crate) fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % count.max(1)
    }
}
