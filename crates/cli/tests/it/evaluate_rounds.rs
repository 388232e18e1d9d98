//! Evaluations in rounds: what is said before anything is paid for, looks, cases that fell run again, budgets; and all of
//! that killed.
#![expect(clippy::print_stderr, reason = "a failing test tells its seed")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use sluicegate_store::{RunFilter, Store};
use sluicegate_testkit::endpoint::{Answer, Endpoint};
use sluicegate_testkit::project::{Project, Ran};

use crate::batch_project::{Dice, text_of};
use crate::evaluate::receipt;
use crate::fixture::{KEY, SLUICEGATE};

const FLOW: &str = "inputs: { question: { type: string } }
outputs: { answer: { type: string, reference: \"${ask.output}\" } }
nodes:
- { name: ask, type: llm, api: chat, source: { type: code, path: ask.jinja2 }, inputs: { deployment_name: small, question: \"${inputs.question}\" } }
";

const CONFIG: &str = "prices: { small: { input: 100, output: 100 }, large: { input: 100, output: 100 }, clever: { input: 100, output: 100 } }
connections:
  model: { type: simulated, script: model.yaml }
  judge: { type: simulated, script: judge.yaml }
flow_configs:
  triage: { flow_path: flows/triage, eval_data_path: rows.jsonl }
  triage_pr: { connection_name: model, deployment_name: small }
";

/// A model that says of `row N` that it is said, but nothing right of the rows that `wrong` matches.
fn model(wrong: &str, delay: &str) -> String {
    format!(
        "delay: {delay}
replies:
  - {{ when: {{ user: '^({wrong})\\?$' }}, reply: 'no idea' }}
  - {{ when: {{ user: 'row' }}, find: 'row \\d+', reply: 'said ${{found}}' }}
"
    )
}

/// A flow over `count` rows, of which the last three are critical.
fn project(evaluation: &str, count: usize, delay: &str) -> Project {
    let rows: String = (0..count)
        .map(|row| {
            let tag = if row + 3 >= count { "critical" } else { "usual" };
            format!("{{\"question\": \"row {row}?\", \"expected\": \"said row {row}\", \"tag\": \"{tag}\"}}\n")
        })
        .collect();
    let judge = format!(
        "delay: {delay}\nreplies:\n  - {{ when: {{ model: clever }}, reply: '{{\"reason\": \"clear enough\", \"score\": 4}}' }}\n"
    );
    Project::new()
        .file("config/config.yaml", CONFIG)
        .file("flows/triage/flow.dag.yaml", FLOW)
        .file("flows/triage/ask.jinja2", "user:\n{{question}}\n")
        .file("flows/triage/evaluation.yaml", evaluation)
        .file("model.yaml", model("none", delay))
        .file("judge.yaml", judge)
        .file("rows.jsonl", rows)
}

fn evaluate(project: &Project, more: &[&str]) -> Ran {
    project.run(SLUICEGATE, &[&["evaluate", "triage", "-e", "pr", "--progress", "none"], more].concat())
}

#[track_caller]
fn check(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{}", ran.shown());
    for words in words {
        assert!(ran.stderr.contains(words), "{words}\n{}", ran.shown());
    }
}

/// Where a command wrote its receipt.
fn place(project: &Project, ran: &Ran) -> PathBuf {
    PathBuf::from(ran.stdout.trim().replace("[project]", &project.path().display().to_string()))
}

/// A copy of a receipt that stays, whatever else is evaluated.
fn kept(project: &Project, ran: &Ran) -> String {
    assert_eq!(ran.code, 0, "{}", ran.shown());
    let kept = project.path().join("baseline.json");
    std::fs::copy(place(project, ran), &kept).expect("a copy");
    kept.display().to_string()
}

/// How many runs the project keeps.
fn runs(project: &Project) -> usize {
    let store = Store::open(project.path().join(".sluicegate")).expect("the store");
    store.list(&RunFilter::default()).expect("runs").len()
}

fn warnings(receipt: &serde_json::Value) -> Vec<&str> {
    receipt["decision"]["warnings"].as_array().into_iter().flatten().filter_map(|warning| warning.as_str()).collect()
}

#[track_caller]
fn explained(project: &Project, ran: &Ran) {
    let file = place(project, ran).display().to_string();
    let explained = project.run(SLUICEGATE, &["gate", "explain", &file]);
    assert_eq!(explained.code, 0, "{}", explained.shown());
}

const COMPARED: &str = "evaluators: { exact_match: {} }
gate:
  rules:
    - { id: right, metric: exact_match, is: '>= 0.5' }
    - { id: worse, metric: exact_match, against: baseline, margin: 0.05 }
";

#[test]
fn before_anything_is_asked_it_says_what_it_can_see_and_what_it_costs() {
    let project = project(COMPARED, 30, "0ms");
    let first = evaluate(&project, &[]);
    check(&first, 0, &[]);
    assert!(!first.stderr.contains("this gate"), "there was nothing to compare with\n{}", first.shown());
    project.write("flows/triage/ask.jinja2", "user:\n{{question}}\n\n");
    check(
        &evaluate(&project, &["--budget", "100"]),
        0,
        &["rule `worse`: this gate cannot see a 5-point drop with 30 cases; needs", "30 answers cost about $"],
    );
}

#[test]
fn a_rule_that_requires_more_power_than_there_is_stops_it_before_a_call() {
    let evaluation = COMPARED.replace("margin: 0.05", "margin: 0.05, require_power: 0.8");
    let project = project(&evaluation, 30, "0ms");
    // The first of all has nothing to compare with: it can begin.
    check(&evaluate(&project, &[]), 0, &["PASS"]);
    let before = runs(&project);
    project.write("flows/triage/ask.jinja2", "user:\n{{question}}\n\n");
    let refused = evaluate(&project, &[]);
    check(&refused, 12, &["INVALID", "nothing was asked", "requires a power of 0.8"]);
    assert_eq!(runs(&project), before, "something was asked");
    // Another margin is another matter.
    project.write("flows/triage/evaluation.yaml", evaluation.replace("0.05", "0.5"));
    check(&evaluate(&project, &[]), 0, &["PASS"]);
}

const CRITICAL: &str = "evaluators: { exact_match: {} }
gate:
  rules:
    - { id: right, metric: exact_match, is: '>= 0.5' }
    - { id: critical, where: \"tag == 'critical'\", metric: exact_match, flips: '<= 0', confirm_reruns: 2 }
";

/// A project whose model is an endpoint that answers rightly, but for the first so many calls about `row 17`, once it is
/// told to.
fn moody(endpoint: &Endpoint, evaluation: &str) -> Project {
    let config = format!(
        "connections:
  model: {{ type: open_ai, base_url: {}/v1, api_key: \"${{THE_KEY}}\", retry: {{ max_attempts: 1 }} }}
flow_configs:
  triage: {{ flow_path: flows/triage, eval_data_path: rows.jsonl }}
  triage_pr: {{ connection_name: model, deployment_name: small }}
",
        endpoint.url()
    );
    project(evaluation, 20, "0ms").file("config/config.yaml", config).variable("THE_KEY", KEY)
}

fn answers(endpoint: &Endpoint, wrong: usize) {
    let mut asked = BTreeMap::<String, usize>::new();
    endpoint.on(move |request| {
        let text = text_of(request);
        let before = asked.entry(text.clone()).or_default();
        *before += 1;
        let is_wrong = text.starts_with("row 17") && *before <= wrong;
        Some(Answer::text(&if is_wrong {
            "no idea".to_owned()
        } else {
            format!("said {}", text.trim_end_matches('?'))
        }))
    });
}

#[test]
fn a_case_that_fell_runs_again_before_it_counts() {
    let endpoint = Endpoint::start();
    let project = moody(&endpoint, CRITICAL);
    answers(&endpoint, 0);
    let baseline = kept(&project, &evaluate(&project, &[]));

    // It fell once, and answers rightly twice: it passes more often than not.
    answers(&endpoint, 1);
    project.write("flows/triage/ask.jinja2", "user:\n{{question}}\n\n");
    let ran = evaluate(&project, &["--baseline", &baseline]);
    check(&ran, 0, &["PASS", "1 case that fell ran again, for 2 more answers"]);
    let found = receipt(&project, &ran);
    assert_eq!(found["decision"]["rounds"]["confirming_answers"], 2, "{}", ran.shown());
    let cases = found["evidence"]["candidate"]["cases"].as_array().expect("cases");
    let again: Vec<_> = cases.iter().filter(|case| case["confirming"] == true).map(|case| &case["repeat"]).collect();
    assert_eq!(again, [1, 2]);
    // The mean is that of the answers that were planned: what failed there is not made good by running it again.
    assert_eq!(found["decision"]["integrity"]["metrics"][0]["mean"], 0.95);
    assert!(ran.stderr.contains("exact_match  20  0        0.9500"), "{}", ran.shown());
    explained(&project, &ran);

    // It falls each time.
    answers(&endpoint, usize::MAX);
    let ran = evaluate(&project, &["--baseline", &baseline]);
    check(&ran, 10, &["FAIL", "critical", "1 flip among 3 cases"]);
    let found = receipt(&project, &ran);
    assert_eq!(found["decision"]["regressions"][0]["passed_of"], serde_json::json!([0, 3]), "{}", ran.shown());
    explained(&project, &ran);
}

#[test]
fn what_was_recorded_is_replayed_with_the_answers_of_cases_that_ran_again() {
    let endpoint = Endpoint::start();
    let project = moody(&endpoint, CRITICAL);
    answers(&endpoint, 0);
    let baseline = kept(&project, &evaluate(&project, &[]));
    project.write("flows/triage/ask.jinja2", "user:\n{{question}}\n\n");
    answers(&endpoint, 1);
    let recorded = evaluate(&project, &["--baseline", &baseline, "--record", "tape"]);
    check(&recorded, 0, &["for 2 more answers"]);
    drop(endpoint);
    let replayed = evaluate(&project, &["--baseline", &baseline, "--replay", "tape"]);
    check(&replayed, 0, &["for 2 more answers"]);
    assert_eq!(receipt(&project, &replayed)["decision_hash"], receipt(&project, &recorded)["decision_hash"]);
    // Without them it cannot be said whether the case falls again: that is no pass, and no failure.
    for again in ["repeat-2", "repeat-3"] {
        std::fs::remove_dir_all(project.path().join("tape").join(again)).expect("a folder");
    }
    let replayed = evaluate(&project, &["--baseline", &baseline, "--replay", "tape"]);
    check(&replayed, 11, &["no such replies were recorded", "1 to be confirmed by running again"]);
}

#[test]
fn an_error_while_a_case_runs_again_is_no_answer() {
    let endpoint = Endpoint::start();
    let project = moody(&endpoint, CRITICAL);
    answers(&endpoint, 0);
    let baseline = kept(&project, &evaluate(&project, &[]));
    let mut asked = 0;
    endpoint.on(move |request| {
        let text = text_of(request);
        let said = format!("said {}", text.trim_end_matches('?'));
        if !text.starts_with("row 17") {
            return Some(Answer::text(&said));
        }
        asked += 1;
        // Wrong, an error, wrong, and wrong once more in the place of the error.
        Some(if asked == 2 { Answer::error(400, "bad_request", "No.") } else { Answer::text("no idea") })
    });
    project.write("flows/triage/ask.jinja2", "user:\n{{question}}\n\n");
    let ran = evaluate(&project, &["--baseline", &baseline]);
    check(&ran, 10, &["1 flip among 3 cases", "for 3 more answers"]);
}

/// Three looks at 120 cases; what is critical stands at the end of the file.
const LOOKS: &str = "evaluators: { exact_match: {} }
sequential: { looks: 3, min_cases: 30 }
gate:
  rules:
    - { id: right, metric: exact_match, is: '>= 0.6' }
    - { id: critical, where: \"tag == 'critical'\", metric: exact_match, every_case: true }
";

#[test]
fn what_is_shown_at_the_first_look_needs_no_more_cases() {
    let project = project(LOOKS, 120, "0ms");
    let ran = evaluate(&project, &[]);
    check(&ran, 0, &["PASS", "decided at look 1 of 3", "every rule was shown to hold"]);
    let found = receipt(&project, &ran);
    let decision = &found["decision"];
    assert_eq!(decision["look"], serde_json::json!([1, 3]));
    let cases = found["evidence"]["candidate"]["cases"].as_array().expect("cases");
    assert!((40..=43).contains(&cases.len()), "{}", cases.len());
    assert_eq!(decision["rounds"]["not_needed"], 120 - cases.len());
    let lines: Vec<u64> = cases.iter().filter_map(|case| case["line"].as_u64()).collect();
    // The critical ones come first, and the others in no order of the file.
    assert!([118, 119, 120].iter().all(|line| lines.contains(line)), "{lines:?}");
    assert!(lines.iter().any(|line| (60..110).contains(line)), "{lines:?}");
    explained(&project, &ran);
}

#[test]
fn what_fails_at_the_first_look_is_measured_no_further() {
    let project = project(LOOKS, 120, "0ms");
    project.write("model.yaml", model("row \\d+", "0ms"));
    let ran = evaluate(&project, &[]);
    check(&ran, 10, &["FAIL", "decided at look 1 of 3", "were not needed"]);
    explained(&project, &ran);
}

#[test]
fn what_is_not_decided_earlier_is_decided_by_all_cases() {
    let project = project(&LOOKS.replace("0.6", "0.93"), 90, "0ms");
    let ran = evaluate(&project, &[]);
    check(&ran, 0, &["PASS", "after 90 of 90 cases", "90 cases: 90 scored"]);
    assert_eq!(receipt(&project, &ran)["decision"]["rounds"]["not_needed"], 0);
    explained(&project, &ran);
}

/// Tells how an evaluation ends whose budget is spent, and that it goes on with more.
fn check_budget(budget: &str, delay: &str, more: &[&str]) {
    let evaluation =
        format!("evaluators: {{ exact_match: {{}} }}\nbudget: {{ {budget} }}\ngate: {{ exact_match: '>= 0.5' }}\n");
    let project = project(&evaluation, 20, delay);
    let ran = evaluate(&project, more);
    check(&ran, 13, &["ABORTED", "--resume", "the budget was spent"]);
    let cases = receipt(&project, &ran)["decision"]["integrity"]["cases"].as_u64().expect("a count");
    assert!(cases < 20, "{budget}: {cases}");
    project.write("flows/triage/evaluation.yaml", evaluation.replace(budget, "usd: 1000"));
    check(
        &project.run(SLUICEGATE, &["evaluate", "--resume", "--concurrency", "64"]),
        0,
        &["PASS", "20 cases: 20 scored"],
    );
}

#[test]
fn tokens_are_a_budget() {
    check_budget("tokens: 1100", "0ms", &["--concurrency", "1"]);
}

#[test]
fn time_is_a_budget() {
    check_budget("time: 1s", "200ms", &["--concurrency", "1"]);
}

#[test]
fn a_spent_budget_may_be_judged_with_what_there_is() {
    let evaluation = "evaluators:
  exact_match: {}
  fluency: { connection: judge, deployment: clever }
budget: { time: 1s, reserve: 50%, exhausted: inconclusive }
gate: { strict: true, exact_match: '>= 0.9' }
";
    let project = project(evaluation, 40, "50ms");
    let ran = evaluate(&project, &["--concurrency", "1"]);
    check(&ran, 11, &["INCONCLUSIVE", "the budget was spent"]);
    // Whom the judge was not asked about is not measured: no error, and no zero.
    let found = receipt(&project, &ran);
    let integrity = &found["decision"]["integrity"];
    assert_eq!((&integrity["errors"], &integrity["missing"]), (&0.into(), &0.into()), "{}", ran.shown());
    assert!(integrity["cases"].as_u64().is_some_and(|cases| cases > 0), "{}", ran.shown());
}

#[test]
fn another_model_behind_the_same_name_is_told_first() {
    let project = project(COMPARED, 20, "0ms");
    let baseline = kept(&project, &evaluate(&project, &[]));
    project.write("config/config.yaml", CONFIG.replace("deployment_name: small", "deployment_name: large"));
    let ran = evaluate(&project, &["--baseline", &baseline]);
    check(&ran, 0, &["the arms were answered by different models: small before, large now"]);
    assert!(warnings(&receipt(&project, &ran))[0].starts_with("the arms were answered by"), "{}", ran.shown());
    explained(&project, &ran);
    // Who wants the same model or no comparison says so.
    project.write("flows/triage/evaluation.yaml", format!("baseline: {{ compatible_on: [served_model] }}\n{COMPARED}"));
    let ran = evaluate(&project, &["--baseline", &baseline]);
    check(&ran, 0, &["measured with another served_model"]);
}

/// Three looks, a judge, and a critical case that falls and is confirmed, which the rule allows once.
const ALL: &str = "evaluators:
  exact_match: {}
  fluency: { connection: judge, deployment: clever }
sequential: { looks: 3, min_cases: 20 }
gate:
  rules:
    - { id: right, metric: exact_match, is: '>= 0.9' }
    - { id: fluent, metric: fluency, is: '>= 3' }
    - { id: critical, where: \"tag == 'critical'\", metric: exact_match, flips: '<= 1', confirm_reruns: 2 }
";

/// Kills an evaluation at random points, goes on with it, and holds its receipt against that of a whole one.
fn check_killed(kills: usize) {
    let mut dice = Dice::thrown();
    eprintln!("seed {:#x}", dice.0);
    let project = project(ALL, 60, "0ms");
    let baseline = kept(&project, &evaluate(&project, &[]));
    project.write("model.yaml", model("row 57", "10ms"));
    let arguments =
        ["evaluate", "triage", "-e", "pr", "--concurrency", "2", "--baseline", &baseline, "--progress", "none"];
    let began = Instant::now();
    let undisturbed = project.run(SLUICEGATE, &arguments);
    let whole = began.elapsed().as_millis() as u64;
    check(&undisturbed, 0, &["PASS", "1 case that fell ran again, for 2 more answers", "after 60 of 60 cases"]);
    let wanted = receipt(&project, &undisturbed);
    let mut died = 0;
    for kill in 0..kills {
        let mut child = project.start(SLUICEGATE, &arguments);
        std::thread::sleep(Duration::from_millis(60 + dice.below(whole * 9 / 10)));
        // It may be over already, where the machine was slow before.
        let _ = child.kill();
        let ran = project.wait(child);
        assert!(ran.code == -1 || ran.code == 0, "kill {kill}: {}", ran.shown());
        died += usize::from(ran.code == -1);
        // Once more: what goes on may be killed as well.
        let mut child = project.start(SLUICEGATE, &["evaluate", "--resume", "--progress", "none"]);
        std::thread::sleep(Duration::from_millis(60 + dice.below(whole / 2)));
        let _ = child.kill();
        let _ = project.wait(child);
        let began = Instant::now();
        let ran = loop {
            let ran = project.run(SLUICEGATE, &["evaluate", "--resume", "--progress", "none"]);
            if ran.code != 2 || began.elapsed() > Duration::from_secs(30) {
                break ran;
            }
        };
        assert_eq!(ran.code, 0, "kill {kill}: {}", ran.shown());
        let found = receipt(&project, &ran);
        assert_eq!(found["decision_hash"], wanted["decision_hash"], "kill {kill}: {}", ran.shown());
    }
    assert!(died > 0, "none of {kills} kills found it running");
}

#[test]
fn killed_and_resumed_it_comes_to_the_same_receipt() {
    check_killed(4);
}
