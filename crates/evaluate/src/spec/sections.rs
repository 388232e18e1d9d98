//! `data:`, `target:`, `budget:` and `report:`.

use std::sync::Arc;

use sluicegate_dataset::{MappingEntry, Where};
use sluicegate_flow::plan::Place;
use sluicegate_source::Problem;
use sluicegate_source::yaml::{Entry, Node};
use sluicegate_value::Value;

use super::reader::Reader;
use super::{BudgetSpec, DataSpec, Exhausted, ReportSpec, TargetSpec};

const DATA_KEYS: [&str; 5] = ["file", "files", "key", "cluster", "where"];
const TARGET_KEYS: [&str; 4] = ["flow", "repeats", "seed", "column_mapping"];
const BUDGET_KEYS: [&str; 5] = ["usd", "tokens", "time", "exhausted", "reserve"];
const REPORT_KEYS: [&str; 7] = ["summary", "comment", "annotations", "junit", "sarif", "html", "markdown"];

/// More answers to one case than anybody pays for.
const MAX_REPEATS: u32 = 1_000;

pub(super) fn check_version(reader: &mut Reader<'_>, node: &Node) {
    if node.as_scalar() != Some(&Value::Int(1)) {
        reader.wrong_value("`version` must be 1".to_owned(), "this program reads version 1 alone", node.span);
    }
}

pub(super) fn read_data(reader: &mut Reader<'_>, node: &Node) -> DataSpec {
    let mut read = DataSpec { place: Some(node.span), ..DataSpec::default() };
    if node.as_map().is_none() {
        read.files = files(reader, "data", node);
        return read;
    }
    for entry in reader.entries(node, "data") {
        let value = &entry.value;
        match &*entry.key {
            "file" | "files" => read.files = files(reader, &entry.key, value),
            "key" => read.key = reader.texts("key", value),
            "cluster" => read.cluster = reader.text("cluster", value).map(Arc::from),
            "where" => {
                if let Some(text) = reader.text("where", value) {
                    match Where::parse(reader.file, value.written(), text) {
                        Ok(only) => read.only = Some(Arc::new(only)),
                        Err(problem) => reader.problems.push(problem),
                    }
                    read.only_text = Some(text.into());
                }
            }
            _ => reader.unknown_key(entry, "`data`", &DATA_KEYS),
        }
    }
    read
}

/// Paths from the project's root; absolute ones stay as they are.
fn files(reader: &mut Reader<'_>, key: &str, node: &Node) -> Vec<Arc<str>> {
    let written = reader.texts(key, node);
    written.into_iter().map(|path| reader.path(&path).unwrap_or(path)).collect()
}

pub(super) fn read_target(reader: &mut Reader<'_>, node: &Node) -> TargetSpec {
    let mut read = TargetSpec { place: Some(node.span), ..TargetSpec::default() };
    if node.as_str().is_some() {
        read.flow = reader.own_path("target", node);
        return read;
    }
    for entry in reader.entries(node, "target") {
        let value = &entry.value;
        match &*entry.key {
            "flow" => read.flow = reader.own_path("flow", value),
            "repeats" => read.repeats = reader.whole("repeats", value, 1, MAX_REPEATS).unwrap_or(1),
            "seed" => match value.as_scalar().and_then(Value::as_int).and_then(|seed| u64::try_from(seed).ok()) {
                Some(seed) => read.seed = Some(seed),
                None => reader.wrong_value("`seed` must be a whole number".to_owned(), "", value.span),
            },
            "column_mapping" => read.column_mapping = mapping(reader, value),
            _ => reader.unknown_key(entry, "`target`", &TARGET_KEYS),
        }
    }
    read
}

fn mapping(reader: &mut Reader<'_>, node: &Node) -> Vec<MappingEntry> {
    let file = reader.file.clone();
    let entry = |entry: &Entry| MappingEntry {
        target: entry.key.clone(),
        value: entry.value.to_value(),
        at: Some(Place { file: file.clone(), span: entry.value.span }),
    };
    reader.entries(node, "column_mapping").iter().map(entry).collect()
}

pub(super) fn read_budget(reader: &mut Reader<'_>, node: &Node) -> BudgetSpec {
    let mut read = BudgetSpec::default();
    if node.as_map().is_none() && node.as_scalar().is_some_and(|value| !value.is_null()) {
        read.usd = reader.dollars("budget", node);
        return read;
    }
    for entry in reader.entries(node, "budget") {
        let value = &entry.value;
        match &*entry.key {
            "usd" => read.usd = reader.dollars("usd", value),
            "tokens" => match value.as_scalar().and_then(Value::as_int).and_then(|most| u64::try_from(most).ok()) {
                Some(most) => read.tokens = Some(most),
                None => reader.wrong_value("`tokens` must be a whole number".to_owned(), "", value.span),
            },
            "time" => read.time = reader.time("time", value),
            "exhausted" => {
                let words = [("aborted", Exhausted::Aborted), ("inconclusive", Exhausted::Inconclusive)];
                read.exhausted = reader.word("exhausted", value, &words).unwrap_or_default();
            }
            "reserve" => read.reserve = reader.number("reserve", value, 0.0, 0.9).unwrap_or_default(),
            _ => reader.unknown_key(entry, "`budget`", &BUDGET_KEYS),
        }
    }
    if read.reserve > 0.0 && read.usd.is_none() && read.tokens.is_none() && read.time.is_none() {
        let problem =
            Problem::warning("evaluation::idle_option", "`reserve` keeps back a share of a budget, and none is given");
        reader.problem(problem, node.span);
    }
    read
}

pub(super) fn read_report(reader: &mut Reader<'_>, node: &Node) -> ReportSpec {
    let mut read = ReportSpec::default();
    for entry in reader.entries(node, "report") {
        let value = &entry.value;
        let mut path = || reader.own_path(&entry.key, value);
        match &*entry.key {
            "junit" => read.junit = path(),
            "sarif" => read.sarif = path(),
            "html" => read.html = path(),
            "markdown" => read.markdown = path(),
            "summary" => read.summary = reader.boolean("summary", value),
            "comment" => {
                let words = [("sticky", true), ("none", false), ("false", false)];
                read.comment = reader.word("comment", value, &words);
            }
            "annotations" => read.annotations = reader.whole("annotations", value, 0, 50),
            _ => reader.unknown_key(entry, "`report`", &REPORT_KEYS),
        }
    }
    read
}
