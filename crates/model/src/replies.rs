//! Replies that are kept from one run to the next: the cache, and cassettes.

use std::sync::Arc;

use sluicegate_value::Value;

use crate::{ChatReply, EmbeddingReply, FetchReply, ModelError};

/// What is asked, and where: all that a cache or a cassette needs to know a call again.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Names what is asked, whoever is asked: SHA-256 over provider, model, canonical body and repeat, never over a
    /// connection's name, its address or a key.
    pub hash: Arc<str>,
    /// The provider, as GenAI conventions name it; empty for an HTTP call.
    pub provider: Arc<str>,
    /// `chat`, `text_completion`, `embeddings`, or the method of an HTTP call.
    pub operation: Arc<str>,
    /// Deployment or model, or the address of an HTTP call without user, password, query and fragment.
    pub model: Arc<str>,
    /// Messages, prompt or input, and the parameters; secrets taken out. `null` for an HTTP call.
    pub body: Value,
    /// The line of a batch.
    pub line: Option<u64>,
    /// The repeat of a case, from 0.
    pub repeat: u32,
    /// The node's path, as events write it.
    pub node: Arc<str>,
    /// Which call of the node, from 0: calls of an attempt that is made again have the same numbers.
    pub call: u32,
}

/// A reply that is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum KeptReply {
    /// Of a chat model.
    Chat(Box<ChatReply>),
    /// Of an embedding model.
    Embedding(Box<EmbeddingReply>),
    /// Of an HTTP call.
    Fetch(Box<FetchReply>),
}

/// Keeps replies from one run to the next. Called from the tasks of calls, so neither method may take long.
pub trait ReplyKeeper: Send + Sync {
    /// The reply that is kept for what is asked; `None`: the model is to be asked.
    ///
    /// # Errors
    /// There is none, and nobody else may be asked ([`ModelError::NotRecorded`]).
    fn find(&self, asked: &Asked) -> Result<Option<KeptReply>, ModelError>;

    /// Keeps a reply. One that cannot be kept is told when the keeper is closed, not here: the reply is there.
    fn keep(&self, asked: &Asked, reply: &KeptReply);
}
