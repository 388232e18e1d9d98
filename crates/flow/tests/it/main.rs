//! Flows in strings, compiled, bound and drawn.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

mod bind;
mod coerce;
mod compile;
mod draw;
mod embedding;
mod flex;
mod hostile;
mod http;
mod inner;
mod messages;
mod model_parameters;
mod mustache;
mod project;
mod prompty;
mod prompty_flow;
mod prompty_vectors;
mod recorded_messages;
mod reference;
mod request;
mod role_safety;
mod signature;
mod templates;
