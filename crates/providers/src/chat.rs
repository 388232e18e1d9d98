//! The wire format of the chat API and of the older completion API: bodies, replies, streams.

pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
