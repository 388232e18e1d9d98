//! A project's files, seen otherwise than they lie: some in place of others; and noted, whichever was read.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_flow::files::{DiskFiles, FileError, FileKind, Files};

/// Files of which some stand in the place of others.
pub(crate) struct Replaced<'a> {
    files: DiskFiles,
    /// Path, and whose content it has; both from the project's root.
    instead: &'a [(String, String)],
}

impl<'a> Replaced<'a> {
    pub(crate) fn new(files: DiskFiles, instead: &'a [(String, String)]) -> Self {
        Self { files, instead }
    }

    fn real<'p>(&'p self, path: &'p str) -> &'p str {
        self.instead.iter().find(|(replaced, _)| replaced == path).map_or(path, |(_, by)| by)
    }
}

impl Files for Replaced<'_> {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        self.files.read(self.real(path))
    }

    fn kind(&self, path: &str) -> FileKind {
        self.files.kind(self.real(path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        self.files.list(folder)
    }
}

/// Files that notes which of them was read.
pub(crate) struct Noted {
    files: DiskFiles,
    read: Mutex<BTreeSet<String>>,
}

impl Noted {
    pub(crate) fn new(files: DiskFiles) -> Self {
        Self { files, read: Mutex::default() }
    }

    /// What was read, from the project's root; what was looked for and is not there too: it would be read if it were.
    pub(crate) fn read_files(self) -> BTreeSet<String> {
        self.read.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for Noted {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        self.files.read(path)
    }

    fn kind(&self, path: &str) -> FileKind {
        self.files.kind(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        self.files.list(folder)
    }
}
