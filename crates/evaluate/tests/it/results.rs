//! Metrics, evidence and the results file.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate_evaluate::results::{ResultRow, case, evaluation_results, metrics_of, row, selections, summaries};
use sluicegate_evaluate::{CaseKeys, CaseScore, ResultKeys};
use sluicegate_gate::judge::{Facts, judge};
use sluicegate_gate::{Arm, CaseKey, Evidence, Outcome, Verdict};
use sluicegate_value::{Map, Value};

use crate::project::{Told, map, spec};

const ROWS: [(&str, &str); 4] = [
    (r#"{"question": "a?", "truth": "ada", "topic": "x"}"#, r#"{"answer": "ada"}"#),
    (r#"{"question": "b?", "truth": "b", "topic": "x"}"#, r#"{"answer": "c"}"#),
    (r#"{"question": "c?", "truth": null, "topic": "y"}"#, r#"{"answer": "c"}"#),
    (r#"{"question": "d?", "truth": "d d", "topic": null}"#, r#"{"answer": "d"}"#),
];

struct Scored {
    evaluation: sluicegate_evaluate::EvaluationSpec,
    bound: Vec<sluicegate_evaluate::BoundEvaluator>,
    rows: Vec<(Told, Vec<CaseScore>)>,
    arm: Arm,
}

/// Scores the rows; the second has failed if `with_error`.
fn scored(text: &str, with_error: bool) -> Scored {
    let evaluation = spec(text);
    let mut keys = CaseKeys::new(&evaluation.data.key);
    let mut rows = Vec::new();
    let mut arm = Arm::default();
    let available = Told::new(ROWS[0].0, ROWS[0].1).available();
    let bound = evaluation.bind(&available).expect("all inputs lead somewhere");
    for (at, (data, outputs)) in ROWS.iter().enumerate() {
        let mut told = Told::new(data, outputs);
        told.key = keys.next(&told.data);
        if with_error && at == 1 {
            told.outcome = Outcome::Error("no route".to_owned());
            told.outputs = Map::new();
        }
        let mut scores: Vec<CaseScore> = Vec::new();
        for evaluator in &bound {
            told.scores = scores.clone();
            scores.extend(evaluator.score(&told.facts()));
        }
        arm.cases.push(case(&told.facts(), evaluation.data.cluster.as_deref(), "trace"));
        arm.scores.extend(scores.iter().map(|scored| scored.score.clone()));
        rows.push((told, scores));
    }
    Scored { evaluation, bound, rows, arm }
}

const TEXT: &str = "evaluators: { exact_match: {}, f1: {} }\ngate: { exact_match: '>= 0.1' }";

fn lines(scored: &Scored) -> String {
    let metrics = scored.evaluation.metrics(&|_| None);
    let rounded = |number: Option<f64>| number.map_or("-".to_owned(), |number| format!("{number:.3}"));
    let line = |summary: &sluicegate_evaluate::MetricSummary| {
        let ends = summary
            .interval
            .as_ref()
            .map(|interval| format!("{:.3}..{:.3} by {}", interval.lower, interval.upper, interval.method));
        format!(
            "{}: n {}, missing {}, n/a {}, mean {}, error {}, {}, passed {:?}",
            summary.metric.name,
            summary.n,
            summary.missing,
            summary.not_applicable,
            rounded(summary.mean),
            rounded(summary.standard_error),
            ends.unwrap_or_default(),
            summary.passed
        )
    };
    summaries(&metrics, &scored.arm).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_metric_says_how_sure_it_is() {
    insta::assert_snapshot!(lines(&scored(TEXT, false)), @"
    exact_match: n 3, missing 0, n/a 1, mean 0.333, error 0.333, 0.061..0.792 by wilson, passed Some([1, 3])
    f1: n 3, missing 0, n/a 1, mean 0.556, error 0.294, 0.000..1.000 by student-t, passed None
    ");
}

#[test]
fn a_failed_case_is_missing_and_never_zero() {
    insta::assert_snapshot!(lines(&scored(TEXT, true)), @"
    exact_match: n 2, missing 1, n/a 1, mean 0.500, error 0.500, 0.095..0.905 by wilson, passed Some([1, 2])
    f1: n 2, missing 1, n/a 1, mean 0.833, error 0.167, 0.000..1.000 by student-t, passed None
    ");
}

#[test]
fn cases_of_one_cluster_are_counted_as_such() {
    let text = format!("data: {{ cluster: topic }}\n{TEXT}");
    insta::assert_snapshot!(lines(&scored(&text, false)), @"
    exact_match: n 3, missing 0, n/a 1, mean 0.333, error 0.222, 0.000..1.000 by cluster-robust-t, passed Some([1, 3])
    f1: n 3, missing 0, n/a 1, mean 0.556, error 0.074, 0.000..1.000 by cluster-robust-t, passed None
    ");
}

fn results(keys: ResultKeys, text: &str) -> String {
    let scored = scored(text, true);
    let rows = scored.rows.iter().map(|(told, scores)| {
        row(keys, &scored.bound, &ResultRow { data: &told.data, outputs: &told.outputs, scores })
    });
    let metrics = summaries(&scored.evaluation.metrics(&|_| None), &scored.arm);
    let logged = [(Arc::from("f1"), Arc::from("accuracy"), 0.5)];
    evaluation_results(rows.take(2).collect::<Vec<_>>(), metrics_of(keys, &scored.bound, &metrics, &logged))
        .to_json_pretty()
}

#[test]
fn results_have_azures_keys() {
    insta::assert_snapshot!(results(ResultKeys::Azure, TEXT));
}

#[test]
fn results_have_promptflows_keys() {
    insta::assert_snapshot!(results(ResultKeys::Promptflow, "evaluators: { f1: {}, rougeL: {} }"));
}

#[test]
fn evidence_is_judged() {
    let scored = scored(TEXT, false);
    let evidence =
        Evidence { metrics: scored.evaluation.metrics(&|_| None), candidate: scored.arm, ..Evidence::default() };
    let receipt = judge(&scored.evaluation.policy, &evidence, &Facts::default());
    assert_ne!(receipt.decision.verdict, Verdict::Aborted);
    assert_eq!(receipt.decision.rules[0].n, 3);
}

#[test]
fn expressions_select_cases() {
    let rows: Vec<(CaseKey, Map)> = [("1", r#"{"tags": ["critical"]}"#), ("2", r#"{"tags": []}"#), ("3", "{}")]
        .iter()
        .map(|(key, row)| (CaseKey::from(*key), map(row)))
        .collect();
    let selected = selections(&["'critical' in tags", "data.tags"], rows.iter().map(|(key, row)| (key, row))).unwrap();
    let expected = BTreeMap::from([
        ("'critical' in tags".to_owned(), vec![CaseKey::from("1")]),
        ("data.tags".to_owned(), vec![CaseKey::from("1")]),
    ]);
    assert_eq!(selected, expected);
    assert!(selections(&["'critical' in"], std::iter::empty()).is_err());
}

#[test]
fn a_judges_metric_carries_its_hash() {
    let spec = spec("evaluators: [fluency, f1]");
    let metrics = spec.metrics(&|evaluator| (evaluator.kind.name == "fluency").then(|| "gpt-4o".to_owned()));
    assert_eq!(metrics[0].judge_hash, Some(spec.evaluators[0].judge_hash(Some("gpt-4o"))));
    assert_eq!(metrics[1].judge_hash, None);
    assert_eq!(Value::from(metrics[0].scale.unwrap().map(Value::from).to_vec()).to_json(), "[1.0,5.0]");
}
