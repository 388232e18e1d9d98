//! What is read: a row, or why there is none.

use std::fmt;
use std::sync::Arc;

use sluicegate_source::{Position, Problem, SourceFile, Span};
use sluicegate_value::Map;

/// A row of the data.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number over all sources, from 0; rows that cannot be read are counted too.
    pub number: u64,
    /// Its columns, in the order of the file. Of two equal keys of a JSON object the last counts; cells of CSV and TSV
    /// are texts, an empty one the empty text.
    pub columns: Map,
    /// Where it stands; `None` for what has no file, as a line of an earlier run.
    pub place: Option<RowPlace>,
}

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPlace {
    /// The file, by the name it was given.
    pub file: Arc<str>,
    /// The line of its text, from 1, on which the row begins.
    pub line: u64,
}

/// A row that cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct BadRow {
    /// Its number over all sources, from 0.
    pub number: u64,
    /// What is wrong, with the file, line, column and a short excerpt.
    pub problem: Problem,
    /// Whether more than this row is lost: the rest of the file cannot be read, or it is not known which line this is.
    /// Then it cannot count as one failed line.
    pub is_fatal: bool,
}

impl Row {
    /// A problem at the beginning of this row; one without a file names the row by its number.
    #[must_use]
    pub fn problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        match &self.place {
            Some(place) => place.mark(Problem::error(code, message)),
            None => Problem::error(code, format!("line {}: {}", self.number, message.into())),
        }
    }
}

impl RowPlace {
    /// Puts the place of a row on a problem; its text is no longer at hand.
    #[must_use]
    pub fn mark(&self, problem: Problem) -> Problem {
        let first = Position { line: usize::try_from(self.line).unwrap_or(usize::MAX), column: 1 };
        problem.in_file(&SourceFile::excerpt(self.file.clone(), "", first)).at(Span::default(), "")
    }
}

impl fmt::Display for RowPlace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.line)
    }
}
