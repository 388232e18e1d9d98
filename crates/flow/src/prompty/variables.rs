//! `${env:NAME}` in front matter: found with its place, and replaced when the environment is known.

use std::sync::Arc;

use sluicegate_source::yaml::{Data, Node};
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::{Map, Value};

use super::front::reference;
use super::{EnvironmentReference, Version};

/// Every reference to the environment in a tree.
pub(super) fn find(root: &Node, version: Version) -> Vec<EnvironmentReference> {
    let mut found = Vec::new();
    visit(root, String::new(), version, &mut found);
    found
}

/// A warning for each `${env:..}` that is only a part of its text: it stays as it is.
pub(super) fn partial(root: &Node, file: &Arc<SourceFile>, warnings: &mut Vec<Problem>) {
    match &root.data {
        Data::List(items) => items.iter().for_each(|item| partial(item, file, warnings)),
        Data::Map(entries) => entries.iter().for_each(|entry| partial(&entry.value, file, warnings)),
        Data::Scalar { value, .. } => {
            if let Some(text) = value.as_str()
                && text.contains("${env:")
                && reference(text, "env").is_none()
            {
                warnings.push(
                    Problem::warning("prompty::partial_reference", "`${env:..}` is replaced only as a whole value")
                        .in_file(file)
                        .at(root.written(), "this stays as it is written")
                        .help("let one variable hold the whole text"),
                );
            }
        }
    }
}

fn visit(node: &Node, key: String, version: Version, found: &mut Vec<EnvironmentReference>) {
    match &node.data {
        Data::List(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, join(&key, &index.to_string()), version, found);
            }
        }
        Data::Map(entries) => {
            for entry in entries {
                visit(&entry.value, join(&key, &entry.key), version, found);
            }
        }
        Data::Scalar { value, .. } => {
            if let Some((name, default)) = value.as_str().and_then(|text| parse(text, version)) {
                found.push(EnvironmentReference {
                    name: name.into(),
                    default: default.map(Arc::from),
                    key: key.into(),
                    span: node.written(),
                });
            }
        }
    }
}

/// Name and default of a text that is a reference.
fn parse(text: &str, version: Version) -> Option<(&str, Option<&str>)> {
    let inner = reference(text, "env")?;
    match version {
        Version::V1 => Some((inner, None)),
        Version::V2 => match inner.split_once(':') {
            Some(("", _)) => None,
            Some((name, default)) => Some((name, Some(default))),
            None => Some((inner, None)),
        },
    }
}

/// The front matter with every reference replaced. An unset one stays as it is in version 1.
///
/// # Errors
/// Version 2: the key and the name of each unset one without a default.
pub(super) fn replace(
    front: &Map,
    version: Version,
    lookup: &dyn Fn(&str) -> Option<Arc<str>>,
) -> Result<Map, Vec<(String, String)>> {
    let mut unset = Vec::new();
    let replaced = front
        .iter()
        .map(|(key, value)| (key.clone(), replaced(value, key.to_string(), version, lookup, &mut unset)))
        .collect();
    if unset.is_empty() { Ok(replaced) } else { Err(unset) }
}

fn replaced(
    value: &Value,
    key: String,
    version: Version,
    lookup: &dyn Fn(&str) -> Option<Arc<str>>,
    unset: &mut Vec<(String, String)>,
) -> Value {
    match value {
        Value::List(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| replaced(item, join(&key, &index.to_string()), version, lookup, unset))
            .collect::<Vec<_>>()
            .into(),
        Value::Map(map) => map
            .iter()
            .map(|(name, item)| (name.clone(), replaced(item, join(&key, name), version, lookup, unset)))
            .collect::<Map>()
            .into(),
        Value::Str(text) => match parse(text, version) {
            None => value.clone(),
            Some((name, default)) => match (lookup(name), default, version) {
                (Some(found), _, _) => found.into(),
                (None, Some(default), _) => default.into(),
                (None, None, Version::V1) => value.clone(),
                (None, None, Version::V2) => {
                    unset.push((key, name.to_owned()));
                    value.clone()
                }
            },
        },
        other => other.clone(),
    }
}

fn join(key: &str, part: &str) -> String {
    if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") }
}
