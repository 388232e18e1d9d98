//! From the pieces of a streamed reply to the reply as it would have come whole.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Map, Value, json};

use super::reply;

/// Puts a streamed reply together.
#[derive(Default)]
pub(crate) struct Assembler {
    /// What stands beside the choices: id, model, usage and whatever else.
    top: Map,
    choices: Vec<Choice>,
    done: bool,
}

/// A choice in the making.
#[derive(Default)]
struct Choice {
    index: i64,
    /// `message` of a conversation; empty for a completion.
    message: Map,
    /// `text` of a completion.
    text: Option<String>,
    rest: Map,
}

/// What an event brought.
#[derive(Debug, PartialEq)]
pub(crate) enum Brought {
    /// More of the first choice's text.
    Text(Arc<str>),
    /// Something else, or nothing.
    Other,
    /// The end.
    Done,
    /// The endpoint's own error, in the middle of the stream.
    Error(Value),
}

impl Assembler {
    /// Takes the data of one event.
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError> {
        let makes_no_sense = |why: &str| ModelError::Malformed {
            message: format!("an event of the stream {why}: {}", reply::excerpt(&String::from_utf8_lossy(data))),
        };
        let text = std::str::from_utf8(data).map_err(|_| makes_no_sense("is not UTF-8"))?.trim();
        if text == "[DONE]" {
            self.done = true;
            return Ok(Brought::Done);
        }
        if text.is_empty() {
            return Ok(Brought::Other);
        }
        let event = json::read(text).map_err(|error| makes_no_sense(&format!("is no JSON ({error})")))?;
        let Value::Map(event) = event else { return Err(makes_no_sense("is not an object")) };
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Ok(Brought::Error(Value::Map(event)));
        }
        let mut brought = Brought::Other;
        for (key, value) in event.iter() {
            match (&**key, value) {
                // The last chunk of a stream with usage, and Azure's first one, have no choices.
                ("choices", Value::List(choices)) => {
                    for choice in choices.iter() {
                        if let Some(text) = self.choice(choice) {
                            brought = Brought::Text(text);
                        }
                    }
                }
                ("choices", _) => {}
                ("object", Value::Str(object)) => {
                    self.top.insert("object", object.trim_end_matches(".chunk"));
                }
                (_, Value::Null) if self.top.contains_key(key) => {}
                // Azure's first chunk has an empty id and model.
                (_, Value::Str(text)) if text.is_empty() && self.top.contains_key(key) => {}
                _ => {
                    self.top.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(brought)
    }

    /// Whether the reply is whole: the end came, or every choice has told why it ended.
    pub(crate) fn is_complete(&self) -> bool {
        let ended = |choice: &Choice| choice.rest.get("finish_reason").is_some_and(|reason| !reason.is_null());
        self.done || (!self.choices.is_empty() && self.choices.iter().all(ended))
    }

    /// What was seen last, for messages.
    pub(crate) fn seen(&self) -> String {
        let text = self.choices.first().and_then(|choice| {
            choice.text.as_deref().or_else(|| choice.message.get("content").and_then(Value::as_str))
        });
        match text {
            Some(text) if !text.is_empty() => {
                let start = text.char_indices().rev().nth(39).map_or(0, |(start, _)| start);
                format!("after `{}`", reply::excerpt(&text[start..]))
            }
            _ => "before any text".to_owned(),
        }
    }

    /// The reply, as it would have come whole.
    pub(crate) fn finish(mut self) -> Result<ChatReply, ModelError> {
        self.choices.sort_by_key(|choice| choice.index);
        let choices: Vec<Value> = self.choices.into_iter().map(Choice::whole).collect();
        let mut body = self.top;
        body.insert("choices", choices);
        reply::read(Value::from(body))
    }

    /// Adds to a choice; gives the text if it is the first choice's.
    fn choice(&mut self, piece: &Value) -> Option<Arc<str>> {
        let index = piece.get("index").and_then(Value::as_int).unwrap_or_default();
        let position = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        let choice = self.choices.get_mut(position)?;
        let mut said = None;
        for (key, value) in piece.as_map()? {
            match (&**key, value) {
                ("delta", Value::Map(delta)) => {
                    said = delta.get("content").and_then(Value::as_str).map(Arc::from);
                    merge(&mut choice.message, delta);
                }
                ("text", Value::Str(text)) => {
                    choice.text.get_or_insert_default().push_str(text);
                    said = Some(text.clone());
                }
                ("delta" | "text" | "index", _) => {}
                (_, Value::Null) if choice.rest.contains_key(key) => {}
                (_, Value::Map(more)) if choice.rest.get(key).is_some_and(|known| known.as_map().is_some()) => {
                    merge_under(&mut choice.rest, key, more);
                }
                _ => {
                    choice.rest.insert(key.clone(), value.clone());
                }
            }
        }
        said.filter(|text| index == 0 && !text.is_empty())
    }
}

impl Choice {
    fn whole(self) -> Value {
        let mut whole = Map::from([("index", Value::Int(self.index))]);
        match self.text {
            Some(text) => {
                whole.insert("text", text);
            }
            None => {
                let mut message = self.message;
                if !message.contains_key("role") {
                    message.insert("role", "assistant");
                }
                if !message.contains_key("content") {
                    message.insert("content", Value::Null);
                }
                if let Some(Value::List(calls)) = message.get("tool_calls") {
                    let calls: Vec<Value> = calls.iter().map(without_index).collect();
                    message.insert("tool_calls", calls);
                }
                whole.insert("message", message);
            }
        }
        for (key, value) in self.rest {
            whole.insert(key, value);
        }
        Value::from(whole)
    }
}

/// Adds a delta: texts grow, maps and lists merge, the rest is replaced. What names something (`role`, `id`, `type`)
/// is told once; some servers repeat it with every delta.
fn merge(whole: &mut Map, delta: &Map) {
    for (key, piece) in delta {
        match (whole.get(key), piece) {
            (None | Some(Value::Null), _) => {
                // Elements of a first list are merged too: two of one list may have the same index.
                if let Value::List(items) = piece {
                    let merged = merge_list(Vec::new(), items);
                    whole.insert(key.clone(), merged);
                } else {
                    whole.insert(key.clone(), piece.clone());
                }
            }
            (Some(_), Value::Null) => {}
            (Some(Value::Str(known)), Value::Str(more)) => match &**key {
                "role" | "id" | "type" if !known.is_empty() => {}
                "name" if known == more => {}
                _ => {
                    let grown = format!("{known}{more}");
                    whole.insert(key.clone(), grown);
                }
            },
            (Some(Value::Map(_)), Value::Map(more)) => merge_under(whole, key, more),
            (Some(Value::List(known)), Value::List(more)) => {
                let merged = merge_list(known.to_vec(), more);
                whole.insert(key.clone(), merged);
            }
            _ => {
                whole.insert(key.clone(), piece.clone());
            }
        }
    }
}

fn merge_under(whole: &mut Map, key: &Arc<str>, more: &Map) {
    if let Some(Value::Map(known)) = whole.get_mut(key) {
        merge(Arc::make_mut(known), more);
    }
}

/// Adds items to a list: those with an `index` to the item of that index; those without one, but with the shape of a
/// tool call that goes on (no `id` of its own), to the last item; others at the end.
fn merge_list(mut items: Vec<Value>, more: &[Value]) -> Vec<Value> {
    for item in more {
        let Value::Map(piece) = item else {
            items.push(item.clone());
            continue;
        };
        let known = match piece.get("index") {
            Some(index) => items.iter_mut().find(|known| known.get("index") == Some(index)),
            None if piece.contains_key("function") && !piece.contains_key("id") => items.last_mut(),
            None => None,
        };
        match known {
            Some(Value::Map(known)) => merge(Arc::make_mut(known), piece),
            _ => items.push(item.clone()),
        }
    }
    items
}

fn without_index(call: &Value) -> Value {
    match call {
        Value::Map(map) if map.contains_key("index") => {
            let mut map = (**map).clone();
            map.remove("index");
            Value::from(map)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
