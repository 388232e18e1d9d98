//! The models of a run that was: each request is answered with what was recorded, nothing is sent.

use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_model::{
    About, BoxFuture, CallContext, ChatModel, ChatReply, ChatRequest, ConnectionName, EmbeddingModel, EmbeddingReply,
    EmbeddingRequest, Fetch, FetchReply, FetchRequest, ModelError, Models,
};
use sluicegate_value::Map;

use super::recorded::RecordedCall;
use super::reply;
use super::request::{Asking, normalized, of_chat, of_embedding};

/// Names the connection of a node's own: by it, its requests are told from those of others.
const OF_NODE: &str = "node:";

/// What stands for the connection of a node.
pub(crate) fn connection_of(node: &str) -> ConnectionName {
    ConnectionName(format!("{OF_NODE}{node}").into())
}

/// Answers with the recorded replies of one line.
#[derive(Clone)]
pub(crate) struct Replay(Arc<Mutex<Tape>>);

#[derive(Default)]
struct Tape {
    calls: Vec<RecordedCall>,
    taken: Vec<bool>,
    asked: Vec<Asked>,
}

/// A request that we made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Who asked; `None`: Python code, by whatever connection it has.
    pub(crate) node: Option<Arc<str>>,
    /// What, in the form of [`normalized`].
    pub(crate) request: Map,
    /// The recorded call that answered.
    pub(crate) answered_by: Option<usize>,
}

impl Replay {
    pub(crate) fn of(calls: Vec<RecordedCall>) -> Self {
        let taken = vec![false; calls.len()];
        Self(Arc::new(Mutex::new(Tape { calls, taken, asked: Vec::new() })))
    }

    /// What was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.tape().asked.clone()
    }

    fn tape(&self) -> std::sync::MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, node: Option<&Arc<str>>, asking: Asking, request: Map) -> Result<RecordedCall, ModelError> {
        let mut tape = self.tape();
        let position = tape.find(node, asking, &request);
        if let Some(position) = position {
            tape.taken[position] = true;
        }
        tape.asked.push(Asked { node: node.cloned(), request, answered_by: position });
        match position.and_then(|position| tape.calls.get(position)) {
            Some(call) => Ok(call.clone()),
            None => Err(ModelError::Unsupported {
                connection: "recording".to_owned(),
                what: match node {
                    Some(node) => format!("another reply for node `{node}`"),
                    None => "another reply".to_owned(),
                },
            }),
        }
    }
}

impl Tape {
    /// The call that answers: of those that nobody has taken, one with the very request, else the node's next.
    fn find(&self, node: Option<&Arc<str>>, asking: Asking, request: &Map) -> Option<usize> {
        let free: Vec<usize> = (0..self.calls.len())
            .filter(|position| !self.taken[*position] && self.calls[*position].asking == asking)
            .filter(|position| match (node, &self.calls[*position].node) {
                (Some(node), Some(of)) => node == of,
                _ => true,
            })
            .collect();
        let is_the_very = |position: &&usize| normalized(asking, &self.calls[**position].request) == *request;
        free.iter().find(is_the_very).or_else(|| free.first()).copied()
    }
}

impl Models for Replay {
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError> {
        Ok(Arc::new(Recorded::new(self, connection)))
    }

    fn embedding(&self, connection: &ConnectionName) -> Result<Arc<dyn EmbeddingModel>, ModelError> {
        Ok(Arc::new(Recorded::new(self, connection)))
    }

    fn fetch(&self) -> Arc<dyn Fetch> {
        Arc::new(NoFetch)
    }
}

/// The recording as the model of one node.
struct Recorded {
    replay: Replay,
    node: Option<Arc<str>>,
    about: About,
}

impl Recorded {
    fn new(replay: &Replay, connection: &ConnectionName) -> Self {
        let about = About { connection: connection.clone(), provider: "recorded".into(), host: "".into(), port: 0 };
        Self { replay: replay.clone(), node: connection.0.strip_prefix(OF_NODE).map(Into::into), about }
    }
}

impl ChatModel for Recorded {
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<ChatReply, ModelError>> {
        let (asking, form) = of_chat(request);
        let answer = self.replay.take(self.node.as_ref(), asking, form).and_then(|call| reply::chat(&call));
        Box::pin(std::future::ready(answer))
    }

    fn about(&self) -> &About {
        &self.about
    }
}

impl EmbeddingModel for Recorded {
    fn embed<'a>(
        &'a self,
        request: &'a EmbeddingRequest,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EmbeddingReply, ModelError>> {
        let (asking, form) = of_embedding(request);
        let answer = self.replay.take(self.node.as_ref(), asking, form).and_then(|call| reply::embedding(&call));
        Box::pin(std::future::ready(answer))
    }

    fn about(&self) -> &About {
        &self.about
    }
}

/// Calls nobody: the original has no node that makes calls of its own, so there is nothing recorded to answer with.
struct NoFetch;

impl Fetch for NoFetch {
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<FetchReply, ModelError>> {
        let url = request.url.split('?').next().unwrap_or_default().to_owned();
        let message = "`verify` opens no socket".to_owned();
        Box::pin(std::future::ready(Err(ModelError::Forbidden { url, message })))
    }
}
