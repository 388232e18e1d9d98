//! The wire format of the responses API (OpenAI and Azure).

mod input;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;
