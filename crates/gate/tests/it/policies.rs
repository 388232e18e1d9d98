//! The short form, the long form, and what is wrong with either.

use sluicegate_gate::policy::{self, Known, Sections};
use sluicegate_gate::*;
use sluicegate_source::{SourceFile, yaml};

fn metrics() -> Vec<Metric> {
    vec![
        Metric::boolean("exact_match"),
        Metric::on_scale("groundedness", 1.0, 5.0),
        Metric::boolean("valid"),
        Metric { scale: None, ..Metric::share("tokens") },
    ]
}

fn read(text: &str, cases: Option<u64>, environment: Option<&str>) -> Result<policy::Reading, String> {
    let file = SourceFile::new("evaluation.yaml", text);
    let document = yaml::read(&file).map_err(|problems| format!("{problems:?}"))?;
    let metrics = metrics();
    let environments = ["pr", "prod"].map(str::to_owned);
    let known = Known { metrics: &metrics, cases, environment, environments: &environments };
    policy::read(&file, Sections::of(&document.root), known).map_err(|problems| shown(&problems))
}

fn shown(problems: &[sluicegate_source::Problem]) -> String {
    let lines = problems.iter().map(|problem| match &problem.help {
        Some(help) => format!("{problem} ({help})"),
        None => problem.to_string(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_places(mut policy: Policy) -> Policy {
    policy.rules.iter_mut().for_each(|rule| rule.place = None);
    policy
}

/// The long form of a text, which must be read back as the same policy.
#[track_caller]
fn expanded(text: &str) -> String {
    let policy = read(text, None, None).expect("no problem").policy;
    let long = policy.expanded().to_json_pretty();
    let again = read(&long, None, None).expect("the long form has no problem").policy;
    assert_eq!(without_places(again), without_places(policy));
    long
}

fn rules(text: &str) -> Vec<String> {
    let policy = read(text, None, None).expect("no problem").policy;
    policy.rules.iter().map(|rule| rule.expanded().to_json()).collect()
}

#[test]
fn the_short_form_spelled_out() {
    let text = "gate:\n  exact_match: '>= 0.80'\n  groundedness: '>= 4'\n  no_regression: true\n";
    insta::assert_snapshot!(expanded(text), @r#"
    {
      "baseline": {
        "from": "merge-base",
        "otherwise": "warn",
        "max_age": "7d",
        "compatible_on": [
          "data",
          "evaluators",
          "judge"
        ]
      },
      "gate": {
        "alpha": 0.05,
        "adjust": "holm",
        "strict": false,
        "errors": "<= 2%",
        "rules": [
          {
            "id": "exact_match",
            "metric": "exact_match",
            "bound": "lower",
            "is": ">= 0.8"
          },
          {
            "id": "groundedness",
            "metric": "groundedness",
            "bound": "lower",
            "is": ">= 4"
          },
          {
            "id": "no_regression.exact_match",
            "metric": "exact_match",
            "against": "baseline",
            "margin": 0.05,
            "min_effect": 0.01
          },
          {
            "id": "no_regression.groundedness",
            "metric": "groundedness",
            "against": "baseline",
            "margin": 0.05,
            "min_effect": 0.01
          },
          {
            "id": "no_regression.valid",
            "metric": "valid",
            "against": "baseline",
            "margin": 0.05,
            "min_effect": 0.01
          }
        ]
      }
    }
    "#);
}

#[test]
fn the_long_form_keeps_what_it_says() {
    let text = r#"
calibration:
  groundedness: { labels: labels/g.jsonl, kappa: { weights: quadratic, lower: ">= 0.6" }, bias: "<= 0.05", age: "<= 90d", otherwise: advisory }
baseline: { from: merge-base, otherwise: warn, compatible_on: [data, evaluators, judge] }
sequential: { method: obrien-fleming, looks: 3, min_cases: 30 }
gate:
  alpha: 0.05
  adjust: holm
  strict: true
  errors: "<= 2%"
  rules:
    - { id: quality,    metric: groundedness, bound: lower, is: ">= 4.2" }
    - { id: no-regress, metric: groundedness, against: baseline, margin: 0.05, min_effect: 0.01, require_power: 0.8 }
    - { id: schema,     metric: valid, every_case: true }
    - { id: critical,   where: "'critical' in tags", metric: exact_match, flips: "<= 0", confirm_reruns: 2 }
    - { id: flaky,      flaky_cases: "<= 5%", pass_hat_k: { k: 3, lower: ">= 0.75" } }
    - { id: cost,       cost_per_case: "<= 0.004", against: { baseline: "<= 1.15x" } }
    - { id: latency,    p95: "<= 2500ms", against: { baseline: "<= 1.20x" } }
    - { id: drop,       metric: groundedness, max_case_drop: 0.5 }
    - { id: filtered,   filtered: "<= 1%" }
"#;
    insta::assert_snapshot!(expanded(text), @r#"
    {
      "baseline": {
        "from": "merge-base",
        "otherwise": "warn",
        "max_age": "7d",
        "compatible_on": [
          "data",
          "evaluators",
          "judge"
        ]
      },
      "calibration": {
        "groundedness": {
          "labels": "labels/g.jsonl",
          "min_labels": 50,
          "kappa": {
            "weights": "quadratic",
            "lower": ">= 0.6"
          },
          "bias": "<= 0.05",
          "self_agreement": ">= 0.9",
          "age": "<= 90d",
          "otherwise": "advisory"
        }
      },
      "sequential": {
        "method": "obrien-fleming",
        "looks": 3,
        "min_cases": 30
      },
      "gate": {
        "alpha": 0.05,
        "adjust": "holm",
        "strict": true,
        "errors": "<= 2%",
        "rules": [
          {
            "id": "quality",
            "metric": "groundedness",
            "bound": "lower",
            "is": ">= 4.2"
          },
          {
            "id": "no-regress",
            "metric": "groundedness",
            "against": "baseline",
            "margin": 0.05,
            "min_effect": 0.01,
            "require_power": 0.8
          },
          {
            "id": "schema",
            "metric": "valid",
            "every_case": true
          },
          {
            "id": "critical",
            "where": "'critical' in tags",
            "metric": "exact_match",
            "flips": "<= 0",
            "confirm_reruns": 2
          },
          {
            "id": "flaky",
            "flaky_cases": "<= 5%"
          },
          {
            "id": "flaky.pass_hat_k",
            "pass_hat_k": {
              "k": 3,
              "lower": ">= 0.75"
            }
          },
          {
            "id": "cost",
            "cost_per_case": "<= 0.004"
          },
          {
            "id": "cost.baseline",
            "cost_per_case": "<= 1.15x"
          },
          {
            "id": "latency",
            "p95": "<= 2500ms"
          },
          {
            "id": "latency.baseline",
            "p95": "<= 1.2x"
          },
          {
            "id": "drop",
            "metric": "groundedness",
            "max_case_drop": 0.5
          },
          {
            "id": "filtered",
            "filtered": "<= 1%"
          }
        ]
      }
    }
    "#);
}

#[test]
fn other_words_of_the_short_form() {
    let text = r#"
gate:
  every_case: [valid]
  critical: "'critical' in tags"
  max_case_drop: 0.5
  flaky_cases: "<= 5%"
  cost_per_case: "<= 1.15x"
  p95: "<= 2.5s"
  groundedness: { is: ">= 4", bound: point }
"#;
    insta::assert_snapshot!(rules(text).join("\n"), @r#"
    {"id":"every_case.valid","metric":"valid","every_case":true}
    {"id":"critical","where":"'critical' in tags","flips":"<= 0"}
    {"id":"max_case_drop.exact_match","metric":"exact_match","max_case_drop":0.5}
    {"id":"max_case_drop.groundedness","metric":"groundedness","max_case_drop":0.5}
    {"id":"max_case_drop.valid","metric":"valid","max_case_drop":0.5}
    {"id":"flaky_cases","flaky_cases":"<= 5%"}
    {"id":"cost_per_case","cost_per_case":"<= 1.15x"}
    {"id":"p95","p95":"<= 2500ms"}
    {"id":"groundedness","metric":"groundedness","bound":"point","is":">= 4"}
    "#);
}

#[test]
fn thresholds_by_config_environment() {
    let text = "gate:\n  exact_match: { default: '>= 0.7', prod: '>= 0.9' }\n";
    let threshold = |environment| {
        let policy = read(text, None, environment).expect("no problem").policy;
        policy.threshold(&"exact_match".into()).map(|is| is.to_string())
    };
    assert_eq!(threshold(Some("prod")).as_deref(), Some(">= 0.9"));
    assert_eq!(threshold(Some("pr")).as_deref(), Some(">= 0.7"));
    let text = "gate:\n  exact_match: { prod: '>= 0.9', prodd: '>= 1' }\n";
    insta::assert_snapshot!(read(text, None, Some("pr")).expect_err("problems"), @"
    evaluation.yaml:2:16: `exact_match` has no threshold for config environment `pr` (add one, or `default`)
    evaluation.yaml:2:34: `exact_match`, which names config environments, has no key `prodd` (did you mean `prod`?)
    ");
}

#[test]
fn every_problem_at_once_with_its_place() {
    let text = r#"
gate:
  exact_mach: ">= 0.8"
  groundedness: 4
  valid: "== 1"
  tokens: ">= 80%"
  alfa: 0.05
  errors: ">= 2%"
  adjust: bonferroni
  no_regression: { margin: 7, metrics: [tokens, nothing] }
  p95: "<= 0.5"
  rules:
    - { id: a, metric: valid, every_cas: true }
    - { id: b, is: ">= 1" }
    - { id: c, metric: valid, is: ">= 1" }
    - { id: c, metric: valid, is: ">= 2" }
    - { id: d, against: { baseline: "<= 1.1x" } }
baseline: { from: merge-base, otherwse: warn }
sequential: { method: guess, looks: 0 }
"#;
    insta::assert_snapshot!(read(text, None, None).expect_err("problems"), @r#"
    evaluation.yaml:3:3: `gate` knows no metric or key `exact_mach` (did you mean `exact_match`?)
    evaluation.yaml:4:17: `groundedness` must be a comparator, not a bare number (write `">= 4"` or `"<= 4"`)
    evaluation.yaml:5:10: the comparator of `valid` asks for equality, which a measurement cannot show; use `>=` or `<=` (as in `>= 0.8`, `<= 2%`, `<= 2500ms` or `<= 1.15x`)
    evaluation.yaml:6:1: `>= 80%` is a share, and `tokens` does not go from 0 to 1 (write the score itself, as in `>= 4`)
    evaluation.yaml:7:3: `gate` knows no metric or key `alfa` (the evaluators give `exact_match`, `groundedness`, `valid`, `tokens`)
    evaluation.yaml:8:11: `errors` takes an upper limit of a share (as in `<= 2%`)
    evaluation.yaml:9:11: `adjust` must be one of `holm`, `bh`, `benjamini-hochberg`, `none`
    evaluation.yaml:10:28: `margin` must be between 0 and 1
    evaluation.yaml:10:41: `tokens` has no scale, so that no margin fits it (leave it out, or give its evaluator a `scale`)
    evaluation.yaml:10:49: no evaluator gives a metric `nothing` (the evaluators give `exact_match`, `groundedness`, `valid`, `tokens`)
    evaluation.yaml:11:8: `p95` takes an upper limit of a time (as in `<= 2500ms` or `<= 1.2x`)
    evaluation.yaml:13:31: a rule has no key `every_cas` (did you mean `every_case`?)
    evaluation.yaml:14:16: `is` needs a metric (add `metric: NAME`)
    evaluation.yaml:16:1: two rules are called `c` (give one of them another `id`)
    evaluation.yaml:16:1: no score can be >= 2: `valid` goes from 0 to 1
    evaluation.yaml:17:16: a multiple of the baseline needs a cost or a time (add `cost_per_case` or `p95`; for a metric write `against: baseline` and a `margin`)
    evaluation.yaml:18:31: `baseline` has no key `otherwse` (did you mean `otherwise`?)
    evaluation.yaml:19:23: `method` must be one of `obrien-fleming`, `pocock`
    evaluation.yaml:19:37: `looks` must be a whole number between 1 and 20
    "#);
}

#[test]
fn a_rule_that_no_score_can_pass_with_so_few_cases_is_told() {
    let text = "gate:\n  exact_match: '>= 0.85'\n  groundedness: '>= 4'\n";
    let reading = read(text, Some(15), None).expect("warnings only");
    insta::assert_snapshot!(shown(&reading.warnings), @"evaluation.yaml:2:1: no score can show `exact_match >= 0.85` with 15 cases: it takes 16, all of them perfect (add 1 cases, lower the threshold, or set `bound: point`)");
    assert!(read(text, Some(16), None).expect("no problem").warnings.is_empty());
}

#[test]
fn rules_on_the_command_line() {
    let metrics = metrics();
    let known = Known { metrics: &metrics, ..Known::default() };
    let read = |flags: &[&str]| {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        policy::read_flags(&flags, known).map(|reading| reading.policy).map_err(|problems| shown(&problems))
    };
    let policy = read(&["exact_match >= 0.8", "p95<=2s", "no_regression", "strict"]).expect("no problem");
    let ids: Vec<&str> = policy.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(
        ids,
        ["exact_match", "p95", "no_regression.exact_match", "no_regression.groundedness", "no_regression.valid"]
    );
    assert_eq!(policy.inconclusive, Inconclusive::Block);
    insta::assert_snapshot!(read(&["exact_match", "f1 >= 0.8", "valid >= much"]).expect_err("problems"), @"
    --gate:1:1: `exact_match` is no rule (as in `f1 >= 0.8`, `p95 <= 2s` or `no_regression`)
    --gate:2:1: no evaluator gives a metric `f1` (the evaluators give `exact_match`, `groundedness`, `valid`, `tokens`)
    --gate:3:1: the comparator of `valid` `much` is no number such as `0.8`, `2%`, `2500ms`, `1.15x` or `$0.40` (as in `>= 0.8`, `<= 2%`, `<= 2500ms` or `<= 1.15x`)
    ");
}

#[test]
fn equal_policies_have_equal_hashes_however_they_are_written() {
    let hash = |text: &str| read(text, None, None).expect("no problem").policy.hash();
    let short = hash("gate: { exact_match: '>= 0.80' }");
    assert_eq!(short, hash("# a remark\ngate:\n  rules:\n    - { metric: exact_match, is: '>= 80e-2' }\n"));
    assert_ne!(short, hash("gate: { exact_match: '> 0.80' }"));
}

#[test]
fn a_judge_without_a_fitting_record_is_told_why() {
    let limits = policy::CalibrationLimits::default();
    let record = Calibration {
        judge_hash: "j1".to_owned(),
        n: 40,
        kappa: Some(0.7),
        kappa_lower: Some(0.41),
        bias: Some(-0.2),
        self_agreement: Some(0.95),
        age_days: Some(120.0),
        ..Calibration::default()
    };
    insta::assert_snapshot!(limits.shortcomings(Some(&record), "j2").join("\n"), @"
    the record is of another judge (its model or prompt has changed)
    it rests on 40 labels, and 50 are needed
    kappa's lower bound is 0.41, which is not >= 0.6
    the bias is 0.2, which is not <= 0.05
    it is 120 days old, which is not <= 90d
    ");
    let good = Calibration { n: 60, kappa_lower: Some(0.6), bias: Some(0.01), age_days: Some(3.0), ..record };
    assert!(limits.shortcomings(Some(&good), "j1").is_empty());
    assert_eq!(limits.shortcomings(None, "j1"), ["no calibration record"]);
}
