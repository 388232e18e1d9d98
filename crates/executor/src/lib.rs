//! A plan and inputs become events.
//!
//! [`Progress`] says what can be done now, nodes do it, one owner numbers what happened and waits for the journal
//! before anything is built on it:
//!
//! ```text
//! Progress ──work──► nodes ──what happened──► owner ──append──► Journal ──ack──► Progress, listeners
//! ```
//!
//! A batch is the same for each of many lines, with one journal ([`batch`]).
//!
//! Absent on purpose: providers, the store, telemetry, a terminal. Models, the journal and listeners come as traits, and so
//! does what Python nodes need of files and settings ([`python::World`]).

pub mod batch;
mod budget;
mod calls;
mod chunks;
mod engine;
mod ledger;
mod lookup;
mod nodes;
pub mod progress;
pub mod python;
mod run;
mod spans;
mod tally;

pub use budget::{Budget, BudgetEnd, USUAL_REPLY_TOKENS};
pub use calls::{Cache, KeptReplies};
pub use engine::{
    Begun, Engine, LineKey, Listeners, NewRun, NullJournal, Options, Redact, Rewrite, RunReport, Sample, Start,
};
pub use progress::Progress;
pub use run::run;
