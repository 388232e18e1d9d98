//! Trees of settings, laid over one another.

use std::fmt;
use std::sync::Arc;

use config::Source as _;
use indexmap::IndexMap;
use sluicegate_source::SourceFile;
use sluicegate_source::yaml::{Data, Node};
use sluicegate_value::{Map, Value};

use crate::Origin;

/// Keys and their settings.
pub(crate) type Table = IndexMap<Arc<str>, Tree>;

/// A setting, or more of them by key.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Leaf(Leaf),
    Table(Table),
}

/// One setting as it was written, with who set it. A list is one setting: layers replace it as a whole.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Without the value, which may be a secret.
impl fmt::Debug for Leaf {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Leaf({})", self.origin)
    }
}

impl Tree {
    pub(crate) fn empty() -> Self {
        Self::Table(Table::new())
    }

    pub(crate) fn leaf(value: Value, origin: Origin) -> Self {
        Self::Leaf(Leaf { value, origin })
    }

    /// A file's tree.
    pub(crate) fn from_node(node: &Node, file: &Arc<SourceFile>) -> Self {
        match &node.data {
            Data::Map(entries) => Self::Table(
                entries.iter().map(|entry| (entry.key.clone(), Self::from_node(&entry.value, file))).collect(),
            ),
            Data::List(_) | Data::Scalar { .. } => {
                Self::leaf(node.to_value(), Origin::File { file: file.clone(), span: node.written() })
            }
        }
    }

    /// One setting at a dotted key.
    pub(crate) fn at_key(key: &str, value: Value, origin: Origin) -> Self {
        key.rsplit('.').fold(Self::leaf(value, origin), |below, part| {
            Self::Table(std::iter::once((Arc::from(part), below)).collect())
        })
    }

    pub(crate) fn as_table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Leaf(_) => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.as_table()?.get(key)
    }

    /// The plain value, as written.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Leaf(leaf) => leaf.value.clone(),
            Self::Table(table) => {
                table.iter().map(|(key, tree)| (key.clone(), tree.to_value())).collect::<Map>().into()
            }
        }
    }

    /// The first setting in here, for a place to point at.
    pub(crate) fn first_leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Leaf(leaf) => Some(leaf),
            Self::Table(table) => table.values().find_map(Self::first_leaf),
        }
    }

    /// Calls `visit` with every setting and its dotted key.
    pub(crate) fn for_each_leaf(&self, key: &str, visit: &mut dyn FnMut(&str, &Leaf)) {
        match self {
            Self::Leaf(leaf) => visit(key, leaf),
            Self::Table(table) => {
                for (name, tree) in table {
                    let key = if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
                    tree.for_each_leaf(&key, visit);
                }
            }
        }
    }
}

/// Lays trees over one another, the weakest first: tables are merged key by key, anything else is replaced.
pub(crate) fn merge<'a>(layers: impl IntoIterator<Item = &'a Tree>) -> Tree {
    let mut leaves = Vec::new();
    let mut sources: Vec<Box<dyn config::Source + Send + Sync>> = Vec::new();
    for layer in layers {
        sources.push(Box::new(Layer(to_config(layer, &mut leaves))));
    }
    // Each source only hands over a table that exists, so that collecting cannot fail.
    let merged = sources.collect().unwrap_or_default();
    merged.get(ROOT).map_or_else(Tree::empty, |merged| from_config(merged, &leaves))
}

/// All settings hang below one key, since `config` takes a topmost `a.b` for a path.
const ROOT: &str = "settings";

/// What `config` merges: in place of every leaf its number in a list, so that no value and no origin is lost.
#[derive(Clone, Debug)]
struct Layer(config::Value);

impl config::Source for Layer {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, config::ConfigError> {
        Ok(std::iter::once((ROOT.to_owned(), self.0.clone())).collect())
    }
}

fn to_config(tree: &Tree, leaves: &mut Vec<Leaf>) -> config::Value {
    match tree {
        Tree::Leaf(leaf) => {
            leaves.push(leaf.clone());
            config::Value::new(None, config::ValueKind::U64(leaves.len() as u64 - 1))
        }
        Tree::Table(table) => {
            let table: config::Map<String, config::Value> =
                table.iter().map(|(key, tree)| (key.to_string(), to_config(tree, leaves))).collect();
            config::Value::new(None, config::ValueKind::Table(table))
        }
    }
}

fn from_config(merged: &config::Value, leaves: &[Leaf]) -> Tree {
    match &merged.kind {
        config::ValueKind::U64(number) => {
            let leaf = usize::try_from(*number).ok().and_then(|number| leaves.get(number));
            leaf.cloned().map_or_else(Tree::empty, Tree::Leaf)
        }
        config::ValueKind::Table(table) => {
            Tree::Table(table.iter().map(|(key, value)| (key.as_str().into(), from_config(value, leaves))).collect())
        }
        _ => Tree::empty(),
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_source::yaml;

    use super::*;

    fn tree(text: &str) -> Tree {
        let document = yaml::read(&SourceFile::new("a.yaml", text)).unwrap();
        Tree::from_node(&document.root, &document.file)
    }

    #[track_caller]
    fn check_merged(layers: &[&str], json: &str) {
        let layers: Vec<_> = layers.iter().map(|text| tree(text)).collect();
        assert_eq!(merge(&layers).to_value().to_json(), json);
    }

    #[test]
    fn tables_are_merged_and_anything_else_is_replaced() {
        check_merged(&["a: {x: 1, y: [1, 2]}", "a: {y: [3], z: 2}"], r#"{"a":{"x":1,"y":[3],"z":2}}"#);
        check_merged(&["a: {x: 1}", "a: 5"], r#"{"a":5}"#);
        check_merged(&["a: 5", "a: {x: 1}"], r#"{"a":{"x":1}}"#);
        check_merged(&["a: {x: 1}", "a: null"], r#"{"a":null}"#);
        check_merged(&[], "{}");
    }

    #[test]
    fn keys_and_values_come_through_as_they_are() {
        check_merged(
            &["a.b: {'c[0]': 1, D.e: 123456789012345678901234567890}", "a.b: {Ü: .inf, x: 'true'}"],
            r#"{"a.b":{"c[0]":1,"D.e":123456789012345678901234567890,"Ü":Infinity,"x":"true"}}"#,
        );
    }

    #[test]
    fn a_merged_value_still_knows_its_line() {
        let merged = merge(&[tree("a:\n  x: 1\n  y: 2"), tree("a:\n\n  y: 3")]);
        let origin = |key: &str| match merged.get("a").unwrap().get(key).unwrap() {
            Tree::Leaf(leaf) => leaf.origin.to_string(),
            Tree::Table(_) => panic!("a table"),
        };
        assert_eq!([origin("x"), origin("y")], ["a.yaml:2", "a.yaml:3"]);
    }
}
