//! What a running tool tells its host, and asks of it.

use sluicegate_model::BoxFuture;
use sluicegate_value::{Map, Value};

use crate::argument::Argument;
use crate::channel::Outbox;
use crate::wire::Outgoing;

/// Whoever makes a call: hears what the tool says, and answers what it asks. All of it belongs to that one call.
pub trait Host: Send + Sync {
    /// Does what Python code cannot do itself: models, prompties, flows, connections. Dropping the future means that
    /// nobody waits for the answer any more.
    ///
    /// # Errors
    /// What is raised in Python.
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Argument, HostError>> {
        let what = ask.what;
        Box::pin(async move { Err(HostError::new("NotImplementedError", format!("`{what}` is not possible here"))) })
    }

    /// Printed text, line by line or in larger pieces.
    fn said(&self, _stream: Stream, _text: &str) {}

    /// A piece of what a generator gives while it is drained.
    fn chunk(&self, _text: &str) {}

    /// A span of user code began or ended, in the stand-in package's words.
    fn span(&self, _note: &Map) {}

    /// `log_metric(key, value)`.
    fn metric(&self, _key: &str, _value: &Value) {}
}

/// A host that hears nothing and refuses everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// Where printed text was printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that a tool asks of the host.
#[derive(Debug)]
pub struct Ask {
    /// What: `chat`, `prompty`, `flow`, `render`, `parse_chat`, `connection`, `embedding`, … in the stand-in package's
    /// words.
    pub what: String,
    /// The particulars. Objects in them are handles, which can be given to further calls; a call with a line releases
    /// them with the line.
    pub fields: Map,
    /// Where pieces of the answer go, if the tool reads them.
    pub pieces: Option<Pieces>,
}

/// Where pieces of an answer go while it is made.
#[derive(Clone, Debug)]
pub struct Pieces {
    pub(crate) outbox: Outbox,
    pub(crate) ask: u64,
}

impl Pieces {
    /// Hands one piece to the tool. Waits while the worker has not read what was sent before.
    pub async fn send(&self, text: &str) {
        if let Ok(frame) = crate::channel::frame(&Outgoing::Piece { re: self.ask, text }) {
            self.outbox.send(frame).await;
        }
    }
}

/// Why the host cannot do what was asked; it is raised in Python as an exception of the class that it names.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{type_name}: {message}")]
pub struct HostError {
    /// The exception's class: one of the stand-in package's, or a built-in one.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it says.
    pub message: String,
    /// `UserError` or `SystemError`, and more exactly.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
}

impl HostError {
    /// An error of a class that is built in, or of `promptflow.exceptions`.
    #[must_use]
    pub fn new(type_name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { type_name: type_name.into(), message: message.into(), codes: Vec::new() }
    }
}
