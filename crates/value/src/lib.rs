//! What travels between the nodes of a flow.
//!
//! A [`Value`] is what a Python value would be to somebody who only reads it: `null`, booleans, integers of any
//! size, floats with `nan` and `inf`, strings, lists, ordered maps; and two things that JSON does not have: a
//! [`Blob`] (an image or other bytes, told by its hash) and a [`Handle`] (an object that lives in a Python worker).
//! Cloning is cheap: everything that may be large is shared.
//!
//! Three ways out: [`Value::to_json`] is what people and endpoints read, the `serde` form is lossless and meant for
//! the journal ([`tagged`]), and [`python`] prints as `str()` and `repr()` do, for templates and messages.

mod bigint;
mod blob;
pub mod duration;
mod equality;
pub mod hash;
pub mod json;
mod map;
pub mod python;
pub mod size;
pub mod tagged;

use std::sync::Arc;

pub use bigint::BigInt;
pub use blob::{Blob, BlobSource, Handle};
pub use json::JsonError;
pub use map::Map;

/// A value that a node takes or gives.
///
/// `==` is Rust's structural equality (`1 != 1.0`, `nan == nan`); for Python's see [`Value::python_eq`].
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `null`, Python's `None`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer that does not fit 64 bits.
    BigInt(BigInt),
    /// A float, `nan` and infinities included.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A list.
    List(Arc<Vec<Value>>),
    /// A map with text keys, in the order of insertion.
    Map(Arc<Map>),
    /// Bytes with a media type, such as an image.
    Blob(Arc<Blob>),
    /// An object that lives in a Python worker.
    Handle(Arc<Handle>),
}

impl Value {
    /// An empty list.
    #[must_use]
    pub fn empty_list() -> Self {
        Self::List(Arc::default())
    }

    /// Names the kind of this value as Python does (`NoneType`, `bool`, `int`, `float`, `str`, `list`, `dict`), and
    /// `Image` or the handle's own type for what is no JSON.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Map(_) => "dict",
            Self::Blob(_) => "Image",
            Self::Handle(handle) => &handle.type_name,
        }
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(yes) => Some(*yes),
            _ => None,
        }
    }

    /// The integer, if this is one of 64 bits.
    #[must_use]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The number as a float, if this is a number (a boolean is not).
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::BigInt(number) => Some(number.to_f64()),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The map, if this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map()?.get(key)
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Truth as Python sees it: `None`, `False`, zero, and what is empty are false.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(yes) => *yes,
            Self::Int(number) => *number != 0,
            Self::BigInt(_) | Self::Handle(_) => true,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
            // Nobody has fetched what is behind an address, so its length is not known.
            Self::Blob(blob) => match &blob.source {
                BlobSource::Url(url) => !url.is_empty(),
                BlobSource::Bytes(_) | BlobSource::Stored => blob.len != 0,
            },
        }
    }

    /// Rebuilds this value with every text (keys too) that `rewrite` answers for replaced; `None` if nothing changed,
    /// so that a value without a match stays shared.
    pub fn map_strings(&self, rewrite: &mut dyn FnMut(&str) -> Option<String>) -> Option<Value> {
        match self {
            Self::Str(text) => rewrite(text).map(Value::from),
            Self::List(items) => {
                let mut changed: Option<Vec<Value>> = None;
                for (index, item) in items.iter().enumerate() {
                    if let Some(new) = item.map_strings(rewrite) {
                        changed.get_or_insert_with(|| items.to_vec())[index] = new;
                    }
                }
                changed.map(Value::from)
            }
            Self::Map(map) => map.map_strings(rewrite).map(Value::from),
            Self::Handle(handle) => {
                let preview = rewrite(&handle.preview);
                let json = handle.json.as_ref().and_then(|json| json.map_strings(rewrite));
                if preview.is_none() && json.is_none() {
                    return None;
                }
                let mut changed = (**handle).clone();
                changed.preview = preview.unwrap_or(changed.preview);
                changed.json = json.or(changed.json);
                Some(Value::Handle(Arc::new(changed)))
            }
            Self::Blob(blob) => match &blob.source {
                BlobSource::Url(url) => rewrite(url)
                    .map(|url| Value::Blob(Arc::new(Blob { source: BlobSource::Url(url.into()), ..(**blob).clone() }))),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether this is or holds a [`Handle`]: such a value means nothing once its worker is gone.
    #[must_use]
    pub fn holds_handle(&self) -> bool {
        match self {
            Self::Handle(_) => true,
            Self::List(items) => items.iter().any(Value::holds_handle),
            Self::Map(map) => map.values().any(Value::holds_handle),
            _ => false,
        }
    }

    /// How many bytes this value takes as JSON, roughly: cheap, and never far below.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 5,
            Self::Int(_) | Self::Float(_) => 12,
            Self::BigInt(number) => number.as_str().len(),
            Self::Str(text) => text.len() + 2,
            Self::List(items) => 2 + items.iter().map(|item| item.weight() + 1).sum::<usize>(),
            Self::Map(map) => 2 + map.iter().map(|(key, value)| key.len() + 4 + value.weight()).sum::<usize>(),
            Self::Blob(blob) => blob.len as usize * 4 / 3 + 64,
            Self::Handle(handle) => handle.preview.len() + 64 + handle.json.as_ref().map_or(0, Value::weight),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        equality::structural(self, other)
    }
}

impl Eq for Value {}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::BigInt(BigInt::from(value)), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(value: Arc<str>) -> Self {
        Self::Str(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(Arc::new(value))
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(Arc::new(value))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_true_when_it_has_bytes_or_an_address() {
        let truth = |blob: Blob| Value::Blob(Arc::new(blob)).is_truthy();
        assert!(truth(Blob::from_url("image/png", "https://images.test/cat.png")));
        assert!(truth(Blob::from_bytes("image/png", *b"cat")));
        assert!(!truth(Blob::from_url("image/png", "")));
        assert!(!truth(Blob::from_bytes("image/png", *b"")));
    }
}
