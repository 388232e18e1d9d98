//! Calls of the outside world: what is asked for, and how it ends.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_model::{Adaptation, ChatReply, EmbeddingReply};
use sluicegate_value::Value;

use crate::Failure;

/// What a model is asked for, in the words of the GenAI conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// To answer a conversation.
    Chat,
    /// To complete a text.
    TextCompletion,
    /// To turn texts into vectors.
    Embeddings,
}

impl Operation {
    /// The operation in one word: `chat`, `text_completion`, `embeddings`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }

    /// What an event meant that does not say it, by its request: such events knew no embeddings.
    #[must_use]
    pub fn of_request(request: &Value) -> Self {
        match request.get("prompt").is_some() && request.get("messages").is_none() {
            true => Self::TextCompletion,
            false => Self::Chat,
        }
    }
}

/// What came of a model call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum CallEnd {
    /// The model replied.
    Replied {
        /// The whole reply.
        reply: Box<ChatReply>,
    },
    /// The model gave vectors.
    Embedded {
        /// All of them.
        reply: Box<EmbeddingReply>,
    },
    /// It did not.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The call was given up (another node failed, or the run was interrupted).
    Cancelled,
}

/// What came of an HTTP call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum FetchEnd {
    /// There was an answer, of whichever status.
    Answered {
        /// Its status.
        status: u16,
        /// Bytes of its body, decompressed.
        size: u64,
    },
    /// There was none.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// The call was given up (another node failed, or the run was interrupted).
    Cancelled,
}

/// How an [`Adaptation`] is written: `"dropped"`, `{"renamed": "max_completion_tokens"}`, or `{"value_dropped":
/// "\"minimal\""}`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Adaptation", rename_all = "snake_case")]
pub(crate) enum AdaptationAsWritten {
    Renamed(Arc<str>),
    Dropped,
    ValueDropped(Arc<str>),
}
