//! Real parts for tests: a mock endpoint with and without TLS, a provider's batch API on it, a web proxy, an OTLP receiver, a temporary project.

#![expect(clippy::disallowed_methods, reason = "a project under test inherits PATH and nothing else")]

pub mod batches;
pub mod endpoint;
pub mod project;
pub mod proxy;
pub mod receiver;
pub mod tls;
