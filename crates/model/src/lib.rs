//! What a flow asks of the outside world, as traits and plain data.
//!
//! `flow` builds [`ChatRequest`]s, `executor` sends them to a [`ChatModel`] that it gets from [`Models`], and
//! `providers` implements both. Nobody here knows HTTP, settings or flows.
//!
//! Absent on purpose: a cancellation token. Dropping the future of a call cancels it; what must be told more (a
//! Python worker) does so in `Drop`.

mod call;
mod embedding;
mod error;
mod fetch;
mod filter;
mod message;
mod price;
mod replies;
pub mod script;

pub use call::{
    About, Adaptation, BoxFuture, CallContext, CallNotice, ChatModel, ConnectionName, Models, Notices, Silent,
    TraceContext,
};
pub use embedding::{EmbeddingInput, EmbeddingModel, EmbeddingReply, EmbeddingRequest};
pub use error::{ModelError, Phase};
pub use fetch::{Fetch, FetchReply, FetchRequest};
pub use filter::{Filter, FilterFinding, FilterState};
pub use message::{ChatApi, ChatReply, ChatRequest, Content, Message, Part, Prompt, Shortfall, Usage};
pub use price::{Price, Prices};
pub use replies::{Asked, KeptReply, ReplyKeeper};
