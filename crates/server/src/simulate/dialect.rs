//! One file for each way to spell a reply.

pub(super) mod chat;
pub(super) mod completions;
mod echo;
pub(super) mod embeddings;
pub(super) mod filters;
pub(super) mod messages;
pub(super) mod models;
pub(super) mod responses;

use std::fmt;

use serde::{Serialize, Serializer};
use sluicegate_model::Usage;
use sluicegate_value::Map;

/// What a reply is told with, besides itself.
pub(super) struct About<'a> {
    pub(super) model: &'a str,
    /// Seconds since 1970.
    pub(super) created: u64,
    /// Whether it tells what content filters found.
    pub(super) annotates: bool,
    pub(super) body: &'a Map,
}

/// An id, such as `chatcmpl-00f3…`.
#[derive(Clone, Copy)]
struct Id(&'static str, u64);

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{:016x}", self.0, self.1)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Tokens as the chat API spells them.
#[derive(Clone, Copy, Serialize)]
struct ChatUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    audio_tokens: u64,
}

#[derive(Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
    audio_tokens: u64,
    accepted_prediction_tokens: u64,
    rejected_prediction_tokens: u64,
}

impl ChatUsage {
    /// The usage of a reply with so many choices, of which each has its own tokens.
    fn new(usage: &Usage, choices: usize) -> Self {
        let times = |tokens: Option<u64>| tokens.unwrap_or_default().saturating_mul(choices as u64);
        let (input, output) = (usage.input_tokens.unwrap_or_default(), times(usage.output_tokens));
        Self {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: input.saturating_add(output),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cached_input_tokens.unwrap_or_default(),
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: times(usage.reasoning_tokens),
                audio_tokens: 0,
                accepted_prediction_tokens: 0,
                rejected_prediction_tokens: 0,
            },
        }
    }
}
