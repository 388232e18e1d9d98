//! The wire format of chat completions and of the older completion API: bodies, replies, streams.

mod filters;
mod growing;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
