//! The form of a run's file: its tables, its version, and how it is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use sluicegate_events::RunId;

use crate::{Durability, StoreError, lines};

/// Raised when an older program could misread a newer file. New tables and new event kinds do not raise it.
pub(crate) const FORMAT: u32 = 1;

/// Readers and those who post commands hold the file for moments only; a writer that waits longer than this waits
/// for something that is broken.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `slcg`: tells a run's file from any other SQLite file.
const APPLICATION_ID: i32 = 0x736c_6367;

/// Twice SQLite's own: an event takes about a kilobyte, and each page costs two writes to the log, a read and a write to
/// the file. A batch's events cost a seventh less for it; larger ones gain little more, and every small run has a few.
const PAGE_SIZE: i64 = 8192;

const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    line INTEGER,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, json TEXT NOT NULL);
CREATE TABLE lease (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    pid INTEGER NOT NULL,
    boot TEXT,
    since TEXT NOT NULL,
    heartbeat TEXT NOT NULL
);
CREATE TABLE inbox (number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body TEXT NOT NULL, at TEXT NOT NULL);
";

/// Makes a run's file. The file must not exist.
pub(crate) fn create(
    place: &Path,
    run: &RunId,
    engine: &str,
    durability: Durability,
) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let result = (|| {
        let mut connection = Connection::open_with_flags(place, flags)?;
        // Before anything else: a file keeps the size with which it begins.
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        prepare_writer(&connection, durability)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(lines::SCHEMA)?;
        let facts = [("format", FORMAT.to_string()), ("run", run.to_string()), ("engine", engine.to_owned())];
        for (key, value) in facts {
            transaction.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", (key, value))?;
        }
        transaction.commit()?;
        Ok(connection)
    })();
    result.map_err(|error: rusqlite::Error| StoreError::sqlite(place, &error))
}

/// Opens a run's file to go on writing it.
pub(crate) fn open_to_write(place: &Path, durability: Durability) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place, flags).map_err(|error| StoreError::sqlite(place, &error))?;
    check_format(place, &connection)?;
    prepare_writer(&connection, durability).map_err(|error| StoreError::sqlite(place, &error))?;
    // A version that knew no batches has made the file.
    connection.execute_batch(lines::SCHEMA).map_err(|error| StoreError::sqlite(place, &error))?;
    Ok(connection)
}

/// Opens a run's file to read it, also while another process writes. `is_written` says whether one does.
///
/// Nothing is made by it: a reader of the write-ahead log makes `-shm` and `-wal` where they are not, which a full or
/// read-only disk does not have room for. So a run that rests in its file alone is read without them.
pub(crate) fn open_to_read(place: &Path, is_written: impl FnOnce() -> bool) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = if log_is_empty(place) && !is_written() {
        Connection::open_with_flags(as_immutable(place), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(place, flags)
    };
    let connection = opened.map_err(|error| StoreError::sqlite(place, &error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| StoreError::sqlite(place, &error))?;
    check_format(place, &connection)?;
    Ok(connection)
}

/// Whether there is no table in a run's file, so that nothing can have been kept in it.
pub(crate) fn holds_nothing(place: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let tables = Connection::open_with_flags(place, flags).and_then(|connection| {
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get::<_, i64>(0))
    });
    tables == Ok(0)
}

/// Moves what stands in the write-ahead log into the file, so that the file alone is the whole run. A reader that is
/// in the way may keep the log: then it stays, and nothing is lost.
pub(crate) fn settle(connection: &Connection) {
    // Whoever reads at this moment is not worth waiting for long.
    let _ = connection.busy_timeout(Duration::from_millis(100));
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}

pub(crate) fn log_is_empty(place: &Path) -> bool {
    let mut log = place.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(Path::new(&log)).map_or(true, |facts| facts.len() == 0)
}

/// The address by which SQLite takes a file as one that nobody changes: without locks, without a log.
pub(crate) fn as_immutable(place: &Path) -> String {
    let absolute = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let mut address = String::from("file://");
    for (index, byte) in absolute.as_os_str().as_encoded_bytes().iter().enumerate() {
        let byte = if cfg!(windows) && *byte == b'\\' { b'/' } else { *byte };
        if index == 0 && byte != b'/' {
            address.push('/');
        }
        if byte.is_ascii_alphanumeric() || b"/-._~:".contains(&byte) {
            address.push(char::from(byte));
        } else {
            address += &format!("%{byte:02X}");
        }
    }
    address + "?immutable=1"
}

/// A fact of the `meta` table.
pub(crate) fn meta(place: &Path, connection: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    connection
        .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
        .optional()
        .map_err(|error| StoreError::sqlite(place, &error))
}

fn prepare_writer(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // `query_row`, not `pragma_update`: this pragma answers with the mode that it got.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let synchronous = match durability {
        Durability::Power => "FULL",
        Durability::Process => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

fn check_format(place: &Path, connection: &Connection) -> Result<(), StoreError> {
    let found = meta(place, connection, "format")?
        .ok_or_else(|| StoreError::damaged(place, "it does not say which format it has"))?;
    let found: u32 = found
        .parse()
        .map_err(|_| StoreError::damaged(place, format!("its format is `{found}`, which is no number")))?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat { place: place.display().to_string(), found, supported: FORMAT });
    }
    Ok(())
}
