//! `where` and `limit`.

use sluicegate_dataset::{Dataset, Line, Where};
use sluicegate_source::{Problem, SourceFile, Span};

use crate::Folder;

const ROWS: &str =
    "{\"a\": 1, \"my column\": \"x\"}\n{\"a\": 2}\nbroken\n{\"a\": 3, \"line_number\": 70}\n{\"b\": [1]}\n";

fn parse(text: &str) -> Result<Where, Problem> {
    let file = SourceFile::new("--where", text);
    Where::parse(&file, Span::new(0, text.len()), text)
}

fn filtered(folder: &Folder, text: &str) -> Dataset {
    folder.dataset("d.jsonl").with_filter(parse(text).expect("an expression"))
}

fn numbers(dataset: &Dataset) -> Vec<String> {
    let shown = |line: Result<Line, _>| match line {
        Ok(line) => line.number.to_string(),
        Err(bad) => format!("! {bad}"),
    };
    dataset.lines(None).map(shown).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let folder = Folder::with("d.jsonl", ROWS);
    let found: Vec<String> =
        numbers(&filtered(&folder, text)).into_iter().filter(|line| !line.contains("JSON")).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn lines_are_chosen_by_their_columns_and_keep_their_numbers() {
    check("a == 2", &["1"]);
    check("a > 1 or b", &["1", "3", "4"]);
    check("data['my column'] == 'x'", &["0"]);
    check("data.a is defined and data.a < 3", &["0", "1"]);
    check("line_number < 2 or line_number == 70", &["0", "1", "3"]);
    check("false", &[]);
}

#[test]
fn a_row_for_which_the_expression_fails_is_bad() {
    check(
        "b[0] // 0 == 1",
        &[
            "! d.jsonl:1:1: `b[0] // 0 == 1` fails here: UndefinedError: 'b' is undefined",
            "! d.jsonl:2:1: `b[0] // 0 == 1` fails here: UndefinedError: 'b' is undefined",
            "! d.jsonl:4:1: `b[0] // 0 == 1` fails here: UndefinedError: 'b' is undefined",
            "! d.jsonl:5:1: `b[0] // 0 == 1` fails here: ZeroDivisionError: division by zero",
        ],
    );
}

#[test]
fn a_limit_counts_what_is_wanted_and_what_cannot_be_read() {
    let folder = Folder::with("d.jsonl", ROWS);
    assert_eq!(numbers(&folder.dataset("d.jsonl").with_limit(2)), ["0", "1"]);
    let some = filtered(&folder, "a != 1").with_limit(2);
    assert_eq!(numbers(&some), ["1", "! d.jsonl:3:1: a row is not JSON: expected a JSON value"]);
    assert_eq!(numbers(&folder.dataset("d.jsonl").with_limit(0)), [""; 0]);
}

#[test]
fn what_is_no_expression_or_no_column_is_a_problem() {
    assert!(parse("a ==").expect_err("half an expression").to_string().starts_with("--where:1:"));
    let folder = Folder::with("d.jsonl", ROWS);
    let filter = parse("aa == 1 and line_number > 3 and data.x").expect("an expression");
    let survey = filtered(&folder, "a == 1").survey(None, |_| Ok(()));
    let problems: Vec<String> = filter.check(&survey.columns, false).iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["--where:1:1: no row has a column `aa`"]);
    assert_eq!(parse("b").expect("an expression").check(&survey.columns, false).len(), 0);
}
