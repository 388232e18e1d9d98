//! Who writes a run: an operating system's file lock, which dies with its process, and a lease row that names it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};

use crate::StoreError;

/// A reader that asks whether a run is alive holds a shared lock for a moment; a writer that meets one tries again.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// Who writes a run, or wrote it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The process.
    pub pid: u32,
    /// The machine's boot, where the system tells: the same pid of another boot is another process.
    pub boot: Option<String>,
    /// Since when it writes.
    pub since: Timestamp,
    /// When it last wrote, to about a second.
    pub heartbeat: Timestamp,
}

/// The right to write a run; given back when dropped, or when the process dies.
#[derive(Debug)]
pub(crate) struct RunLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl RunLock {
    /// Takes the lock; `None` if another process has it.
    pub(crate) fn take(place: &Path) -> Result<Option<Self>, StoreError> {
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(place)
            .map_err(|error| StoreError::file(place, &error))?;
        for attempt in 1..=ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self(file))),
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(StoreError::file(place, &error)),
            }
        }
        Ok(None)
    }

    /// Whether some process holds the lock. Where that cannot be told, nobody does.
    pub(crate) fn is_held(place: &Path) -> bool {
        let Ok(file) = File::open(place) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Lease {
    pub(crate) fn of_this_process() -> Self {
        let now = Timestamp::now();
        // Linux only; elsewhere the file lock alone must do.
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self { pid: std::process::id(), boot: boot.map(|boot| boot.trim().to_owned()), since: now, heartbeat: now }
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT OR REPLACE INTO lease (only, pid, boot, since, heartbeat) VALUES (1, ?1, ?2, ?3, ?4)",
            (self.pid, &self.boot, self.since.to_string(), self.heartbeat.to_string()),
        )?;
        Ok(())
    }

    pub(crate) fn beat(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
        connection.prepare_cached("UPDATE lease SET heartbeat = ?1")?.execute([now.to_string()])?;
        Ok(())
    }

    pub(crate) fn read(place: &Path, connection: &Connection) -> Result<Option<Self>, StoreError> {
        let row: Option<(u32, Option<String>, String, String)> = connection
            .query_row("SELECT pid, boot, since, heartbeat FROM lease", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()
            .map_err(|error| StoreError::sqlite(place, &error))?;
        let Some((pid, boot, since, heartbeat)) = row else { return Ok(None) };
        let time = |text: String| {
            text.parse::<Timestamp>().map_err(|error| StoreError::damaged(place, format!("its lease: {error}")))
        };
        Ok(Some(Self { pid, boot, since: time(since)?, heartbeat: time(heartbeat)? }))
    }
}
