//! A receipt comes back as it was, and its hash covers the decision alone.

use sluicegate_gate::*;

use crate::sample;

#[test]
fn a_receipt_comes_back_as_it_was() {
    let receipt = sample::receipt();
    let read = Receipt::from_json(&receipt.to_json()).expect("a receipt");
    assert_eq!(read, receipt);
    assert_eq!(read.computed_hash(), receipt.decision_hash);
}

#[test]
fn what_a_newer_minor_version_adds_is_kept() {
    let text = sample::receipt().to_json().replacen('{', "{\"signature\": {\"by\": \"x\"},", 1);
    let read = Receipt::from_json(&text).expect("a receipt");
    assert!(read.to_json().contains("\"signature\""));
}

#[test]
fn the_hash_does_not_know_when_where_and_how_fast() {
    let mut other = sample::receipt();
    other.about = About::default();
    other.decision.rules[2].estimate = Some(1.0);
    other.decision.rules[2].words = "1ms".to_owned();
    other.decision.rules[0].place = None;
    let other = Receipt::new(other.decision, other.about, None);
    assert_eq!(other.decision_hash, sample::receipt().decision_hash);
}

#[test]
fn the_hash_knows_what_was_decided_and_from_what() {
    let original = sample::receipt().decision_hash;
    let changed = |change: fn(&mut Decision)| {
        let mut decision = sample::receipt().decision;
        change(&mut decision);
        Receipt::new(decision, About::default(), None).decision_hash
    };
    assert_ne!(changed(|decision| decision.verdict = Verdict::Pass), original);
    assert_ne!(changed(|decision| decision.rules[1].estimate = Some(-0.13)), original);
    assert_ne!(changed(|decision| decision.rules[2].verdict = RuleVerdict::Fail), original);
    assert_ne!(changed(|decision| decision.hashes.data = None), original);
    assert_ne!(changed(|decision| decision.regressions[0].candidate_output = None), original);
}

#[test]
fn the_hash_does_not_depend_on_the_order_of_keys() {
    let text = sample::receipt().to_json();
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    reverse(&mut value);
    let read = Receipt::from_json(&value.to_string()).expect("a receipt");
    assert_eq!(read.computed_hash(), sample::receipt().decision_hash);
}

fn reverse(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            let entries: Vec<_> = std::mem::take(map).into_iter().collect();
            for (key, mut item) in entries.into_iter().rev() {
                reverse(&mut item);
                map.insert(key, item);
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(reverse),
        _ => {}
    }
}

#[track_caller]
fn check_refused(text: &str, expected: &str) {
    let error = Receipt::from_json(text).expect_err("no receipt");
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn what_is_no_receipt_is_refused_in_clear_words() {
    check_refused("no", "it is no JSON: ");
    check_refused("[]", "it is no receipt: its `schema` is not `sluicegate.receipt`");
    check_refused("{}", "it is no receipt: its `schema` is not `sluicegate.receipt`");
    check_refused(
        r#"{"schema": "sluicegate.receipt", "version": [2, 0], "decision": "of another form"}"#,
        "it is of version 2.0, and this program reads up to 1.x; use a newer sluicegate",
    );
    check_refused(r#"{"schema": "sluicegate.receipt", "version": [1, 0]}"#, "it is damaged: missing field");
}

#[test]
fn a_score_that_is_no_number_is_kept_as_missing() {
    let mut receipt = sample::receipt();
    let mut evidence = receipt.evidence.take().expect("evidence");
    evidence.candidate.scores[0].value = ScoreValue::Number(f64::NAN);
    let receipt = Receipt::new(receipt.decision, receipt.about, Some(evidence));
    assert_eq!(Receipt::from_json(&receipt.to_json()).expect("a receipt"), receipt);
}
