//! A file that does not exist yet.

use std::io;
use std::path::{Path, PathBuf};

/// What is put behind the name of a file that exists.
const BESIDE: &str = ".sluicegate";

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Below the project, `/` between names.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Why, in a line.
    pub(crate) about: String,
    /// What a person is shown of it: what is new. The rest stands in a file of theirs, and may hold secrets.
    pub(crate) shown: String,
}

/// What became of a draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is there now, at this path below the project.
    At(String),
    /// Something with the same text was there already.
    Already(String),
}

impl Draft {
    /// Where it would be written: at its path, or beside what exists there.
    pub(crate) fn place(&self, project: &Path) -> String {
        if is_there(&project.join(&self.path)) { format!("{}{BESIDE}", self.path) } else { self.path.clone() }
    }

    /// Writes it, and overwrites nothing: what exists keeps its content, and the draft comes beside it.
    pub(crate) fn write(&self, project: &Path) -> io::Result<Written> {
        for name in [self.path.clone(), format!("{}{BESIDE}", self.path)] {
            let path = project.join(&name);
            if !is_there(&path) {
                make_folder(project, &path)?;
                // Another process may have been faster: then nothing is lost.
                let mut file = std::fs::File::options().write(true).create_new(true).open(&path)?;
                io::Write::write_all(&mut file, self.text.as_bytes())?;
                return Ok(Written::At(name));
            }
            if std::fs::read(&path).is_ok_and(|text| text == self.text.as_bytes()) {
                return Ok(Written::Already(name));
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("`{}{BESIDE}` exists too, with another content: remove it first", self.path),
        ))
    }
}

/// A link that leads nowhere is there too: writing would follow it.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Makes the folders on the way, none of them outside of the project.
fn make_folder(project: &Path, path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder)?;
    let (inside, root): (PathBuf, PathBuf) = (folder.canonicalize()?, project.canonicalize()?);
    if inside.starts_with(&root) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("`{}` lies outside of the project", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(text: &str) -> Draft {
        let path = "config/config.yaml".to_owned();
        Draft { path, text: text.to_owned(), about: String::new(), shown: String::new() }
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(draft("one").write(folder.path()).unwrap(), Written::At("config/config.yaml".into()));
        assert_eq!(draft("one").write(folder.path()).unwrap(), Written::Already("config/config.yaml".into()));
        assert_eq!(draft("two").write(folder.path()).unwrap(), Written::At("config/config.yaml.sluicegate".into()));
        assert_eq!(
            draft("two").write(folder.path()).unwrap(),
            Written::Already("config/config.yaml.sluicegate".into())
        );
        assert!(draft("three").write(folder.path()).is_err());
        assert_eq!((read("config/config.yaml"), read("config/config.yaml.sluicegate")), ("one".into(), "two".into()));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_project_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (project, outside) = (folder.path().join("project"), folder.path().join("outside"));
        std::fs::create_dir_all(&project).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, project.join("config")).unwrap();
        assert!(draft("one").write(&project).is_err());
        assert!(!outside.join("config.yaml").exists());
        std::os::unix::fs::symlink(outside.join("nothing"), project.join("link.yaml")).unwrap();
        let draft = Draft { path: "link.yaml".into(), ..draft("one") };
        assert_eq!(draft.write(&project).unwrap(), Written::At("link.yaml.sluicegate".into()));
        assert!(!outside.join("nothing").exists());
    }
}
