//! The one error that ends a command: a kind, its causes, its hints; the kind chooses the exit code.

use sluicegate_source::Problem;

use crate::exit::Exit;

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The author's files are wrong; every problem has its place.
    Problems(Vec<Problem>),
    /// Anything else.
    Other(Complaint),
}

/// What is said to the person who typed the command.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hints: Vec<String>,
}

impl CliError {
    /// The command was asked wrongly.
    pub(crate) fn misused(message: impl Into<String>) -> Self {
        Self::Other(Complaint { exit: Exit::Misused, message: message.into(), causes: Vec::new(), hints: Vec::new() })
    }

    /// The command ran and failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Other(Complaint { exit: Exit::Failed, message: message.into(), causes: Vec::new(), hints: Vec::new() })
    }

    /// Adds what caused it.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        if let Self::Other(complaint) = &mut self {
            complaint.causes.push(cause.into());
        }
        self
    }

    /// Adds what one can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Other(complaint) = &mut self {
            complaint.hints.push(hint.into());
        }
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Problems(_) => Exit::Misused,
            Self::Other(complaint) => complaint.exit,
        }
    }
}

impl From<Vec<Problem>> for CliError {
    fn from(problems: Vec<Problem>) -> Self {
        Self::Problems(problems)
    }
}
