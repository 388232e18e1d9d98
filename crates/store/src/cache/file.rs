//! The cache's file: made, opened, emptied, and put aside when it is none any longer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{CacheStats, lock};
use crate::{StoreError, format};

/// `slcc`: tells a cache from any other SQLite file.
const APPLICATION_ID: i32 = 0x736c_6363;

/// Raised when the table changes; what an older version kept is thrown away.
const VERSION: i64 = 1;

const SCHEMA: &str = "
DROP TABLE IF EXISTS replies;
CREATE TABLE replies (
    hash TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    reply TEXT NOT NULL,
    size INTEGER NOT NULL,
    created INTEGER NOT NULL,
    used INTEGER NOT NULL,
    hits INTEGER NOT NULL DEFAULT 0
);
";

/// Other processes hold the file for moments only.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the change to a write-ahead log is tried: SQLite does not wait for others there.
const ATTEMPTS: u32 = 20;

/// The file, and what is known to be wrong with it.
#[derive(Debug)]
pub(super) struct CacheFile {
    place: PathBuf,
    warnings: Mutex<Vec<String>>,
    is_broken: AtomicBool,
}

/// Why a file is not used.
enum Unfit {
    /// It is no cache: broken, or another program's.
    Strange(String),
    /// A later version made it.
    Newer,
    /// It cannot be reached.
    Unreachable(rusqlite::Error),
}

impl From<rusqlite::Error> for Unfit {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) { Self::Strange(error.to_string()) } else { Self::Unreachable(error) }
    }
}

impl CacheFile {
    pub(super) fn new(place: PathBuf) -> Self {
        Self { place, warnings: Mutex::default(), is_broken: AtomicBool::new(false) }
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        lock(&self.warnings).clone()
    }

    /// Whether nothing of it is used any longer.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// Takes note of a failure in the middle of the work: it is said once.
    pub(super) fn note(&self, error: &rusqlite::Error) {
        if self.is_broken.swap(true, Ordering::Relaxed) {
            return;
        }
        if is_damage(error) {
            self.put_aside(&error.to_string());
        } else {
            self.warn(format!("the cache `{}` is not used any longer: {error}", self.place.display()));
        }
    }

    /// `None` with a warning if it cannot be written.
    pub(super) fn open_to_write(&self) -> Option<Connection> {
        let opened = make(&self.place).or_else(|unfit| match unfit {
            Unfit::Strange(message) if self.put_aside(&message) => make(&self.place),
            unfit => Err(unfit),
        });
        opened.map_err(|unfit| self.tell(unfit)).ok()
    }

    /// `None` if there is none; with a warning if it cannot be read.
    pub(super) fn open_to_read(&self) -> Option<Connection> {
        if !self.place.exists() || self.is_broken() {
            return None;
        }
        match look(&self.place) {
            Ok(connection) => connection,
            Err(Unfit::Strange(message)) => {
                self.put_aside(&message);
                None
            }
            Err(unfit) => {
                self.tell(unfit);
                None
            }
        }
    }

    pub(super) fn stats(&self) -> Result<CacheStats, StoreError> {
        let Some(connection) = self.open()? else { return Ok(CacheStats::default()) };
        let sqlite = |error: rusqlite::Error| StoreError::sqlite(&self.place, &error);
        let mut stats = connection
            .query_row(
                "SELECT count(*), total(size), total(hits), min(created), max(created) FROM replies",
                [],
                |row| {
                    let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
                        Ok(row.get::<_, Option<i64>>(column)?.and_then(|time| Timestamp::from_microsecond(time).ok()))
                    };
                    Ok(CacheStats {
                        replies: row.get::<_, i64>(0)?.unsigned_abs(),
                        bytes: row.get::<_, f64>(1)? as u64,
                        hits: row.get::<_, f64>(2)? as u64,
                        oldest: time(3)?,
                        newest: time(4)?,
                        file_bytes: 0,
                    })
                },
            )
            .map_err(sqlite)?;
        let size = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.len());
        stats.file_bytes = size(&self.place) + size(&beside(&self.place, "-wal"));
        Ok(stats)
    }

    pub(super) fn clear(&self) -> Result<(), StoreError> {
        if !self.place.exists() {
            return Ok(());
        }
        let connection = make(&self.place).map_err(|unfit| self.error(unfit))?;
        connection.execute("DELETE FROM replies", []).map_err(|error| StoreError::sqlite(&self.place, &error))?;
        // The room is given back if nobody else has the file open at this moment; else it is used again.
        let _ = connection.execute_batch("VACUUM");
        format::settle(&connection);
        Ok(())
    }

    fn open(&self) -> Result<Option<Connection>, StoreError> {
        if !self.place.exists() {
            return Ok(None);
        }
        look(&self.place).map_err(|unfit| self.error(unfit))
    }

    fn error(&self, unfit: Unfit) -> StoreError {
        match unfit {
            Unfit::Strange(message) => StoreError::damaged(&self.place, message),
            Unfit::Newer => StoreError::damaged(&self.place, "a later version made it"),
            Unfit::Unreachable(error) => StoreError::sqlite(&self.place, &error),
        }
    }

    fn tell(&self, unfit: Unfit) {
        self.is_broken.store(true, Ordering::Relaxed);
        let place = self.place.display();
        self.warn(match unfit {
            Unfit::Strange(message) => format!("the cache `{place}` is not used: it is damaged ({message})"),
            Unfit::Newer => format!("the cache `{place}` is not used: a later version made it"),
            Unfit::Unreachable(error) => format!("the cache `{place}` is not used: {error}"),
        });
    }

    /// Gives the file another name, so that a new one can take its place. Says whether it has.
    fn put_aside(&self, message: &str) -> bool {
        let aside = beside(&self.place, &format!(".damaged-{}", Timestamp::now().as_millisecond()));
        let outcome = fs::rename(&self.place, &aside);
        for ending in ["-wal", "-shm"] {
            // A log without its file must not be taken for that of the next one.
            let _ = fs::rename(beside(&self.place, ending), beside(&aside, ending));
        }
        let place = self.place.display();
        self.warn(match &outcome {
            Ok(()) => format!("the cache `{place}` was damaged ({message}); it is now `{}`", aside.display()),
            Err(error) => format!("the cache `{place}` is damaged ({message}) and cannot be renamed: {error}"),
        });
        outcome.is_ok()
    }

    fn warn(&self, warning: String) {
        lock(&self.warnings).push(warning);
    }
}

/// Opens a cache to write it, and makes its table if it has none.
fn make(place: &Path) -> Result<Connection, Unfit> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(place, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    for attempt in 1..=ATTEMPTS {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error) if is_busy(&error) && attempt < ATTEMPTS => thread::sleep(Duration::from_millis(25)),
            outcome => {
                outcome?;
                break;
            }
        }
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match kind(&transaction)? {
        Kind::Ours(VERSION) => {}
        Kind::Ours(version) if version > VERSION => return Err(Unfit::Newer),
        Kind::Ours(_) | Kind::Empty => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            transaction.pragma_update(None, "user_version", VERSION)?;
        }
        Kind::Others => return Err(Unfit::Strange("it is no cache".to_owned())),
    }
    transaction.commit()?;
    Ok(connection)
}

/// Opens a cache to read it; `None` if it has no table that this version can read.
fn look(place: &Path) -> Result<Option<Connection>, Unfit> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<(Connection, Kind)> {
        let connection = Connection::open_with_flags(place, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let kind = kind(&connection)?;
        Ok((connection, kind))
    };
    // Where nothing can be written, not even a log's index, nobody else writes either.
    let unwritable = |error: &rusqlite::Error| {
        matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    };
    let (connection, kind) = match open() {
        Err(error) if unwritable(&error) && format::log_is_empty(place) => {
            let connection =
                Connection::open_with_flags(format::as_immutable(place), flags | OpenFlags::SQLITE_OPEN_URI)?;
            let kind = kind(&connection)?;
            (connection, kind)
        }
        opened => opened?,
    };
    match kind {
        Kind::Ours(VERSION) => Ok(Some(connection)),
        Kind::Ours(version) if version > VERSION => Err(Unfit::Newer),
        Kind::Ours(_) | Kind::Empty => Ok(None),
        Kind::Others => Err(Unfit::Strange("it is no cache".to_owned())),
    }
}

enum Kind {
    Empty,
    Ours(i64),
    Others,
}

fn kind(connection: &Connection) -> rusqlite::Result<Kind> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    if number("PRAGMA application_id")? == i64::from(APPLICATION_ID) {
        return Ok(Kind::Ours(number("PRAGMA user_version")?));
    }
    Ok(if number("SELECT count(*) FROM sqlite_schema")? == 0 { Kind::Empty } else { Kind::Others })
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn beside(place: &Path, ending: &str) -> PathBuf {
    let mut name = place.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
