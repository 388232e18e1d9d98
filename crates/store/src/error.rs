//! Why the store cannot do what was asked.

use std::path::Path;

use rusqlite::ErrorCode;

/// Why the store cannot do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store's folder cannot be made or read.
    #[error("cannot use the folder `{place}`: {message}")]
    Folder {
        /// The folder.
        place: String,
        /// What the system said.
        message: String,
    },
    /// No run has this name or beginning.
    #[error("there is no run `{asked}`")]
    NoSuchRun {
        /// The name as asked.
        asked: String,
    },
    /// Several runs begin like this.
    #[error("`{asked}` may be any of {}", .candidates.join(", "))]
    Ambiguous {
        /// The beginning as asked.
        asked: String,
        /// The first few runs that begin with it.
        candidates: Vec<String>,
    },
    /// A run's name that could not be a file's name everywhere.
    #[error("`{id}` cannot name a run: only letters, digits, `-`, `_` and `.` may stand in it")]
    BadRunId {
        /// The name.
        id: String,
    },
    /// A run of this name is there already.
    #[error("the run `{run}` exists already")]
    AlreadyExists {
        /// The run.
        run: String,
    },
    /// Another process writes this run.
    #[error("the run `{run}` is being written by {}", holder(.pid))]
    Held {
        /// The run.
        run: String,
        /// The process that holds it, as its lease tells.
        pid: Option<u32>,
    },
    /// No process would read a command for this run.
    #[error("the run `{run}` is not running")]
    NotRunning {
        /// The run.
        run: String,
    },
    /// The file was written by a later version, in a form that this one does not know.
    #[error("`{place}` has format {found}, and this version reads up to format {supported}")]
    NewerFormat {
        /// The file.
        place: String,
        /// Its format.
        found: u32,
        /// The newest format that can be read.
        supported: u32,
    },
    /// The file is no run, or it is broken.
    #[error("`{place}` is damaged or is no run: {message}")]
    Damaged {
        /// The file.
        place: String,
        /// What is wrong with it.
        message: String,
    },
    /// Whoever was told what was read could not take it.
    #[error("cannot write what was read: {message}")]
    NotTaken {
        /// What the system said.
        message: String,
    },
    /// There is no cassette to replay.
    #[error("there is no cassette in `{place}`")]
    NoCassette {
        /// The folder.
        place: String,
    },
    /// Another process records this cassette.
    #[error("the cassette in `{place}` is being recorded by another process")]
    CassetteHeld {
        /// The folder.
        place: String,
    },
    /// A line of a cassette is no recorded call.
    #[error("`{place}` line {line} is no recorded call: {message}")]
    DamagedCassette {
        /// The file.
        place: String,
        /// The line in it, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// The file cannot be read or written.
    #[error("cannot use `{place}`: {message}")]
    File {
        /// The file.
        place: String,
        /// What the system said.
        message: String,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StoreError {
    pub(crate) fn folder(place: &Path, error: &std::io::Error) -> Self {
        Self::Folder { place: place.display().to_string(), message: error.to_string() }
    }

    pub(crate) fn file(place: &Path, error: &std::io::Error) -> Self {
        Self::File { place: place.display().to_string(), message: error.to_string() }
    }

    pub(crate) fn not_taken(error: &std::io::Error) -> Self {
        Self::NotTaken { message: error.to_string() }
    }

    pub(crate) fn damaged(place: &Path, message: impl Into<String>) -> Self {
        Self::Damaged { place: place.display().to_string(), message: message.into() }
    }

    /// SQLite's word, sorted into "the file is wrong" and "the file cannot be reached".
    pub(crate) fn sqlite(place: &Path, error: &rusqlite::Error) -> Self {
        let is_content = match error {
            rusqlite::Error::SqliteFailure(failure, _) => {
                matches!(failure.code, ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown)
            }
            rusqlite::Error::SqlInputError { .. }
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::QueryReturnedNoRows => true,
            _ => false,
        };
        if is_content {
            Self::damaged(place, error.to_string())
        } else {
            Self::File { place: place.display().to_string(), message: error.to_string() }
        }
    }
}
