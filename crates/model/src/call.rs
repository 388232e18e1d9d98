//! Calling a model: the trait, what a call carries with it, and what it tells on the way.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{ChatReply, ChatRequest, EmbeddingModel, Fetch, ModelError};

/// A boxed future, so that the traits here can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The name of a connection, as flows and config spell it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionName(pub Arc<str>);

impl fmt::Display for ConnectionName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for ConnectionName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// The models that a run may call, by connection name. Clients are built at first use.
pub trait Models: Send + Sync {
    /// The model behind a connection.
    ///
    /// # Errors
    /// There is no such connection, or it has no chat model, or its settings cannot work.
    fn chat(&self, connection: &ConnectionName) -> Result<Arc<dyn ChatModel>, ModelError>;

    /// The embedding model behind a connection; it shares the limits of the connection's chat model.
    ///
    /// # Errors
    /// There is no such connection, or it has no embeddings, or its settings cannot work.
    fn embedding(&self, connection: &ConnectionName) -> Result<Arc<dyn EmbeddingModel>, ModelError>;

    /// What makes HTTP calls of a flow's own.
    fn fetch(&self) -> Arc<dyn Fetch>;
}

/// A model that answers a conversation (or completes a text, see [`crate::Prompt`]).
pub trait ChatModel: Send + Sync {
    /// Sends one request, with the connection's limits and retries. Dropping the future cancels the call.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    fn chat<'a>(
        &'a self,
        request: &'a ChatRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<ChatReply, ModelError>>;

    /// What is known of this model before any call, for spans and people.
    fn about(&self) -> &About;
}

/// What is known of a model before any call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The connection's name.
    pub connection: ConnectionName,
    /// The provider as GenAI semantic conventions name it: `openai`, `azure.ai.openai`, …, `simulated`.
    pub provider: Arc<str>,
    /// Host that serves it; empty for the simulated one.
    pub host: Arc<str>,
    /// Port that serves it; 0 for the simulated one.
    pub port: u16,
}

/// What a call carries with it.
#[derive(Clone)]
pub struct CallContext {
    /// The span that this call is; sent to the endpoint as `traceparent`.
    pub trace: Option<TraceContext>,
    /// When the caller gives up; the call fails with [`ModelError::TimedOut`] then.
    pub deadline: Option<Instant>,
    /// Which line of a batch this call belongs to.
    pub line: Option<u64>,
    /// Which repeat of the same case, from 0: repeats have cache entries of their own.
    pub repeat: u32,
    /// Which call of its node attempt this is, from 0.
    pub index: u32,
    /// Whom to tell what happens.
    pub notices: Arc<dyn Notices>,
}

impl CallContext {
    /// A context for a call outside of any run, such as `connections test`.
    #[must_use]
    pub fn detached() -> Self {
        Self { trace: None, deadline: None, line: None, repeat: 0, index: 0, notices: Arc::new(Silent) }
    }
}

/// Where in a trace something happens (W3C Trace Context).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: u128,
    /// The span within it.
    pub span_id: u64,
    /// Whether spans of this trace are recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// The value of the `traceparent` header.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }

    /// Reads a `traceparent` header; `None` if it is malformed or all zero.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lengths = (version.len(), trace.len(), span.len(), flags.len());
        let hex = [version, trace, span, flags].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if lengths != (2, 32, 16, 2)
            || !hex
            || version.eq_ignore_ascii_case("ff")
            || (version == "00" && parts.next().is_some())
        {
            return None;
        }
        let trace_id = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let span_id = u64::from_str_radix(span, 16).ok().filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1 })
    }
}

/// Hears what happens during a call. Must not block: it is called from the call's own task.
pub trait Notices: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: CallNotice);

    /// Asked after an attempt's start was noticed, before anything of it is sent: what to wait for first. Whoever keeps a
    /// record of calls lets none out that would be unknown after a crash.
    fn before_sending(&self) -> Option<BoxFuture<'static, ()>> {
        None
    }
}

/// Hears nothing.
pub struct Silent;

impl Notices for Silent {
    fn notice(&self, _: CallNotice) {}
}

/// Something that happened during a call.
#[derive(Clone, Debug, PartialEq)]
pub enum CallNotice {
    /// The call waits for a permit, a rate limit or a pause that the endpoint asked for.
    Queued,
    /// An attempt was sent; the first is 1.
    AttemptStarted {
        /// Which attempt.
        attempt: u32,
    },
    /// An attempt failed.
    AttemptFailed {
        /// Which attempt.
        attempt: u32,
        /// Why.
        error: ModelError,
        /// When the next attempt follows; `None` if there is none.
        retry_in: Option<Duration>,
    },
    /// The endpoint refused a parameter, or a value of it, and the same attempt was sent again without it or by another
    /// name; so are all later ones to this deployment.
    Adapted {
        /// The deployment or model.
        model: Arc<str>,
        /// The parameter as the request had it.
        parameter: Arc<str>,
        /// What was done to it.
        adaptation: Adaptation,
        /// The endpoint's own words.
        message: Arc<str>,
    },
    /// The first piece of a streamed reply came.
    FirstChunk {
        /// Time since the attempt was sent.
        after: Duration,
    },
    /// A piece of a streamed reply's text.
    Chunk {
        /// The text, never empty.
        text: Arc<str>,
    },
}

/// What is done to a parameter that a deployment does not take.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Adaptation {
    /// It is sent by this name.
    Renamed(Arc<str>),
    /// It is not sent.
    Dropped,
    /// It is not sent where it has this value (as JSON); with another one it is.
    ValueDropped(Arc<str>),
}
