//! Judges, evaluation flows and Python functions as evaluators; and evaluations that are killed.
#![expect(clippy::print_stderr, reason = "a failing test tells its seed")]

use std::time::{Duration, Instant};

use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::Dice;
use crate::evaluate::receipt;
use crate::fixture::SLUICEGATE;

const FLOW: &str = "inputs: { question: { type: string } }
outputs: { answer: { type: string, reference: \"${ask.output}\" } }
nodes:
- { name: ask, type: llm, api: chat, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: small, question: \"${inputs.question}\" } }
";

const CONFIG: &str = "connections:
  model: { type: simulated, script: model.yaml }
  judge: { type: simulated, script: judge.yaml }
flow_configs:
  triage: { flow_path: flows/triage, eval_data_path: rows.jsonl }
  triage_pr: { connection_name: model, deployment_name: small }
";

/// A flow over `count` rows, whose model takes its time.
fn project(evaluation: &str, count: usize, delay: &str) -> Project {
    let rows: String =
        (0..count).map(|row| format!("{{\"question\": \"row {row}?\", \"expected\": \"said row {row}\"}}\n")).collect();
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("flows/triage/flow.dag.yaml", FLOW)
        .file("flows/triage/ask.jinja2", "user:\n{{question}}\n")
        .file("flows/triage/evaluation.yaml", evaluation)
        .file(
            "model.yaml",
            format!("replies:\n  - when: {{ user: 'row' }}\n    find: 'row \\d+'\n    delay: {delay}\n    reply: 'said ${{found}}'\n"),
        )
        .file(
            "judge.yaml",
            format!(
                "replies:\n  - when: {{ user: 'row 3' }}\n    delay: {delay}\n    reply: 'no idea'\n  - when: {{ model: clever }}\n    \
                 delay: {delay}\n    reply: '{{\"reason\": \"clear enough\", \"score\": 4}}'\n"
            ),
        )
        .file("rows.jsonl", rows)
}

fn evaluate(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["evaluate", "triage", "-e", "pr", "--progress", "none"], more].concat())
}

const JUDGED: &str = "evaluators:
  exact_match: {}
  fluency: { connection: judge, deployment: clever }
gate:
  errors: '<= 10%'
  exact_match: '>= 0.5'
  fluency: '>= 3'
";

#[test]
fn a_judge_reads_each_answer_and_one_that_says_no_score_leaves_it_unscored() {
    let project = project(JUDGED, 20, "0ms");
    let ran = evaluate(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let receipt = receipt(&project, &ran);
    let fluency = &receipt["decision"]["integrity"]["metrics"][1];
    assert_eq!((&fluency["n"], &fluency["missing"], &fluency["mean"]), (&19.into(), &1.into(), &4.0.into()));
    assert_eq!(receipt["decision"]["integrity"]["unscored"], 1);
    // Nobody has shown yet that it judges as people do.
    assert_eq!(receipt["decision"]["rules"][1]["verdict"], "advisory");
}

#[test]
fn a_judge_that_cannot_be_asked_leaves_cases_unscored_and_the_evaluation_invalid() {
    let project = project(JUDGED, 20, "0ms");
    project.write("judge.yaml", "replies:\n  - when: { model: somebody-else }\n    reply: x\n");
    let ran = evaluate(&project, &[]);
    assert_eq!(ran.code, 12, "{}", ran.shown());
}

#[test]
fn an_evaluation_flow_scores_and_its_own_numbers_are_kept() {
    let evaluation = "evaluators:
  grade: { use: flow, flow: flows/grade, scale: [0, 10], inputs: { answer: '${target.answer}' } }
gate: { grade: '>= 5' }
";
    let grade = "inputs: { answer: { type: string } }
outputs: { grade: { type: int, reference: \"${grade.output}\" } }
nodes:
- { name: grade, type: expression, inputs: { answer: \"${inputs.answer}\" }, expression: \"10 if 'said' in answer else 0\" }
";
    let project = project(evaluation, 20, "0ms").file("flows/grade/flow.dag.yaml", grade);
    let ran = evaluate(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(receipt(&project, &ran)["decision"]["integrity"]["metrics"][0]["mean"], 10.0, "{}", ran.shown());
}

#[test]
fn a_python_function_scores() {
    let evaluation = "evaluators:
  polite: { use: python, call: 'scores:polite', folder: scoring, inputs: { answer: '${target.answer}' }, boolean: true }
gate: { polite: '>= 0.5' }
";
    let code =
        "from words import GOOD\n\n\ndef polite(answer: str):\n    return {\"polite\": 1 if GOOD in answer else 0}\n";
    let project =
        project(evaluation, 20, "0ms").file("scoring/scores.py", code).file("scoring/words.py", "GOOD = 'said'\n");
    let ran = evaluate(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert_eq!(receipt(&project, &ran)["decision"]["integrity"]["metrics"][0]["mean"], 1.0, "{}", ran.shown());
}

/// Kills an evaluation at a random point, goes on with it, and holds its receipt against that of a whole one.
fn check_killed(kills: usize) {
    let mut dice = Dice::thrown();
    eprintln!("seed {:#x}", dice.0);
    let project = project(JUDGED, 20, "20ms");
    let began = Instant::now();
    let undisturbed = evaluate(&project, &["--concurrency", "2", "--baseline", "none"]);
    let whole = began.elapsed().as_millis() as u64;
    let mut died = 0;
    let arguments =
        ["evaluate", "triage", "-e", "pr", "--concurrency", "2", "--baseline", "none", "--progress", "none"];
    for kill in 0..kills {
        let mut child = project.start(SLUICEGATE, &arguments);
        std::thread::sleep(Duration::from_millis(60 + dice.below(whole * 8 / 10)));
        // It may be over already, where the machine was slow before.
        let _ = child.kill();
        let ran = project.wait(child);
        assert!(ran.code == -1 || ran.code == 0, "kill {kill}: {}", ran.shown());
        died += usize::from(ran.code == -1);
        let began = Instant::now();
        let ran = loop {
            let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--progress", "none"]);
            if ran.code != 2 || began.elapsed() > Duration::from_secs(30) {
                break ran;
            }
        };
        assert_eq!(ran.code, 0, "kill {kill}: {}", ran.shown());
        assert_eq!(
            receipt(&project, &ran)["decision_hash"],
            receipt(&project, &undisturbed)["decision_hash"],
            "kill {kill}"
        );
    }
    assert!(died > 0, "none of {kills} kills found it running");
}

#[test]
fn killed_and_resumed_it_comes_to_the_same_decision() {
    check_killed(4);
}

#[test]
fn an_evaluation_of_other_things_is_not_gone_on_with() {
    let project = project(JUDGED, 20, "0ms");
    assert_eq!(evaluate(&project, &[]).code, 0);
    let again = project.run(SLUICEGATE, &["evaluate", "--resume"]);
    assert_eq!(again.code, 0, "{}", again.shown());
    project.write("flows/triage/ask.jinja2", "user:\nanother {{question}}\n");
    let changed = project.run(SLUICEGATE, &["evaluate", "--resume"]);
    assert!(changed.code == 2 && changed.stderr.contains("have changed since evaluation"), "{}", changed.shown());
}
