//! What `runs list` shows, kept in a small file of its own, so that a thousand runs are not opened each time.
//!
//! The index is a cache and nothing else: a row counts only while its run's file looks as it did when the row was
//! made. A lost, broken or unwritable index costs time, never an answer.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use rusqlite::Connection;
use sluicegate_events::{LineCounts, RunId};
use sluicegate_model::Usage;

use crate::{RunReader, RunRow, ShownStatus, Store, StoreError};

/// Raised when the table changes; an index of another version is thrown away.
const VERSION: i64 = 2;

const SCHEMA: &str = "
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    stamp TEXT NOT NULL,
    flow TEXT NOT NULL,
    environment TEXT,
    status TEXT NOT NULL,
    started TEXT,
    finished TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    failure TEXT,
    completed_lines INTEGER,
    failed_lines INTEGER,
    left_lines INTEGER
) WITHOUT ROWID;
";

/// The rows of all runs, in no order.
pub(crate) fn rows(store: &Store) -> Result<Vec<RunRow>, StoreError> {
    let place = store.root().join("index.db");
    let mut index = open(&place).or_else(|_| {
        let _ = fs::remove_file(&place);
        open(&place)
    });
    let mut known = index.as_ref().ok().and_then(|index| read(index).ok()).unwrap_or_default();

    let mut rows = Vec::new();
    let mut changed = Vec::new();
    for id in store.run_ids()? {
        let stamp = stamp(&store.run_place(&id)?);
        let row = match known.remove(&*id.0) {
            // That nobody writes a run is not written in its file: it is looked at once more.
            Some((known_stamp, row)) if known_stamp == stamp && !(is_open(&row) && store.is_running(&id)) => row,
            _ => {
                let row = store.open_run(&id).and_then(|reader: RunReader| reader.row());
                let row = row.unwrap_or_else(|error| unreadable(store, id, &error));
                // What is running is about to change, and what is damaged may be another's half-made file.
                if !matches!(row.status, ShownStatus::Running | ShownStatus::Damaged) {
                    changed.push((stamp, row.clone()));
                }
                row
            }
        };
        rows.push(row);
    }
    if let Ok(index) = &mut index
        && !(changed.is_empty() && known.is_empty())
    {
        let gone: Vec<&String> = known.keys().collect();
        let _ = write(index, &changed, &gone);
    }
    Ok(rows)
}

/// Whether somebody may go on with it.
fn is_open(row: &RunRow) -> bool {
    row.status == ShownStatus::Interrupted
}

fn open(place: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(place)?;
    connection.busy_timeout(Duration::from_secs(2))?;
    // Nothing here is worth a sync.
    connection.pragma_update(None, "synchronous", "OFF")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version != VERSION {
        connection.execute_batch("DROP TABLE IF EXISTS runs;")?;
        connection.execute_batch(SCHEMA)?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(connection)
}

fn read(index: &Connection) -> rusqlite::Result<HashMap<String, (String, RunRow)>> {
    let mut statement = index.prepare(
        "SELECT id, stamp, flow, environment, status, started, finished, input_tokens, output_tokens,
         cached_input_tokens, reasoning_tokens, cost, failure, completed_lines, failed_lines, left_lines FROM runs",
    )?;
    let mut found = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let time = |column: usize| -> rusqlite::Result<Option<Timestamp>> {
            Ok(row.get::<_, Option<String>>(column)?.and_then(|text| text.parse().ok()))
        };
        let count = |column: usize| -> rusqlite::Result<Option<u64>> {
            Ok(row.get::<_, Option<i64>>(column)?.and_then(|count| count.try_into().ok()))
        };
        let id: String = row.get(0)?;
        let Some(status) = ShownStatus::from_name(&row.get::<_, String>(4)?) else { continue };
        let shown = RunRow {
            id: RunId(id.as_str().into()),
            flow: row.get(2)?,
            environment: row.get(3)?,
            status,
            started: time(5)?,
            finished: time(6)?,
            usage: Usage {
                input_tokens: count(7)?,
                output_tokens: count(8)?,
                cached_input_tokens: count(9)?,
                reasoning_tokens: count(10)?,
            },
            cost: row.get(11)?,
            failure: row.get(12)?,
            lines: match (count(13)?, count(14)?, count(15)?) {
                (Some(completed), Some(failed), Some(left)) => Some(LineCounts { completed, failed, left }),
                _ => None,
            },
        };
        found.insert(id, (row.get(1)?, shown));
    }
    Ok(found)
}

fn write(index: &mut Connection, changed: &[(String, RunRow)], gone: &[&String]) -> rusqlite::Result<()> {
    let transaction = index.transaction()?;
    for id in gone {
        transaction.execute("DELETE FROM runs WHERE id = ?1", [id])?;
    }
    for (stamp, row) in changed {
        let number = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
        transaction.execute(
            "INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15,
             ?16)",
            rusqlite::params![
                &*row.id.0,
                stamp,
                row.flow,
                row.environment,
                row.status.name(),
                row.started.map(|time| time.to_string()),
                row.finished.map(|time| time.to_string()),
                number(row.usage.input_tokens),
                number(row.usage.output_tokens),
                number(row.usage.cached_input_tokens),
                number(row.usage.reasoning_tokens),
                row.cost,
                row.failure,
                number(row.lines.map(|lines| lines.completed)),
                number(row.lines.map(|lines| lines.failed)),
                number(row.lines.map(|lines| lines.left)),
            ],
        )?;
    }
    transaction.commit()
}

/// How a run's file looks from outside: it changes whenever something is written.
fn stamp(place: &Path) -> String {
    let mut log = place.as_os_str().to_owned();
    log.push("-wal");
    let look = |path: &Path| {
        let facts = fs::metadata(path).ok()?;
        // An empty log is as good as none: readers leave one behind.
        let changed = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        (facts.len() > 0).then(|| format!("{}@{changed}", facts.len()))
    };
    format!("{} {}", look(place).unwrap_or_default(), look(Path::new(&log)).unwrap_or_default())
}

fn unreadable(store: &Store, id: RunId, error: &StoreError) -> RunRow {
    // A file whose writer is about to make its tables is not damaged.
    let is_running = store.is_running(&id);
    RunRow {
        id,
        flow: String::new(),
        environment: None,
        status: if is_running { ShownStatus::Running } else { ShownStatus::Damaged },
        started: None,
        finished: None,
        usage: Usage::default(),
        cost: None,
        failure: (!is_running).then(|| error.to_string()),
        lines: None,
    }
}
