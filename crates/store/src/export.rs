//! A run's events, for other programs.

use std::io::Write;

use sluicegate_events::RunId;

use crate::{Store, StoreError};

impl Store {
    /// Writes every event of a run in order, each as a line of JSON with large values in their place, and returns how
    /// many there were. One is in memory at a time. Kinds of later versions are written word for word.
    ///
    /// # Errors
    /// No such run; a damaged file; what `out` says ([`StoreError::NotTaken`]).
    pub fn export(&self, run: &RunId, out: &mut dyn Write) -> Result<u64, StoreError> {
        let mut written = 0;
        self.open_run(run)?.each_event_row(&mut |row| {
            written += 1;
            out.write_all(row.body.as_bytes())
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|error| StoreError::not_taken(&error))
        })?;
        out.flush().map_err(|error| StoreError::not_taken(&error))?;
        Ok(written)
    }
}
