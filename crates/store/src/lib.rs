//! Keeps what happened: the journal of each run, in SQLite.
//!
//! ```text
//!  .sluicegate/             mode 0700, never committed (its own .gitignore)
//!    cache.db               replies of models that may be taken again
//!    index.db               what `runs list` shows; a cache, rebuilt from the run files when lost or stale
//!    runs/
//!      0193ab….db           one run: meta, events, lines, blobs, lease, inbox
//!      0193ab….lock         held by the process that writes the run
//! ```
//!
//! A [`Cassette`] lies where its author wants it. A [`RunJournal`] is the one writer of a run; a [`RunReader`] reads while it writes. What the events mean is the
//! business of others, but for two folds that lists need: [`RunRow`], and the table of a batch's lines.

mod append;
mod body;
mod cache;
mod cassette;
mod error;
mod export;
mod folder;
mod format;
mod inbox;
mod index;
mod journal;
mod json;
mod lines;
mod lock;
mod reader;
mod remove;
mod resume;
mod row;

pub use cache::{CacheMode, CacheStats, ReplyCache};
pub use cassette::{Cassette, CassetteReport};
pub use error::StoreError;
pub use folder::{Durability, Store};
pub use inbox::Command;
pub use journal::RunJournal;
pub use lines::{LineFailure, LineFilter, LineRow, LineSets, LineStatus, LineTimes, LineTotals, LinesSpent};
pub use lock::Lease;
pub use reader::{EventRow, RunReader};
pub use remove::{PruneFilter, Removed};
pub use resume::BatchPast;
pub use row::{RunFilter, RunRow, ShownStatus};
