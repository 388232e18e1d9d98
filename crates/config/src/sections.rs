//! Which sections of `flow_configs` belong to a flow: `<flow>`, and `<flow>_<environment>`.
//!
//! Both halves may have underscores, so that a name is only split where a known flow ends.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Project;
use crate::layers::{Table, Tree};

/// The flows of a project and their sections.
pub(crate) struct Sections<'a> {
    table: Option<&'a Table>,
    flows: BTreeSet<String>,
    /// Sections of which nothing tells where the flow's name ends.
    undivided: BTreeSet<String>,
}

impl<'a> Sections<'a> {
    pub(crate) fn new(root: &'a Tree, project: &Project) -> Self {
        let table = root.get("flow_configs").and_then(Tree::as_table);
        let names: BTreeSet<&str> = table.into_iter().flatten().map(|(name, _)| &**name).collect();
        let mut flows: BTreeSet<String> = BTreeSet::new();
        for (name, section) in table.into_iter().flatten() {
            // A folder on the way to the flow, if the section begins with its name.
            let path = Path::new(written_path(section).unwrap_or_default());
            let folders = path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
            flows.extend(folders.filter(|folder| belongs(name, folder)).map(str::to_owned));
        }
        for folder in std::fs::read_dir(project.root.join("flows")).into_iter().flatten().flatten() {
            let folder = folder.file_name();
            let folder = folder.to_str().filter(|flow| names.iter().any(|name| belongs(name, flow)));
            flows.extend(folder.map(str::to_owned));
        }
        // A section that others extend is a flow's, unless it is an environment of a flow that is known: beside `ask`, with
        // its folder, `ask_azure` and `ask_azure_v1` are two environments.
        let of_known = |name: &str| flows.iter().any(|flow| flow.len() < name.len() && belongs(name, flow));
        let extended = |name: &&str| names.iter().any(|longer| longer.len() > name.len() && belongs(longer, name));
        let more: Vec<String> =
            names.iter().copied().filter(extended).filter(|name| !of_known(name)).map(str::to_owned).collect();
        flows.extend(more);
        let undivided = names.into_iter().filter(|name| !flows.iter().any(|flow| belongs(name, flow)));
        let undivided = undivided.map(str::to_owned).collect();
        Self { table, flows, undivided }
    }

    /// The flows that have sections.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &str> {
        self.flows.union(&self.undivided).map(String::as_str)
    }

    pub(crate) fn is_flow(&self, name: &str) -> bool {
        self.flows.contains(name) || self.of(name, None).is_some() || !self.environments(name).is_empty()
    }

    /// The section that a flow's environments share, or that of one environment.
    pub(crate) fn of(&self, flow: &str, environment: Option<&str>) -> Option<&'a Tree> {
        let name = environment.map_or_else(|| flow.to_owned(), |environment| format!("{flow}_{environment}"));
        self.table?.get(name.as_str())
    }

    /// The environments for which a flow has a section.
    pub(crate) fn environments(&self, flow: &str) -> Vec<&'a str> {
        let of_longer = |name: &str| {
            self.flows.iter().any(|longer| longer.len() > flow.len() && belongs(longer, flow) && belongs(name, longer))
        };
        let environment = |name: &'a str| name.strip_prefix(flow)?.strip_prefix('_').filter(|rest| !rest.is_empty());
        let names = self.table.into_iter().flatten().map(|(name, _)| &**name);
        names.filter(|name| !of_longer(name)).filter_map(environment).collect()
    }

    /// The environments of any flow.
    pub(crate) fn all_environments(&self) -> BTreeSet<&'a str> {
        let undivided = self.table.into_iter().flatten().map(|(name, _)| &**name);
        let undivided = undivided.filter(|name| self.undivided.contains(*name));
        let last_words = undivided.filter_map(|name| Some(name.rsplit_once('_')?.1));
        self.flows.iter().flat_map(|flow| self.environments(flow)).chain(last_words).collect()
    }

    /// The flow whose sections say that it lies at `path`.
    pub(crate) fn at_path(&self, path: &Path, project: &Project) -> Option<&str> {
        let wanted = flow_place(path);
        self.flows().find(|flow| {
            let sections = self
                .of(flow, None)
                .into_iter()
                .chain(self.environments(flow).into_iter().filter_map(|environment| self.of(flow, Some(environment))));
            let mut paths = sections.filter_map(written_path);
            paths.any(|written| flow_place(&project.resolve(written)) == wanted)
        })
    }
}

fn written_path(section: &Tree) -> Option<&str> {
    match section.get("flow_path")? {
        Tree::Leaf(leaf) => leaf.value.as_str(),
        Tree::Table(_) => None,
    }
}

/// Whether `name` is `flow`, or `flow` with something after an underscore.
fn belongs(name: &str, flow: &str) -> bool {
    name.strip_prefix(flow).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// The name that a flow's path gives it: that of its folder, or of its `.prompty` file.
pub(crate) fn flow_name(path: &Path) -> Option<String> {
    let path = if is_flow_file(path) { path.parent()? } else { path };
    let name = if path.extension().is_some_and(|extension| extension == "prompty") {
        path.file_stem()
    } else {
        path.file_name()
    };
    name?.to_str().map(str::to_owned)
}

fn is_flow_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// A flow's place, so that a folder and the `flow.dag.yaml` in it are the same.
fn flow_place(path: &Path) -> PathBuf {
    let folder = if is_flow_file(path) { path.parent().unwrap_or(path) } else { path };
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}
