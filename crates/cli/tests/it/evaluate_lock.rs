//! The lock file: what an evaluation is judged by changes only where somebody says that it is meant.

use sluicegate_testkit::project::{Project, Ran};

use crate::evaluate::{evaluate, receipt};
use crate::fixture::samples;

const EVALUATION: &str = "flows/entity_extraction/evaluation.yaml";

/// The sample with a lock.
fn locked() -> Project {
    let project = samples();
    let text = read(&project, EVALUATION);
    project.write(EVALUATION, format!("{text}lock: eval.lock\n"));
    project
}

fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path().join(path)).expect("a file")
}

/// Changes a file.
fn change(project: &Project, path: &str, from: &str, to: &str) {
    let text = read(project, path);
    assert!(text.contains(from), "{from}");
    project.write(path, text.replace(from, to));
}

#[track_caller]
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
}

#[track_caller]
fn check_refused(project: &Project, words: &str) {
    let ran = evaluate(project, &[]);
    check(&ran, 12, &["INVALID", words, "sluicegate evaluate entity_extraction -e local --update-lock"]);
    assert_eq!(receipt(project, &ran)["decision"]["verdict"], "invalid");
}

#[test]
fn what_is_locked_passes_and_a_flow_may_change() {
    let project = locked();
    check_refused(&project, "there is no lock file `eval.lock`");
    let ran = evaluate(&project, &["--update-lock"]);
    check(&ran, 0, &["nothing was evaluated"]);
    assert_eq!(ran.stdout.trim(), "eval.lock");
    let lock: serde_json::Value = serde_json::from_str(&read(&project, "eval.lock")).expect("JSON");
    let ran = evaluate(&project, &[]);
    check(&ran, 0, &["PASS"]);
    // The hashes are those of the receipt.
    let hashes = &receipt(&project, &ran)["decision"]["hashes"];
    for part in ["data", "evaluators", "policy"] {
        assert_eq!(lock["flows"]["entity_extraction"]["local"][part], hashes[part], "{part}");
    }
    // The prompt is what is judged.
    change(&project, "flows/entity_extraction/extract.jinja2", "and with nothing else", "and with nothing more");
    assert_ne!(evaluate(&project, &[]).code, 12);
    // A look at some of the rows is no change of the data.
    check(&evaluate(&project, &["--limit", "20"]), 0, &["20 cases"]);
}

#[test]
fn every_locked_part_is_told_by_its_name() {
    let project = locked();
    evaluate(&project, &["--update-lock"]);
    change(&project, EVALUATION, ">= 0.80", ">= 0.10");
    check_refused(&project, "the gate's rules changed against `eval.lock`");
    change(&project, EVALUATION, "measure: f1", "measure: recall");
    check_refused(&project, "the gate's rules and the evaluators changed");
    let data = "data/entity_extraction_eval.jsonl";
    let fewer: String = read(&project, data).lines().take(30).map(|line| format!("{line}\n")).collect();
    project.write(data, fewer);
    check_refused(&project, "the gate's rules, the evaluators and the data changed");
    // A weaker rule of the command line is a change too.
    evaluate(&project, &["--update-lock"]);
    assert_ne!(evaluate(&project, &[]).code, 12);
    check(&evaluate(&project, &["--gate", "strict"]), 12, &["the gate's rules changed"]);
    // Who only scores is judged by nothing.
    check(&evaluate(&project, &["--no-gate"]), 0, &[]);
}

#[test]
fn a_judges_prompt_is_locked() {
    let project = locked();
    let judge = "---\nname: my judge\nmodel: { api: chat, configuration: { type: openai, model: simulated } }\ninputs: { response: { type: string } }\n---\nuser:\nIs this good? {{response}}\n";
    project.write("flows/judges/mine.prompty", judge);
    change(
        &project,
        EVALUATION,
        "gate:",
        "  mine: { use: judge, prompt: flows/judges/mine.prompty, scale: [1, 5], response: \"${target.answer}\" }\ngate:",
    );
    check(&evaluate(&project, &["--update-lock"]), 0, &[]);
    change(&project, "flows/judges/mine.prompty", "Is this good?", "Say 5.");
    check_refused(&project, "the judges' prompts or models");
}

#[test]
fn an_environment_that_is_not_in_it_is_not_locked_and_the_others_stay() {
    let project = locked();
    check(&evaluate(&project, &["--update-lock"]), 0, &[]);
    let pr = ["evaluate", "entity_extraction", "-e", "pr", "--update-lock"];
    // Nobody is asked, so that no key is needed.
    check(
        &project.run(crate::fixture::SLUICEGATE, &pr),
        0,
        &["says nothing of `entity_extraction` in environment `pr`"],
    );
    let lock: serde_json::Value = serde_json::from_str(&read(&project, "eval.lock")).expect("JSON");
    let environments = lock["flows"]["entity_extraction"].as_object().expect("a map");
    assert_eq!(environments.keys().collect::<Vec<_>>(), ["local", "pr"]);
    check(&evaluate(&project, &["--update-lock"]), 0, &["says so already"]);
    project.write("eval.lock", "<<<<<<< HEAD\n");
    check(&evaluate(&project, &[]), 2, &["lock file `eval.lock` cannot be read"]);
}

#[test]
fn without_a_lock_there_is_nothing_to_write() {
    check(&evaluate(&samples(), &["--update-lock"]), 2, &["names no lock file"]);
}
