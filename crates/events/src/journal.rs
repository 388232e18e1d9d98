//! Who hears events: the journal, which answers, and listeners, which may fail.

use std::sync::Arc;

use sluicegate_model::BoxFuture;

use crate::Event;

/// Keeps recorded events. The engine waits for its answer before it builds on what happened.
pub trait Journal: Send + Sync {
    /// Appends events in order. When this returns `Ok`, they survive whatever the journal's durability promises.
    ///
    /// # Errors
    /// Nothing of the batch may be built upon; the run ends.
    fn append(&self, events: Arc<Vec<Event>>) -> BoxFuture<'_, Result<(), JournalError>>;
}

/// What was kept of lines that past processes worked on, for a batch that goes on.
pub trait LinePast: Send + Sync {
    /// All events of one line and repeat, in order, from its beginning on; none if it never began.
    ///
    /// # Errors
    /// They cannot be read; the batch ends.
    fn events_of(&self, line: u64, repeat: u32) -> Result<Vec<Event>, JournalError>;
}

/// Why events could not be kept.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the journal `{place}` cannot be written: {message}")]
pub struct JournalError {
    /// The file.
    pub place: String,
    /// What the system said.
    pub message: String,
}

/// Hears events after the journal has them, and ephemeral ones at once.
pub trait Listener: Send {
    /// A name for the warning when it fails.
    fn name(&self) -> &'static str;

    /// An event happened. Must not block for long: the run waits.
    ///
    /// # Errors
    /// The listener hears nothing more; the run goes on.
    fn hear(&mut self, event: &Event) -> Result<(), ListenerError>;

    /// The run is over: flush.
    ///
    /// # Errors
    /// Something was lost; it is said once.
    fn finish(&mut self) -> Result<(), ListenerError> {
        Ok(())
    }
}

/// Why a listener stopped.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ListenerError(pub String);
