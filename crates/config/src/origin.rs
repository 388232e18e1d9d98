//! Who set a value.

use std::fmt;
use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};

/// Who set a value. The order of the variants is the order of precedence, the weakest first.
#[derive(Clone)]
pub enum Origin {
    /// Nobody: it is built in.
    Default,
    /// A file of the project: `config/config.yaml`, or `config/ENVIRONMENT.yaml` over it.
    File {
        /// The file.
        file: Arc<SourceFile>,
        /// The value's place in it.
        span: Span,
    },
    /// A variable of a `.env` file.
    DotEnv {
        /// The variable.
        name: Arc<str>,
        /// The file's name.
        file: Arc<str>,
    },
    /// A variable of the process.
    Process {
        /// The variable.
        name: Arc<str>,
    },
    /// A flag of the command line.
    Flag {
        /// The flag, as it is written: `--connection`.
        name: Arc<str>,
    },
}

impl Origin {
    /// Marks the value's place in a problem, if it has one.
    pub(crate) fn mark(&self, problem: Problem, label: &str) -> Problem {
        match self {
            Self::File { file, span } => problem.in_file(file).at(*span, label),
            Self::Default | Self::DotEnv { .. } | Self::Process { .. } | Self::Flag { .. } => problem,
        }
    }
}

/// As in `config/config.yaml:7`, "`NAME` in .env", "`NAME` of the process", "`--flag`", "built-in default".
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("built-in default"),
            Self::File { file, span } => write!(out, "{}:{}", file.name(), file.position(span.start).line),
            Self::DotEnv { name, file } => write!(out, "`{name}` in {file}"),
            Self::Process { name } => write!(out, "`{name}` of the process"),
            Self::Flag { name } => write!(out, "`{name}`"),
        }
    }
}

/// As it is displayed: the text of a whole file says too much.
impl fmt::Debug for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Origin({self})")
    }
}
