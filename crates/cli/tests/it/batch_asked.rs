//! What is asked of a batch and is not meant so: filters, mappings, data that are something else. Each is told before
//! anything is paid, in words that say what to do.

use sluicegate_testkit::endpoint::Endpoint;
use sluicegate_testkit::project::Ran;

use crate::batch_project::{ONE, check_outputs, echoes, offline, over_rows, project};
use crate::fixture::SLUICEGATE;

const ROWS: &str = "{\"q\": \"a\", \"n\": 5}\n{\"q\": \"b\", \"n\": 0}\n{\"q\": \"c\", \"n\": 2}\n";

/// It is refused, and these are among the words.
#[track_caller]
fn check_refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 2, "{}", ran.shown());
    check_said(ran, words);
}

#[track_caller]
fn check_said(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "expected `{word}` in {}", ran.shown());
    }
}

#[test]
fn a_cell_that_is_compared_with_a_number_is_a_text() {
    let project = offline("").file("t.csv", "q,n\na,5\nb,1\n");
    let filtered = |filter: &str| {
        project.run(SLUICEGATE, &["batch", "flow", "--data", "t.csv", "--output", "out", "--force", "--where", filter])
    };
    check_refused(
        &filtered("n > 1"),
        &["`n > 1` fails on all 2 rows", "a text is compared with a number", "`n|float`", "t.csv:2"],
    );
    assert_eq!(filtered("n|float > 1").code, 0);
    check_outputs(&project, [0], |_| "aa".to_owned());
}

#[test]
fn a_filter_that_fails_says_on_how_many_rows() {
    let project = offline(ROWS);
    let all = ["`1 / 0` fails on all 3 rows", "ZeroDivisionError"];
    check_refused(&over_rows(&project, &["--where", "1 / 0"]), &all);
    // Nobody means that all lines fail.
    check_refused(&over_rows(&project, &["--where", "1 / 0", "--on-bad-line", "fail-line"]), &all);
    let some = over_rows(&project, &["--where", "10 / n > 2"]);
    check_refused(&some, &["`--where` fails on 1 of 3 rows", "rows.jsonl:2", "--on-bad-line fail-line"]);
    let failing = over_rows(&project, &["--where", "10 / n > 2", "--on-bad-line", "fail-line"]);
    assert_eq!(failing.code, 1, "{}", failing.shown());
    check_said(&failing, &["1 of 2 lines completed", "1 failed", "line 1: rows.jsonl:2"]);
}

#[test]
fn a_filter_that_answers_with_a_text_is_wondered_at() {
    let project = offline(ROWS);
    let ran = over_rows(&project, &["--where", "q"]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_said(&ran, &["`q` gives a text here, and not true or false", "counts as false"]);
    let ran = over_rows(&project, &["--where", "n", "--force"]);
    check_said(&ran, &["`n` gives a number here"]);
    check_outputs(&project, [0, 2], |row| ["aa", "", "cc"][row].to_owned());
    let ran = over_rows(&project, &["--where", "n and q == 'a'", "--force", "--json"]);
    assert!(!ran.stderr.contains("gives a"), "{}", ran.shown());
}

#[test]
fn no_rows_have_a_reason() {
    let project = offline(ROWS).file("none.jsonl", "\n");
    check_refused(&over_rows(&project, &["--limit", "0"]), &["no rows to run", "`--limit 0`"]);
    let none = over_rows(&project, &["--where", "n > 300"]);
    check_refused(&none, &["no rows to run", "`--where n > 300` holds for none of 3 rows", "`q`, `n`"]);
    let empty = project.run(SLUICEGATE, &["batch", "flow", "--data", "none.jsonl"]);
    check_refused(&empty, &["no rows to run", "no row in `none.jsonl`"]);
}

#[test]
fn a_filter_over_an_earlier_run_knows_its_outputs() {
    let project = offline(ROWS);
    let without = over_rows(&project, &["--where", "run.outputs.said == 'aa'"]);
    check_refused(&without, &["`run` is a line of an earlier run, and there is none"]);
    assert_eq!(over_rows(&project, &["--name", "first"]).code, 0);
    let joined = |filter: &str| over_rows(&project, &["--run", "first", "--force", "--where", filter]);
    check_refused(&joined("run.outputs.sad == 'aa'"), &["holds for none of 3 rows", "outputs are `said`"]);
    check_refused(&joined("run.outputs.said > 1 + 'a'"), &["fails on all 3 rows", "TypeError"]);
    assert_eq!(joined("run.outputs.said == 'bb'").code, 0);
    check_outputs(&project, [1], |_| "bb".to_owned());
}

#[test]
fn data_that_are_no_rows_at_all_are_not_counted_as_rows() {
    let project = offline("")
        .file("semicolons.csv", "q;n\na;1\n")
        .file("tabs.csv", "q\tn\na\t1\n")
        .file("cut.json", "[{\"text\": \"a\"}, {\"text\": ")
        .file("utf16.csv", b"\xff\xfeq\0\n\0");
    let check = |file: &str, words: &[&str]| {
        let ran = project.run(SLUICEGATE, &["batch", "flow", "--data", file]);
        check_refused(&ran, words);
        check_said(&ran, &["the data cannot be read to their end"]);
        assert!(!ran.stderr.contains(" of 1 rows"), "{}", ran.shown());
    };
    check("semicolons.csv", &["stand semicolons, not commas", "semicolons.csv:1"]);
    check("tabs.csv", &["name it .tsv"]);
    // What is missing in the rows before the end may be behind it.
    check("cut.json", &["cut.json:1", "1 row can be"]);
    check("utf16.csv", &["UTF-16", "iconv"]);
}

#[test]
fn what_becomes_something_else_is_told_once() {
    let flow = crate::batch_project::OFFLINE.replace("q: { type: string }", "q: { type: int }");
    let project = offline("{\"q\": 1.9}\n{\"q\": 7}\n{\"q\": true}\n").file("flow/flow.dag.yaml", flow);
    let ran = over_rows(&project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.shown());
    check_said(&ran, &["input `q` has type `int`: 1.9 is taken as 1, and so in 2 rows"]);
    assert_eq!(ran.stderr.matches("is taken as").count(), 1, "{}", ran.shown());
    let usual = offline("{\"q\": 7}\n{\"q\": \"text\"}\n");
    assert!(!over_rows(&usual, &[]).stderr.contains("is taken as"));
}

#[test]
fn a_mapping_of_the_config_is_taken_back() {
    let config = "flow_configs:\n  flow:\n    flow_path: flow\n    column_mapping: { q: \"${data.other}\" }\n";
    let project = offline("{\"q\": \"a\", \"other\": \"b\"}\n").file("config/config.yaml", config);
    assert_eq!(over_rows(&project, &[]).code, 0);
    check_outputs(&project, [0], |_| "bb".to_owned());
    let back = over_rows(&project, &["--force", "--column-mapping", "q="]);
    assert_eq!(back.code, 0, "{}", back.shown());
    check_outputs(&project, [0], |_| "aa".to_owned());
    check_refused(&over_rows(&project, &["--column-mapping", "p="]), &["takes back a mapping, and there is none"]);
}

#[test]
fn without_an_environment_those_that_there_are_are_named() {
    let endpoint = Endpoint::start();
    echoes(&endpoint);
    let project = project(&endpoint, ONE, 1, "");
    let ran = project.run(SLUICEGATE, &["batch", "ask", "--data", "rows.jsonl"]);
    check_said(&ran, &["no config environment is chosen", "`ask` has `pr`"]);
    let chosen = project.run(SLUICEGATE, &["batch", "ask", "-e", "pr", "--data", "rows.jsonl"]);
    assert!(chosen.code == 0 && !chosen.stderr.contains("config environment"), "{}", chosen.shown());
}

#[test]
fn a_row_that_is_no_input_fails_its_line_and_says_where_it_stands() {
    let project = offline("{\"q\": \"a\"}\nbroken\n{\"other\": 1}\n");
    let ran = over_rows(&project, &["--on-bad-line", "fail-line", "--name", "bad"]);
    assert_eq!(ran.code, 1, "{}", ran.shown());
    check_said(&ran, &["line 1: rows.jsonl:2", "line 2: rows.jsonl:3"]);
    let check = |line: &str, place: &str| {
        let shown = project.run(SLUICEGATE, &["runs", "show", "bad", "--line", line]).stdout;
        assert!(shown.contains(place) && shown.contains("inputs       none"), "{shown}");
    };
    check("1", "rows.jsonl:2");
    check("2", "rows.jsonl:3");
    check_refused(&project.run(SLUICEGATE, &["runs", "events", "bad", "--line", "99"]), &["has no line 99"]);
}

#[test]
fn standard_output_is_for_one_thing() {
    let project = offline(ROWS);
    let words = ["batch", "flow", "--data", "rows.jsonl", "--output", "-", "--json"];
    check_refused(&project.run(SLUICEGATE, &words), &["both write to stdout", "--output DIR"]);
}
