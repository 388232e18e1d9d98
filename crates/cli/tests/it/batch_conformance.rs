//! The original's recorded batches (promptflow 1.18.5), with its own flows and Python files, through the real binary:
//! every record of `batch.jsonl` comes out as recorded. What is better on purpose stands in [`DIFFERENCES`].
//!
//! `SLUICEGATE_CONFORMANCE=DIR` names another folder of that shape: `flows/` and `batch.jsonl`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sluicegate_events::{EventKind, Outcome};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{events, outputs};
use crate::fixture::{SLUICEGATE, repository};

/// What differs on purpose from what is recorded, and is taken into account in [`differences`].
///
/// - The exit code is 1 where the original says `Completed` though lines failed: nothing that failed passes for done.
/// - What makes the original's run `Failed` before it begins (a mapping to a column that no row has) is a problem of what
///   was asked: code 2, told with the columns that there are, and no run is kept.
/// - What runs beside a node that fails is stopped, where the original lets it end: it counts as if it had ended.
/// - Messages are our own words; the line, the node, the kind of failure and a tool's exception are the original's.
/// - Failed lines stop a batch before it begins if their rows are no inputs: the records are run with `--on-bad-line
///   fail-line`.
/// - A missing or null column is the input's default, or `null`, and never the text `nan`; numbers and dates in JSON stay
///   what they are. No record's outputs show it: the flows that were recorded do not print that input.
const DIFFERENCES: &[&str] = &["exit code", "refused before it begins", "stopped nodes", "own words", "no nan"];

/// A record, run.
struct Found {
    ran: Ran,
    project: Project,
}

fn run(corpus: &Path, record: &Value) -> Found {
    let flow = record["flow"].as_str().expect("a flow");
    let project = Project::new().copy_of(&corpus.join(flow), "flow");
    let format = record["data_format"].as_str().unwrap_or("jsonl");
    let file = format!("data.{format}");
    project.write(&file, data(&record["data"], format));
    let mut words: Vec<String> =
        ["batch", "flow", "--on-bad-line", "fail-line", "--output", "out", "--json", "--data", &file]
            .map(ToOwned::to_owned)
            .to_vec();
    if let Some(lines) = record["run_outputs"].as_array() {
        words.extend(["--run".to_owned(), earlier_run(&project, lines)]);
    }
    if let Some(mapping) = record["column_mapping"].as_object().filter(|mapping| !mapping.is_empty()) {
        // By a run.yaml, as the original takes what is no text.
        project.write("run.yaml", json!({ "column_mapping": mapping }).to_string());
        words.extend(["--file".to_owned(), "run.yaml".to_owned()]);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    Found { ran: project.run(SLUICEGATE, &words), project }
}

fn data(data: &Value, format: &str) -> String {
    match (data, format) {
        (Value::String(text), _) => text.clone(),
        (Value::Array(rows), "jsonl") => rows.iter().map(|row| format!("{row}\n")).collect(),
        (other, _) => other.to_string(),
    }
}

/// A batch whose lines of these numbers completed with these outputs, and whose others failed.
fn earlier_run(project: &Project, lines: &[Value]) -> String {
    let number = |line: &Value| line["line_number"].as_u64().expect("a line number");
    let last = lines.iter().map(number).max().unwrap_or_default();
    let names: Vec<&String> =
        lines[0].as_object().expect("outputs").keys().filter(|name| *name != "line_number").collect();
    let mut flow = "inputs: { row: { type: object } }\noutputs:\n".to_owned();
    for name in &names {
        flow += &format!("  {name}: {{ type: object, reference: \"${{give.output.{name}}}\" }}\n");
    }
    flow += "nodes:\n- { name: give, type: expression, inputs: { row: \"${inputs.row}\" }, expression: row }\n";
    project.write("earlier/flow.dag.yaml", flow);
    let rows = (0..=last).map(|wanted| match lines.iter().find(|line| number(line) == wanted) {
        Some(line) => format!("{}\n", json!({ "row": line })),
        None => "{\"row\": {}}\n".to_owned(),
    });
    project.write("earlier.jsonl", rows.collect::<String>());
    let words = ["batch", "earlier", "--data", "earlier.jsonl", "--name", "earlier", "--max-failures", "100%"];
    let ran = project.run(SLUICEGATE, &words);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    "earlier".to_owned()
}

/// How many lines' nodes ended how: `line.completed` → 3. Aggregation nodes count as their one run, and what was stopped
/// as if it had ended.
fn node_status(project: &Project) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for event in events(project) {
        if let EventKind::NodeFinished { outcome, .. } = &event.kind {
            let word = match outcome {
                Outcome::Completed { .. } | Outcome::Cancelled => "completed",
                Outcome::Bypassed => "bypassed",
                Outcome::Failed { .. } => "failed",
                Outcome::Waiting { .. } => continue,
            };
            *counts.entry(format!("{}.{word}", event.scope.path)).or_default() += 1;
        }
    }
    counts
}

/// What differs between a record and what came of it.
fn differences(record: &Value, found: &Found) -> Vec<String> {
    let Found { ran, project } = found;
    let mut differing = Vec::new();
    let mut check = |what: &str, found: &Value, expected: &Value| {
        if !same(found, expected) {
            differing.push(format!("{what}: {found}, not {expected}"));
        }
    };
    if record["status"] != "Completed" {
        check("exit code", &json!(ran.code), &json!(2));
        let error = record["error"].as_str().unwrap_or_default();
        // The relations that the original misses, each told here with its place.
        let missed = error.split("mapping relations: ").nth(1).and_then(|rest| rest.split(". ").next());
        let missed: Vec<&str> = missed.unwrap_or_default().split(", ").filter(|name| !name.is_empty()).collect();
        check("names each relation", &json!(missed.iter().all(|name| ran.stderr.contains(name))), &json!(true));
        check("kept runs", &json!(project.path().join(".sluicegate/out").exists()), &json!(false));
        return differing;
    }
    let failed = record["failed_lines"].as_u64().unwrap_or_default();
    check("exit code", &json!(ran.code), &json!(i32::from(failed > 0)));
    let Ok(report) = serde_json::from_str::<Value>(&ran.stdout) else {
        return vec![format!("no report: {}", ran.shown())];
    };
    check("total_lines", &report["lines"]["total"], &record["total_lines"]);
    check("completed_lines", &report["lines"]["completed"], &record["completed_lines"]);
    check("failed_lines", &report["lines"]["failed"], &record["failed_lines"]);
    check("metrics", &report["metrics"], &record["metrics"]);
    let written = std::fs::read_to_string(project.path().join("out/metrics.json")).unwrap_or_default();
    check("metrics.json", &serde_json::from_str(&written).unwrap_or_default(), &record["metrics"]);
    check("output_jsonl", &Value::from(outputs(project)), &record["output_jsonl"]);
    check("node_status", &json!(node_status(project)), &record["node_status"]);
    let failures = report["failures"].as_array().cloned().unwrap_or_default();
    let expected = record["errors"].as_array().cloned().unwrap_or_default();
    check("failed lines", &lines(&failures), &lines(&expected));
    for (found, expected) in failures.iter().zip(&expected) {
        let wanted = failure(expected["message"].as_str().unwrap_or_default());
        let place = json!([found["code"], found["node"]]);
        check("error's class and node", &place, &json!([wanted.code, wanted.node]));
        let message = found["message"].as_str().unwrap_or_default();
        check("error's words", &json!(wanted.words.iter().all(|words| message.contains(words))), &json!(true));
    }
    // Aggregation errors are told beside the run, which is complete all the same.
    for (node, error) in record["aggr_errors"].as_object().into_iter().flatten() {
        let told = ran.stderr.contains("an aggregation node failed") && ran.stderr.contains(node.as_str());
        check(&format!("aggregation error of {node} ({error})"), &json!(told), &json!(true));
    }
    differing
}

fn lines(failures: &[Value]) -> Value {
    failures.iter().map(|failure| failure["line_number"].clone()).collect()
}

/// What is to be found of one of the original's messages: our code, the node, and words that come from flow and data.
struct Wanted<'a> {
    code: &'static str,
    node: &'a str,
    words: Vec<&'a str>,
}

fn failure(message: &str) -> Wanted<'_> {
    let raised = message.strip_prefix("Execution failure in '").and_then(|rest| rest.split_once("': "));
    if let Some((node, raised)) = raised {
        return Wanted { code: "python", node, words: vec![raised] };
    }
    if message.contains("timeout for exceeding") {
        return Wanted { code: "timeout", node: "", words: Vec::new() };
    }
    // The names between quotes: the input, and its type.
    let quoted: Vec<&str> = message.split('\'').skip(1).step_by(2).collect();
    Wanted { code: "input", node: "", words: quoted }
}

/// Equal as JSON values; 2 and 2.0 are the same number.
fn same(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => found == expected || found.as_f64() == expected.as_f64(),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len() && found.iter().zip(expected).all(|(found, expected)| same(found, expected))
        }
        (Value::Object(found), Value::Object(expected)) => {
            found.len() == expected.len()
                && found.iter().all(|(name, value)| expected.get(name).is_some_and(|expected| same(value, expected)))
        }
        (found, expected) => found == expected,
    }
}

#[test]
fn every_recorded_batch_comes_out_as_recorded() {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the tests may name another corpus")]
    let named = std::env::var_os("SLUICEGATE_CONFORMANCE").map(PathBuf::from);
    let ours = repository().join("crates/executor/tests/data/promptflow");
    let corpus = named.clone().unwrap_or(ours);
    let records = std::fs::read_to_string(corpus.join("batch.jsonl")).expect("the records");
    let (mut differing, mut count) = (Vec::new(), 0);
    for line in records.lines().filter(|line| !line.trim().is_empty()) {
        let record: Value = serde_json::from_str(line).expect("a record is JSON");
        let found = run(&corpus, &record);
        let differences = differences(&record, &found);
        if !differences.is_empty() {
            let (flow, mapping) = (&record["flow"], &record["column_mapping"]);
            let told = differences.join("\n    ");
            differing.push(format!("{flow} with {mapping}:\n    {told}\n{}", found.ran.stderr));
        }
        count += 1;
    }
    assert!(differing.is_empty(), "{} of {count} differ:\n{}", differing.len(), differing.join("\n"));
    if named.is_none() {
        assert_eq!(count, 12);
    }
    eprintln!("{count} records; on purpose different: {}", DIFFERENCES.join(", "));
}
