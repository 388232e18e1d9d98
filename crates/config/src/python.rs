//! Which Python runs the tools of flows, and how.

use std::path::PathBuf;
use std::time::Duration;

use sluicegate_source::Problem;

use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::variables::{PATH, VIRTUAL_ENV};
use crate::{Project, Variables};

/// Which Python runs the tools of flows, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonSettings {
    /// `interpreter`, or SLUICEGATE_PYTHON: a program, or a virtual environment's folder. A name without a slash that is
    /// nothing in the project is to be found on `path`; any other path is absolute if the project's root is.
    pub interpreter: Option<PathBuf>,
    /// The active virtual environment (VIRTUAL_ENV).
    pub virtual_env: Option<PathBuf>,
    /// The folders in which programs are looked for, as one text (PATH).
    pub path: Option<String>,
    /// Whether an installed `promptflow` comes before the one that is built in.
    pub prefer_installed: bool,
    /// Workers for a flow; `None`: as many as there are cores.
    pub workers: Option<usize>,
    /// How long a worker may take until it is ready.
    pub start_timeout: Duration,
}

/// As in the built-in settings, which are always there.
const START_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) fn read(root: &Tree, project: &Project, variables: &Variables) -> Result<PythonSettings, Problem> {
    let empty = Table::new();
    let table = root.get("python").and_then(Tree::as_table).unwrap_or(&empty);
    let reader = Reader::new(table, "python", variables);
    let variable = |name: &str| {
        let found = variables.get_non_empty(name)?.value;
        (!found.trim().is_empty()).then(|| found.to_owned())
    };
    let interpreter = reader.text("interpreter")?.map(|written| {
        let written = written.trim();
        let resolved = project.resolve(written);
        // `python3.12` is a program on the path; `.venv` and `venv` may be folders of the project.
        let is_name = !written.starts_with('.') && !written.contains(['/', '\\']);
        if is_name && !resolved.exists() { PathBuf::from(written) } else { resolved }
    });
    Ok(PythonSettings {
        interpreter,
        virtual_env: variable(VIRTUAL_ENV).map(PathBuf::from),
        path: variable(PATH),
        prefer_installed: reader.flag("prefer_installed")?.unwrap_or(false),
        workers: reader.whole_number("workers", 1, "a whole number of at least 1")?,
        start_timeout: reader.wait("start_timeout")?.unwrap_or(START_TIMEOUT),
    })
}
