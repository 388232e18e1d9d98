//! Connection files of prompt flow become entries under `connections:`, with a variable in the place of every secret.
//!
//! ```text
//! aoai.yaml ──read──► Imported ──┬─ yaml ──► an entry, to be shown; insert ──► config.yaml with it, comments and all
//!                                └─ variables ──► lines of .env.sample, and of .env with what the file held
//! ```
//!
//! Nothing here reads or writes a file. A secret leaves only as a [`Secret`], by [`dot_env_lines`].

mod connection;
mod dot_env;
mod insert;
mod text;

use std::sync::Arc;

use crate::Secret;

pub use connection::{read, read_dot_env};
pub use dot_env::{dot_env_lines, sample_lines};
pub use insert::insert;

/// A connection of prompt flow, as an entry of ours.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its name, the key under `connections:`.
    pub name: Arc<str>,
    /// Its `type`.
    pub type_name: Arc<str>,
    /// The variables that the entry reads, each once, in order.
    pub variables: Vec<ImportedVariable>,
    /// What could not be taken over, each as a fragment for people.
    pub notes: Vec<String>,
    /// The entry's keys and values.
    entry: text::Block,
}

/// A variable that an imported connection reads.
#[derive(Clone, Debug)]
pub struct ImportedVariable {
    /// Its name, such as `MY_AOAI_API_KEY`.
    pub name: String,
    /// What it is for, in a line.
    pub about: String,
    /// What the file held in its place; `None` if that was a placeholder, or a variable itself.
    pub value: Option<Secret>,
}

impl Imported {
    /// The entry as YAML, each line indented by so many blanks, with a line break at its end.
    #[must_use]
    pub fn yaml(&self, indent: usize) -> String {
        text::entry(&self.name, &self.entry, indent)
    }
}
