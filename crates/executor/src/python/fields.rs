//! The particulars of a question, by name.

use std::sync::Arc;

use sluicegate_python::HostError;
use sluicegate_value::{Map, Value};

/// The particulars of a question.
#[derive(Clone, Copy)]
pub(super) struct Fields<'f>(pub(super) &'f Map);

impl<'f> Fields<'f> {
    /// The value of that name; null is as if it were not there.
    pub(super) fn get(self, name: &str) -> Option<&'f Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text; of an object what its `str()` says.
    pub(super) fn text(self, name: &str) -> Option<Arc<str>> {
        match self.get(name)? {
            Value::Str(text) => Some(text.clone()),
            Value::Handle(handle) => Some(match handle.json.as_ref().and_then(Value::as_str) {
                Some(text) => text.into(),
                None => handle.preview.as_str().into(),
            }),
            _ => None,
        }
    }

    pub(super) fn required_text(self, name: &str) -> Result<Arc<str>, HostError> {
        self.text(name).ok_or_else(|| HostError::new("TypeError", format!("`{name}` must be a text")))
    }

    pub(super) fn map(self, name: &str) -> Map {
        let map = |value: &Value| value.as_map().cloned();
        match self.get(name) {
            Some(Value::Handle(handle)) => handle.json.as_ref().and_then(map).unwrap_or_default(),
            Some(value) => map(value).unwrap_or_default(),
            None => Map::new(),
        }
    }

    pub(super) fn list(self, name: &str) -> &'f [Value] {
        self.get(name).and_then(Value::as_list).unwrap_or_default()
    }

    pub(super) fn is_true(self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// The span of user code that asks.
    pub(super) fn span(self) -> Option<u64> {
        span_id(self.get("span")?)
    }
}

/// A span's id, as 16 hex digits.
pub(super) fn span_id(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?, 16).ok().filter(|id| *id != 0)
}
