//! What a request said, said again in its reply.

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use sluicegate_value::{Map, Value};

/// A value as plain JSON.
pub(super) struct Json<'a>(pub(super) &'a Value);

/// What a request said under a name, or what is usual.
pub(super) enum Echo<'a> {
    Given(Json<'a>),
    Usual(serde_json::Value),
}

impl<'a> Echo<'a> {
    pub(super) fn of(body: &'a Map, name: &str, usual: serde_json::Value) -> Self {
        match body.get(name).filter(|value| !value.is_null()) {
            Some(value) => Self::Given(Json(value)),
            None => Self::Usual(usual),
        }
    }
}

impl Serialize for Echo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Given(value) => value.serialize(serializer),
            Self::Usual(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(yes) => serializer.serialize_bool(*yes),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::BigInt(number) => serializer.serialize_f64(number.to_f64()),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Str(text) => serializer.serialize_str(text),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    list.serialize_element(&Json(item))?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries.iter() {
                    map.serialize_entry(&**key, &Json(value))?;
                }
                map.end()
            }
            // What comes out of JSON is neither a blob nor a handle.
            Value::Null | Value::Blob(_) | Value::Handle(_) => serializer.serialize_unit(),
        }
    }
}
