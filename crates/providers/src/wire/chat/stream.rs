//! From the pieces of a streamed reply to the reply as it would have come whole.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Map, Value};

use super::growing::{Growing, GrowingMap};
use super::{filters, reply};
use crate::wire::event::{self, Event};
use crate::wire::{Assemble, Brought};

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
    /// What content filters noted, which comes with many of the pieces.
    filters: Map,
    rest: GrowingMap,
}

impl Assemble for Assembler {
    fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError> {
        let event = match event::read(data)? {
            Event::Nothing => return Ok(Brought::Other),
            Event::End => {
                self.done = true;
                return Ok(Brought::Done);
            }
            Event::Object(event) => event,
        };
        if event.get("error").is_some_and(|error| !error.is_null()) {
            return Ok(Brought::Error(Value::from(event)));
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
                // What was said of the prompt is not taken back by saying nothing.
                (_, Value::List(items)) if items.is_empty() && self.top.contains_key(key) => {}
                // Azure's first chunk has an empty id and model.
                (_, Value::Str(text)) if text.is_empty() && self.top.contains_key(key) => {}
                _ => {
                    self.top.insert(key.clone(), value.clone());
                }
            }
        }
        Ok(brought)
    }

    fn is_complete(&self) -> bool {
        let ended = |choice: &Choice| choice.rest.get("finish_reason").is_some_and(|reason| !reason.is_null());
        self.done || (!self.choices.is_empty() && self.choices.iter().all(ended))
    }

    fn seen(&self) -> String {
        let text = self.choices.first().and_then(|choice| {
            choice.text.as_deref().or_else(|| choice.message.get("content").and_then(Growing::as_str))
        });
        event::seen(text)
    }

    fn finish(mut self: Box<Self>) -> Result<ChatReply, ModelError> {
        self.choices.sort_by_key(|choice| choice.index);
        let choices: Vec<Value> = std::mem::take(&mut self.choices).into_iter().map(Choice::whole).collect();
        let mut body = std::mem::take(&mut self.top);
        body.insert("choices", choices);
        reply::read(Value::from(body))
    }
}

impl Assembler {
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
                ("content_filter_results" | "content_filter_result", Value::Map(noted)) => {
                    let known = choice.filters.get(key).and_then(Value::as_map).cloned().unwrap_or_default();
                    choice.filters.insert(key.clone(), filters::merged(known, noted));
                }
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
        for (key, value) in self.rest.into_map().into_iter().chain(self.filters) {
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
