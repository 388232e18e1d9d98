//! From the events of a streamed response to the reply as it would have come whole.
//!
//! The last event holds the whole response, so that most others matter only to whoever watches.

use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Map, Value};

use super::reply;
use crate::wire::event::{self, Event};
use crate::wire::{Assemble, Brought};

/// Puts a streamed response together.
#[derive(Default)]
pub(crate) struct Assembler {
    /// The text so far.
    text: String,
    /// Items that are done, by their place: some servers leave them out of the last event.
    items: Vec<(i64, Value)>,
    /// The response, once it has ended.
    response: Option<Map>,
}

impl Assemble for Assembler {
    fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError> {
        let event = match event::read(data)? {
            Event::Object(event) => event,
            // Not the API's own end; a gateway's, and worth nothing without the response.
            Event::Nothing | Event::End => return Ok(Brought::Other),
        };
        let response = event.get("response").and_then(Value::as_map);
        match (event.get("type").and_then(Value::as_str), response) {
            (Some("response.output_text.delta"), _) => {
                let Some(Value::Str(text)) = event.get("delta") else { return Ok(Brought::Other) };
                self.text.push_str(text);
                Ok(Brought::Text(text.clone()))
            }
            (Some("response.output_item.done"), _) => {
                if let Some(item) = event.get("item") {
                    let place = event.get("output_index").and_then(Value::as_int);
                    self.items.push((place.unwrap_or(self.items.len() as i64), item.clone()));
                }
                Ok(Brought::Other)
            }
            (Some("response.failed"), Some(response)) => Ok(Brought::Error(response.clone().into())),
            (Some("response.completed" | "response.incomplete" | "response.cancelled"), Some(response)) => {
                self.response = Some(response.clone());
                Ok(Brought::Done)
            }
            (Some("error"), _) => Ok(Brought::Error(event.into())),
            (None, _) if event.get("error").is_some_and(|error| !error.is_null()) => Ok(Brought::Error(event.into())),
            // Reasoning, arguments, annotations, searches, and whatever will be invented.
            _ => Ok(Brought::Other),
        }
    }

    fn is_complete(&self) -> bool {
        self.response.is_some()
    }

    fn seen(&self) -> String {
        event::seen(Some(&self.text))
    }

    fn finish(mut self: Box<Self>) -> Result<ChatReply, ModelError> {
        let mut response = self.response.take().unwrap_or_default();
        let is_empty = response.get("output").and_then(Value::as_list).is_none_or(<[Value]>::is_empty);
        if is_empty {
            self.items.sort_by_key(|(place, _)| *place);
            let mut items: Vec<Value> = self.items.into_iter().map(|(_, item)| item).collect();
            if items.is_empty() && !self.text.is_empty() {
                // Of a reply that was stopped there is no more than what was passed on.
                let text = Map::from([("type", Value::from("output_text")), ("text", self.text.into())]);
                let content = vec![Value::from(text)];
                items.push(Map::from([("type", Value::from("message")), ("content", content.into())]).into());
            }
            response.insert("output", items);
        }
        reply::read(response.into())
    }
}

#[cfg(test)]
mod tests;
