//! What an event does to the table of lines.

use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, params};
use sluicegate_events::{Event, EventKind, LineEnd};

use super::LineStatus;

/// A line begins, or goes on: the first beginning counts, and an end is one no more.
const BEGIN: &str = "INSERT INTO lines (line, repeat, first_seq, started) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (line, repeat) DO UPDATE SET
        status = NULL, last_seq = NULL, finished = NULL, resumed = excluded.started";

/// A line ends: also one whose row could not be read, which never began.
const FINISH: &str = "INSERT INTO lines VALUES (?1, ?2, ?3, ?3, ?4, ?5, NULL, ?5, ?6, ?7, ?8, ?9, ?10)
    ON CONFLICT (line, repeat) DO UPDATE SET
        last_seq = excluded.last_seq, status = excluded.status, finished = excluded.finished,
        input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
        cached_input_tokens = excluded.cached_input_tokens, reasoning_tokens = excluded.reasoning_tokens,
        cost = excluded.cost";

/// Keeps the table of lines during one transaction.
pub(crate) struct LineWriter<'c> {
    begin: CachedStatement<'c>,
    finish: CachedStatement<'c>,
}

impl<'c> LineWriter<'c> {
    pub(crate) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self { begin: connection.prepare_cached(BEGIN)?, finish: connection.prepare_cached(FINISH)? })
    }

    /// Takes an event in; most change nothing.
    pub(crate) fn hear(&mut self, event: &Event) -> rusqlite::Result<()> {
        let Some(line) = event.scope.line else { return Ok(()) };
        match &event.kind {
            EventKind::LineStarted { .. } | EventKind::LineResumed { .. } => {
                self.begin.execute(params![
                    number(line)?,
                    event.scope.repeat,
                    number(event.seq)?,
                    microseconds(event.at)
                ])?;
            }
            EventKind::LineFinished { end, usage, cost } => {
                let status = match end {
                    LineEnd::Completed { .. } => LineStatus::Completed,
                    LineEnd::Failed { .. } => LineStatus::Failed,
                    LineEnd::Cancelled => LineStatus::Cancelled,
                };
                // An endpoint may say any number of tokens: as much as the column holds.
                let tokens = |count: Option<u64>| count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
                self.finish.execute(params![
                    number(line)?,
                    event.scope.repeat,
                    number(event.seq)?,
                    status.name(),
                    microseconds(event.at),
                    tokens(usage.input_tokens),
                    tokens(usage.output_tokens),
                    tokens(usage.cached_input_tokens),
                    tokens(usage.reasoning_tokens),
                    cost,
                ])?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn microseconds(at: Timestamp) -> i64 {
    at.as_microsecond()
}

fn number(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, i64::MAX))
}
