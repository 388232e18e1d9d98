//! Inputs as minijinja sees them: nothing is copied until something looks into it.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value as Item};
use sluicegate_value::{Map, Value, python};

use super::marks;
use super::print;

/// How an input's parts are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Texts may hold role headers.
    pub(super) author: bool,
    /// Lists print one item per line.
    pub(super) lines: bool,
}

/// A list of the caller.
#[derive(Debug)]
pub(super) struct ListInput {
    pub(super) items: Arc<Vec<Value>>,
    origin: Origin,
}

/// A map of the caller.
#[derive(Debug)]
pub(super) struct MapInput {
    pub(super) map: Arc<Map>,
    origin: Origin,
}

/// What a template can only print: an integer beyond 128 bits, an image, a Python object.
#[derive(Debug)]
pub(super) struct OpaqueInput(pub(super) Value);

/// The root: variables by name.
#[derive(Debug)]
pub(super) struct Variables(pub(super) Vec<(Arc<str>, Item)>);

/// An input, or a part of one.
pub(super) fn item(value: &Value, origin: Origin) -> Item {
    match value {
        Value::Null => Item::from(()),
        Value::Bool(yes) => Item::from(*yes),
        Value::Int(number) => Item::from(*number),
        Value::BigInt(number) => match number.as_str().parse::<i128>() {
            Ok(number) => Item::from(number),
            Err(_) => Item::from_object(OpaqueInput(value.clone())),
        },
        Value::Float(number) => Item::from(*number),
        Value::Str(text) => text_item(text, origin),
        Value::List(items) => Item::from_object(ListInput { items: items.clone(), origin }),
        Value::Map(map) => Item::from_object(MapInput { map: map.clone(), origin }),
        Value::Blob(_) | Value::Handle(_) => Item::from_object(OpaqueInput(value.clone())),
    }
}

fn text_item(text: &Arc<str>, origin: Origin) -> Item {
    let text = marks::clean(text);
    let marked = if origin.author { marks::mark_headers(&text) } else { None };
    marked.map_or_else(|| Item::from(text), Item::from)
}

/// A value that a template made, as ours. `depth` is how deep it may still nest.
///
/// # Errors
/// What is no data (a macro, a function), and what nests too deep.
pub(super) fn value(item: &Item, depth: usize) -> Result<Value, Error> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::new(ErrorKind::InvalidOperation, "lists and maps nest too deep"));
    };
    if let Some(list) = item.downcast_object_ref::<ListInput>() {
        return Ok(Value::List(list.items.clone()));
    }
    if let Some(map) = item.downcast_object_ref::<MapInput>() {
        return Ok(Value::Map(map.map.clone()));
    }
    if let Some(opaque) = item.downcast_object_ref::<OpaqueInput>() {
        return Ok(opaque.0.clone());
    }
    if let Some(text) = item.as_str() {
        return Ok(Value::from(&*marks::without(text)));
    }
    use minijinja::value::ValueKind as Kind;
    Ok(match item.kind() {
        Kind::Undefined | Kind::None => Value::Null,
        Kind::Bool => Value::Bool(item.is_true()),
        Kind::Number => match (item.is_integer(), f64::try_from(item.clone())) {
            (false, Ok(number)) => Value::Float(number),
            _ => sluicegate_value::BigInt::parse(&item.to_string()).unwrap_or_default(),
        },
        Kind::Seq | Kind::Iterable => {
            let items: Result<Vec<Value>, Error> = item.try_iter()?.map(|inner| value(&inner, depth)).collect();
            Value::from(items?)
        }
        Kind::Map => {
            let mut map = Map::new();
            for key in item.try_iter()? {
                map.insert(print::str(&key, print::Style::Python), value(&item.get_item(&key)?, depth)?);
            }
            Value::from(map)
        }
        other => {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("a {other} is no value that can be returned")));
        }
    })
}

impl Object for ListInput {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Item) -> Option<Item> {
        let index = key.as_i64()?;
        let index = if index < 0 { usize::try_from(self.items.len() as i64 + index) } else { usize::try_from(index) };
        self.items.get(index.ok()?).map(|value| item(value, self.origin))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.origin.lines {
            return out.write_str(&python::repr(&Value::List(self.items.clone())));
        }
        for (index, value) in self.items.iter().enumerate() {
            if index > 0 {
                out.write_str("\n")?;
            }
            out.write_str(&print::str(&item(value, self.origin), print::Style::Python))?;
        }
        Ok(())
    }
}

impl Object for MapInput {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Item) -> Option<Item> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Item> {
        self.map.get(key).map(|value| item(value, self.origin))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.map.keys().map(|key| text_item(key, self.origin)).collect())
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&python::repr(&Value::Map(self.map.clone())))
    }
}

impl Object for OpaqueInput {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// A template cannot look into an object that lives in Python, and must not print nothing in its place.
    fn get_value(self: &Arc<Self>, key: &Item) -> Option<Item> {
        let Value::Handle(handle) = &self.0 else { return None };
        let message = format!(
            "`{key}` of a Python object ({}) cannot be read in a template; give the node an input for it, such as \
             `${{node.output.{key}}}`",
            handle.type_name
        );
        Some(Item::from(Error::new(ErrorKind::InvalidOperation, message)))
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, _: &[Item]) -> Result<Item, Error> {
        let message = format!("'{}' object has no attribute '{method}' in a template", self.0.type_name());
        Err(Error::new(ErrorKind::UnknownMethod, message))
    }

    fn render(self: &Arc<Self>, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&marks::without(&python::str(&self.0)))
    }
}

impl Object for Variables {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Item) -> Option<Item> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Item> {
        self.0.iter().find(|(name, _)| **name == *key).map(|(_, item)| item.clone())
    }
}
