//! `gate explain` and `gate judge`: receipts as people and builds meet them.

use sluicegate_gate::*;
use sluicegate_testkit::project::Project;

use crate::gate_receipts::{Measured, RULES, empty, failing, fifty, gate, passing, project, receipt, thin};

/// What a file of the project holds.
#[track_caller]
fn read(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_decision_is_told_rule_by_rule() {
    let project = project(&failing("an answer"));
    let ran = gate(&project, &["explain", "receipt.json"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    for words in [
        "FAIL  triage (pr)",
        "rule `exact` (threshold, flows/triage/evaluation.yaml:2): fail, blocks",
        "demands   >= 0.8 of exact",
        "by        wilson, each bound with confidence 0.95",
        "rule `no_regression.exact` (no_regression, flows/triage/evaluation.yaml:3): fail, blocks",
        "of 50 cases 18 got worse and 0 better",
        "the decision is as it was written",
        "judged again from the kept evidence: the same decision",
    ] {
        assert!(ran.stdout.contains(words), "{words}\n{}", ran.shown());
    }
    assert!(ran.stderr.is_empty() && !ran.stdout.contains('\x1b'), "{}", ran.shown());
}

#[test]
fn machines_read_the_same_as_json() {
    let project = project(&thin());
    let ran = gate(&project, &["explain", ".", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told["replayed"], "same", "{}", ran.shown());
    assert_eq!((&told["hash_holds"], &told["decision"]["verdict"]), (&true.into(), &"inconclusive".into()));
}

#[test]
fn what_would_settle_it_is_told() {
    let ran = gate(&project(&thin()), &["explain", "receipt.json"]);
    assert!(ran.stdout.contains("more cases, about $"), "{}", ran.shown());
}

#[track_caller]
fn check_found(change: impl Fn(&mut Receipt), words: &str) {
    let mut receipt = failing("an answer");
    change(&mut receipt);
    let ran = gate(&project(&receipt), &["explain", "receipt.json"]);
    assert!(ran.code == 1 && ran.stdout.contains(words), "{}", ran.shown());
}

#[test]
fn a_receipt_that_was_changed_is_found_out() {
    check_found(|receipt| receipt.decision.verdict = Verdict::Pass, "the decision was changed after it was written");
    check_found(|receipt| receipt.decision.rules[0].blocks = false, "the decision was changed after it was written");
    // Whoever changes the decision and makes a new hash has not changed what it was made from.
    let with_hash = |receipt: &mut Receipt| {
        (receipt.decision.verdict, receipt.decision.exit_code) = (Verdict::Pass, 0);
        receipt.decision_hash = receipt.computed_hash();
    };
    check_found(with_hash, "verdict: written pass, judged again fail");
    let evidence = |receipt: &mut Receipt| {
        let evidence = receipt.evidence.as_mut().expect("evidence");
        evidence.candidate.scores.iter_mut().for_each(|score| score.value = ScoreValue::Bool(true));
    };
    check_found(evidence, "judged again from the kept evidence: another decision");
}

#[track_caller]
fn check_refused(text: &str, words: &str) {
    let project = Project::new().file("receipt.json", text);
    for command in ["explain", "judge", "plan"] {
        let ran = gate(&project, &[command, "receipt.json"]);
        assert!(ran.code == 2 && ran.stderr.contains(words), "{}", ran.shown());
    }
}

#[test]
fn what_is_no_receipt_that_can_be_read_is_asked_wrongly() {
    check_refused("no", "it is no JSON");
    check_refused("{}", "it is no receipt");
    let newer = passing().to_json().replacen("1,\n    0\n", "2,\n    0\n", 1);
    check_refused(&newer, "it is of version 2.0, and this program reads up to 1.x; use a newer sluicegate");
    check_refused(&passing().to_json().replace("\"headline\"", "\"head\""), "it is damaged");
    let ran = gate(&Project::new(), &["explain", "nowhere.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("receipt `nowhere.json` cannot be read"), "{}", ran.shown());
}

#[test]
fn what_a_newer_minor_version_adds_does_no_harm() {
    let newer = passing().to_json().replacen("1,\n    0\n", "1,\n    9\n", 1).replacen('{', "{\"more\": [1],", 1);
    let project = Project::new().file("receipt.json", newer);
    assert_eq!(gate(&project, &["explain", "receipt.json"]).code, 0);
}

#[track_caller]
fn check_judged(receipt: &Receipt, arguments: &[&str], code: i32) {
    let ran = gate(&project(receipt), &[&["judge", "receipt.json"], arguments].concat());
    assert_eq!(ran.code, code, "{}", ran.shown());
}

#[test]
fn each_verdict_has_its_exit_code() {
    check_judged(&passing(), &[], 0);
    check_judged(&failing("an answer"), &[], 10);
    check_judged(&thin(), &[], 11);
    check_judged(&empty(), &[], 12);
}

#[test]
fn a_build_that_knows_two_codes_may_have_two() {
    check_judged(&failing("an answer"), &["--exit-zero"], 0);
    check_judged(&thin(), &["--exit-map", "11=1,12=1"], 1);
    check_judged(&empty(), &["--exit-map", "inconclusive=1,invalid=3"], 3);
    check_judged(&failing("an answer"), &["--exit-map", "11=1,12=1"], 10);
    check_judged(&thin(), &["--exit-map", "130=0"], 2);
}

#[test]
fn other_rules_come_to_another_verdict() {
    check_judged(&failing("an answer"), &["--gate", "exact >= 0.4"], 0);
    check_judged(&passing(), &["--gate", "exact >= 0.95", "--gate", "strict"], 11);
    check_judged(&passing(), &["--gate", "exakt >= 0.95"], 2);
    // What nobody has said cannot be passed.
    let file = "gate:\n  rules:\n  - { id: few, where: \"'x' in tags\", metric: exact, is: '>= 0.1' }\n";
    let project = project(&passing()).file("other.yaml", file);
    let ran = gate(&project, &["judge", "receipt.json", "--policy", "other.yaml"]);
    assert!(ran.code == 11 && ran.stderr.contains("`'x' in tags` holds was not recorded"), "{}", ran.shown());
}

#[test]
fn a_file_of_rules_says_its_reports_too_and_flags_count_over_it() {
    let file = "evaluators: { exact: { use: exact_match } }
gate: { exact: '>= 0.99' }
report: { html: out/page.html, sarif: out/x.sarif, junit: out/a.xml, comment: sticky }
";
    let project = project(&passing()).file("flows/triage/evaluation.yaml", file);
    let arguments = ["judge", "receipt.json", "--policy", "flows/triage/evaluation.yaml", "--gate", "exact >= 0.5"];
    let ran = gate(&project, &[&arguments[..], &["--junit", "b.xml"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.shown());
    assert!(read(&project, "out/page.html").starts_with("<!DOCTYPE html>"));
    assert!(read(&project, "out/x.sarif").contains("\"version\": \"2.1.0\""));
    assert!(read(&project, ".sluicegate/out/judged/comment.md").starts_with("<!-- sluicegate:"));
    assert!(read(&project, "b.xml").contains("<testsuites"));
    assert!(!project.path().join("out/a.xml").exists());
}

#[test]
fn wrong_rules_are_told_where_they_stand() {
    let project = project(&passing()).file("other.yaml", "gate: { exakt: '>= 0.99' }\nreport: { hmtl: x }\n");
    let ran = gate(&project, &["judge", "receipt.json", "--policy", "other.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("other.yaml:1:9"), "{}", ran.shown());
    project.write("other.yaml", "evaluators: { exact_match: {} }\ngate: { exact: '>= 0.99' }\nreport: { hmtl: x }\n");
    let ran = gate(&project, &["judge", "receipt.json", "--policy", "other.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("did you mean `html`?"), "{}", ran.shown());
}

#[test]
fn another_baseline_may_be_named() {
    let alone = receipt("gate:\n  exact: '>= 0.5'\n", &Measured { before: "", now: &fifty(12), output: "an answer" });
    let project = project(&alone).file("main/receipt.json", passing().to_json());
    let arguments = ["judge", "receipt.json", "--baseline", "main", "--gate", "no_regression", "--json"];
    let ran = gate(&project, &arguments);
    assert_eq!(ran.code, 10, "{}", ran.shown());
    let judged = Receipt::from_json(&ran.stdout).expect("a receipt");
    assert_eq!(judged.decision.baseline.kind, BaselineKind::NamedReceipt);
    assert_eq!((judged.decision.baseline.common_cases, judged.decision.regressions_total), (50, 10));
    assert_eq!(judged.about.baseline_run.as_deref(), Some("main"));
}

#[test]
fn the_receipt_that_was_asked_about_stays_as_it_is() {
    let receipt = failing("an answer");
    let project = project(&receipt).file(".sluicegate/out/receipt.json", receipt.to_json());
    let ran = gate(&project, &["judge", ".sluicegate/out", "--gate", "exact >= 0.4"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "[project]/.sluicegate/out/judged/receipt.json\n"),
        "{}",
        ran.shown()
    );
    assert_eq!(read(&project, ".sluicegate/out/receipt.json"), receipt.to_json());
    let judged = Receipt::from_json(&read(&project, ".sluicegate/out/judged/receipt.json")).expect("a receipt");
    assert_eq!((judged.decision.verdict, judged.computed_hash()), (Verdict::Pass, judged.decision_hash.clone()));
    assert!(read(&project, ".sluicegate/out/judged/junit.xml").contains("testsuite"));
}

#[test]
fn a_changed_receipt_is_judged_and_it_is_said() {
    let mut receipt = passing();
    receipt.decision.headline = "all is well".to_owned();
    receipt.decision.regressions_total = 3;
    let ran = gate(&project(&receipt), &["judge", "receipt.json"]);
    assert!(ran.code == 0 && ran.stderr.contains("the receipt was changed after it was written"), "{}", ran.shown());
    receipt.evidence = None;
    let ran = gate(&project(&receipt), &["judge", "receipt.json"]);
    assert!(ran.code == 2 && ran.stderr.contains("keeps no evidence"), "{}", ran.shown());
}

#[test]
fn a_report_that_cannot_be_written_makes_no_pass_and_hides_no_failure() {
    let good = project(&passing()).file("file", "");
    let ran = gate(&good, &["judge", "receipt.json", "--html", "file/page.html"]);
    assert!(ran.code == 1 && ran.stderr.contains("page.html` cannot be written"), "{}", ran.shown());
    let bad = project(&failing("an answer")).file("file", "");
    let ran = gate(&bad, &["judge", "receipt.json", "--html", "file/page.html"]);
    assert!(ran.code == 10 && ran.stderr.contains("page.html` cannot be written"), "{}", ran.shown());
    assert!(read(&bad, ".sluicegate/out/judged/receipt.json").contains("decision_hash"));
}

#[test]
fn the_short_form_reads_the_same_in_a_file_and_in_flags() {
    let receipt = receipt(RULES, &Measured { before: &fifty(2), now: &fifty(9), output: "an answer" });
    let project = project(&receipt).file("other.yaml", RULES);
    let hash = |arguments: &[&str]| {
        let ran = gate(&project, &[&["judge", "receipt.json", "--json"], arguments].concat());
        Receipt::from_json(&ran.stdout).expect("a receipt").decision_hash
    };
    let written = hash(&["--policy", "other.yaml"]);
    assert_eq!(hash(&["--gate", "exact >= 0.8", "--gate", "no_regression"]), written);
    assert_eq!(hash(&[]), written);
}
