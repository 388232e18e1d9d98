//! The parser's complaints, in words that name a cause and a cure.

use std::sync::Arc;

use saphyr_parser::ScanError;

use super::place::Places;
use crate::{Problem, SourceFile, Span};

const CODE: &str = "yaml::syntax";

/// A cause, a place and a cure.
struct Explained {
    message: String,
    span: Span,
    label: &'static str,
    help: String,
}

/// Explains a syntax error.
pub(super) fn explain(file: &Arc<SourceFile>, places: &Places<'_>, error: &ScanError) -> Problem {
    let at = places.byte(error.marker().index());
    let page = Page { text: file.text(), places };
    let explained = page.missing_space(at, error.info()).unwrap_or_else(|| page.by_complaint(at, error.info()));
    let code = if error.info().contains("recursion limit") { "yaml::too_deep" } else { CODE };
    let mut problem = Problem::error(code, explained.message).in_file(file).at(explained.span, explained.label);
    if !explained.help.is_empty() {
        problem = problem.help(explained.help);
    }
    problem
}

struct Page<'a> {
    text: &'a str,
    places: &'a Places<'a>,
}

impl Page<'_> {
    /// The word at a place, for a label that one can see; at the text's end, the last word.
    fn word(&self, at: usize) -> Span {
        let at = if at >= self.text.len() { self.text.trim_end().len().saturating_sub(1) } else { at };
        let at = self.text.floor_char_boundary(at);
        let rest = &self.text[at..];
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        Span::new(at, at + length.max(first))
    }

    /// A line without its indentation and blanks at the end.
    fn line(&self, at: usize) -> (Span, &str) {
        let at = self.text.floor_char_boundary(at.min(self.text.len()));
        let (start, end) = (self.places.line_start(at), self.places.line_end(at));
        let line = &self.text[start..end];
        let start = start + (line.len() - line.trim_start().len());
        let line = line.trim();
        (Span::new(start, start + line.len()), line)
    }

    /// The nearest line above that says something.
    fn line_above(&self, at: usize) -> Option<(Span, &str)> {
        let mut start = self.places.line_start(self.text.floor_char_boundary(at.min(self.text.len())));
        while start > 0 {
            let (span, line) = self.line(start - 1);
            if !line.is_empty() && !line.starts_with('#') {
                return Some((span, line));
            }
            start = self.places.line_start(start - 1);
        }
        None
    }

    /// `key:value`: the commonest slip, which the parser notices only a line later.
    fn missing_space(&self, at: usize, info: &str) -> Option<Explained> {
        let about_keys =
            ["simple key", "mapping values", "expected key", "illegal placement", "did not find expected <document"];
        if !about_keys.iter().any(|words| info.contains(words)) {
            return None;
        }
        self.line_above(at).into_iter().chain([self.line(at)]).find_map(|(span, line)| {
            let (dashes, rest) = line.split_at(line.len() - line.trim_start_matches("- ").len());
            let colon = rest.find(|character: char| !(character.is_alphanumeric() || "_-.".contains(character)))?;
            let (key, value) = (&rest[..colon], rest.get(colon..)?.strip_prefix(':')?);
            if key.is_empty() || value.is_empty() || value.starts_with([' ', '\t', ':', '/']) {
                return None;
            }
            let start = span.start as usize + dashes.len();
            Some(Explained {
                message: format!("`{key}:` has no space after its colon"),
                span: Span::new(start, start + key.len() + 1),
                label: "so this is text, not a key",
                help: format!("write `{key}: {}`", shortened(value)),
            })
        })
    }

    fn by_complaint(&self, at: usize, info: &str) -> Explained {
        let here = |message: &str, label: &'static str, help: &str| Explained {
            message: message.to_owned(),
            span: self.word(at),
            label,
            help: help.to_owned(),
        };
        let (line_span, line) = self.line(at);
        if info.contains("tab ") || info.contains("tabs ") || info.ends_with("a tab") {
            let start = self.places.line_start(self.text.floor_char_boundary(at.min(self.text.len())));
            let tab = self.text[start..].find('\t').map_or(at, |offset| start + offset);
            return Explained {
                message: "a tab is used as indentation".to_owned(),
                span: self.places.character(tab),
                label: "a tab",
                help: "indent with spaces: YAML allows no tabs there".to_owned(),
            };
        }
        if line.contains("{{")
            && !line.contains("\"{{")
            && (info.contains("flow mapping") || info.contains("block mapping"))
        {
            return here("a value that begins with `{{` is read as a map", "", "put the whole value in quotes");
        }
        match info {
            _ if info.contains("mapping values are not allowed") => {
                let before = &self.text[line_span.start as usize..at.clamp(line_span.start as usize, self.text.len())];
                if before.contains(": ") {
                    here(
                        "a value has a `: ` in it",
                        "this colon begins a second value",
                        "put the whole value in quotes",
                    )
                } else {
                    here(
                        "a key begins where the line above has not ended its value",
                        "",
                        "give it the indentation of the keys beside it, or put a text of several lines in quotes",
                    )
                }
            }
            _ if info.contains("simple key") || info.contains("<document start>") => {
                let (span, line) = if info.contains("<document") {
                    (line_span, line)
                } else {
                    self.line_above(at).unwrap_or((line_span, line))
                };
                Explained {
                    message: format!("`{}` is neither `key: value` nor part of a value", shortened(line)),
                    span,
                    label: "no colon here",
                    help: "add `: ` and a value, or indent the line so that it continues the value above".to_owned(),
                }
            }
            _ if info.contains("illegal placement") => {
                here("a key begins where a `[` is not closed", "", "close the bracket above with `]`")
            }
            _ if info.contains("expected key") || info.contains("invalid indentation") && !info.contains("quoted") => {
                here("the indentation fits no line above", "", "align it with the keys or items that it belongs to")
            }
            _ if info.contains("expected '-' indicator") => here(
                "a list goes on with something that is no item",
                "no `- ` here",
                "begin each item with `- `, at the same indentation",
            ),
            _ if info.contains("block sequence entries") => {
                here("a list item cannot begin here", "", "begin the list on a line of its own, below its key")
            }
            _ if info.contains("\"-\" is only valid") || info.contains("start with '-' followed") => here(
                "a `-` stands alone between brackets",
                "",
                "inside `[ ]` items are separated by commas; put a bare `-` in quotes",
            ),
            _ if info.contains("quoted scalar, found unexpected end")
                || info.contains("indentation in quoted")
                || info.contains("found unexpected document indicator") =>
            {
                Explained {
                    message: "a quote is not closed".to_owned(),
                    span: self.places.character(at),
                    label: "opened here",
                    help: "close it; a `\"` inside double quotes is written `\\\"`, a `'` inside single quotes `''`"
                        .to_owned(),
                }
            }
            _ if info.contains("trailing content after") => here(
                "there is text after the closing quote",
                "",
                "put the whole value in quotes; a `\"` inside double quotes is written `\\\"`, a `'` inside single quotes `''`",
            ),
            _ if info.contains("escape") || info.contains("hexadecimal number") => here(
                "a `\\` in double quotes begins no escape that YAML knows",
                "in this text",
                "write `\\\\`, or use single quotes",
            ),
            _ if info.contains("flow mapping, did not find") => {
                here("a `{` is not closed, or a comma is missing", "", "close it with `}`; separate entries by `, `")
            }
            _ if info.contains("flow sequence, expected") => {
                here("a `[` is not closed, or a comma is missing", "", "close it with `]`; separate items by `, `")
            }
            _ if info.contains("misplaced bracket") => {
                here("a bracket is closed that was never opened", "", "remove it, or put the value in quotes")
            }
            _ if info.contains("flow construct") => {
                here("a line inside brackets is not indented", "", "indent it deeper than the key that it belongs to")
            }
            _ if info.contains("may not precede") => here("there is no space after the colon", "", "write `: `"),
            _ if info.contains("recursion limit") => {
                here("brackets are nested too deeply", "", "YAML files here may nest 100 levels")
            }
            _ if info.contains("unknown anchor") => here(
                "an alias has no anchor before it",
                "",
                "define it with `&name` above, or put text that begins with `*` in quotes",
            ),
            _ if info.contains("anchor or alias") => {
                here("a `*` or `&` has no name behind it", "", "put text that begins with `*` or `&` in quotes")
            }
            _ if info.starts_with("unexpected character") => {
                let character = self.text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('?');
                here(&format!("a value cannot begin with `{character}`"), "", "put it in quotes")
            }
            _ if info.contains("unprintable") => here("there is a NUL character", "", "is this a text file?"),
            _ if info.contains("byte order mark") => {
                here("there is a byte-order mark inside the file", "", "remove it")
            }
            _ if info.contains("comments must be separated") => {
                here("a comment follows without a space", "", "write ` #`, or put a value that has a `#` in quotes")
            }
            _ if info.contains("comment intercepting") => {
                here("a comment interrupts a text of several lines", "", "put the text in quotes, or move the comment")
            }
            _ if info.contains("block scalar") => here(
                "a text that begins with `|` or `>` is not written as a block",
                "",
                "begin its content on the next line, indented; or put the value in quotes",
            ),
            _ if info.contains("tag") || info.contains("TAG") || info.contains("handle") => {
                here("a tag is malformed", "", "put text that begins with `!` in quotes")
            }
            _ if info.contains("expected node content") => here(
                "there is no value where one is expected",
                "",
                "put a value that begins with a special character in quotes",
            ),
            _ if info.contains("directive") => {
                here("a line that begins with `%` is no directive", "", "put the value in quotes")
            }
            _ => here(&format!("this is not YAML: {info}"), "", ""),
        }
    }
}

/// The beginning of a long text.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
