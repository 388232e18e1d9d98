//! Calls of one attempt of a node, to models and to addresses: each has a span, is told before it is sent, and a model's is
//! answered from the journal where a past process already paid for it.

mod address;
mod asked;
mod failure;
mod kept;
mod said;
mod teller;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sluicegate_events::{CallEnd, Failure, FetchEnd, NodePath, Operation, SpanRef};
use sluicegate_model::{
    Asked, CallContext, ChatReply, ChatRequest, ConnectionName, EmbeddingReply, EmbeddingRequest, FetchReply,
    FetchRequest, KeptReply, ModelError, Prompt, Usage,
};
use sluicegate_value::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

pub(crate) use address::Address;
pub(crate) use failure::{model_failure, was_given_up};
pub(crate) use kept::FoundIn;
pub use kept::{Cache, KeptReplies};
pub(crate) use said::{CallSaid, CallStarted, Kept, Said, SaidKind, StartedKind};

use crate::budget::{Budget, Most, Paid};
use crate::engine::{Engine, LineKey};
use crate::nodes::AttemptFailure;
use kept::Keepers;
use teller::{Teller, is_kept};

/// The calls of one attempt.
pub(crate) struct Calls<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) line: LineKey,
    /// Whether the node says that its replies come from the cache.
    cache: Option<bool>,
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    /// The node's span, which calls are inside of.
    pub(crate) span: SpanRef,
    pub(crate) deadline: Option<Instant>,
    say: UnboundedSender<Said>,
    shared: Arc<Shared>,
}

/// What all calls of an attempt share, those of flows that its code runs included.
#[derive(Default)]
struct Shared {
    /// Replies that were paid for before, by the hash of their request; each answers once.
    recorded: Mutex<Vec<(String, CallEnd)>>,
    /// Replies of this attempt, which may be made again.
    got: Mutex<Vec<(String, CallEnd)>>,
    made: AtomicU32,
}

/// Who asks, where that is not the node itself: user code within it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Asker<'p> {
    /// The span of user code that the call is inside of.
    pub(crate) span: Option<u64>,
    /// Who reads the pieces of a streamed reply.
    pub(crate) pieces: Option<&'p UnboundedSender<Arc<str>>>,
}

/// A call that has begun.
struct Begun {
    call: u32,
    context: CallContext,
    /// How many attempts the connection has made.
    attempts: Arc<AtomicU32>,
    /// Whether the reply came in pieces, for somebody who reads them.
    told_pieces: Arc<AtomicBool>,
}

impl Begun {
    fn failure(&self, error: &ModelError) -> Failure {
        model_failure(error, self.attempts.load(Ordering::Relaxed))
    }

    fn attempt_failure(&self, error: &ModelError) -> AttemptFailure {
        AttemptFailure::of_model(error, self.attempts.load(Ordering::Relaxed))
    }
}

impl<'a> Calls<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        (line, cache): (LineKey, Option<bool>),
        (path, attempt, span): (NodePath, u32, SpanRef),
        deadline: Option<Instant>,
        say: UnboundedSender<Said>,
        recorded: Vec<(String, CallEnd)>,
    ) -> Self {
        let shared = Arc::new(Shared { recorded: Mutex::new(recorded), ..Shared::default() });
        Self { engine, line, cache, path, attempt, span, deadline, say, shared }
    }

    /// The same, inside of another span.
    pub(crate) fn within(&self, span: SpanRef) -> Calls<'a> {
        let (engine, line, cache, path) = (self.engine, self.line, self.cache, self.path.clone());
        let (attempt, deadline) = (self.attempt, self.deadline);
        Calls { engine, line, cache, path, attempt, span, deadline, say: self.say.clone(), shared: self.shared.clone() }
    }

    /// A new span inside of this one, or inside of the span that user code names.
    pub(crate) fn new_span(&self, parent: Option<u64>) -> SpanRef {
        let parent_id = Some(parent.unwrap_or(self.span.span_id));
        SpanRef { span_id: crate::spans::random() as u64 | 1, parent_id, ..self.span }
    }

    /// What this attempt has got answers what it asks from here on: it is made once more, for no fault of its own.
    pub(crate) fn begin_again(&self) {
        let got = std::mem::take(&mut *self.shared.got.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner).extend(got);
    }

    /// Asks a model, or the past.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    pub(crate) async fn chat(
        &self,
        connection: &ConnectionName,
        request: &ChatRequest,
    ) -> Result<ChatReply, AttemptFailure> {
        self.chat_for(Asker::default(), connection, request).await
    }

    /// The same, for user code within the node.
    ///
    /// # Errors
    /// As [`Calls::chat`].
    pub(crate) async fn chat_for(
        &self,
        asker: Asker<'_>,
        connection: &ConnectionName,
        request: &ChatRequest,
    ) -> Result<ChatReply, AttemptFailure> {
        let request = ChatRequest { stream: request.stream || self.engine.options.stream, ..request.clone() };
        let model = self.engine.models.chat(connection).map_err(|error| AttemptFailure::of_model(&error, 1))?;
        let about = model.about().clone();
        let body = asked::chat_body(&request);
        let api = request.api.map(asked::api_word);
        let request_hash = asked::request_hash(&about.provider, &request.model, &body, self.line.repeat, api);
        if let Some(CallEnd::Replied { reply }) = self.recorded(&request_hash) {
            if let (Some(pieces), Some(text)) = (asker.pieces, &reply.text) {
                let _ = pieces.send(text.clone());
            }
            return Ok(*reply);
        }
        let operation = match request.prompt {
            Prompt::Messages(_) => Operation::Chat,
            Prompt::Text(_) => Operation::TextCompletion,
        };
        let (name, stream) = (request.model.clone(), request.stream);
        let asked = || Asked {
            hash: request_hash.as_str().into(),
            provider: about.provider.clone(),
            operation: operation.word().into(),
            model: name.clone(),
            body: body.clone(),
            ..nowhere()
        };
        let call = self.shared.made.fetch_add(1, Ordering::Relaxed);
        let keepers = Keepers::of(self, call, true, asked);
        let started = StartedKind::Model {
            operation,
            about,
            model: name,
            request: body,
            stream,
            request_hash: request_hash.clone(),
        };
        let begun = self.begin(call, asker, started);
        let prices = &self.engine.prices;
        let outside = Outside {
            keepers,
            of_kept: kept::chat_reply,
            to_keep: |reply: &ChatReply| KeptReply::Chat(Box::new(reply.clone())),
            most: |budget: &Budget| budget.most_of_chat(&request, prices),
            paid: |reply: &ChatReply| {
                Paid::of(prices.cost(&request.model, reply.model.as_deref(), &reply.usage), &reply.usage)
            },
        };
        let answer = self.ask(&begun, outside, model.chat(&request, &begun.context)).await;
        let end = match &answer {
            Ok(reply) => CallEnd::Replied { reply: Box::new(reply.clone()) },
            Err(error) => CallEnd::Failed { failure: begun.failure(error) },
        };
        if let (Some(pieces), Ok(reply)) = (asker.pieces, &answer)
            && !begun.told_pieces.load(Ordering::Relaxed)
            && let Some(text) = &reply.text
        {
            let _ = pieces.send(text.clone());
        }
        self.model_ended(&begun, request_hash, end);
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    fn model_ended(&self, begun: &Begun, request_hash: String, end: CallEnd) {
        if matches!(end, CallEnd::Replied { .. } | CallEnd::Embedded { .. }) {
            self.shared.got.lock().unwrap_or_else(PoisonError::into_inner).push((request_hash, end.clone()));
        }
        self.tell_of_call(begun.call, CallSaid::ModelEnded(end));
    }

    /// Asks an embedding model, or the past.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    pub(crate) async fn embed(
        &self,
        connection: &ConnectionName,
        request: &EmbeddingRequest,
    ) -> Result<EmbeddingReply, AttemptFailure> {
        self.embed_for(Asker::default(), connection, request).await
    }

    /// The same, for user code within the node.
    ///
    /// # Errors
    /// As [`Calls::embed`].
    pub(crate) async fn embed_for(
        &self,
        asker: Asker<'_>,
        connection: &ConnectionName,
        request: &EmbeddingRequest,
    ) -> Result<EmbeddingReply, AttemptFailure> {
        let model = self.engine.models.embedding(connection).map_err(|error| AttemptFailure::of_model(&error, 1))?;
        let about = model.about().clone();
        let body = asked::embedding_body(request);
        let repeat = self.line.repeat;
        let request_hash =
            asked::request_hash(&about.provider, &request.model, &body, repeat, Some(Operation::Embeddings.word()));
        if let Some(CallEnd::Embedded { reply }) = self.recorded(&request_hash) {
            return Ok(*reply);
        }
        let (operation, name) = (Operation::Embeddings, request.model.clone());
        let call = self.shared.made.fetch_add(1, Ordering::Relaxed);
        let keepers = Keepers::of(self, call, true, || Asked {
            hash: request_hash.as_str().into(),
            provider: about.provider.clone(),
            operation: operation.word().into(),
            model: name.clone(),
            body: body.clone(),
            ..nowhere()
        });
        let started = StartedKind::Model {
            operation,
            about,
            model: name,
            request: body,
            stream: false,
            request_hash: request_hash.clone(),
        };
        let begun = self.begin(call, asker, started);
        let prices = &self.engine.prices;
        let outside = Outside {
            keepers,
            of_kept: kept::embedding_reply,
            to_keep: |reply: &EmbeddingReply| KeptReply::Embedding(Box::new(reply.clone())),
            most: |budget: &Budget| budget.most_of_embedding(request, prices),
            paid: |reply: &EmbeddingReply| {
                let usage = Usage { output_tokens: reply.usage.output_tokens.or(Some(0)), ..reply.usage };
                Paid::of(prices.cost(&request.model, reply.model.as_deref(), &usage), &reply.usage)
            },
        };
        let embedded = async { model.embed(request, &begun.context).await.and_then(finite) };
        let answer = self.ask(&begun, outside, embedded).await;
        let end = match &answer {
            Ok(reply) => CallEnd::Embedded { reply: Box::new(reply.clone()) },
            Err(error) => CallEnd::Failed { failure: begun.failure(error) },
        };
        self.model_ended(&begun, request_hash, end);
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    /// Makes an HTTP call. The past never answers it: its answer is not kept whole, and may be another one by now.
    ///
    /// # Errors
    /// There is no answer. One of any status is an answer.
    pub(crate) async fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, AttemptFailure> {
        self.fetch_for(Asker::default(), request).await
    }

    /// The same, for user code within the node.
    ///
    /// # Errors
    /// As [`Calls::fetch`].
    pub(crate) async fn fetch_for(
        &self,
        asker: Asker<'_>,
        request: &FetchRequest,
    ) -> Result<FetchReply, AttemptFailure> {
        let fetch = self.engine.models.fetch();
        let call = self.shared.made.fetch_add(1, Ordering::Relaxed);
        // What an address answers may be another thing each time: the cache never does.
        let keepers = Keepers::of(self, call, false, || Asked {
            hash: asked::fetch_hash(request, &|text| kept::masked_text(self.engine, text)).into(),
            operation: request.method.clone(),
            model: Address::of(&request.url).url.into(),
            ..nowhere()
        });
        let (kept, when_kept) = oneshot::channel();
        let address = Address::of(&request.url);
        let started = StartedKind::Fetch { method: request.method.clone(), address, kept };
        let begun = self.begin(call, asker, started);
        let outside = Outside {
            keepers,
            of_kept: |found| match found {
                KeptReply::Fetch(reply) => Ok(*reply),
                KeptReply::Chat(_) | KeptReply::Embedding(_) => Err(kept::other_kind()),
            },
            to_keep: |reply: &FetchReply| KeptReply::Fetch(Box::new(reply.clone())),
            most: |_: &Budget| Most::NOTHING,
            paid: |_: &FetchReply| Paid::NOTHING,
        };
        let fetched = async {
            is_kept(when_kept).await;
            fetch.fetch(request, &begun.context).await
        };
        let answer = self.ask(&begun, outside, fetched).await;
        let end = match &answer {
            Ok(reply) => FetchEnd::Answered { status: reply.status, size: reply.body.len() as u64 },
            Err(error) => FetchEnd::Failed { failure: begun.failure(error) },
        };
        self.tell_of_call(begun.call, CallSaid::FetchEnded(end));
        answer.map_err(|error| begun.attempt_failure(&error))
    }

    /// The reply that was paid for before.
    fn recorded(&self, request_hash: &str) -> Option<CallEnd> {
        let mut recorded = self.shared.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        let position = recorded.iter().position(|(hash, _)| *hash == request_hash)?;
        let found = recorded.remove(position);
        drop(recorded);
        // It may be asked for once more, if this attempt is made again too.
        self.shared.got.lock().unwrap_or_else(PoisonError::into_inner).push(found.clone());
        Some(found.1)
    }

    /// Answers a call from what is kept, or asks whoever is asked, within the budget.
    async fn ask<T, K, M, P>(
        &self,
        begun: &Begun,
        outside: Outside<'_, T, K, M, P>,
        call: impl Future<Output = Result<T, ModelError>>,
    ) -> Result<T, ModelError>
    where
        K: Fn(&T) -> KeptReply,
        M: FnOnce(&Budget) -> Most,
        P: Fn(&T) -> Paid,
    {
        let Outside { keepers, of_kept, to_keep, most, paid } = outside;
        if let Some(keepers) = &keepers
            && let Some((found, place)) = keepers.find()?
        {
            self.tell_of_call(begun.call, CallSaid::Found(place));
            return of_kept(found);
        }
        let reserved = match &self.engine.budget {
            Some(budget) => Some(budget.reserve(most(budget)).await),
            None => None,
        };
        let answer = call.await;
        if let Some(reserved) = reserved {
            reserved.settle(answer.as_ref().map_or(Paid::NOTHING, paid));
        }
        if let (Some(keepers), Ok(reply)) = (keepers, &answer) {
            keepers.keep(to_keep(reply));
        }
        answer
    }

    /// Tells that a call begins, with a span of its own.
    fn begin(&self, call: u32, asker: Asker<'_>, what: StartedKind) -> Begun {
        let span = self.new_span(asker.span);
        self.tell_of_call(call, CallSaid::Started(Box::new(CallStarted { span, what })));
        let attempts = Arc::new(AtomicU32::new(1));
        let told_pieces = Arc::new(AtomicBool::new(false));
        let notices = Teller {
            say: self.say.clone(),
            path: self.path.clone(),
            attempt: self.attempt,
            call,
            attempts: attempts.clone(),
            pieces: asker.pieces.cloned(),
            told_pieces: told_pieces.clone(),
            kept: Mutex::default(),
        };
        let context = CallContext {
            trace: Some(span.context()),
            deadline: self.deadline,
            line: self.line.line,
            repeat: self.line.repeat,
            index: call,
            notices: Arc::new(notices),
        };
        Begun { call, context, attempts, told_pieces }
    }

    fn tell_of_call(&self, call: u32, what: CallSaid) {
        self.tell(SaidKind::Call(call, what));
    }

    /// Tells the node's owner something.
    pub(crate) fn tell(&self, what: SaidKind) {
        // Nobody listens once the run is over; then there is nothing to tell.
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, what });
    }
}

/// What stands between a call and whoever is asked.
struct Outside<'a, T, K, M, P> {
    keepers: Option<Keepers<'a>>,
    of_kept: fn(KeptReply) -> Result<T, ModelError>,
    to_keep: K,
    /// What it may cost at most.
    most: M,
    /// What it has cost.
    paid: P,
}

/// A call of which nothing is known.
fn nowhere() -> Asked {
    let nothing: Arc<str> = "".into();
    Asked {
        hash: nothing.clone(),
        provider: nothing.clone(),
        operation: nothing.clone(),
        model: nothing.clone(),
        body: Value::Null,
        line: None,
        repeat: 0,
        node: nothing,
        call: 0,
    }
}

/// Vectors that the journal can keep: its JSON has no `nan`.
fn finite(reply: EmbeddingReply) -> Result<EmbeddingReply, ModelError> {
    match reply.vectors.iter().flatten().all(|number| number.is_finite()) {
        true => Ok(reply),
        false => Err(ModelError::Malformed { message: "a vector holds something that is no number".to_owned() }),
    }
}
