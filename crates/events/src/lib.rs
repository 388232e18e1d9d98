//! What happened in a run, as plain data, and the two traits that hear it.
//!
//! The executor tells every [`Event`] to one [`Journal`], which answers when it is on disk, and after that to any
//! number of [`Listener`]s, which may fail. Nobody here knows who they are.

mod batch;
mod call;
mod event;
mod failure;
mod hex;
mod journal;
mod kind;
mod outcome;
mod path;
mod redact;
mod sampler;
mod spent;
mod summary;

pub use batch::{BatchData, LineCounts, LineEnd, LineSet};
pub use call::{CallEnd, FetchEnd, Operation};
pub use event::{Event, RunId, SpanRef};
pub use failure::Failure;
pub use journal::{Journal, JournalError, LinePast, Listener, ListenerError};
pub use kind::EventKind;
pub use outcome::{Found, Outcome, PlanHashes, Property, RunStatus, Stream, WaitFor};
pub use path::{NodePath, PathStep, Scope};
pub use sampler::{Sampler, SamplerError};
pub use spent::Spent;
pub use summary::{Adapted, NodeStatus, NodeSummary, RunSummary};
