//! What a number of cases can prove, told before they are paid for.

use sluicegate_gate::plan::{Basis, Can, Plan, Spread, plan};
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
        "47 of 50 and more pass, 38 and fewer fail; what lies between is inconclusive: it warns where the mean is >= 0.85, else it blocks",
    );
    check(
        "  exact: '>= 0.85'\n",
        16,
        "nothing but 16 of 16 passes, 11 and fewer fail; what lies between is inconclusive: it warns where the mean is >= 0.85, else it blocks",
    );
    check("  exact: '>= 0.85'\n", 15, "no score can pass with 15 cases: it takes 16, all of them perfect");
    check(
        "  exact: '<= 0.2'\n  strict: true\n",
        50,
        "5 of 50 and fewer pass, 15 and more fail; what lies between is inconclusive, and blocks",
    );
}

#[test]
fn what_is_told_is_what_the_rule_decides() {
    use sluicegate_gate::statistics::{Sides, wilson};
    for n in [16_u64, 40, 50, 211] {
        let rule = planned("  exact: '>= 0.85'\n", n, &[]).rules[0].clone();
        let bounds = |count: u64| wilson(count as usize, n as usize, 0.95, Sides::One).expect("bounds");
        let (passes, fails) = (rule.passes_with.expect("a count"), rule.fails_with.expect("a count"));
        assert!(bounds(passes).lower >= 0.85 && bounds(passes - 1).lower < 0.85);
        assert!(bounds(fails).upper < 0.85 && bounds(fails + 1).upper >= 0.85);
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
