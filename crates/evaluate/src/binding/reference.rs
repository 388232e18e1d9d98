//! `${data.x}`, `${target.x}`, `${run.outputs.x}`: where an input of an evaluator comes from.

use std::fmt;
use std::sync::Arc;

use sluicegate_value::{Map, Value};

/// A column of the data, or an output of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which of the maps.
    pub side: Side,
    /// The column or output, or the way into it, with dots.
    pub path: Arc<str>,
}

/// Which of the maps that a case has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Columns of the data: `${data.x}`.
    Data,
    /// Outputs of the target: `${target.x}`, and `${run.outputs.x}`, as prompt flow has it.
    Target,
    /// Inputs that the target was run with: `${run.inputs.x}`.
    RunInputs,
    /// Outputs of the baseline for the same case, where there is one: `${baseline.x}`.
    Baseline,
}

const PREFIXES: [(&str, Side); 5] = [
    ("data.", Side::Data),
    ("target.", Side::Target),
    ("run.outputs.", Side::Target),
    ("run.inputs.", Side::RunInputs),
    ("baseline.", Side::Baseline),
];

/// Why a text that looks like a reference is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It refers to something else.
    #[error("`{0}` refers to nothing that an evaluator can read")]
    Unknown(String),
    /// The text has more than the reference.
    #[error("a reference must be the whole text, and `{0}` has more")]
    Embedded(String),
}

impl Reference {
    /// Reads a text: a reference, a plain text (`None`), or what should be a reference and is none.
    ///
    /// # Errors
    /// A reference to something else, and one in the middle of a text.
    pub fn parse(text: &str) -> Result<Option<Self>, ReferenceError> {
        let trimmed = text.trim();
        let Some(at) = trimmed.find("${") else { return Ok(None) };
        let body = trimmed.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let Some(body) = body.filter(|body| !body.contains(['{', '}'])) else {
            let is_ours = PREFIXES.iter().any(|(prefix, _)| trimmed[at + 2..].starts_with(prefix));
            return if is_ours { Err(ReferenceError::Embedded(trimmed.to_owned())) } else { Ok(None) };
        };
        let found = PREFIXES.iter().find_map(|(prefix, side)| {
            let path = body.strip_prefix(prefix).filter(|path| !path.is_empty())?;
            Some(Self { side: *side, path: path.into() })
        });
        found.map(Some).ok_or_else(|| ReferenceError::Unknown(trimmed.to_owned()))
    }

    /// The first name of the path that one of `names` is, the longest first; `None` if none is.
    pub(crate) fn first_of<'n>(&self, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        names
            .filter(|name| self.path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
            .max_by_key(|name| name.len())
    }
}

/// The value of the longest key that `path` begins with, and so on into it; a number leads into a list.
#[must_use]
pub fn lookup<'v>(map: &'v Map, path: &str) -> Option<&'v Value> {
    map.get(path)
        .or_else(|| path.rmatch_indices('.').find_map(|(dot, _)| within(map.get(&path[..dot])?, &path[dot + 1..])))
}

fn within<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    match value {
        Value::Map(map) => lookup(map, path),
        Value::List(items) => {
            let (index, rest) = path.split_once('.').map_or((path, None), |(index, rest)| (index, Some(rest)));
            let item = items.get(index.parse::<usize>().ok()?)?;
            rest.map_or(Some(item), |rest| within(item, rest))
        }
        _ => None,
    }
}

impl Side {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Target => "target",
            Self::RunInputs => "run.inputs",
            Self::Baseline => "baseline",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "${{{}.{}}}", self.side.word(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Reference::parse(text) {
            Ok(Some(reference)) => reference.to_string(),
            Ok(None) => "text".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_reference_is_the_whole_text() {
        check("${data.question}", "${data.question}");
        check("${target.answer.text}", "${target.answer.text}");
        check("${run.outputs.answer}", "${target.answer}");
        check("${baseline.answer}", "${baseline.answer}");
        check("Paris", "text");
        check("a price of ${5}0", "text");
        check("see ${data.q}", "a reference must be the whole text, and `see ${data.q}` has more");
        check("${inputs.q}", "`${inputs.q}` refers to nothing that an evaluator can read");
        check("${data.}", "`${data.}` refers to nothing that an evaluator can read");
    }

    #[test]
    fn a_path_leads_through_names_with_dots_and_lists() {
        let row = sluicegate_value::json::read(r#"{"a.b": {"c": [10, {"d": 2}]}, "x": null}"#).unwrap();
        let row = row.as_map().unwrap();
        assert_eq!(lookup(row, "a.b.c.1.d"), Some(&Value::from(2_i64)));
        assert_eq!(lookup(row, "a.b.c.0"), Some(&Value::from(10_i64)));
        assert_eq!(lookup(row, "x"), Some(&Value::Null));
        assert_eq!(lookup(row, "x.y"), None);
        assert_eq!(lookup(row, "a.b.c.7"), None);
    }
}
