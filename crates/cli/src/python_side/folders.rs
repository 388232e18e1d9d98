//! Where a flow's Python code runs: in the flow's folder, or in a copy of it with what it includes beside it
//! (spec: promptflow.md §1.14).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sluicegate_executor::python::Place;
use sluicegate_flow::plan::Plan;
use sluicegate_source::Problem;
use sluicegate_value::{Value, python};
use tempfile::TempDir;

/// Folders that no tool of a flow reads, and that may be large.
const LEFT_OUT: [&str; 7] = [".git", ".sluicegate", ".promptflow", ".runs", "__pycache__", ".venv", "node_modules"];

/// The folders that were merged. They go with this.
#[derive(Default)]
pub(super) struct Folders {
    merged: Mutex<Vec<Merged>>,
}

struct Merged {
    copy: TempDir,
    /// Where what is in it comes from: a path below the project's root, and where that is now.
    moved: Vec<(String, PathBuf)>,
}

impl Folders {
    /// Where a plan's Python code runs.
    pub(super) fn place(&self, plan: &Plan, root: &Path) -> Result<Place, Problem> {
        let variables = plan.environment_variables.iter().map(|(name, value)| {
            let text = match value {
                Value::Str(text) => text.to_string(),
                other => python::str(other),
            };
            (name.to_string(), text)
        });
        let flow = root.join(&*plan.folder);
        let mut place =
            Place { folder: flow.clone(), variables: variables.collect(), root: root.to_owned(), moved: Vec::new() };
        if plan.includes.is_empty() {
            return Ok(place);
        }
        let failed = |error: io::Error| {
            let message = format!("flow `{}` cannot be merged with what it includes: {error}", plan.name);
            Problem::error("python::includes", message)
        };
        let copy = tempfile::Builder::new().prefix("sluicegate-flow-").tempdir().map_err(failed)?;
        copy_into(&flow, copy.path()).map_err(failed)?;
        let mut moved = Vec::new();
        for include in &plan.includes {
            let target = copy.path().join(&*include.target);
            copy_into(&root.join(&*include.source), &target).map_err(failed)?;
            moved.push((include.source.to_string(), target));
        }
        let folder = copy.path().canonicalize().map_err(failed)?;
        for (_, target) in &mut moved {
            *target = folder.join(target.strip_prefix(copy.path()).unwrap_or(target));
        }
        moved.push((plan.folder.to_string(), folder.clone()));
        place.folder = folder;
        place.moved.clone_from(&moved);
        self.merged.lock().unwrap_or_else(PoisonError::into_inner).push(Merged { copy, moved });
        Ok(place)
    }

    /// Where a path of a tool's own comes from, if it leads into a merged folder: its place below the project's root.
    pub(super) fn origin(&self, path: &Path) -> Option<String> {
        let merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = merged.iter().find(|merged| {
            path.starts_with(merged.copy.path())
                || merged.copy.path().canonicalize().is_ok_and(|real| path.starts_with(real))
        })?;
        merged.moved.iter().find_map(|(from, to)| {
            let inside = path.strip_prefix(to).ok()?;
            let names: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            Some(if names.is_empty() { from.clone() } else { format!("{from}/{}", names.join("/")) })
        })
    }
}

/// Copies a file, or what is in a folder. What is there already stays: a flow's own comes first.
fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return if to.exists() { Ok(()) } else { fs::copy(from, to).map(|_| ()) };
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.path().is_dir() && LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        copy_into(&entry.path(), &to.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_flow_has_comes_first_and_folders_of_one_name_become_one() {
        let project = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = project.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, text).expect("written");
        };
        write("flow/own.py", "own");
        write("flow/lib/a.py", "flow's");
        write("flow/__pycache__/x", "");
        write("shared/lib/a.py", "shared");
        write("shared/lib/b.py", "shared");
        let copy = tempfile::tempdir().expect("a folder");
        copy_into(&project.path().join("flow"), copy.path()).expect("copied");
        copy_into(&project.path().join("shared/lib"), &copy.path().join("lib")).expect("copied");
        let read = |path: &str| fs::read_to_string(copy.path().join(path)).ok();
        assert_eq!(read("own.py").as_deref(), Some("own"));
        assert_eq!(read("lib/a.py").as_deref(), Some("flow's"));
        assert_eq!(read("lib/b.py").as_deref(), Some("shared"));
        assert_eq!(read("__pycache__/x"), None);
    }
}
