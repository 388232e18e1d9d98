//! Real parts for tests: a mock endpoint, an OTLP receiver, a temporary project.

pub mod endpoint;
pub mod project;
pub mod receiver;
