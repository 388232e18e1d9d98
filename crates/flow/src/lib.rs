//! The flow engine: a flow folder becomes a checked [`plan::Plan`]; templates and prompties become messages.
//!
//! Pure: no clock, no network, no process environment, no async. Files come through a trait, so that a flow can live
//! on disk, in a test's strings, or in a git tree.

pub mod messages;
pub mod plan;
pub mod prompty;
pub mod request;
pub mod template;
