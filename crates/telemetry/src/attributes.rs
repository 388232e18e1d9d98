//! Attributes of a span in the making.

use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry::{Array, KeyValue, StringValue, Value as Attribute};
use sluicegate_events::Failure;
use sluicegate_value::{Map, Value};

use crate::names;

/// Which content goes into attributes, and how much of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// Whether inputs, outputs and messages are told at all.
    pub(crate) capture: bool,
    /// The most bytes of one attribute.
    pub(crate) limit: usize,
}

/// Attributes of a usual span.
const USUAL_COUNT: usize = 20;

/// Attributes of a span in the making; what is not known is not there.
#[derive(Debug)]
pub(crate) struct Attributes(pub(crate) Vec<KeyValue>);

impl Default for Attributes {
    /// None yet, and room for as many as a span has.
    fn default() -> Self {
        Self(Vec::with_capacity(USUAL_COUNT))
    }
}

impl Attributes {
    /// Says what was not said before: [`Attributes::set`] without the search.
    pub(crate) fn add(&mut self, name: &'static str, value: impl Into<Attribute>) {
        debug_assert!(self.0.iter().all(|pair| pair.key.as_str() != name), "`{name}` is there");
        self.0.push(KeyValue::new(name, value));
    }

    pub(crate) fn add_some(&mut self, name: &'static str, value: Option<impl Into<Attribute>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Attribute>) {
        let value = value.into();
        match self.0.iter_mut().find(|pair| pair.key.as_str() == name) {
            Some(pair) => pair.value = value,
            None => self.0.push(KeyValue::new(name, value)),
        }
    }

    pub(crate) fn set_some(&mut self, name: &'static str, value: Option<impl Into<Attribute>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    pub(crate) fn set_count(&mut self, name: &'static str, count: Option<u64>) {
        self.set_some(name, count.map(|count| i64::try_from(count).unwrap_or(i64::MAX)));
    }

    pub(crate) fn set_texts(&mut self, name: &'static str, texts: Vec<String>) {
        let texts: Vec<StringValue> = texts.into_iter().map(StringValue::from).collect();
        self.set(name, Attribute::Array(Array::String(texts)));
    }

    /// A value as content, with its media type: text as it is, anything else as JSON.
    pub(crate) fn set_content(
        &mut self,
        content: Content,
        (name, mime_name): (&'static str, &'static str),
        value: &Value,
    ) {
        if !content.capture {
            return;
        }
        let (text, mime): (StringValue, _) = match value {
            Value::Str(text) if text.len() <= content.limit => (Arc::clone(text).into(), "text/plain"),
            Value::Str(text) => (cut(text, content.limit).into(), "text/plain"),
            other => {
                let told = without_vectors(other);
                (json(told.as_ref().unwrap_or(other), content.limit).into(), "application/json")
            }
        };
        self.set(name, text);
        self.set(mime_name, mime);
    }

    /// A map as content.
    pub(crate) fn set_map(&mut self, content: Content, names: (&'static str, &'static str), map: &Map) {
        if content.capture {
            self.set_content(content, names, &map.clone().into());
        }
    }

    /// What the author of a node's code adds to a span, under the author's names.
    pub(crate) fn set_own(&mut self, content: Content, own: &Map) {
        if !content.capture {
            return;
        }
        for (name, value) in own {
            let value: Attribute = match value {
                Value::Bool(yes) => (*yes).into(),
                Value::Int(number) => (*number).into(),
                Value::Float(number) => (*number).into(),
                Value::Str(text) => cut(text, content.limit).into(),
                other => json(other, content.limit).into(),
            };
            match self.0.iter_mut().find(|pair| pair.key.as_str() == &**name) {
                // What we say of a span is not for its author to change.
                Some(pair) if names::is_ours(pair.key.as_str()) => {}
                Some(pair) => pair.value = value,
                None => self.0.push(KeyValue::new(name.to_string(), value)),
            }
        }
    }

    /// JSON as content, under a name of its own.
    pub(crate) fn set_json(&mut self, content: Content, name: &'static str, value: &Value) {
        if content.capture {
            self.set(name, json(value, content.limit));
        }
    }
}

impl Content {
    /// What is said of a failure. Its message may quote a prompt or an answer: where content stays home, only its code
    /// is told.
    pub(crate) fn message_of(self, failure: &Failure) -> String {
        if self.capture { cut(&failure.message, self.limit) } else { failure.code.clone() }
    }
}

/// The attributes of a failure's event.
pub(crate) fn exception(content: Content, failure: &Failure) -> Vec<KeyValue> {
    vec![
        KeyValue::new(names::EXCEPTION_TYPE, failure.code.clone()),
        KeyValue::new(names::EXCEPTION_MESSAGE, content.message_of(failure)),
    ]
}

/// Lists of so many floats are vectors, which tell nobody anything.
const VECTOR_FROM: usize = 32;

/// The value with each vector in it replaced by how long it is; `None` if it holds none.
fn without_vectors(value: &Value) -> Option<Value> {
    match value {
        Value::List(items)
            if items.len() >= VECTOR_FROM && items.iter().all(|item| matches!(item, Value::Float(_))) =>
        {
            Some(format!("[{} numbers]", items.len()).into())
        }
        Value::List(items) => {
            let mut changed: Option<Vec<Value>> = None;
            for (index, item) in items.iter().enumerate() {
                if let Some(new) = without_vectors(item) {
                    changed.get_or_insert_with(|| items.to_vec())[index] = new;
                }
            }
            changed.map(Value::from)
        }
        Value::Map(map) => {
            let mut changed = None;
            for (name, value) in map.iter() {
                if let Some(new) = without_vectors(value) {
                    changed.get_or_insert_with(|| (**map).clone()).insert(name.clone(), new);
                }
            }
            changed.map(Value::from)
        }
        _ => None,
    }
}

/// At most about `limit` bytes of a value's JSON.
fn json(value: &Value, limit: usize) -> String {
    let text = value.to_json();
    if text.len() <= limit { text } else { cut(&text, limit) }
}

/// At most about `limit` bytes of a text, and how many were left out.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, left_out) = text.split_at(end);
    let mut short = kept.to_owned();
    let _ = write!(short, "… ({} bytes more)", left_out.len());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("ééé", 3), "é… (4 bytes more)");
        assert_eq!(cut("é", 0), "… (2 bytes more)");
    }

    #[test]
    fn a_vector_is_told_by_its_length() {
        let vector = |length| Value::from(vec![Value::Float(0.5); length]);
        let told = |value: Value| without_vectors(&value).map(|told| told.to_json());
        assert_eq!(told(vector(1536)).as_deref(), Some(r#""[1536 numbers]""#));
        let map = Map::from([("query", Value::from("x")), ("found", vec![vector(32), vector(2)].into())]);
        assert_eq!(told(map.into()).as_deref(), Some(r#"{"query":"x","found":["[32 numbers]",[0.5,0.5]]}"#));
        assert_eq!(told(vector(31)), None);
        assert_eq!(told(vec![Value::Int(1); 99].into()), None);
    }

    #[test]
    fn an_attribute_stands_once() {
        let mut attributes = Attributes::default();
        attributes.set("a", 1i64);
        attributes.set("a", 2i64);
        assert_eq!(attributes.0, [KeyValue::new("a", 2i64)]);
    }
}
