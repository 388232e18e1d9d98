//! YAML as a person would write it.

use std::fmt::Write as _;

use sluicegate_source::yaml;
use sluicegate_value::Value;

/// Keys and what stands under them.
pub(super) type Block = Vec<(String, Item)>;

/// What stands under a key.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A value in one line.
    Value(Value),
    /// A map of such values.
    Block(Vec<(String, Value)>),
}

/// A key with a block below it.
pub(super) fn entry(name: &str, block: &Block, indent: usize) -> String {
    let mut out = format!("{:indent$}{}:\n", "", scalar(&name.into()));
    for (key, item) in block {
        let inner = indent + 2;
        match item {
            Item::Value(value) => {
                let _ = writeln!(out, "{:inner$}{}: {}", "", scalar(&key.as_str().into()), scalar(value));
            }
            Item::Block(values) => {
                let _ = writeln!(out, "{:inner$}{}:", "", scalar(&key.as_str().into()));
                for (key, value) in values {
                    let _ = writeln!(out, "{:inner$}  {}: {}", "", scalar(&key.as_str().into()), scalar(value));
                }
            }
        }
    }
    out
}

/// A value in one line: a text without quotes where that means the same.
fn scalar(value: &Value) -> String {
    match value {
        Value::Str(text) if is_plain(text) => text.to_string(),
        other => other.to_json(),
    }
}

fn is_plain(text: &str) -> bool {
    let begins_well = text.starts_with(|letter: char| letter.is_alphanumeric() || "_./$(".contains(letter));
    begins_well
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(char::is_control)
        && yaml::plain_scalar(text).as_str() == Some(text)
}
