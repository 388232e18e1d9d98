//! The wire format of the chat API and of the older completion API: bodies, replies, streams.

mod growing;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
