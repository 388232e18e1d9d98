//! Every evaluator that there is, once.

use std::collections::BTreeSet;

use sluicegate_evaluate::evaluator::registry::KINDS;
use sluicegate_evaluate::judge::{built_in, built_in_names};
use sluicegate_evaluate::{Reading, RunFacts, Work};
use sluicegate_flow::compile::{self, CompileOptions};

use crate::project::{Told, bound, line, map};

/// An evaluator, a case, and what it says: the answer's score, or that of a reply.
const EACH: &[(&str, &str, &str, &str)] = &[
    ("exact_match: { normalization: case }", r#"{"truth": "Paris"}"#, r#"{"answer": "PARIS"}"#, "true, passed"),
    ("partial_match:", r#"{"truth": "Paris"}"#, r#"{"answer": "In Paris."}"#, "true, passed"),
    ("list_match: { measure: f1 }", r#"{"truth": ["a", "b"]}"#, r#"{"answer": ["a"]}"#, "0.6667: missing `b`"),
    ("contains: { text: refund }", "{}", r#"{"answer": "No refunds."}"#, "true, passed"),
    ("contains_any: { texts: [a, b] }", "{}", r#"{"answer": "xyz"}"#, "false, failed: none of `a`, `b` is in `xyz`"),
    ("contains_all: { texts: [x, b] }", "{}", r#"{"answer": "xyz"}"#, "false, failed: `b` not in `xyz`"),
    (
        "contains_none: { texts: [sorry] }",
        "{}",
        r#"{"answer": "so sorry"}"#,
        "false, failed: found `sorry` in `so sorry`",
    ),
    ("starts_with: { text: Dear }", "{}", r#"{"answer": "Dear Ann"}"#, "true, passed"),
    ("ends_with: { text: '.' }", "{}", r#"{"answer": "Dear Ann"}"#, "false, failed: `Dear Ann` does not end with `.`"),
    ("regex: { pattern: '^\\d+$' }", "{}", r#"{"answer": "42"}"#, "true, passed"),
    ("valid_json:", "{}", r#"{"answer": "```json\n{\"a\": 1}\n```"}"#, "true, passed"),
    ("json_equal:", r#"{"truth": {"a": 1, "b": 2}}"#, r#"{"answer": "{\"b\": 2.0, \"a\": 1}"}"#, "true, passed"),
    (
        "json_schema: { schema: schemas/answer.json }",
        "{}",
        r#"{"answer": {}}"#,
        "false, failed: \"name\" is a required property",
    ),
    ("json_path: { path: '$.a[0]' }", r#"{"truth": 1}"#, r#"{"answer": {"a": [1.0]}}"#, "true, passed"),
    ("numeric: { tolerance: 0.5 }", r#"{"truth": "1,000"}"#, r#"{"answer": "$1000.4"}"#, "true, passed"),
    ("f1:", r#"{"truth": "the cat sat"}"#, r#"{"answer": "cat sat down"}"#, "0.8: precision 0.667, recall 1"),
    ("bleu:", r#"{"truth": "the cat sat on the mat"}"#, r#"{"answer": "the cat sat on the mat"}"#, "1"),
    ("gleu:", r#"{"truth": "the cat sat on the mat"}"#, r#"{"answer": "the cat"}"#, "0.1667"),
    ("rouge1:", r#"{"truth": "a b"}"#, r#"{"answer": "a c"}"#, "0.5: precision 0.5, recall 0.5"),
    ("rouge2: { measure: recall }", r#"{"truth": "a b c"}"#, r#"{"answer": "a b"}"#, "0.5: precision 1, recall 0.5"),
    ("rouge3:", r#"{"truth": "a b c"}"#, r#"{"answer": "a b c"}"#, "1: precision 1, recall 1"),
    ("rouge4:", r#"{"truth": "a b c d"}"#, r#"{"answer": "a b c d"}"#, "1: precision 1, recall 1"),
    ("rouge5:", r#"{"truth": "a b c d e"}"#, r#"{"answer": "a"}"#, "0: precision 0, recall 0"),
    ("rougeL:", r#"{"truth": "a x b"}"#, r#"{"answer": "a b"}"#, "0.8: precision 1, recall 0.667"),
    ("meteor:", r#"{"truth": "cat"}"#, r#"{"answer": "cats"}"#, "0.5"),
    ("sacrebleu:", r#"{"truth": "the cat sat on the mat"}"#, r#"{"answer": "the cat sat on the mat"}"#, "100"),
    ("levenshtein:", r#"{"truth": "kitten"}"#, r#"{"answer": "sitting"}"#, "3"),
    ("levenshtein_ratio:", r#"{"truth": "kitten"}"#, r#"{"answer": "sitting"}"#, "0.5714"),
    ("indel_ratio:", r#"{"truth": "kitten"}"#, r#"{"answer": "sitting"}"#, "0.6154"),
    ("cosine:", r#"{"truth": "b"}"#, r#"{"answer": "a"}"#, "0.6"),
    ("latency:", "{}", "{}", "250: 250 ms"),
    ("cost: { threshold: 0.01 }", "{}", "{}", "0.002, passed: 0.002 US dollars"),
    ("tokens: { count: total }", "{}", "{}", "30: 30 tokens"),
    ("expression: { expression: \"'a' in target.answer\" }", "{}", r#"{"answer": "a"}"#, "true, passed"),
    ("groundedness:", r#"{"context": "c"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("relevance:", r#"{"query": "q"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("coherence:", r#"{"query": "q"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("fluency:", "{}", r#"{"answer": "a"}"#, "4: why"),
    ("similarity:", r#"{"query": "q", "truth": "t"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("retrieval:", r#"{"query": "q", "documents": ["d"]}"#, "{}", "4: why"),
    ("response_completeness:", r#"{"truth": "t"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("rubric: { criteria: short, threshold: 4 }", "{}", r#"{"answer": "a"}"#, "4, passed: why"),
    ("judge: { prompt: flows/judges/correct.prompty }", r#"{"question": "q"}"#, r#"{"answer": "a"}"#, "4: why"),
    ("pairwise:", r#"{"query": "q", "other": "o"}"#, r#"{"answer": "a"}"#, "0: why"),
    ("select_best:", r#"{"query": "q", "candidates": ["o"]}"#, r#"{"answer": "a"}"#, "true, passed: why"),
    ("flow: { flow: flows/eval_answer, score: grade }", r#"{"question": "q"}"#, r#"{"answer": "a"}"#, "4"),
    ("python: { call: 'm:f' }", "{}", r#"{"answer": "a"}"#, "4: why"),
];

#[test]
fn each_gives_its_score() {
    let mut seen = BTreeSet::new();
    for (evaluator, data, outputs, expected) in EACH {
        let mut told = Told::new(data, outputs);
        told.run = RunFacts {
            latency_ms: Some(250.0),
            cost_usd: Some(0.002),
            prompt_tokens: Some(20),
            completion_tokens: Some(10),
            cached: false,
        };
        let bound = bound(&format!("\n  {evaluator}"), &told);
        let kind = bound.evaluator.kind.name;
        let scores = match bound.evaluator.work() {
            Work::Pure => bound.score(&told.facts()),
            Work::Embed(_) => bound.score_vectors(&told.facts(), &[0.6, 0.8], &[1.0, 0.0], None),
            Work::Flow { .. } => answered(&bound, &told, r#"{"grade": 4}"#),
            Work::Python { .. } => answered(&bound, &told, r#"{"score": 4, "reason": "why"}"#),
            Work::Judge { .. } => answered(&bound, &told, reply(kind)),
        };
        let found = scores.iter().map(line).collect::<Vec<_>>().join(" | ");
        assert_eq!(found, *expected, "{evaluator}");
        assert_eq!(scores[0].score.evaluator_hash.len(), 64, "{evaluator}");
        seen.insert(kind);
    }
    let all: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(seen, all);
}

fn reply(kind: &str) -> &'static str {
    match kind {
        "pairwise" => r#"{"output": "{\"reason\": \"why\", \"winner\": \"B\"}"}"#,
        // The place of the one answer is drawn by the case's key.
        "select_best" => r#"{"output": "{\"reason\": \"why\", \"best\": 1}"}"#,
        _ => r#"{"output": "{\"reason\": \"why\", \"score\": 4}"}"#,
    }
}

fn answered(
    bound: &sluicegate_evaluate::BoundEvaluator,
    told: &Told,
    outputs: &str,
) -> Vec<sluicegate_evaluate::CaseScore> {
    let outputs = map(outputs);
    bound.flow_inputs(&told.facts(), 0).expect("a case to ask about");
    bound.score_outputs(&told.facts(), &Reading { outputs: &outputs, judge_repeat: 0, cost_usd: None })
}

#[test]
fn our_prompts_are_flows_that_compile() {
    for name in built_in_names() {
        let prompt = built_in(name).unwrap();
        let files = sluicegate_flow::files::MemoryFiles::new(&[(&prompt.path, &prompt.text)]);
        let compiled = compile::compile(&files, &prompt.path, &CompileOptions::default());
        assert!(compiled.plan.is_some() && compiled.problems.is_empty(), "{name}: {:?}", compiled.problems);
        // What a model must not be kept from is thinking before it answers.
        for word in ["max_tokens", "temperature"] {
            assert!(!prompt.text.contains(word), "{name} sets {word}");
        }
    }
}

#[test]
fn evaluators_can_be_shared_by_threads() {
    fn check<T: Send + Sync>() {}
    check::<sluicegate_evaluate::EvaluationSpec>();
    check::<sluicegate_evaluate::BoundEvaluator>();
}
