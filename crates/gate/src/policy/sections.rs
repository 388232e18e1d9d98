//! `baseline:` and `sequential:`.

use sluicegate_source::Problem;
use sluicegate_source::yaml::Node;
use sluicegate_value::{Map, Value};

use super::reader::Reader;

/// What the candidate is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct BaselinePolicy {
    /// Where it comes from.
    pub from: BaselineSource,
    /// What it means that there is none.
    pub otherwise: NoBaseline,
    /// How old a stored receipt may be, in days.
    pub max_age_days: f64,
    /// What must be equal for the two to be comparable: `data`, `evaluators`, `judge`, `policy`, and
    /// `served_model`, the model that answered by the endpoint's word.
    pub compatible_on: Vec<String>,
}

/// Where a baseline comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaselineSource {
    /// The commit at which this branch left the main one.
    MergeBase,
    /// No comparison.
    None,
    /// A commit, a branch or the path of a receipt.
    Named(String),
}

/// What it means that there is no baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoBaseline {
    /// Comparisons are skipped, and it is said.
    Warn,
    /// The evaluation is invalid.
    Invalid,
}

/// Looks at the evidence before all of it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequential {
    /// How the chance of a false alarm is spent over the looks.
    pub method: SpendingMethod,
    /// How many looks, the last included.
    pub looks: u32,
    /// No look before so many cases.
    pub min_cases: u32,
}

/// How the chance of a false alarm is spent over the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendingMethod {
    /// Little at first, nearly all at the end.
    ObrienFleming,
    /// About the same at each look.
    Pocock,
}

impl Default for BaselinePolicy {
    fn default() -> Self {
        Self {
            from: BaselineSource::MergeBase,
            otherwise: NoBaseline::Warn,
            max_age_days: 7.0,
            compatible_on: ["data", "evaluators", "judge"].map(str::to_owned).to_vec(),
        }
    }
}

const COMPATIBLE: [(&str, &str); 5] = [
    ("data", "data"),
    ("evaluators", "evaluators"),
    ("judge", "judge"),
    ("policy", "policy"),
    ("served_model", "served_model"),
];
const OTHERWISE: [(&str, NoBaseline); 2] = [("warn", NoBaseline::Warn), ("invalid", NoBaseline::Invalid)];
const METHODS: [(&str, SpendingMethod); 2] =
    [("obrien-fleming", SpendingMethod::ObrienFleming), ("pocock", SpendingMethod::Pocock)];

pub(super) fn read_baseline(reader: &mut Reader<'_>, node: &Node) -> BaselinePolicy {
    let mut read = BaselinePolicy::default();
    if let Some(text) = node.as_str() {
        read.from = source(text);
        return read;
    }
    for entry in reader.entries(node, "baseline") {
        let value = &entry.value;
        match &*entry.key {
            "from" => {
                if let Some(text) = reader.text("from", value) {
                    read.from = source(text);
                }
            }
            "otherwise" => read.otherwise = reader.word("otherwise", value, &OTHERWISE).unwrap_or(read.otherwise),
            "max_age" => read.max_age_days = days(reader, "max_age", value).unwrap_or(read.max_age_days),
            "compatible_on" => match value.as_list() {
                Some(items) => {
                    let words = items.iter().filter_map(|item| reader.word("compatible_on", item, &COMPATIBLE));
                    read.compatible_on = words.map(str::to_owned).collect();
                }
                None => reader.wrong_type("compatible_on", "a list", value),
            },
            _ => reader.unknown_key(entry, "`baseline`", &["from", "otherwise", "max_age", "compatible_on"]),
        }
    }
    read
}

pub(super) fn read_sequential(reader: &mut Reader<'_>, node: &Node) -> Option<Sequential> {
    let mut read = Sequential { method: SpendingMethod::ObrienFleming, looks: 3, min_cases: 30 };
    if let Some(on) = node.as_scalar().and_then(Value::as_bool) {
        return on.then_some(read);
    }
    for entry in reader.entries(node, "sequential") {
        let value = &entry.value;
        match &*entry.key {
            "method" => read.method = reader.word("method", value, &METHODS).unwrap_or(read.method),
            "looks" => read.looks = reader.whole("looks", value, 1, 20).unwrap_or(read.looks),
            "min_cases" => read.min_cases = reader.whole("min_cases", value, 1, u32::MAX).unwrap_or(read.min_cases),
            _ => reader.unknown_key(entry, "`sequential`", &["method", "looks", "min_cases"]),
        }
    }
    Some(read)
}

/// Days, written as `7d`, or as any shorter time.
pub(super) fn days(reader: &mut Reader<'_>, key: &str, node: &Node) -> Option<f64> {
    let read = node.as_str().and_then(|text| match text.trim().strip_suffix('d') {
        Some(days) => days.trim().parse::<f64>().ok().filter(|days| days.is_finite() && *days >= 0.0),
        None => sluicegate_value::duration::parse(text).ok().map(|time| time.as_secs_f64() / 86_400.0),
    });
    if read.is_none() {
        let message = format!("`{key}` must be a time such as `7d` or `12h`");
        reader.problem(Problem::error("gate::wrong_value", message), node.span);
    }
    read
}

fn source(text: &str) -> BaselineSource {
    match text {
        "merge-base" | "merge_base" => BaselineSource::MergeBase,
        "none" => BaselineSource::None,
        other => BaselineSource::Named(other.to_owned()),
    }
}

impl BaselinePolicy {
    pub(super) fn expanded(&self) -> Value {
        let from = match &self.from {
            BaselineSource::MergeBase => "merge-base",
            BaselineSource::None => "none",
            BaselineSource::Named(name) => name,
        };
        let otherwise =
            OTHERWISE.iter().find(|(_, meaning)| *meaning == self.otherwise).map_or("warn", |(word, _)| word);
        let on: Vec<Value> = self.compatible_on.iter().map(|word| Value::from(word.as_str())).collect();
        Map::from([
            ("from", Value::from(from)),
            ("otherwise", otherwise.into()),
            ("max_age", format!("{}d", self.max_age_days).into()),
            ("compatible_on", on.into()),
        ])
        .into()
    }
}

impl Sequential {
    pub(super) fn expanded(&self) -> Value {
        let method = METHODS.iter().find(|(_, meaning)| *meaning == self.method).map_or("", |(word, _)| *word);
        Map::from([
            ("method", Value::from(method)),
            ("looks", i64::from(self.looks).into()),
            ("min_cases", i64::from(self.min_cases).into()),
        ])
        .into()
    }
}
