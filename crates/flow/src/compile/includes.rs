//! A flow's own view of the files: its folder, and what `additional_includes` puts there (spec: promptflow.md §1.14).
//!
//! Nothing is copied: a path that an include provides leads to the original, so places are those of the original. What
//! Python files need on disk is the plan's list of includes, for whoever makes a folder for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::hash;

use super::session::{Asked, Session};
use crate::file::Written;
use crate::files::{FileError, FileKind, Files, file_name, join, parent};
use crate::plan::Include;

/// The most files of a folder that is merged into one of the flow's own; a clash among more is not looked for.
const MOST_MERGED: usize = 10_000;

/// What a flow sees.
#[derive(Default)]
pub(super) struct Folder {
    /// The folder of the flow's file.
    path: String,
    /// Included files and folders: the path in the flow's folder, and where it really is. The files of a folder that is
    /// merged into another have an entry each.
    included: BTreeMap<String, String>,
    /// The same for whoever makes it on disk, folders as a whole.
    includes: Vec<Include>,
    /// What was read so far, for the hash: a name and what stands for the content.
    read: BTreeMap<String, String>,
}

impl Folder {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What was included, in the order of the file.
    pub(super) fn includes(&self) -> Vec<Include> {
        self.includes.clone()
    }

    /// Where a path that the flow's author wrote really is; `None` for an absolute one.
    pub(super) fn locate(&self, written: &str) -> Option<String> {
        let local = join(&self.path, written)?;
        let Some(inside) = inside(&self.path, &local) else { return Some(local) };
        if let Some(original) = self.included.get(inside) {
            return Some(original.clone());
        }
        let (first, rest) = inside.split_once('/').unwrap_or((inside, ""));
        match self.included.get(first) {
            Some(original) => join(original, rest),
            None => Some(local),
        }
    }

    /// Notes a file for the hash, under its path from the flow's folder.
    pub(super) fn note(&mut self, path: &str, content: &str) {
        let name = path.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
        self.read.insert(name.to_owned(), content.to_owned());
    }

    /// SHA-256 over names and contents of all that was noted, in lower-case hex.
    pub(super) fn hash(&self) -> String {
        hash::sha256_of_parts(self.read.iter().flat_map(|(name, content)| [name, content]))
    }

    /// Where a name in the flow's folder leads, if there is something of that name already.
    fn taken(&self, files: &dyn Files, name: &str) -> Option<String> {
        let local = join(&self.path, name)?;
        let stands_there = files.kind(&local) != FileKind::Missing;
        if stands_there { Some(local) } else { self.included.get(name).cloned() }
    }

    /// Adds what a folder holds to one of the same name that the flow sees already. Returns a file that both have, and
    /// how many there are; the flow's own one stays.
    fn merge(&mut self, files: &dyn Files, original: &str, name: &str) -> Option<(String, usize)> {
        let mut clashes: Option<(String, usize)> = None;
        let mut looked_at = 0;
        let mut folders = vec![(original.to_owned(), name.to_owned())];
        while let Some((from, to)) = folders.pop() {
            for entry in files.list(&from).unwrap_or_default() {
                let (source, target) = (format!("{from}/{entry}"), format!("{to}/{entry}"));
                looked_at += 1;
                if looked_at > MOST_MERGED {
                    return clashes;
                }
                if files.kind(&source) == FileKind::Folder {
                    folders.push((source, target));
                    continue;
                }
                let visible = self.locate(&target).is_some_and(|place| files.kind(&place) != FileKind::Missing);
                if visible {
                    clashes = Some(clashes.map_or((target, 1), |(first, count)| (first, count + 1)));
                } else {
                    self.included.insert(target, source);
                }
            }
        }
        clashes
    }
}

/// A path inside of a folder, from there.
fn inside<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

impl Session<'_> {
    /// Adds the includes of a flow to its view. `base` is the folder from which their paths count.
    pub(super) fn include(&mut self, folder: &mut Folder, base: &str, includes: &[Written], file: &Arc<SourceFile>) {
        for include in includes {
            let asked = Asked { file, at: include.at };
            if let Some(problem) = self.include_one(folder, base, &include.text) {
                self.report(problem.in_file(asked.file).at(asked.at, ""));
            }
        }
    }

    fn include_one(&self, folder: &mut Folder, base: &str, written: &str) -> Option<Problem> {
        let Some(original) = join(base, written.trim()) else {
            return Some(self.file_problem(&FileError::Outside(written.to_owned()), written));
        };
        if self.files.kind(&original) == FileKind::Missing {
            return Some(self.missing_include(&original));
        }
        let name = file_name(&original);
        if name.is_empty() {
            let message = "the whole project cannot be included: it has no name in the flow's folder";
            return Some(
                Problem::error("flow::include_root", message).help("include the files or folders that it needs"),
            );
        }
        if parent(&original) == folder.path {
            return None; // It stands there already.
        }
        let include = Include { source: original.as_str().into(), target: name.into() };
        let Some(there) = folder.taken(self.files, name) else {
            folder.included.insert(name.to_owned(), original.clone());
            folder.includes.push(include);
            return None;
        };
        if [&there, &original].iter().any(|path| self.files.kind(path) != FileKind::Folder) {
            let message = format!("`{original}` is not included: the flow has a `{name}` of its own");
            return Some(Problem::warning("flow::include_hidden", message));
        }
        folder.includes.push(include);
        let (first, count) = folder.merge(self.files, &original, name)?;
        let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
        let message = format!("`{first}`{more} of `{original}` is not included: the flow has its own");
        Some(Problem::warning("flow::include_hidden", message))
    }

    fn missing_include(&self, original: &str) -> Problem {
        let error = match self.files.read(original) {
            Err(error @ FileError::Outside(_)) => error,
            _ => FileError::Missing(original.to_owned()),
        };
        if let Some(folder) = original.strip_suffix(".zip")
            && self.files.kind(folder) == FileKind::Folder
        {
            let message = format!("`{original}` is not there, and folder `{folder}` is not packed for it");
            return Problem::error("flow::include_archive", message)
                .help(format!("include `{folder}` itself, or pack it once and keep the archive"));
        }
        let problem = self.file_problem(&error, original);
        if self.files.kind(&format!("{original}.zip")) == FileKind::File {
            return problem.help(format!("unpack `{original}.zip`: archives are not included"));
        }
        problem
    }
}
