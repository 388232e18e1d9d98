//! Where the front matter ends and the template begins.

use std::sync::Arc;

use sluicegate_source::yaml::{self, Data, Entry, Node};
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Value, json};

/// Reads the text of a file beside a prompty, by the path as written.
pub(super) type ReadFile<'a> = &'a dyn Fn(&str) -> Result<Arc<str>, String>;

/// The two parts of a prompty file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// The YAML between the dash lines.
    pub(super) front: Span,
    /// What follows the second dash line.
    pub(super) body: Span,
}

/// Splits at the first two lines of three or more dashes and nothing else.
///
/// The original looks for the *last* dash line of the file, so that a template with a `---` of its own is cut in the
/// wrong place. Front matter cannot hold such a line (in YAML it would begin another document), so the first one is
/// always what the author means.
pub(super) fn split(file: &Arc<SourceFile>) -> Result<Parts, Problem> {
    let text = file.text();
    let mut lines = dash_lines(text);
    let open = lines.next().filter(|(start, _)| text.get(..*start).is_some_and(|before| before.trim().is_empty()));
    let Some((_, front_start)) = open else {
        return Err(Problem::error("prompty::no_front_matter", "the file does not begin with front matter")
            .in_file(file)
            .at(Span::new(0, 0), "`---` is missing here")
            .help(
                "begin with a line `---`, then YAML (`name:`, `model:`, `inputs:`), a line `---`, and the template",
            ));
    };
    let Some((front_end, body_start)) = lines.next() else {
        return Err(Problem::error("prompty::no_front_matter", "the front matter has no end")
            .in_file(file)
            .at(Span::new(0, front_start), "it begins here")
            .help("put a line `---` between the front matter and the template"));
    };
    Ok(Parts { front: Span::new(front_start, front_end), body: Span::new(body_start, text.len()) })
}

/// Start and end (line break included) of each line of dashes.
fn dash_lines(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let line_start = start;
        start += line.len();
        let dashes = line.trim_end();
        (dashes.len() >= 3 && dashes.bytes().all(|byte| byte == b'-')).then_some((line_start, start))
    })
}

/// Reads the front matter; `${file:..}` is replaced by what the file holds, each of its values placed where the
/// reference stands.
pub(super) fn read(file: &Arc<SourceFile>, front: Span, read_file: ReadFile<'_>) -> Result<Node, Vec<Problem>> {
    // The same text with everything around the front matter blank, so that places are those of the whole file.
    let before: String = blank(file.slice(Span { start: 0, end: front.start }));
    let alone = SourceFile::new(file.name(), before + file.slice(front));
    let mut problems = Vec::new();
    let mut root = match yaml::read(&alone) {
        Ok(document) => document.root,
        Err(found) => {
            return Err(found.into_iter().map(|problem| Problem { file: Some(file.clone()), ..problem }).collect());
        }
    };
    if let Data::Scalar { value: Value::Null, .. } = root.data {
        root.data = Data::Map(Vec::new());
    }
    if root.as_map().is_none() {
        return Err(vec![
            Problem::error("prompty::front_matter", format!("front matter must be a map, not {}", root.described()))
                .in_file(file)
                .at(root.written(), ""),
        ]);
    }
    include(&mut root, file, read_file, &mut problems);
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

fn blank(text: &str) -> String {
    text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { char::from(byte) } else { ' ' }).collect()
}

/// Replaces every `${file:..}`; what a file holds is not looked through again.
fn include(node: &mut Node, file: &Arc<SourceFile>, read_file: ReadFile<'_>, problems: &mut Vec<Problem>) {
    match &mut node.data {
        Data::List(items) => {
            for item in items {
                include(item, file, read_file, problems);
            }
        }
        Data::Map(entries) => {
            for entry in entries {
                include(&mut entry.value, file, read_file, problems);
            }
        }
        Data::Scalar { value, .. } => {
            let Some(path) = value.as_str().and_then(|text| reference(text, "file")) else { return };
            match content(path, read_file) {
                Ok(content) => node.data = placed(content, node.written()).data,
                Err(message) => problems.push(
                    Problem::error("prompty::file_reference", format!("cannot read `{path}`: {message}"))
                        .in_file(file)
                        .at(node.written(), "")
                        .help("the path is relative to the prompty's folder and must not leave it"),
                ),
            }
        }
    }
}

/// The path in `${file:path}`, if a text is exactly that.
pub(crate) fn file_reference(text: &str) -> Option<&str> {
    reference(text, "file")
}

/// What stands in `${kind:…}`, if a text is exactly that.
pub(super) fn reference<'t>(text: &'t str, kind: &str) -> Option<&'t str> {
    let inner = text.trim().strip_prefix("${")?.strip_prefix(kind)?.strip_prefix(':')?.strip_suffix('}')?;
    let inner = inner.trim();
    (!inner.is_empty()).then_some(inner)
}

/// What a file beside the prompty holds.
pub(super) fn content(path: &str, read_file: ReadFile<'_>) -> Result<Value, String> {
    file_content(path, &read_file(path)?)
}

/// What a file of this name and text holds: JSON and YAML read, anything else as text.
pub(crate) fn file_content(path: &str, text: &Arc<str>) -> Result<Value, String> {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    match &*ending {
        "json" => json::read(text).map_err(|error| format!("line {}: {error}", error.line)),
        "yaml" | "yml" => {
            let document = yaml::read(&SourceFile::new(path, text.clone())).map_err(|found| {
                found.first().map_or_else(|| "it is no YAML".to_owned(), |problem| problem.message.clone())
            })?;
            Ok(document.root.to_value())
        }
        _ => Ok(Value::from(text.clone())),
    }
}

/// A value as a tree, all of it at one place.
fn placed(value: Value, span: Span) -> Node {
    let data = match value {
        Value::List(items) => Data::List(items.iter().map(|item| placed(item.clone(), span)).collect()),
        Value::Map(map) => Data::Map(
            map.iter()
                .map(|(key, item)| Entry { key: key.clone(), key_span: span, value: placed(item.clone(), span) })
                .collect(),
        ),
        value => Data::Scalar { value, plain: false },
    };
    Node { span, defined: None, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_split(text: &str, expected: Option<(&str, &str)>) {
        let file = SourceFile::new("a.prompty", text);
        let parts = split(&file).ok();
        assert_eq!(parts.map(|parts| (file.slice(parts.front), file.slice(parts.body))), expected, "{text:?}");
    }

    #[test]
    fn the_first_two_dash_lines_count() {
        check_split("---\na: 1\n---\nbody\n", Some(("a: 1\n", "body\n")));
        check_split("\n-----  \r\na: 1\r\n---\r\nbody", Some(("a: 1\r\n", "body")));
        check_split("---\n---\n", Some(("", "")));
        check_split("---\na: 1\n---\nuser:\n---\nmore", Some(("a: 1\n", "user:\n---\nmore")));
    }

    #[test]
    fn a_file_without_front_matter_is_no_prompty() {
        check_split("", None);
        check_split("user:\nhi", None);
        check_split("hi\n---\na: 1\n---\n", None);
        check_split("---\na: 1\n", None);
        check_split("--\na: 1\n--\n", None);
    }

    #[test]
    fn a_reference_is_the_whole_text() {
        assert_eq!(reference("${file:a.json}", "file"), Some("a.json"));
        assert_eq!(reference("${env:A:b:c}", "env"), Some("A:b:c"));
        for text in ["${file:}", "x ${file:a}", "${env:a", "$file:a}", ""] {
            assert_eq!(reference(text, "file"), None, "{text}");
        }
    }
}
