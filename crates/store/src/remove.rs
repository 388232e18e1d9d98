//! Runs that nobody needs any longer.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use sluicegate_events::RunId;

use crate::lock::RunLock;
use crate::{RunFilter, RunRow, ShownStatus, Store, StoreError};

/// Endings of files that the store itself makes for a run.
const ENDINGS: [&str; 6] = ["db", "db-wal", "db-shm", "db-journal", "lock", "probe"];

/// Which runs to delete; all that is said must hold. Running ones never are, and the default is all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneFilter {
    /// Only those that stand so.
    pub status: Option<ShownStatus>,
    /// Only those that began before. One that does not say when it began counts by its file's last change.
    pub older_than: Option<Timestamp>,
    /// Not the newest so many of those that stand so.
    pub keep: usize,
}

/// A run that was deleted, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The run.
    pub run: RunId,
    /// When it began, if it said so.
    pub started: Option<Timestamp>,
    /// How many bytes its files have.
    pub bytes: u64,
}

impl Store {
    /// Deletes a run and all that lies beside it under its name: log, lock, images. Returns how many bytes that frees.
    ///
    /// # Errors
    /// No such run; a process writes it ([`StoreError::Held`]); files that cannot be deleted.
    pub fn delete(&self, run: &RunId) -> Result<u64, StoreError> {
        let place = self.existing(run)?;
        let lock_place = self.lock_place(run);
        let Some(lock) = RunLock::take(&lock_place)? else { return Err(self.held(run)) };
        let belongings = self.belongings(run)?;
        let bytes = belongings.iter().map(|path| size(path)).sum();
        // The run's own file first: what is left when this breaks off is no run, not half a one.
        remove(&place)?;
        for path in belongings.iter().filter(|path| **path != place && **path != lock_place) {
            remove(path)?;
        }
        // Some systems delete no open file.
        drop(lock);
        remove(&lock_place)?;
        Ok(bytes)
    }

    /// Deletes the runs that a filter admits, oldest first, and returns them; with `dry_run` it only says which they
    /// would be. A run that somebody begins to go on with meanwhile is left alone.
    ///
    /// # Errors
    /// The folder cannot be read; a file that cannot be deleted, and then those after it stay.
    pub fn prune(&self, filter: &PruneFilter, dry_run: bool) -> Result<Vec<Removed>, StoreError> {
        let mut rows = self.list(&RunFilter { status: filter.status, ..RunFilter::default() })?;
        rows.retain(|row| row.status != ShownStatus::Running);
        let mut removed = Vec::new();
        for row in rows.iter().skip(filter.keep).rev() {
            // One of which nobody knows when it began is not older.
            if filter.older_than.is_some_and(|limit| self.began(row).is_none_or(|began| began >= limit)) {
                continue;
            }
            let bytes = if dry_run {
                self.belongings(&row.id)?.iter().map(|path| size(path)).sum()
            } else {
                match self.delete(&row.id) {
                    Ok(bytes) => bytes,
                    Err(StoreError::Held { .. } | StoreError::NoSuchRun { .. }) => continue,
                    Err(error) => return Err(error),
                }
            };
            removed.push(Removed { run: row.id.clone(), started: row.started, bytes });
        }
        Ok(removed)
    }

    fn began(&self, row: &RunRow) -> Option<Timestamp> {
        row.started.or_else(|| {
            let changed: SystemTime = fs::metadata(self.run_place(&row.id).ok()?).ok()?.modified().ok()?;
            Timestamp::try_from(changed).ok()
        })
    }

    /// Everything that lies here under a run's name.
    fn belongings(&self, run: &RunId) -> Result<Vec<PathBuf>, StoreError> {
        let others: HashSet<RunId> = self.run_ids()?.into_iter().filter(|other| other != run).collect();
        let folder = self.runs();
        let entries = fs::read_dir(&folder).map_err(|error| StoreError::folder(&folder, &error))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|error| StoreError::folder(&folder, &error))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if belongs(name, run, &others, path.is_dir()) {
                found.push(path);
            }
        }
        // Images of outputs may lie outside of the folder of runs, beside what is everybody's.
        found.extend(Some(self.root().join(format!("{run}-images"))).filter(|images| images.is_dir()));
        Ok(found)
    }
}

/// Whether an entry of the store's folders is a run's. A run may be named like the beginning of another: `a` and `a.b`.
fn belongs(name: &str, run: &RunId, others: &HashSet<RunId>, is_folder: bool) -> bool {
    let Some(rest) = name.strip_prefix(&*run.0) else { return false };
    if rest == "-images" {
        return is_folder;
    }
    let Some(ending) = rest.strip_prefix('.') else { return false };
    if ENDINGS.contains(&ending) {
        return true;
    }
    // `a.b.lock` is of a run `a.b`, even before it has a file.
    let is_another_runs = others.iter().any(|other| {
        let rest = name.strip_prefix(&*other.0);
        other.0.len() > run.0.len() && rest.is_some_and(|rest| rest.starts_with(['.', '-']))
    });
    let is_of_its_form = ENDINGS.iter().any(|ours| ending.strip_suffix(ours).is_some_and(|head| head.ends_with('.')));
    !is_another_runs && !is_of_its_form
}

/// How many bytes a file has, or all files in a folder. What cannot be looked at counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(facts) = fs::symlink_metadata(path) else { return 0 };
    if !facts.is_dir() {
        return facts.len();
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| size(&entry.path())).sum()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    // A link is deleted, not what it leads to.
    let is_folder = fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let outcome = if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match outcome {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::file(path, &error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_bears_a_runs_whole_name_is_its_own() {
        let others: HashSet<RunId> = ["a.b", "a-images", "ab"].into_iter().map(|name| RunId(name.into())).collect();
        let check = |name: &str, is_folder: bool, expected: bool| {
            assert_eq!(belongs(name, &RunId("a".into()), &others, is_folder), expected, "{name}");
        };
        check("a.db", false, true);
        check("a.db-wal", false, true);
        check("a.lock", false, true);
        check("a.output.jsonl", false, true);
        check("a-images", true, true);
        check("a-images.db", false, false);
        check("ab.db", false, false);
        check("a.b.db", false, false);
        check("a.b.output.jsonl", false, false);
        check("a.b-images", true, false);
        check("a.c.lock", false, false);
    }
}
