//! Commands to a running run: rows that anybody may add and only the run's writer takes.

use jiff::Timestamp;
use rusqlite::Connection;

/// Something that a running run is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What: `suspend`, `terminate`, `raise_event`, …
    pub kind: String,
    /// What it needs to know, as JSON text.
    pub body: String,
    /// When it was asked.
    pub at: Timestamp,
}

impl Command {
    /// A command of this moment.
    #[must_use]
    pub fn new(kind: impl Into<String>, body: impl Into<String>) -> Self {
        Self { kind: kind.into(), body: body.into(), at: Timestamp::now() }
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "INSERT INTO inbox (kind, body, at) VALUES (?1, ?2, ?3)",
            (&self.kind, &self.body, self.at.to_string()),
        )?;
        Ok(())
    }

    /// Takes all commands out, in the order in which they came.
    pub(crate) fn take_all(connection: &mut Connection) -> rusqlite::Result<Vec<Self>> {
        // Nothing is written while nothing is there: this is asked often, and a write takes the file's only pen.
        let waiting: i64 = connection.prepare_cached("SELECT count(*) FROM inbox")?.query_row([], |row| row.get(0))?;
        if waiting == 0 {
            return Ok(Vec::new());
        }
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let commands = transaction
            .prepare("SELECT kind, body, at FROM inbox ORDER BY number")?
            .query_map([], |row| {
                let at: String = row.get(2)?;
                Ok(Self { kind: row.get(0)?, body: row.get(1)?, at: at.parse().unwrap_or(Timestamp::UNIX_EPOCH) })
            })?
            .collect::<rusqlite::Result<Vec<Self>>>()?;
        transaction.execute("DELETE FROM inbox", [])?;
        transaction.commit()?;
        Ok(commands)
    }
}
