//! The Python files that this program holds: the worker, and the stand-in package.
//!
//! Python keeps compiled files only beside files, so they are put into a folder that lasts, named by the hash of what is in
//! it. Python runs whatever is in that folder: it must be ours alone, and hold what we put there.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sluicegate_value::hash::sha256;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The worker's files, where Python finds them. Files that lie in no lasting folder go with it.
#[derive(Debug)]
pub(crate) struct Installed {
    folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

impl Installed {
    /// The folder that holds the packages.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether the files stay when this is dropped.
    pub(crate) fn lasts(&self) -> bool {
        self._temporary.is_none()
    }

    /// Puts the files below `cache`, if that can be trusted, else into a new temporary folder.
    pub(crate) fn new(cache: Option<&Path>) -> io::Result<Self> {
        if let Some(folder) = cache.and_then(|cache| lasting(cache).ok()) {
            return Ok(Self { folder, _temporary: None });
        }
        let temporary = private("sluicegate-python-", &std::env::temp_dir())?;
        write_all(temporary.path())?;
        Ok(Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) })
    }
}

fn name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let mut all = Vec::new();
        for (path, contents) in FILES {
            all.extend_from_slice(path.as_bytes());
            all.push(0);
            all.extend_from_slice(&contents.len().to_be_bytes());
            all.extend_from_slice(contents);
        }
        let hash = sha256(&all);
        format!("python-{}", &hash[..32.min(hash.len())])
    })
}

fn lasting(cache: &Path) -> io::Result<PathBuf> {
    if !cache.exists() {
        create_private(cache)?;
    }
    let cache = cache.canonicalize()?;
    check_owned(&cache, Others::MayRead)?;
    let folder = cache.join(name());
    if folder.symlink_metadata().is_ok() {
        return if is_intact(&folder) { Ok(folder) } else { Err(io::ErrorKind::InvalidData.into()) };
    }
    // Filled under another name: who finds the folder finds all of it.
    let half = private(".python-", &cache)?;
    write_all(half.path())?;
    match std::fs::rename(half.path(), &folder) {
        Ok(()) => {
            let _ = half.keep();
            Ok(folder)
        }
        // Another process was faster.
        Err(_) if is_intact(&folder) => Ok(folder),
        Err(error) => Err(error),
    }
}

/// A new folder that nobody else may look into.
fn private(prefix: &str, inside: &Path) -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.prefix(prefix).tempdir_in(inside)
}

fn write_all(folder: &Path) -> io::Result<()> {
    for (path, contents) in FILES {
        let target = folder.join(path);
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(target, contents)?;
    }
    Ok(())
}

/// Whether a folder is ours alone and holds what we put there.
fn is_intact(folder: &Path) -> bool {
    check_owned(folder, Others::MayNothing).is_ok()
        && FILES.iter().all(|(path, contents)| {
            let path = folder.join(path);
            path.symlink_metadata().is_ok_and(|about| about.is_file() && about.len() == contents.len() as u64)
                && std::fs::read(&path).is_ok_and(|found| found == *contents)
        })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    MayRead,
    MayNothing,
}

#[cfg(unix)]
fn create_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(unix)]
fn check_owned(folder: &Path, others: Others) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let about = folder.symlink_metadata()?;
    let forbidden = if others == Others::MayRead { 0o022 } else { 0o077 };
    let ours = about.is_dir() && about.uid() == rustix::process::geteuid().as_raw() && about.mode() & forbidden == 0;
    if ours { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

// A user's folders on Windows are the user's by their place.
#[cfg(not(unix))]
fn create_private(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)
}

#[cfg(not(unix))]
fn check_owned(_folder: &Path, _others: Others) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn check_installed(installed: &Installed) {
        let worker = std::fs::read_to_string(installed.folder().join("sluicegate_worker/worker.py")).expect("there");
        assert!(worker.contains("class Worker"));
    }

    #[test]
    fn files_are_put_in_place_once() {
        let cache = tempfile::tempdir().expect("a folder");
        let inside = cache.path().join("a/b");
        let first = Installed::new(Some(&inside)).expect("installed");
        check_installed(&first);
        let mode = first.folder().metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        std::fs::write(first.folder().join("sluicegate_worker/extra.pyc"), "kept").expect("written");
        let second = Installed::new(Some(&inside)).expect("installed");
        assert_eq!(first.folder(), second.folder());
        assert!(second.folder().join("sluicegate_worker/extra.pyc").exists());
    }

    #[test]
    fn a_folder_that_was_changed_or_that_others_may_write_is_not_used() {
        let cache = tempfile::tempdir().expect("a folder");
        let good = Installed::new(Some(cache.path())).expect("installed").folder().to_owned();
        let file = good.join("sluicegate_worker/worker.py");
        let original = std::fs::read(&file).expect("there");
        std::fs::write(&file, "print('evil')").expect("written");
        let other = Installed::new(Some(cache.path())).expect("installed");
        assert_ne!(other.folder(), good);
        check_installed(&other);
        let temporary = other.folder().to_owned();
        drop(other);
        assert!(!temporary.exists());

        std::fs::write(&file, original).expect("written");
        assert_eq!(Installed::new(Some(cache.path())).expect("installed").folder(), good);
        std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o777)).expect("set");
        assert_ne!(Installed::new(Some(cache.path())).expect("installed").folder(), good);
    }
}
