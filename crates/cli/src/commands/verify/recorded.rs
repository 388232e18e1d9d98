//! A run folder of the original, read: what went in and out of each line and node, and what was asked of models
//! (spec: promptflow.md §3).
//!
//! ```text
//! inputs.jsonl · flow_outputs/output.jsonl · metrics.json
//! flow_artifacts/*.jsonl            a line each: status, error, api_calls
//! node_artifacts/NODE/*.jsonl       a node of a line each: inputs, output, status, api_calls
//! ```
//!
//! `flow.detail.json`, which `pf flow test` leaves in a flow's `.promptflow`, holds the same records of one line.
//! Whatever is missing or cannot be read is noted, and the rest is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_value::{Blob, Map, Value, json};

use super::difference::is_image_path;
use super::request::{Asking, normalized};

/// A recorded run.
#[derive(Debug, Default)]
pub(crate) struct RunFolder {
    pub(crate) path: PathBuf,
    /// By number.
    pub(crate) lines: BTreeMap<u64, RecordedLine>,
    /// By name, then line; an aggregation node has one record.
    nodes: BTreeMap<Arc<str>, BTreeMap<u64, RecordedNode>>,
    pub(crate) metrics: Map,
    /// What could not be read.
    pub(crate) notes: Vec<String>,
}

/// A line of a recorded run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedLine {
    pub(crate) inputs: Map,
    pub(crate) outputs: Option<Map>,
    pub(crate) end: Option<RecordedEnd>,
    /// The calls that the flow's own record tells, with their nodes where it knows them.
    calls: Vec<RecordedCall>,
}

/// A node of a line.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordedNode {
    pub(crate) output: Value,
    pub(crate) end: Option<RecordedEnd>,
    calls: Vec<RecordedCall>,
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RecordedEnd {
    Completed,
    Bypassed,
    /// With the original's message.
    Failed(String),
}

/// A call to a model.
#[derive(Clone, Debug)]
pub(crate) struct RecordedCall {
    pub(crate) asking: Asking,
    /// The node that made it, if that is known.
    pub(crate) node: Option<Arc<str>>,
    /// The arguments of the call.
    pub(crate) request: Map,
    /// The body of the reply, or the pieces of a streamed one.
    pub(crate) output: Value,
    /// What it raised.
    pub(crate) error: Option<Value>,
}

impl RunFolder {
    /// Reads a run folder; `None` if nothing in it is of a run.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let mut run = Self { path: path.to_owned(), ..Self::default() };
        let details = [path.to_owned(), path.join("flow.detail.json"), path.join(".promptflow/flow.detail.json")];
        if let Some(detail) = details.iter().find(|file| file.is_file()) {
            run.read_detail(detail);
            return (!run.lines.is_empty()).then_some(run);
        }
        let known = ["flow_artifacts", "node_artifacts", "flow_outputs", "inputs.jsonl"];
        if !known.iter().any(|name| path.join(name).exists()) {
            return None;
        }
        for file in files_in(&path.join("flow_artifacts"), "jsonl") {
            for record in run.rows(&file) {
                let number = number_of(&record).unwrap_or_default();
                run.add_flow_record(number, record.get("run_info").unwrap_or(&record));
            }
        }
        for folder in folders_in(&path.join("node_artifacts")) {
            for file in files_in(&folder, "jsonl") {
                for record in run.rows(&file) {
                    run.add_node_record(&record, &folder, &file);
                }
            }
        }
        for (index, row) in run.rows(&path.join("inputs.jsonl")).iter().enumerate() {
            let Some(row_map) = row.as_map() else { continue };
            let number = number_of(row).unwrap_or(index as u64);
            run.lines.entry(number).or_default().inputs = without(row_map, &["line_number"]);
        }
        let outputs = ["flow_outputs/output.jsonl", "outputs.jsonl"].map(|name| path.join(name));
        if let Some(file) = outputs.iter().find(|file| file.is_file()) {
            for row in run.rows(file) {
                let (Some(number), Some(map)) = (number_of(&row), row.as_map()) else { continue };
                let outputs = with_images(&without(map, &["line_number"]).into(), file.parent());
                run.lines.entry(number).or_default().outputs = outputs.as_map().cloned();
            }
        }
        if let Ok(text) = std::fs::read_to_string(path.join("metrics.json")) {
            match json::read(&text) {
                Ok(Value::Map(metrics)) => run.metrics = (*metrics).clone(),
                Ok(_) => {}
                Err(error) => run.notes.push(format!("metrics.json is no JSON: {error}")),
            }
        }
        Some(run)
    }

    /// The record of a node of a line.
    pub(crate) fn node(&self, line: u64, name: &str) -> Option<&RecordedNode> {
        self.nodes.get(name)?.get(&line)
    }

    /// The record of a node that ran once over all lines.
    pub(crate) fn aggregation(&self, name: &str) -> Option<&RecordedNode> {
        self.nodes.get(name)?.values().next()
    }

    /// Whether any node has a record of its own: prompties and flex flows have none.
    pub(crate) fn has_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Every call of a line, those of aggregation nodes aside: what a node's own record tells comes before what the
    /// flow's record says of it.
    pub(crate) fn calls(&self, line: u64, is_aggregation: &dyn Fn(&str) -> bool) -> Vec<RecordedCall> {
        let of_flow = self.lines.get(&line).map(|line| line.calls.as_slice()).unwrap_or_default();
        let own = |node: &str| self.node(line, node).is_some();
        let mut calls: Vec<RecordedCall> =
            of_flow.iter().filter(|call| call.node.as_deref().is_none_or(|node| !own(node))).cloned().collect();
        if self.nodes.values().any(|lines| lines.get(&line).is_some_and(|node| !node.calls.is_empty())) {
            // The nodes' records tell all; calls without a node are those very ones.
            calls.retain(|call| call.node.is_some());
        }
        for (name, lines) in self.nodes.iter().filter(|(name, _)| !is_aggregation(name)) {
            calls.extend(calls_of(lines.get(&line), name));
        }
        calls.retain(|call| call.node.as_deref().is_none_or(|node| !is_aggregation(node)));
        without_retried(calls)
    }

    /// Every call of an aggregation node.
    pub(crate) fn calls_of_aggregation(&self, name: &str) -> Vec<RecordedCall> {
        without_retried(calls_of(self.aggregation(name), name))
    }

    fn read_detail(&mut self, file: &Path) {
        let detail = match std::fs::read_to_string(file).map_err(|error| error.to_string()) {
            Ok(text) => match json::read(text.trim_start_matches('\u{feff}')) {
                Ok(detail) => detail,
                Err(error) => return self.notes.push(format!("{} is no JSON: {error}", file.display())),
            },
            Err(error) => return self.notes.push(format!("{} cannot be read: {error}", file.display())),
        };
        self.path = file.parent().unwrap_or(file).to_owned();
        let runs = |key: &str| detail.get(key).and_then(Value::as_list).unwrap_or_default().to_vec();
        for run in runs("flow_runs") {
            self.add_flow_record(0, &run);
        }
        for run in runs("node_runs") {
            let Some(name) = run.get("node").and_then(Value::as_str) else { continue };
            let node = RecordedNode::of(&run, name, file.parent());
            self.nodes.entry(name.into()).or_default().insert(0, node);
        }
    }

    fn add_flow_record(&mut self, number: u64, run: &Value) {
        let line = self.lines.entry(number).or_default();
        let of_run = |key: &str| run.get(key).and_then(Value::as_map);
        line.inputs =
            of_run("inputs").map(|inputs| without(inputs, &["line_number", "variant_id"])).unwrap_or_default();
        line.end = end_of(run);
        if line.end == Some(RecordedEnd::Completed) {
            let folder = self.path.join("flow_artifacts");
            line.outputs = of_run("output")
                .and_then(|outputs| with_images(&Value::from(outputs.clone()), Some(&folder)).as_map().cloned());
        }
        line.calls = Vec::new();
        for trace in run.get("api_calls").and_then(Value::as_list).unwrap_or_default() {
            let is_flow = trace.get("type").and_then(Value::as_str) == Some("Flow");
            let parts = if is_flow { children(trace) } else { std::slice::from_ref(trace) };
            for part in parts {
                let node = part.get("node_name").and_then(Value::as_str).filter(|name| !name.is_empty());
                collect_calls(part, node, &mut line.calls);
            }
        }
    }

    fn add_node_record(&mut self, record: &Value, folder: &Path, file: &Path) {
        let run = record.get("run_info").unwrap_or(record);
        let said = ["NodeName", "node_name"].into_iter().find_map(|key| record.get(key)?.as_str());
        let Some(name) = said.or_else(|| folder.file_name()?.to_str()) else { return };
        let of_file = || file.file_stem()?.to_str()?.parse().ok();
        let number = number_of(record).or_else(of_file).unwrap_or_default();
        let node = RecordedNode::of(run, name, Some(folder));
        self.nodes.entry(name.into()).or_default().insert(number, node);
    }

    /// The rows of a file; what is none is noted.
    fn rows(&mut self, file: &Path) -> Vec<Value> {
        let shown = file.strip_prefix(&self.path).unwrap_or(file).display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                self.notes.push(format!("{shown} cannot be read: {error}"));
                return Vec::new();
            }
        };
        let mut rows = Vec::new();
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        for (index, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            match json::read(line) {
                Ok(row @ Value::Map(_)) => rows.push(row),
                Ok(_) => self.notes.push(format!("{shown}:{} is no JSON object", index + 1)),
                Err(error) => self.notes.push(format!("{shown}:{} is no JSON: {error}", index + 1)),
            }
        }
        rows
    }
}

impl RecordedNode {
    fn of(run: &Value, name: &str, folder: Option<&Path>) -> Self {
        let mut calls = Vec::new();
        for trace in run.get("api_calls").and_then(Value::as_list).unwrap_or_default() {
            collect_calls(trace, Some(name), &mut calls);
        }
        Self {
            output: run.get("output").map(|output| with_images(output, folder)).unwrap_or_default(),
            end: end_of(run),
            calls,
        }
    }
}

fn end_of(run: &Value) -> Option<RecordedEnd> {
    match run.get("status")?.as_str()? {
        "Completed" | "Finished" => Some(RecordedEnd::Completed),
        "Bypassed" => Some(RecordedEnd::Bypassed),
        status => {
            let message = run.get("error").and_then(|error| error.get("message")).and_then(Value::as_str);
            Some(RecordedEnd::Failed(message.unwrap_or(status).to_owned()))
        }
    }
}

/// The calls in a trace, in the order in which they were made. What a call does inside is its own business.
fn collect_calls(trace: &Value, node: Option<&str>, found: &mut Vec<RecordedCall>) {
    let kind = trace.get("type").and_then(Value::as_str).unwrap_or_default();
    let arguments = trace.get("inputs").and_then(Value::as_map).filter(|_| matches!(kind, "LLM" | "Embedding"));
    if let Some((arguments, asking)) = arguments.and_then(|arguments| Some((arguments, Asking::of(arguments)?))) {
        found.push(RecordedCall {
            asking,
            node: node.map(Into::into),
            request: arguments.clone(),
            output: trace.get("output").cloned().unwrap_or_default(),
            error: trace.get("error").filter(|error| !error.is_null()).cloned(),
        });
        return;
    }
    for child in children(trace) {
        collect_calls(child, node, found);
    }
}

fn children(trace: &Value) -> &[Value] {
    trace.get("children").and_then(Value::as_list).unwrap_or_default()
}

fn calls_of(node: Option<&RecordedNode>, name: &str) -> Vec<RecordedCall> {
    let calls = node.map(|node| node.calls.clone()).unwrap_or_default();
    calls.into_iter().map(|call| RecordedCall { node: Some(name.into()), ..call }).collect()
}

/// The original's tools repeat a call that failed; the failures before the last one of the same request are history.
fn without_retried(calls: Vec<RecordedCall>) -> Vec<RecordedCall> {
    let forms: Vec<Map> = calls.iter().map(|call| normalized(call.asking, &call.request)).collect();
    let is_repeated = |index: usize, call: &RecordedCall| {
        call.error.is_some()
            && (index + 1..calls.len()).any(|later| calls[later].node == call.node && forms[later] == forms[index])
    };
    let keep: Vec<bool> = calls.iter().enumerate().map(|(index, call)| !is_repeated(index, call)).collect();
    calls.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(call, _)| call).collect()
}

/// Images by path with their bytes, where the file is still to be found; the recording has another machine's paths.
fn with_images(value: &Value, folder: Option<&Path>) -> Value {
    match value {
        Value::List(items) => items.iter().map(|item| with_images(item, folder)).collect::<Vec<_>>().into(),
        Value::Map(map) if is_image_path(map) => {
            let image = map.iter().next().and_then(|(key, path)| {
                let path = path.as_str()?;
                let name = path.rsplit(['/', '\\']).next()?;
                let mime = key.strip_prefix("data:")?.strip_suffix(";path")?;
                let found = [folder?.join(name), PathBuf::from(path)].into_iter().find(|file| file.is_file())?;
                Some(Value::Blob(Arc::new(Blob::from_bytes(mime, std::fs::read(found).ok()?))))
            });
            image.unwrap_or_else(|| value.clone())
        }
        Value::Map(map) => {
            map.iter().map(|(key, item)| (key.clone(), with_images(item, folder))).collect::<Map>().into()
        }
        other => other.clone(),
    }
}

fn number_of(row: &Value) -> Option<u64> {
    row.get("line_number")?.as_int()?.try_into().ok()
}

fn without(map: &Map, keys: &[&str]) -> Map {
    map.iter().filter(|(key, _)| !keys.contains(&&***key)).map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}
