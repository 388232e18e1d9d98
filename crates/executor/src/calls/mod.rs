//! Calls of one attempt of a node, to models and to addresses: each has a span, is told before it is sent, and a model's is
//! answered from the journal where a past process already paid for it.

mod address;
mod asked;
mod failure;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use sluicegate_events::{CallEnd, Failure, FetchEnd, NodePath, Operation, SpanRef};
use sluicegate_model::{
    About, CallContext, CallNotice, ChatReply, ChatRequest, ConnectionName, EmbeddingReply, EmbeddingRequest,
    FetchReply, FetchRequest, ModelError, Notices, Prompt,
};
use sluicegate_value::Value;
use tokio::sync::mpsc::UnboundedSender;

pub(crate) use address::Address;
pub(crate) use failure::{model_failure, was_given_up};

use crate::engine::Engine;
use crate::nodes::AttemptFailure;

/// What a node's work tells its owner on the way.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    pub(crate) call: u32,
    pub(crate) what: SaidKind,
}

#[derive(Debug)]
pub(crate) enum SaidKind {
    Started(Box<CallStarted>),
    Noticed(CallNotice),
    ModelEnded(CallEnd),
    FetchEnded(FetchEnd),
}

#[derive(Debug)]
pub(crate) struct CallStarted {
    pub(crate) span: SpanRef,
    pub(crate) what: StartedKind,
}

#[derive(Debug)]
pub(crate) enum StartedKind {
    Model { operation: Operation, about: About, model: Arc<str>, request: Value, stream: bool, request_hash: String },
    Fetch { method: Arc<str>, address: Address },
}

/// The calls of one attempt.
pub(crate) struct Calls<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    /// The node's span, which calls are inside of.
    pub(crate) span: SpanRef,
    pub(crate) deadline: Option<Instant>,
    pub(crate) say: UnboundedSender<Said>,
    /// Replies of a past process, by the hash of their request; each answers once.
    pub(crate) recorded: Vec<(String, CallEnd)>,
    pub(crate) made: u32,
}

/// A call that has begun.
struct Begun {
    call: u32,
    context: CallContext,
    /// How many attempts the connection has made.
    attempts: Arc<AtomicU32>,
}

impl Begun {
    fn failure(&self, error: &ModelError) -> Failure {
        model_failure(error, self.attempts.load(Ordering::Relaxed))
    }

    fn attempt_failure(&self, error: &ModelError) -> AttemptFailure {
        AttemptFailure::of_model(error, self.attempts.load(Ordering::Relaxed))
    }
}

impl Calls<'_> {
    /// Asks a model, or the past.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    pub(crate) async fn chat(
        &mut self,
        connection: &ConnectionName,
        request: &ChatRequest,
    ) -> Result<ChatReply, AttemptFailure> {
        let request = ChatRequest { stream: request.stream || self.engine.options.stream, ..request.clone() };
        let model = self.engine.models.chat(connection).map_err(|error| AttemptFailure::of_model(&error, 1))?;
        let about = model.about().clone();
        let body = asked::chat_body(&request);
        let api = request.api.map(asked::api_word);
        let request_hash = asked::request_hash(&about.provider, &request.model, &body, self.engine.options.repeat, api);
        if let Some(CallEnd::Replied { reply }) = self.recorded(&request_hash) {
            return Ok(*reply);
        }
        let operation = match request.prompt {
            Prompt::Messages(_) => Operation::Chat,
            Prompt::Text(_) => Operation::TextCompletion,
        };
        let (name, stream) = (request.model.clone(), request.stream);
        let begun =
            self.begin(StartedKind::Model { operation, about, model: name, request: body, stream, request_hash });
        let answer = model.chat(&request, &begun.context).await;
        let end = match &answer {
            Ok(reply) => CallEnd::Replied { reply: Box::new(reply.clone()) },
            Err(error) => CallEnd::Failed { failure: begun.failure(error) },
        };
        self.tell(begun.call, SaidKind::ModelEnded(end));
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    /// Asks an embedding model, or the past.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    pub(crate) async fn embed(
        &mut self,
        connection: &ConnectionName,
        request: &EmbeddingRequest,
    ) -> Result<EmbeddingReply, AttemptFailure> {
        let model = self.engine.models.embedding(connection).map_err(|error| AttemptFailure::of_model(&error, 1))?;
        let about = model.about().clone();
        let body = asked::embedding_body(request);
        let repeat = self.engine.options.repeat;
        let request_hash =
            asked::request_hash(&about.provider, &request.model, &body, repeat, Some(Operation::Embeddings.word()));
        if let Some(CallEnd::Embedded { reply }) = self.recorded(&request_hash) {
            return Ok(*reply);
        }
        let (operation, name) = (Operation::Embeddings, request.model.clone());
        let begun = self.begin(StartedKind::Model {
            operation,
            about,
            model: name,
            request: body,
            stream: false,
            request_hash,
        });
        let answer = model.embed(request, &begun.context).await.and_then(finite);
        let end = match &answer {
            Ok(reply) => CallEnd::Embedded { reply: Box::new(reply.clone()) },
            Err(error) => CallEnd::Failed { failure: begun.failure(error) },
        };
        self.tell(begun.call, SaidKind::ModelEnded(end));
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    /// Makes an HTTP call. The past never answers it: its answer is not kept whole, and may be another one by now.
    ///
    /// # Errors
    /// There is no answer. One of any status is an answer.
    pub(crate) async fn fetch(&mut self, request: &FetchRequest) -> Result<FetchReply, AttemptFailure> {
        let fetch = self.engine.models.fetch();
        let begun =
            self.begin(StartedKind::Fetch { method: request.method.clone(), address: Address::of(&request.url) });
        let answer = fetch.fetch(request, &begun.context).await;
        let end = match &answer {
            Ok(reply) => FetchEnd::Answered { status: reply.status, size: reply.body.len() as u64 },
            Err(error) => FetchEnd::Failed { failure: begun.failure(error) },
        };
        self.tell(begun.call, SaidKind::FetchEnded(end));
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    /// The reply that a past process had to the same request.
    fn recorded(&mut self, request_hash: &str) -> Option<CallEnd> {
        let position = self.recorded.iter().position(|(hash, _)| *hash == request_hash)?;
        Some(self.recorded.remove(position).1)
    }

    /// Tells that a call begins, under a number and a span of its own.
    fn begin(&mut self, what: StartedKind) -> Begun {
        let call = self.made;
        self.made += 1;
        let span =
            SpanRef { span_id: crate::spans::random() as u64 | 1, parent_id: Some(self.span.span_id), ..self.span };
        self.tell(call, SaidKind::Started(Box::new(CallStarted { span, what })));
        let attempts = Arc::new(AtomicU32::new(1));
        let notices = Teller {
            say: self.say.clone(),
            path: self.path.clone(),
            attempt: self.attempt,
            call,
            attempts: attempts.clone(),
        };
        let context = CallContext {
            trace: Some(span.context()),
            deadline: self.deadline,
            line: self.engine.options.line,
            repeat: self.engine.options.repeat,
            index: call,
            notices: Arc::new(notices),
        };
        Begun { call, context, attempts }
    }

    fn tell(&self, call: u32, what: SaidKind) {
        // Nobody listens once the run is over; then there is nothing to tell.
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, call, what });
    }
}

/// Vectors that the journal can keep: its JSON has no `nan`.
fn finite(reply: EmbeddingReply) -> Result<EmbeddingReply, ModelError> {
    match reply.vectors.iter().flatten().all(|number| number.is_finite()) {
        true => Ok(reply),
        false => Err(ModelError::Malformed { message: "a vector holds something that is no number".to_owned() }),
    }
}

struct Teller {
    say: UnboundedSender<Said>,
    path: NodePath,
    attempt: u32,
    call: u32,
    attempts: Arc<AtomicU32>,
}

impl Notices for Teller {
    fn notice(&self, notice: CallNotice) {
        if let CallNotice::AttemptStarted { attempt } | CallNotice::AttemptFailed { attempt, .. } = &notice {
            self.attempts.fetch_max(*attempt, Ordering::Relaxed);
        }
        let what = SaidKind::Noticed(notice);
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, call: self.call, what });
    }
}
