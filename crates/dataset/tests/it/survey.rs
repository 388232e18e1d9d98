//! The pass before a batch, and the pass of the batch.

use sluicegate_dataset::{Dataset, MAX_COLUMNS, MAX_PROBLEMS, Survey};
use sluicegate_value::hash;

use crate::{Folder, shown};

fn survey(dataset: &Dataset) -> Survey {
    dataset.survey(None, |_| Ok(()))
}

#[test]
fn a_survey_counts_rows_and_in_how_many_of_them_a_column_is() {
    let text = "{\"a\": 1, \"b\": null}\nbroken\n{\"a\": 2}\n";
    let folder = Folder::with("d.jsonl", text);
    let survey = survey(&folder.dataset("d.jsonl"));
    assert_eq!((survey.lines, survey.bad_rows, survey.is_broken), (2, 1, false));
    let columns: Vec<(&str, u64)> = survey.columns.names().map(|name| (name, survey.columns.count(name))).collect();
    assert_eq!(columns, [("a", 2), ("b", 1)]);
    assert_eq!(survey.hash, hash::sha256(text));
    assert_eq!(survey.files.len(), 1);
    assert_eq!(survey.files[0].length, text.len() as u64);
    assert_eq!(survey.bad_row_problems[0].to_string(), "d.jsonl:2:1: a row is not JSON: expected a JSON value");
}

#[test]
fn every_line_can_be_tried_and_what_is_wrong_is_counted() {
    let folder = Folder::with("d.jsonl", (0..50).map(|row| format!("{{\"a\": {row}}}\nx\n")).collect::<String>());
    let survey = folder.dataset("d.jsonl").survey(None, |line| {
        if line.number % 4 == 0 { Ok(()) } else { Err(line.row.problem("test::no", "not this one")) }
    });
    assert_eq!((survey.lines, survey.refused, survey.bad_rows), (50, 25, 50));
    assert_eq!((survey.refusals.len(), survey.bad_row_problems.len()), (MAX_PROBLEMS, MAX_PROBLEMS));
    assert_eq!(survey.refusals[0].to_string(), "d.jsonl:3:1: not this one");
}

#[test]
fn a_limit_does_not_shorten_what_is_hashed() {
    let folder = Folder::with("a.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
    folder.write("b.csv", "a\n1\n");
    let dataset = Dataset::open(&[folder.source("a.jsonl"), folder.source("b.csv")]).expect("a data set");
    let (whole, limited) = (survey(&dataset), survey(&dataset.clone().with_limit(1)));
    assert_eq!((whole.lines, limited.lines), (3, 1));
    assert_eq!(whole.files, limited.files);
    assert_eq!(whole.hash, limited.hash);
    assert_eq!(whole.files[1].hash, hash::sha256("a\n1\n"));
    folder.write("b.csv", "a\n2\n");
    assert_ne!(survey(&dataset).hash, whole.hash);
}

#[test]
fn names_of_columns_are_bounded() {
    let text: String = (0..MAX_COLUMNS + 5).map(|row| format!("{{\"key {row}\": 1}}\n")).collect();
    let folder = Folder::with("d.jsonl", text);
    let survey = survey(&folder.dataset("d.jsonl"));
    assert_eq!(survey.columns.names().count(), MAX_COLUMNS);
    assert!(survey.columns.is_cut);
}

#[test]
fn the_second_pass_reads_what_was_surveyed() {
    let folder = Folder::with("d.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
    let dataset = folder.dataset("d.jsonl");
    let surveyed = dataset.clone().as_surveyed(&survey(&dataset));
    assert_eq!(surveyed.rows().map(shown).count(), 2);
    folder.write("d.jsonl", "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n");
    assert_eq!(surveyed.rows().map(shown).collect::<Vec<_>>(), ["!! 0 `d.jsonl` has changed since it was checked"]);
    std::fs::remove_file(folder.path("d.jsonl")).expect("removed");
    let gone: Vec<String> = surveyed.rows().map(shown).collect();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].starts_with("!! 0 `d.jsonl` cannot be read: "), "{gone:?}");
}

#[test]
fn a_file_that_changes_while_it_is_read_ends_the_reading() {
    let folder = Folder::with("a.jsonl", "{\"a\": 1}\n{\"a\": 2}\n");
    folder.write("b.jsonl", "{\"a\": 3}\n");
    let dataset = Dataset::open(&[folder.source("a.jsonl"), folder.source("b.jsonl")]).expect("a data set");
    let mut rows = dataset.rows();
    assert_eq!(rows.next().map(shown).as_deref(), Some("0 a.jsonl:1 {\"a\":1}"));
    folder.write("a.jsonl", "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 4}\n");
    let rest: Vec<String> = rows.map(shown).collect();
    assert_eq!(rest, ["1 a.jsonl:2 {\"a\":2}", "!! 2 `a.jsonl` has changed while it was read"]);

    let meanwhile = dataset.survey(None, |line| {
        if line.number == 0 {
            folder.write("b.jsonl", "{\"a\": 3}\n{\"a\": 5}\n");
        }
        Ok(())
    });
    assert!(!meanwhile.is_broken, "it was not open yet");
    let meanwhile = dataset.survey(None, |line| {
        if line.number == 3 {
            folder.write("b.jsonl", "{}\n");
        }
        Ok(())
    });
    assert!(meanwhile.is_broken);
}

#[test]
fn a_row_of_many_megabytes_is_a_row() {
    let long = "é".repeat(4_000_000);
    let folder = Folder::with("d.jsonl", format!("{{\"a\": \"{long}\"}}\n{{\"a\": 1}}\n"));
    let found = survey(&folder.dataset("d.jsonl"));
    assert_eq!((found.lines, found.bad_rows), (2, 0));
}
