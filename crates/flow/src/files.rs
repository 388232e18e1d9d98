//! Where files come from: a disk, a test's strings, later a git tree.
//!
//! Paths are relative to the project's root, with `/` between names and without `.` and `..`; what begins with `..`
//! leaves the project. Whoever compiles reads each file once, so nothing here keeps them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Where files come from.
pub trait Files: Send + Sync {
    /// The content of a file.
    ///
    /// # Errors
    /// It is missing, no file, outside of the project, or cannot be read.
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError>;

    /// What stands at a path; what may not be looked at is missing.
    fn kind(&self, path: &str) -> FileKind;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// It is missing, no folder, outside of the project, or cannot be read.
    fn list(&self, folder: &str) -> Result<Vec<String>, FileError>;
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing.
    Missing,
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// Why a file cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// There is nothing there.
    #[error("file `{0}` does not exist")]
    Missing(String),
    /// The path leaves the project.
    #[error("`{0}` lies outside of the project")]
    Outside(String),
    /// There is a folder where a file should be, or the other way round.
    #[error("`{0}` is not {1}")]
    WrongKind(String, &'static str),
    /// It is not text.
    #[error("file `{0}` is not UTF-8 text")]
    NotText(String),
    /// The operating system refused.
    #[error("cannot read `{path}`: {reason}")]
    Unreadable {
        /// Which path.
        path: String,
        /// The operating system's words.
        reason: String,
    },
}

/// Puts a path that an author wrote in a file of `folder` into normal form; `..` beyond the root stay in front.
/// Returns `None` for an absolute path.
#[must_use]
pub fn join(folder: &str, path: &str) -> Option<String> {
    let path = path.replace('\\', "/");
    if path.starts_with('/') || path.as_bytes().get(1) == Some(&b':') {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in folder.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// The folder of a path; empty for the root.
#[must_use]
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The last name of a path.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// Reads a text file.
///
/// # Errors
/// As [`Files::read`], or it is not UTF-8.
pub fn read_text(files: &dyn Files, path: &str) -> Result<Arc<str>, FileError> {
    let bytes = files.read(path)?;
    std::str::from_utf8(&bytes).map(Arc::from).map_err(|_| FileError::NotText(path.to_owned()))
}

fn leaves(path: &str) -> bool {
    path == ".." || path.starts_with("../")
}

/// Files in memory, for tests.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Arc<[u8]>>,
}

impl MemoryFiles {
    /// Files by path and text.
    #[must_use]
    pub fn new(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes()))).collect() }
    }

    /// Adds or replaces a file.
    #[must_use]
    pub fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.files.insert(path.to_owned(), Arc::from(bytes));
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        match self.kind(path) {
            _ if leaves(path) => Err(FileError::Outside(path.to_owned())),
            FileKind::Folder => Err(FileError::WrongKind(path.to_owned(), "a file")),
            _ => self.files.get(path).cloned().ok_or_else(|| FileError::Missing(path.to_owned())),
        }
    }

    fn kind(&self, path: &str) -> FileKind {
        let inside = format!("{path}/");
        if self.files.contains_key(path) {
            FileKind::File
        } else if path.is_empty()
            || self.files.range(inside.clone()..).next().is_some_and(|(at, _)| at.starts_with(&inside))
        {
            FileKind::Folder
        } else {
            FileKind::Missing
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let names: BTreeSet<&str> = self
            .files
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter_map(|rest| rest.split('/').next())
            .collect();
        match self.kind(folder) {
            FileKind::Folder => Ok(names.into_iter().map(str::to_owned).collect()),
            FileKind::File => Err(FileError::WrongKind(folder.to_owned(), "a folder")),
            FileKind::Missing => Err(FileError::Missing(folder.to_owned())),
        }
    }
}

/// Files on disk below one folder. Nothing outside of it is read, not through a symbolic link either.
#[derive(Clone, Debug)]
pub struct DiskFiles {
    root: PathBuf,
    /// The root with all symbolic links followed; the root itself if it does not exist.
    real_root: PathBuf,
}

impl DiskFiles {
    /// The files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let real_root = root.canonicalize().unwrap_or_else(|_| root.clone());
        Self { root, real_root }
    }

    /// The folder that paths are relative to.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn locate(&self, path: &str) -> Result<PathBuf, FileError> {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain {
            return Err(FileError::Outside(path.to_owned()));
        }
        let full = self.root.join(relative);
        if let Ok(real) = full.canonicalize()
            && !real.starts_with(&self.real_root)
        {
            return Err(FileError::Outside(path.to_owned()));
        }
        Ok(full)
    }

    fn explain(&self, path: &str, wanted: &'static str, error: &std::io::Error) -> FileError {
        match (error.kind(), self.kind(path)) {
            (std::io::ErrorKind::NotFound, _) => FileError::Missing(path.to_owned()),
            (_, FileKind::Folder) if wanted == "a file" => FileError::WrongKind(path.to_owned(), wanted),
            (_, FileKind::File) if wanted == "a folder" => FileError::WrongKind(path.to_owned(), wanted),
            _ => FileError::Unreadable { path: path.to_owned(), reason: error.to_string() },
        }
    }
}

impl Files for DiskFiles {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        let full = self.locate(path)?;
        fs::read(full).map(Arc::from).map_err(|error| self.explain(path, "a file", &error))
    }

    fn kind(&self, path: &str) -> FileKind {
        match self.locate(path).ok().and_then(|full| fs::metadata(full).ok()) {
            Some(about) if about.is_dir() => FileKind::Folder,
            Some(_) => FileKind::File,
            None => FileKind::Missing,
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        let full = self.locate(folder)?;
        let entries = fs::read_dir(full).map_err(|error| self.explain(folder, "a folder", &error))?;
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_into_normal_form() {
        assert_eq!(join("flows/a", "../shared/./x.py").as_deref(), Some("flows/shared/x.py"));
        assert_eq!(join("", "../../x").as_deref(), Some("../../x"));
        assert_eq!(join("a", "..\\..\\x").as_deref(), Some("../x"));
        assert_eq!(join("a", "/etc/passwd"), None);
        assert_eq!(join("a", "C:\\x"), None);
    }

    #[test]
    fn memory_knows_files_and_folders() {
        let files = MemoryFiles::new(&[("a/b.txt", "hi"), ("a/c/d.txt", ""), ("a.txt", "")]);
        assert_eq!(files.kind("a"), FileKind::Folder);
        assert_eq!(files.list("a").unwrap(), ["b.txt", "c"]);
        assert_eq!(read_text(&files, "a/b.txt").unwrap(), "hi".into());
        assert_eq!(files.read("a"), Err(FileError::WrongKind("a".into(), "a file")));
        assert_eq!(files.read("../x"), Err(FileError::Outside("../x".into())));
    }

    #[test]
    fn the_disk_ends_at_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        fs::create_dir_all(root.join("flow")).unwrap();
        fs::write(root.join("flow/a.txt"), "in").unwrap();
        fs::write(folder.path().join("secret.txt"), "out").unwrap();
        let files = DiskFiles::new(&root);
        assert_eq!(read_text(&files, "flow/a.txt").unwrap(), "in".into());
        assert_eq!(files.list("").unwrap(), ["flow"]);
        assert_eq!(files.read("../secret.txt"), Err(FileError::Outside("../secret.txt".into())));
        assert_eq!(files.read("nope"), Err(FileError::Missing("nope".into())));
        assert_eq!(files.read("flow"), Err(FileError::WrongKind("flow".into(), "a file")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret.txt"), root.join("link")).unwrap();
            assert_eq!(files.read("link"), Err(FileError::Outside("link".into())));
            assert_eq!(files.kind("link"), FileKind::Missing);
        }
    }
}
