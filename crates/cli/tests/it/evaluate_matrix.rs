//! `evaluate` over a matrix: variants, prompts and connections of a flow, each an evaluation, all in one table.

use std::path::PathBuf;

use serde_json::Value;
use sluicegate_store::{RunFilter, Store};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::SLUICEGATE;

/// A flow with two variants of one node, and two scripted models.
const FLOW: &str = "inputs:
  word: { type: string }
outputs:
  answer: { type: string, reference: \"${ask.output}\" }
nodes:
- name: ask
  use_variants: true
node_variants:
  ask:
    default_variant_id: good
    variants:
      good:
        node:
          type: llm
          source: { type: code, path: good.jinja2 }
          inputs: { deployment_name: simulated, max_tokens: 4, word: \"${inputs.word}\" }
          connection: one
          api: chat
      poor:
        node:
          type: llm
          source: { type: code, path: poor.jinja2 }
          inputs: { deployment_name: simulated, max_tokens: 4, word: \"${inputs.word}\" }
          connection: one
          api: chat
";

/// It repeats the word that it is asked to say, unless it is to be brief and the word's number is even.
const SCRIPT: &str = "replies:
  - when: { user: '^Briefly: word\\d*[02468]$' }
    reply: ''
  - when: { user: word }
    find: 'word\\d+'
    reply: '${found}'
";

/// The same, and never brief.
const PATIENT: &str = "replies:
  - when: { user: word }
    find: 'word\\d+'
    reply: '${found}'
";

const CONFIG: &str = "connections:
  one: { type: simulated, script: config/one.yaml }
  patient: { type: simulated, script: config/patient.yaml }
prices: { simulated: { input: 1000, output: 1000 } }
flow_configs:
  say: { flow_path: flows/say }
";

const EVALUATION: &str = "data: data/words.jsonl
evaluators:
  exact_match: { response: \"${target.answer}\", ground_truth: \"${data.word}\" }
gate:
  exact_match: \">= 0.8\"
";

fn project(evaluation: &str) -> Project {
    let rows: String = (10..50).map(|number| format!("{{\"word\":\"word{number}\"}}\n")).collect();
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("config/one.yaml", SCRIPT)
        .file("config/patient.yaml", PATIENT)
        .file("flows/say/flow.dag.yaml", FLOW)
        .file("flows/say/good.jinja2", "user:\nSay {{word}}\n")
        .file("flows/say/poor.jinja2", "user:\nBriefly: {{word}}\n")
        .file("flows/say/evaluation.yaml", format!("{EVALUATION}{evaluation}"))
        .file("data/words.jsonl", rows)
}

fn evaluate(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["evaluate", "say", "--progress", "none"], more].concat())
}

#[track_caller]
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
}

/// Where `matrix.json` is.
fn place(project: &Project, ran: &Ran) -> PathBuf {
    ran.stdout.trim().replace("[project]", &project.path().display().to_string()).into()
}

#[track_caller]
fn matrix(project: &Project, ran: &Ran) -> Value {
    let text = std::fs::read_to_string(place(project, ran)).unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()));
    serde_json::from_str(&text).expect("a matrix")
}

fn runs(project: &Project) -> usize {
    let store = Store::open(project.path().join(".sluicegate")).expect("the store");
    store.list(&RunFilter::default()).expect("runs").len()
}

const BOTH: [&str; 2] = ["--variants", "${ask.good},${ask.poor}"];

#[test]
fn variants_are_compared_in_one_table_and_the_worst_cell_decides() {
    let project = project("");
    let ran = evaluate(&project, &BOTH);
    check(
        &ran,
        10,
        &["cell 2 of 2: ask.poor", "FAIL  say [ask.poor]", "matrix of say: 2 cells", "difference from ask.good"],
    );
    let matrix = matrix(&project, &ran);
    assert_eq!((&matrix["reference"], &matrix["decided_by"]), (&"ask.good".into(), &"ask.poor".into()));
    let cells = matrix["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), 2);
    assert_eq!((&cells[0]["verdict"], &cells[1]["verdict"]), (&"pass".into(), &"fail".into()));
    assert_eq!((&cells[0]["metrics"][0]["mean"], &cells[1]["metrics"][0]["mean"]), (&1.0.into(), &0.5.into()));
    for cell in cells {
        assert_eq!(cell["metrics"][0]["n"], 40);
        assert!(cell["metrics"][0]["lower"].as_f64() < cell["metrics"][0]["upper"].as_f64(), "{cell}");
        assert!(cell["usd_per_case"].as_f64() > Some(0.0) && cell["latencies"]["p95_ms"].is_number(), "{cell}");
    }
    let difference = &matrix["pairs"][0]["differences"][0];
    assert_eq!((&difference["estimate"], &difference["worse"]), (&(-0.5).into(), &20.into()));
    assert!(difference["p_adjusted"].as_f64() < Some(1e-5), "{difference}");
    // What lies beside it, and the receipt of each cell.
    let folder = place(&project, &ran).parent().expect("a folder").to_owned();
    for file in ["matrix.md", "matrix.html", "receipt.json", "cells/cell-1/receipt.json", "cells/cell-2/receipt.json"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    assert_eq!(runs(&project), 2);
}

#[test]
fn a_named_candidate_alone_decides() {
    let text = "matrix:
  variants: ['${ask.poor}', '${ask.good}']
  connections: [one, patient]
  exclude: [{ variants: '${ask.poor}', connections: patient }]
  reference: { variants: '${ask.poor}' }
  candidate: { variants: '${ask.good}', connections: patient }
";
    let project = project(text);
    let ran = evaluate(&project, &[]);
    check(&ran, 0, &["PASS  say [ask.good · patient]", "ask.poor · one"]);
    let matrix = matrix(&project, &ran);
    let names: Vec<&str> =
        matrix["cells"].as_array().expect("cells").iter().filter_map(|cell| cell["name"].as_str()).collect();
    assert_eq!(names, ["ask.poor · one", "ask.good · one", "ask.good · patient"]);
    assert_eq!(matrix["candidate"], "ask.good · patient");
    assert_eq!(matrix["pairs"].as_array().map(Vec::len), Some(2));
    // Two differences pay for one another, and are the same here.
    let difference = |at: usize| &matrix["pairs"][at]["differences"][0];
    assert_eq!(difference(0)["p_adjusted"].as_f64(), difference(0)["p_value"].as_f64().map(|p| 2.0 * p));
    assert_eq!(difference(0)["p_value"], difference(1)["p_value"]);
}

#[test]
fn connections_and_prompts_are_axes_too() {
    let project = project("matrix:\n  prompts: [flows/say/good.jinja2, ask=poor.jinja2]\n");
    let ran = evaluate(&project, &["--connections", "one,ask.connection=patient"]);
    check(&ran, 10, &["flows/say/good.jinja2 · one"]);
    let matrix = matrix(&project, &ran);
    let means: Vec<f64> = matrix["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .filter_map(|cell| cell["metrics"][0]["mean"].as_f64())
        .collect();
    // Only the brief prompt, asked of the first model, misses.
    assert_eq!(means, [1.0, 1.0, 0.5, 1.0], "{}", ran.shown());
}

#[test]
fn what_does_not_fit_is_said_before_anything_is_asked() {
    let project = project("");
    for (flags, words) in [
        (["--variants", "${ask.good},${ask.gone}"], "gone"),
        (["--connections", "one,nobody"], "nobody"),
        (["--connections", "tell.connection=one"], "has no node `tell`"),
    ] {
        check(&evaluate(&project, &flags), 2, &[words]);
    }
    assert!(!project.path().join(".sluicegate/runs").exists() || runs(&project) == 0);
}

#[test]
fn where_nothing_changed_no_cell_is_asked_again() {
    let project = project("");
    check(&evaluate(&project, &["--variants", "${ask.good}", "--connections", "one,patient"]), 0, &[]);
    let before = runs(&project);
    let again = evaluate(&project, &["--variants", "${ask.good}", "--connections", "one,patient"]);
    check(&again, 0, &["unchanged"]);
    assert_eq!(runs(&project), before, "a batch ran");
    let matrix = matrix(&project, &again);
    assert_eq!(matrix["cells"][1]["unchanged"], true);
    assert_eq!(matrix["pairs"][0]["differences"][0]["n"], 40);
}

#[test]
fn one_budget_is_for_all_cells_and_a_resume_goes_on_with_the_rest() {
    let project = project("");
    let ran = evaluate(&project, &[&BOTH[..], &["--concurrency", "1"]].concat());
    let whole = matrix(&project, &ran);
    let spent = |cell: &Value| cell["costs"]["target_usd"].as_f64().expect("a cost");
    let first = spent(&whole["cells"][0]);
    std::fs::remove_dir_all(project.path().join(".sluicegate")).expect("removed");
    // Enough for a half of the first: the other is not begun.
    let budget = (first * 0.5).to_string();
    let ran = evaluate(&project, &[&BOTH[..], &["--concurrency", "1", "--budget", &budget]].concat());
    check(&ran, 13, &["ABORTED  say [ask.good]", "--resume", "because the budget was spent: ask.poor"]);
    // Enough for that and a half of the other, of which what there is shows enough.
    let budget = (first * 1.5).to_string();
    let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--budget", &budget, "--concurrency", "1"]);
    check(&ran, 10, &["FAIL  say [ask.poor]"]);
    let halved = matrix(&project, &ran);
    assert!(spent(&halved["cells"][0]) + spent(&halved["cells"][1]) <= first * 1.5, "{halved}");
    assert!(halved["cells"][1]["cases"].as_u64() < Some(40), "{halved}");
    let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--budget", "1000", "--progress", "none"]);
    check(&ran, 10, &["FAIL  say [ask.poor]"]);
    let resumed = matrix(&project, &ran);
    for at in 0..2 {
        assert_eq!(resumed["cells"][at]["decision_hash"], whole["cells"][at]["decision_hash"], "cell {at}");
    }
    assert_eq!(resumed["pairs"], whole["pairs"]);
    assert_eq!(runs(&project), 2);
}

#[test]
fn a_runner_gets_the_table_in_its_summary() {
    let project = project("").variable("GITHUB_ACTIONS", "true");
    let file = project.path().join("summary.md");
    let project = project.variable("GITHUB_STEP_SUMMARY", file.display().to_string());
    check(&evaluate(&project, &BOTH), 10, &["::stop-commands::"]);
    let summary = std::fs::read_to_string(file).expect("a summary");
    assert!(summary.contains("matrix of say") && summary.contains("Difference from"), "{summary}");
}

#[cfg(unix)]
#[test]
fn a_matrix_that_is_interrupted_goes_on_as_a_whole() {
    let project = project("");
    let slow = SCRIPT.replace("    reply: '${found}'", "    delay: 100ms\n    reply: '${found}'");
    project.write("config/one.yaml", slow);
    let arguments = [&["evaluate", "say", "--concurrency", "2"], &BOTH[..]].concat();
    let child = project.start(SLUICEGATE, &arguments);
    std::thread::sleep(std::time::Duration::from_millis(900));
    crate::batch_project::ctrl_c(&child);
    check(&project.wait(child), 130, &["go on with: sluicegate evaluate --resume"]);
    let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--concurrency", "64"]);
    check(&ran, 10, &["matrix of say: 2 cells"]);
    assert_eq!(matrix(&project, &ran)["cells"][0]["metrics"][0]["n"], 40);
}
