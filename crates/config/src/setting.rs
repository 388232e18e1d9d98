//! One value with everything that is known about it.

use std::fmt;
use std::sync::Arc;

use sluicegate_value::Value;

use crate::{Origin, redactor};

/// A value after its variables were looked up. Prints without its value if that is secret.
#[derive(Clone)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Who set it; for a text such as `${NAME}`, where that text stands.
    pub origin: Origin,
    /// The variables that it was made of, each with who set it.
    pub variables: Vec<(Arc<str>, Origin)>,
    /// Whether it must not be shown.
    pub secret: bool,
    /// Whether it is the value of a single variable and nothing else, so that its text may mean a number.
    pub(crate) whole: bool,
}

impl Setting {
    /// The value as text for a person: secrets are masked, text stands without quotes.
    #[must_use]
    pub fn shown(&self) -> String {
        match &self.value {
            _ if self.secret => redactor::MASK.to_owned(),
            Value::Str(text) => text.to_string(),
            other => other.to_json(),
        }
    }

    /// Who set the value, and from which variables it was made: `config/config.yaml:7, from `NAME` in .env`.
    #[must_use]
    pub fn provenance(&self) -> String {
        let mut text = self.origin.to_string();
        for (_, origin) in &self.variables {
            text += ", from ";
            text += &origin.to_string();
        }
        text
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Setting").field("shown", &self.shown()).field("provenance", &self.provenance()).finish()
    }
}
