//! Values that grow in place: a streamed reply comes in tens of thousands of pieces, and none may copy what is there.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_value::{Map, Value};

/// A value in the making.
#[derive(Clone, Debug)]
pub(super) enum Growing {
    Text(String),
    List(Vec<Growing>),
    Map(GrowingMap),
    /// What does not grow: it is replaced.
    Other(Value),
}

/// A map in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct GrowingMap(IndexMap<Arc<str>, Growing>);

impl GrowingMap {
    pub(super) fn get(&self, key: &str) -> Option<&Growing> {
        self.0.get(key)
    }

    /// Sets a key, whatever was there.
    pub(super) fn set(&mut self, key: &Arc<str>, value: &Value) {
        self.0.insert(key.clone(), Growing::from(value));
    }

    /// Adds a piece: texts grow, maps and lists merge, the rest is replaced. What names something (`role`, `id`,
    /// `type`) is told once; some servers repeat it with every piece.
    pub(super) fn merge(&mut self, piece: &Map) {
        for (key, piece) in piece {
            match (self.0.get_mut(key), piece) {
                (Some(known), Value::Null) if !known.is_null() => {}
                (Some(Growing::Text(known)), Value::Str(more)) => match &**key {
                    "role" | "id" | "type" | "index" if !known.is_empty() => {}
                    "name" if **known == **more => {}
                    _ => known.push_str(more),
                },
                (Some(Growing::Map(known)), Value::Map(more)) => known.merge(more),
                (Some(Growing::List(known)), Value::List(more)) => merge_list(known, more),
                _ => self.set(key, piece),
            }
        }
    }

    pub(super) fn into_map(self) -> Map {
        self.0.into_iter().map(|(key, value)| (key, value.into_value())).collect()
    }
}

impl Growing {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Other(Value::Null))
    }

    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(text), Value::Str(other)) => **text == **other,
            (Self::Other(known), other) => known == other,
            _ => false,
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            Self::List(items) => items.into_iter().map(Self::into_value).collect::<Vec<_>>().into(),
            Self::Map(map) => map.into_map().into(),
            Self::Other(value) => value,
        }
    }
}

impl From<&Value> for Growing {
    fn from(value: &Value) -> Self {
        match value {
            Value::Str(text) => Self::Text(text.to_string()),
            Value::List(items) => {
                // Items of one list are merged too: two of them may have the same index.
                let mut merged = Vec::with_capacity(items.len());
                merge_list(&mut merged, items);
                Self::List(merged)
            }
            Value::Map(map) => {
                Self::Map(GrowingMap(map.iter().map(|(key, value)| (key.clone(), value.into())).collect()))
            }
            other => Self::Other(other.clone()),
        }
    }
}

/// Adds items to a list: those with an `index` to the item of that index; those without one, but with the shape of a
/// tool call that goes on (no `id` of its own), to the last item; others at the end.
fn merge_list(items: &mut Vec<Growing>, more: &[Value]) {
    for item in more {
        let Value::Map(piece) = item else {
            items.push(item.into());
            continue;
        };
        let known = match piece.get("index") {
            // From the end: the call that goes on is the last one, as a rule.
            Some(index) => items.iter_mut().rev().find_map(|known| match known {
                Growing::Map(map) if map.get("index").is_some_and(|known| known.equals(index)) => Some(map),
                _ => None,
            }),
            None if piece.contains_key("function") && !piece.contains_key("id") => match items.last_mut() {
                Some(Growing::Map(map)) => Some(map),
                _ => None,
            },
            None => None,
        };
        match known {
            Some(known) => known.merge(piece),
            None => items.push(item.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a text of `pieces` pieces moves or widens its buffer while it grows.
    fn reallocations(pieces: usize, piece: &Map, text: impl Fn(&GrowingMap) -> &String) -> usize {
        let mut whole = GrowingMap::default();
        whole.merge(piece);
        let mut capacity = text(&whole).capacity();
        let mut changes = 0;
        for _ in 1..pieces {
            whole.merge(piece);
            if text(&whole).capacity() != capacity {
                capacity = text(&whole).capacity();
                changes += 1;
            }
        }
        assert_eq!(text(&whole).len(), pieces * 4);
        changes
    }

    fn text_in(growing: Option<&Growing>) -> &String {
        match growing {
            Some(Growing::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_hundred_thousand_pieces_are_not_a_hundred_thousand_copies() {
        let content = Map::from([("content", "four")]);
        assert!(reallocations(100_000, &content, |whole| text_in(whole.get("content"))) < 40);

        let function = Map::from([("arguments", "four")]);
        let call = Map::from([("index", Value::Int(0)), ("function", function.into())]);
        let calls = Map::from([("tool_calls", vec![Value::from(call)])]);
        let arguments = |whole: &GrowingMap| -> *const String {
            let Some(Growing::List(calls)) = whole.get("tool_calls") else { panic!("{whole:?}") };
            let Some(Growing::Map(call)) = calls.first() else { panic!("{calls:?}") };
            let Some(Growing::Map(function)) = call.get("function") else { panic!("{call:?}") };
            text_in(function.get("arguments"))
        };
        let mut whole = GrowingMap::default();
        whole.merge(&calls);
        let at = arguments(&whole);
        for _ in 0..100_000 {
            whole.merge(&calls);
        }
        assert_eq!(arguments(&whole), at, "the call was copied");
    }
}
