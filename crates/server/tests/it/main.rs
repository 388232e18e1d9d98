//! The simulated endpoint over real sockets.

#![expect(clippy::unwrap_used, reason = "what a test cannot read is a failed test")]

mod azure;
mod chat;
mod embeddings;
mod faults;
mod limits;
mod messages;
mod refusals;
mod responses;
mod support;
