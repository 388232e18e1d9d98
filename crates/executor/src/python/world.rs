//! What Python nodes need of files and settings: a trait, since the executor knows neither.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_model::ConnectionName;
use sluicegate_python::ConnectionObject;
use sluicegate_source::Problem;
use sluicegate_value::Map;

/// What Python nodes need of files and settings. Everything here may read files; nothing asks the network.
pub trait World: Send + Sync {
    /// Where a plan's Python code runs.
    ///
    /// # Errors
    /// The folder cannot be made, or a variable cannot be looked up: what is wrong.
    fn place(&self, plan: &Plan) -> Result<Place, Problem>;

    /// A connection with its secrets, for a tool that takes one.
    ///
    /// # Errors
    /// There is none of that name, or its settings cannot be read.
    fn connection(&self, name: &str) -> Result<ConnectionObject, NoConnection>;

    /// All connections that can be told.
    fn connections(&self) -> Vec<ConnectionObject>;

    /// Makes a connection known that user code describes in full, as `{"type", "configs", "secrets", "name"?}`, so that
    /// models can be asked by the name that comes back. With `keeps`, it is found under its own name from now on. What is
    /// secret in it is masked from now on.
    ///
    /// # Errors
    /// What is wrong with it.
    fn add_connection(&self, told: &Map, keeps: bool) -> Result<ConnectionName, String>;

    /// A file's bytes.
    ///
    /// # Errors
    /// The operating system's words.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;

    /// Code has printed something while its file was loaded.
    fn said(&self, _text: &str) {}

    /// A prompty as user code asks for it: bound, and its connection known to models.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn prompty(&self, path: &Path, overrides: &Map) -> Result<Arc<PromptyFile>, Asked>;

    /// A flow as user code asks for it. The same question gives the same plan.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    fn flow(&self, asked: &FlowAsked) -> Result<BoundPlan, Asked>;
}

/// Where a plan's Python code runs.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The working directory, and the first entry of the import path.
    pub folder: PathBuf,
    /// What is added to the process environment.
    pub variables: Vec<(String, String)>,
    /// Where the project's root is: paths of a plan's files count from there.
    pub root: PathBuf,
    /// Files and folders of the project, by their paths below its root, that stand elsewhere for this plan: the flow's own
    /// folder and what it includes, where they are merged.
    pub moved: Vec<(String, PathBuf)>,
}

impl Place {
    /// Where a file of the plan is.
    #[must_use]
    pub fn locate(&self, name: &str) -> PathBuf {
        let moved = self.moved.iter().find_map(|(from, to)| {
            let rest = name.strip_prefix(from.as_str())?;
            match rest.strip_prefix('/') {
                Some(inside) => Some(to.join(inside)),
                None if rest.is_empty() => Some(to.clone()),
                None if from.is_empty() => Some(to.join(rest)),
                None => None,
            }
        });
        moved.unwrap_or_else(|| self.root.join(name))
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConnection {
    /// None has that name.
    Unknown {
        /// The names that there are.
        known: Vec<String>,
    },
    /// Its settings cannot be read.
    Broken {
        /// What is wrong with them.
        message: String,
    },
}

/// Why what user code asked for cannot be had.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The original's exception: `UserErrorException`, `TypeError`, `InvalidConnectionError`.
    pub class: &'static str,
    /// What is wrong.
    pub message: String,
}

/// A flow that user code asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowAsked {
    /// Its folder or file.
    pub path: PathBuf,
    /// `module:name` in that folder, for a function or class without a flow file.
    pub entry: Option<String>,
    /// `${node.variant}`.
    pub variant: Option<String>,
    /// The one node that is meant.
    pub node: Option<String>,
    /// What nodes ask instead: `{node: {connection, deployment_name}}`, or `{name: connection}`.
    pub connections: Map,
    /// Values that replace written ones: `{"nodes.n.inputs.x": value}`.
    pub overrides: Map,
    /// What is added to the process environment.
    pub variables: Map,
    /// What a class is made with.
    pub init: Map,
}
