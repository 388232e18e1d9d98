//! Layers of settings become one environment.
mod connection;
mod secret;

pub use connection::{Connection, ConnectionKind, Limits, Retry, Timeouts};
pub use secret::Secret;
