//! What a batch was asked to do: that which changes its lines, so that a resume does the same.

use std::sync::Arc;

use sluicegate_dataset::MappingEntry;
use sluicegate_value::{Map, Value};

/// What to do with rows that cannot be read, or are no inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum OnBadLine {
    /// Tell all of them and begin nothing
    #[default]
    Stop,
    /// Let their lines fail and run the others
    FailLine,
}

/// Which lines a batch has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Files and folders of rows, absolute; `-` is standard input.
    pub(crate) data: Vec<String>,
    /// The earlier run whose inputs and outputs are columns.
    pub(crate) run: Option<String>,
    /// Which column feeds which input.
    pub(crate) mapping: Vec<MappingEntry>,
    /// Which lines are wanted.
    pub(crate) filter: Option<String>,
    /// How many of them.
    pub(crate) limit: Option<u64>,
    pub(crate) on_bad_line: OnBadLine,
}

impl Asked {
    /// What a run remembers of it.
    pub(crate) fn remembered(&self) -> Map {
        let mut map = Map::new();
        map.insert("data", self.data.iter().map(|name| Value::from(name.as_str())).collect::<Vec<_>>());
        map.insert("run", self.run.as_deref());
        let mapping = self.mapping.iter().map(|entry| (entry.target.clone(), entry.value.clone()));
        map.insert("column_mapping", mapping.collect::<Map>());
        map.insert("where", self.filter.as_deref());
        map.insert("limit", self.limit);
        map.insert(
            "on_bad_line",
            match self.on_bad_line {
                OnBadLine::Stop => "stop",
                OnBadLine::FailLine => "fail-line",
            },
        );
        map
    }

    /// The same, from what a run remembers.
    pub(crate) fn from_remembered(map: &Map) -> Self {
        let text = |name: &str| map.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let data = map.get("data").and_then(Value::as_list).unwrap_or_default();
        let mapping = map.get("column_mapping").and_then(Value::as_map);
        Self {
            data: data.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect(),
            run: text("run"),
            mapping: mapping.map(|map| MappingEntry::of_map(map, None)).unwrap_or_default(),
            filter: text("where"),
            limit: match map.get("limit") {
                Some(Value::Int(limit)) => u64::try_from(*limit).ok(),
                _ => None,
            },
            on_bad_line: match text("on_bad_line").as_deref() {
                Some("fail-line") => OnBadLine::FailLine,
                _ => OnBadLine::Stop,
            },
        }
    }

    /// An entry of `--column-mapping`: `question=${data.q}`.
    pub(crate) fn mapping_entry(text: &str) -> Option<MappingEntry> {
        let (target, value) = text.split_once('=')?;
        Some(MappingEntry { target: Arc::from(target.trim()), value: Value::from(value), at: None })
    }
}
