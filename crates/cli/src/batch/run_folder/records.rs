//! The records of lines, nodes and calls in the original's words (spec: promptflow.md §3).

use std::sync::Arc;

use jiff::Timestamp;
use sluicegate_events::{CallEnd, Failure, NodePath, NodeStatus, NodeSummary, Operation, RunStatus, SpanRef, Stream};
use sluicegate_model::{EmbeddingReply, Usage};
use sluicegate_value::{Map, Value};

use super::gathered::{Call, Gathered};

/// A record of a line or of a node, one row of a file.
pub(super) struct Record {
    /// The flow's own node that it belongs to; `None`: the line itself.
    pub(super) node: Option<Arc<str>>,
    pub(super) row: Map,
}

/// The record of a line that is over.
pub(super) fn of_line(run: &str, line: u64, of: &Gathered) -> Record {
    let summary = &of.summary;
    let status = match summary.status {
        Some(RunStatus::Completed) => "Completed",
        Some(RunStatus::Failed) => "Failed",
        Some(RunStatus::Interrupted) | None => "Canceled",
    };
    let failed_node = of.failed_node.0.first().map(|step| &*step.node.0);
    let error = summary.failure.as_ref().map_or(Value::Null, |failure| error(failed_node, failure));
    let mut inputs = summary.inputs.clone();
    inputs.insert("line_number", line);
    let output: Value = summary.outputs.clone().map_or(Value::Null, Value::from);
    let children = own_nodes(of).map(|(path, node)| trace_of_node(of, path, node, &calls_inside(of, path)));
    let children: Vec<Value> = children.collect();
    let (started, finished) = (iso(summary.started), iso(summary.last));
    let duration = summary.duration().as_secs_f64();
    let mut trace = Map::from([("name", Value::from("flow")), ("node_name", "flow".into()), ("type", "Flow".into())]);
    trace.insert("inputs", inputs.clone());
    trace.insert("output", output.clone());
    trace.insert("start_time", seconds(summary.started));
    trace.insert("end_time", seconds(summary.last));
    trace.insert("error", brief(summary.failure.as_ref()));
    trace.insert("children", children);
    trace.insert("system_metrics", metrics(duration, &summary.usage()));
    let mut info = Map::from([("run_id", Value::from(format!("{run}_{line}"))), ("status", status.into())]);
    info.insert("error", error);
    info.insert("inputs", inputs);
    info.insert("output", output);
    nothing(&mut info, &["metrics", "request"]);
    info.insert("parent_run_id", run);
    info.insert("root_run_id", run);
    nothing(&mut info, &["source_run_id"]);
    info.insert("flow_id", "default_flow_id");
    info.insert("start_time", started.as_deref().map(|time| format!("{time}Z")));
    info.insert("end_time", finished.as_deref().map(|time| format!("{time}Z")));
    info.insert("index", line);
    info.insert("api_calls", vec![Value::from(trace)]);
    info.insert("name", "");
    info.insert("description", "");
    nothing(&mut info, &["tags"]);
    info.insert("system_metrics", metrics(duration, &summary.usage()));
    nothing(&mut info, &["result"]);
    info.insert("upload_metrics", false);
    info.insert("otel_trace_id", summary.trace_id.map(|id| format!("0x{id:032x}")));
    let mut row = Map::from([("line_number", Value::from(line)), ("run_info", info.into())]);
    row.insert("start_time", started);
    row.insert("end_time", finished);
    row.insert("name", "");
    row.insert("description", "");
    row.insert("status", status);
    nothing(&mut row, &["tags"]);
    Record { node: None, row }
}

/// The records of the nodes of a line; without a line, of nodes that ran over all of them.
///
/// The original knows no nodes inside of nodes. Such a one has a record if it asked a model, in the file of the node
/// that it is inside of, under the names on the way to it.
pub(super) fn of_nodes(run: &str, line: Option<u64>, of: &Gathered) -> Vec<Record> {
    let mut records = Vec::new();
    for (path, node) in own_nodes(of) {
        let Some(name) = path.0.first().map(|step| step.node.0.clone()) else { continue };
        let own: Vec<&Call> = of.calls.iter().filter(|call| call.path == *path).collect();
        records.push(Record { node: Some(name.clone()), row: node_row(run, line, of, path, node, &name, &own) });
        let mut inside: Vec<(String, &NodePath, Vec<&Call>)> = Vec::new();
        for call in calls_inside(of, path).into_iter().filter(|call| call.path != *path) {
            let way = call.path.0.iter().map(|step| &*step.node.0).collect::<Vec<_>>().join("/");
            match inside.iter_mut().find(|(known, ..)| *known == way) {
                Some((.., calls)) => calls.push(call),
                None => inside.push((way, &call.path, vec![call])),
            }
        }
        for (way, path, calls) in inside {
            let Some(node) = of.summary.nodes.get(path) else { continue };
            records.push(Record { node: Some(name.clone()), row: node_row(run, line, of, path, node, &way, &calls) });
        }
    }
    records
}

fn node_row(
    run: &str,
    line: Option<u64>,
    of: &Gathered,
    path: &NodePath,
    node: &NodeSummary,
    name: &str,
    calls: &[&Call],
) -> Map {
    let number: Value = line.map_or(Value::Null, Value::from);
    let index = line.map_or_else(|| "reduce".to_owned(), |line| line.to_string());
    let begun = of.nodes.get(path);
    let (started, finished) = (iso(node.started.or(node.finished)), iso(node.finished));
    let mut info = Map::from([("node", Value::from(name)), ("flow_run_id", run.into())]);
    info.insert("run_id", format!("{run}_{name}_{index}"));
    info.insert("status", status(node.status));
    info.insert("inputs", begun.map(|begun| begun.inputs.clone()));
    info.insert("output", node.output.clone());
    nothing(&mut info, &["metrics"]);
    info.insert("error", node.failure.as_ref().map_or(Value::Null, |failure| error(Some(name), failure)));
    info.insert("parent_run_id", line.map_or_else(|| run.to_owned(), |line| format!("{run}_{line}")));
    info.insert("start_time", started.as_deref().map(|time| format!("{time}Z")));
    info.insert("end_time", finished.as_deref().map(|time| format!("{time}Z")));
    info.insert("index", number.clone());
    info.insert("api_calls", vec![trace_of_node(of, path, node, calls)]);
    nothing(&mut info, &["cached_run_id", "cached_flow_run_id"]);
    let said = |wanted: Stream| {
        let texts = node.said.iter().filter(|(stream, _)| *stream == wanted).map(|(_, text)| text.as_str());
        Value::from(texts.collect::<String>())
    };
    info.insert("logs", Map::from([("stdout", said(Stream::Stdout)), ("stderr", said(Stream::Stderr))]));
    info.insert("system_metrics", metrics(node.duration().unwrap_or_default().as_secs_f64(), &node.usage));
    nothing(&mut info, &["result"]);
    let mut row =
        Map::from([("NodeName", Value::from(name)), ("line_number", number), ("run_info", Value::from(info))]);
    row.insert("start_time", started);
    row.insert("end_time", finished);
    row.insert("status", status(node.status));
    row
}

/// The flow's own nodes that are over.
fn own_nodes(of: &Gathered) -> impl Iterator<Item = (&NodePath, &NodeSummary)> {
    let is_over =
        |node: &NodeSummary| matches!(node.status, NodeStatus::Completed | NodeStatus::Failed | NodeStatus::Bypassed);
    of.summary.nodes.iter().filter(move |(path, node)| path.0.len() == 1 && is_over(node))
}

/// The calls of a node of the flow and of all nodes inside it.
fn calls_inside<'g>(of: &'g Gathered, path: &NodePath) -> Vec<&'g Call> {
    let name = path.0.first().map(|step| &step.node);
    of.calls.iter().filter(|call| call.path.0.first().map(|step| &step.node) == name).collect()
}

fn trace_of_node(of: &Gathered, path: &NodePath, node: &NodeSummary, calls: &[&Call]) -> Value {
    let name = path.0.last().map(|step| &*step.node.0).unwrap_or_default();
    let begun = of.nodes.get(path);
    let id = span_id(begun.and_then(|begun| begun.span));
    let mut trace = Map::from([("name", Value::from(name)), ("type", "Tool".into())]);
    trace.insert("inputs", begun.map(|begun| begun.inputs.clone()));
    trace.insert("output", node.output.clone());
    trace.insert("start_time", seconds(node.started));
    trace.insert("end_time", seconds(node.finished));
    trace.insert("error", brief(node.failure.as_ref()));
    trace.insert("children", calls.iter().filter_map(|call| trace_of_call(call, &id)).collect::<Vec<_>>());
    trace.insert("node_name", name);
    trace.insert("parent_id", "");
    trace.insert("id", id);
    trace.insert("system_metrics", Value::from(Map::new()));
    trace.into()
}

/// A call as the original's traces have it; `None`: it was given up.
fn trace_of_call(call: &Call, parent: &str) -> Option<Value> {
    let (finished, end) = call.finished.as_ref()?;
    let (output, error) = match end {
        CallEnd::Replied { reply } => (reply.body.clone(), Value::Null),
        CallEnd::Embedded { reply } => (embeddings(reply), Value::Null),
        CallEnd::Failed { failure } => (Value::Null, brief(Some(failure))),
        CallEnd::Cancelled => return None,
    };
    let (name, kind, function) = match call.operation {
        Operation::Chat => ("openai_chat", "LLM", "openai.resources.chat.completions.Completions.create"),
        Operation::TextCompletion => ("openai_completion", "LLM", "openai.resources.completions.Completions.create"),
        Operation::Embeddings => ("openai_embeddings", "Embedding", "openai.resources.embeddings.Embeddings.create"),
    };
    let mut inputs = Map::from([("model", Value::from(call.model.as_str()))]);
    inputs
        .extend(call.request.as_map().into_iter().flat_map(Map::iter).map(|(key, value)| (key.clone(), value.clone())));
    if call.operation != Operation::Embeddings {
        inputs.insert("stream", call.stream);
    }
    let mut trace = Map::from([("name", Value::from(name)), ("type", kind.into())]);
    trace.insert("inputs", inputs);
    trace.insert("output", output);
    trace.insert("start_time", seconds(Some(call.started)));
    trace.insert("end_time", seconds(Some(*finished)));
    trace.insert("error", error);
    trace.insert("children", Vec::<Value>::new());
    nothing(&mut trace, &["node_name"]);
    trace.insert("parent_id", parent);
    trace.insert("id", span_id(call.span));
    trace.insert("function", function);
    trace.insert("system_metrics", Value::from(Map::new()));
    Some(trace.into())
}

fn embeddings(reply: &EmbeddingReply) -> Value {
    let data = reply.vectors.iter().zip(0_u64..).map(|(vector, index)| {
        let vector: Vec<Value> = vector.iter().map(|number| Value::from(*number)).collect();
        let item = [("object", "embedding".into()), ("index", Value::from(index)), ("embedding", vector.into())];
        Value::from(Map::from(item))
    });
    let mut body = Map::from([("object", Value::from("list")), ("data", data.collect::<Vec<_>>().into())]);
    body.insert("model", reply.model.as_deref());
    let tokens = reply.usage.input_tokens;
    body.insert("usage", Map::from([("prompt_tokens", tokens), ("total_tokens", tokens)]));
    body.into()
}

/// A failure in the original's envelope (spec: promptflow.md §1.17).
pub(super) fn error(node: Option<&str>, failure: &Failure) -> Value {
    let detail = |name: &str| failure.details.get(name).cloned().unwrap_or_default();
    let message = match node {
        // A Python exception already begins with its class.
        Some(node) if failure.message.starts_with('(') => format!("Execution failure in '{node}': {}", failure.message),
        Some(node) => format!("Execution failure in '{node}': ({}) {}", failure.code, failure.message),
        None => failure.message.clone(),
    };
    let code = match (node, failure.code.as_str()) {
        (Some(_), _) => "ToolExecutionError",
        (None, "input") => "InputTypeError",
        (None, "row") => "InputMappingError",
        (None, "timeout") => "LineExecutionTimeoutError",
        (None, code) => code,
    };
    let mut additional = Vec::new();
    if !detail("traceback").is_null() {
        let mut info = Map::from([("type", detail("type")), ("message", failure.message.as_str().into())]);
        info.insert("traceback", detail("traceback"));
        info.insert("filename", detail("file"));
        info.insert("lineno", detail("line"));
        info.insert("name", detail("function"));
        let typed = [("type", Value::from("ToolExecutionErrorDetails")), ("info", info.into())];
        additional.push(Value::from(Map::from(typed)));
    }
    let mut error = Map::from([("message", Value::from(message)), ("messageFormat", "".into())]);
    error.insert("messageParameters", Map::new());
    error.insert("referenceCode", if node.is_some() { "Tool/__pf_main__" } else { "Executor" });
    error.insert("code", "UserError");
    error.insert("innerError", Map::from([("code", Value::from(code)), ("innerError", Value::Null)]));
    error.insert("additionalInfo", additional);
    nothing(&mut error, &["debugInfo"]);
    error.into()
}

/// A failure as traces have it.
fn brief(failure: Option<&Failure>) -> Value {
    let Some(failure) = failure else { return Value::Null };
    let kind = failure.details.get("type").and_then(Value::as_str).unwrap_or(&failure.code);
    Map::from([("message", failure.message.as_str()), ("type", kind)]).into()
}

fn status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Completed => "Completed",
        NodeStatus::Bypassed => "Bypassed",
        NodeStatus::Failed => "Failed",
        NodeStatus::Pending | NodeStatus::Running | NodeStatus::Waiting | NodeStatus::Cancelled => "Canceled",
    }
}

fn metrics(duration: f64, usage: &Usage) -> Value {
    let mut metrics = Map::from([("duration", Value::from(duration))]);
    metrics.insert("prompt_tokens", usage.input_tokens.unwrap_or_default());
    metrics.insert("completion_tokens", usage.output_tokens.unwrap_or_default());
    metrics.insert("total_tokens", usage.total().unwrap_or_default());
    metrics.into()
}

/// Keys that the original's readers look for and that have nothing to say here.
fn nothing(map: &mut Map, keys: &[&str]) {
    keys.iter().for_each(|key| drop(map.insert(*key, Value::Null)));
}

/// A time as Python's `isoformat` writes it in UTC, without the zone.
fn iso(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| format!("{time:.6}").trim_end_matches('Z').to_owned())
}

fn seconds(time: Option<Timestamp>) -> Option<f64> {
    time.map(|time| time.as_microsecond() as f64 / 1e6)
}

fn span_id(span: Option<SpanRef>) -> String {
    span.map(|span| format!("{:016x}", span.span_id)).unwrap_or_default()
}
