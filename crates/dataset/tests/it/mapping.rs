//! Which column feeds which input.

use std::sync::Arc;

use sluicegate_dataset::{ColumnMapping, Line, MappingContext, MappingEntry, Row, RowPlace, RunRow, Survey};
use sluicegate_flow::plan::Place;
use sluicegate_source::{Problem, Severity, SourceFile, Span};
use sluicegate_value::{Map, Value, json};

use crate::Folder;

/// Inputs as in `v, t=`: `t` has a default.
fn inputs(text: &str) -> Vec<(Arc<str>, bool)> {
    text.split(", ")
        .filter(|name| !name.is_empty())
        .map(|name| (name.trim_end_matches('=').into(), name.ends_with('=')))
        .collect()
}

fn map(text: &str) -> Map {
    json::read(text).expect("JSON").as_map().expect("an object").clone()
}

fn mapping(explicit: &str, declared: &str) -> (ColumnMapping, Vec<Problem>) {
    let inputs = inputs(declared);
    let context = MappingContext { inputs: &inputs, has_data: true, has_run: true, ..MappingContext::default() };
    ColumnMapping::for_inputs(&MappingEntry::of_map(&map(explicit), None), &context)
}

/// What the flow's inputs are given for a row, by a mapping without problems.
#[track_caller]
fn check(explicit: &str, declared: &str, row: &str, expected: &str) {
    let (mapping, problems) = mapping(explicit, declared);
    assert!(problems.is_empty(), "{problems:?}");
    let place = RowPlace { file: "d.jsonl".into(), line: 8 };
    let row = Row { number: 7, columns: map(row), place: Some(place) };
    let run = RunRow { line_number: 7, inputs: map(r#"{"q": "?"}"#), outputs: map(r#"{"o": {"p": 1}, "a.b": 2}"#) };
    let found = match mapping.apply(&row, Some(&run)) {
        Ok(given) => Value::from(given).to_json(),
        Err(missing) => missing.to_problem().to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn without_a_mapping_inputs_take_columns_of_their_names_and_defaults_stay() {
    check("{}", "v, t=", r#"{"v": 1, "t": 2, "x": 3}"#, r#"{"v":1}"#);
    check(r#"{"t": "${data.x}"}"#, "v, t=", r#"{"v": 1, "t": 2, "x": 3}"#, r#"{"t":3,"v":1}"#);
    check(r#"{"v": 9, "t": "literal"}"#, "v, t=", "{}", r#"{"v":9,"t":"literal"}"#);
}

#[test]
fn references_reach_data_and_run() {
    check(r#"{"a": "${run.inputs.q}", "b": "${run.outputs.o}"}"#, "a, b", "{}", r#"{"a":"?","b":{"p":1}}"#);
    check(r#"{"a": "${run.outputs.o.p}", "b": "${run.outputs.a.b}"}"#, "a, b", "{}", r#"{"a":1,"b":2}"#);
    check(r#"{"a": "${data.x.y.z}"}"#, "a", r#"{"x": {"y": {"z": 1}}, "x.y": {"z": 2}}"#, r#"{"a":2}"#);
    check(r#"{"a": "${data.x.y}"}"#, "a", r#"{"x.y": 1, "x": {"y": 2}}"#, r#"{"a":1}"#);
    check(r#"{"a": "${data.line_number}"}"#, "a", "{}", r#"{"a":7}"#);
    check(r#"{"a": "${data.line_number}"}"#, "a", r#"{"line_number": "x"}"#, r#"{"a":"x"}"#);
}

#[test]
fn what_one_row_lacks_is_the_default_or_an_error() {
    let explicit = r#"{"v": "${data.v}", "t": "${data.t}"}"#;
    check(explicit, "v, t=", r#"{"v": 1}"#, r#"{"v":1}"#);
    check(explicit, "v, t=", r#"{"v": null, "t": null}"#, r#"{"v":null}"#);
    check(explicit, "v=, t=", "{}", "{}");
    check(
        explicit,
        "v, t, u",
        r#"{"t": 1}"#,
        "d.jsonl:8:1: line 7 has no `${data.v}` for input `v`, no `${data.u}` for input `u`",
    );
}

#[test]
fn the_mapping_is_recorded_as_text() {
    let (mapping, _) = mapping(r#"{"b": "${run.outputs.x}", "c": 5}"#, "a, b, c, d=");
    assert_eq!(Value::from(mapping.to_map()).to_json(), r#"{"b":"${run.outputs.x}","c":5,"a":"${data.a}"}"#);
}

#[track_caller]
fn check_problems(problems: &[Problem], expected: &[(&str, &str)]) {
    let found: Vec<(String, String)> =
        problems.iter().map(|problem| (problem.to_string(), problem.help.clone().unwrap_or_default())).collect();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((message, help), expected) in found.iter().zip(expected) {
        assert_eq!(message, expected.0);
        assert!(help.contains(expected.1), "{help}");
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (_, problems) = mapping(
        r#"{"texd": "${data.x}", "a": "${dat.x}", "b": "${x}", "c": "${run.x}", "d": "${data}", "e": "${ data.x }"}"#,
        "text=, a, b, c, d, e",
    );
    check_problems(
        &problems,
        &[
            ("the flow has no input `texd`", "did you mean `text`?"),
            ("input `a` is mapped to `${dat.x}`, which names no column", "did you mean `${data.x}`?"),
            ("input `b` is mapped to `${x}`, which names no column", "did you mean `${data.x}`?"),
            ("input `c` is mapped to `${run.x}`, which names no column", "did you mean `${run.outputs.x}`?"),
            ("input `d` is mapped to `${data}`, which names no column", "did you mean `${data.d}`?"),
            ("input `e` is mapped to `${ data.x }`, which names no column", "did you mean `${data.x}`?"),
        ],
    );
}

#[test]
fn text_that_looks_like_a_reference_stays_text_with_a_warning() {
    let (mapping, problems) =
        mapping(r#"{"v": "${data.v} ", "t": "see ${data.t}", "u": "plain", "w": "${data.w"}"#, "v, t, u, w");
    assert!(problems.iter().all(|problem| problem.severity == Severity::Warning));
    check_problems(
        &problems,
        &[
            ("input `v` is given the text `${data.v} ` as it stands: it is no reference", "remove the blanks"),
            ("input `t` is given the text `see ${data.t}` as it stands: it is no reference", "as a whole"),
            ("input `w` is given the text `${data.w` as it stands: it is no reference", "as a whole"),
        ],
    );
    assert_eq!(mapping.to_map().get("v"), Some(&Value::from("${data.v} ")));
}

#[test]
fn a_side_that_is_not_there_is_a_problem() {
    let declared = inputs("v, t");
    let explicit = MappingEntry::of_map(&map(r#"{"v": "${run.outputs.v}"}"#), None);
    let context = MappingContext { inputs: &declared, has_data: true, ..MappingContext::default() };
    let (_, problems) = ColumnMapping::for_inputs(&explicit, &context);
    let expected = "input `v` is mapped to `${run.outputs.v}`, and there is no earlier run";
    check_problems(&problems, &[(expected, "name the run")]);

    let explicit = MappingEntry::of_map(&map(r#"{"v": "${data.v}"}"#), None);
    let context = MappingContext { inputs: &declared, has_run: true, ..MappingContext::default() };
    let (_, problems) = ColumnMapping::for_inputs(&explicit, &context);
    check_problems(
        &problems,
        &[
            ("input `v` is mapped to `${data.v}`, and there are no data", "name a data file"),
            ("input `t` has no default, and there are no data to take it from", "`t: ${run.inputs.t}`"),
        ],
    );
}

#[test]
fn a_flow_that_takes_more_takes_any_target() {
    let context = MappingContext { takes_more: true, has_data: true, ..MappingContext::default() };
    let explicit = MappingEntry::of_map(&map(r#"{"any": "${data.x}"}"#), None);
    let (mapping, problems) = ColumnMapping::for_inputs(&explicit, &context);
    assert!(problems.is_empty());
    let row = Row { number: 0, columns: map(r#"{"x": 1}"#), place: None };
    assert_eq!(mapping.apply_to(&Line { number: 0, row, run: None }), Ok(map(r#"{"any": 1}"#)));
}

#[test]
fn a_problem_stands_where_the_entry_does() {
    let file = SourceFile::new("run.yaml", "column_mapping:\n  v: ${data.v\n");
    let place = Place { file: Arc::clone(&file), span: Span::new(21, 29) };
    let entry = MappingEntry { target: "v".into(), value: "${date.v}".into(), at: Some(place) };
    let declared = inputs("v");
    let context = MappingContext { inputs: &declared, has_data: true, ..MappingContext::default() };
    let (_, problems) = ColumnMapping::for_inputs(&[entry], &context);
    assert!(problems[0].to_string().starts_with("run.yaml:2:6: input `v`"), "{}", problems[0]);
}

fn surveyed(text: &str) -> Survey {
    Folder::with("d.jsonl", text).dataset("d.jsonl").survey(None, |_| Ok(()))
}

#[test]
fn a_column_that_no_row_has_is_told_before_anything_runs() {
    let (mapping, _) =
        mapping(r#"{"a": "${data.texd}", "b": "${data.user.name}", "c": "${data.none.x}"}"#, "a, b, c, d");
    let survey = surveyed("{\"text\": 1}\n{\"user\": {}}\n{\"line\": 3}\n");
    check_problems(
        &mapping.check(&survey),
        &[
            (
                "input `a` is mapped to `${data.texd}`, and no row of the data has a column `texd`",
                "did you mean `a: ${data.text}`? there are: `text`, `user`, `line`",
            ),
            ("input `c` is mapped to `${data.none.x}`, and no row of the data has a column `none.x`", "there are:"),
            ("input `d` is not mapped and has no default, and no row of the data has a column `d`", "there are:"),
        ],
    );
    assert!(mapping.check(&surveyed("")).is_empty());
}
