//! Data joined with an earlier run.

use sluicegate_dataset::{Dataset, Line, RunRow, RunRows};
use sluicegate_source::Problem;
use sluicegate_value::Map;

use crate::Folder;

fn run(numbers: &[u64]) -> RunRows<'static> {
    let line = |number: u64| RunRow {
        line_number: number,
        inputs: Map::from([("i", number)]),
        outputs: Map::from([("o", number * 10)]),
    };
    let numbers = numbers.to_vec();
    Box::new(numbers.into_iter().map(move |number| Ok(line(number))))
}

fn shown(line: Result<Line, sluicegate_dataset::BadRow>) -> String {
    match line {
        Ok(line) => {
            let run = line.run.map(|run| sluicegate_value::Value::from(run.outputs).to_json());
            let row = sluicegate_value::Value::from(line.row.columns).to_json();
            format!("{} {row} {}", line.number, run.unwrap_or_default())
        }
        Err(bad) => format!("{} {bad}", if bad.is_fatal { "!!" } else { "!" }),
    }
}

/// Joins rows with run lines; the counts are rows without a line and lines without a row.
#[track_caller]
fn check(text: &str, numbers: &[u64], expected: &[&str], unmatched: (u64, u64)) {
    let folder = Folder::with("d.jsonl", text);
    let mut lines = folder.dataset("d.jsonl").lines(Some(run(numbers)));
    let found: Vec<String> = lines.by_ref().map(shown).collect();
    assert_eq!(found, expected);
    assert_eq!((lines.unmatched_rows(), lines.unmatched_run_lines()), unmatched);
}

#[test]
fn rows_are_joined_by_their_position() {
    check(
        "{\"v\": 5}\n{\"v\": 6}\n{\"v\": 7}\n",
        &[0, 2, 4],
        &["0 {\"v\":5} {\"o\":0}", "2 {\"v\":7} {\"o\":20}"],
        (1, 1),
    );
    check("{}\n", &[], &[], (1, 0));
    check("", &[0, 1], &[], (0, 2));
}

#[test]
fn rows_with_numbers_of_their_own_are_joined_by_them() {
    check(
        "{\"line_number\": 2, \"v\": 1}\n{\"line_number\": 3, \"v\": 2}\n{\"line_number\": 7, \"v\": 3}\n",
        &[0, 3, 7],
        &["3 {\"line_number\":3,\"v\":2} {\"o\":30}", "7 {\"line_number\":7,\"v\":3} {\"o\":70}"],
        (1, 1),
    );
}

#[test]
fn numbers_of_their_own_are_for_all_rows_and_ascend() {
    check(
        "{\"line_number\": 3}\n{\"line_number\": 3}\n{}\nbroken\n",
        &[3, 4],
        &[
            "3 {\"line_number\":3} {\"o\":30}",
            "!! d.jsonl:2:1: `line_number` 3 comes after 3",
            "!! d.jsonl:3:1: this row has no `line_number`, and the first one has",
            "!! d.jsonl:4:1: a row is not JSON: expected a JSON value",
        ],
        (0, 1),
    );
}

#[test]
fn a_bad_row_is_told_and_its_line_of_the_run_is_not_without_a_row() {
    check(
        "{\"v\": 1}\nbroken\n{\"v\": 3}\n",
        &[0, 1, 2],
        &["0 {\"v\":1} {\"o\":0}", "! d.jsonl:2:1: a row is not JSON: expected a JSON value", "2 {\"v\":3} {\"o\":20}"],
        (0, 0),
    );
}

#[test]
fn a_run_that_is_out_of_order_or_unreadable_is_fatal() {
    let order = "!! line 1 of the earlier run comes twice or late";
    check("{}\n{}\n{}\n", &[0, 1, 1, 2], &["0 {} {\"o\":0}", "1 {} {\"o\":10}", order], (0, 0));
    let lost = [Ok(RunRow::default()), Err(Problem::error("test::lost", "the run is gone"))];
    let lines: Vec<String> = Dataset::of_run_only().lines(Some(Box::new(lost.into_iter()))).map(shown).collect();
    assert_eq!(lines, ["0 {} {}", "!! the run is gone"]);
}

#[test]
fn a_run_alone_gives_its_lines() {
    let dataset = Dataset::of_run_only().with_limit(2);
    let lines: Vec<String> = dataset.lines(Some(run(&[1, 5, 6]))).map(shown).collect();
    assert_eq!(lines, ["1 {} {\"o\":10}", "5 {} {\"o\":50}"]);
    let survey = Dataset::of_run_only().survey(Some(run(&[1, 5])), |_| Ok(()));
    assert_eq!((survey.lines, survey.run_outputs.count("o"), survey.run_inputs.count("i")), (2, 2, 2));
}
