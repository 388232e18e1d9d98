//! What Python nodes need of files and settings, joined: where their folders are, which connections there are, which
//! prompties and flows their code asks for.
//!
//! ```text
//! Environment ─► Settings ─► Pools ─┐
//!             └► Door: World ───────┴─► PythonSide (executor) ─► Engine
//!                  ├ masks    what became known to be secret on the way is hidden too
//!                  ├ models   connections that code names or describes
//!                  ├ folders  flows merged with what they include
//!                  └ asked    prompties and flows
//! ```

mod asked;
mod folders;
mod images;
mod masks;
mod models;
mod program;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use sluicegate_config::{Environment, Project};
use sluicegate_executor::python::PythonSide;
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_python::{Pools, Search, Settings, ShimMemory};

pub(crate) use images::{ImageFiles, name_of_image};
pub(crate) use masks::Masks;
pub(crate) use models::AllModels;
pub(crate) use program::program_variables;

use crate::error::CliError;
use crate::terminal::{Printer, harmless};
use world::Door;

/// What runs the Python nodes of a flow. Nothing is started yet.
pub(crate) fn python_side(
    environment: &Environment,
    printer: &Printer,
    masks: &Masks,
    models: &Arc<AllModels>,
) -> Result<Arc<PythonSide>, CliError> {
    let pools = Pools::new(settings(environment, printer)?);
    let door = Door::new(environment.clone(), masks.clone(), models.clone());
    Ok(Arc::new(PythonSide::new(pools, Arc::new(door))))
}

/// Whether a plan, or one inside it, has Python nodes.
pub(crate) fn has_python(plan: &Plan) -> bool {
    plan.nodes.iter().any(|node| match &node.kind {
        NodeKind::Python(_) => true,
        kind => kind.inner().is_some_and(|inner| has_python(inner)),
    })
}

/// How Python is started.
pub(crate) fn settings(environment: &Environment, printer: &Printer) -> Result<Settings, CliError> {
    let python = environment.python().map_err(|problem| CliError::Problems(vec![problem]))?;
    let cache = cache_folder(environment);
    let variable = |name: &str| environment.variable(name).map(|found| found.value.to_owned());
    let printer = printer.clone();
    Ok(Settings {
        search: Search {
            configured: python.interpreter,
            virtual_env: python.virtual_env,
            path: python.path.map(Into::into),
        },
        shims: cache
            .clone()
            .map(|folder| ShimMemory { folder, pyenv_version: variable("PYENV_VERSION").map(Into::into) }),
        cache,
        prefer_installed: python.prefer_installed,
        size: python.workers,
        start_timeout: python.start_timeout,
        listener: Some(Arc::new(move |line: &str| {
            printer.say(&printer.painter().dim(&harmless(&format!("python: {line}"))));
        })),
        ..Settings::default()
    })
}

/// The user's folder for what can be made again: the worker's Python files and what Python compiles of them.
fn cache_folder(environment: &Environment) -> Option<PathBuf> {
    let folder = |name: &str| {
        let found = environment.variable(name)?.value.trim();
        Some(PathBuf::from(found)).filter(|path| path.is_absolute())
    };
    let home = || folder("HOME");
    let base = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| home().map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("sluicegate"))
}

/// A path below the project's root as the compiler reads it: names with `/` between them; `None`: it lies elsewhere.
fn below(project: &Project, path: &std::path::Path) -> Option<String> {
    let root = project.root.canonicalize().unwrap_or_else(|_| project.root.clone());
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let inside = path.strip_prefix(&root).ok()?;
    let names: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    Some(if names.is_empty() { ".".to_owned() } else { names.join("/") })
}
