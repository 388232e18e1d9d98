//! A recorded call, as it stands in its line.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_model::{Asked, KeptReply};
use sluicegate_value::{Value, hash};

use super::reply::ReplyForm;
use crate::json;

/// Where a call was made: what tells identical requests apart, whichever came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: Option<u64>,
    pub(super) repeat: u32,
    pub(super) node: Arc<str>,
    pub(super) call: u32,
}

impl Place {
    pub(super) fn of(asked: &Asked) -> Self {
        Self { line: asked.line, repeat: asked.repeat, node: Arc::clone(&asked.node), call: asked.call }
    }
}

/// `node `answer` on line 3, call 0`.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "node `{}`", self.node)?;
        if let Some(line) = self.line {
            write!(out, " on line {line}")?;
        }
        if self.repeat > 0 {
            write!(out, " in repeat {}", self.repeat)?;
        }
        write!(out, ", call {}", self.call)
    }
}

/// What a request is known by: 32 bytes, where a text would take a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RequestHash([u8; 32]);

impl RequestHash {
    pub(super) fn of(text: &str) -> Self {
        // What is no hash (somebody wrote the line by hand) is hashed.
        Self(bytes_of_hex(text).or_else(|| bytes_of_hex(&hash::sha256(text))).unwrap_or_default())
    }
}

fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(bytes)
}

/// A line as it is written: the order of the fields is that of the file.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "is_zero")]
    repeat: u32,
    node: &'a str,
    call: u32,
    operation: &'a str,
    model: &'a str,
    hash: &'a str,
    request: &'a Value,
    reply: ReplyForm,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The line of a call, its end included.
pub(super) fn write(asked: &Asked, reply: &KeptReply) -> Result<String, String> {
    let line = Line {
        line: asked.line,
        repeat: asked.repeat,
        node: &asked.node,
        call: asked.call,
        operation: &asked.operation,
        model: &asked.model,
        hash: &asked.hash,
        request: &asked.body,
        reply: ReplyForm::of(reply)?,
    };
    let mut text = serde_json::to_string(&line).map_err(|error| error.to_string())?;
    if json::is_too_deep(&text) {
        return Err(format!("it nests deeper than {} lists and maps", json::MAX_DEPTH));
    }
    text.push('\n');
    Ok(text)
}

/// What the index keeps of a line. Reading it checks the whole line.
#[derive(Deserialize)]
pub(super) struct Head {
    line: Option<u64>,
    #[serde(default)]
    repeat: u32,
    node: Arc<str>,
    call: u32,
    hash: String,
    #[serde(rename = "operation")]
    _operation: String,
    #[serde(rename = "model")]
    _model: String,
    #[serde(rename = "request")]
    _request: Value,
    #[serde(rename = "reply")]
    _reply: ReplyForm,
}

impl Head {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        json::read(text)
    }

    pub(super) fn hash(&self) -> RequestHash {
        RequestHash::of(&self.hash)
    }

    pub(super) fn into_place(self) -> Place {
        Place { line: self.line, repeat: self.repeat, node: self.node, call: self.call }
    }
}

/// What was asked, for people who want to know how it differs.
#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) operation: String,
    pub(super) model: String,
    pub(super) request: Value,
}

impl Request {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        json::read(text)
    }
}

/// The reply of a line.
pub(super) fn read_reply(text: &str) -> Result<KeptReply, String> {
    #[derive(Deserialize)]
    struct Answer {
        reply: ReplyForm,
    }
    json::read::<Answer>(text)?.reply.into_reply()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_its_bytes_and_any_other_text_has_one_too() {
        let text = hash::sha256("a");
        assert_eq!(RequestHash::of(&text).0[0], 0xca);
        assert_eq!(RequestHash::of("a"), RequestHash::of(&text));
        assert_ne!(RequestHash::of("a"), RequestHash::of("b"));
        assert_ne!(RequestHash::of(&"é".repeat(32)), RequestHash::of(&"z".repeat(64)));
    }

    #[test]
    fn places_are_sorted_by_line_then_repeat_then_node_then_call() {
        let place = |line, repeat, node: &str, call| Place { line, repeat, node: node.into(), call };
        let sorted =
            [place(None, 0, "z", 9), place(Some(0), 0, "a", 1), place(Some(0), 0, "b", 0), place(Some(0), 1, "a", 0)];
        assert!(sorted.is_sorted());
        assert_eq!(place(Some(3), 2, "ask", 0).to_string(), "node `ask` on line 3 in repeat 2, call 0");
    }
}
