//! A flow's own view of the files: its folder, and what `additional_includes` puts there (spec: promptflow.md §1.14).
//!
//! Nothing is copied: a path that an include provides leads to the original, so places are those of the original.

use std::collections::BTreeMap;

use sluicegate_source::Problem;
use sluicegate_value::hash;

use super::session::{Asked, Session};
use crate::file::Written;
use crate::files::{FileError, FileKind, file_name, join, parent};

/// What a flow sees.
#[derive(Default)]
pub(super) struct Folder {
    /// The folder of the flow's file.
    path: String,
    /// Included files and folders: the name in the flow's folder, and where it really is.
    included: BTreeMap<String, String>,
    /// What was read so far, for the hash: a name and what stands for the content.
    read: BTreeMap<String, String>,
}

impl Folder {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Where a path that the flow's author wrote really is; `None` for an absolute one.
    pub(super) fn locate(&self, written: &str) -> Option<String> {
        let local = join(&self.path, written)?;
        let inside = if self.path.is_empty() {
            Some(&*local)
        } else {
            local.strip_prefix(&self.path).and_then(|rest| rest.strip_prefix('/'))
        };
        let Some(inside) = inside else { return Some(local) };
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
}

impl Session<'_> {
    /// Adds the includes of a flow to its view.
    pub(super) fn include(
        &mut self,
        folder: &mut Folder,
        includes: &[Written],
        file: &std::sync::Arc<sluicegate_source::SourceFile>,
    ) {
        for include in includes {
            let asked = Asked { file, at: include.at };
            let Some(original) = join(&folder.path, include.text.trim()) else {
                let error = FileError::Outside(include.text.to_string());
                let problem = self.file_problem(&error, &include.text);
                self.report(problem.in_file(asked.file).at(asked.at, ""));
                continue;
            };
            if self.files.kind(&original) == FileKind::Missing {
                let error = match self.files.read(&original) {
                    Err(error @ FileError::Outside(_)) => error,
                    _ => FileError::Missing(original.clone()),
                };
                let mut problem = self.file_problem(&error, &original);
                if self.files.kind(&format!("{original}.zip")) == FileKind::File {
                    problem = problem.help(format!("unpack `{original}.zip`: archives are not included"));
                }
                self.report(problem.in_file(asked.file).at(asked.at, ""));
                continue;
            }
            let name = file_name(&original).to_owned();
            let local = join(&folder.path, &name).unwrap_or_default();
            if parent(&original) == folder.path {
                continue; // It stands there already.
            }
            if self.files.kind(&local) != FileKind::Missing || folder.included.contains_key(&name) {
                let problem = Problem::warning(
                    "flow::include_hidden",
                    format!("`{original}` is not included: the flow has a `{name}` of its own"),
                );
                self.report(problem.in_file(asked.file).at(asked.at, ""));
                continue;
            }
            folder.included.insert(name, original);
        }
    }
}
