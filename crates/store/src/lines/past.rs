//! The events of single lines, found among millions.
//!
//! A line's events lie between two numbers, among those of the lines that ran beside it: few rows are looked at. Lines
//! that did not end, or that went on in a later process, have their events far apart. Where such lines lie is found in
//! one pass for all of them, when the first is asked for: a resume asks for each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _};
use sluicegate_events::{Event, JournalError, LinePast};

use super::reading::capped;
use crate::{StoreError, body, format, reader};

/// What was kept of lines up to an event.
pub(crate) struct Past {
    place: PathBuf,
    /// The last event that counts.
    until: i64,
    state: Mutex<State>,
}

struct State {
    connection: Connection,
    has_lines: bool,
    /// The numbers of the events of lines whose events lie far apart.
    scattered: Option<HashMap<i64, Vec<i64>>>,
}

impl Past {
    pub(crate) fn open(place: PathBuf, until: u64, is_written: impl FnOnce() -> bool) -> Result<Self, StoreError> {
        let connection = format::open_to_read(&place, is_written)?;
        let has_lines = reader::has_lines(&place, &connection)?;
        let state = Mutex::new(State { connection, has_lines, scattered: None });
        Ok(Self { place, until: capped(until), state })
    }

    /// The events of a line in a file that may grow.
    pub(crate) fn events_of_one(
        place: &Path,
        connection: &Connection,
        has_lines: bool,
        line: u64,
        repeat: u32,
    ) -> Result<Vec<Event>, StoreError> {
        match has_lines.then(|| Stretch::of(place, connection, line, repeat)).transpose()?.flatten() {
            Some(stretch) => between(place, connection, &stretch, i64::MAX, line, repeat),
            None => Ok(Vec::new()),
        }
    }

    fn read(&self, line: u64, repeat: u32) -> Result<Vec<Event>, StoreError> {
        // Whoever panicked while reading has changed nothing.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { connection, has_lines, scattered } = &mut *state;
        if !*has_lines {
            return Ok(Vec::new());
        }
        let Some(stretch) = Stretch::of(&self.place, connection, line, repeat)? else { return Ok(Vec::new()) };
        if stretch.first > self.until {
            return Ok(Vec::new());
        }
        // One that this process has ended meanwhile may still be among the scattered.
        if !stretch.is_scattered && stretch.last.is_some_and(|last| last <= self.until) {
            return between(&self.place, connection, &stretch, self.until, line, repeat);
        }
        let scattered = match scattered {
            Some(scattered) => scattered,
            None => scattered.insert(self.find_scattered(connection)?),
        };
        match scattered.get(&capped(line)) {
            Some(numbers) => self.at(connection, numbers, repeat),
            None => between(&self.place, connection, &stretch, self.until, line, repeat),
        }
    }

    fn find_scattered(&self, connection: &Connection) -> Result<HashMap<i64, Vec<i64>>, StoreError> {
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let mut numbers: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut earliest = i64::MAX;
        let mut find = || -> rusqlite::Result<()> {
            let mut open = connection.prepare(
                "SELECT line, first_seq FROM lines
                 WHERE (status IS NULL OR resumed NOT NULL OR last_seq > ?1) AND first_seq <= ?1",
            )?;
            let mut rows = open.query([self.until])?;
            while let Some(row) = rows.next()? {
                numbers.insert(row.get(0)?, Vec::new());
                earliest = earliest.min(row.get(1)?);
            }
            if numbers.is_empty() {
                return Ok(());
            }
            let mut events = connection.prepare("SELECT seq, line FROM events WHERE seq BETWEEN ?1 AND ?2")?;
            let mut rows = events.query([earliest, self.until])?;
            while let Some(row) = rows.next()? {
                if let Some(line) = row.get::<_, Option<i64>>(1)?
                    && let Some(numbers) = numbers.get_mut(&line)
                {
                    numbers.push(row.get(0)?);
                }
            }
            Ok(())
        };
        find().map_err(sqlite)?;
        Ok(numbers)
    }

    fn at(&self, connection: &Connection, numbers: &[i64], repeat: u32) -> Result<Vec<Event>, StoreError> {
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let mut statement = connection.prepare_cached("SELECT body FROM events WHERE seq = ?1").map_err(sqlite)?;
        let mut events = Vec::with_capacity(numbers.len());
        for number in numbers {
            let text = statement.query_row([number], |row| row.get(0)).map_err(sqlite)?;
            events.push(body::read(&self.place, connection, text)?);
        }
        events.retain(|event: &Event| event.scope.repeat == repeat);
        Ok(events)
    }
}

impl LinePast for Past {
    fn events_of(&self, line: u64, repeat: u32) -> Result<Vec<Event>, JournalError> {
        self.read(line, repeat).map_err(|error| JournalError {
            place: self.place.display().to_string(),
            message: format!("line {line} cannot be read back: {error}"),
        })
    }
}

/// Between which numbers a line's events lie.
struct Stretch {
    first: i64,
    /// `None`: the line has not ended.
    last: Option<i64>,
    /// Whether much that is not the line's lies between.
    is_scattered: bool,
}

impl Stretch {
    fn of(place: &Path, connection: &Connection, line: u64, repeat: u32) -> Result<Option<Self>, StoreError> {
        connection
            .prepare_cached("SELECT first_seq, last_seq, resumed NOT NULL FROM lines WHERE line = ?1 AND repeat = ?2")
            .and_then(|mut statement| {
                statement
                    .query_row((capped(line), repeat), |row| {
                        Ok(Self { first: row.get(0)?, last: row.get(1)?, is_scattered: row.get(2)? })
                    })
                    .optional()
            })
            .map_err(|error| StoreError::sqlite(place, &error))
    }
}

fn between(
    place: &Path,
    connection: &Connection,
    stretch: &Stretch,
    until: i64,
    line: u64,
    repeat: u32,
) -> Result<Vec<Event>, StoreError> {
    let sqlite = |error: rusqlite::Error| StoreError::sqlite(place, &error);
    let mut statement = connection
        .prepare_cached("SELECT body FROM events WHERE seq BETWEEN ?1 AND ?2 AND line = ?3 ORDER BY seq")
        .map_err(sqlite)?;
    let last = stretch.last.unwrap_or(until).min(until);
    let mut rows = statement.query((stretch.first, last, capped(line))).map_err(sqlite)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(sqlite)? {
        events.push(body::read(place, connection, row.get(0).map_err(sqlite)?)?);
    }
    // The file has no column for it: most lines have one repeat.
    events.retain(|event: &Event| event.scope.repeat == repeat);
    Ok(events)
}
