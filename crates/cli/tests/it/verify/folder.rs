//! Run folders as the original writes them.

use serde_json::{Map, Value, json};
use sluicegate_testkit::project::Project;

/// A run folder.
pub(super) struct RunFolder {
    flow: String,
    snapshot: Vec<String>,
    lines: Vec<Line>,
    aggregation: Vec<(String, Node)>,
    metrics: Map<String, Value>,
}

/// A line of it.
#[derive(Clone)]
pub(super) struct Line {
    inputs: Value,
    output: Option<Value>,
    error: Option<String>,
    nodes: Vec<(String, Node)>,
    flow_calls: Vec<Value>,
}

/// A node of a line.
#[derive(Clone)]
pub(super) struct Node {
    output: Value,
    error: Option<String>,
    calls: Vec<Value>,
}

/// The trace of a call to a chat model.
pub(super) fn chat(request: Value, reply: Value) -> Value {
    json!({
        "name": "openai_chat", "type": "LLM", "inputs": request, "output": reply,
        "start_time": 1_708_986_607.2, "end_time": 1_708_986_608.4, "error": null, "children": [], "node_name": null,
        "parent_id": "p", "id": "c", "function": "openai.resources.chat.completions.Completions.create",
    })
}

/// The trace of a call that raised.
pub(super) fn failed_chat(request: Value, message: &str) -> Value {
    let mut call = chat(request, Value::Null);
    call["error"] = json!({"message": message, "type": "BadRequestError"});
    call
}

/// A reply with a text.
pub(super) fn chat_reply(text: &str) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_708_986_608, "model": "gpt-35-turbo",
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": {"role": "assistant", "content": text, "function_call": null, "tool_calls": null},
        }],
        "usage": {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23},
    })
}

impl Node {
    pub(super) fn completed(output: Value) -> Self {
        Self { output, error: None, calls: Vec::new() }
    }

    pub(super) fn failed(message: &str) -> Self {
        Self { output: Value::Null, error: Some(message.to_owned()), calls: Vec::new() }
    }

    pub(super) fn call(mut self, call: Value) -> Self {
        self.calls.push(call);
        self
    }

    fn run_info(&self, name: &str, number: usize) -> Value {
        json!({
            "node": name, "flow_run_id": "run", "parent_run_id": format!("run_{number}"),
            "run_id": format!("run_{name}_{number}"), "status": status(self.error.as_deref()), "inputs": {},
            "output": self.output, "metrics": null, "error": error(self.error.as_deref()),
            "start_time": "2024-02-27T06:30:07.283803Z", "end_time": "2024-02-27T06:30:07.286012Z", "index": number,
            "api_calls": [{
                "name": "AzureOpenAI.chat", "type": "Tool", "inputs": {"prompt": "system:\n…"}, "output": self.output,
                "error": error(self.error.as_deref()), "children": self.calls, "node_name": name, "parent_id": "",
                "id": "p",
            }],
            "variant_id": "", "cached_run_id": null, "cached_flow_run_id": null, "logs": {"stdout": "", "stderr": ""},
            "system_metrics": {"duration": 0.002}, "result": self.output,
        })
    }
}

impl Line {
    pub(super) fn completed(inputs: Value, output: Value) -> Self {
        Self { inputs, output: Some(output), error: None, nodes: Vec::new(), flow_calls: Vec::new() }
    }

    pub(super) fn failed(inputs: Value, message: &str) -> Self {
        let error = Some(message.to_owned());
        Self { inputs, output: None, error, nodes: Vec::new(), flow_calls: Vec::new() }
    }

    /// Adds or replaces a node.
    pub(super) fn node(mut self, name: &str, node: Node) -> Self {
        self.nodes.retain(|(known, _)| known != name);
        self.nodes.push((name.to_owned(), node));
        self
    }

    /// A call that no node is known to have made.
    pub(super) fn flow_call(mut self, call: Value) -> Self {
        self.flow_calls.push(call);
        self
    }

    /// What a node asked first.
    pub(super) fn request(&self, node: &str) -> Value {
        let node = self.nodes.iter().find(|(name, _)| name == node).expect("the node");
        node.1.calls[0]["inputs"].clone()
    }

    /// Puts a call before all others of a node.
    pub(super) fn first_call(mut self, node: &str, call: Value) -> Self {
        let node = self.nodes.iter_mut().find(|(name, _)| name == node).expect("the node");
        node.1.calls.insert(0, call);
        self
    }

    fn run_info(&self, number: usize) -> Value {
        let mut inputs = self.inputs.clone();
        inputs["line_number"] = json!(number);
        inputs["variant_id"] = json!("0");
        let nodes = self.nodes.iter().map(|(name, node)| node.run_info(name, number)["api_calls"][0].clone());
        let children: Vec<Value> = nodes.chain(self.flow_calls.iter().cloned()).collect();
        json!({
            "run_id": format!("run_{number}"), "status": status(self.error.as_deref()),
            "error": error(self.error.as_deref()), "inputs": inputs, "output": self.output, "metrics": null,
            "request": null, "parent_run_id": "run", "root_run_id": "run", "source_run_id": null,
            "flow_id": "default_flow_id", "start_time": "2024-02-27T06:30:07.283803Z",
            "end_time": "2024-02-27T06:30:08.286012Z", "index": number,
            "api_calls": [{
                "name": "flow", "node_name": "flow", "type": "Flow", "children": children,
                "system_metrics": {"duration": 1.0}, "inputs": inputs, "output": self.output, "error": null,
            }],
            "variant_id": "", "name": "", "description": "", "tags": null,
            "system_metrics": {"duration": 1.0, "prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23},
            "result": self.output, "upload_metrics": false,
        })
    }
}

impl RunFolder {
    /// A run of the flow in a folder, with a copy of some of its files.
    pub(super) fn new(flow: &str, snapshot: &[&str]) -> Self {
        Self {
            flow: flow.to_owned(),
            snapshot: snapshot.iter().map(|name| (*name).to_owned()).collect(),
            lines: Vec::new(),
            aggregation: Vec::new(),
            metrics: Map::new(),
        }
    }

    pub(super) fn without_snapshot() -> Self {
        Self::new("", &[])
    }

    pub(super) fn line(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    pub(super) fn aggregation(mut self, name: &str, node: Node) -> Self {
        self.aggregation.push((name.to_owned(), node));
        self
    }

    pub(super) fn metric(mut self, name: &str, value: i64) -> Self {
        self.metrics.insert(name.to_owned(), json!(value));
        self
    }

    /// Writes the folder, the copy of the flow as the flow is now.
    pub(super) fn write(&self, project: &Project, folder: &str) {
        let (mut inputs, mut outputs, mut errors) = (String::new(), String::new(), Vec::new());
        for (number, line) in self.lines.iter().enumerate() {
            let mut row = line.inputs.clone();
            row["line_number"] = json!(number);
            inputs += &format!("{row}\n");
            if let Some(output) = &line.output {
                let mut row = json!({"line_number": number});
                row.as_object_mut().expect("a map").extend(output.as_object().expect("a map").clone());
                outputs += &format!("{row}\n");
            }
            if let Some(message) = &line.error {
                errors.push(json!({"line_number": number, "error": error(Some(message))}));
            }
            let record = json!({
                "line_number": number, "run_info": line.run_info(number), "name": "", "description": "",
                "status": status(line.error.as_deref()), "tags": null,
            });
            project.write(&format!("{folder}/flow_artifacts/{number:09}_{number:09}.jsonl"), record.to_string());
            for (name, node) in &line.nodes {
                write_node(project, folder, name, node, number, json!(number));
            }
        }
        for (name, node) in &self.aggregation {
            write_node(project, folder, name, node, 0, Value::Null);
        }
        project.write(&format!("{folder}/inputs.jsonl"), inputs);
        project.write(&format!("{folder}/flow_outputs/output.jsonl"), outputs);
        project.write(&format!("{folder}/metrics.json"), Value::from(self.metrics.clone()).to_string());
        project.write(&format!("{folder}/meta.json"), r#"{"batch_size": 1}"#);
        if !errors.is_empty() {
            let info = json!([{"type": "BulkRunErrors", "info": {"errors": errors}}]);
            let all = json!({"message": "Failed to run some lines.", "additionalInfo": info});
            project.write(&format!("{folder}/error.json"), all.to_string());
        }
        for name in &self.snapshot {
            let text = std::fs::read(project.path().join(&self.flow).join(name)).expect("a file of the flow");
            project.write(&format!("{folder}/snapshot/{name}"), text);
        }
    }

    /// Writes the first line as `pf flow test` does.
    pub(super) fn write_as_test(&self, project: &Project, file: &str) {
        let line = self.lines.first().expect("a line");
        let nodes: Vec<Value> = line.nodes.iter().map(|(name, node)| node.run_info(name, 0)).collect();
        project.write(file, json!({"flow_runs": [line.run_info(0)], "node_runs": nodes}).to_string());
    }
}

fn write_node(project: &Project, folder: &str, name: &str, node: &Node, number: usize, line: Value) {
    let record = json!({
        "NodeName": name, "line_number": line, "run_info": node.run_info(name, number),
        "start_time": "2024-02-27T06:30:07.283803", "end_time": "2024-02-27T06:30:07.286012",
        "status": status(node.error.as_deref()),
    });
    project.write(&format!("{folder}/node_artifacts/{name}/{number:09}.jsonl"), record.to_string());
}

fn status(error: Option<&str>) -> &'static str {
    if error.is_some() { "Failed" } else { "Completed" }
}

fn error(message: Option<&str>) -> Value {
    message.map_or(Value::Null, |message| {
        json!({"message": message, "code": "UserError", "innerError": {"code": "WrappedOpenAIError", "innerError": null}})
    })
}
