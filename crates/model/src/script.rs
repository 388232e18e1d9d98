//! The scripted model's engine: a request in, a reply (or a fault) and a delay out. No clock, no network, no dice of
//! its own: the same script, request and [`Occasion`] always give the same [`Turn`].
//!
//! ```yaml
//! seed: 7                       # of the faults' dice
//! delay: 20ms                   # before each reply, unless the reply has its own
//! chunk_delay: 5ms              # between the pieces of a streamed reply
//! replies:                      # the first whose `when` matches answers
//!   - when: { system: "(?i)extract", user: "Text: (?<text>.*)", model: "^gpt" }   # regular expressions, all optional
//!     find: "[0-9]+"                              # all matches in what `user` looks at are `${found}`: `1, 22, 3`
//!     reply: "you said $1, that is ${text}"       # `$$` is a dollar; `${model}`, `${user}` and `${system}` exist too
//!     tool_calls: [{ name: look_up, arguments: { word: "$1" } }]
//!     finish_reason: stop
//!     delay: 200ms
//!     usage: { input_tokens: 10, output_tokens: 3 }   # else counted as characters / 4, and marked as an estimate
//!     faults:
//!       - { times: 2, status: 429, retry_after: 1 }   # the first two attempts of each call
//!       - { rate: 0.2, reset: true }                  # one attempt in five
//!       - { rate: 0.01, hang: true }
//! default: "I do not know."     # when none matches; without it that is an error
//! faults: []                    # tried before those of the reply
//! ```
//!
//! `when.user` looks at the last user message (or the text to complete), `when.system` at all system and developer
//! messages, joined by line breaks.

mod answer;
mod dice;
mod parse;
mod template;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;
use sluicegate_value::Value;

use crate::{ChatReply, ModelError, Usage};
use template::Template;

/// A scripted model.
#[derive(Clone, Debug)]
pub struct Script {
    seed: u64,
    chunk_delay: Duration,
    entries: Vec<Entry>,
    default: Option<Entry>,
    faults: Vec<Fault>,
}

/// What tells one attempt from another that asks the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occasion {
    /// Which attempt of its call, from 1.
    pub attempt: u32,
    /// Which line of a batch.
    pub line: Option<u64>,
    /// Which repeat of the case, from 0.
    pub repeat: u32,
    /// Which call of its node attempt, from 0.
    pub index: u32,
}

/// What the scripted model does with one attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// How long it thinks first.
    pub delay: Duration,
    /// How long it rests between the pieces of a streamed reply.
    pub chunk_delay: Duration,
    /// What it then says.
    pub outcome: Outcome,
}

/// What the scripted model says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A reply.
    Reply(Box<ChatReply>),
    /// A failure.
    Failure(ModelError),
    /// Nothing, ever.
    Hang,
}

/// Something wrong in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// Where, as keys and list positions from the root.
    pub path: Vec<Step>,
    /// What, as a lower-case fragment.
    pub message: String,
    /// What one can do about it.
    pub help: Option<String>,
}

/// One step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a map.
    Key(Arc<str>),
    /// Into a list, from 0.
    Index(usize),
}

#[derive(Clone, Debug)]
struct Entry {
    user: Option<Regex>,
    system: Option<Regex>,
    model: Option<Regex>,
    find: Option<Regex>,
    reply: Option<Said>,
    tool_calls: Vec<ToolCall>,
    finish_reason: Option<Arc<str>>,
    delay: Duration,
    usage: Option<Usage>,
    faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
struct ToolCall {
    name: Template,
    arguments: Said,
}

/// A value in which every text is a template.
#[derive(Clone, Debug)]
enum Said {
    Text(Template),
    List(Vec<Said>),
    Map(Vec<(Arc<str>, Said)>),
    Other(Value),
}

#[derive(Clone, Debug)]
struct Fault {
    rate: Option<f64>,
    times: Option<u32>,
    kind: FaultKind,
}

#[derive(Clone, Debug)]
enum FaultKind {
    Status { status: u16, retry_after: Option<Duration>, message: Option<Arc<str>> },
    Reset,
    Hang,
}

impl Script {
    /// Reads a script from its document.
    ///
    /// # Errors
    /// Everything that is wrong with it: unknown keys, regular expressions that do not parse, captures that do not
    /// exist, values out of range.
    pub fn parse(document: &Value) -> Result<Self, Vec<ScriptProblem>> {
        parse::script(document)
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if position == 0 => out.write_str(key)?,
                Step::Key(key) => write!(out, ".{key}")?,
                Step::Index(index) => write!(out, "[{index}]")?,
            }
        }
        if !self.path.is_empty() {
            out.write_str(": ")?;
        }
        out.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests;
