//! The flow engine: a flow folder becomes a checked [`plan::Plan`]; templates and prompties become messages.
//!
//! Pure: no clock, no network, no process environment, no async. Files come through a trait, so that a flow can live
//! on disk, in a test's strings, or in a git tree.

pub mod bind;
mod chat;
pub mod coerce;
pub mod compile;
pub mod draw;
mod file;
pub mod files;
pub mod flex;
pub mod image;
pub mod messages;
mod only;
pub mod plan;
pub mod prompty;
pub mod property;
pub mod reference;
pub mod request;
pub mod schema;
pub mod signature;
pub mod template;
pub mod unchecked;
