//! Adds entries to `config/config.yaml` as text: comments, order and spelling of what is there stay.

use std::sync::Arc;

use sluicegate_source::yaml::{self, Entry, Node};
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::{Map, Value};

use super::Imported;

/// How far entries stand to the right if there is none to go by.
const INDENT: usize = 2;

/// The text of a settings file with further connections at the end of its `connections:`; that section is added if there is
/// none.
///
/// # Errors
/// A file that is no YAML or no map, connections of these names that are there already, a section that is written in one
/// line.
pub fn insert(config: &Arc<SourceFile>, imported: &[Imported]) -> Result<String, Vec<Problem>> {
    let document = yaml::read(config)?;
    let root = &document.root;
    if root.as_map().is_none() && !root.as_scalar().is_some_and(Value::is_null) {
        let message = format!("the file must be a map, not {}", root.described());
        return Err(vec![Problem::error("config::wrong_type", message).in_file(config).at(root.span, "")]);
    }
    let line_break = if config.text().contains("\r\n") { "\r\n" } else { "\n" };
    let section = root.entry("connections");
    let known = section.and_then(|section| section.value.as_map()).unwrap_or_default();
    let clashes: Vec<Problem> = imported.iter().filter_map(|one| clash(config, known, &one.name)).collect();
    if !clashes.is_empty() {
        return Err(clashes);
    }
    let place = match section {
        None => Place { at: config.text().len(), indent: INDENT, section: true },
        Some(section) => place_in(config, section).ok_or_else(|| vec![one_line(config, section, imported)])?,
    };
    let (before, after) = config.text().split_at(place.at);
    let mut text = before.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text += line_break;
    }
    if place.section {
        if !text.trim().is_empty() {
            text += line_break;
        }
        text += "connections:";
        text += line_break;
    }
    for one in imported {
        text += &one.yaml(place.indent).replace('\n', line_break);
    }
    text += after;
    if is_what_was_meant(root, &text, imported) {
        Ok(text)
    } else {
        let section = section.map_or(root, |section| &section.value);
        let problem =
            Problem::error("import::cannot_insert", "no place for further connections was found in this file");
        Err(vec![problem.in_file(config).at(section.span, "").help(by_hand(imported))])
    }
}

struct Place {
    at: usize,
    indent: usize,
    /// Whether the section has yet to be begun.
    section: bool,
}

/// Where a section that is written over several lines ends.
fn place_in(config: &SourceFile, section: &Entry) -> Option<Place> {
    let text = config.text();
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |end| end + 1);
    let key_at = section.key_span.start as usize;
    let own_indent = key_at - line_start(key_at);
    let is_nothing = section.value.as_scalar().is_some_and(Value::is_null);
    let entries = section.value.as_map().unwrap_or_default();
    let indent = match entries.first() {
        _ if section.value.defined.is_some() => return None,
        Some(first) => {
            let at = first.key_span.start as usize;
            let before = &text[line_start(at)..at];
            if !before.chars().all(|letter| letter == ' ') || before.len() <= own_indent {
                return None;
            }
            before.len()
        }
        None if is_nothing => own_indent + INDENT,
        None => return None,
    };
    let mut at = text[key_at..].find('\n').map_or(text.len(), |end| key_at + end + 1);
    let mut end = at;
    for line in text[at..].split_inclusive('\n') {
        at += line.len();
        let content = line.trim();
        let depth = line.len() - line.trim_start_matches(' ').len();
        let is_inside = depth > own_indent;
        if content.is_empty() || (content.starts_with('#') && !is_inside) {
            continue;
        }
        if !is_inside {
            break;
        }
        end = at;
    }
    Some(Place { at: end, indent, section: false })
}

fn clash(config: &Arc<SourceFile>, known: &[Entry], name: &str) -> Option<Problem> {
    let there = known.iter().find(|entry| &*entry.key == name)?;
    let problem = Problem::error("import::known_connection", format!("there is a connection `{name}` already"));
    let help = "take it out there, or import under another name: `--name NAME`";
    Some(problem.in_file(config).at(there.key_span, "").help(help))
}

fn one_line(config: &Arc<SourceFile>, section: &Entry, imported: &[Imported]) -> Problem {
    Problem::error("import::cannot_insert", "`connections` is written so that nothing can be added below it")
        .in_file(config)
        .at(section.key_span, "")
        .help(by_hand(imported))
}

fn by_hand(imported: &[Imported]) -> String {
    let entries: String = imported.iter().map(|one| one.yaml(INDENT)).collect();
    format!("add it yourself:\nconnections:\n{}", entries.trim_end())
}

/// Whether a text says what the file said, with the new connections and nothing else.
fn is_what_was_meant(old: &Node, text: &str, imported: &[Imported]) -> bool {
    let Ok(new) = yaml::read(&SourceFile::new("", text)) else { return false };
    let (old, new) = (old.to_value(), new.root.to_value());
    let map = |value: &Value| value.as_map().cloned().unwrap_or_default();
    let (mut old, mut new) = (map(&old), map(&new));
    let connections =
        |map: &mut Map| map.remove("connections").and_then(|found| found.as_map().cloned()).unwrap_or_default();
    let (were, mut are) = (connections(&mut old), connections(&mut new));
    let is_there = imported.iter().all(|one| are.remove(&one.name).is_some());
    is_there && were == are && old == new
}
