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
    place: PathBuf,
    lock_place: PathBuf,
    connection: Connection,
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
        Ok(Self { run, place, lock_place, connection })
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

    /// Every event in order. For a run of one input; a large batch is read in pieces by [`RunReader::events_after`].
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

    /// What `runs list` shows of this run, folded from its events.
    ///
    /// # Errors
    /// A damaged file.
    pub fn row(&self) -> Result<RunRow, StoreError> {
        let mut fold = row::Fold::new(self.run.clone());
        self.each_of_kind(&["run_started", "run_resumed", "run_finished"], &mut |event| fold.apply(&event))?;
        // A run that ended says what it used; one that has not is added up.
        if !fold.has_ended() {
            self.each_of_kind(&["model_call_finished"], &mut |event| fold.apply(&event))?;
        }
        Ok(fold.row(|| self.is_running()))
    }

    fn each_of_kind(&self, kinds: &[&str], tell: &mut dyn FnMut(Event)) -> Result<(), StoreError> {
        let marks = vec!["?"; kinds.len()].join(", ");
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let mut statement = self
            .connection
            .prepare(&format!("SELECT body FROM events WHERE kind IN ({marks}) ORDER BY seq"))
            .map_err(sqlite)?;
        let mut rows = statement.query(rusqlite::params_from_iter(kinds)).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            tell(body::read(&self.place, &self.connection, row.get(0).map_err(sqlite)?)?);
        }
        Ok(())
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
