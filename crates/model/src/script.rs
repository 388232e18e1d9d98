//! The scripted model's engine: a request in, a reply (or a fault) and a delay out. No clock, no network, no dice of
//! its own: the same script, request and [`Occasion`] always give the same [`Turn`].
//!
//! ```yaml
//! seed: 7                       # of the faults' dice
//! delay: 20ms                   # before each reply, unless the reply has its own
//! chunk_delay: 5ms              # between the pieces of a streamed reply
//! models: [gpt-test, embed]     # others are unknown (404); absent: every name is served
//! replies:                      # the first whose `when` matches answers
//!   - when:                     # all that stands here must hold
//!       user: "Text: (?<text>.*)"                 # a regular expression
//!       system: "(?i)extract"                     # another
//!       tool: "sunny"                             # another; holds only once a tool has answered
//!       model: "^gpt"                             # another
//!       api: "chat|responses"                     # another; see below
//!       parameter: max_tokens                     # the request carries it (`reasoning.effort` looks into it)
//!       value: 100                                # ... and it is this (or `not: 100`: it is something else)
//!     find: "[0-9]+"                              # all matches in what `user` looks at are `${found}`: `1, 22, 3`
//!     reply: "you said $1, that is ${text}"       # `$$` is a dollar; `${model}`, `${user}`, `${system}`, `${tool}` too
//!     tool_calls: [{ name: look_up, arguments: { word: "$1" } }]
//!     refusal: "I cannot help with $1."           # in place of a reply
//!     filter: { input: { hate: high, jailbreak: true }, message: "..." }   # stopped before the model saw it
//!     # filter: { output: { violence: medium } }  # the reply was stopped: `reply` is what came through
//!     # filter: { unchecked: true }               # the filter itself failed
//!     # filter: { note: { profanity: true } }     # found, and let pass
//!     finish_reason: stop
//!     delay: 200ms
//!     usage: { input_tokens: 10, cached_input_tokens: 4, output_tokens: 30, reasoning_tokens: 20 }
//!     faults:                                     # the first that strikes counts
//!       - { times: 2, status: 429, retry_after: 1 }              # the first two attempts of each call
//!       - { rate: 0.2, reset: true }                             # one attempt in five: the connection breaks
//!       - { rate: 0.01, hang: true }                             # no answer, ever
//!       - { rate: 0.01, cut_after: 3 }                           # a streamed reply breaks after three pieces
//!       - { rate: 0.05, delay: 3s }                              # late (any fault may have a `delay` of its own)
//!       - { status: 503, retry_after_ms: 250, message: "busy" }  # 400 to 599
//! default: "I do not know."     # when none matches; without it that is an error
//! faults:                       # tried before those of the reply, for embeddings too
//!   - { when: { parameter: max_tokens }, status: 400, code: unsupported_parameter, parameter: max_tokens }
//! embeddings: { dimensions: 8 } # of vectors whose request says nothing of `dimensions`; 256
//! limits:                       # what the HTTP endpoint allows each model or deployment
//!   requests_per_minute: 60
//!   tokens_per_minute: 10000
//!   burst: 60s                  # how much of it may come at once, as time
//! api_key: secret               # what the HTTP endpoint then demands
//! ```
//!
//! `when.user` looks at the last user message (or the text to complete, or the texts to embed), `when.system` at all
//! system and developer messages, joined by line breaks, `when.tool` at what tools answered since the last user
//! message. `when.api` looks at `chat`, `completions`, `responses`, `messages` or `embeddings`. Faults take the same
//! `when`. Entries of `replies` and the `default` never answer embeddings.
//!
//! Without `usage`, tokens are counted as characters / 4, and marked as an estimate. `retry_after` is told in seconds
//! and in milliseconds, `retry_after_ms` (a number) in milliseconds alone.
//!
//! A vector is of length 1 and made of the text's words: the same text has the same vector, and texts that share words
//! are nearer to each other than those that do not.

mod answer;
mod asked;
mod dice;
mod embed;
mod fault;
mod key;
mod parse;
mod reply;
mod template;
mod when;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_value::Value;

use crate::{Filter, Usage};
use fault::Fault;
use template::Template;
use when::When;

pub use asked::{Api, Asked};
pub use fault::Failure;
pub use key::ApiKey;
pub use reply::{CalledTool, Reply, Vectors};

/// A scripted model.
#[derive(Clone, Debug)]
pub struct Script {
    seed: u64,
    delay: Duration,
    chunk_delay: Duration,
    models: Option<Vec<Arc<str>>>,
    entries: Vec<Entry>,
    default: Option<Entry>,
    faults: Vec<Fault>,
    dimensions: usize,
    limits: Limits,
    api_key: Option<ApiKey>,
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
pub struct Turn<R = Reply> {
    /// How long it thinks first.
    pub delay: Duration,
    /// How long it rests between the pieces of a streamed reply.
    pub chunk_delay: Duration,
    /// After how many pieces of a streamed reply the connection breaks; a reply in one piece never comes then.
    pub cut_after: Option<usize>,
    /// What it then says.
    pub outcome: Outcome<R>,
}

/// What the scripted model says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<R = Reply> {
    /// A reply.
    Reply(R),
    /// An error, as an endpoint would tell it.
    Failure(Failure),
    /// The script has no answer; what was asked, shortened.
    Unscripted(String),
    /// The connection breaks.
    Reset,
    /// Nothing, ever.
    Hang,
}

/// What an endpoint allows each model or deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
    /// How much of both may come at once: what the limit allows in this time.
    pub burst: Duration,
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
    when: When,
    find: Option<regex::Regex>,
    reply: Option<Said>,
    refusal: Option<Template>,
    filter: Option<Filter>,
    tool_calls: Vec<ToolCall>,
    finish_reason: Arc<str>,
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

impl Script {
    /// Reads a script from its document.
    ///
    /// # Errors
    /// Everything that is wrong with it: unknown keys, regular expressions that do not parse, captures that do not
    /// exist, values out of range.
    pub fn parse(document: &Value) -> Result<Self, Vec<ScriptProblem>> {
        parse::script(document)
    }

    /// The names that are served; `None`: every name is.
    #[must_use]
    pub fn models(&self) -> Option<&[Arc<str>]> {
        self.models.as_deref()
    }

    /// Whether a model or deployment of this name is served.
    #[must_use]
    pub fn serves(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|known| &**known == model))
    }

    /// What an endpoint shall allow each model; to keep count is the endpoint's business, for it has a clock.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The key that an endpoint shall demand.
    #[must_use]
    pub fn api_key(&self) -> Option<&ApiKey> {
        self.api_key.as_ref()
    }

    /// Whether it matters which attempt of a call an attempt is.
    #[must_use]
    pub fn counts_attempts(&self) -> bool {
        let entries = self.entries.iter().chain(&self.default);
        self.faults.iter().chain(entries.flat_map(|entry| &entry.faults)).any(Fault::counts_attempts)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_minute: None, tokens_per_minute: None, burst: Duration::from_secs(60) }
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
