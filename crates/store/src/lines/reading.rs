//! The lines of a run, read back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Row, params};
use serde::Deserialize;
use sluicegate_events::{Event, Failure, LinePast, NodePath, Spent};
use sluicegate_model::Usage;
use sluicegate_value::Map;

use super::{LineFailure, LineFilter, LineRow, LineSets, LineStatus, LineTimes, LineTotals, LinesSpent, Past};
use crate::{RunReader, StoreError, body};

/// How long a line took that ended: a clock that was set back is no reason for a negative time.
const DURATION: &str = "max(0, finished - coalesce(resumed, started))";

#[derive(Deserialize)]
struct Started {
    inputs: Map,
}

#[derive(Deserialize)]
struct Completed {
    outputs: Map,
}

#[derive(Deserialize)]
struct Failed {
    failure: Failure,
    #[serde(default)]
    node: NodePath,
}

impl RunReader {
    /// Which lines stand how; of a case that is repeated, its first repeat.
    ///
    /// # Errors
    /// A damaged file.
    pub fn line_sets(&self) -> Result<LineSets, StoreError> {
        self.line_sets_of(0)
    }

    /// Which lines stand how in one of the repeats of their cases.
    ///
    /// # Errors
    /// A damaged file.
    pub fn line_sets_of(&self, repeat: u32) -> Result<LineSets, StoreError> {
        let mut sets = LineSets::default();
        let sql = "SELECT line, status FROM lines WHERE repeat = ?1 ORDER BY line";
        self.each_line(sql, params![repeat], &mut |row| {
            let line = line_of(row)?;
            match status_of(row, 1)? {
                LineStatus::Completed => sets.completed.insert(line),
                LineStatus::Failed => sets.failed.insert(line),
                LineStatus::Begun | LineStatus::Cancelled => sets.begun.insert(line),
            };
            Ok(())
        })?;
        Ok(sets)
    }

    /// How many lines ended how, and what they used: added up by the file, not in memory.
    ///
    /// # Errors
    /// A damaged file.
    pub fn line_totals(&self) -> Result<LineTotals, StoreError> {
        let mut totals = LineTotals::default();
        // `total` never overflows, where `sum` would fail.
        let sql = "SELECT status, count(*), count(input_tokens), total(input_tokens), count(output_tokens),
            total(output_tokens), count(cached_input_tokens), total(cached_input_tokens), count(reasoning_tokens),
            total(reasoning_tokens), count(cost), total(cost) FROM lines GROUP BY status";
        self.each_line(sql, params![], &mut |row| {
            let lines = row.get::<_, i64>(1)?;
            let tokens = |column: usize| -> rusqlite::Result<Option<u64>> {
                Ok((row.get::<_, i64>(column)? > 0).then_some(row.get::<_, f64>(column + 1)? as u64))
            };
            let spent = Spent {
                usage: Usage {
                    input_tokens: tokens(2)?,
                    output_tokens: tokens(4)?,
                    cached_input_tokens: tokens(6)?,
                    reasoning_tokens: tokens(8)?,
                },
                cost: (row.get::<_, i64>(10)? == lines).then_some(row.get(11)?),
            };
            let group = LinesSpent { lines: lines.unsigned_abs(), spent };
            match status_of(row, 0)? {
                LineStatus::Begun => totals.begun += group.lines,
                LineStatus::Completed => totals.completed = group,
                LineStatus::Failed => totals.failed = group,
                LineStatus::Cancelled => totals.cancelled = group,
            }
            Ok(())
        })?;
        Ok(totals)
    }

    /// Lines by their numbers, or the slowest first.
    ///
    /// # Errors
    /// A damaged file.
    pub fn lines(&self, filter: &LineFilter) -> Result<Vec<LineRow>, StoreError> {
        let order = match filter.slowest_first {
            true => format!("finished IS NULL, {DURATION} DESC, line, repeat"),
            false => "line, repeat".to_owned(),
        };
        let sql = format!(
            "SELECT line, repeat, status, started, finished, {DURATION}, input_tokens, output_tokens,
             cached_input_tokens, reasoning_tokens, cost FROM lines
             WHERE (?1 IS NULL OR coalesce(status, 'begun') = ?1) AND (line, repeat) > (?2, ?3)
             ORDER BY {order} LIMIT ?4"
        );
        let (after, repeat) = filter.after.map_or((-1, 0), |(line, repeat)| (capped(line), repeat));
        let limit = filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let mut lines = Vec::new();
        self.each_line(&sql, params![filter.status.map(LineStatus::name), after, repeat, limit], &mut |row| {
            lines.push(line_row(row)?);
            Ok(())
        })?;
        Ok(lines)
    }

    /// How long lines took; `None` while none has ended.
    ///
    /// # Errors
    /// A damaged file.
    pub fn line_times(&self) -> Result<Option<LineTimes>, StoreError> {
        let mut times = Vec::new();
        let sql = format!("SELECT {DURATION} FROM lines WHERE status IN ('completed', 'failed') AND finished NOT NULL");
        self.each_line(&sql, params![], &mut |row| {
            times.push(row.get::<_, i64>(0)?);
            Ok(())
        })?;
        times.sort_unstable();
        // The nearest rank: a time that a line really took.
        let ranked = |share: usize| {
            let rank = (times.len() * share).div_ceil(100);
            times.get(rank.saturating_sub(1)).map(|time| Duration::from_micros(time.unsigned_abs()))
        };
        Ok(ranked(50).zip(ranked(95)).zip(ranked(100)).map(|((p50, p95), longest)| LineTimes { p50, p95, longest }))
    }

    /// A line's inputs, coerced, with defaults; `None` if it never began.
    ///
    /// # Errors
    /// A damaged file.
    pub fn inputs_of(&self, line: u64, repeat: u32) -> Result<Option<Map>, StoreError> {
        let sql = "SELECT body FROM lines JOIN events ON seq = first_seq AND kind = 'line_started'
            WHERE lines.line = ?1 AND repeat = ?2";
        let mut text = None;
        self.each_line(sql, params![capped(line), repeat], &mut |row| {
            text = Some(row.get(0)?);
            Ok(())
        })?;
        let started = text.map(|text| body::part::<Started>(&self.place, &self.connection, text)).transpose()?;
        Ok(started.map(|started| started.inputs))
    }

    /// Tells the outputs of every line that completed, by line number and repeat; never more than one is in memory.
    ///
    /// # Errors
    /// A damaged file; or what `tell` says ([`StoreError::NotTaken`]), and then no more is told.
    pub fn outputs_in_order(&self, tell: &mut dyn FnMut(u64, u32, Map) -> io::Result<()>) -> Result<(), StoreError> {
        self.each_end(LineStatus::Completed, &mut |line, repeat, text| {
            let end: Completed = body::part(&self.place, &self.connection, text)?;
            tell(line, repeat, end.outputs).map_err(|error| StoreError::not_taken(&error))
        })
    }

    /// Tells why each line failed that did, by line number and repeat; never more than one is in memory.
    ///
    /// # Errors
    /// A damaged file; or what `tell` says ([`StoreError::NotTaken`]), and then no more is told.
    pub fn failures_in_order(&self, tell: &mut dyn FnMut(LineFailure) -> io::Result<()>) -> Result<(), StoreError> {
        self.each_end(LineStatus::Failed, &mut |line, repeat, text| {
            let Failed { failure, node } = body::part(&self.place, &self.connection, text)?;
            tell(LineFailure { line, repeat, node, failure }).map_err(|error| StoreError::not_taken(&error))
        })
    }

    /// All events of one line and repeat, in order; none if it never began. Those of a running line are as far as they
    /// are written.
    ///
    /// # Errors
    /// A damaged file.
    pub fn events_of(&self, line: u64, repeat: u32) -> Result<Vec<Event>, StoreError> {
        Past::events_of_one(&self.place, &self.connection, self.has_lines, line, repeat)
    }

    /// What is kept of lines up to this moment, for many readers at once: it has a connection of its own.
    ///
    /// # Errors
    /// A damaged file.
    pub fn line_past(&self) -> Result<Arc<dyn LinePast>, StoreError> {
        let until = self.last_seq()?;
        Ok(Arc::new(Past::open(self.place.clone(), until, || self.is_running())?))
    }

    fn each_end(
        &self,
        status: LineStatus,
        tell: &mut dyn FnMut(u64, u32, String) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.has_lines {
            return Ok(());
        }
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        // `CROSS JOIN` keeps the lines outside, in the order of their key: nothing is sorted.
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT lines.line, repeat, body FROM lines CROSS JOIN events ON seq = last_seq
                 WHERE status = ?1 AND kind = 'line_finished' ORDER BY lines.line, repeat",
            )
            .map_err(sqlite)?;
        let mut rows = statement.query([status.name()]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let line = line_of(row).map_err(sqlite)?;
            tell(line, row.get(1).map_err(sqlite)?, row.get(2).map_err(sqlite)?)?;
        }
        Ok(())
    }

    fn each_line(
        &self,
        sql: &str,
        given: &[&dyn rusqlite::ToSql],
        tell: &mut dyn FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        // A run that a version without this table wrote has no lines.
        if !self.has_lines {
            return Ok(());
        }
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(given)?;
            while let Some(row) = rows.next()? {
                tell(row)?;
            }
            Ok(())
        };
        let mut read = read;
        read().map_err(|error: rusqlite::Error| StoreError::sqlite(&self.place, &error))
    }
}

fn line_row(row: &Row<'_>) -> rusqlite::Result<LineRow> {
    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.and_then(|time| Timestamp::from_microsecond(time).ok()))
    };
    let tokens = |column: usize| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs))
    };
    Ok(LineRow {
        line: line_of(row)?,
        repeat: row.get(1)?,
        status: status_of(row, 2)?,
        started: time(3)?.unwrap_or_default(),
        finished: time(4)?,
        duration: row.get::<_, Option<i64>>(5)?.map(|time| Duration::from_micros(time.unsigned_abs())),
        usage: Usage {
            input_tokens: tokens(6)?,
            output_tokens: tokens(7)?,
            cached_input_tokens: tokens(8)?,
            reasoning_tokens: tokens(9)?,
        },
        cost: row.get(10)?,
    })
}

fn status_of(row: &Row<'_>, column: usize) -> rusqlite::Result<LineStatus> {
    Ok(LineStatus::from_column(row.get_ref(column)?.as_str_or_null()?))
}

/// The line's number, in the first column.
fn line_of(row: &Row<'_>) -> rusqlite::Result<u64> {
    let line: i64 = row.get(0)?;
    u64::try_from(line).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, line))
}

/// A line beyond what the column holds is in no file.
pub(super) fn capped(line: u64) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}
