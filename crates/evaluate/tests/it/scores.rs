//! What evaluators say of a case.

use sluicegate_evaluate::score::Comparison;
use sluicegate_evaluate::{CaseScore, NotScored, Reading, RunFacts};
use sluicegate_gate::{Missing, Outcome, ScoreValue};

use crate::project::{Told, bound, line, map};

/// The score of the one evaluator for a case, as a line.
#[track_caller]
fn scored(evaluators: &str, data: &str, outputs: &str) -> String {
    let told = Told::new(data, outputs);
    bound(evaluators, &told).score(&told.facts()).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn check(evaluators: &str, data: &str, outputs: &str, expected: &str) {
    assert_eq!(scored(evaluators, data, outputs), expected, "{evaluators}");
}

#[test]
fn a_reason_says_what_differs() {
    let (data, right, wrong) = (r#"{"truth": "Paris"}"#, r#"{"answer": "Paris"}"#, r#"{"answer": "The paris"}"#);
    check("[exact_match]", data, right, "true, passed");
    check("[exact_match]", data, wrong, "false, failed: expected `Paris`, got `The paris`");
    check("{ exact_match: { normalization: squad } }", data, wrong, "true, passed");
    let long = format!(r#"{{"answer": "{}"}}"#, "line\\n".repeat(90));
    let said = scored("[exact_match]", data, &long);
    assert!(said.chars().count() < 200 && said.contains("line⏎line") && said.contains('…'), "{said}");
}

#[test]
fn lists_are_compared_as_lists() {
    let data = r#"{"expected": ["Ada", "Bob"]}"#;
    check("[exact_match]", data, r#"{"answer": ["bob", "ADA"]}"#, "true, passed");
    check("[exact_match]", data, r#"{"answer": ["Ada"]}"#, "false, failed: missing `Bob`");
    check("[partial_match]", data, r#"{"answer": ["Ada"]}"#, "true, passed");
    check("[partial_match]", data, r#"{"answer": ["Ada", "Eve"]}"#, "false, failed: missing `Bob`; extra `Eve`");
    check(
        "{ exact_match: { ordered: true } }",
        data,
        r#"{"answer": ["Bob", "Ada"]}"#,
        "false, failed: the order differs",
    );
    check("{ list_match: { measure: recall } }", data, r#"{"answer": "Ada, Eve"}"#, "0.5: missing `Bob`; extra `Eve`");
}

#[test]
fn thresholds_pass_and_fail() {
    let (data, outputs) = (r#"{"truth": "a b"}"#, r#"{"answer": "b c"}"#);
    check("{ f1: { threshold: 0.5 } }", data, outputs, "0.6667, passed: precision 0.5, recall 1");
    check("{ levenshtein: { threshold: 2 } }", data, outputs, "2, passed");
    check("{ levenshtein: { threshold: '< 2' } }", data, outputs, "2, failed");
    check("[levenshtein]", data, outputs, "2");
}

#[test]
fn what_is_missing_is_missing() {
    check("[exact_match]", r#"{"truth": null}"#, r#"{"answer": "x"}"#, "NotApplicable: `${data.truth}` is nothing");
    check("[exact_match]", r#"{"truth": "x"}"#, r#"{"answer": null}"#, "TargetFailed: `${target.answer}` is nothing");
    check("[exact_match]", r#"{"truth": ""}"#, r#"{"answer": ""}"#, "true, passed");
    check(
        "[numeric]",
        r#"{"truth": "many"}"#,
        r#"{"answer": 1}"#,
        "EvaluatorFailed: `many` is no number to compare with",
    );
    check("[numeric]", r#"{"truth": 1}"#, r#"{"answer": "many"}"#, "false, failed: `many` is no number");
    check("[latency]", "{}", "{}", "EvaluatorFailed: the time was not measured");
}

#[test]
fn a_target_that_failed_gives_no_score() {
    let with = |outcome: Outcome| {
        let mut told = Told::new(r#"{"truth": "x"}"#, r#"{"answer": "x"}"#);
        let bound = bound("[exact_match]", &told);
        told.outcome = outcome;
        told.outputs = map("{}");
        line(&bound.score(&told.facts())[0])
    };
    assert_eq!(with(Outcome::Error("no route".to_owned())), "TargetFailed: no route");
    assert_eq!(with(Outcome::FilteredOutput), "Filtered: the answer was filtered");
    assert_eq!(with(Outcome::FilterFailed("down".to_owned())), "TargetFailed: down");
}

#[test]
fn where_says_which_cases_count() {
    let evaluator = "{ f1: { where: \"data.lang == 'de'\" } }";
    check(evaluator, r#"{"truth": "a", "lang": "en"}"#, r#"{"answer": "a"}"#, "NotApplicable: `where` does not hold");
    check(evaluator, r#"{"truth": "x", "lang": "de"}"#, r#"{"answer": "x"}"#, "1: precision 1, recall 1");
}

#[test]
fn an_expression_reads_all_that_is_known() {
    let mut told = Told::new(r#"{"limit": 5}"#, r#"{"answer": "four"}"#);
    told.run = RunFacts { latency_ms: Some(800.0), ..RunFacts::default() };
    let with = |expression: &str| {
        let bound = bound(&format!("{{ e: {{ use: expression, {expression} }} }}"), &told);
        line(&bound.score(&told.facts())[0])
    };
    assert_eq!(with("expression: target.answer|length < data.limit"), "true, passed");
    assert_eq!(with("expression: run.latency_ms < 500"), "false, failed: `run.latency_ms < 500` is false");
    assert_eq!(with("expression: run.latency_ms / 1000, scale: [0, 10], threshold: '<= 1'"), "0.8, passed");
    assert_eq!(
        with("expression: target.answer|length"),
        "EvaluatorFailed: the expression gave 4, neither true nor false; say its `scale`"
    );
    assert_eq!(
        with("expression: target.answer|length, scale: [0, 3]"),
        "EvaluatorFailed: the score was 4, which is not between 0 and 3"
    );
    assert_eq!(with("expression: target.answer|length, scale: none"), "4");
    assert_eq!(with("expression: none"), "NotApplicable: the expression gave nothing");
}

#[test]
fn scores_of_others_can_be_read() {
    let mut told = Told::new(r#"{"truth": "x"}"#, r#"{"answer": "x"}"#);
    told.scores = bound("[f1]", &told).score(&told.facts());
    let both = bound("{ both: { use: expression, expression: scores.f1 > 0.5 } }", &told);
    assert_eq!(line(&both.score(&told.facts())[0]), "true, passed");
}

fn reading(outputs: &str, judge_repeat: u32) -> (sluicegate_value::Map, u32) {
    (map(outputs), judge_repeat)
}

fn replied(evaluators: &str, told: &Told, (outputs, judge_repeat): (sluicegate_value::Map, u32)) -> CaseScore {
    let reading = Reading { outputs: &outputs, judge_repeat, cost_usd: Some(0.01) };
    bound(evaluators, told).score_outputs(&told.facts(), &reading).remove(0)
}

#[test]
fn a_judge_is_asked_in_texts() {
    let told = Told::new(
        r#"{"question": "Who?", "context": [{"title": "t", "content": "Ada wrote it."}, "Bob read it."]}"#,
        r#"{"answer": ["Ada"]}"#,
    );
    let row = bound("[groundedness]", &told).flow_inputs(&told.facts(), 0).unwrap();
    insta::assert_snapshot!(sluicegate_value::Value::from(row).to_json(), @r#"{"query":"Who?","response":"Ada","context":"Ada wrote it.\n\nBob read it."}"#);
    let rubric =
        "{ kind: { use: rubric, criteria: { tone: kind, size: short }, scale: [0, 1], levels: { 0: no, 1: 'yes' } } }";
    let row = bound(rubric, &told).flow_inputs(&told.facts(), 0).unwrap();
    assert_eq!(row.get("criteria").unwrap().as_str(), Some("- tone: kind\n- size: short"));
    assert_eq!(row.get("highest").unwrap().as_str(), Some("1"));
}

#[test]
fn the_last_turn_of_a_conversation_is_judged() {
    let told = Told::new(
        r#"{"conversation": {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"},
            {"role": "user", "content": "Who wrote it?"}, {"role": "assistant", "content": "Ada", "context": {"citations": [{"content": "By Ada."}]}},
            {"role": "user", "content": "Thanks"}]}}"#,
        "{}",
    );
    let row = bound("[groundedness]", &told).flow_inputs(&told.facts(), 0).unwrap();
    assert_eq!(row.get("context").unwrap().as_str(), Some("By Ada."));
    let row = bound("[coherence]", &told).flow_inputs(&told.facts(), 0).unwrap();
    assert_eq!(row.get("query").unwrap().as_str(), Some("user: Hi\nassistant: Hello\nuser: Who wrote it?"));
    assert_eq!(row.get("response").unwrap().as_str(), Some("Ada"));
}

#[test]
fn a_conversation_without_an_answer_is_not_judged() {
    let told = Told::new(r#"{"conversation": [{"role": "user", "content": "Hi"}]}"#, "{}");
    let missing = bound("[coherence]", &told).flow_inputs(&told.facts(), 0).unwrap_err();
    assert_eq!(missing.why, Missing::NotApplicable);
}

#[test]
fn a_judges_reply_becomes_a_score() {
    let told = Told::new(r#"{"question": "q", "context": "c"}"#, r#"{"answer": "a"}"#);
    let scored = replied("[groundedness]", &told, reading(r#"{"output": "{\"score\": 4, \"reason\": \"ok\"}"}"#, 0));
    assert_eq!(line(&scored), "4: ok");
    assert_eq!(scored.score.cost_usd, Some(0.01));
    let scored = replied("{ groundedness: { threshold: 4.5 } }", &told, reading(r#"{"output": "4"}"#, 1));
    assert_eq!((line(&scored), scored.score.judge_repeat), ("4, failed".to_owned(), 1));
    let scored = replied("[groundedness]", &told, reading(r#"{"output": "no idea"}"#, 0));
    assert_eq!(line(&scored), "Unscored: the reply has no score: `no idea`");
}

#[test]
fn two_answers_change_places_from_reading_to_reading() {
    let told = Told::new(r#"{"question": "q", "other": "theirs"}"#, r#"{"answer": "ours"}"#);
    let bound = bound("[pairwise]", &told);
    assert_eq!(bound.evaluator.repeats, 2);
    let row = bound.flow_inputs(&told.facts(), 1).unwrap();
    assert_eq!(
        (row.get("response").unwrap().as_str(), row.get("other").unwrap().as_str()),
        (Some("theirs"), Some("ours"))
    );
    let score = |outputs: &str, at: u32| replied("[pairwise]", &told, reading(outputs, at)).score.value;
    assert_eq!(score(r#"{"output": "{\"winner\": \"A\"}"}"#, 0), ScoreValue::Number(1.0));
    assert_eq!(score(r#"{"output": "{\"winner\": \"A\"}"}"#, 1), ScoreValue::Number(0.0));
    assert_eq!(score(r#"{"output": "tie"}"#, 1), ScoreValue::Number(0.5));
}

#[test]
fn the_best_of_several_stands_at_another_place_each_time() {
    let told = Told::new(r#"{"question": "q", "candidates": ["x", "y"]}"#, r#"{"answer": "ours"}"#);
    let bound = bound("[select_best]", &told);
    let mut places = Vec::new();
    for judge_repeat in 0..3 {
        let row = bound.flow_inputs(&told.facts(), judge_repeat).unwrap();
        let shown = row.get("candidates").unwrap().as_str().unwrap().to_owned();
        let place = (1..=3).find(|at| shown.contains(&format!("number=\"{at}\">\nours\n"))).unwrap();
        let chosen = replied(
            "[select_best]",
            &told,
            reading(&format!(r#"{{"output": "{{\"best\": {place}}}"}}"#), judge_repeat),
        );
        assert_eq!(chosen.score.value, ScoreValue::Bool(true), "{shown}");
        places.push(place);
    }
    places.sort_unstable();
    assert_eq!(places, [1, 2, 3]);
}

#[test]
fn an_evaluation_flow_gives_a_score_for_each_output() {
    let told = Told::new(r#"{"question": "q"}"#, r#"{"answer": "a"}"#);
    let flow = bound("{ graded: { use: flow, flow: flows/eval_answer, mode: m } }", &told);
    let outputs = map(r#"{"grade": "5: Excellent response", "tone": null, "grade_reason": "well"}"#);
    let reading = Reading { outputs: &outputs, judge_repeat: 0, cost_usd: None };
    let scores = flow.score_outputs(&told.facts(), &reading);
    let shown: Vec<String> = scores.iter().map(|scored| format!("{} {}", scored.score.metric, line(scored))).collect();
    assert_eq!(shown, ["graded.grade 5: well", "graded.tone Unscored: `tone` is nothing"]);
    let row = flow.flow_inputs(&told.facts(), 0).unwrap();
    assert_eq!(sluicegate_value::Value::from(row).to_json(), r#"{"question":"q","prediction":"a","mode":"m"}"#);
    let failed = NotScored { why: Missing::EvaluatorFailed, detail: "line 3: no route".to_owned() };
    assert_eq!(line(&flow.missing(&told.facts(), 0, &failed)[0]), "EvaluatorFailed: line 3: no route");
}

#[test]
fn a_python_function_gives_a_number_or_a_map() {
    let told = Told::new("{}", r#"{"answer": "a"}"#);
    let python = "{ polite: { use: python, call: 'm:f', text: '${target.answer}' } }";
    assert_eq!(line(&replied(python, &told, reading(r#"{"output": 0.25}"#, 0))), "0.25");
    assert_eq!(
        line(&replied(python, &told, reading(r#"{"score": true, "reason": "it is"}"#, 0))),
        "true, passed: it is"
    );
    assert_eq!(
        line(&replied(python, &told, reading(r#"{"polite": "high"}"#, 0))),
        "Unscored: `polite` is the text `high`, no score"
    );
}

#[test]
fn the_baselines_answer_can_be_compared_with() {
    let told = Told::new(r#"{"question": "q"}"#, r#"{"answer": "ours"}"#);
    let pairwise = bound("{ pairwise: { other: '${baseline.answer}' } }", &told);
    let missing = pairwise.flow_inputs(&told.facts(), 0).unwrap_err();
    assert_eq!((missing.why, &*missing.detail), (Missing::NotApplicable, "`${baseline.answer}` is nothing"));
    let before = map(r#"{"answer": "theirs"}"#);
    let facts = sluicegate_evaluate::CaseFacts { baseline: Some(&before), ..told.facts() };
    let row = pairwise.flow_inputs(&facts, 0).unwrap();
    assert_eq!(row.get("other").unwrap().as_str(), Some("theirs"));
}

#[test]
fn vectors_that_are_there_need_not_be_asked_for() {
    let told = Told::new(r#"{"truth": "b"}"#, r#"{"answer": "a"}"#);
    let cosine = bound("[cosine]", &told);
    assert_eq!(cosine.texts_to_embed(&told.facts()), Ok(Comparison::Texts(["a".to_owned(), "b".to_owned()])));
    assert_eq!(line(&cosine.score_vectors(&told.facts(), &[1.0, 0.0], &[1.0, 1.0], None)[0]), "0.7071");
    assert_eq!(
        line(&cosine.score_vectors(&told.facts(), &[0.0], &[1.0], None)[0]),
        "EvaluatorFailed: a vector of zeros has no direction"
    );
    let told = Told::new(r#"{"truth": [0, 1]}"#, r#"{"answer": [1, 0]}"#);
    assert_eq!(cosine.texts_to_embed(&told.facts()), Ok(Comparison::Vectors([vec![1.0, 0.0], vec![0.0, 1.0]])));
}
