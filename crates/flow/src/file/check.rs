//! Holds a located tree against the table of known keys.

use std::sync::Arc;
use std::time::Duration;

use sluicegate_source::yaml::{Data, Entry, Node};
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::Value;

use super::keys::{Section, Shape, Words};
use super::size_of;

/// Reports unknown keys, missing ones, and values of a wrong shape, at any depth.
pub(crate) fn check_section(
    file: &Arc<SourceFile>,
    node: &Node,
    section: &'static Section,
    problems: &mut Vec<Problem>,
) {
    let Some(entries) = map_or_nothing(file, node, section.name, problems) else { return };
    for entry in entries {
        match section.key(&entry.key) {
            Some(key) => check_shape(file, &entry.value, &key.shape, key.name, problems),
            None => problems.push(unknown_key(file, entry, section)),
        }
    }
}

/// Reports a key that must be there and is not; for whoever knows what to call the owner.
pub(crate) fn missing_key(file: &Arc<SourceFile>, at: Span, owner: &str, key: &str, help: &str) -> Problem {
    Problem::error("flow::missing_key", format!("{owner} has no `{key}`")).in_file(file).at(at, "").help(help)
}

/// Reads `30s`, `500ms`, `1m 30s`, or a number of seconds.
pub(crate) fn duration(node: &Node) -> Option<Duration> {
    sluicegate_value::duration::from_value(node.as_scalar()?).ok()
}

fn unknown_key(file: &Arc<SourceFile>, entry: &Entry, section: &Section) -> Problem {
    let known = || section.keys.iter().map(|key| key.name);
    let message = format!("{} has no key `{}`", section.name, entry.key);
    // A key that is nearly a known one is a slip that changes what the flow does; any other is ignored by prompt flow
    // too, and existing flows must run.
    let problem = match suggest::nearest(&entry.key, known()) {
        Some(near) => Problem::error("flow::unknown_key", message).help(format!("did you mean `{near}`?")),
        None => Problem::warning("flow::unknown_key", format!("{message}; it is ignored"))
            .help(format!("known keys: {}", quoted(known()))),
    };
    problem.in_file(file).at(entry.key_span, "")
}

fn check_shape(file: &Arc<SourceFile>, node: &Node, shape: &'static Shape, key: &str, problems: &mut Vec<Problem>) {
    if node.as_scalar().is_some_and(Value::is_null) {
        return;
    }
    let wrong = |wanted: &str| {
        Problem::error("flow::wrong_type", format!("`{key}` must be {wanted}, not {}", node.described()))
            .in_file(file)
            .at(node.span, "")
    };
    match (shape, &node.data) {
        (Shape::Anything, _) => {}
        (Shape::Text, Data::Scalar { value: Value::Str(_), .. }) => {}
        (Shape::Text, _) => problems.push(wrong("text")),
        (Shape::Name, Data::Scalar { value, .. }) if !matches!(value, Value::Bool(_)) => {}
        (Shape::Name, _) => problems.push(wrong("text")),
        (Shape::Boolean, Data::Scalar { value: Value::Bool(_), .. }) => {}
        (Shape::Boolean, _) => problems.push(wrong("`true` or `false`")),
        (Shape::Whole(least), Data::Scalar { value: Value::Int(number), .. })
            if (*least..=i64::from(u32::MAX)).contains(number) => {}
        (Shape::Whole(least), Data::Scalar { value: Value::Int(_), .. }) => {
            problems.push(
                Problem::error("flow::wrong_value", format!("`{key}` must be between {least} and {}", u32::MAX))
                    .in_file(file)
                    .at(node.span, ""),
            );
        }
        (Shape::Whole(_), _) => problems.push(wrong("a whole number")),
        (Shape::Duration, _) if duration(node).is_some() => {}
        (Shape::Duration, _) => {
            problems.push(wrong("a time").help("write it as `30s`, `500ms` or `2m`, or as a number of seconds"));
        }
        (Shape::Size, _) if size_of(node).is_some() => {}
        (Shape::Size, _) => {
            problems.push(wrong("a size").help("write it as `512KiB`, `1MiB` or `10MB`, or as a number of bytes"));
        }
        (Shape::Word(words), Data::Scalar { value: Value::Str(word), .. }) => {
            if !words.words.contains(&&**word) {
                problems.push(unknown_word(word, words).in_file(file).at(node.span, ""));
            }
        }
        (Shape::Word(words), _) => problems.push(wrong(&format!("a {}", words.noun))),
        (Shape::ListOf(item), Data::List(items)) => {
            for value in items {
                match item {
                    Shape::Section(section) if value.as_map().is_none() => {
                        let message = format!("{} must be a map, not {}", section.name, value.described());
                        problems.push(Problem::error("flow::wrong_type", message).in_file(file).at(value.span, ""));
                    }
                    _ => check_shape(file, value, item, key, problems),
                }
            }
        }
        (Shape::ListOf(_), _) => problems.push(wrong("a list")),
        (Shape::MapOf(item), Data::Map(entries)) => {
            for entry in entries {
                check_shape(file, &entry.value, item, &entry.key, problems);
            }
        }
        (Shape::MapOf(_), _) => problems.push(wrong("a map")),
        (Shape::Section(section), Data::Map(_)) => check_section(file, node, section, problems),
        (Shape::Section(_), _) => problems.push(wrong("a map")),
    }
}

fn unknown_word(word: &str, words: &Words) -> Problem {
    let problem = Problem::error(words.code, format!("there is no {} `{word}`", words.noun));
    let known = words.words.iter().copied();
    match suggest::nearest(word, known.clone()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!("known: {}", quoted(known))),
    }
}

/// The entries of a map; a problem if it is something else than that or nothing.
fn map_or_nothing<'y>(
    file: &Arc<SourceFile>,
    node: &'y Node,
    name: &str,
    problems: &mut Vec<Problem>,
) -> Option<&'y [Entry]> {
    match &node.data {
        Data::Map(entries) => Some(entries),
        Data::Scalar { value: Value::Null, .. } => None,
        _ => {
            let message = format!("{name} must be a map, not {}", node.described());
            problems.push(Problem::error("flow::wrong_type", message).in_file(file).at(node.span, ""));
            None
        }
    }
}

/// Names for a message: `` `a`, `b` ``, not more than one can read.
pub(crate) fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    const MOST: usize = 30;
    let listed = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{listed} and {} more", names.len() - MOST) } else { listed }
}
