//! Whether an output is right: a wrong one fails the benchmark, however fast it came.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;
use crate::mock::counts::Counts;
use crate::mock::reply::mark_of;

/// In which order lines must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// That of the rows.
    Rows,
    /// Any: the floor writes them as they come.
    Any,
}

/// Checks that a file has a line for each row, once, in order, with the answer that belongs to the row.
pub(crate) fn check_output(path: &Path, rows: usize, order: Order) -> Result<(), Failure> {
    let wrong = |what: String| Failure::new(format_args!("wrong output: {}: {what}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut seen = vec![false; rows];
    let mut count = 0;
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|error| wrong(error.to_string()))?;
        count += 1;
        let read: Value =
            serde_json::from_str(&line).map_err(|error| wrong(format!("line {count} is no JSON: {error}")))?;
        let number = read.get("line_number").and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        let number = number.ok_or_else(|| wrong(format!("line {count} has no line_number")))?;
        if order == Order::Rows && number != count - 1 {
            return Err(wrong(format!("line {count} is that of row {number}")));
        }
        match seen.get_mut(number) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(wrong(format!("row {number} is there twice"))),
            None => return Err(wrong(format!("there is no row {number}"))),
        }
        if !line.contains(&mark_of(number)) {
            return Err(wrong(format!("row {number} has another row's answer, or none: {line}")));
        }
    }
    if count != rows {
        return Err(wrong(format!("{count} lines for {rows} rows")));
    }
    Ok(())
}

/// Checks that the mock was asked exactly once for each row, and for nothing else.
pub(crate) fn check_counts(counts: &Counts, calls: usize) -> Result<(), Failure> {
    if counts.requests != calls as u64 || counts.other != 0 {
        let Counts { requests, other, .. } = counts;
        return Err(Failure::new(format_args!("wrong calls: {requests} and {other} others for {calls} rows")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(lines: &[&str], order: Order, wrong: Option<&str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        match (check_output(&path, 2, order), wrong) {
            (Ok(()), None) => {}
            (Err(failure), Some(words)) => assert!(failure.to_string().contains(words), "{failure}"),
            (outcome, _) => panic!("{outcome:?}"),
        }
    }

    const FIRST: &str = r#"{"line_number": 0, "answer": ["a", "b #000000000"]}"#;
    const SECOND: &str = r#"{"line_number": 1, "answer": "b #000000001"}"#;

    #[test]
    fn an_output_has_every_row_once_and_in_order() {
        check(&[FIRST, SECOND], Order::Rows, None);
        check(&[SECOND, FIRST], Order::Any, None);
        check(&[SECOND, FIRST], Order::Rows, Some("line 1 is that of row 1"));
        check(&[FIRST], Order::Rows, Some("1 lines for 2 rows"));
        check(&[FIRST, FIRST], Order::Any, Some("row 0 is there twice"));
        check(&[FIRST, SECOND, r##"{"line_number": 2, "answer": "#000000002"}"##], Order::Rows, Some("no row 2"));
    }

    #[test]
    fn an_output_has_each_rows_own_answer() {
        check(&[FIRST, r##"{"line_number": 1, "answer": "#000000000"}"##], Order::Rows, Some("another row's answer"));
        check(&[FIRST, r#"{"line_number": 1, "answer": null}"#], Order::Rows, Some("another row's answer"));
        check(&[FIRST, r#"{"answer": null}"#], Order::Rows, Some("no line_number"));
        check(&[FIRST, "torn"], Order::Rows, Some("line 2 is no JSON"));
    }

    #[test]
    fn a_call_too_many_or_elsewhere_is_wrong() {
        let counts = |requests, other| Counts { requests, other, ..Counts::default() };
        check_counts(&counts(2, 0), 2).unwrap();
        for wrong in [counts(3, 0), counts(1, 0), counts(2, 1)] {
            check_counts(&wrong, 2).expect_err("wrong calls");
        }
    }
}
