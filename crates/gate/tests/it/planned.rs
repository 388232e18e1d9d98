//! What a number of cases can prove, told before they are paid for.

use sluicegate_gate::plan::{Basis, Can, Plan, PowerLine, Spread, before_spending, plan};
use sluicegate_gate::policy::{Known, Sections, read};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

fn planned(gate: &str, cases: u64, measured: &[RuleResult]) -> Plan {
    let metrics = [Metric::boolean("exact"), Metric::on_scale("quality", 1.0, 5.0)];
    let file = SourceFile::new("evaluation.yaml", format!("gate:\n{gate}"));
    let document = yaml::read(&file).expect("YAML");
    let known = Known { metrics: &metrics, ..Known::default() };
    let policy = read(&file, Sections::of(&document.root), known).expect("a policy").policy;
    let measured_cases = measured.first().map_or(0, |measured| measured.n);
    let basis = Basis { cases, repeats: 1, metrics: &metrics, measured, measured_cases };
    plan(&policy, &basis)
}

#[track_caller]
fn check(gate: &str, cases: u64, expected: &str) {
    assert_eq!(planned(gate, cases, &[]).rules[0].words, expected);
}

#[test]
fn yes_and_no_are_counted() {
    check(
        "  exact: '>= 0.85'\n",
        50,
        "47 of 50 and more pass, 37 and fewer fail; what lies between is inconclusive: it warns where the mean is >= 0.85, else it blocks",
    );
    check(
        "  exact: '>= 0.85'\n",
        16,
        "nothing but 16 of 16 passes, 10 and fewer fail; what lies between is inconclusive: it warns where the mean is >= 0.85, else it blocks",
    );
    check("  exact: '>= 0.85'\n", 15, "no score can pass with 15 cases: it takes 16, all of them perfect");
    check(
        "  exact: '<= 0.2'\n  strict: true\n",
        50,
        "5 of 50 and fewer pass, 16 and more fail; what lies between is inconclusive, and blocks",
    );
}

#[test]
fn what_is_told_is_what_the_rule_decides() {
    use sluicegate_gate::statistics::{Sides, binomial_cdf, wilson};
    for n in [16_u64, 40, 50, 211] {
        let rule = planned("  exact: '>= 0.85'\n", n, &[]).rules[0].clone();
        let bounds = |count: u64| wilson(count as usize, n as usize, 0.95, Sides::One).expect("bounds");
        let (passes, fails) = (rule.passes_with.expect("a count"), rule.fails_with.expect("a count"));
        assert!(bounds(passes).lower >= 0.85 && bounds(passes - 1).lower < 0.85);
        // Wilson's bound and the exact test both refute it; with one right answer more, one of them does not.
        let refuted = |count: u64| bounds(count).upper < 0.85 && binomial_cdf(count, n, 0.85) < 0.05;
        assert!(refuted(fails) && !refuted(fails + 1));
    }
}

#[test]
fn scores_rest_on_their_spread() {
    check(
        "  quality: '>= 4'\n",
        50,
        "a mean of 4.2371 and more passes, 3.7629 and less fails, assuming a standard deviation of 1, a quarter of the scale; \
         what lies between is inconclusive: it warns where the mean is >= 4, else it blocks",
    );
    let measured = RuleResult { id: "quality".into(), n: 50, standard_error: Some(0.1), ..RuleResult::default() };
    let plan = planned("  quality: '>= 4'\n", 200, &[measured]);
    assert_eq!((plan.rules[0].spread, plan.rules[0].cases), (Spread::Measured, 200));
    assert!(plan.rules[0].words.starts_with("a mean of 4.0826 and more passes, "), "{}", plan.rules[0].words);
}

#[test]
fn forty_cases_do_not_see_a_drop_of_five_points() {
    let plan = planned("  no_regression: [exact]\n", 40, &[]);
    let rule = &plan.rules[0];
    assert_eq!((rule.can, rule.margin), (Can::NotSee, Some(0.05)));
    assert!(rule.detectable.is_some_and(|drop| (0.13..0.2).contains(&drop)), "{rule:?}");
    assert!(rule.cases_needed.is_some_and(|cases| (220..290).contains(&cases)), "{rule:?}");
    assert!(rule.words.contains("from 59 cases on"), "{}", rule.words);
    assert_eq!(planned("  no_regression: [exact]\n", 300, &[]).rules[0].can, Can::Decide);
}

#[test]
fn what_needs_repeats_says_so() {
    let plan = planned("  flaky_cases: '<= 5%'\n  pass_hat_k: { k: 3, lower: '>= 0.75' }\n", 40, &[]);
    let needs: Vec<_> = plan.rules.iter().map(|rule| (rule.can, rule.repeats_needed)).collect();
    assert_eq!(needs, [(Can::NeedsRepeats, Some(2)), (Can::NeedsRepeats, Some(3))]);
}

#[test]
fn errors_are_allowed_by_whole_answers() {
    let allowed = |cases| planned("  every_case: exact\n", cases, &[]).errors_allowed;
    assert_eq!([0, 40, 50, 99, 100].map(allowed), [0, 0, 1, 1, 2]);
}

#[test]
fn rules_share_the_chance_of_a_false_alarm() {
    let plan = planned("  exact: '>= 0.8'\n  no_regression: true\n", 50, &[]);
    assert!((plan.shared_alpha - 0.05 / 3.0).abs() < 1e-12);
    assert!(plan.notes[0].starts_with("to block, 3 rules share"), "{:?}", plan.notes);
    assert!(plan.to_json().contains("\"can\": \"decide\""));
}

#[test]
fn no_case_proves_nothing() {
    let plan = planned("  exact: '>= 0.8'\n", 0, &[]);
    assert_eq!((plan.rules[0].can, plan.rules[0].words.as_str()), (Can::NotPass, "there are no cases"));
}

/// Evidence over yes and no: each case is a word for the candidate and one for its baseline, a letter for each answer.
fn evidence(cases: &[(&str, &str)]) -> Evidence {
    let arm = |which: fn(&(&'static str, &'static str)) -> &'static str, cases: &[(&'static str, &'static str)]| {
        let mut arm = Arm::default();
        for (at, case) in cases.iter().enumerate() {
            for (repeat, letter) in which(case).chars().enumerate() {
                let key = format!("case-{at:04}");
                let repeat = repeat as u32;
                arm.scores.push(Score {
                    case: key.as_str().into(),
                    line: None,
                    repeat,
                    judge_repeat: 0,
                    evaluator: "exact".to_owned(),
                    metric: "exact".into(),
                    value: ScoreValue::Bool(letter == '1'),
                    passed: None,
                    reason: String::new(),
                    cost_usd: None,
                    evaluator_hash: String::new(),
                });
                arm.cases.push(Case { repeat, ..Case::answered(key.as_str(), "") });
            }
        }
        arm
    };
    let owned: Vec<(&'static str, &'static str)> = cases.iter().map(|(now, was)| (word(now), word(was))).collect();
    let baseline = Some(arm(|case| case.1, &owned)).filter(|arm| !arm.cases.is_empty());
    Evidence {
        metrics: vec![Metric::boolean("exact")],
        candidate: arm(|case| case.0, &owned),
        baseline,
        ..Evidence::default()
    }
}

fn word(text: &str) -> &'static str {
    ["", "0", "1", "101", "111", "000"].into_iter().find(|word| *word == text).expect("a word that is known")
}

fn power_line(gate: &str, baseline: Option<&Evidence>, cases: u64, repeats: u32) -> PowerLine {
    let metrics = [Metric::boolean("exact")];
    let file = SourceFile::new("evaluation.yaml", gate);
    let document = yaml::read(&file).expect("YAML");
    let known = Known { metrics: &metrics, ..Known::default() };
    let policy = read(&file, Sections::of(&document.root), known).expect("a policy").policy;
    before_spending(&policy, baseline, cases, repeats).remove(0)
}

const FIVE_POINTS: &str = "gate: { no_regression: { metrics: exact } }";

#[test]
fn before_anything_is_spent_it_is_said_what_cannot_be_seen() {
    // One in ten of a hundred cases changed between the baseline and its own baseline.
    let mut cases = vec![("1", "1"); 90];
    cases.extend([("1", "0"); 5]);
    cases.extend([("0", "1"); 5]);
    let before = evidence(&cases);
    let line = power_line(FIVE_POINTS, Some(&before), 40, 1);
    assert!(!line.suffices() && !line.refuses() && line.spread == Spread::Measured);
    assert!(line.cases_needed.is_some_and(|cases| (230..300).contains(&cases)), "{line:?}");
    assert!(line.words.starts_with("this gate cannot see a 5-point drop with 40 cases; needs 2"), "{}", line.words);
    // As many as it said are enough, and one in ten fewer are not.
    let enough = line.cases_needed.unwrap_or_default();
    assert!(power_line(FIVE_POINTS, Some(&before), enough, 1).suffices());
    assert!(!power_line(FIVE_POINTS, Some(&before), enough - enough / 10, 1).suffices());
    let line = power_line(FIVE_POINTS, Some(&before), 400, 1);
    assert!(line.words.starts_with("this gate sees a 5-point drop with 400 cases (power 0.9"), "{}", line.words);
}

#[test]
fn what_a_rule_requires_is_refused_before_it_is_paid_for() {
    let required = "gate: { no_regression: { metrics: exact, require_power: 0.8 } }";
    let line = power_line(required, None, 40, 1);
    assert!(line.refuses() && line.spread == Spread::Assumed);
    assert!(line.words.contains("; the rule requires a power of 0.8, and it is 0."), "{}", line.words);
    assert!(!power_line(required, None, 400, 1).refuses());
    assert!(!power_line(FIVE_POINTS, None, 40, 1).refuses());
}

#[test]
fn repeats_help_where_luck_is_what_spreads() {
    // Answered three times each: a fifth of the cases is flaky, and that is all that changes.
    let cases: Vec<(&str, &str)> = (0..100).map(|at| (if at % 5 == 0 { "101" } else { "111" }, "")).collect();
    let before = evidence(&cases);
    let line = power_line("gate: { no_regression: { metrics: exact, margin: 0.1 } }", Some(&before), 80, 1);
    let repeats = line.repeats_needed.expect("repeats help");
    assert!(!line.suffices() && (2..=6).contains(&repeats), "{line:?}");
    assert!(line.words.contains(&format!(" cases or {repeats} repeats")), "{}", line.words);
    let line = power_line("gate: { no_regression: { metrics: exact, margin: 0.1 } }", Some(&before), 80, repeats);
    assert!(line.suffices(), "{line:?}");
}

#[test]
fn more_rules_and_more_looks_see_less() {
    let power = |text: &str| power_line(text, None, 250, 1).power;
    let alone = power(FIVE_POINTS);
    let looks = power(&format!("sequential: {{ looks: 3 }}\n{FIVE_POINTS}"));
    let shared = power("gate: { no_regression: { metrics: exact }, exact: '>= 0.5' }");
    assert!(alone > looks && looks > shared && shared > 0.5, "{alone} {looks} {shared}");
}
