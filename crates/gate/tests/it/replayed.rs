//! A receipt's decision is made again from what it kept, and what was changed since is found.

use sluicegate_gate::judge::{Facts, judge};
use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::projection::{explanation, terminal};
use sluicegate_gate::replay::{Replayed, kept_policy, replay};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

/// Fifty cases of which every tenth is wrong, against a baseline of which every eighth is; outputs are long.
fn judged(sections: &str, look: Option<[u32; 2]>) -> Receipt {
    let metrics = vec![Metric::boolean("exact"), Metric::share("overlap")];
    let arm = |wrong: usize| {
        let mut arm = Arm::default();
        for at in 0..50_usize {
            let case = Case {
                line: Some(at as u64 + 1),
                cost_usd: Some(0.01),
                ..Case::answered(format!("case-{at}"), "é".repeat(5_000))
            };
            let mut score = |metric: &str, value: ScoreValue| {
                arm.scores.push(Score {
                    case: case.key.clone(),
                    line: case.line,
                    repeat: 0,
                    judge_repeat: 0,
                    evaluator: metric.to_owned(),
                    metric: metric.into(),
                    value,
                    passed: None,
                    reason: String::new(),
                    cost_usd: None,
                    evaluator_hash: String::new(),
                });
            };
            score("exact", ScoreValue::Bool(at % wrong != 0));
            score("overlap", ScoreValue::Number(1.0 / (1.0 + (at % wrong) as f64 / 7.0)));
            arm.cases.push(case);
        }
        arm
    };
    let evidence =
        Evidence { metrics: metrics.clone(), candidate: arm(10), baseline: Some(arm(8)), ..Evidence::default() };
    let file = SourceFile::new("evaluation.yaml", sections);
    let document = yaml::read(&file).expect("YAML");
    let known = Known { metrics: &metrics, ..Known::default() };
    let policy = policy::read(&file, Sections::of(&document.root), known).expect("a policy").policy;
    let facts = Facts { flow: "triage".into(), seed: 7, look, ..Facts::default() };
    let receipt = judge(&policy, &evidence, &facts);
    // As a file, it is what others have.
    Receipt::from_json(&receipt.to_json()).expect("a receipt")
}

const GATE: &str = "gate:\n  exact: '>= 0.8'\n  no_regression: [exact]\n";

#[test]
fn what_was_kept_comes_to_the_same_decision() {
    let receipt = judged("gate:\n  exact: '>= 0.8'\n  overlap: '>= 0.6'\n  no_regression: true\n", None);
    let found = replay(&receipt);
    assert_eq!((found.holds(), found.replayed), (true, Replayed::Same { look: None }));
    let policy = kept_policy(&receipt).expect("a policy");
    assert_eq!(policy.rules[1].place.as_ref().map(|place| place.line), Some(3));
}

#[test]
fn a_look_is_found_again() {
    let sections = format!("{GATE}sequential: {{ looks: 3, min_cases: 10 }}\n");
    for look in [Some([1, 3]), Some([2, 3])] {
        assert_eq!(replay(&judged(&sections, look)).replayed, Replayed::Same { look });
    }
}

#[track_caller]
fn check_told(change: impl Fn(&mut Receipt), expected: &str) {
    let mut receipt = judged(GATE, None);
    change(&mut receipt);
    let found = replay(&receipt);
    let told = terminal::plain(&explanation::render(&receipt, &found));
    assert!(told.contains(expected), "{told}");
    assert!(!found.holds() || matches!(found.replayed, Replayed::NotPossible(_)));
}

#[test]
fn a_changed_decision_is_told() {
    check_told(|receipt| receipt.decision.verdict = Verdict::Fail, "the decision was changed after it was written");
    check_told(|receipt| receipt.decision.verdict = Verdict::Fail, "verdict: written fail, judged again");
    check_told(|receipt| receipt.decision_hash = "0".repeat(64), "the decision was changed after it was written");
}

#[test]
fn changed_evidence_is_told_though_the_decision_is_as_it_was() {
    let change = |receipt: &mut Receipt| {
        let evidence = receipt.evidence.as_mut().expect("evidence");
        evidence.candidate.scores.iter_mut().for_each(|score| score.value = ScoreValue::Bool(true));
    };
    check_told(change, "the decision is as it was written");
    check_told(change, "judged again from the kept evidence: another decision");
    check_told(change, "rule `exact`, estimate: written 0.9, judged again 1");
}

#[test]
fn a_decision_that_was_changed_with_its_hash_is_told_too() {
    let change = |receipt: &mut Receipt| {
        receipt.decision.rules[0].verdict = RuleVerdict::Fail;
        receipt.decision_hash = receipt.computed_hash();
    };
    check_told(change, "rule `exact`, verdict: written fail, judged again pass");
}

#[test]
fn without_evidence_there_is_the_hash_alone() {
    check_told(|receipt| receipt.evidence = None, "it cannot be judged again: it keeps no evidence");
}
