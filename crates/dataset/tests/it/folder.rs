//! Which files are read, and which sources are refused.

use std::sync::Arc;

use sluicegate_dataset::{Dataset, Source};
use sluicegate_flow::plan::Place;
use sluicegate_source::{SourceFile, Span};

use crate::{Folder, names, shown};

#[test]
fn a_folder_is_all_its_data_files_in_order() {
    let folder = Folder::new();
    for (name, content) in [
        ("data/b.csv", "a\n1\n"),
        ("data/a/z.JSONL", "{\"a\": 2}\n"),
        ("data/a/notes.txt", "no data"),
        ("data/.hidden.jsonl", "{}"),
        ("data/.checkpoints/x.csv", "a\n9\n"),
        ("data/c.json", "[{\"a\": 3}]"),
    ] {
        folder.write(name, content);
    }
    let dataset = Dataset::open(&[Source::new(folder.path("data"))]).expect("a data set");
    assert_eq!(names(&dataset, &folder.path("data")), ["a/z.JSONL", "b.csv", "c.json"]);
    let rows: Vec<String> = folder.dataset("data").rows().map(shown).collect();
    assert_eq!(rows, ["0 data/a/z.JSONL:1 {\"a\":2}", "1 data/b.csv:2 {\"a\":\"1\"}", "2 data/c.json:1 {\"a\":3}"]);
}

#[test]
fn sources_follow_one_another_and_a_broken_one_does_not_hide_the_next() {
    let folder = Folder::with("one.json", "[{\"a\": 1}, ");
    folder.write("two.jsonl", "{\"a\": 2}\n");
    let dataset = Dataset::open(&[folder.source("one.json"), folder.source("two.jsonl")]).expect("a data set");
    assert_eq!(
        dataset.rows().map(shown).collect::<Vec<_>>(),
        ["0 one.json:1 {\"a\":1}", "!! 1 one.json:1:12: the file ends inside the list", "2 two.jsonl:1 {\"a\":2}"]
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_a_folder_is_not_followed_and_a_link_to_a_file_is() {
    let folder = Folder::with("data/a.jsonl", "{\"a\": 1}\n");
    folder.write("other.jsonl", "{\"a\": 2}\n");
    std::os::unix::fs::symlink(folder.path("data"), folder.path("data/circle")).expect("a link");
    std::os::unix::fs::symlink(folder.path("other.jsonl"), folder.path("data/b.jsonl")).expect("a link");
    assert_eq!(names(&folder.dataset("data"), "data".as_ref()), ["a.jsonl", "b.jsonl"]);
}

#[track_caller]
fn check_refused(sources: &[Source], expected: &[(&str, &str, &str)]) {
    let problems = Dataset::open(sources).expect_err("sources that are refused");
    let found: Vec<(&str, String, String)> = problems
        .iter()
        .map(|problem| (problem.code, problem.to_string(), problem.help.clone().unwrap_or_default()))
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((code, message, help), expected) in found.iter().zip(expected) {
        assert_eq!((*code, message.as_str()), (expected.0, expected.1));
        assert!(help.contains(expected.2), "{help}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_by_name_all_at_once() {
    let folder = Folder::with("questions.jsonl", "{}\n");
    folder.write("t.parquet", "PAR1");
    folder.write("t.jsonl.gz", "");
    folder.write("t.data", "{}");
    folder.write("empty/readme.md", "");
    folder.write("only/t.parquet", "PAR1");
    check_refused(
        &[
            folder.source("question.jsonl"),
            folder.source("t.parquet"),
            folder.source("t.jsonl.gz"),
            folder.source("t.data"),
            folder.source("empty"),
            folder.source("only"),
            Source::new("azureml:questions:1"),
            Source::new("azureml://datastores/x/paths/y.jsonl"),
            Source::new("https://data.test/y.jsonl"),
        ],
        &[
            ("data::not_found", "there is no data file `question.jsonl`", "did you mean `questions.jsonl`?"),
            ("data::parquet", "`t.parquet` is a Parquet file", "convert it"),
            ("data::unknown_format", "the name `t.jsonl.gz` does not tell its format", "unpack it"),
            ("data::unknown_format", "the name `t.data` does not tell its format", ".jsonl"),
            ("data::empty_folder", "there is no data file in `empty`", ".csv"),
            ("data::empty_folder", "there is no data file in `only`", "convert it"),
            ("data::azureml", "`azureml:questions:1` is data that Azure ML keeps", "download"),
            ("data::azureml", "`azureml://datastores/x/paths/y.jsonl` is data that Azure ML keeps", "download"),
            ("data::remote", "`https://data.test/y.jsonl` is an address (`https`), not a file", "download"),
        ],
    );
}

#[test]
fn a_source_that_was_asked_for_in_a_file_is_refused_there() {
    let file = SourceFile::new("run.yaml", "flow: .\ndata: nothing.jsonl\n");
    let place = Place { file: Arc::clone(&file), span: Span::new(14, 27) };
    let problems = Dataset::open(&[Source::new("/no/where.jsonl").asked_at(place)]).expect_err("no file");
    assert_eq!(problems[0].to_string(), "run.yaml:2:7: there is no data file `/no/where.jsonl`");
}
