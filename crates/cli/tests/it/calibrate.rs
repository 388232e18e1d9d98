//! `calibrate`: a judge's rule blocks once it is shown that the judge says what people say, and no sooner.

use std::time::Duration;

use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::evaluate::receipt;
use crate::fixture::{KEY, SLUICEGATE};

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

const PROMPT: &str = "---
name: correct
model: { api: chat, configuration: { type: azure_openai, azure_deployment: none } }
inputs: { query: { type: string }, response: { type: string } }
---
system:
Say from 1 to 5 how right the answer is, as JSON with `score`.

user:
{{query}}
{{response}}
";

const EVALUATION: &str = "evaluators:
  correct: { use: judge, prompt: flows/judges/correct.prompty, connection: judge, deployment: clever, response: '${target.answer}' }
gate: { correct: '>= 3' }
";

/// A judge's script: for each quality that an answer says it has, what the judge says of it.
fn judge(says: impl Fn(u32) -> u32) -> String {
    let replies = (1..=5).map(|quality| {
        let said = says(quality);
        format!("  - {{ when: {{ user: 'quality {quality}' }}, reply: '{{\"reason\": \"so\", \"score\": {said}}}' }}\n")
    });
    format!("replies:\n{}", replies.collect::<String>())
}

/// A flow whose answers are of quality 2, a judge of one's own that is exact, and labels for it.
fn project() -> Project {
    let rows: String = (0..30).map(|row| format!("{{\"question\": \"row {row}?\"}}\n")).collect();
    let label = |row: u32| {
        let quality = row % 5 + 1;
        format!(
            "{{\"question\": \"{row}?\", \"response\": \"answer {row}, quality {quality}\", \"label\": {quality}}}\n"
        )
    };
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("flows/triage/flow.dag.yaml", FLOW)
        .file("flows/triage/ask.jinja2", "user:\n{{question}}\n")
        .file("flows/triage/evaluation.yaml", EVALUATION)
        .file("flows/judges/correct.prompty", PROMPT)
        .file("model.yaml", "replies:\n  - { when: { user: 'row' }, reply: 'quality 2' }\n")
        .file("judge.yaml", judge(|quality| quality))
        .file("rows.jsonl", rows)
        .file("labels/correct.jsonl", (0..60).map(label).collect::<String>())
}

fn calibrate(project: &Project, more: &[&str]) -> Ran {
    let usual = ["calibrate", "triage", "-e", "pr", "--progress", "none", "--labels", "labels/correct.jsonl"];
    project.run(SLUICEGATE, &[&usual[..], more].concat())
}

fn evaluate(project: &Project) -> Ran {
    project.run(SLUICEGATE, &["evaluate", "triage", "-e", "pr", "--progress", "none"])
}

/// The record of a calibration, as it is kept.
fn record(project: &Project) -> serde_json::Value {
    let text = std::fs::read_to_string(project.path().join("calibration/correct.pr.json")).expect("the record");
    serde_json::from_str(&text).expect("JSON")
}

#[track_caller]
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stderr.contains(words) || ran.stdout.contains(words), "{words}\n{}", ran.shown());
    }
}

#[test]
fn a_judge_that_says_what_people_say_blocks() {
    let project = project();
    let plan = project.run(SLUICEGATE, &["gate", "plan", "triage", "-e", "pr"]);
    check(&plan, 0, &["rules on `correct` give advice only, and block nothing: no calibration record"]);
    let before = evaluate(&project);
    check(
        &before,
        0,
        &[
            "advisory (fail)",
            "its judge is not calibrated, no calibration record",
            "rules on `correct` give advice only: sluicegate calibrate triage -e pr --judge correct --labels FILE",
        ],
    );
    // Summary and comment are made from the receipt.
    let warnings = receipt(&project, &before)["decision"]["warnings"].to_string();
    assert!(warnings.contains("sluicegate calibrate triage"), "{warnings}");

    let ran = calibrate(&project, &["--judge", "correct"]);
    check(&ran, 0, &["rules on `correct` may block", "record: calibration/correct.pr.json", "people ↓ judge →"]);
    let kept = record(&project);
    assert_eq!((&kept["judge"], &kept["model"], &kept["draws"]), (&"correct".into(), &"clever".into(), &2.into()));
    let found = &kept["calibration"];
    assert_eq!((&found["n"], &found["kappa"], &found["self_agreement"]), (&60.into(), &1.0.into(), &1.0.into()));

    // Nothing but the record has changed, and with it what the decision is.
    let after = evaluate(&project);
    check(&after, 10, &["FAIL", "correct: 2 is not >= 3"]);
    assert_eq!(receipt(&project, &after)["evidence"]["calibrations"]["correct"]["n"], 60);
    let plan = project.run(SLUICEGATE, &["gate", "plan", "triage", "-e", "pr"]);
    assert!(!plan.stdout.contains("advice only"), "{}", plan.shown());
}

#[test]
fn a_decision_that_the_record_does_not_change_stays_unchanged() {
    let project = project();
    project.write("model.yaml", "replies:\n  - { when: { user: 'row' }, reply: 'quality 4' }\n");
    check(&evaluate(&project), 0, &["advisory (pass)"]);
    check(&evaluate(&project), 0, &["UNCHANGED"]);
    check(&calibrate(&project, &[]), 0, &["may block"]);
    check(&evaluate(&project), 0, &["1 of 1 rules hold"]);
    check(&evaluate(&project), 0, &["UNCHANGED"]);
}

#[test]
fn a_biased_judge_advises_and_its_bias_is_told() {
    let project = project();
    project.write("judge.yaml", judge(|quality| (quality + 1).min(5)));
    let bias = "the bias is 0.2, which is not <= 0.05";
    check(&calibrate(&project, &[]), 0, &["rules on `correct` give advice only", bias]);
    project.write("model.yaml", "replies:\n  - { when: { user: 'row' }, reply: 'quality 1' }\n");
    check(&evaluate(&project), 0, &["advisory (fail)", bias]);
}

#[test]
fn of_another_prompt_or_model_a_record_does_not_count() {
    let another = "the record is of another judge (its model or prompt has changed)";
    for (file, from, to) in [
        ("flows/judges/correct.prompty", "how right", "how nearly right"),
        ("flows/triage/evaluation.yaml", "deployment: clever", "deployment: cheap"),
    ] {
        let project = project();
        assert_eq!(calibrate(&project, &[]).code, 0);
        check(&evaluate(&project), 10, &[]);
        let path = project.path().join(file);
        let text = std::fs::read_to_string(&path).expect("the file");
        project.write(file, text.replace(from, to));
        check(&evaluate(&project), 0, &["advisory (fail)", another]);
        assert_eq!(calibrate(&project, &[]).code, 0);
        check(&evaluate(&project), 10, &[]);
    }
}

#[test]
fn an_old_record_does_not_count_and_a_broken_one_is_told() {
    let project = project();
    assert_eq!(calibrate(&project, &[]).code, 0);
    let file = "calibration/correct.pr.json";
    let mut old = record(&project);
    old["at"] = "2020-01-01T00:00:00Z".into();
    project.write(file, old.to_string());
    check(&evaluate(&project), 0, &["advisory (fail)", "days old, which is not <= 90d"]);
    project.write(file, "{");
    check(
        &evaluate(&project),
        0,
        &["no calibration record", "warning: `calibration/correct.pr.json` is no calibration record"],
    );
}

#[test]
fn the_evaluation_says_what_a_judge_must_show() {
    let project = project();
    let with = |calibration: &str| format!("{EVALUATION}calibration: {{ correct: {{ {calibration} }} }}\n");
    let invalid = with("labels: labels/correct.jsonl, otherwise: invalid, bias: '<= 0.25', kappa: { lower: '>= 0.3' }");
    project.write("flows/triage/evaluation.yaml", &invalid);
    check(&evaluate(&project), 12, &["the judge of `correct` is not calibrated: no calibration record"]);
    project.write("judge.yaml", judge(|quality| (quality + 1).min(5)));
    // The file names the labels.
    let ran = project.run(SLUICEGATE, &["calibrate", "triage", "-e", "pr", "--progress", "none"]);
    check(&ran, 0, &["<= 0.25 of the scale", "may block"]);
    project.write("model.yaml", "replies:\n  - { when: { user: 'row' }, reply: 'quality 1' }\n");
    check(&evaluate(&project), 10, &[]);
}

#[test]
fn a_judge_that_says_now_this_and_now_that_does_not_agree_with_itself() {
    let endpoint = Endpoint::start();
    let mut asked = 0;
    // Right at first, and by one too low when asked again.
    endpoint.on(move |heard| {
        let text = heard.json()["messages"].to_string();
        let quality: u32 = text.split("quality ").nth(1)?.get(..1)?.parse().ok()?;
        asked += 1;
        let said = if asked > 60 { quality.max(2) - 1 } else { quality };
        Some(Answer::text(&format!("{{\"score\": {said}}}")))
    });
    let project = project().variable("THE_KEY", KEY);
    let connection = format!("judge: {{ type: open_ai, base_url: '{}/v1', api_key: '${{THE_KEY}}' }}", endpoint.url());
    project.write("config/config.yaml", CONFIG.replace("judge: { type: simulated, script: judge.yaml }", &connection));
    let ran = calibrate(&project, &["--cache", "on", "--record", "tape"]);
    check(&ran, 0, &["agreement with itself is 0.2, which is not >= 0.9"]);
    assert_eq!(endpoint.count(), 120, "no reading was another's reply");

    // A tape of both readings is played without the endpoint, and without its key.
    let before = record(&project)["calibration"].clone();
    drop(endpoint);
    let project = project.variable("THE_KEY", "");
    check(&calibrate(&project, &["--replay", "tape"]), 0, &[]);
    assert_eq!(record(&project)["calibration"], before);
}

#[test]
fn killed_and_resumed_it_comes_to_the_same_record() {
    let project = project();
    let slow = judge(|quality| if quality == 3 { 4 } else { quality }).replace("reply:", "delay: 20ms, reply:");
    project.write("judge.yaml", slow);
    assert_eq!(calibrate(&project, &["--concurrency", "4"]).code, 0);
    let whole = record(&project)["calibration"].clone();
    std::fs::remove_dir_all(project.path().join("calibration")).expect("removed");
    let arguments = [
        "calibrate",
        "triage",
        "-e",
        "pr",
        "--progress",
        "none",
        "--concurrency",
        "4",
        "--labels",
        "labels/correct.jsonl",
    ];
    let mut child = project.start(SLUICEGATE, &arguments);
    let batch = || {
        let folder = project.path().join(".sluicegate/calibrations");
        let ids = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        ids.filter(|entry| entry.path().join("judge-2.jsonl").exists()).count()
    };
    // Its second reading has begun.
    while batch() < 2 && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let ran = project.wait(child);
    assert_eq!(ran.code, -1, "{}", ran.shown());
    check(&project.run(SLUICEGATE, &["calibrate", "--resume"]), 0, &["record: calibration/correct.pr.json"]);
    assert_eq!(record(&project)["calibration"], whole);
    project.write("flows/judges/correct.prompty", PROMPT.replace("how right", "how nearly right"));
    check(&project.run(SLUICEGATE, &["calibrate", "--resume"]), 2, &["judge or labels have changed since calibration"]);
}

#[test]
fn a_prompt_by_itself_is_the_judge_that_an_evaluation_asks() {
    let project = project();
    let ran = project.run(
        SLUICEGATE,
        &[
            "calibrate",
            "flows/judges/correct.prompty",
            "-e",
            "pr",
            "--progress",
            "none",
            "--connection",
            "judge",
            "--deployment",
            "clever",
            "--labels",
            "labels/correct.jsonl",
        ],
    );
    check(&ran, 0, &["may block"]);
    check(&evaluate(&project), 10, &["correct: 2 is not >= 3"]);
    let ours = project.run(
        SLUICEGATE,
        &[
            "calibrate",
            "fluency",
            "--progress",
            "none",
            "--connection",
            "judge",
            "--deployment",
            "clever",
            "--labels",
            "labels/correct.jsonl",
            "--json",
        ],
    );
    assert_eq!(ours.code, 0, "{}", ours.shown());
    let shown: serde_json::Value = serde_json::from_str(&ours.stdout).expect("JSON");
    assert_eq!((&shown["judge"], &shown["file"]), (&"fluency".into(), &"calibration/fluency.json".into()));
    assert_eq!(shown["against"], serde_json::json!([]));
}

#[test]
fn labels_are_looked_at_before_anything_is_asked() {
    let project = project();
    let labels = |text: &str| project.write("labels/correct.jsonl", text);
    let row = |more: &str| format!("{{\"query\": \"q\", \"response\": \"quality 4\"{more}}}\n");
    labels(&(row(", \"label\": 4") + &row(", \"label\": 9")));
    check(&calibrate(&project, &[]), 2, &["line 2 of `labels/correct.jsonl`: `label` is 9", "scale from 1 to 5"]);
    labels(&row(", \"mark\": 4"));
    check(&calibrate(&project, &[]), 2, &["has no column of labels", "--label COLUMN", "`mark`"]);
    labels(&row(", \"label\": null"));
    check(&calibrate(&project, &[]), 2, &["has no label in column `label`"]);
    labels("{\"query\": \"q\", \"label\": 3}\n");
    let lacks = ["lacks what judge `correct` reads", "the judge reads `query`, `response`", "the columns `query`"];
    check(&calibrate(&project, &[]), 2, &lacks);
    check(&calibrate(&project, &["--judge", "fluent"]), 2, &["has no judge `fluent`", "it has `correct`"]);
    let none = project.run(SLUICEGATE, &["calibrate", "triage", "-e", "pr"]);
    check(&none, 2, &["no labels are named for judge `correct`"]);
    assert!(!project.path().join("calibration").exists());
}

#[test]
fn labels_that_get_no_score_are_counted() {
    let project = project();
    project.write(
        "judge.yaml",
        judge(|quality| quality)
            .replace("quality 5' }, reply: '{\"reason\": \"so\", \"score\": 5}'", "quality 5' }, reply: 'well'"),
    );
    let text = std::fs::read_to_string(project.path().join("labels/correct.jsonl")).expect("labels");
    project.write("labels/correct.jsonl", text.replacen("\"label\": 1", "\"label\": null", 2));
    let ran = calibrate(&project, &[]);
    check(&ran, 0, &["12 labels got no score", "2 rows have no label", "it rests on 46 labels, and 50 are needed"]);
    assert_eq!(record(&project)["calibration"]["unscored"], 12);
}
