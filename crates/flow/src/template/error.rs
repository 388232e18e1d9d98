//! What can fail while a template is filled in.

use std::fmt;
use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};

/// Why a template could not be filled in, in Python's words where Python fails too.
#[derive(Clone, Debug)]
pub struct RenderError {
    /// The name of Python's exception: `UndefinedError`, `TypeError`, `ZeroDivisionError` …; `LimitError` for what
    /// goes beyond the budget.
    pub class: &'static str,
    /// What is wrong: `'missing' is undefined`.
    pub message: String,
    /// The file that the template stands in.
    pub file: Arc<SourceFile>,
    /// Where.
    pub span: Span,
}

impl RenderError {
    /// The same as a problem, for those who print the place too.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        Problem::error("flow::render", format!("failed to render: {}: {}", self.class, self.message))
            .in_file(&self.file)
            .at(self.span, "")
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.file.position(self.span.start);
        write!(out, "{}: {} ({}:{}:{})", self.class, self.message, self.file.name(), place.line, place.column)
    }
}

impl std::error::Error for RenderError {}
