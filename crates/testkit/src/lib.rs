//! Real parts for tests: a mock endpoint, an OTLP receiver, a temporary project.

#![expect(clippy::disallowed_methods, reason = "a project under test inherits PATH and nothing else")]

pub mod endpoint;
pub mod project;
pub mod receiver;
