//! YAML text to a located tree.
//!
//! YAML 1.2 as prompt flow's own reader (ruamel) understands it: only `true` and `false` are booleans, `010` is ten,
//! `1e3` is a float, a date stays text, duplicate keys are problems. Anchors, aliases and merge keys (`<<`) work,
//! within a budget that stops a bomb early.

mod build;
mod place;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sluicegate_value::Value;

use crate::{Problem, SourceFile, Span};

/// A YAML file, read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Its content; an empty file is `null`.
    pub root: Node,
}

/// A value in a YAML file.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands; for an alias, where the alias stands (for a merged value, the alias after `<<`).
    ///
    /// The text there is the value as it is written: quotes belong to it, tags, anchors and the header of a block
    /// text (`|`, `>-`) do not. The value of `key:` with nothing after it stands, empty, after the colon.
    pub span: Span,
    /// Where the anchored value stands, if this came by an alias or a merge key.
    pub defined: Option<Span>,
    /// What it is.
    pub data: Data,
}

/// What stands in a YAML file.
#[derive(Clone, Debug)]
pub enum Data {
    /// `null`, a boolean, a number or text.
    Scalar {
        /// The value.
        value: Value,
        /// Whether it is written without quotes, so that its first byte is the text's first byte.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in order; merge keys are resolved.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key, as text.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

/// Reads one YAML document.
///
/// # Errors
/// Every problem that can be told apart: a syntax error ends the reading, duplicate keys do not. A file beyond the
/// budget (depth, nodes after aliases are followed, in proportion to the file's size) is one problem.
pub fn read(file: &Arc<SourceFile>) -> Result<Document, Vec<Problem>> {
    let root = build::build(file)?;
    Ok(Document { file: file.clone(), root })
}

/// What an unquoted scalar with this text means: `5` is a number, `true` a boolean, `yes` text.
#[must_use]
pub fn plain_scalar(text: &str) -> Value {
    scalar::plain(text)
}

impl Node {
    /// The plain value, places forgotten.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match &self.data {
            Data::Scalar { value, .. } => value.clone(),
            Data::List(items) => items.iter().map(Node::to_value).collect::<Vec<_>>().into(),
            Data::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_value()))
                .collect::<sluicegate_value::Map>()
                .into(),
        }
    }

    /// Where its text is written: [`Node::defined`] if there is one, else [`Node::span`].
    #[must_use]
    pub fn written(&self) -> Span {
        self.defined.unwrap_or(self.span)
    }

    /// The value under `key`, if this is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry under `key`, if this is a map that has it.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.iter().find(|entry| &*entry.key == key)
    }

    /// The entries, if this is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.data {
            Data::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, if this is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.data {
            Data::List(items) => Some(items),
            _ => None,
        }
    }

    /// The scalar, if this is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Value> {
        match &self.data {
            Data::Scalar { value, .. } => Some(value),
            _ => None,
        }
    }

    /// The text, if this is a text scalar.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar()?.as_str()
    }

    /// What a person calls this: "text", "a list", "a map", "a number", …
    #[must_use]
    pub fn described(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
            Data::Scalar { value, .. } => match value {
                Value::Null => "nothing",
                Value::Bool(_) => "a boolean",
                Value::Str(_) => "text",
                _ => "a number",
            },
        }
    }
}
