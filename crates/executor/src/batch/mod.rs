//! A flow over many rows: lines run side by side, each journaled by itself, and aggregation nodes at the end.
//!
//! ```text
//!  rows ──inputs──► admission ──task each──► lines ──events──► Journal (one, shared: commits are of many lines)
//!                       ▲                     │
//!                       └──── line is over ◄──┴──► what aggregation reads
//! ```
//!
//! Memory holds the lines that run, and what aggregation nodes read of those that are over; nothing else.

mod drive;
mod limits;

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use sluicegate_events::{
    BatchData, Event, Failure, JournalError, LineCounts, LinePast, LineSet, NodePath, RunId, RunStatus, Spent,
};
use sluicegate_value::{Map, Value};

pub use drive::run_batch;
pub use limits::MaxFailures;

use crate::budget::BudgetEnd;
use crate::engine::NewRun;

/// Where a batch begins.
#[derive(Debug)]
pub enum BatchStart {
    /// At the beginning.
    New {
        /// The run; its inputs are empty.
        run: NewRun,
        /// What it runs over.
        data: BatchData,
    },
    /// After what processes that are gone have recorded.
    Resume(BatchPast),
}

/// What processes that are gone have recorded of a batch.
pub struct BatchPast {
    /// Events of the batch as a whole, in order, from its beginning on.
    pub events: Vec<Event>,
    /// The number of the last event of all.
    pub last_seq: u64,
    /// Lines that are complete.
    pub completed: LineSet,
    /// Lines that failed.
    pub failed: LineSet,
    /// Lines that began, however they ended.
    pub begun: LineSet,
    /// What the lines that are over used and cost.
    pub spent: Spent,
    /// The same of those among them that failed.
    pub spent_on_failed: Spent,
    /// Events of single lines.
    pub lines: Arc<dyn LinePast>,
    /// Whether lines that failed run again.
    pub failed_again: bool,
    /// What it runs over from now on, if that is not what it began with.
    pub changed: Option<BatchData>,
}

impl std::fmt::Debug for BatchPast {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("BatchPast").field("last_seq", &self.last_seq).finish_non_exhaustive()
    }
}

/// A row as the flow takes it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number, from 0.
    pub number: u64,
    /// The flow's inputs, coerced, with defaults; or why the row gives none: then the line fails.
    pub inputs: Result<Map, Failure>,
}

/// How a batch runs.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// How many lines run at once. Twice the calls that may be in flight: while some lines wait for the journal, others
    /// keep the endpoint busy.
    pub lines_at_once: usize,
    /// How long a line may take.
    pub line_timeout: Option<Duration>,
    /// How long the batch may take. Lines that run then are stopped, and a resume goes on with them.
    pub timeout: Option<Duration>,
    /// How many lines may fail without failing the batch.
    pub max_failures: MaxFailures,
    /// Whether nothing more is begun once more lines failed than may.
    pub fail_fast: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            lines_at_once: 128,
            line_timeout: Some(Duration::from_secs(600)),
            timeout: None,
            max_failures: MaxFailures::default(),
            fail_fast: false,
        }
    }
}

/// Why a batch stopped before all its lines were over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Somebody stopped it.
    Interrupted,
    /// Its time was over.
    TimedOut,
    /// More lines failed than may.
    TooManyFailures,
    /// Its budget lets nothing more through.
    Budget(BudgetEnd),
    /// Its data cannot be read any more.
    Data(String),
}

/// What a batch leaves behind.
#[derive(Debug)]
pub struct BatchReport {
    /// Which run.
    pub run: RunId,
    /// The batch's own trace; each line has one of its own.
    pub trace_id: u128,
    /// How it ended: `Completed` if all lines are over and no more failed than may.
    pub status: RunStatus,
    /// Why it is not complete.
    pub failure: Option<Failure>,
    /// Why it stopped before its end.
    pub stopped: Option<Stopped>,
    /// How many lines ended how, earlier processes included.
    pub lines: LineCounts,
    /// The first lines that failed in this process, by their numbers.
    pub failures: Vec<LineFailed>,
    /// Tokens and cost, earlier processes included.
    pub spent: Spent,
    /// Numbers over all lines that aggregation nodes told.
    pub metrics: IndexMap<String, Value>,
    /// How many aggregation nodes ended how: the node's name and the status in one word.
    pub aggregation: Vec<(String, &'static str)>,
    /// What failed among the aggregation nodes; the batch's status does not depend on it.
    pub aggregation_failure: Option<Failure>,
    /// Calls that were in flight when an earlier process stopped, and were made again.
    pub repeated_calls: u64,
    /// Nodes that were over and ran again.
    pub repeated_nodes: u64,
    /// Why the journal stopped the batch.
    pub journal_error: Option<JournalError>,
    /// What went wrong beside the batch: listeners that failed.
    pub warnings: Vec<String>,
}

/// A line that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFailed {
    /// Its number.
    pub line: u64,
    /// The node; empty if no node did.
    pub node: NodePath,
    /// Why.
    pub failure: Failure,
}
