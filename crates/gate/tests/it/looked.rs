//! Looking before the end: when, and what it comes to.

use sluicegate_gate::judge::{AfterLook, Facts, StopReason, after_look, case_order, first_cases, judge, next_look};
use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::replay::{Replayed, replay};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

fn policy(text: &str) -> Policy {
    let metrics = [Metric::boolean("exact")];
    let file = SourceFile::new("evaluation.yaml", text);
    let document = yaml::read(&file).expect("YAML");
    let known = Known { metrics: &metrics, ..Known::default() };
    policy::read(&file, Sections::of(&document.root), known).expect("a policy").policy
}

fn key(at: usize) -> CaseKey {
    format!("case-{at:03}").as_str().into()
}

/// So many right answers, then so many wrong ones; `from` numbers the first.
fn arm(from: usize, right: usize, wrong: usize) -> Arm {
    let mut arm = Arm::default();
    for at in 0..right + wrong {
        let case = Case { cost_usd: Some(0.01), ..Case::answered(key(from + at), "") };
        arm.scores.push(Score {
            case: case.key.clone(),
            line: None,
            repeat: 0,
            judge_repeat: 0,
            evaluator: "exact".to_owned(),
            metric: "exact".into(),
            value: ScoreValue::Bool(at < right),
            passed: None,
            reason: String::new(),
            cost_usd: None,
            evaluator_hash: String::new(),
        });
        arm.cases.push(case);
    }
    arm
}

fn evidence(candidate: Arm, baseline: Option<Arm>) -> Evidence {
    Evidence { metrics: vec![Metric::boolean("exact")], candidate, baseline, ..Evidence::default() }
}

fn judged(sections: &str, evidence: &Evidence, look: [u32; 2]) -> Receipt {
    judge(&policy(sections), evidence, &Facts { look: Some(look), resamples: Some(500), ..Facts::default() })
}

#[track_caller]
fn check(sections: &str, candidate: Arm, baseline: Option<Arm>, look: [u32; 2], expected: AfterLook) {
    let receipt = judged(sections, &evidence(candidate, baseline), look);
    assert_eq!(after_look(&receipt, look), expected, "{:#?}", receipt.decision.rules);
    assert_eq!(replay(&receipt).replayed, Replayed::Same { look: Some(look) });
}

const SUCCESS: AfterLook = AfterLook::Stop(StopReason::Success);
const FUTILITY: AfterLook = AfterLook::Stop(StopReason::Futility);
const DECIDED: AfterLook = AfterLook::Stop(StopReason::Decided);
const THRESHOLD: &str = "sequential: { looks: 3 }\ngate: { exact: '>= 0.8' }";

#[test]
fn looks_come_at_equal_distances_and_not_too_early() {
    let at = |sections: &str, cases| next_look(&policy(sections), cases);
    assert_eq!(at(THRESHOLD, 100), [34, 67, 100]);
    assert_eq!(at(THRESHOLD, 90), [30, 60, 90]);
    // A first look before 30 cases is none: fewer looks then.
    assert_eq!(at(THRESHOLD, 89), [45, 89]);
    assert_eq!(at(THRESHOLD, 50), [50]);
    assert_eq!(at("sequential: { looks: 5, min_cases: 10 }\ngate: {}", 50), [10, 20, 30, 40, 50]);
    assert_eq!(at("gate: { exact: '>= 0.8' }", 100), [100]);
    assert_eq!(at(THRESHOLD, 0), [0; 0]);
}

#[test]
fn cases_come_in_an_order_that_the_seed_gives() {
    let mut order = case_order(50, 7);
    assert_eq!(order, case_order(50, 7));
    assert_ne!(order, case_order(50, 8));
    assert_ne!(order, (0..50).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_decision_stops_and_thin_evidence_goes_on() {
    check(THRESHOLD, arm(0, 10, 24), None, [1, 3], DECIDED);
    check(THRESHOLD, arm(0, 30, 4), None, [1, 3], AfterLook::Continue);
    check(THRESHOLD, arm(0, 67, 0), None, [2, 3], SUCCESS);
    // What an ordinary look would call a pass is not yet one at the first of three.
    check(THRESHOLD, arm(0, 32, 2), None, [1, 3], AfterLook::Continue);
    assert_eq!(judged(THRESHOLD, &evidence(arm(0, 32, 2), None), [1, 1]).decision.verdict, Verdict::Pass);
}

#[test]
fn a_narrow_interval_alone_stops_nothing() {
    // 2,000 cases at the threshold: as precise as anybody could wish, and nothing is decided.
    check(THRESHOLD, arm(0, 1600, 400), None, [2, 3], AfterLook::Continue);
}

#[test]
fn what_will_hardly_succeed_is_given_up() {
    // 49 of 67 are 0.73: to meet 0.80 in the end, 31 of the last 33 would have to be right.
    check(THRESHOLD, arm(0, 49, 18), None, [2, 3], FUTILITY);
    check(THRESHOLD, arm(0, 51, 16), None, [2, 3], AfterLook::Continue);
    // Who demands that it is shown needs more than the point.
    let strict = "sequential: { looks: 3 }\ngate: { exact: '>= 0.8', strict: true }";
    check(strict, arm(0, 53, 14), None, [2, 3], FUTILITY);
    check(THRESHOLD, arm(0, 53, 14), None, [2, 3], AfterLook::Continue);
}

#[test]
fn a_comparison_that_shows_no_regression_goes_on() {
    let text = "sequential: { looks: 3 }\ngate: { no_regression: [exact] }";
    check(text, arm(0, 30, 4), Some(arm(0, 30, 4)), [1, 3], AfterLook::Continue);
    check(text, arm(0, 10, 24), Some(arm(0, 34, 0)), [1, 3], DECIDED);
    // 150 pairs and no difference: a drop of 0.05 is ruled out.
    check(text, arm(0, 150, 0), Some(arm(0, 150, 0)), [2, 3], SUCCESS);
}

#[test]
fn what_may_still_turn_stops_nothing() {
    // A budget that is exceeded so far may be met in the end, and a case that was not seen may fail.
    check("sequential: true\ngate: { cost_per_case: '<= 0.001' }", arm(0, 34, 0), None, [1, 3], AfterLook::Continue);
    check("sequential: true\ngate: { every_case: [exact] }", arm(0, 34, 0), None, [1, 3], AfterLook::Continue);
    check("sequential: true\ngate: { every_case: [exact] }", arm(0, 33, 1), None, [1, 3], DECIDED);
    // The last look is the last.
    check(THRESHOLD, arm(0, 10, 24), None, [3, 3], AfterLook::Continue);
}

#[test]
fn critical_cases_come_first_and_count_for_no_mean() {
    let text = "sequential: { looks: 3 }\ngate: { exact: '>= 0.8', critical: critical }";
    let mut before = arm(0, 40, 0);
    let mut now = arm(0, 34, 0);
    // Six critical cases beyond the first look; one of them breaks, five were always hard.
    now.cases.extend(arm(34, 0, 6).cases);
    now.scores.extend(arm(34, 0, 6).scores);
    before.scores.truncate(35);
    before.scores.extend(arm(35, 0, 5).scores);
    let critical: Vec<CaseKey> = (34..40).map(key).collect();
    let selections = [("critical".to_owned(), critical.clone())].into();
    let first: Vec<CaseKey> = first_cases(&policy(text), &selections).into_iter().cloned().collect();
    assert_eq!(first, critical);
    let evidence = Evidence { selections, ahead: first, ..evidence(now, Some(before)) };
    let receipt = judged(text, &evidence, [1, 3]);
    let [threshold, flips] = &receipt.decision.rules[..] else { panic!("two rules") };
    assert_eq!((threshold.n, threshold.estimate), (34, Some(1.0)));
    assert_eq!((flips.n, flips.estimate, flips.verdict), (6, Some(1.0), RuleVerdict::Fail));
    assert_eq!(after_look(&receipt, [1, 3]), DECIDED);
}

#[test]
fn rules_share_what_is_spent_over_all_looks() {
    let text =
        "sequential: { looks: 3 }\ngate: { no_regression: [exact], rules: [{ id: a, metric: exact, is: '>= 0.1' }] }";
    let evidence = evidence(arm(0, 20, 14), Some(arm(0, 34, 0)));
    let adjusted = |look| judged(text, &evidence, look).decision.rules[0].clone();
    let raw = adjusted([1, 3]).p_value.expect("a p value");
    let times = |look| adjusted(look).p_adjusted.expect("an adjusted one") / raw;
    // Half of alpha is far less than half of what the first look gets, and about half of what the last one does.
    assert!(times([1, 3]) > 3.0 && times([3, 3]) > 1.9 && times([3, 3]) < 2.1, "{} {}", times([1, 3]), times([3, 3]));
    assert_eq!(times([1, 1]), 2.0);
}
