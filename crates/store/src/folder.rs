//! The folder `.sluicegate`, and the way to each run in it.

use std::fs;
use std::path::{Path, PathBuf};

use sluicegate_events::RunId;

use crate::lock::{Lease, RunLock};
use crate::{Command, RunFilter, RunJournal, RunReader, RunRow, StoreError, format, index};

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: each commit reaches the disk before it is acknowledged.
    #[default]
    Power,
    /// The death of the process, `kill -9` included; a machine that loses power may forget the last moments.
    Process,
}

/// The place where runs are kept.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the store in the folder `root` (a project's `.sluicegate`), and makes it, for its owner's eyes only, if
    /// it is not there.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let store = Self { root: root.into() };
        let runs = store.runs();
        if !runs.is_dir() {
            make_private(&runs).map_err(|error| StoreError::folder(&runs, &error))?;
        }
        let ignore = store.root.join(".gitignore");
        if !ignore.exists() {
            // What runs said and answered must not be committed by accident.
            fs::write(&ignore, "*\n").map_err(|error| StoreError::file(&ignore, &error))?;
        }
        Ok(store)
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins the journal of a new run. `engine` is the version of this program.
    ///
    /// # Errors
    /// A name that cannot be a file's, a run that exists, a folder that cannot be written.
    pub fn create_run(&self, run: &RunId, engine: &str, durability: Durability) -> Result<RunJournal, StoreError> {
        let place = self.run_place(run)?;
        if place.exists() {
            return Err(StoreError::AlreadyExists { run: run.to_string() });
        }
        let lock = RunLock::take(&self.lock_place(run))?
            .ok_or_else(|| StoreError::Held { run: run.to_string(), pid: None })?;
        let begun = format::create(&place, run, engine, durability)
            .and_then(|connection| RunJournal::start(run.clone(), place.clone(), connection, lock));
        if begun.is_err() {
            // Half a file would be listed as a damaged run for ever.
            for ending in ["db", "db-wal", "db-shm", "db-journal", "lock"] {
                let _ = fs::remove_file(place.with_extension(ending));
            }
        }
        begun
    }

    /// Opens a run to read it.
    ///
    /// # Errors
    /// No such run, or a file that is damaged or from a later version.
    pub fn open_run(&self, run: &RunId) -> Result<RunReader, StoreError> {
        RunReader::open(run.clone(), self.existing(run)?, self.lock_place(run))
    }

    /// Whether a run's file holds nothing yet and nobody writes it: its process died while it made the file.
    #[must_use]
    pub fn is_unborn(&self, run: &RunId) -> bool {
        !self.is_running(run) && self.existing(run).is_ok_and(|place| format::holds_nothing(&place))
    }

    /// Who writes a run, or wrote it last.
    ///
    /// # Errors
    /// No such run, or a damaged file.
    pub fn lease(&self, run: &RunId) -> Result<Option<Lease>, StoreError> {
        self.open_run(run)?.lease()
    }

    /// Sends a command to the process that writes a run.
    ///
    /// # Errors
    /// No such run, or nobody writes it ([`StoreError::NotRunning`]).
    pub fn post(&self, run: &RunId, command: &Command) -> Result<(), StoreError> {
        let place = self.existing(run)?;
        if !self.is_running(run) {
            return Err(StoreError::NotRunning { run: run.to_string() });
        }
        let connection = format::open_to_write(&place, Durability::Process)?;
        command.write(&connection).map_err(|error| StoreError::sqlite(&place, &error))
    }

    /// Lists runs, the newest first. A damaged file is a row of its own, not an error.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self, filter: &RunFilter) -> Result<Vec<RunRow>, StoreError> {
        let mut rows = index::rows(self)?;
        rows.retain(|row| filter.admits(row));
        rows.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        rows.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(rows)
    }

    /// Finds a run by its name, the beginning of its name, or `latest`.
    ///
    /// # Errors
    /// No run, or several, that match.
    pub fn find(&self, asked: &str) -> Result<RunId, StoreError> {
        let nothing = || StoreError::NoSuchRun { asked: asked.to_owned() };
        if asked == "latest" {
            let newest = self.list(&RunFilter { limit: Some(1), ..RunFilter::default() })?;
            return newest.into_iter().next().map(|row| row.id).ok_or_else(nothing);
        }
        let mut found: Vec<RunId> =
            self.run_ids()?.into_iter().filter(|id| !asked.is_empty() && id.0.starts_with(asked)).collect();
        if let Some(exact) = found.iter().position(|id| &*id.0 == asked) {
            return Ok(found.swap_remove(exact));
        }
        found.sort();
        match found.len() {
            0 => Err(nothing()),
            1 => found.pop().ok_or_else(nothing),
            _ => {
                let candidates = found.iter().take(5).map(RunId::to_string).collect();
                Err(StoreError::Ambiguous { asked: asked.to_owned(), candidates })
            }
        }
    }

    /// Whether a process writes this run at this moment.
    #[must_use]
    pub fn is_running(&self, run: &RunId) -> bool {
        is_file_name(&run.0) && RunLock::is_held(&self.lock_place(run))
    }

    /// The names of all runs that have a file, in no order.
    pub(crate) fn run_ids(&self) -> Result<Vec<RunId>, StoreError> {
        let runs = self.runs();
        let entries = fs::read_dir(&runs).map_err(|error| StoreError::folder(&runs, &error))?;
        let mut ids = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| StoreError::folder(&runs, &error))?.path();
            if path.extension().is_some_and(|extension| extension == "db")
                && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
                && is_file_name(stem)
            {
                ids.push(RunId(stem.into()));
            }
        }
        Ok(ids)
    }

    pub(crate) fn run_place(&self, run: &RunId) -> Result<PathBuf, StoreError> {
        if !is_file_name(&run.0) {
            return Err(StoreError::BadRunId { id: run.to_string() });
        }
        Ok(self.runs().join(format!("{run}.db")))
    }

    pub(crate) fn existing(&self, run: &RunId) -> Result<PathBuf, StoreError> {
        let place = self.run_place(run)?;
        if place.is_file() { Ok(place) } else { Err(StoreError::NoSuchRun { asked: run.to_string() }) }
    }

    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    pub(crate) fn lock_place(&self, run: &RunId) -> PathBuf {
        self.runs().join(format!("{run}.lock"))
    }
}

fn is_file_name(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 128
        && !id.starts_with('.')
        && id.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
}

#[cfg(unix)]
fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_private(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)
}
