//! Something wrong in an author's file.

use std::fmt;
use std::sync::Arc;

use crate::{SourceFile, Span};

/// Something wrong in an author's file: what, where, and what to do.
///
/// Prints as one line, `flows/a/flow.dag.yaml:3:5: node `x` …`; the command line prints the snippet too.
#[derive(Clone, Debug)]
pub struct Problem {
    /// A stable name for machines and documentation, such as `flow::unknown_node`.
    pub code: &'static str,
    /// Whether it stops the run.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment, names in backticks.
    pub message: String,
    /// The file; `None` if the problem is that there is none.
    pub file: Option<Arc<SourceFile>>,
    /// Where, the main place first; empty if the whole file is meant.
    pub labels: Vec<Label>,
    /// What one can do about it.
    pub help: Option<String>,
}

/// Whether a problem stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does not.
    Warning,
    /// It does.
    Error,
}

/// A marked place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Where, in the problem's file.
    pub span: Span,
    /// What to say there; may be empty.
    pub text: String,
}

impl Problem {
    /// An error that has no place yet.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Error, message: message.into(), file: None, labels: Vec::new(), help: None }
    }

    /// A warning that has no place yet.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, file: &Arc<SourceFile>) -> Self {
        self.file = Some(file.clone());
        self
    }

    /// Marks a place in the file; the first call gives the main place.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what one can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(out, "{}:", file.name())?;
            if let Some(label) = self.labels.first() {
                let place = file.position(label.span.start);
                write!(out, "{}:{}:", place.line, place.column)?;
            }
            out.write_str(" ")?;
        }
        out.write_str(&self.message)
    }
}
