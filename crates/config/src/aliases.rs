//! Older spellings, brought into today's before anything is merged: so a new one may overlay an old one.

use std::sync::Arc;

use crate::layers::{Table, Tree};

/// The kinds of connections that prompt flow knows, ours first.
pub(crate) const CONNECTION_TYPES: &[&str] = &[
    "azure_open_ai",
    "open_ai",
    "serverless",
    "anthropic",
    "simulated",
    "custom",
    "cognitive_search",
    "serp",
    "azure_content_safety",
    "form_recognizer",
    "azure_ai_services",
    "qdrant",
    "weaviate",
];

/// Other spellings of a connection's `type`.
const TYPE_ALIASES: &[(&str, &str)] = &[
    ("azure_openai", "azure_open_ai"),
    ("azureopenai", "azure_open_ai"),
    ("azure", "azure_open_ai"),
    ("openai", "open_ai"),
    ("simulator", "simulated"),
    ("azure_ai_inference", "serverless"),
    ("azure_ai_model_inference", "serverless"),
    ("model_inference", "serverless"),
];

/// A connection's type by its usual name; unknown ones as they are.
pub(crate) fn connection_type(written: &str) -> String {
    let lower = written.to_ascii_lowercase().replace('-', "_");
    TYPE_ALIASES.iter().find(|(alias, _)| *alias == lower).map_or(lower, |(_, name)| (*name).to_owned())
}

/// Renames the older keys of a file.
pub(crate) fn modernize(tree: Tree) -> Tree {
    let Tree::Table(mut table) = tree else { return tree };
    if let Some(Tree::Table(connections)) = table.get_mut("connections") {
        for connection in connections.values_mut() {
            if let Tree::Table(connection) = connection {
                rename(connection, "auth_mode", "auth");
                rename(connection, "azure_endpoint", "api_base");
            }
        }
    }
    if let Some(Tree::Table(sections)) = table.get_mut("flow_configs") {
        for section in sections.values_mut() {
            if let Tree::Table(section) = section {
                rename(section, "standard_flow_path", "flow_path");
            }
        }
    }
    Tree::Table(table)
}

fn rename(table: &mut Table, old: &str, new: &str) {
    let Some(place) = table.get_index_of(old) else { return };
    if let Some(tree) = table.shift_remove(old)
        && !table.contains_key(new)
    {
        table.shift_insert(place, Arc::from(new), tree);
    }
}
