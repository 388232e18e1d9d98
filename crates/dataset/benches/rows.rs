//! How long it takes to read 100,000 rows: their share of a batch is to be small beside a call's 80 µs
//! (spec: performance.md).

use std::io::Write as _;
use std::sync::Arc;

use divan::counter::ItemsCount;
use sluicegate_dataset::{ColumnMapping, Dataset, MappingContext, Source};

const ROWS: u64 = 100_000;

fn main() {
    divan::main();
}

/// A file of short rows, as in most data sets.
fn file(suffix: &str, mut row: impl FnMut(u64) -> String) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().expect("a temporary file");
    let text: String = (0..ROWS).map(&mut row).collect();
    file.write_all(text.as_bytes()).expect("room for it");
    file
}

fn json_lines() -> tempfile::NamedTempFile {
    file(".jsonl", |row| {
        format!(
            "{{\"id\": {row}, \"text\": \"The quick brown fox jumps over the lazy dog, time after time.\", \"score\": 0.5, \
             \"tags\": [\"a\", \"b\"]}}\n"
        )
    })
}

fn dataset(file: &tempfile::NamedTempFile) -> Dataset {
    Dataset::open(&[Source::new(file.path())]).expect("a data file")
}

#[divan::bench]
fn json_lines_read(bencher: divan::Bencher<'_, '_>) {
    let file = json_lines();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| dataset(&file).rows().filter(Result::is_ok).count());
}

#[divan::bench]
fn csv_read(bencher: divan::Bencher<'_, '_>) {
    let file = file(".csv", |row| {
        let header = if row == 0 { "id,text,score\n" } else { "" };
        format!("{header}{row},\"The quick brown fox, the \"\"lazy\"\" dog, time after time.\",0.5\n")
    });
    bencher.counter(ItemsCount::new(ROWS)).bench(|| dataset(&file).rows().filter(Result::is_ok).count());
}

#[divan::bench]
fn json_lines_surveyed_and_mapped(bencher: divan::Bencher<'_, '_>) {
    let file = json_lines();
    let inputs = [(Arc::from("text"), false), (Arc::from("score"), true)];
    let context = MappingContext { inputs: &inputs, has_data: true, ..MappingContext::default() };
    let (mapping, _) = ColumnMapping::for_inputs(&[], &context);
    let check =
        |line: &sluicegate_dataset::Line| mapping.apply_to(line).map(drop).map_err(|missing| missing.to_problem());
    bencher.counter(ItemsCount::new(ROWS)).bench(|| dataset(&file).survey(None, check));
}
