//! What can go wrong with Python.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_value::Value;

use crate::interpreter::NoInterpreter;

/// Why a tool was not loaded, or its call gave no value.
///
/// Texts that come from user code (messages, tracebacks, stderr) may hold secrets: who shows or keeps them passes them
/// through the redactor, as everything else.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PythonError {
    /// User code raised an exception.
    #[error("{0}")]
    Raised(Box<Raised>),
    /// The tool cannot be loaded.
    #[error("{message}")]
    LoadFailed {
        /// The original's name for why (`NoToolDefined`, `MultipleToolsDefined`, `PythonLoadError`,
        /// `PackageToolNotFoundError`, `InvalidFlowEntry`), else the class of the exception.
        code: String,
        /// The original's words.
        message: String,
        /// The exception behind it.
        raised: Box<Raised>,
    },
    /// A literal is not what the function's annotation wants (the original's `NodeInputValidationError`).
    #[error("{message}")]
    InvalidLiteral {
        /// The original's words.
        message: String,
    },
    /// An object has no such property, key or index.
    #[error("{0}")]
    NoSuchProperty(Box<Raised>),
    /// The worker died while the call ran in it.
    #[error("the Python worker died ({how})")]
    WorkerDied {
        /// Of what.
        how: HowDied,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// The worker was killed, or died, of another call: this one may simply be made again.
    #[error("the Python worker was replaced: {because}")]
    WorkerReplaced {
        /// Why.
        because: &'static str,
    },
    /// The call took longer than it may.
    #[error("timed out")]
    TimedOut,
    /// A value is too long to travel.
    #[error("{message}")]
    TooLarge {
        /// How long it is, and may be.
        message: String,
    },
    /// There is no Python to start.
    #[error("{0}")]
    NoInterpreter(Box<NoInterpreter>),
    /// Python is older than the tools' code may expect.
    #[error("`{program}` is Python {found}; at least {} is needed", crate::interpreter::OLDEST)]
    TooOld {
        /// The interpreter.
        program: PathBuf,
        /// Its version.
        found: String,
    },
    /// A worker did not come up.
    #[error("the Python worker did not start ({how})")]
    StartFailed {
        /// Why.
        how: HowDied,
        /// The end of what it wrote to stderr.
        stderr: String,
    },
    /// Objects that are needed lived in a worker that is gone: the nodes that made them have to run again.
    #[error("{} Python {} lost with a worker", lost.len(), if lost.len() == 1 { "object was" } else { "objects were" })]
    HandleLost {
        /// The worker and number of each.
        lost: Vec<(Arc<str>, u64)>,
    },
    /// Objects that are needed together live in two workers, and none of them can travel.
    #[error(
        "the inputs hold objects of different Python workers, which cannot meet: `{}` and `{}`",
        types.0, types.1
    )]
    HandlesApart {
        /// The worker that a call with these inputs would go to, and to which the line is bound.
        worker: Arc<str>,
        /// The worker and number of each object that is elsewhere; the nodes that made them would have to run again.
        elsewhere: Vec<(Arc<str>, u64)>,
        /// The type of an object here, and of one elsewhere.
        types: (Arc<str>, Arc<str>),
    },
    /// The pool was shut down.
    #[error("the Python workers were shut down")]
    ShutDown,
    /// The Python files of this program cannot be put where Python finds them.
    #[error("cannot put the worker's files into place: {0}")]
    NotInstalled(Arc<std::io::Error>),
    /// Worker and host do not understand each other.
    #[error("the Python worker sent what was not expected: {0}")]
    Protocol(String),
}

impl PythonError {
    /// Whether the same call may be made again without counting as an attempt: it was not to blame.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Self::WorkerReplaced { .. })
    }

    /// The exception, if one was raised.
    #[must_use]
    pub fn raised(&self) -> Option<&Raised> {
        match self {
            Self::Raised(raised) | Self::LoadFailed { raised, .. } | Self::NoSuchProperty(raised) => Some(raised),
            _ => None,
        }
    }
}

/// A Python exception.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
pub struct Raised {
    /// Its class, without the module.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The module of its class.
    pub module: String,
    /// What `str()` says of it; may be empty.
    pub message: String,
    /// The traceback as Python prints it, with causes, without our own frames.
    pub traceback: String,
    /// The file where it was raised.
    pub file: Option<String>,
    /// The line in that file, from 1.
    pub line: Option<u64>,
    /// The function in that file.
    pub function: Option<String>,
    /// `UserError` or `SystemError` and the class, for exceptions of prompt flow's own classes.
    pub codes: Vec<String>,
    /// The package that an import did not find.
    pub missing: Option<String>,
}

impl fmt::Display for Raised {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            out.write_str(&self.type_name)
        } else {
            write!(out, "{}: {}", self.type_name, self.message)
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HowDied {
    /// It exited with this code.
    Exit(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// It could not be started.
    Spawn(String),
    /// It did not say that it is ready in time.
    Silent,
    /// Nobody can say.
    Unknown,
}

impl HowDied {
    pub(crate) fn of(status: std::process::ExitStatus) -> Self {
        #[cfg(unix)]
        if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
            return Self::Signal(signal);
        }
        status.code().map_or(Self::Unknown, Self::Exit)
    }
}

impl fmt::Display for HowDied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(out, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(out, "signal {number}, {name}"),
                None => write!(out, "signal {number}"),
            },
            Self::Spawn(why) => out.write_str(why),
            Self::Silent => out.write_str("it did not answer in time"),
            Self::Unknown => out.write_str("for an unknown reason"),
        }
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL, perhaps for want of memory",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// Every handle in a value, in order.
pub(crate) fn handles_in(value: &Value, found: &mut Vec<Arc<sluicegate_value::Handle>>) {
    match value {
        Value::Handle(handle) => found.push(handle.clone()),
        Value::List(items) => items.iter().for_each(|item| handles_in(item, found)),
        Value::Map(map) => map.values().for_each(|item| handles_in(item, found)),
        _ => {}
    }
}
