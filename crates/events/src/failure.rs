//! Why a node or a run failed, as data.

use serde::{Deserialize, Serialize};
use sluicegate_value::Value;

/// Why something failed: enough for a person, a machine, and a later version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable name: a model error's code (`rate_limited`), or `template`, `expression`, `reference`, `input`,
    /// `timeout`, `loop_limit`, `http_status`, `malformed_output`, `filtered`, `refused`, `cut_off`, `journal`,
    /// `cancelled`, …
    pub code: String,
    /// What happened, one lower-case fragment.
    pub message: String,
    /// What caused it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What one can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Facts that a listener may want (a Python traceback, a place in a template).
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl Failure {
    /// A failure with a code and a message.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), causes: Vec::new(), hint: None, details: Value::Null }
    }

    /// Adds what one can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
