//! References to columns.

use std::fmt;
use std::sync::Arc;

use sluicegate_value::{Map, Value};

use crate::lines::RunRow;
use crate::row::Row;

/// A column of the data or of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) side: Side,
    pub(super) name: Arc<str>,
}

/// Which side of the join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Data,
    RunInputs,
    RunOutputs,
}

pub(super) const LINE_NUMBER: &str = "line_number";

impl Side {
    pub(super) const ALL: [Self; 3] = [Self::Data, Self::RunInputs, Self::RunOutputs];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::RunInputs => "run.inputs",
            Self::RunOutputs => "run.outputs",
        }
    }
}

/// What stands between `${` and `}`, if that is the whole text.
pub(super) fn body(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.strip_suffix('}').filter(|body| !body.is_empty() && !body.contains(['{', '}']))
}

impl Reference {
    /// A reference, if the body names a side and a column.
    pub(super) fn parse(body: &str) -> Option<Self> {
        Side::ALL.into_iter().find_map(|side| {
            let name = body.strip_prefix(side.word())?.strip_prefix('.').filter(|name| !name.is_empty())?;
            Some(Self { side, name: name.into() })
        })
    }

    /// What a line has there.
    pub(super) fn find(&self, row: &Row, run: Option<&RunRow>, number: u64) -> Option<Value> {
        let columns = match self.side {
            Side::Data => &row.columns,
            Side::RunInputs => &run?.inputs,
            Side::RunOutputs => &run?.outputs,
        };
        let found = lookup(columns, &self.name).cloned();
        found.or_else(|| (&*self.name == LINE_NUMBER).then(|| Value::from(number)))
    }
}

/// The value of the longest key that `path` begins with, and so on into it.
fn lookup<'a>(map: &'a Map, path: &str) -> Option<&'a Value> {
    map.get(path).or_else(|| {
        path.rmatch_indices('.').find_map(|(dot, _)| lookup(map.get(&path[..dot])?.as_map()?, &path[dot + 1..]))
    })
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "${{{}.{}}}", self.side.word(), self.name)
    }
}
