//! What evidence comes to under a policy.

use sluicegate_gate::judge::{Facts, judge, to_confirm, unchanged};
use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

fn metrics() -> Vec<Metric> {
    vec![Metric::boolean("exact"), Metric::on_scale("quality", 1.0, 5.0)]
}

fn policy(text: &str) -> Policy {
    let file = SourceFile::new("evaluation.yaml", text);
    let document = yaml::read(&file).expect("YAML");
    let metrics = metrics();
    let known = Known { metrics: &metrics, ..Known::default() };
    policy::read(&file, Sections::of(&document.root), known).expect("a policy").policy
}

/// One case for each letter: `1` right, `0` wrong, `E` an error, `F` filtered, `U` a judge that said nothing.
fn exact(letters: &str) -> Arm {
    let mut arm = Arm::default();
    for (at, letter) in letters.chars().enumerate() {
        add(&mut arm, at, 0, letter);
    }
    arm
}

/// As [`exact`], with several answers for each case, in words: `111 101 000`.
fn repeated(words: &str) -> Arm {
    let mut arm = Arm::default();
    for (at, word) in words.split_whitespace().enumerate() {
        word.chars().enumerate().for_each(|(repeat, letter)| add(&mut arm, at, repeat as u32, letter));
    }
    arm
}

fn add(arm: &mut Arm, at: usize, repeat: u32, letter: char) {
    let outcome = match letter {
        'E' => Outcome::Error("503".to_owned()),
        'F' => Outcome::FilteredOutput,
        _ => Outcome::Answered,
    };
    let value = match letter {
        '1' => ScoreValue::Bool(true),
        '0' => ScoreValue::Bool(false),
        'E' => ScoreValue::missing(Missing::TargetFailed),
        'F' => ScoreValue::missing(Missing::Filtered),
        _ => ScoreValue::missing(Missing::Unscored),
    };
    let case = Case {
        line: Some(at as u64 + 1),
        repeat,
        outcome,
        cost_usd: Some(0.01),
        latency_ms: Some(100.0 + at as f64),
        ..Case::answered(format!("case-{at:03}"), format!("answer {letter}"))
    };
    arm.scores.push(score(&case, "exact", value));
    arm.cases.push(case);
}

fn score(case: &Case, metric: &str, value: ScoreValue) -> Score {
    Score {
        case: case.key.clone(),
        line: case.line,
        repeat: case.repeat,
        judge_repeat: 0,
        evaluator: metric.to_owned(),
        metric: metric.into(),
        value,
        passed: None,
        reason: String::new(),
        cost_usd: None,
        evaluator_hash: String::new(),
    }
}

fn quality(values: &[f64]) -> Arm {
    let mut arm = Arm::default();
    for (at, value) in values.iter().enumerate() {
        let case = Case { line: Some(at as u64 + 1), ..Case::answered(format!("case-{at:03}"), value.to_string()) };
        arm.scores.push(score(&case, "quality", ScoreValue::Number(*value)));
        arm.cases.push(case);
    }
    arm
}

fn evidence(candidate: Arm, baseline: Option<Arm>) -> Evidence {
    let all = metrics();
    let used = all.into_iter().filter(|metric| candidate.scores.iter().any(|score| score.metric == metric.name));
    Evidence { metrics: used.collect(), candidate, baseline, ..Evidence::default() }
}

fn facts() -> Facts {
    Facts { flow: "demo".to_owned(), resamples: Some(2_000), seed: 7, ..Facts::default() }
}

fn judged(text: &str, candidate: Arm, baseline: Option<Arm>) -> Receipt {
    judge(&policy(text), &evidence(candidate, baseline), &facts())
}

/// Verdict, exit code and the rules' verdicts (`!` where one blocks).
fn told(receipt: &Receipt) -> String {
    let decision = &receipt.decision;
    let rules: Vec<String> = decision
        .rules
        .iter()
        .map(|rule| format!("{} {}{}", rule.id, rule.verdict, if rule.blocks { "!" } else { "" }))
        .collect();
    format!("{} {} | {}", decision.verdict, decision.exit_code, rules.join(", "))
}

#[track_caller]
fn check(text: &str, candidate: Arm, baseline: Option<Arm>, expected: &str) {
    let receipt = judged(text, candidate, baseline);
    assert_eq!(told(&receipt), expected, "{:#?}", receipt.decision.rules);
    let again = Receipt::from_json(&receipt.to_json()).expect("a receipt");
    assert_eq!(again, receipt);
    assert_eq!(again.computed_hash(), receipt.decision_hash);
}

const THRESHOLD: &str = "gate: { exact: '>= 0.8' }";

fn mixed(right: usize, wrong: usize) -> Arm {
    exact(&("1".repeat(right) + &"0".repeat(wrong)))
}

#[test]
fn a_threshold_has_three_answers() {
    check(THRESHOLD, mixed(50, 0), None, "pass 0 | exact pass");
    check(THRESHOLD, mixed(20, 30), None, "fail 10 | exact fail!");
    // The point estimate decides whether thin evidence blocks: 41 of 50 meets the threshold, 39 of 50 does not.
    check(THRESHOLD, mixed(41, 9), None, "inconclusive 0 | exact inconclusive");
    check(THRESHOLD, mixed(39, 11), None, "inconclusive 11 | exact inconclusive!");
}

#[test]
fn the_limit_of_wilson_is_where_the_spec_says() {
    let at_85 = "gate: { exact: '>= 0.85', strict: true }";
    check(at_85, mixed(15, 0), None, "inconclusive 11 | exact inconclusive!");
    check(at_85, mixed(46, 4), None, "inconclusive 11 | exact inconclusive!");
    check(at_85, mixed(47, 3), None, "pass 0 | exact pass");
}

#[test]
fn strict_blocks_what_is_thin() {
    check("gate: { exact: '>= 0.8', strict: true }", mixed(5, 0), None, "inconclusive 11 | exact inconclusive!");
    check("gate: { exact: '>= 0.8', inconclusive: warn }", mixed(3, 2), None, "inconclusive 0 | exact inconclusive");
}

#[test]
fn thin_evidence_says_what_would_settle_it() {
    let receipt = judged(THRESHOLD, mixed(43, 7), None);
    let rule = &receipt.decision.rules[0];
    let needed = rule.needed.as_ref().expect("what it takes");
    let (more, usd) = (needed.more_cases.expect("cases"), needed.usd.expect("dollars"));
    assert!((1..400).contains(&more) && (usd - more as f64 * 0.01).abs() < 1e-9);
    assert_eq!(rule.words, format!("0.86 is >= 0.8, but 50 cases do not show it: {needed}"));
}

#[test]
fn a_metric_of_which_less_is_better() {
    let text = "gate: { exact: '<= 0.2' }";
    check(text, mixed(0, 50), None, "pass 0 | exact pass");
    check(text, mixed(30, 20), None, "fail 10 | exact fail!");
}

#[test]
fn equal_scores_are_not_believed_without_end() {
    check(
        "gate: { quality: '>= 4', strict: true }",
        quality(&[5.0; 5]),
        None,
        "inconclusive 11 | quality inconclusive!",
    );
    check("gate: { quality: '>= 4', strict: true }", quality(&[5.0; 20]), None, "pass 0 | quality pass");
}

#[test]
fn the_point_alone_for_those_who_ask_for_it() {
    let text = "gate: { exact: { is: '>= 0.8', bound: point } }";
    check(text, mixed(4, 1), None, "pass 0 | exact pass");
    check(text, mixed(3, 2), None, "fail 10 | exact fail!");
}

#[test]
fn nothing_empty_or_unmeasured_passes() {
    check(THRESHOLD, exact(""), None, "invalid 12 | exact inconclusive!");
    check(THRESHOLD, exact("EEEEEEEEEE"), None, "invalid 12 | exact inconclusive!");
    check(THRESHOLD, exact("UUUUUUUUUU"), None, "invalid 12 | exact inconclusive!");
    check(THRESHOLD, exact("FFFFFFFFFF"), None, "invalid 12 | exact inconclusive!");
    check(THRESHOLD, quality(&[5.0; 20]), None, "invalid 12 | exact inconclusive!");
}

#[test]
fn too_many_errors_make_it_invalid_and_few_are_told_both_ways() {
    let ones = "1".repeat(98);
    check(THRESHOLD, exact(&format!("{ones}EEE")), None, "invalid 12 | exact pass");
    check(THRESHOLD, exact(&format!("{ones}UUU")), None, "invalid 12 | exact pass");
    let receipt = judged(THRESHOLD, exact(&format!("{ones}EE")), None);
    assert_eq!(told(&receipt), "pass 0 | exact pass");
    let integrity = &receipt.decision.integrity;
    assert_eq!((integrity.scored, integrity.missing, integrity.errors), (98, 2, 2));
    assert_eq!((integrity.metrics[0].mean, integrity.metrics[0].worst_case), (Some(1.0), Some(0.98)));
}

#[test]
fn a_failure_that_is_shown_is_not_hidden_by_a_spent_budget() {
    let stopped = |arm, why| {
        let evidence = Evidence { stopped: Some(why), ..evidence(arm, None) };
        told(&judge(&policy(THRESHOLD), &evidence, &facts()))
    };
    assert_eq!(stopped(mixed(50, 0), Stopped::Budget), "aborted 13 | exact pass");
    assert_eq!(stopped(mixed(0, 50), Stopped::Budget), "fail 10 | exact fail!");
    assert_eq!(stopped(mixed(0, 50), Stopped::Interrupted), "aborted 130 | exact fail!");
    assert_eq!(stopped(mixed(50, 0), Stopped::Decided), "pass 0 | exact pass");
}

const RELATIVE: &str = "gate: { no_regression: [exact] }";

#[test]
fn only_a_shown_regression_blocks() {
    let base = || Some(mixed(45, 5));
    check(RELATIVE, mixed(45, 5), base(), "pass 0 | no_regression.exact inconclusive");
    check(RELATIVE, mixed(43, 7), base(), "pass 0 | no_regression.exact inconclusive");
    check(RELATIVE, mixed(30, 20), base(), "fail 10 | no_regression.exact fail!");
    check(RELATIVE, mixed(50, 0), base(), "pass 0 | no_regression.exact pass");
    // Enough equal cases rule a drop of 0.05 out: at most about 3 in n can differ.
    check(RELATIVE, mixed(100, 0), Some(mixed(100, 0)), "pass 0 | no_regression.exact pass");
    let strict = "gate: { no_regression: [exact], strict: true }";
    check(strict, mixed(45, 5), base(), "inconclusive 11 | no_regression.exact inconclusive!");
}

#[test]
fn a_comparison_without_a_baseline_is_skipped_or_invalid() {
    // Of nothing but skipped rules nothing is shown.
    check(RELATIVE, mixed(50, 0), None, "inconclusive 0 | no_regression.exact skipped");
    let text = "baseline: { otherwise: invalid }\ngate: { no_regression: [exact] }";
    check(text, mixed(50, 0), None, "invalid 12 | no_regression.exact skipped");
    let other =
        Facts { baseline: BaselineInfo { changed: vec!["judge".to_owned()], ..BaselineInfo::default() }, ..facts() };
    let receipt = judge(&policy(RELATIVE), &evidence(mixed(30, 20), Some(mixed(45, 5))), &other);
    assert_eq!(told(&receipt), "inconclusive 0 | no_regression.exact skipped");
    assert_eq!(
        receipt.decision.headline,
        "no rule could be applied: no_regression.exact: skipped: the baseline was measured with another judge"
    );
    assert_eq!(receipt.decision.rules[0].words, "skipped: the baseline was measured with another judge");
}

#[test]
fn scores_are_compared_in_pairs() {
    let text = "gate: { no_regression: [quality] }";
    let spread = |shift: f64, n: usize| {
        quality(&(0..n).map(|at| 3.0 + (at % 5) as f64 * 0.2 - shift * (at % 3) as f64).collect::<Vec<_>>())
    };
    check(text, spread(0.4, 60), Some(spread(0.0, 60)), "fail 10 | no_regression.quality fail!");
    check(text, spread(-0.01, 60), Some(spread(0.0, 60)), "pass 0 | no_regression.quality pass");
    // Sixteen pairs or fewer: by all combinations of signs.
    let receipt = judged(text, spread(0.4, 12), Some(spread(0.0, 12)));
    assert_eq!(told(&receipt), "fail 10 | no_regression.quality fail!");
    assert_eq!(receipt.decision.rules[0].method, "exact-sign-flip");
    // Every case a little worse, by as much as nobody would notice.
    check(text, quality(&[4.0; 30]), Some(quality(&[4.02; 30])), "pass 0 | no_regression.quality inconclusive");
}

#[test]
fn what_was_answered_and_is_filtered_now_is_a_regression() {
    let receipt = judged(RELATIVE, exact(&("1".repeat(40) + &"F".repeat(10))), Some(mixed(50, 0)));
    assert_eq!(told(&receipt), "fail 10 | no_regression.exact fail!");
    assert_eq!(receipt.decision.regressions.len(), 10);
    assert_eq!(receipt.decision.regressions[0].outcome, Outcome::FilteredOutput);
}

#[test]
fn alpha_is_shared_among_rules_that_block() {
    // Six of fifty got worse and none better: p is 1/64 alone, and too much among four.
    let (before, after) = (|| mixed(50, 0), || mixed(44, 6));
    check(RELATIVE, after(), Some(before()), "fail 10 | no_regression.exact fail!");
    let many = "gate:\n  no_regression: [exact]\n  rules:\n    - { id: a, metric: exact, is: '>= 0.5' }\n    - { id: b, metric: exact, is: '>= 0.51' }\n    - { id: c, metric: exact, is: '>= 0.52' }\n";
    let receipt = judged(many, after(), Some(before()));
    assert_eq!(told(&receipt), "pass 0 | no_regression.exact inconclusive, a pass, b pass, c pass");
    let rule = &receipt.decision.rules[0];
    let (raw, adjusted) = rule.p_value.zip(rule.p_adjusted).expect("p values");
    assert!((raw - 1.0 / 64.0).abs() < 1e-12 && (adjusted - 4.0 / 64.0).abs() < 1e-12);
    check(
        &many.replace("gate:", "gate:\n  adjust: none"),
        after(),
        Some(before()),
        "fail 10 | no_regression.exact fail!, a pass, b pass, c pass",
    );
}

#[test]
fn cases_of_one_article_are_not_many_articles() {
    let clustered = |arm: Arm| {
        let mut arm = arm;
        arm.cases.iter_mut().enumerate().for_each(|(at, case)| case.cluster = Some(format!("article {}", at / 10)));
        arm
    };
    // Ten of fifty cases got worse, all from one article.
    check(RELATIVE, mixed(40, 10), Some(mixed(50, 0)), "fail 10 | no_regression.exact fail!");
    let (before, after) = (clustered(mixed(50, 0)), clustered(mixed(40, 10)));
    check(RELATIVE, after, Some(before), "pass 0 | no_regression.exact inconclusive");
    // And of a mean: 41 of 50 with the nine wrong ones in one article.
    let receipt = judged(THRESHOLD, clustered(mixed(41, 9)), None);
    assert_eq!(receipt.decision.rules[0].method, "cluster-robust-t");
}

#[test]
fn critical_cases_must_not_flip() {
    let text = "gate: { critical: \"'critical' in tags\" }";
    let with = |candidate: Arm, selected: &[&str]| {
        let selections = [("'critical' in tags".to_owned(), selected.iter().map(|key| (*key).into()).collect())];
        let evidence = Evidence { selections: selections.into(), ..evidence(candidate, Some(exact("1110"))) };
        told(&judge(&policy(text), &evidence, &facts()))
    };
    assert_eq!(with(exact("1111"), &["case-000"]), "pass 0 | critical pass");
    assert_eq!(with(exact("0111"), &["case-000"]), "fail 10 | critical fail!");
    assert_eq!(with(exact("0111"), &["case-001"]), "pass 0 | critical pass");
    assert_eq!(with(exact("F111"), &["case-000"]), "fail 10 | critical fail!");
    // Nobody said which cases are critical: that is no pass.
    assert_eq!(told(&judged(text, exact("1111"), Some(exact("1110")))), "inconclusive 11 | critical inconclusive!");
}

#[test]
fn a_fall_counts_when_it_repeats() {
    let text = "gate:\n  rules: [{ id: drop, metric: exact, max_case_drop: 0.5, confirm_reruns: 2 }]\n";
    let base = || Some(exact("111"));
    check(text, exact("011"), base(), "inconclusive 11 | drop inconclusive!");
    assert_eq!(to_confirm(&policy(text), &evidence(exact("011"), base())), [("case-000".into(), 3)]);
    check(text, repeated("011 1 1"), base(), "pass 0 | drop pass");
    check(text, repeated("000 1 1"), base(), "fail 10 | drop fail!");
}

#[test]
fn every_case_means_every_case() {
    let text = "gate: { every_case: [exact] }";
    check(text, exact("1111"), None, "pass 0 | every_case.exact pass");
    check(text, exact("1101"), None, "fail 10 | every_case.exact fail!");
    let receipt = judged(text, exact("1101"), None);
    assert_eq!(receipt.decision.regressions[0].line, Some(3));
    assert_eq!(receipt.decision.regressions[0].rules, ["every_case.exact"]);
}

#[test]
fn repeats_tell_flaky_cases() {
    let text = "gate: { flaky_cases: '<= 20%', pass_hat_k: { k: 3, lower: '>= 0.75' } }";
    let arm = |stable: usize, flaky: usize| repeated(&("111 ".repeat(stable) + &"101 ".repeat(flaky)));
    check(text, arm(40, 0), None, "pass 0 | flaky_cases pass, pass_hat_k pass");
    check(text, arm(5, 5), None, "fail 10 | flaky_cases fail!, pass_hat_k inconclusive!");
    check(text, exact("1111"), None, "inconclusive 11 | flaky_cases inconclusive!, pass_hat_k inconclusive!");
}

#[test]
fn cost_and_time_against_a_limit_and_against_the_baseline() {
    let text = "gate: { cost_per_case: '<= 0.02', p95: '<= 150ms' }";
    check(text, mixed(50, 0), None, "pass 0 | cost_per_case pass, p95 pass");
    check(
        &text.replace("0.02", "0.005").replace("150", "120"),
        mixed(50, 0),
        None,
        "fail 10 | cost_per_case fail!, p95 fail!",
    );
    let ratio = "gate: { cost_per_case: '<= 1.15x', p95: '<= 1.2x' }";
    let slower = |factor: f64| {
        let mut arm = mixed(50, 0);
        for case in &mut arm.cases {
            case.cost_usd = case.cost_usd.map(|cost| cost * factor);
            case.latency_ms = case.latency_ms.map(|time| time * factor);
        }
        arm
    };
    check(ratio, slower(1.0), Some(mixed(50, 0)), "pass 0 | cost_per_case pass, p95 pass");
    check(ratio, slower(2.0), Some(mixed(50, 0)), "fail 10 | cost_per_case fail!, p95 fail!");
    let mut unpriced = mixed(50, 0);
    unpriced.cases[3].cost_usd = None;
    check(text, unpriced, None, "invalid 12 | cost_per_case inconclusive!, p95 pass");
}

#[test]
fn a_judge_without_a_record_gives_advice() {
    let text = "gate: { quality: '>= 4' }";
    let with = |text: &str, calibration: Option<Calibration>| {
        let mut evidence = evidence(quality(&[1.0, 2.0, 1.5, 1.0, 2.0]), None);
        evidence.metrics[0].judge_hash = Some("j1".to_owned());
        evidence.calibrations.extend(calibration.map(|record| ("quality".into(), record)));
        judge(&policy(text), &evidence, &facts())
    };
    let receipt = with(text, None);
    assert_eq!(told(&receipt), "pass 0 | quality advisory");
    assert_eq!(receipt.decision.rules[0].would_be, Some(RuleVerdict::Fail));
    assert!(
        receipt.decision.rules[0].words.ends_with("(advice only: its judge is not calibrated, no calibration record)")
    );
    let record = Calibration {
        judge_hash: "j1".to_owned(),
        n: 80,
        kappa_lower: Some(0.7),
        bias: Some(0.01),
        self_agreement: Some(0.95),
        age_days: Some(3.0),
        ..Calibration::default()
    };
    assert_eq!(told(&with(text, Some(record))), "fail 10 | quality fail!");
    let invalid = "calibration: { quality: { otherwise: invalid } }\ngate: { quality: '>= 4' }";
    assert_eq!(told(&with(invalid, None)), "invalid 12 | quality fail!");
}

#[test]
fn a_rule_about_all_scores_does_not_hear_a_judge_without_a_record() {
    let text = "gate: { critical: critical }";
    let with = |judges: &[&str], candidate: Arm| {
        let selections = [("critical".to_owned(), vec!["case-000".into()])].into();
        let mut baseline = exact("1");
        baseline.scores.push(score(&baseline.cases[0], "quality", ScoreValue::Bool(true)));
        let mut evidence = Evidence { selections, ..evidence(candidate, Some(baseline)) };
        for metric in &mut evidence.metrics {
            metric.judge_hash = judges.contains(&metric.name.as_str()).then(|| "j1".to_owned());
        }
        judge(&policy(text), &evidence, &facts())
    };
    let flipped = |what: &str| {
        let mut arm = exact(if what == "exact" { "0" } else { "1" });
        arm.scores.push(score(&arm.cases[0], "quality", ScoreValue::Bool(what != "quality")));
        arm
    };
    assert_eq!(told(&with(&[], flipped("quality"))), "fail 10 | critical fail!");
    let receipt = with(&["quality"], flipped("quality"));
    assert_eq!(told(&receipt), "pass 0 | critical pass");
    let warning = "rule `critical` leaves out `quality`: no calibrated judge gives that score";
    assert_eq!(receipt.decision.warnings, [warning]);
    assert_eq!(told(&with(&["quality"], flipped("exact"))), "fail 10 | critical fail!");
    // Where there are only such judges, the rule gives advice.
    let receipt = with(&["quality", "exact"], flipped("quality"));
    assert_eq!(told(&receipt), "pass 0 | critical advisory");
    assert_eq!(receipt.decision.rules[0].would_be, Some(RuleVerdict::Fail));
}

#[test]
fn an_exact_test_has_the_last_word_where_few_cases_fail_a_threshold() {
    // Five draws, two of them right: Wilson's bound lies below 0.8, and yet one in seventeen such sets looks so at 0.8.
    check(THRESHOLD, mixed(2, 3), None, "inconclusive 11 | exact inconclusive!");
    check(THRESHOLD, mixed(1, 4), None, "fail 10 | exact fail!");
    check("gate: { exact: '<= 0.2' }", mixed(3, 2), None, "inconclusive 11 | exact inconclusive!");
}

#[test]
fn comparisons_of_cost_and_of_quality_share_one_alpha() {
    // Six of fifty got worse: 1/64, times two because cost has a part of alpha, too.
    let text = "gate: { no_regression: [exact], cost_per_case: '<= 1.15x' }";
    let mut dearer = mixed(44, 6);
    dearer.cases.iter_mut().enumerate().for_each(|(at, case)| case.cost_usd = Some(0.009 + at as f64 * 4e-5));
    let receipt = judged(text, dearer, Some(mixed(50, 0)));
    let adjusted = receipt.decision.rules[0].p_adjusted.expect("adjusted");
    assert!((adjusted - 2.0 / 64.0).abs() < 1e-12, "{adjusted}");
}

#[test]
fn looks_are_paid_for() {
    let text = "sequential: { looks: 3 }\ngate: { exact: '>= 0.8' }";
    let at = |look| told(&judge(&policy(text), &evidence(mixed(20, 0), None), &Facts { look, ..facts() }));
    assert_eq!(at(None), "pass 0 | exact pass");
    assert_eq!(at(Some([1, 3])), "inconclusive 0 | exact inconclusive");
    assert_eq!(at(Some([3, 3])), "pass 0 | exact pass");
}

#[test]
fn the_order_in_which_answers_came_decides_nothing() {
    let text = "gate: { quality: '>= 3', no_regression: true }";
    let values: Vec<f64> = (0..40).map(|at| 1.0 + (at * 7 % 5) as f64).collect();
    let mut shuffled = evidence(quality(&values), Some(quality(&values)));
    let straight = shuffled.clone();
    shuffled.candidate.cases.reverse();
    shuffled.candidate.scores.reverse();
    let hash = |evidence: &Evidence| judge(&policy(text), evidence, &facts()).decision_hash;
    assert_eq!(hash(&straight), hash(&shuffled));
}

#[test]
fn the_long_form_in_a_receipt_judges_the_same_again() {
    let text = "gate: { exact: '>= 0.8', no_regression: true, every_case: [exact] }";
    let receipt = judged(text, mixed(44, 6), Some(mixed(50, 0)));
    let file = SourceFile::new("receipt", receipt.decision.policy.to_string());
    let document = yaml::read(&file).expect("JSON is YAML");
    let policy = policy::read(&file, Sections::of(&document.root), Known::default()).expect("a policy").policy;
    let again = judge(&policy, receipt.evidence.as_ref().expect("evidence"), &facts());
    assert_eq!(again.decision_hash, receipt.decision_hash);
}

#[test]
fn nothing_changed_is_told_as_such() {
    let hashes = Hashes { data: Some("d".to_owned()), plan: Some("p".to_owned()), ..Hashes::default() };
    let facts = Facts { hashes, ..facts() };
    let policy = policy(THRESHOLD);
    let before = judge(&policy, &evidence(mixed(50, 0), None), &facts);
    let receipt = unchanged(&policy, &before, &facts).expect("nothing changed");
    assert_eq!((told(&receipt), receipt.decision.unchanged), ("pass 0 | exact pass".to_owned(), true));
    let other = Facts { hashes: Hashes { data: Some("e".to_owned()), ..facts.hashes.clone() }, ..facts.clone() };
    assert!(unchanged(&policy, &before, &other).is_none());
    let invalid = judge(&policy, &evidence(exact(""), None), &facts);
    assert!(unchanged(&policy, &invalid, &facts).is_none());
}

/// To ask again what always answers the same is no evidence: the bounds are those of one answer each.
#[test]
fn repeats_that_always_answer_the_same_tell_nothing_more() {
    let text = "gate: { exact: '>= 0.8', strict: true }";
    let bounds = |arm: Arm| judge(&policy(text), &evidence(arm, None), &facts()).decision.rules[0].clone();
    let one = bounds(exact("11111111111110"));
    let three = bounds(repeated(&("111 ".repeat(13) + "000")));
    assert_eq!((one.lower, one.verdict, one.method), (three.lower, three.verdict, three.method));
    // One case that wavers, and they are shares.
    let wavers = bounds(repeated(&("111 ".repeat(13) + "010")));
    assert_ne!(wavers.lower, one.lower);
}
