//! Python nodes in tests: flows in a folder, a real Python, a world of files and nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use sluicegate_executor::python::{Asked, FlowAsked, NoConnection, Place, PythonSide, World};
use sluicegate_executor::{Engine, NewRun, RunReport, Start};
use sluicegate_flow::bind::{self, Bindings, BoundPlan};
use sluicegate_flow::compile::{CompileOptions, compile};
use sluicegate_flow::files::DiskFiles;
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_model::ConnectionName;
use sluicegate_python::{ConnectionObject, Pools, Search, Settings};
use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use crate::support::*;

/// The Python of this machine; a version manager's shim is resolved once.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        #[expect(clippy::disallowed_methods, reason = "tests need a real Python, wherever this machine has it")]
        let path = std::env::var_os("PATH");
        let found = Search { path, ..Search::default() }.find().expect("these tests need a Python on PATH");
        let said =
            Command::new(found.program).args(["-c", "import sys; print(sys.executable)"]).output().expect("it runs");
        PathBuf::from(String::from_utf8(said.stdout).expect("text").trim())
    })
}

/// Pools whose workers' files are compiled once for all tests.
pub(crate) fn pools(size: usize) -> Pools {
    let search = Search { configured: Some(python().to_owned()), ..Search::default() };
    let cache = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python-cache"));
    Pools::new(Settings { search, cache, size: Some(size), ..Settings::default() })
}

/// The files below a folder, and connections.
pub(crate) struct Disk {
    pub(crate) root: PathBuf,
    pub(crate) connections: Mutex<HashMap<String, ConnectionObject>>,
}

impl Disk {
    pub(crate) fn bound(&self, target: &str) -> Result<BoundPlan, Vec<Problem>> {
        let compiled = compile(&DiskFiles::new(&self.root), target, &CompileOptions::default());
        let Some(plan) = compiled.plan else { return Err(compiled.problems) };
        let lookup = |_: &str| None;
        bind::bind(&plan, &Bindings { connection_name: Some("fake".into()), ..Bindings::new(&lookup) })
    }

    fn target(&self, path: &Path) -> String {
        let root = self.root.canonicalize().expect("the folder is there");
        let path = path.canonicalize().expect("the file is there");
        path.strip_prefix(root).expect("it lies below").to_string_lossy().into_owned()
    }
}

impl World for Disk {
    fn place(&self, plan: &Plan) -> Result<Place, Problem> {
        let text = |value: &Value| sluicegate_value::python::str(value);
        Ok(Place {
            folder: self.root.join(&*plan.folder),
            variables: plan.environment_variables.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            root: self.root.clone(),
            moved: Vec::new(),
        })
    }

    fn connection(&self, name: &str) -> Result<ConnectionObject, NoConnection> {
        let connections = self.connections.lock().expect("not poisoned");
        let known = || connections.keys().cloned().collect();
        connections.get(name).cloned().ok_or_else(|| NoConnection::Unknown { known: known() })
    }

    fn connections(&self) -> Vec<ConnectionObject> {
        self.connections.lock().expect("not poisoned").values().cloned().collect()
    }

    fn add_connection(&self, _: &Map, _: bool) -> Result<ConnectionName, String> {
        Ok("fake".into())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| error.to_string())
    }

    fn prompty(&self, path: &Path, _: &Map) -> Result<Arc<PromptyFile>, Asked> {
        let bound = self.bound(&self.target(path)).map_err(|problems| refused(&problems))?;
        let prompty = bound.plan().nodes.iter().find_map(|node| match &node.kind {
            NodeKind::Prompty(prompty) => Some(prompty.clone()),
            _ => None,
        });
        prompty.ok_or_else(|| refused(&[]))
    }

    fn flow(&self, asked: &FlowAsked) -> Result<BoundPlan, Asked> {
        self.bound(&self.target(&asked.path)).map_err(|problems| refused(&problems))
    }
}

fn refused(problems: &[Problem]) -> Asked {
    let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Asked { class: "UserErrorException", message }
}

/// A folder of flows, and what runs them.
pub(crate) struct Flows {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) disk: Arc<Disk>,
    pub(crate) side: Arc<PythonSide>,
    pub(crate) model: Arc<FakeModel>,
    pub(crate) journal: Arc<MemoryJournal>,
}

impl Flows {
    /// These files, and a pool of one for each flow.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::sized(files, 1)
    }

    pub(crate) fn sized(files: &[(&str, &str)], workers: usize) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let disk = Arc::new(Disk { root: folder.path().to_owned(), connections: Mutex::default() });
        let side = Arc::new(PythonSide::new(pools(workers), disk.clone()));
        Self { folder, disk, side, model: FakeModel::echo(), journal: Arc::default() }
    }

    /// One flow in the folder itself, of `flow.dag.yaml` and files that begin with the usual import.
    pub(crate) fn one(yaml: &str, tools: &[(&str, &str)]) -> Self {
        let tools: Vec<(&str, String)> = tools
            .iter()
            .map(|(name, text)| (*name, format!("from promptflow.core import tool, log_metric\n{text}\n")))
            .collect();
        let files: Vec<(&str, &str)> = [("flow.dag.yaml", yaml)]
            .into_iter()
            .chain(tools.iter().map(|(name, text)| (*name, text.as_str())))
            .collect();
        Self::new(&files)
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine { python: Some(self.side.clone()), ..engine(&self.model, &self.journal) }
    }

    pub(crate) async fn try_plan(&self, target: &str) -> Result<BoundPlan, Vec<Problem>> {
        let bound = self.disk.bound(target)?;
        sluicegate_executor::python::load_tools(&self.side, &bound).await
    }

    pub(crate) async fn plan(&self, target: &str) -> BoundPlan {
        self.try_plan(target).await.unwrap_or_else(|problems| panic!("{problems:#?}"))
    }

    /// Runs the flow in the folder itself.
    pub(crate) async fn run(&self, given: &str) -> RunReport {
        let plan = self.plan(".").await;
        run_with(&self.engine(), &plan, given).await
    }

    /// Goes on with what the journal has.
    pub(crate) async fn resume(&self) -> RunReport {
        let plan = self.plan(".").await;
        let past = self.journal.events();
        sluicegate_executor::run(&self.engine(), &plan, Start::Resume { past }, std::future::pending()).await
    }
}

/// Runs a plan on inputs as they are.
pub(crate) async fn run_on(engine: &Engine, plan: &BoundPlan, inputs: Map) -> RunReport {
    sluicegate_executor::run(engine, plan, Start::New(NewRun::of(inputs)), std::future::pending()).await
}
