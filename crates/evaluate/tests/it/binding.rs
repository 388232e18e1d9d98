//! Which column or output feeds which input.

use sluicegate_evaluate::{Available, Names};

use crate::project::{available, names, shown, spec};

/// The inputs of the one evaluator, or what is wrong.
fn mapping(evaluators: &str, available: &Available) -> String {
    match spec(&format!("evaluators: {evaluators}")).bind(available) {
        Ok(bound) => bound
            .iter()
            .map(|bound| bound.mapping().to_owned())
            .map(|map| sluicegate_value::Value::from(map).to_json())
            .collect(),
        Err(problems) => shown(&problems),
    }
}

#[track_caller]
fn check(evaluators: &str, expected: &str) {
    assert_eq!(mapping(evaluators, &available()), expected, "{evaluators}");
}

#[test]
fn inputs_are_matched_by_name_in_either_family() {
    check("[exact_match]", r#"{"response":"${target.answer}","ground_truth":"${data.expected}"}"#);
    check(
        "[groundedness]",
        r#"{"query":"${data.question}","response":"${target.answer}","context":"${data.context}"}"#,
    );
    check(
        "{ own: { use: judge, prompt: flows/judges/correct.prompty } }",
        r#"{"question":"${data.question}","answer":"${target.answer}"}"#,
    );
    check(
        "{ graded: { use: flow, flow: flows/eval_answer, mode: fast } }",
        r#"{"question":"${data.question}","prediction":"${target.answer}","mode":"fast"}"#,
    );
}

#[test]
fn what_is_given_goes_before_what_has_the_name() {
    check(
        "{ f1: { answer: '${target.sources}', truth: '${data.context.first}' } }",
        r#"{"response":"${target.sources}","ground_truth":"${data.context.first}"}"#,
    );
    check("{ contains: { text: refund } }", r#"{"response":"${target.answer}","text":"refund"}"#);
    check(
        "{ f1: { response: '${run.outputs.answer}' } }",
        r#"{"response":"${target.answer}","ground_truth":"${data.expected}"}"#,
    );
}

#[test]
fn the_only_output_is_the_answer() {
    let one = Available { target: Names::exactly(["entities"]), ..available() };
    assert_eq!(mapping("[f1]", &one), r#"{"response":"${target.entities}","ground_truth":"${data.expected}"}"#);
    assert_eq!(
        mapping("{ f1: { response: '${target.output}' } }", &one),
        r#"{"response":"${target.entities}","ground_truth":"${data.expected}"}"#
    );
}

#[test]
fn a_file_of_outputs_has_the_answer_among_its_columns() {
    let file = Available { data: Names::exactly(["question", "answer", "truth"]), ..Available::default() };
    assert_eq!(mapping("[f1]", &file), r#"{"response":"${data.answer}","ground_truth":"${data.truth}"}"#);
}

#[test]
fn what_leads_nowhere_is_told_with_what_there_is() {
    insta::assert_snapshot!(mapping("{ f1: { response: '${target.anser}', ground_truth: '${data.zzz}' } }", &available()), @"
    flows/answer/evaluation.yaml:1:31: the target has no output `anser`
        did you mean `${target.answer}`?
    flows/answer/evaluation.yaml:1:64: the data have no column `zzz`
        columns: `question`, `expected`, `context`, `tags`
    ");
    let other = Available { data: Names::exactly(["text"]), target: Names::exactly(["a", "b"]) };
    insta::assert_snapshot!(mapping("[similarity]", &other), @r#"
    flows/answer/evaluation.yaml:1:14: nothing feeds `query` of evaluator `similarity`
        give it one: `query: "${data.text}"`; there are the columns `text` and the outputs `a`, `b`
    flows/answer/evaluation.yaml:1:14: nothing feeds `response` of evaluator `similarity`
        give it one: `response: "${target.a}"`; there are the columns `text` and the outputs `a`, `b`
    flows/answer/evaluation.yaml:1:14: nothing feeds `ground_truth` of evaluator `similarity`
        give it one: `ground_truth: "${data.text}"`; there are the columns `text` and the outputs `a`, `b`
    "#);
}

#[test]
fn a_conversation_is_question_and_answer() {
    let talk = Available { data: Names::exactly(["conversation"]), ..Available::default() };
    assert_eq!(mapping("[coherence]", &talk), r#"{"conversation":"${data.conversation}"}"#);
}

#[test]
fn names_that_may_exist_are_no_problem() {
    let open = Available { data: Names { known: names(&["expected"]), open: true }, ..available() };
    assert_eq!(
        mapping("{ f1: { ground_truth: '${data.rare}' } }", &open),
        r#"{"response":"${target.answer}","ground_truth":"${data.rare}"}"#
    );
}

#[test]
fn who_reads_scores_comes_last() {
    let text = "evaluators:\n  both: { use: expression, expression: scores.f1 > 0.5 and scores.bleu > 0.5 }\n  f1: {}\n  bleu: {}";
    let bound = spec(text).bind(&available()).unwrap();
    let order: Vec<&str> = bound.iter().map(|bound| &*bound.evaluator.name).collect();
    assert_eq!(order, ["f1", "bleu", "both"]);
}
