//! Why a tool cannot be called, as a problem of the author's files.

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::Node;
use sluicegate_python::{PythonError, Raised};
use sluicegate_source::{Problem, SourceFile, Span};

use crate::nodes::AttemptFailure;

/// Why a node's tool cannot be called.
#[derive(Debug)]
pub(crate) struct LoadTrouble {
    /// The original's name for it.
    pub(super) class: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    pub(super) raised: Option<Box<Raised>>,
    /// The node's file, and the line in it.
    pub(super) line: Option<(Arc<SourceFile>, u64)>,
    /// It is about Python, not about this node.
    pub(super) is_general: bool,
}

impl LoadTrouble {
    pub(super) fn new(class: &str, message: impl Into<String>) -> Self {
        let (class, message) = (class.to_owned(), message.into());
        Self { class, message, help: None, raised: None, line: None, is_general: false }
    }

    pub(super) fn of_python(error: PythonError) -> Self {
        match error {
            PythonError::LoadFailed { code, message, raised } => {
                Self { raised: Some(raised), ..Self::new(&code, message) }
            }
            PythonError::InvalidLiteral { message } => Self::new("NodeInputValidationError", message),
            PythonError::Raised(raised) => Self { message: raised.to_string(), ..Self::raised(raised) },
            PythonError::NoInterpreter(missing) => {
                let help = Some(missing.help());
                Self { help, is_general: true, ..Self::new("", missing.to_string()) }
            }
            other => Self { is_general: true, ..Self::new("", other.to_string()) },
        }
    }

    fn raised(raised: Box<Raised>) -> Self {
        let class = raised.type_name.clone();
        Self { raised: Some(raised), ..Self::new(&class, "") }
    }

    pub(super) fn problem(self, node: &Node) -> Problem {
        let code = match &*self.class {
            "" => "python::no_python",
            "NoToolDefined" => "python::no_tool_defined",
            "MultipleToolsDefined" => "python::multiple_tools_defined",
            "PythonLoadError" => "python::python_load_error",
            "PackageToolNotFoundError" => "python::package_tool_not_found_error",
            "NodeInputValidationError" => "python::node_input_validation_error",
            "GetConnectionError" => "python::get_connection_error",
            "InvalidFlowEntry" => "python::invalid_flow_entry",
            _ => "python::tool_load_error",
        };
        if self.is_general {
            let problem = Problem::error(code, self.message);
            return match self.help {
                Some(help) => problem.help(help),
                None => problem,
            };
        }
        let message = format!("the tool of node `{}` cannot be loaded: ({}) {}", node.name, self.class, self.message);
        let problem = Problem::error(code, message);
        let problem = match &self.line {
            Some((file, line)) => problem.in_file(file).at(line_of(file, *line), "here"),
            None => problem.in_file(&node.at.file).at(node.at.span, ""),
        };
        // One frame of the author's says no more than the place does.
        let frames = |raised: &Raised| raised.traceback.matches("  File \"").count();
        let told = self.raised.filter(|raised| frames(raised) > usize::from(self.line.is_some()));
        match (self.help, told) {
            (Some(help), _) => problem.help(help),
            (None, Some(raised)) => problem.help(raised.traceback.trim_end().to_owned()),
            (None, None) => problem,
        }
    }

    /// The same, where it is found only when the node runs.
    pub(crate) fn failure(self) -> AttemptFailure {
        let code = if self.is_general { "python_missing" } else { "python_load" };
        let message = if self.is_general { self.message } else { format!("({}) {}", self.class, self.message) };
        let mut failure = Failure::new(code, message);
        failure.hint = self.help;
        AttemptFailure::lasting(failure)
    }
}

/// A line of a file, without its break.
fn line_of(file: &SourceFile, line: u64) -> Span {
    let mut start = 0;
    for (index, text) in file.text().split_inclusive('\n').enumerate() {
        if index as u64 + 1 == line {
            return Span::new(start, start + text.trim_end().len());
        }
        start += text.len();
    }
    Span::default()
}
