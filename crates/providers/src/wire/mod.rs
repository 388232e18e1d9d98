//! The formats in which endpoints are spoken to: each turns a request into a body, and what comes back into an answer.
//!
//! Requests and replies inside of sluicegate are spelled as chat completions spell them; every other format is a
//! translation to and fro, so that nodes, events and spans know one spelling. What a format cannot say is refused by
//! name, unless it says nothing anyway (`n: 1`): nothing is left out that would change the answer.

pub(crate) mod chat;
pub(crate) mod embeddings;
mod event;
mod messages;
mod parameters;
mod responses;
mod sendable;

use std::sync::Arc;

use sluicegate_model::{ChatApi, ChatReply, ModelError, Prompt};
use sluicegate_value::Value;

use crate::ask::{Answer, Ask};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Chat completions.
    Chat,
    /// The older completion API.
    Completion,
    /// Embeddings.
    Embeddings,
    /// The responses API of OpenAI and Azure.
    Responses,
    /// Anthropic's messages API.
    Messages,
}

/// What a body is made of beside the request.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    /// The connection's name, for errors.
    pub(crate) connection: &'a str,
    /// Whether token counts of streamed replies are asked for where the request does not speak of them itself.
    pub(crate) stream_usage: bool,
}

/// Puts a streamed reply together.
pub(crate) trait Assemble: Send {
    /// Takes the data of one event. After the end, or an error, it brings nothing any more.
    fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError>;

    /// Whether the reply is whole: the end came, or every choice has told why it ended.
    fn is_complete(&self) -> bool;

    /// What was seen last, for messages.
    fn seen(&self) -> String;

    /// The reply, as it would have come whole.
    fn finish(self: Box<Self>) -> Result<ChatReply, ModelError>;
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

impl Wire {
    /// The format in which this is asked, of a service whose conversations are in `chat` unless the request says
    /// otherwise.
    pub(crate) fn of(ask: &Ask<'_>, chat: Self) -> Self {
        match ask {
            Ask::Embedding(_) => Self::Embeddings,
            Ask::Chat(request) => match (&request.prompt, request.api) {
                (_, Some(ChatApi::Responses)) => Self::Responses,
                (Prompt::Text(_), _) => Self::Completion,
                // Anthropic's one API for conversations is what it has in place of chat completions.
                (Prompt::Messages(_), Some(ChatApi::Completions)) if chat != Self::Messages => Self::Chat,
                (Prompt::Messages(_), _) => chat,
            },
        }
    }

    /// Its name, for messages: `connection c does not offer …`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat completions",
            Self::Completion => "completions of a text",
            Self::Embeddings => "embeddings",
            Self::Responses => "the responses API (`api: responses`)",
            Self::Messages => "Anthropic's messages",
        }
    }

    /// Where it is asked, behind a service's base address.
    pub(crate) fn path(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["chat", "completions"],
            Self::Completion => &["completions"],
            Self::Embeddings => &["embeddings"],
            Self::Responses => &["responses"],
            Self::Messages => &["v1", "messages"],
        }
    }

    /// Whether Azure's older addresses have the deployment in front of the path.
    pub(crate) fn is_by_deployment(self) -> bool {
        self != Self::Responses
    }

    /// The body of a request.
    pub(crate) fn body(self, ask: &Ask<'_>, writing: Writing<'_>) -> Result<String, ModelError> {
        match ask {
            Ask::Chat(request) => match self {
                Self::Responses => responses::request::body(request, writing.connection),
                Self::Messages => messages::request::body(request, writing.connection),
                _ => chat::request::body(request, writing.connection, writing.stream_usage),
            },
            Ask::Embedding(request) => embeddings::body(request, writing.connection),
        }
    }

    /// Whether a body under a status of success is an answer at all, rather than an error in disguise.
    pub(crate) fn is_answer(self, body: &Value) -> bool {
        let key = match self {
            Self::Chat | Self::Completion => "choices",
            Self::Embeddings => "data",
            Self::Messages => "content",
            // One that failed has an (empty) output beside its error.
            Self::Responses if body.get("status").and_then(Value::as_str) == Some("failed") => return false,
            Self::Responses => "output",
        };
        body.get(key).is_some()
    }

    /// Reads a whole answer.
    pub(crate) fn read(self, ask: &Ask<'_>, body: Value) -> Result<Answer, ModelError> {
        match ask {
            Ask::Embedding(request) => embeddings::read(request, &body).map(Answer::Embedding),
            Ask::Chat(_) => {
                let reply = match self {
                    Self::Responses => responses::reply::read(body),
                    Self::Messages => messages::reply::read(body),
                    _ => chat::reply::read(body),
                }?;
                Ok(Answer::Chat(Box::new(reply)))
            }
        }
    }

    /// Reads an answer that comes in pieces.
    pub(crate) fn assembler(self) -> Box<dyn Assemble> {
        let inner: Box<dyn Assemble> = match self {
            Self::Responses => Box::new(responses::stream::Assembler::default()),
            Self::Messages => Box::new(messages::stream::Assembler::default()),
            _ => Box::new(chat::stream::Assembler::default()),
        };
        Box::new(UntilTheEnd { inner, is_over: false })
    }
}

/// Looks at nothing that follows the end or an error: it may make no sense, and belongs to no reply.
struct UntilTheEnd {
    inner: Box<dyn Assemble>,
    is_over: bool,
}

impl Assemble for UntilTheEnd {
    fn push(&mut self, data: &[u8]) -> Result<Brought, ModelError> {
        if self.is_over {
            return Ok(Brought::Other);
        }
        let brought = self.inner.push(data)?;
        self.is_over = matches!(brought, Brought::Done | Brought::Error(_));
        Ok(brought)
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    fn seen(&self) -> String {
        self.inner.seen()
    }

    fn finish(self: Box<Self>) -> Result<ChatReply, ModelError> {
        self.inner.finish()
    }
}
