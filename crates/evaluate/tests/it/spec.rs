//! The short form, the long form, and what is wrong with either.

use sluicegate_evaluate::{EvaluationSpec, Work};

use crate::project::{context, files, read, shown, spec};

#[track_caller]
fn problems(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("no problem"),
        Err(problems) => shown(&problems),
    }
}

/// The long form of a text, which must be read back as itself.
#[track_caller]
fn expanded(text: &str) -> String {
    let long = spec(text).expanded().to_json_pretty();
    assert_eq!(spec(&long).expanded().to_json_pretty(), long);
    assert_eq!(spec(&long).evaluators_hash(), spec(text).evaluators_hash());
    long
}

const LONG: &str = r#"
version: 1
data: { file: data/support.jsonl, key: [question], cluster: article_id, where: "lang == 'de'" }
target: { flow: flows/answer, repeats: 3, seed: 7, column_mapping: { q: "${data.question}" } }
evaluators:
  correct:  { use: judge, prompt: flows/judges/correct.prompty, connection: judge, scale: [0, 1], repeats: 2 }
  overlap:  { use: f1, response: "${target.answer}", ground_truth: "${data.answer}", threshold: 0.5 }
  valid:    { use: json_schema, schema: schemas/answer.json }
  near:     { use: flow, flow: flows/eval_answer, scores: { grade: { scale: [1, 5] }, tone: { boolean: true } } }
  polite:   { use: python, call: "scores:polite", score: polite, scale: [0, 1], inputs: { text: "${target.answer}" } }
  short:    { use: expression, expression: "target.answer|length < 200", where: "data.lang == 'de'" }
budget: { usd: 4.00, time: 12m, exhausted: inconclusive, reserve: 10% }
report: { summary: true, comment: sticky, annotations: 10, junit: out/eval.junit.xml, sarif: out/eval.sarif, html: out/eval.html }
matrix: { connections: [a, b], variants: ["${n.x}", "${n.y}"], exclude: [{ connections: b, variants: "${n.y}" }] }
result_keys: promptflow
lock: eval.lock
gate:
  rules:
    - { id: quality, metric: correct, bound: lower, is: ">= 0.85" }
    - { id: schema,  metric: valid, every_case: true }
"#;

#[test]
fn the_short_form_spelled_out() {
    let text = r#"
data: data/entity_extraction_eval.jsonl
evaluators:
  exact_match: { response: "${target.answer}", ground_truth: "${data.expected}" }
  groundedness: {}
gate:
  exact_match: ">= 0.80"
  groundedness: ">= 4"
"#;
    insta::assert_snapshot!(expanded(text));
}

#[test]
fn the_long_form_keeps_what_it_says() {
    insta::assert_snapshot!(expanded(LONG));
    let cells = spec(LONG).matrix.unwrap().cells();
    assert_eq!(cells.len(), 3);
}

#[test]
fn a_matrix_names_its_reference_and_candidate() {
    let named = |words: &str| LONG.replace("exclude:", &format!("{words}, exclude:"));
    let matrix =
        spec(&named(r#"reference: { connections: b }, candidate: { connections: a, variants: "${n.y}" }"#)).matrix;
    let matrix = matrix.unwrap();
    assert_eq!((matrix.reference_at(), matrix.candidate_at()), (2, Some(1)));
    // Other settings of the command line: the candidate is no longer among them.
    let other = matrix.with_axis("variants", vec!["${n.x}".into()]);
    assert_eq!((other.cells().len(), other.reference_at(), other.candidate_at()), (2, 1, None));
    for (words, problem) in [
        ("candidate: { connections: a }", "`candidate` names 2 combinations"),
        (r#"candidate: { connections: b, variants: "${n.y}" }"#, "`candidate` names a combination that is left out"),
        ("reference: { connections: c }", "`connections` has no setting `c` to name"),
        ("reference: { connection: a }", "`reference` has no key `connection`"),
    ] {
        let problems = read(&named(words)).map(drop).unwrap_err();
        assert!(problems.iter().any(|found| found.message.contains(problem)), "{problem}: {problems:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_file_panics(from in 0_usize..LONG.len(), length in 0_usize..40, put in r#"([{}\[\]:,'"$ ]|\$\{data\.x\}|[a-z]{1,4}|[0-9.]{1,3}|\n  ){0,4}"#) {
        let mut text = LONG.to_owned();
        let to = text.floor_char_boundary((from + length).min(text.len()));
        text.replace_range(text.floor_char_boundary(from)..to, &put);
        let _ = read(&text).map(|reading| reading.spec.bind(&crate::project::available()));
    }
}

#[test]
fn evaluators_may_be_a_list_of_names() {
    assert_eq!(expanded("evaluators: [f1, bleu]"), expanded("evaluators: { f1: {}, bleu: }"));
}

#[test]
fn every_problem_is_told_at_once() {
    insta::assert_snapshot!(problems(
        r#"
versio: 1
data: { file: a.jsonl, cluster: [x], where: "lang ==" }
target: { repeats: 0, flows: x }
evaluators:
  exact_mtch: {}
  my_own: {}
  p95: { use: f1 }
  a.b: { use: f1 }
  f1: { measure: precison, respones: "${target.answer}", ground_truth: "${inputs.x}", answer: "see ${data.q}" }
  twice: { use: bleu, question: 1, answer: "${target.a}", response: "${target.b}" }
  regex: { pattern: "(a" }
  json_schema: { schema: schemas/broken.json }
  gone: { use: json_schema, schema: schemas/gone.json }
  json_path: { path: "a[" }
  rubric: { scale: [5, 1], levels: { good: x } }
  judge: {}
  flow: { flow: flows/none }
  graded: { use: flow, flow: flows/eval_answer, score: grad }
  python: { call: nothing }
  short: { use: expression, expression: "targt.answer|length", threshold: ">= 1.1x" }
budget: { usd: many, time: soon }
report: { comment: loud, annotations: 500 }
matrix: { colours: [red] }
gate: { exact_mtch: ">= 0.5", f2: ">= 0.5" }
"#
    ));
}

#[test]
fn an_evaluation_needs_evaluators() {
    insta::assert_snapshot!(problems("data: a.jsonl"), @"
    flows/answer/evaluation.yaml:1:1: the evaluation has no evaluators
        add `evaluators:`, as in `evaluators: { exact_match: {} }`
    ");
    insta::assert_snapshot!(problems("evaluators:"), @"
    flows/answer/evaluation.yaml:1:12: `evaluators` names none
        as in `exact_match: {}`
    ");
}

#[test]
fn paths_are_the_projects_or_beside_the_file() {
    let path = |written: &str| spec(&format!("data: {written}\nevaluators: [f1]")).data.files[0].to_string();
    assert_eq!(path("data/x.jsonl"), "data/x.jsonl");
    assert_eq!(path("./x.jsonl"), "flows/answer/x.jsonl");
    assert_eq!(path("../x.jsonl"), "flows/x.jsonl");
    assert_eq!(path("beside.json"), "flows/answer/beside.json");
    assert_eq!(path("/tmp/x.jsonl"), "/tmp/x.jsonl");
}

#[track_caller]
fn from_flags(flags: &[&str]) -> String {
    let flags: Vec<String> = flags.iter().map(ToString::to_string).collect();
    match EvaluationSpec::from_flags(&flags, &context(&files())) {
        Ok(reading) => {
            let rules = reading.spec.policy.rules.iter().map(|rule| rule.expanded().to_json());
            let evaluators = reading.spec.evaluators.iter().map(|evaluator| evaluator.name.to_string());
            evaluators.chain(rules).collect::<Vec<_>>().join("\n")
        }
        Err(problems) => shown(&problems),
    }
}

#[test]
fn rules_on_the_command_line_are_an_evaluation() {
    insta::assert_snapshot!(from_flags(&["f1 >= 0.8", "groundedness >= 4", "p95 <= 2s", "no_regression"]), @r#"
    f1
    groundedness
    {"id":"f1","metric":"f1","bound":"lower","is":">= 0.8"}
    {"id":"groundedness","metric":"groundedness","bound":"lower","is":">= 4"}
    {"id":"p95","p95":"<= 2000ms"}
    {"id":"no_regression.f1","metric":"f1","against":"baseline","margin":0.05,"min_effect":0.01}
    {"id":"no_regression.groundedness","metric":"groundedness","against":"baseline","margin":0.05,"min_effect":0.01}
    "#);
    insta::assert_snapshot!(from_flags(&["f2 >= 0.8"]), @"
    --gate:1:1: there is no evaluator `f2`
        did you mean `f1`?
    ");
    insta::assert_snapshot!(from_flags(&["json_schema >= 1"]), @"
    --gate:1:1: evaluator `json_schema` needs `schema`
        as in `schema: schemas/answer.json`
    ");
}

#[test]
fn rules_on_the_command_line_add_to_the_file() {
    let spec = spec("evaluators: { f1: {} }\ngate: { f1: '>= 0.5' }");
    let flags = ["f1 >= 0.9".to_owned(), "bleu >= 0.1".to_owned()];
    let merged = spec.with_flags(&flags, &context(&files())).unwrap().spec;
    let rules: Vec<String> = merged.policy.rules.iter().map(|rule| rule.expanded().to_json()).collect();
    assert_eq!(merged.evaluators.len(), 2);
    assert_eq!(rules.len(), 2);
    assert!(rules[0].contains(">= 0.9"), "{}", rules[0]);
}

#[test]
fn thresholds_may_differ_by_config_environment() {
    let spec = spec("evaluators: { f1: {} }\ngate: { f1: { pr: '>= 0.5', default: '>= 0.9' } }");
    assert!(spec.policy.rules[0].expanded().to_json().contains(">= 0.5"));
}

#[test]
fn a_judge_of_the_project_stands_in_for_ours() {
    let ours = spec("evaluators: [fluency]");
    let Work::Judge { prompt, .. } = ours.evaluators[0].work() else { panic!("no judge") };
    assert!(prompt.is_ours && &*prompt.path == "flows/judges/fluency.prompty");
    let text = prompt.text.replace("careful writer", "poet");
    let files = files().with("flows/judges/fluency.prompty", text.as_bytes());
    let file = sluicegate_source::SourceFile::new("flows/answer/evaluation.yaml", "evaluators: [fluency]");
    let theirs = EvaluationSpec::parse(&file, &context(&files)).unwrap().spec;
    let Work::Judge { prompt, .. } = theirs.evaluators[0].work() else { panic!("no judge") };
    assert!(!prompt.is_ours && prompt.text.contains("poet"));
    assert_ne!(theirs.evaluators_hash(), ours.evaluators_hash());
}

#[test]
fn a_hash_is_of_what_an_evaluator_is() {
    let hash = |text: &str| spec(&format!("evaluators: {{ {text} }}")).evaluators_hash();
    assert_eq!(hash("f1: {}"), hash("other: { use: f1 }"));
    assert_eq!(hash("f1: {}"), hash("f1: { measure: f1 }"));
    assert_eq!(hash("fluency: {}"), hash("fluency: { connection: judge, deployment: d }"));
    assert_ne!(hash("f1: {}"), hash("f1: { measure: recall }"));
    assert_ne!(hash("f1: {}"), hash("f1: { response: '${target.b}' }"));
    assert_ne!(hash("f1: {}"), hash("f1: { threshold: 0.3 }"));
    assert_ne!(hash("rubric: { criteria: a }"), hash("rubric: { criteria: b }"));
    let judge = |model: &str| spec("evaluators: [fluency]").evaluators[0].judge_hash(Some(model));
    assert_ne!(judge("a"), judge("b"));
}
