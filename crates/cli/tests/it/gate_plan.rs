//! `gate plan`: what so many cases can prove, before anything is paid for.

use sluicegate_testkit::project::{Project, Ran};

use crate::gate_receipts::{gate, passing, project, thin};

const EVALUATION: &str = "data: rows.jsonl
evaluators:
  exact_match: { response: \"${target.answer}\", ground_truth: \"${data.expected}\" }
  groundedness: {}
  spent: { use: cost }
gate:
  exact_match: { pr: '>= 0.8', prod: '>= 0.9' }
  groundedness: '>= 4'
  no_regression: true
";

/// A flow with an evaluation over so many rows.
fn flow(rows: usize) -> Project {
    let data = "{\"text\": \"a\", \"expected\": \"b\"}\n".repeat(rows);
    Project::new()
        .file(
            "config/config.yaml",
            "connections: {}\nflow_configs:\n  triage: { flow_path: flows/triage }\n  triage_pr: {}\n  triage_prod: {}\n",
        )
        .file("flows/triage/flow.dag.yaml", "inputs: {}\noutputs: {}\nnodes: []\n")
        .file("flows/triage/evaluation.yaml", EVALUATION)
        .file("rows.jsonl", data)
}

#[track_caller]
fn check_told(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 0, "{}", ran.shown());
    for words in words {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.shown());
    }
}

#[test]
fn a_flow_is_planned_by_its_file_and_the_rows_of_its_data() {
    let ran = gate(&flow(50), &["plan", "triage", "-e", "pr"]);
    check_told(
        &ran,
        &[
            "plan of triage over rows.jsonl: 50 cases; up to 1 answers may fail",
            "exact_match: 45 of 50 and more pass",
            "groundedness: a mean of 4.2371 and more passes",
            "assuming a standard deviation of 1, a quarter of the scale",
            "no_regression.exact_match: a drop of",
            "no_regression.groundedness: a drop of",
            "note: to block, 4 rules share the chance of a false alarm of 0.05",
        ],
    );
    assert!(!ran.stdout.contains("no_regression.spent"), "what costs has no scale: {}", ran.shown());
}

#[test]
fn thresholds_are_those_of_the_environment() {
    check_told(&gate(&flow(50), &["plan", "triage", "-e", "prod"]), &["exact_match: 49 of 50 and more pass"]);
}

#[test]
fn too_few_cases_are_told_with_the_number_that_it_takes() {
    let ran = gate(&flow(5), &["plan", "triage", "-e", "pr"]);
    check_told(&ran, &["✗ exact_match: no score can pass with 5 cases: it takes 11, all of them perfect"]);
    let more = gate(&flow(5), &["plan", "triage", "-e", "pr", "--cases", "400"]);
    check_told(&more, &["plan of triage: 400 cases; up to 8 answers may fail", "✓ no_regression.exact_match: "]);
}

#[test]
fn a_rule_may_be_tried_before_it_is_written() {
    let ran = gate(&flow(50), &["plan", "triage", "-e", "pr", "--gate", "exact_match >= 0.95"]);
    check_told(&ran, &["exact_match: no score can pass with 50 cases: it takes 52, all of them perfect"]);
}

#[test]
fn a_receipt_is_planned_by_what_was_measured() {
    let ran = gate(&project(&thin()), &["plan", "receipt.json"]);
    check_told(&ran, &["plan of triage: 50 cases", "exact: 45 of 50 and more pass, 34 and fewer fail"]);
    let wider = gate(&project(&passing()), &["plan", "receipt.json", "--cases", "200", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&wider.stdout).expect("JSON");
    assert_eq!(told["cases"], 200, "{}", wider.shown());
    assert_eq!((&told["rules"][0]["cases"], &told["rules"][0]["can"]), (&200.into(), &"decide".into()));
}

#[track_caller]
fn check_refused(project: &Project, arguments: &[&str], words: &str) {
    let ran = gate(project, arguments);
    assert!(ran.code == 2 && ran.stderr.contains(words), "{}", ran.shown());
}

#[test]
fn what_is_missing_is_said_with_what_to_write() {
    let project = flow(3);
    check_refused(&project, &["plan", "triage", "-e", "pr", "-d", "other.jsonl"], "other.jsonl");
    check_refused(&project, &["plan", "nothing"], "nothing");
    project.write("flows/triage/evaluation.yaml", "evaluators: { exact_match: {} }\ngate: { exact_match: '>= 0.8' }\n");
    check_refused(&project, &["plan", "triage"], "no data are named for flow `triage`");
    project.write("flows/triage/evaluation.yaml", "evaluators: { exact_match: {} }\ngate: { exact_mach: '>= 0.8' }\n");
    check_refused(&project, &["plan", "triage", "--cases", "9"], "did you mean `exact_match`?");
    std::fs::remove_file(project.path().join("flows/triage/evaluation.yaml")).expect("a file");
    check_refused(&project, &["plan", "triage"], "write `flows/triage/evaluation.yaml`");
}

#[test]
fn rules_alone_are_planned_too() {
    let project = flow(50);
    std::fs::remove_file(project.path().join("flows/triage/evaluation.yaml")).expect("a file");
    let ran = gate(&project, &["plan", "triage", "--gate", "exact_match >= 0.8", "-d", "rows.jsonl"]);
    check_told(&ran, &["plan of triage over rows.jsonl: 50 cases", "exact_match: 45 of 50 and more pass"]);
}
