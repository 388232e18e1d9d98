//! What the stand-in's tools send to an endpoint, beside what the original's tools were recorded to send.

use serde_json::Value;
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;

use crate::fixture::{SLUICEGATE, repository};

const FLOW: &str = r#"
inputs:
  body: { type: object }
outputs:
  said: { type: object, reference: "${call.output}" }
nodes:
- name: call
  type: python
  source: { type: code, path: call.py }
  inputs: { connection: aoai, body: "${inputs.body}" }
"#;

/// Calls the tool that has sent a body, with what the body says.
const CALL: &str = r##"
from promptflow.connections import AzureOpenAIConnection
from promptflow.core import tool
from promptflow.tools import aoai
from promptflow.tools.embedding import embedding


@tool
def call(connection: AzureOpenAIConnection, body: dict):
    given = dict(body)
    model = given.pop("model")
    if "input" in given:
        embedding(connection, given["input"], deployment_name=model)
        return "embedded"
    if "prompt" in given:
        return aoai.completion(connection, prompt=given.pop("prompt"), deployment_name=model, **given)
    parts = []
    for message in given.pop("messages"):
        text = "{% raw %}" + message["content"] + "{% endraw %}\n" if message["content"] else ""
        parts.append(f"# {message['role']}:\n{text}\n")
    said = aoai.chat(connection, prompt="".join(parts), deployment_name=model, **given)
    return said if isinstance(said, (str, dict)) or said is None else "".join(said)
"##;

#[test]
fn tools_of_the_stand_in_send_what_the_original_s_send() {
    let endpoint = Endpoint::start();
    let config = format!(
        "connections:\n  aoai: {{ type: azure_open_ai, api_base: '{}', api_key: k, api_version: 2024-02-01 }}\n",
        endpoint.url()
    );
    let project = Project::new()
        .file("config/config.yaml", config)
        .file("flows/call/flow.dag.yaml", FLOW)
        .file("flows/call/call.py", CALL);
    let shapes = repository().join("crates/providers/tests/data/llm_requests_shapes.jsonl");
    let shapes = std::fs::read_to_string(shapes).expect("recorded requests");
    let mut compared = 0;
    for shape in shapes.lines().filter(|line| !line.trim().is_empty()) {
        let mut shape: Value = serde_json::from_str(shape).expect("JSON");
        let request = &mut shape["request"];
        // The recorded flow embedded nothing, which is refused here before it is sent.
        if request["body"]["input"] == "" {
            request["body"]["input"] = "a text".into();
            endpoint
                .queue(Answer::json(200, &serde_json::json!({ "data": [{ "index": 0, "embedding": [0.5, 0.5] }] })));
        }
        project.write("inputs.json", serde_json::json!({ "body": request["body"] }).to_string());
        let before = endpoint.count();
        let ran = project.run(SLUICEGATE, &["run", "flows/call", "--inputs", "inputs.json", "--no-store"]);
        let heard = endpoint.requests();
        assert_eq!(heard.len(), before + 1, "{}", ran.shown());
        let heard = &heard[before];
        assert_eq!(heard.path, request["path"].as_str().expect("a path"));
        for (name, value) in request["headers"].as_object().expect("headers") {
            let sent = heard.headers.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
            assert_eq!(sent, value.as_str(), "{name}");
        }
        assert_eq!(heard.json(), request["body"], "{}", ran.shown());
        compared += 1;
    }
    assert_eq!(compared, 7);
}
