//! The files of a project, without what tools and package managers keep there.

use std::path::{Path, PathBuf};

/// Nobody's project; a wrong folder such as `/` should end soon.
const MOST_ENTRIES: usize = 100_000;
const DEEPEST: usize = 40;

/// Folders that hold nothing of an author's.
const SKIPPED: &[&str] = &["__pycache__", "node_modules", "site-packages", "target", "venv"];
/// Hidden folders that do: where pipelines stand.
const HIDDEN: &[&str] = &[".github", ".azure-pipelines", ".azuredevops", ".pipelines", ".jenkins"];

/// What was found below a folder.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Paths below the root, `/` between names, sorted.
    pub(crate) files: Vec<String>,
    /// What could not be looked at, or was not.
    pub(crate) notes: Vec<String>,
}

impl Walk {
    /// Everything below `root`. Links to folders are not followed, so that no loop can be walked in.
    pub(crate) fn of(root: &Path) -> Self {
        let mut walk = Self::default();
        let mut folders: Vec<(PathBuf, String, usize)> = vec![(root.to_owned(), String::new(), 0)];
        let mut entries = 0;
        while let Some((folder, below, depth)) = folders.pop() {
            let shown = if below.is_empty() { "." } else { below.as_str() };
            let listed = match std::fs::read_dir(&folder) {
                Ok(listed) => listed,
                Err(error) => {
                    walk.notes.push(format!("folder `{shown}` cannot be read: {error}"));
                    continue;
                }
            };
            for entry in listed {
                entries += 1;
                if entries > MOST_ENTRIES {
                    walk.notes
                        .push(format!("the folder holds more than {MOST_ENTRIES} files: the rest was not looked at"));
                    folders.clear();
                    break;
                }
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(error) => {
                        walk.notes.push(format!("an entry of `{shown}` cannot be read: {error}"));
                        continue;
                    }
                };
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    walk.notes.push(format!("a name in `{shown}` is no text: {}", entry.file_name().to_string_lossy()));
                    continue;
                };
                let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_symlink() {
                    walk.link(root, &entry.path(), path);
                } else if kind.is_dir() {
                    match is_of_tools(&entry.path(), &name) {
                        true => {}
                        false if depth >= DEEPEST => walk.notes.push(format!("`{path}` lies too deep: not looked at")),
                        false => folders.push((entry.path(), path, depth + 1)),
                    }
                } else if kind.is_file() {
                    walk.files.push(path);
                }
            }
        }
        walk.files.sort();
        walk
    }

    /// A link to a file of the project is as good as the file.
    fn link(&mut self, root: &Path, link: &Path, path: String) {
        match link.canonicalize() {
            Ok(target) if target.is_file() && target.starts_with(root) => self.files.push(path),
            Ok(target) if target.is_dir() => self.notes.push(format!("`{path}` is a link to a folder: not followed")),
            Ok(_) => self.notes.push(format!("`{path}` is a link out of the project: not followed")),
            Err(_) => self.notes.push(format!("`{path}` is a link that leads nowhere")),
        }
    }
}

fn is_of_tools(folder: &Path, name: &str) -> bool {
    SKIPPED.contains(&name)
        || (name.starts_with('.') && !HIDDEN.contains(&name))
        || folder.join("pyvenv.cfg").is_file()
        // A run folder holds a copy of a flow.
        || (folder.join("flow_artifacts").is_dir() && folder.join("snapshot").is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_keep_is_not_the_authors() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let kept = [".github/workflows/a.yml", "b/flow.dag.yaml", "c.py"];
        let skipped = [
            ".git/config",
            ".venv/flow.dag.yaml",
            "my_env/pyvenv.cfg",
            "my_env/lib/flow.dag.yaml",
            "node_modules/x/flow.dag.yaml",
            "b/.promptflow/flow.tools.json",
            "b/__pycache__/x.pyc",
        ];
        kept.into_iter().chain(skipped).for_each(write);
        assert_eq!(Walk::of(folder.path()).files, kept);
    }

    #[cfg(unix)]
    #[test]
    fn loops_of_links_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a/flow.dag.yaml"), "").unwrap();
        std::os::unix::fs::symlink(&root, root.join("a/up")).unwrap();
        std::os::unix::fs::symlink(root.join("a/self"), root.join("a/self")).unwrap();
        std::os::unix::fs::symlink(root.join("a/flow.dag.yaml"), root.join("same.yaml")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.join("out")).unwrap();
        let walk = Walk::of(&root);
        assert_eq!(walk.files, ["a/flow.dag.yaml", "same.yaml"]);
        assert_eq!(walk.notes.len(), 3, "{:?}", walk.notes);
    }

    #[test]
    fn hundreds_of_folders_are_walked() {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..400 {
            let inside = folder.path().join(format!("f{index}/a/b"));
            std::fs::create_dir_all(&inside).unwrap();
            std::fs::write(inside.join("flow.dag.yaml"), "").unwrap();
        }
        assert_eq!(Walk::of(folder.path()).files.len(), 400);
    }
}
