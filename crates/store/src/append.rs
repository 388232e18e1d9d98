//! The rows of one transaction: the hottest path of a batch, six events a line.

use std::fmt::Write as _;

use jiff::fmt::temporal::DateTimePrinter;
use rusqlite::{CachedStatement, Connection, ErrorCode};
use sluicegate_events::{Event, NodePath};

use crate::body;
use crate::lines::LineWriter;

static PRINTER: DateTimePrinter = DateTimePrinter::new();

/// Texts that are written anew for each event, in the same memory.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    at: String,
    path: String,
    body: String,
}

/// Adds events to a transaction.
pub(crate) struct Appender<'c> {
    connection: &'c Connection,
    insert: CachedStatement<'c>,
    lines: LineWriter<'c>,
    buffers: &'c mut Buffers,
}

impl<'c> Appender<'c> {
    pub(crate) fn new(connection: &'c Connection, buffers: &'c mut Buffers) -> Result<Self, String> {
        let prepare = || {
            let insert = connection.prepare_cached(
                "INSERT INTO events (seq, at, line, path, kind, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            Ok((insert, LineWriter::new(connection)?))
        };
        let (insert, lines) = prepare().map_err(|error: rusqlite::Error| error.to_string())?;
        Ok(Self { connection, insert, lines, buffers })
    }

    /// Adds one event.
    pub(crate) fn append(&mut self, event: &Event) -> Result<(), String> {
        let Buffers { at, path, body } = &mut *self.buffers;
        let words = |error: rusqlite::Error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => format!("event {} was written before", event.seq),
            _ => error.to_string(),
        };
        for blob in body::write(event, body)? {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO blobs (sha256, json) VALUES (?1, ?2)")
                .and_then(|mut statement| statement.execute((blob.sha256, blob.json)))
                .map_err(words)?;
        }
        let number = |number: u64| i64::try_from(number).map_err(|_| format!("{number} is too large a number"));
        let (seq, line) = (number(event.seq)?, event.scope.line.map(number).transpose()?);
        at.clear();
        PRINTER.print_timestamp(&event.at, &mut *at).map_err(|error| error.to_string())?;
        write_path(&event.scope.path, path);
        self.insert.execute((seq, &**at, line, &**path, event.kind.name(), &**body)).map_err(words)?;
        self.lines.hear(event).map_err(words)
    }
}

fn write_path(path: &NodePath, text: &mut String) {
    text.clear();
    match path.0.as_slice() {
        // Letter by letter is slow, and most paths are a name and nothing to escape.
        [step] if step.index.is_none() && !step.node.0.contains(['/', '[', '\\']) => text.push_str(&step.node.0),
        _ => {
            // A `String` takes whatever is written.
            let _ = write!(text, "{path}");
        }
    }
}
