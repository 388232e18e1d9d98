//! What goes wrong in Python, as nodes tell it.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_events::Failure;
use sluicegate_python::{PythonError, Raised};
use sluicegate_value::{Map, Value};

use crate::nodes::{AttemptFailure, Lost, timed_out};

/// Why a call gave no value, as its node tells it.
pub(crate) fn attempt_failure(error: &PythonError, timeout: Option<Duration>) -> AttemptFailure {
    match error {
        PythonError::Raised(raised) => AttemptFailure::passing(of_raised(raised)),
        PythonError::TimedOut => AttemptFailure::passing(timed_out(timeout.unwrap_or_default())),
        PythonError::WorkerDied { stderr, .. } => {
            let mut failure = Failure::new("python_died", error.to_string())
                .hint("look at what native code or `os._exit` it calls; another worker has taken its place");
            if !stderr.is_empty() {
                failure.details = Map::from([("stderr", stderr.as_str())]).into();
            }
            AttemptFailure::passing(failure)
        }
        PythonError::WorkerReplaced { .. } => {
            AttemptFailure::passing(Failure::new("python_replaced", error.to_string()))
        }
        PythonError::HandleLost { lost } => {
            let mut workers: Vec<Arc<str>> = lost.iter().map(|(worker, _)| worker.clone()).collect();
            workers.sort();
            workers.dedup();
            let lost = workers.into_iter().map(|worker| Lost { worker, objects: Vec::new() }).collect();
            let failure = Failure::new("python_lost", error.to_string())
                .hint("what needs them ends their worker each time: look at why it dies");
            AttemptFailure { lost, ..AttemptFailure::passing(failure) }
        }
        PythonError::HandlesApart { elsewhere, .. } => {
            let mut lost: Vec<Lost> = Vec::new();
            for (worker, object) in elsewhere {
                match lost.iter_mut().find(|lost| lost.worker == *worker) {
                    Some(lost) => lost.objects.push(*object),
                    None => lost.push(Lost { worker: worker.clone(), objects: vec![*object] }),
                }
            }
            AttemptFailure { lost, ..AttemptFailure::passing(Failure::new("python_lost", error.to_string())) }
        }
        PythonError::LoadFailed { code, message, raised } => {
            let mut failure = Failure::new("python_load", format!("({code}) {message}"));
            failure.details = details(raised);
            AttemptFailure::lasting(failure)
        }
        PythonError::NoInterpreter(missing) => {
            AttemptFailure::lasting(Failure::new("python_missing", error.to_string()).hint(missing.help()))
        }
        PythonError::TooLarge { .. } => AttemptFailure::lasting(Failure::new("too_large", error.to_string())),
        other => AttemptFailure::lasting(Failure::new("python_missing", other.to_string())),
    }
}

/// An exception, in the original's words: `(ValueError) no such thing`.
fn of_raised(raised: &Raised) -> Failure {
    let mut failure = Failure::new("python", words(raised));
    failure.details = details(raised);
    if let Some(missing) = &raised.missing {
        failure.hint =
            Some(format!("install it: `python -m pip install {missing}`, with the Python that runs the flow"));
    }
    failure
}

/// An exception in the original's words.
fn words(raised: &Raised) -> String {
    format!("({}) {}", raised.type_name, raised.message)
}

fn details(raised: &Raised) -> Value {
    let mut details = Map::from([("type", raised.type_name.as_str())]);
    for (name, text) in [("module", &raised.module), ("traceback", &raised.traceback)] {
        if !text.is_empty() {
            details.insert(name, text.as_str());
        }
    }
    if let Some(file) = &raised.file {
        details.insert("file", file.as_str());
    }
    if let Some(line) = raised.line {
        details.insert("line", Value::from(line));
    }
    if let Some(function) = &raised.function {
        details.insert("function", function.as_str());
    }
    if !raised.codes.is_empty() {
        details.insert("codes", raised.codes.iter().map(|code| Value::from(code.as_str())).collect::<Vec<_>>());
    }
    details.into()
}
