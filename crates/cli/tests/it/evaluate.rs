//! `evaluate`: the sample gates itself, and every verdict has its exit code.

use sluicegate_store::{RunFilter, Store};
use sluicegate_testkit::project::{Project, Ran};

use crate::fixture::{SLUICEGATE, samples};

/// Evaluates the sample, with more flags.
pub(crate) fn evaluate(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["evaluate", "entity_extraction", "-e", "local", "--progress", "none"], more].concat())
}

/// The receipt whose path a command printed.
#[track_caller]
pub(crate) fn receipt(project: &Project, ran: &Ran) -> serde_json::Value {
    let path = place(project, ran);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}\n{}", ran.shown()));
    serde_json::from_str(&text).expect("a receipt")
}

/// Where the receipt is that a command wrote.
fn place(project: &Project, ran: &Ran) -> String {
    ran.stdout.trim().replace("[project]", &project.path().display().to_string())
}

#[track_caller]
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
}

/// How many runs the project keeps.
fn runs(project: &Project) -> usize {
    let store = Store::open(project.path().join(".sluicegate")).expect("the store");
    store.list(&RunFilter::default()).expect("runs").len()
}

/// Changes the script of the sample's model.
fn rescript(project: &Project, from: &str, to: &str) {
    let path = "config/simulated/entity_extraction.yaml";
    let script = std::fs::read_to_string(project.path().join(path)).expect("the script");
    assert!(script.contains(from), "{from}");
    project.write(path, script.replace(from, to));
}

#[test]
fn the_sample_passes_and_its_results_are_kept() {
    let project = samples();
    let ran = evaluate(&project, &[]);
    check(&ran, 0, &["PASS  entity_extraction (local)", "exact_match  50  0        0.9200"]);
    let receipt = receipt(&project, &ran);
    assert_eq!(receipt["decision"]["integrity"]["scored"], 50);
    assert_eq!(receipt["about"]["evaluation_file"], "flows/entity_extraction/evaluation.yaml");
    let folder = std::path::PathBuf::from(place(&project, &ran)).parent().expect("a folder").to_owned();
    let results = std::fs::read_to_string(folder.join("evaluation_results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    assert_eq!(results["rows"].as_array().map(Vec::len), Some(50));
    assert_eq!(results["metrics"]["exact_match.exact_match"], 0.92);
    let first = &results["rows"][0];
    assert_eq!(first["inputs.entity_type"], "job title");
    assert_eq!(first["outputs.answer"], serde_json::json!(["night nurse", "senior librarian"]));
    assert!(folder.join("junit.xml").is_file());
}

#[test]
fn where_nothing_changed_nothing_is_asked() {
    let project = samples();
    let first = evaluate(&project, &[]);
    let before = runs(&project);
    let again = evaluate(&project, &[]);
    check(&again, 0, &["UNCHANGED", "nothing has changed since the baseline, which came to: pass"]);
    assert_eq!(runs(&project), before, "a batch ran");
    assert_eq!(receipt(&project, &again)["decision"]["unchanged"], true);
    // Who wants to measure again says so.
    check(&evaluate(&project, &["--baseline", "none"]), 0, &["PASS"]);
    assert_eq!(runs(&project), before + 1);
    assert_eq!(receipt(&project, &first)["decision"]["unchanged"], false);
}

#[test]
fn a_worse_script_fails_and_names_the_cases_that_got_worse() {
    let project = samples();
    let first = evaluate(&project, &[]);
    // It finds no e-mail address any more.
    rescript(&project, "reply: ' ${found}.'", "reply: ''");
    let ran = evaluate(&project, &["--baseline", &place(&project, &first)]);
    check(&ran, 10, &["FAIL", "no_regression.exact_match", "of 50 cases 8 got worse", "line 26"]);
    // Outputs side by side.
    check(&ran, 10, &["was: [\"billing@north.example\"]", "now: []"]);
    let receipt = receipt(&project, &ran);
    assert_eq!(receipt["decision"]["regressions_total"], 8, "{}", ran.shown());
    let worse = &receipt["decision"]["regressions"][0];
    assert_eq!((&worse["candidate_output"], &worse["scores"][0]["candidate"]), (&"[]".into(), &0.0.into()));
    // The receipt that failed is no baseline: the one that passed is found by itself.
    rescript(&project, "reply: ''\n", "reply: ' '\n");
    check(&evaluate(&project, &[]), 10, &["compared with the newest receipt that passed here"]);
}

#[test]
fn a_worse_prompt_fails() {
    let project = samples();
    assert_eq!(evaluate(&project, &[]).code, 0);
    // The scripted model no longer understands what is wanted.
    let prompt = "flows/entity_extraction/extract.jinja2";
    let text = std::fs::read_to_string(project.path().join(prompt)).expect("the prompt");
    project.write(prompt, text.replace("Entity type: ", "Entity type: kind of "));
    check(&evaluate(&project, &[]), 10, &["FAIL", "worst cases"]);
}

#[test]
fn five_rows_are_too_few_where_thin_evidence_blocks() {
    let project = samples();
    let ran = evaluate(&project, &["--limit", "5", "--gate", "strict"]);
    check(&ran, 11, &["INCONCLUSIVE"]);
    assert_eq!(receipt(&project, &ran)["decision"]["integrity"]["cases"], 5);
}

#[test]
fn without_a_row_or_an_answer_nothing_passes() {
    let project = samples();
    project.write("none.jsonl", "");
    let ran = evaluate(&project, &["--data", "none.jsonl"]);
    check(&ran, 12, &["INVALID", "there are no cases"]);
    rescript(&project, "reply: ", "faults: [{ status: 400, message: no }]\n    reply: ");
    let ran = evaluate(&project, &[]);
    check(&ran, 12, &["INVALID"]);
    assert_eq!(receipt(&project, &ran)["decision"]["integrity"]["errors"], 50);
}

#[test]
fn rules_of_the_command_line_are_enough() {
    let project = samples();
    std::fs::remove_file(project.path().join("flows/entity_extraction/evaluation.yaml")).expect("removed");
    let none = evaluate(&project, &[]);
    check(&none, 2, &["has no evaluation file"]);
    let ran = evaluate(&project, &["--data", "data/entity_extraction.jsonl", "--gate", "exact_match >= 0.5"]);
    check(&ran, 0, &["PASS", "exact_match  12"]);
}

#[test]
fn an_earlier_batch_is_scored_and_none_is_run() {
    let project = samples();
    let batch = ["batch", "entity_extraction", "-e", "local", "--data", "data/entity_extraction_eval.jsonl"];
    assert_eq!(project.run(SLUICEGATE, &[&batch[..], &["--name", "mine"]].concat()).code, 0);
    check(&evaluate(&project, &["--run", "mine"]), 0, &["PASS", "50 cases: 50 scored"]);
    assert_eq!(runs(&project), 1);
    let other = evaluate(&project, &["--run", "mine", "--data", "data/entity_extraction.jsonl"]);
    check(&other, 2, &["the data have changed"]);
    // The same answers in both arms.
    check(&evaluate(&project, &["--run", "mine", "--baseline", "mine"]), 0, &["no_regression.exact_match"]);
}

#[test]
fn without_rules_scores_are_all() {
    let project = samples();
    let ran = evaluate(&project, &["--no-gate", "--repeats", "2", "--limit", "10"]);
    check(&ran, 0, &["there are no rules", "exact_match  10"]);
    assert_eq!(receipt(&project, &ran)["evidence"]["candidate"]["cases"].as_array().map(Vec::len), Some(20));
}

#[cfg(unix)]
#[test]
fn an_evaluation_that_is_interrupted_says_how_to_go_on() {
    let project = samples();
    rescript(&project, "    reply: ", "    delay: 200ms\n    reply: ");
    let arguments = ["evaluate", "entity_extraction", "-e", "local", "--concurrency", "1"];
    let child = project.start(SLUICEGATE, &arguments);
    std::thread::sleep(std::time::Duration::from_millis(700));
    crate::batch_project::ctrl_c(&child);
    check(&project.wait(child), 130, &["go on with: sluicegate evaluate --resume"]);
    check(
        &project.run(SLUICEGATE, &["evaluate", "--resume", "--concurrency", "64"]),
        0,
        &["PASS", "50 cases: 50 scored"],
    );
}

#[test]
fn a_budget_that_is_spent_ends_it_with_its_own_code() {
    let project = samples();
    let config = std::fs::read_to_string(project.path().join("config/config.yaml")).expect("the config");
    project.write("config/config.yaml", format!("prices: {{ simulated: {{ input: 1000, output: 1000 }} }}\n{config}"));
    let ran = evaluate(&project, &["--budget", "1", "--concurrency", "2"]);
    check(&ran, 13, &["ABORTED", "--resume"]);
    let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--budget", "100"]);
    check(&ran, 0, &["PASS", "50 cases: 50 scored"]);
}

#[test]
fn what_was_recorded_is_judged_again_without_an_endpoint() {
    let project = samples();
    check(&evaluate(&project, &["--record", "tape"]), 0, &["PASS"]);
    rescript(&project, "reply: ", "faults: [{ status: 400, message: no }]\n    reply: ");
    check(&evaluate(&project, &["--replay", "tape"]), 0, &["PASS", "50 cases: 50 scored"]);
}

#[test]
fn a_branch_is_compared_with_the_receipt_of_its_merge_base() {
    let project = samples();
    let git = |arguments: &[&str]| {
        let named = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"];
        let ran = project.run("git", &[&named[..], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.shown());
    };
    project.write(".gitignore", ".sluicegate/\n");
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "main"]);
    git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    check(&evaluate(&project, &[]), 0, &["PASS"]);
    rescript(&project, "reply: ' ${found}.'", "reply: ''");
    git(&["commit", "--quiet", "-am", "worse"]);
    let ran = evaluate(&project, &[]);
    check(&ran, 10, &["no_regression.exact_match: of 50 cases 8 got worse"]);
    assert_eq!(receipt(&project, &ran)["decision"]["baseline"]["kind"], "merge_base_receipt");
}
