//! A receipt as it could have been.

use std::collections::BTreeMap;

use sluicegate_gate::*;

pub(crate) fn place(file: &str, line: u64) -> Option<Place> {
    Some(Place { file: file.into(), line })
}

/// Three rules, one of which fails, with a case that got worse, one that fails and one that is flaky.
pub(crate) fn receipt() -> Receipt {
    let decision = Decision {
        verdict: Verdict::Fail,
        unchanged: false,
        look: None,
        blocks: true,
        exit_code: 10,
        headline: "no_regression.exact_match: the candidate is worse".to_owned(),
        flow: "entity_extraction".to_owned(),
        environment: Some("pr".to_owned()),
        hashes: Hashes {
            data: Some("d1".into()),
            plan: Some("p2".into()),
            policy: Some("g1".into()),
            ..Hashes::default()
        },
        baseline: BaselineInfo {
            kind: BaselineKind::MergeBaseReceipt,
            commit: Some("0123abcd".to_owned()),
            changed: vec!["prompts".to_owned()],
            common_cases: 50,
            ..BaselineInfo::default()
        },
        integrity: Integrity {
            cases: 50,
            scored: 49,
            missing: 1,
            errors: 1,
            error_share: Some(0.02),
            error_limit: "<= 2%".to_owned(),
            metrics: vec![MetricIntegrity {
                metric: "exact_match".into(),
                n: 49,
                missing: 1,
                mean: Some(0.7755),
                worst_case: Some(0.76),
            }],
            ..Integrity::default()
        },
        policy: serde_json::json!({ "gate": { "alpha": 0.05 } }),
        rules: rules(),
        regressions: vec![worse(), broken()],
        regressions_total: 8,
        warnings: vec!["the baseline's receipt is 6 days old".to_owned()],
    };
    let about = About {
        run: Some("01890000-0000-7000-8000-000000000001".to_owned()),
        at: Some("2026-01-02T03:04:05Z".to_owned()),
        engine: Some("0.1.0".to_owned()),
        data_file: Some("data/entity_extraction_eval.jsonl".to_owned()),
        evaluation_file: Some("flows/entity_extraction/evaluation.yaml".to_owned()),
        report_url: Some("https://example.test/runs/1".to_owned()),
        costs: Costs {
            target_usd: Some(0.31),
            judge_usd: Some(0.12),
            list_usd: Some(0.52),
            cached: 12,
            ..Costs::default()
        },
        latencies: Latencies { p50_ms: Some(840.0), p95_ms: Some(2310.0) },
        traces: BTreeMap::from([("case-7".into(), "4bf92f3577b34da6a3ce929d0e0e4736".to_owned())]),
        ..About::default()
    };
    Receipt::new(decision, about, Some(evidence()))
}

fn rules() -> Vec<RuleResult> {
    let threshold = RuleResult {
        id: "exact_match".to_owned(),
        kind: "threshold".to_owned(),
        metric: Some("exact_match".into()),
        verdict: RuleVerdict::Inconclusive,
        blocks: false,
        estimate: Some(0.8163),
        n: 49,
        lower: Some(0.7089),
        upper: Some(0.8901),
        confidence: Some(0.95),
        method: "wilson".to_owned(),
        threshold: ">= 0.8".to_owned(),
        limit: Some(0.8),
        scale: Some([0.0, 1.0]),
        p_value: Some(0.61),
        p_adjusted: Some(0.61),
        needed: Some(Needed { more_cases: Some(31), repeats: Some(2), usd: Some(0.4) }),
        words: "0.82 is above 0.8, but 49 cases do not show it: 31 more cases, or 2 repeats, about $0.40".to_owned(),
        place: place("flows/entity_extraction/evaluation.yaml", 6),
        ..RuleResult::default()
    };
    let relative = RuleResult {
        id: "no_regression.exact_match".to_owned(),
        kind: "no_regression".to_owned(),
        metric: Some("exact_match".into()),
        verdict: RuleVerdict::Fail,
        blocks: true,
        estimate: Some(-0.14),
        baseline_estimate: Some(0.92),
        candidate_estimate: Some(0.78),
        n: 50,
        standard_error: Some(0.05),
        lower: Some(-0.23),
        upper: Some(-0.06),
        confidence: Some(0.95),
        method: "tango".to_owned(),
        margin: Some(0.05),
        scale: Some([0.0, 1.0]),
        p_value: Some(0.0078),
        p_adjusted: Some(0.0156),
        detectable: Some(0.12),
        words: "8 cases got worse and 1 better; luck alone does that in 1 of 51 comparisons".to_owned(),
        differences: vec![-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        place: place("flows/entity_extraction/evaluation.yaml", 7),
        ..RuleResult::default()
    };
    let latency = RuleResult {
        id: "p95".to_owned(),
        kind: "latency".to_owned(),
        verdict: RuleVerdict::Pass,
        unit: Unit::Milliseconds,
        estimate: Some(2310.0),
        n: 38,
        method: "quantile".to_owned(),
        threshold: "<= 2500ms".to_owned(),
        limit: Some(2500.0),
        words: "2310ms".to_owned(),
        place: place("flows/entity_extraction/evaluation.yaml", 8),
        ..RuleResult::default()
    };
    vec![threshold, relative, latency]
}

fn worse() -> CaseRegression {
    CaseRegression {
        key: "case-7".into(),
        line: Some(7),
        input: "Ada met Grace in Paris".to_owned(),
        baseline_output: Some("names:\n  Ada\n  Grace".to_owned()),
        candidate_output: Some("names:\n  Ada\n  Paris".to_owned()),
        outcome: Outcome::Answered,
        scores: vec![ScorePair {
            metric: "exact_match".into(),
            baseline: Some(1.0),
            candidate: Some(0.0),
            reason: "`Paris` is no person".to_owned(),
        }],
        rules: vec!["no_regression.exact_match".to_owned()],
        passed_of: None,
        reruns: 0,
    }
}

fn broken() -> CaseRegression {
    CaseRegression {
        key: "case-9".into(),
        line: Some(9),
        input: String::new(),
        baseline_output: Some("names: Alan".to_owned()),
        candidate_output: None,
        outcome: Outcome::Error("the endpoint gave up (503)".to_owned()),
        scores: vec![ScorePair {
            metric: "exact_match".into(),
            baseline: Some(1.0),
            candidate: None,
            reason: String::new(),
        }],
        rules: Vec::new(),
        passed_of: None,
        reruns: 0,
    }
}

fn evidence() -> Evidence {
    let case = |key: &str, line: u64, repeat: u32, outcome: Outcome, output: &str| Case {
        line: Some(line),
        repeat,
        outcome,
        latency_ms: Some(800.0),
        cost_usd: Some(0.006),
        ..Case::answered(key, output)
    };
    let score = |key: &str, repeat: u32, yes: bool| Score {
        case: key.into(),
        line: None,
        repeat,
        judge_repeat: 0,
        evaluator: "exact_match".to_owned(),
        metric: "exact_match".into(),
        value: ScoreValue::Bool(yes),
        passed: None,
        reason: if yes { String::new() } else { "differs".to_owned() },
        cost_usd: None,
        evaluator_hash: String::new(),
    };
    let candidate = Arm {
        cases: vec![
            case("case-1", 1, 0, Outcome::Answered, "names: Ada"),
            case("case-7", 7, 0, Outcome::Answered, "names:\n  Ada\n  Paris"),
            case("case-8", 8, 0, Outcome::Answered, "names: Edsger"),
            case("case-8", 8, 1, Outcome::Answered, "names: Edsgar"),
            case("case-8", 8, 2, Outcome::Answered, "names: Edsger"),
            case("case-9", 9, 0, Outcome::Error("the endpoint gave up (503)".to_owned()), ""),
            case("case-10", 10, 0, Outcome::FilteredInput, ""),
        ],
        scores: vec![
            score("case-1", 0, true),
            score("case-7", 0, false),
            score("case-8", 0, true),
            score("case-8", 1, false),
            score("case-8", 2, true),
        ],
    };
    Evidence { metrics: vec![Metric::boolean("exact_match")], candidate, ..Evidence::default() }
}
