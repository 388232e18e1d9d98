//! What git knows of the project: the commit, and where this branch left the main one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The git working tree around a project; without one, or without git, nothing is known.
pub(crate) struct Git {
    root: PathBuf,
}

impl Git {
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The commit that is checked out, if no file that git knows differs from it.
    pub(crate) fn clean_commit(&self) -> Option<String> {
        let commit = self.ask(&["rev-parse", "HEAD"])?;
        self.ask(&["diff", "--quiet", "HEAD"])?;
        Some(commit)
    }

    /// The commit at which this branch left the main one.
    pub(crate) fn merge_base(&self, base_branch: Option<&str>) -> Option<String> {
        let named = base_branch.map(|name| format!("origin/{name}"));
        let branches =
            named.as_deref().into_iter().chain(["origin/HEAD", "origin/main", "origin/master", "main", "master"]);
        branches.into_iter().find_map(|branch| self.ask(&["merge-base", "HEAD", branch]))
    }

    /// The commit that a name means.
    pub(crate) fn commit(&self, name: &str) -> Option<String> {
        // A name that begins so would be an option.
        if name.starts_with('-') {
            return None;
        }
        self.ask(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])
    }

    /// Whether git knows this folder.
    pub(crate) fn is_here(&self) -> bool {
        self.ask(&["rev-parse", "--is-inside-work-tree"]).as_deref() == Some("true")
    }

    /// Whether only the newest part of the history is here.
    pub(crate) fn is_shallow(&self) -> bool {
        self.ask(&["rev-parse", "--is-shallow-repository"]).as_deref() == Some("true")
    }

    /// The commit at which this branch left another.
    pub(crate) fn merge_base_with(&self, commit: &str) -> Option<String> {
        self.ask(&["merge-base", "HEAD", commit])
    }

    /// The files, absolute, in which the working tree differs from a commit: committed or not, new ones, and those that
    /// are gone. `None` if git does not say.
    pub(crate) fn changed_since(&self, commit: &str) -> Option<Vec<PathBuf>> {
        let top = PathBuf::from(self.ask(&["rev-parse", "--show-toplevel"])?);
        let top = top.canonicalize().unwrap_or(top);
        let all = Self::at(&top);
        let differing =
            all.ask(&["diff", "--name-only", "--no-renames", "--no-ext-diff", "--no-relative", "-z", commit])?;
        let new = all.ask(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let names = differing.split('\0').chain(new.split('\0')).filter(|name| !name.is_empty());
        Some(names.map(|name| top.join(name)).collect())
    }

    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.root).args(arguments).stdin(Stdio::null());
        let output = git.output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    }
}
