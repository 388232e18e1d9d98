//! What a check without Python cannot know, so that whoever says "checked" can say of what.

use std::fmt;
use std::sync::Arc;

use crate::plan::{NodeKind, Plan, PythonNode};

/// Something that only Python can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked {
    /// The node, by its path: `outer/inner` for one of an inner flow.
    pub node: Arc<str>,
    /// What is behind it.
    pub what: UncheckedTool,
}

/// What is behind a Python node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UncheckedTool {
    /// A file, by its path: its syntax, its imports, its one tool and what that takes.
    File(Arc<str>),
    /// A package's tool: whether the package is installed and has it, and what it takes.
    Package(Arc<str>),
    /// A flex flow's entry: whether it can be loaded, and what it takes.
    Entry(Arc<str>),
}

impl Plan {
    /// What compiling and binding this plan did not look at, flows inside included, in the order of the nodes.
    #[must_use]
    pub fn unchecked(&self) -> Vec<Unchecked> {
        let mut found = Vec::new();
        collect(self, "", &mut found);
        found
    }
}

fn collect(plan: &Plan, prefix: &str, found: &mut Vec<Unchecked>) {
    for node in &plan.nodes {
        let path = format!("{prefix}{}", node.name);
        match &node.kind {
            NodeKind::Python(python) => {
                found.extend(behind(python).map(|what| Unchecked { node: path.as_str().into(), what }));
            }
            kind => {
                if let Some(inner) = kind.inner() {
                    collect(inner, &format!("{path}/"), found);
                }
            }
        }
    }
}

fn behind(python: &PythonNode) -> Option<UncheckedTool> {
    match python {
        PythonNode { entry: Some(entry), .. } => Some(UncheckedTool::Entry(entry.entry.clone())),
        PythonNode { file: Some(file), .. } => Some(UncheckedTool::File(file.name().into())),
        PythonNode { tool: Some(tool), .. } => Some(UncheckedTool::Package(tool.clone())),
        PythonNode { .. } => None,
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            UncheckedTool::File(file) => {
                write!(out, "node `{}`: what is in `{file}`, and what its tool takes", self.node)
            }
            UncheckedTool::Package(tool) => {
                write!(out, "node `{}`: whether `{tool}` is installed, and what it takes", self.node)
            }
            UncheckedTool::Entry(entry) => {
                write!(out, "node `{}`: whether `{entry}` can be loaded, and what it takes", self.node)
            }
        }
    }
}
