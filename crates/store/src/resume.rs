//! Taking a run over, to go on with it.

use std::fmt;
use std::sync::Arc;

use rusqlite::Connection;
use sluicegate_events::{Event, LinePast, RunId};

use crate::lines::Past;
use crate::lock::RunLock;
use crate::{Durability, LineSets, LineTotals, RunJournal, RunReader, Store, StoreError, format};

/// What past processes did of a batch, without the events of its lines.
pub struct BatchPast {
    /// The events of the run itself, in order.
    pub run_events: Vec<Event>,
    /// Which lines stand how.
    pub sets: LineSets,
    /// What they used.
    pub totals: LineTotals,
    /// The number of the last event.
    pub last_seq: u64,
    /// The events of each line, up to that number.
    pub lines: Arc<dyn LinePast>,
}

impl fmt::Debug for BatchPast {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("BatchPast")
            .field("run_events", &self.run_events.len())
            .field("totals", &self.totals)
            .field("last_seq", &self.last_seq)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Takes a run over to go on with it, and returns what happened in it so far: all of it, so this is for runs of one
    /// input. For a batch there is [`Store::resume_batch`].
    ///
    /// # Errors
    /// No such run; another process writes it ([`StoreError::Held`]); a damaged file.
    pub fn resume_run(&self, run: &RunId, durability: Durability) -> Result<(RunJournal, Vec<Event>), StoreError> {
        let (lock, connection) = self.take_over(run, durability)?;
        let past = self.open_run(run)?.events()?;
        Ok((RunJournal::start(run.clone(), self.existing(run)?, connection, lock)?, past))
    }

    /// Takes a batch over to go on with it, and returns what happened in it so far, but for the events of its lines,
    /// which may be millions: those are read when they are needed.
    ///
    /// # Errors
    /// No such run; another process writes it ([`StoreError::Held`]); a damaged file.
    pub fn resume_batch(&self, run: &RunId, durability: Durability) -> Result<(RunJournal, BatchPast), StoreError> {
        let (lock, connection) = self.take_over(run, durability)?;
        let place = self.existing(run)?;
        let reader: RunReader = self.open_run(run)?;
        let last_seq = reader.last_seq()?;
        let past = BatchPast {
            run_events: reader.run_events()?,
            sets: reader.line_sets()?,
            totals: reader.line_totals()?,
            last_seq,
            lines: Arc::new(Past::open(place.clone(), last_seq, || true)?),
        };
        Ok((RunJournal::start(run.clone(), place, connection, lock)?, past))
    }

    /// Whether a run is a batch, and is to be resumed as one.
    ///
    /// # Errors
    /// No such run, or a damaged file.
    pub fn is_batch(&self, run: &RunId) -> Result<bool, StoreError> {
        self.open_run(run)?.is_batch()
    }

    fn take_over(&self, run: &RunId, durability: Durability) -> Result<(RunLock, Connection), StoreError> {
        let place = self.existing(run)?;
        let Some(lock) = RunLock::take(&self.lock_place(run))? else { return Err(self.held(run)) };
        Ok((lock, format::open_to_write(&place, durability)?))
    }

    /// That somebody holds a run, and who.
    pub(crate) fn held(&self, run: &RunId) -> StoreError {
        let pid = self.open_run(run).and_then(|reader| reader.lease()).ok().flatten().map(|lease| lease.pid);
        StoreError::Held { run: run.to_string(), pid }
    }
}
