//! The wire format of Anthropic's messages API.

mod blocks;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
