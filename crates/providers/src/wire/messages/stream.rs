//! From the events of a streamed message to the reply as it would have come whole.

use std::sync::Arc;

use sluicegate_model::{ChatReply, ModelError};
use sluicegate_value::{Map, Value, json};

use super::reply;
use crate::wire::chat::reply::malformed;
use crate::wire::event::{self, Event};
use crate::wire::{Assemble, Brought};

/// Puts a streamed message together.
#[derive(Default)]
pub(crate) struct Assembler {
    /// What `message_start` said, and what `message_delta` added.
    message: Map,
    blocks: Vec<Block>,
    /// The last text, for messages.
    text: String,
    ended: bool,
}

/// A block in the making.
struct Block {
    index: i64,
    /// As it started.
    start: Map,
    /// Its `text` or `thinking`.
    text: String,
    /// The JSON of a tool's input.
    input: String,
    signature: String,
}

impl Assemble for Assembler {
    fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError> {
        let event = match event::read(data)? {
            Event::Object(event) => event,
            Event::Nothing | Event::End => return Ok(Brought::Other),
        };
        let part = |name: &str| event.get(name).and_then(Value::as_map);
        match event.get("type").and_then(Value::as_str) {
            Some("message_start") => {
                self.message = part("message").cloned().unwrap_or_default();
                Ok(Brought::Other)
            }
            Some("content_block_start") => {
                let start = part("content_block").cloned().unwrap_or_default();
                Ok(self.start(index(&event), start))
            }
            Some("content_block_delta") => {
                Ok(part("delta").map_or(Brought::Other, |delta| self.grow(index(&event), delta)))
            }
            Some("message_delta") => {
                for (name, value) in part("delta").into_iter().flatten() {
                    self.message.insert(name.clone(), value.clone());
                }
                if let Some(more) = part("usage") {
                    // Counts are of the whole so far; those that are not repeated stay.
                    let mut usage = self.message.get("usage").and_then(Value::as_map).cloned().unwrap_or_default();
                    for (name, value) in more.iter().filter(|(_, value)| !value.is_null()) {
                        usage.insert(name.clone(), value.clone());
                    }
                    self.message.insert("usage", usage);
                }
                Ok(Brought::Other)
            }
            Some("message_stop") => {
                self.ended = true;
                Ok(Brought::Done)
            }
            Some("error") => Ok(Brought::Error(with_status(event))),
            None if event.get("error").is_some_and(|error| !error.is_null()) => Ok(Brought::Error(with_status(event))),
            // The end of a block, a ping, and whatever will be invented.
            _ => Ok(Brought::Other),
        }
    }

    fn is_complete(&self) -> bool {
        self.ended || self.message.get("stop_reason").is_some_and(|reason| !reason.is_null())
    }

    fn seen(&self) -> String {
        event::seen(Some(&self.text))
    }

    fn finish(mut self: Box<Self>) -> Result<ChatReply, ModelError> {
        if self.message.is_empty() {
            return Err(malformed("is a stream without `message_start`", &Value::Null));
        }
        self.blocks.sort_by_key(|block| block.index);
        let blocks: Vec<Value> = self.blocks.into_iter().map(Block::whole).collect();
        self.message.insert("content", blocks);
        reply::read(self.message.into())
    }
}

impl Assembler {
    /// A block starts; most have no text yet.
    fn start(&mut self, index: i64, start: Map) -> Brought {
        let text = start.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.text.push_str(&text);
        let brought = if text.is_empty() { Brought::Other } else { Brought::Text(text.as_str().into()) };
        self.blocks.push(Block { index, start, text, input: String::new(), signature: String::new() });
        brought
    }

    fn grow(&mut self, index: i64, delta: &Map) -> Brought {
        // From the end: it is the last one, as a rule.
        let Some(block) = self.blocks.iter_mut().rev().find(|block| block.index == index) else {
            return Brought::Other;
        };
        let piece = |name: &str| match delta.get(name) {
            Some(Value::Str(piece)) => piece.clone(),
            _ => Arc::from(""),
        };
        match delta.get("type").and_then(Value::as_str) {
            Some("text_delta") => {
                let text = piece("text");
                block.text.push_str(&text);
                self.text.push_str(&text);
                return Brought::Text(text);
            }
            Some("input_json_delta") => block.input.push_str(&piece("partial_json")),
            Some("thinking_delta") => block.text.push_str(&piece("thinking")),
            Some("signature_delta") => block.signature.push_str(&piece("signature")),
            _ => {}
        }
        Brought::Other
    }
}

impl Block {
    fn whole(self) -> Value {
        let mut block = self.start;
        match block.get("type").and_then(Value::as_str) {
            Some("text") => {
                block.insert("text", self.text);
            }
            Some("thinking") => {
                block.insert("thinking", self.text);
            }
            _ if !self.input.is_empty() => {
                // A reply that was cut off may end in the middle of it.
                let input = json::read(&self.input).unwrap_or_else(|_| self.input.into());
                block.insert("input", input);
            }
            _ => {}
        }
        if !self.signature.is_empty() {
            block.insert("signature", self.signature);
        }
        block.into()
    }
}

fn index(event: &Map) -> i64 {
    event.get("index").and_then(Value::as_int).unwrap_or_default()
}

/// An error in the stream, with the status that it would have had in place of one.
fn with_status(mut event: Map) -> Value {
    let error = event.get("error").and_then(Value::as_map).cloned().unwrap_or_default();
    let status = match error.get("type").and_then(Value::as_str) {
        Some("invalid_request_error") => 400,
        Some("authentication_error") => 401,
        Some("billing_error" | "permission_error") => 403,
        Some("not_found_error") => 404,
        Some("request_too_large") => 413,
        Some("rate_limit_error") => 429,
        Some("timeout_error") => 504,
        Some("overloaded_error") => 529,
        _ => 500,
    };
    let mut error = error;
    error.insert("status", Value::Int(status));
    event.insert("error", error);
    event.into()
}

#[cfg(test)]
mod tests;
