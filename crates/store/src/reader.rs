//! Reads a run back, also while it is being written.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sluicegate_events::{Event, RunId};

use crate::lock::{Lease, RunLock};
use crate::{RunRow, StoreError, body, format, row};

/// A run, open for reading. One that somebody writes shows what is added; one that nobody wrote when it was opened
/// shows what was there then.
#[derive(Debug)]
pub struct RunReader {
    run: RunId,
    pub(crate) place: PathBuf,
    lock_place: PathBuf,
    pub(crate) connection: Connection,
    /// Whether the file has the table of lines, and the index that comes with it.
    pub(crate) has_lines: bool,
}

/// An event as it lies in the file: kinds that this version does not know are there too, word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its number in the run.
    pub seq: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// The line of a batch.
    pub line: Option<u64>,
    /// The node's path; empty for the run or line itself.
    pub path: String,
    /// The kind's name.
    pub kind: String,
    /// The whole event as JSON text, with large values in their place.
    pub body: String,
}

impl RunReader {
    pub(crate) fn open(run: RunId, place: PathBuf, lock_place: PathBuf) -> Result<Self, StoreError> {
        let connection = format::open_to_read(&place, || RunLock::is_held(&lock_place))?;
        let has_lines = has_lines(&place, &connection)?;
        Ok(Self { run, place, lock_place, connection, has_lines })
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's file.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The version of the engine that began the run.
    ///
    /// # Errors
    /// A damaged file.
    pub fn engine(&self) -> Result<Option<String>, StoreError> {
        format::meta(&self.place, &self.connection, "engine")
    }

    /// Who writes the run, or wrote it last.
    ///
    /// # Errors
    /// A damaged file.
    pub fn lease(&self) -> Result<Option<Lease>, StoreError> {
        Lease::read(&self.place, &self.connection)
    }

    /// Whether a process writes the run at this moment.
    #[must_use]
    pub fn is_running(&self) -> bool {
        RunLock::is_held(&self.lock_place)
    }

    /// Every event in order. For a run of one input; a large batch is read in pieces by [`RunReader::events_after`], or
    /// by its lines ([`RunReader::run_events`], [`RunReader::events_of`]).
    ///
    /// # Errors
    /// A damaged file.
    pub fn events(&self) -> Result<Vec<Event>, StoreError> {
        self.events_after(0, usize::MAX)
    }

    /// At most `limit` events that follow number `seq`, in order.
    ///
    /// # Errors
    /// A damaged file.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        self.each_row(seq, limit, &mut |row| {
            events.push(body::read(&self.place, &self.connection, row.body)?);
            Ok(())
        })?;
        Ok(events)
    }

    /// At most `limit` rows that follow number `seq`, in order.
    ///
    /// # Errors
    /// A damaged file.
    pub fn rows_after(&self, seq: u64, limit: usize) -> Result<Vec<EventRow>, StoreError> {
        let mut rows = Vec::new();
        self.each_row(seq, limit, &mut |mut row| {
            row.body = body::whole_text(&self.place, &self.connection, row.body)?;
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The events of the run itself, in order, without those of lines: quick, however many lines there are.
    ///
    /// # Errors
    /// A damaged file.
    pub fn run_events(&self) -> Result<Vec<Event>, StoreError> {
        let mut events = Vec::new();
        self.each_of_run(None, &mut |event| events.push(event))?;
        Ok(events)
    }

    /// Whether the run is a batch.
    ///
    /// # Errors
    /// A damaged file.
    pub fn is_batch(&self) -> Result<bool, StoreError> {
        let sql =
            format!("SELECT EXISTS (SELECT 1 FROM {} WHERE line IS NULL AND kind = 'batch_started')", self.run_table());
        self.connection.query_row(&sql, [], |row| row.get(0)).map_err(|error| StoreError::sqlite(&self.place, &error))
    }

    /// The number of the last event; 0 if there is none.
    ///
    /// # Errors
    /// A damaged file.
    pub fn last_seq(&self) -> Result<u64, StoreError> {
        let last: Option<i64> = self
            .connection
            .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))
            .map_err(|error| StoreError::sqlite(&self.place, &error))?;
        Ok(last.and_then(|last| last.try_into().ok()).unwrap_or(0))
    }

    /// What `runs list` shows of this run, folded from its own events and the table of its lines.
    ///
    /// # Errors
    /// A damaged file.
    pub fn row(&self) -> Result<RunRow, StoreError> {
        let mut fold = row::Fold::new(self.run.clone());
        self.each_of_run(Some(row::KINDS), &mut |event| fold.apply(&event))?;
        // A run that ended says what it used; one that has not is added up.
        if !fold.has_ended() {
            self.each_of_run(Some("'model_call_finished'"), &mut |event| fold.apply(&event))?;
        }
        if fold.needs_lines() {
            fold.apply_lines(&self.line_totals()?);
        }
        Ok(fold.row(|| self.is_running()))
    }

    /// Tells the run's own events, of some kinds only if they are given as SQL has them.
    fn each_of_run(&self, kinds: Option<&'static str>, tell: &mut dyn FnMut(Event)) -> Result<(), StoreError> {
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let kinds = kinds.map(|kinds| format!("AND kind IN ({kinds})")).unwrap_or_default();
        let sql = format!("SELECT body FROM {} WHERE line IS NULL {kinds} ORDER BY seq", self.run_table());
        let mut statement = self.connection.prepare(&sql).map_err(sqlite)?;
        let mut rows = statement.query([]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            tell(body::read(&self.place, &self.connection, row.get(0).map_err(sqlite)?)?);
        }
        Ok(())
    }

    /// SQLite would rather walk through all events than through the few of its index.
    fn run_table(&self) -> &'static str {
        if self.has_lines { "events INDEXED BY events_of_the_run" } else { "events" }
    }

    /// Tells every event as it lies in the file, with large values in their place.
    pub(crate) fn each_event_row(
        &self,
        tell: &mut dyn FnMut(EventRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.each_row(0, usize::MAX, &mut |mut row| {
            row.body = body::whole_text(&self.place, &self.connection, row.body)?;
            tell(row)
        })
    }

    fn each_row(
        &self,
        after: u64,
        limit: usize,
        tell: &mut dyn FnMut(EventRow) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let (after, limit) = (i64::try_from(after).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, at, line, path, kind, body FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")
            .map_err(sqlite)?;
        let mut rows = statement.query((after, limit)).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let read = || -> rusqlite::Result<EventRow> {
                Ok(EventRow {
                    seq: row.get::<_, i64>(0)?.try_into().unwrap_or(0),
                    at: row.get(1)?,
                    line: row.get::<_, Option<i64>>(2)?.and_then(|line| line.try_into().ok()),
                    path: row.get(3)?,
                    kind: row.get(4)?,
                    body: row.get(5)?,
                })
            };
            tell(read().map_err(sqlite)?)?;
        }
        Ok(())
    }
}

/// Whether a run's file has the table of lines, and the index that comes with it.
pub(crate) fn has_lines(place: &Path, connection: &Connection) -> Result<bool, StoreError> {
    connection
        .query_row("SELECT count(*) = 2 FROM sqlite_schema WHERE name IN ('lines', 'events_of_the_run')", [], |row| {
            row.get(0)
        })
        .map_err(|error| StoreError::sqlite(place, &error))
}
