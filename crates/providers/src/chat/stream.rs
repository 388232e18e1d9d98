//! From the pieces of a streamed reply to the reply as it would have come whole.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Map, Value, json};

use super::growing::{Growing, GrowingMap};
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
    message: GrowingMap,
    /// `text` of a completion.
    text: Option<String>,
    rest: GrowingMap,
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
            choice.text.as_deref().or_else(|| choice.message.get("content").and_then(Growing::as_str))
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
                    choice.message.merge(delta);
                }
                ("text", Value::Str(text)) => {
                    choice.text.get_or_insert_default().push_str(text);
                    said = Some(text.clone());
                }
                ("delta" | "text" | "index", _) => {}
                (_, Value::Map(_)) => choice.rest.merge(&Map::from([(key.clone(), value.clone())])),
                (_, Value::Null) if choice.rest.get(key).is_some() => {}
                _ => choice.rest.set(key, value),
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
                let mut message = self.message.into_map();
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
        for (key, value) in self.rest.into_map() {
            whole.insert(key, value);
        }
        Value::from(whole)
    }
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
