//! Every setting with who set it, for a person or a machine to read.

use sluicegate_value::{Map, Value};

use crate::environment::is_secret_key;
use crate::layers::{Leaf, Tree};
use crate::{Environment, Variables, address, interpolate};

/// One setting, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its dotted key.
    pub key: String,
    /// Its value, secrets masked; `(NAME is not set)` where it needs a variable that is not.
    pub shown: String,
    /// Who set it, as in ``config/config.yaml:7, from `NAME` in .env``.
    pub origin: String,
    /// Whether the value was masked.
    pub secret: bool,
    /// Whether it is built in and nobody touched it.
    pub is_default: bool,
}

impl Environment {
    /// Every setting that holds here with who set it: the flow's section under its name, then all else by its key.
    /// Secrets are masked. Sections of other flows are left out.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let mut add = |key: &str, leaf: &Leaf| entries.push(entry(key, leaf, self.variables()));
        Tree::Table(self.section.clone()).for_each_leaf(self.section_name(), &mut add);
        for (key, tree) in self.root.as_table().into_iter().flatten() {
            if &**key != "flow_configs" {
                tree.for_each_leaf(key, &mut add);
            }
        }
        entries
    }
}

/// Entries as one map from dotted key to `{value, origin}`, for `--json`.
#[must_use]
pub fn entries_to_value(entries: &[Entry]) -> Value {
    let entry = |entry: &Entry| Map::from([("value", entry.shown.as_str()), ("origin", entry.origin.as_str())]);
    entries.iter().map(|shown| (shown.key.as_str(), entry(shown))).collect::<Map>().into()
}

fn entry(key: &str, leaf: &Leaf, variables: &Variables) -> Entry {
    let is_default = matches!(leaf.origin, crate::Origin::Default);
    match interpolate::resolve(leaf, key, variables) {
        Ok(mut setting) => {
            let empty = setting.value.is_null() || setting.value.as_str() == Some("");
            setting.secret = (setting.secret || is_secret_key(key)) && !empty;
            let (shown, origin) = (address::shown(&setting.shown()).into_owned(), setting.provenance());
            Entry { key: key.to_owned(), shown, origin, secret: setting.secret, is_default }
        }
        Err(problem) => {
            let name = problem.message.split('`').nth(3).unwrap_or("a variable").to_owned();
            let shown = format!("({name} is not set)");
            Entry { key: key.to_owned(), shown, origin: leaf.origin.to_string(), secret: false, is_default }
        }
    }
}
