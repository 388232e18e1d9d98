//! Keeps what happened: the journal of each run, in SQLite.
//!
//! ```text
//!  .sluicegate/             mode 0700, never committed (its own .gitignore)
//!    index.db               what `runs list` shows; a cache, rebuilt from the run files when lost or stale
//!    runs/
//!      0193ab….db           one run: meta, events, blobs, lease, inbox
//!      0193ab….lock         held by the process that writes the run
//! ```
//!
//! A [`RunJournal`] is the one writer of a run; a [`RunReader`] reads while it writes. What the events mean is the
//! business of others, but for one fold, [`RunRow`], that `runs list` needs.

mod body;
mod error;
mod folder;
mod format;
mod inbox;
mod index;
mod journal;
mod lock;
mod reader;
mod row;

pub use error::StoreError;
pub use folder::{Durability, Store};
pub use inbox::Command;
pub use journal::RunJournal;
pub use lock::Lease;
pub use reader::{EventRow, RunReader};
pub use row::{RunFilter, RunRow, ShownStatus};
