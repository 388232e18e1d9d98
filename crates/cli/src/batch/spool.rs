//! Rows on standard input: kept in a file beside the run's journal, since they are read twice, and again by a resume.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sluicegate_events::RunId;
use sluicegate_store::Store;

use crate::error::CliError;

/// The name of data that come from standard input.
pub(crate) const STDIN: &str = "-";

/// Where standard input of a run is kept. It goes with the run when that is deleted.
pub(crate) fn spool_place(store: &Store, run: &RunId) -> Result<PathBuf, CliError> {
    let is_file_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if &*run.0 == "latest" || run.0.is_empty() || run.0.starts_with('.') || !run.0.chars().all(is_file_name) {
        return Err(CliError::misused(format!("`{run}` cannot be a run's name"))
            .hint("it becomes a file's: letters, digits, `-`, `_` and `.`; `latest` is the newest run's"));
    }
    Ok(store.root().join("runs").join(format!("{run}.stdin")))
}

/// Keeps standard input in a file that only its owner reads: nothing is taken out of it, secrets neither.
pub(crate) fn spool_stdin(file: &Path) -> Result<(), CliError> {
    let copied = owners_own(file).and_then(|mut out| io::copy(&mut io::stdin().lock(), &mut out));
    copied.map(|_| ()).map_err(|error| {
        let _ = fs::remove_file(file);
        CliError::failed(format!("standard input cannot be kept in `{}`", file.display())).cause(error.to_string())
    })
}

fn owners_own(file: &Path) -> io::Result<File> {
    // One that is left of a run that never began may be readable by others.
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}
