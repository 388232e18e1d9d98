//! Files of reports: whole, or not there at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Writes a file beside its place and puts it there whole; folders on the way are made.
pub(super) fn write_whole(file: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: &io::Error| {
        CliError::failed(format!("`{}` cannot be written", file.display())).cause(error.to_string())
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or(Path::new("."), |folder| folder);
    std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    // A name of its own for each writer: two evaluations may end at the same moment.
    let mut part = tempfile::Builder::new()
        .prefix(".sluicegate-")
        .suffix(".part")
        .permissions_of_files()
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    part.write_all(text.as_bytes()).and_then(|()| part.as_file().sync_all()).map_err(|error| failed(&error))?;
    part.persist(file).map(drop).map_err(|error| failed(&error.error))
}

/// Adds to the end of a file that somebody else began.
pub(super) fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut out = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    out.write_all(text.as_bytes())
}

/// How many bytes a file has; 0 if there is none.
pub(super) fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

/// A path of the command line, absolute.
pub(super) fn placed(folder: &Path, file: &Path) -> PathBuf {
    folder.join(file)
}

trait PermissionsOfFiles {
    fn permissions_of_files(&mut self) -> &mut Self;
}

impl PermissionsOfFiles for tempfile::Builder<'_, '_> {
    /// As any file that a program makes, less what the umask takes: a build's later steps, as other users, read reports.
    fn permissions_of_files(&mut self) -> &mut Self {
        #[cfg(unix)]
        self.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a/b/receipt.json");
        write_whole(&file, "a long first text").expect("it is written");
        write_whole(&file, "second").expect("it is written");
        assert_eq!(std::fs::read_to_string(&file).expect("a file"), "second");
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).expect("a folder").count(), 1);
    }

    #[test]
    fn what_cannot_be_written_says_which_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "").expect("a file");
        let error = write_whole(&folder.path().join("file/receipt.json"), "x").expect_err("no folder");
        assert!(matches!(error, CliError::Other(complaint) if complaint.message.contains("receipt.json")));
    }
}
