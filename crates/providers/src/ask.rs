//! What goes through the layers: one request and its answer, whatever is asked.

use std::borrow::Cow;

use sluicegate_model::{ChatReply, ChatRequest, EmbeddingReply, EmbeddingRequest};
use sluicegate_value::Map;

/// One request. The layers may send another one than the caller made (see `adapt`).
#[derive(Clone, Debug)]
pub(crate) enum Ask<'a> {
    Chat(Cow<'a, ChatRequest>),
    Embedding(Cow<'a, EmbeddingRequest>),
}

/// What was answered; of the kind that was asked for.
#[derive(Debug)]
pub(crate) enum Answer {
    Chat(Box<ChatReply>),
    Embedding(EmbeddingReply),
}

impl Ask<'_> {
    /// Deployment or model.
    pub(crate) fn model(&self) -> &std::sync::Arc<str> {
        match self {
            Self::Chat(request) => &request.model,
            Self::Embedding(request) => &request.model,
        }
    }

    pub(crate) fn parameters(&self) -> &Map {
        match self {
            Self::Chat(request) => &request.parameters,
            Self::Embedding(request) => &request.parameters,
        }
    }

    /// The same request with other parameters.
    pub(crate) fn with_parameters(&self, parameters: Map) -> Ask<'static> {
        match self {
            Self::Chat(request) => Ask::Chat(Cow::Owned(ChatRequest { parameters, ..ChatRequest::clone(request) })),
            Self::Embedding(request) => {
                Ask::Embedding(Cow::Owned(EmbeddingRequest { parameters, ..EmbeddingRequest::clone(request) }))
            }
        }
    }

    /// Whether the answer comes in pieces.
    pub(crate) fn stream(&self) -> bool {
        matches!(self, Self::Chat(request) if request.stream)
    }

    /// Which of prompt flow's tools is imitated.
    pub(crate) fn called_from(&self) -> &str {
        match self {
            Self::Chat(request) => &request.called_from,
            Self::Embedding(request) => &request.called_from,
        }
    }
}
