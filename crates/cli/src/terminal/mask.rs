//! Keys that were written into a file by mistake must not end in a build's log with the problem beside them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use sluicegate_config::variables::looks_secret;
use sluicegate_source::yaml::{self, Data, Node};
use sluicegate_source::{SourceFile, Span};

/// A file's text with every value of a secret's name (`api_key: sk-…`) starred out, byte by byte, so that places stay.
/// What only names a variable, `${NAME}`, is no secret.
pub(super) fn masked(file: &Arc<SourceFile>) -> Cow<'_, str> {
    let text = file.text();
    let spans = match yaml::read(file) {
        Ok(document) => {
            let mut spans = Vec::new();
            secrets_of(&document.root, false, &mut spans);
            spans.into_iter().map(|span: Span| span.start as usize..span.end as usize).collect()
        }
        // A file that cannot be read, or is no YAML: the lines must do.
        Err(_) => secrets_by_line(text),
    };
    star_out(text, spans)
}

fn star_out(text: &str, mut spans: Vec<Range<usize>>) -> Cow<'_, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_unstable_by_key(|span| span.start);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for span in spans {
        let start = text.floor_char_boundary(span.start.max(copied));
        let end = text.floor_char_boundary(span.end.max(start));
        out.push_str(&text[copied..start]);
        // Line breaks stay, or later lines would move.
        out.extend(text[start..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }));
        copied = end;
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn secrets_of(node: &Node, is_secret: bool, spans: &mut Vec<Span>) {
    match &node.data {
        Data::Map(entries) => {
            for entry in entries {
                secrets_of(&entry.value, is_secret || has_secret_name(&entry.key), spans);
            }
        }
        Data::List(items) => items.iter().for_each(|item| secrets_of(item, is_secret, spans)),
        Data::Scalar { value, .. } => {
            if is_secret && !value.is_null() && !value.as_str().is_some_and(names_a_variable) {
                spans.push(node.written());
            }
        }
    }
}

fn has_secret_name(key: &str) -> bool {
    looks_secret(&key.to_uppercase().replace('-', "_"))
}

/// Whether a text is `${NAME}`, `${env:NAME}` or `$NAME` and nothing else.
fn names_a_variable(text: &str) -> bool {
    let name = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).or_else(|| text.strip_prefix('$'));
    name.is_some_and(|name| {
        let name = name.strip_prefix("env:").unwrap_or(name);
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    })
}

/// Where the values of secrets' names stand, by lines: from the colon (or `=`) to the closing quote or the end of the
/// line, and further lines that are indented deeper.
fn secrets_by_line(text: &str) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut start = 0;
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if below.is_some_and(|key| indent > key) && !line.trim().is_empty() {
            spans.push(start + indent..start + line.trim_end().len());
        } else {
            if !line.trim().is_empty() {
                below = None;
            }
            let mut from = 0;
            while let Some(colon) = line[from..].find([':', '=']).map(|at| at + from) {
                from = colon + 1;
                let name = line[..colon]
                    .trim_end()
                    .rsplit([' ', '{', ',', '"', '\''])
                    .find(|part| !part.is_empty())
                    .unwrap_or("");
                if !has_secret_name(name) {
                    continue;
                }
                let value = line[from..].trim();
                let value_start = line.len() - line[from..].trim_start().len();
                let end = match value.chars().next() {
                    Some(quote @ ('"' | '\'')) => value[1..].find(quote).map_or(value.len(), |at| at + 2),
                    _ => value.len(),
                };
                if value.is_empty() || matches!(value, "|" | ">" | "|-" | ">-") {
                    below = Some(indent);
                } else if !names_a_variable(value.trim_matches(['"', '\'', '}', ' '])) && !names_a_variable(value) {
                    spans.push(start + value_start..start + value_start + end);
                }
                from = (value_start + end).max(from);
                if from >= line.len() {
                    break;
                }
            }
        }
        start += line.len();
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let file = SourceFile::new("config.yaml", text);
        assert_eq!(masked(&file), expected);
        assert_eq!(masked(&file).len(), text.len(), "places stay");
    }

    #[test]
    fn a_key_in_a_file_is_not_shown() {
        check("a:\n  api_key: sk-123\n  b: c\n", "a:\n  api_key: ******\n  b: c\n");
        check("x: { api_key: \"sk-1,2\", name: y }\n", "x: { api_key: ********, name: y }\n");
        check("api_key:\n  - sk-123\n", "api_key:\n  - ******\n");
        check("api_key: $tartsWithADollar!\n", "api_key: ******************\n");
        check(
            "api_key: ${THE_KEY}\nb: { token: $T }\nurl: http://a:b\n",
            "api_key: ${THE_KEY}\nb: { token: $T }\nurl: http://a:b\n",
        );
    }

    #[test]
    fn a_key_in_a_file_that_cannot_be_read_is_not_shown() {
        check("a: [\nAPI_KEY=abc\n", "a: [\nAPI_KEY=***\n");
        check("a: [\napi_key: |\n  sk-1\n  sk-2\nb: c\n", "a: [\napi_key: |\n  ****\n  ****\nb: c\n");
        check("a: [\napi_key: ${X}\nclient_secret: 'é' # x\n", "a: [\napi_key: ${X}\nclient_secret: **** # x\n");
    }
}
