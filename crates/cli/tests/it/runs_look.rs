//! Looking at runs: lists, one run, its lines, metrics and events.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::Project;

use crate::fixture::{KEY, SLUICEGATE, ask, one_call};
use crate::runs_project::{batch, json, json_lines, ran, runs, steady, three_rows, told};

#[test]
fn a_list_says_how_many_lines_completed() {
    let (_endpoint, project) = ran();
    steady!(insta::assert_snapshot!(told(&project, &["list"]), @r#"
    RUN  FLOW  ENVIRONMENT  STATUS  LINES  STARTED  TOKENS  COST
    three  ask  pr  failed  2/3, 1 failed  [time]  26  $0.0260
    "#));
    let listed = json(&told(&project, &["list", "--json"]));
    assert_eq!(listed[0]["lines"], json(r#"{"total": 3, "completed": 2, "failed": 1, "left": 0}"#));
    assert_eq!(told(&project, &["list", "--status", "completed"]), "");
}

#[test]
fn a_batch_is_shown_as_a_whole() {
    let (_endpoint, project) = ran();
    steady!(insta::assert_snapshot!(told(&project, &["show", "latest"]), @r#"
    run  three
    flow  ask
    environment  pr
    status  failed
    started  [time]
    duration  [took]
    data  rows.jsonl
    mapping  q=${data.q}
    lines  2 of 3 completed, 1 failed
    a line took  [took] (p50), [took] (p95), [took] (longest)
    tokens  20 → 6 tokens
    cost  $0.026000
    failures  line 1, node `ask`: the endpoint refused the request (400): Not that one.
    outputs  .sluicegate/out/three/output.jsonl
    once more  sluicegate runs resume three --failed
    "#));
    let shown = json(&told(&project, &["show", "thr", "--json"]));
    assert_eq!((&shown["run"], &shown["status"]), (&json("\"three\""), &json("\"failed\"")));
    assert_eq!(shown["lines"]["failed"], 1);
    assert_eq!(shown["failures"][0]["node"], "ask");
    assert_eq!(shown["usage"]["input_tokens"], 20);
    assert!(shown["line_ms"]["p95"].is_number() && shown["cost_usd"].is_number(), "{shown}");
}

#[test]
fn a_line_is_shown_like_a_run_of_its_own() {
    let (_endpoint, project) = ran();
    steady!(insta::assert_snapshot!(told(&project, &["show", "three", "--line", "0"]), @r#"
    run  three
    line  0
    flow  ask
    environment  pr
    status  completed
    started  [time]
    duration  [took]
    tokens  10 → 3 tokens
    cost  $0.013000
    inputs  {"q":"one"}
    outputs  {"said":"[ONE]"}
    ├─ ask  llm  done  [took]  10 → 3 tokens
    └─ shout  expression done  [took]
    "#));
    steady!(insta::assert_snapshot!(told(&project, &["show", "three", "--line", "1"]), @r#"
    run  three
    line  1
    flow  ask
    environment  pr
    status  failed
    started  [time]
    duration  [took]
    error  the endpoint refused the request (400): Not that one.
    inputs  {"q":"two"}
    └─ ask  llm  failed  [took]
    "#));
    let line = json(&told(&project, &["show", "three", "--line", "2", "--json"]));
    assert_eq!((&line["line_number"], &line["outputs"]["said"]), (&json("2"), &json("\"[THREE]\"")));
    assert_eq!(line["nodes"]["ask"]["output"], "[three]");
    steady!(insta::assert_snapshot!(runs(&project, &["show", "three", "--line", "3"]).shown(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: run `three` has no line 3
      hint: `sluicegate runs lines three` shows those it has
    "#));
}

#[test]
fn lines_are_a_table() {
    let (_endpoint, project) = ran();
    steady!(insta::assert_snapshot!(told(&project, &["lines", "three"]), @r#"
    LINE  STATUS  DURATION  TOKENS  COST  ERROR
    0  completed  [took]  13  $0.0130
    1  failed  [took]  -  $0.0000  node `ask`: the endpoint refused the request (400): Not that one.
    2  completed  [took]  13  $0.0130
    "#));
    steady!(insta::assert_snapshot!(told(&project, &["lines", "three", "--status", "failed"]), @r#"
    LINE  STATUS  DURATION  TOKENS  COST  ERROR
    1  failed  [took]  -  $0.0000  node `ask`: the endpoint refused the request (400): Not that one.
    "#));
    steady!(insta::assert_snapshot!(told(&project, &["lines", "three", "--details"]), @r#"
    line 0  completed  [took]  10 → 3 tokens  $0.0130
      inputs  {"q":"one"}
      outputs  {"said":"[ONE]"}
    line 1  failed  [took]
      inputs  {"q":"two"}
      error  node `ask`: the endpoint refused the request (400): Not that one.
    line 2  completed  [took]  10 → 3 tokens  $0.0130
      inputs  {"q":"three"}
      outputs  {"said":"[THREE]"}
    "#));
    steady!(insta::assert_snapshot!(runs(&project, &["lines", "three", "--limit", "2"]).shown(), @r#"
    exit 0
    --- stdout
    LINE  STATUS  DURATION  TOKENS  COST  ERROR
    0  completed  [took]  13  $0.0130
    1  failed  [took]  -  $0.0000  node `ask`: the endpoint refused the request (400): Not that one.
    --- stderr
    there are more: --after 1
    "#));
    steady!(insta::assert_snapshot!(runs(&project, &["lines", "three", "--after", "1", "--limit", "1"]).shown(), @r#"
    exit 0
    --- stdout
    LINE  STATUS  DURATION  TOKENS  COST
    2  completed  [took]  13  $0.0130
    --- stderr
    "#));
    let none = runs(&project, &["lines", "three", "--status", "cancelled"]);
    assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{}", none.shown());
}

#[test]
fn lines_are_an_array_with_one_of_them_a_line_of_text() {
    let (_endpoint, project) = ran();
    let text = told(&project, &["lines", "three", "--json", "--details"]);
    assert_eq!(text.lines().count(), 5, "{text}");
    let lines = json(&text);
    assert_eq!(lines.as_array().map(Vec::len), Some(3));
    assert_eq!((&lines[0]["inputs"]["q"], &lines[0]["outputs"]["said"]), (&json("\"one\""), &json("\"[ONE]\"")));
    assert_eq!((&lines[1]["status"], &lines[1]["error"]["node"]), (&json("\"failed\""), &json("\"ask\"")));
    assert_eq!(told(&project, &["lines", "three", "--json", "--status", "begun"]), "[]\n");
    let slowest = json(&told(&project, &["lines", "three", "--json", "--slowest"]));
    let times: Vec<f64> =
        slowest.as_array().into_iter().flatten().filter_map(|line| line["duration_ms"].as_f64()).collect();
    assert!(times.len() == 3 && times.is_sorted_by(|one, next| one >= next), "{times:?}");
}

#[test]
fn many_lines_come_page_by_page() {
    let rows: String = (0..1_203).map(|row| format!("{{\"q\": \"{row}\"}}\n")).collect();
    let project = Project::new()
        .file("flow/flow.dag.yaml", "inputs: { q: { type: string } }\noutputs: { said: { type: string, reference: \"${inputs.q}\" } }\nnodes: []\n")
        .file("rows.jsonl", rows);
    let ran = project.run(SLUICEGATE, &["batch", "flow", "--data", "rows.jsonl"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let lines = json(&told(&project, &["lines", "latest", "--json"]));
    let numbers: Vec<u64> =
        lines.as_array().into_iter().flatten().filter_map(|line| line["line_number"].as_u64()).collect();
    assert_eq!(numbers, (0..1_203).collect::<Vec<_>>());
    let shown = runs(&project, &["lines", "latest"]);
    assert_eq!(shown.stdout.lines().count(), 101);
    assert_eq!(shown.stderr, "there are more: --after 99\n");
    // Whoever reads the first line only is no failure.
    let mut command = project.command(SLUICEGATE, &["runs", "export", "latest"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut first).expect("a line");
    let output = child.wait_with_output().expect("ends");
    assert!(first.contains("run_started"), "{first}");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn what_models_say_does_not_reach_the_terminal_as_it_is() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("\u{1b}[2Jgone\u{202e}");
    let project = three_rows(&endpoint);
    assert_eq!(batch(&project, &[]).code, 0);
    for words in [
        &["lines", "three", "--details"][..],
        &["show", "three", "--line", "0"],
        &["events", "three"],
        &["show", "three"],
    ] {
        let text = told(&project, words);
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    assert!(told(&project, &["events", "three"]).contains("\\u{1b}[2Jgone"));
}

const COUNT: &str = "from promptflow.core import tool, log_metric

@tool
def count(said: list):
    log_metric(\"lines\", len(said))
    log_metric(\"letters\", sum(len(text) for text in said))
    return said
";

#[test]
fn metrics_are_those_of_the_last_aggregation() {
    let endpoint = crate::runs_project::refuses_two();
    let project = three_rows(&endpoint);
    let aggregation = "- { name: count, type: python, source: { type: code, path: count.py }, inputs: { said: \"${shout.output}\" }, aggregation: true }\n";
    project.write("flows/ask/flow.dag.yaml", crate::runs_project::TWO_NODES.to_owned() + aggregation);
    project.write("flows/ask/count.py", COUNT);
    assert_eq!(batch(&project, &[]).code, 1);
    steady!(insta::assert_snapshot!(told(&project, &["metrics", "three"]), @r#"
    METRIC  VALUE
    lines  2
    letters  12
    "#));
    assert_eq!(json(&told(&project, &["metrics", "three", "--json"])), json(r#"{"lines": 2, "letters": 12}"#));
    steady!(insta::assert_snapshot!(told(&project, &["show", "three"]), @r#"
    run  three
    flow  ask
    environment  pr
    status  failed
    started  [time]
    duration  [took]
    data  rows.jsonl
    mapping  q=${data.q}
    lines  2 of 3 completed, 1 failed
    a line took  [took] (p50), [took] (p95), [took] (longest)
    tokens  20 → 6 tokens
    cost  $0.026000
    metrics  lines = 2
      letters = 12
    failures  line 1, node `ask`: the endpoint refused the request (400): Not that one.
    outputs  .sluicegate/out/three/output.jsonl
    over 2 lines:
    └─ count  python  done  [took]
    once more  sluicegate runs resume three --failed
    "#));
    endpoint.on(|_| Some(Answer::text("fine")));
    assert_eq!(project.run(SLUICEGATE, &["batch", "--resume", "three", "--failed"]).code, 0);
    assert_eq!(json(&told(&project, &["metrics", "three", "--json"]))["lines"], 3);
    let shown = json(&told(&project, &["show", "three", "--json"]));
    assert_eq!((&shown["metrics"]["lines"], &shown["metrics_over_lines"]), (&json("3"), &json("3")));
    assert_eq!(shown["nodes"]["count"]["status"], "completed");
}

#[test]
fn events_are_told_by_line_node_and_kind() {
    let (_endpoint, project) = ran();
    steady!(insta::assert_snapshot!(told(&project, &["events", "three", "--line", "1"]), @r#"
    [seq]  [time]  line 1  line_started  {"q":"two"}
    [seq]  [time]  line 1  ask  node_started  llm
    [seq]  [time]  line 1  ask  model_call_started  gateway  small
    [seq]  [time]  line 1  ask  model_attempt_failed  the endpoint refused the request (400): Not that one.
    [seq]  [time]  line 1  ask  model_call_finished  failed  the endpoint refused the request (400): Not that one.
    [seq]  [time]  line 1  ask  node_finished  failed  the endpoint refused the request (400): Not that one.
    [seq]  [time]  line 1  line_finished  failed  the endpoint refused the request (400): Not that one.
    "#));
    let kinds = |words: &[&str]| -> Vec<String> {
        let events = json_lines(&told(&project, &[&["events", "three", "--json"], words].concat()));
        events.iter().map(|event| event["kind"].as_str().expect("a kind").to_owned()).collect()
    };
    assert_eq!(kinds(&["--line", "0", "--node", "shout"]), ["node_started", "node_finished"]);
    assert_eq!(kinds(&["--kind", "line_finished"]), ["line_finished"; 3]);
    assert_eq!(runs(&project, &["events", "three", "--line", "7"]).code, 2);
    assert_eq!(kinds(&["--follow"]), kinds(&[]), "a run that is over has no more to come");
}

#[test]
fn a_batch_that_runs_is_seen_from_outside() {
    let endpoint = Endpoint::start();
    let mut is_first = true;
    endpoint.on(move |_| {
        let wait = if std::mem::take(&mut is_first) { Duration::ZERO } else { Duration::from_secs(600) };
        Some(Answer::text("fine").after(wait))
    });
    let project = three_rows(&endpoint);
    let words = ["batch", "ask", "-e", "pr", "--data", "rows.jsonl", "--name", "three"];
    let mut child = project.start(SLUICEGATE, &words);
    endpoint.wait_for(3);
    // The first reply is on disk soon.
    let lines = loop {
        let listed = json(&told(&project, &["list", "--json"]));
        assert_eq!(listed[0]["status"], "running");
        if listed[0]["lines"]["completed"] == 1 {
            break listed[0]["lines"].clone();
        }
    };
    assert_eq!(lines, json(r#"{"total": 3, "completed": 1, "failed": 0, "left": 2}"#));
    steady!(insta::assert_snapshot!(told(&project, &["show", "three"]), @r#"
    run  three
    flow  ask
    environment  pr
    status  running
    started  [time]
    duration  [took]
    data  rows.jsonl
    mapping  q=${data.q}
    lines  1 of 3 completed, 2 left, 2 in progress
    a line took  [took] (p50), [took] (p95), [took] (longest)
    tokens  10 → 3 tokens
    cost  $0.013000
    outputs  sluicegate runs outputs three
    "#));
    let lines = json(&told(&project, &["lines", "three", "--json", "--details"]));
    let standing: Vec<&str> =
        lines.as_array().into_iter().flatten().filter_map(|line| line["status"].as_str()).collect();
    assert_eq!(standing.iter().filter(|status| **status == "begun").count(), 2, "{standing:?}");
    assert_eq!(told(&project, &["outputs", "three"]).lines().count(), 1);
    assert_eq!(runs(&project, &["delete", "three", "--yes"]).code, 2, "what runs is not deleted");
    // Whoever follows ends with the run, also when that is killed.
    let follower = project.start(SLUICEGATE, &["runs", "events", "three", "--follow", "--json"]);
    child.kill().expect("killed");
    let _ = project.wait(child);
    let followed = project.wait(follower);
    assert_eq!(followed.code, 0, "{}", followed.shown());
    assert_eq!(json_lines(&followed.stdout).len(), told(&project, &["events", "three"]).lines().count());
    let shown = told(&project, &["show", "three"]);
    assert!(shown.contains("status       interrupted") && shown.contains("runs resume three"), "{shown}");
    let line = told(&project, &["show", "three", "--line", "2"]);
    assert!(line.contains("status       interrupted") || line.contains("status       completed"), "{line}");
}

#[test]
fn runs_that_are_not_there_are_told_so() {
    let (_endpoint, project) = ran();
    for words in [
        &["show", "nope"][..],
        &["lines", "nope"],
        &["metrics", "nope"],
        &["events", "nope"],
        &["export", "nope"],
        &["outputs", "nope"],
        &["delete", "nope", "--yes"],
        &["resume", "nope"],
    ] {
        let ran = runs(&project, words);
        assert_eq!(ran.code, 2, "{}", ran.shown());
        assert_eq!(
            ran.stderr, "error: there is no run `nope`\n  hint: `sluicegate runs list` shows those that are kept\n",
            "{words:?}"
        );
    }
    let empty = Project::new();
    assert_eq!(runs(&empty, &["lines", "latest"]).stderr, "error: no runs are kept here\n");
}

#[test]
fn a_single_run_has_no_lines_but_all_else() {
    let endpoint = Endpoint::start();
    endpoint.reply_text("fine");
    let project = one_call(&endpoint).variable("THE_KEY", KEY);
    assert_eq!(ask(&project, &[]).code, 0);
    for words in [&["lines", "latest"][..], &["show", "latest", "--line", "0"], &["events", "latest", "--line", "0"]] {
        let ran = runs(&project, words);
        assert!(ran.code == 2 && ran.stderr.contains("is no batch: it has no lines"), "{}", ran.shown());
    }
    assert_eq!(told(&project, &["outputs", "latest"]), "{\n  \"answer\": \"fine\"\n}\n");
    let events = told(&project, &["events", "latest"]);
    assert!(events.contains("ask  node_finished  completed  fine"), "{events}");
    assert_eq!(json(&told(&project, &["metrics", "latest", "--json"])), json("{}"));
    steady!(insta::assert_snapshot!(told(&project, &["list"]), @r#"
    RUN  FLOW  ENVIRONMENT  STATUS  LINES  STARTED  TOKENS  COST
    [run]  ask  pr  completed  -  [time]  13  -
    "#));
}

#[test]
fn a_damaged_run_is_told_as_that_and_harms_no_other() {
    let (_endpoint, project) = ran();
    project.write(
        ".sluicegate/runs/broken.db",
        "this is no database, but it is long enough to be taken for one by its name",
    );
    steady!(insta::assert_snapshot!(told(&project, &["list"]), @r#"
    RUN  FLOW  ENVIRONMENT  STATUS  LINES  STARTED  TOKENS  COST
    three  ask  pr  failed  2/3, 1 failed  [time]  26  $0.0260
    broken  -  damaged  -  -  -  -
    "#));
    for command in ["show", "lines", "metrics", "events", "export", "outputs"] {
        let ran = runs(&project, &[command, "broken"]);
        assert_eq!(ran.code, 1, "{}", ran.shown());
        assert!(ran.stderr.contains("is damaged or is no run"), "{}", ran.shown());
        assert!(ran.stderr.contains("`sluicegate runs delete` removes it"), "{}", ran.shown());
    }
    assert_eq!(runs(&project, &["show", "latest"]).code, 0);
    assert_eq!(runs(&project, &["prune", "--status", "damaged", "--yes"]).code, 0);
    assert!(!project.path().join(".sluicegate/runs/broken.db").exists());
    assert_eq!(json(&told(&project, &["list", "--json"])).as_array().map(Vec::len), Some(1));
}
