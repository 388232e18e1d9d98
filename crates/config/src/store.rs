//! How and where runs are kept.

use std::path::PathBuf;

use sluicegate_source::Problem;

use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::{Project, Variables};

/// How and where runs are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder, absolute if the project's root is.
    pub path: PathBuf,
    /// What an acknowledged event survives.
    pub durability: Durability,
}

/// What an acknowledged event survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: every acknowledgement waits for the disk.
    #[default]
    Full,
    /// A killed process: the operating system has it.
    Process,
}

pub(crate) fn read(root: &Tree, project: &Project, variables: &Variables) -> Result<Store, Problem> {
    let empty = Table::new();
    let table = root.get("store").and_then(Tree::as_table).unwrap_or(&empty);
    let reader = Reader::new(table, "store", variables);
    let durability = match reader.text("durability")?.as_deref() {
        None | Some("full") => Durability::Full,
        Some("process") => Durability::Process,
        Some(_) => {
            let message = "`store.durability` takes `full` or `process`".to_owned();
            return Err(reader.problem("durability", "config::wrong_value", message));
        }
    };
    let path = reader.text("path")?.map_or_else(|| project.state_folder(), |path| project.resolve(&path));
    Ok(Store { path, durability })
}
