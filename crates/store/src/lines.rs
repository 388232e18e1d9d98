//! The lines of a batch: a table beside the events that says of each line where its events lie, how it ended, and
//! what it used. It is written with the events, in the same transaction, and can be made again from them.

mod past;
mod reading;
mod writing;

use std::time::Duration;

use jiff::Timestamp;
use sluicegate_events::{Failure, LineSet, NodePath, Spent};
use sluicegate_model::Usage;

pub(crate) use past::Past;
pub(crate) use writing::LineWriter;

/// All events of a line lie from `first_seq` to `last_seq`; `last_seq` is the number of the event that ended it.
/// Times are microseconds since 1970. A line that went on after an end has no `status` until its next one, and
/// `resumed` says when it did.
///
/// The index is of the events of no line: they are few, and a batch's summary reads nothing else.
pub(crate) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS lines (
    line INTEGER NOT NULL,
    repeat INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER,
    status TEXT,
    started INTEGER NOT NULL,
    resumed INTEGER,
    finished INTEGER,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    PRIMARY KEY (line, repeat)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_of_the_run ON events (seq) WHERE line IS NULL;
";

/// How a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineStatus {
    /// It began and has not ended.
    Begun,
    /// Every output is there.
    Completed,
    /// It failed.
    Failed,
    /// It was stopped because the batch was; a resume goes on with it.
    Cancelled,
}

impl LineStatus {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Begun, Self::Completed, Self::Failed, Self::Cancelled].into_iter().find(|status| status.name() == name)
    }

    /// What a column says; a word of a later version is an end that this one does not know, so the line is open.
    fn from_column(column: Option<&str>) -> Self {
        column.and_then(Self::from_name).unwrap_or(Self::Begun)
    }
}

impl std::fmt::Display for LineStatus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(self.name())
    }
}

/// What `runs lines` shows of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct LineRow {
    /// Its number, from 0.
    pub line: u64,
    /// The repeat of a case, from 0.
    pub repeat: u32,
    /// How it stands.
    pub status: LineStatus,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// How long it took, if it ended: since it began, or since a process went on with it.
    pub duration: Option<Duration>,
    /// Tokens used by all its calls; none while it has not ended.
    pub usage: Usage,
    /// What they cost in US dollars; `None`: unknown, or it has not ended.
    pub cost: Option<f64>,
}

/// Which lines to show; the default is all that began, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineFilter {
    /// Only those that stand so.
    pub status: Option<LineStatus>,
    /// Only those after this line and repeat.
    pub after: Option<(u64, u32)>,
    /// At most so many.
    pub limit: Option<usize>,
    /// Those that took longest first, instead of by their numbers.
    pub slowest_first: bool,
}

/// Which lines stand how. No line is in two sets; one that never began is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineSets {
    /// Those with every output.
    pub completed: LineSet,
    /// Those that failed.
    pub failed: LineSet,
    /// Those that began and have not ended, or were stopped: what is recorded of them is worth reading.
    pub begun: LineSet,
}

/// What lines used, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LineTotals {
    /// Lines with every output.
    pub completed: LinesSpent,
    /// Lines that failed.
    pub failed: LinesSpent,
    /// Lines that were stopped. A resume goes on with them, and what they then tell holds this too.
    pub cancelled: LinesSpent,
    /// How many lines began and have not ended.
    pub begun: u64,
}

/// So many lines, and what they used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinesSpent {
    /// How many.
    pub lines: u64,
    /// What all their calls used and cost; the cost is unknown as soon as one line's is.
    pub spent: Spent,
}

impl LineTotals {
    /// What lines used that will not run again.
    #[must_use]
    pub fn finished(&self) -> Spent {
        self.completed.spent.plus(&self.failed.spent)
    }

    /// What all lines used that have said so.
    #[must_use]
    pub fn all(&self) -> Spent {
        self.finished().plus(&self.cancelled.spent)
    }
}

/// How long lines took: those that completed or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTimes {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// None took longer.
    pub longest: Duration,
}

/// Why a line failed.
#[derive(Clone, Debug, PartialEq)]
pub struct LineFailure {
    /// The line.
    pub line: u64,
    /// The repeat of a case, from 0.
    pub repeat: u32,
    /// The node that failed; empty when the row, an output or the line's time did.
    pub node: NodePath,
    /// Why.
    pub failure: Failure,
}
