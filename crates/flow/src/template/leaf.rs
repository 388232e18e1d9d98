//! Texts that stand among a flow's own values and have templates in them: `Bearer ${env:TOKEN}`, `{{ q }}`.
//!
//! `${env:NAME}` becomes `{{__.NAME}}`, which is as long, so that places stay what they are; and what a variable holds
//! is data like any other when the template runs, whatever it looks like.

use std::ops::Range;
use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Map, Value};

use super::scan::{Piece, Scanner};
use super::{Binding, Expression, Mode, Template};

/// The variable of a template that holds those of the environment.
const ENVIRONMENT: &str = "__";

/// A text with templates in it.
pub(crate) struct Leaf {
    /// What it is.
    pub(crate) kind: LeafKind,
    /// The variables of the environment that it reads, and where.
    pub(crate) environment: Vec<(Arc<str>, Span)>,
    /// What is printed without asking, byte for byte where it stands: [`TAG`] fills the place of tags and
    /// [`VARIABLE`] that of the environment's variables.
    pub(crate) outline: String,
    /// Where the outline's first byte stands; `None` where places within the text mean nothing.
    pub(crate) start: Option<usize>,
}

/// What a text with templates in it is.
pub(crate) enum LeafKind {
    /// It is printed as it stands.
    Literal,
    /// It is rendered.
    Template(Template),
    /// It is one `{{ expression }}` and nothing else.
    Expression(Expression),
}

/// Stands in an outline for a byte of a tag.
pub(crate) const TAG: char = '\0';
/// Stands in an outline for a byte of a variable of the environment.
pub(crate) const VARIABLE: char = '\u{1}';

impl Leaf {
    /// Reads `text`, which stands at `span` of `file` in whatever quotes.
    ///
    /// # Errors
    /// What is no template, with its place.
    pub(crate) fn read(file: &Arc<SourceFile>, span: Span, text: &str) -> Result<Self, Problem> {
        let start = file.slice(span).find(text).filter(|_| !text.is_empty()).map(|at| span.start as usize + at);
        let place = start.map_or(span, |start| Span::new(start, start + text.len()));
        let in_file = |range: &Range<usize>| match start {
            Some(start) => Span::new(start + range.start, start + range.end),
            None => span,
        };
        let pieces = Scanner::new(text, true).pieces().map_err(|error| {
            Problem::error("flow::template", format!("template: {}", error.message))
                .in_file(file)
                .at(in_file(&error.at), "")
        })?;
        let mut outline: String = std::iter::repeat_n(TAG, text.len()).collect();
        let mut source = text.to_owned();
        let mut environment: Vec<(Arc<str>, Span)> = Vec::new();
        for range in pieces.iter().filter_map(|piece| match piece {
            Piece::Text(range) => Some(range.clone()),
            Piece::Print(_) | Piece::Block(_) => None,
        }) {
            outline.replace_range(range.clone(), &text[range.clone()]);
            let is_raw = follows_raw(&text[..range.start]);
            for (name, at) in variables(text, range) {
                if !is_name(name) || is_raw {
                    let message = match is_raw {
                        true => format!("`{}` stands in a `raw` block", &text[at.clone()]),
                        false => format!("`{}` names no variable", &text[at.clone()]),
                    };
                    let help = "a name has letters, digits and `_`, and no digit first; outside of tags and `raw`";
                    return Err(Problem::error("flow::bad_variable", message)
                        .in_file(file)
                        .at(in_file(&at), "")
                        .help(help));
                }
                outline.replace_range(at.clone(), &VARIABLE.to_string().repeat(at.len()));
                source.replace_range(at.clone(), &format!("{{{{{ENVIRONMENT}.{name}}}}}"));
                environment.push((name.into(), in_file(&at)));
            }
        }
        for tag in pieces.iter().filter_map(|piece| match piece {
            Piece::Print(tag) | Piece::Block(tag) => Some(tag),
            Piece::Text(_) => None,
        }) {
            if let Some((_, at)) = variables(text, tag.outer.clone()).next() {
                let message = format!("`{}` stands inside of a tag, where it is plain text", &text[at.clone()]);
                return Err(Problem::error("flow::bad_variable", message)
                    .in_file(file)
                    .at(in_file(&at), "")
                    .help("write it outside of `{{ }}`, or give it to the node as an input"));
            }
        }
        let is_blank = |piece: &Piece| matches!(piece, Piece::Text(range) if text[range.clone()].trim().is_empty());
        let only = match pieces.iter().find(|piece| !is_blank(piece)) {
            Some(Piece::Print(tag)) if text.trim() == &text[tag.outer.clone()] => Some(tag),
            _ => None,
        };
        let kind = match only {
            Some(tag) => LeafKind::Expression(Expression::parse(file, in_file(&tag.inner), &text[tag.inner.clone()])?),
            None if outline == text => LeafKind::Literal,
            None => LeafKind::Template(Self::template_of(file, place, source, start.is_some())?),
        };
        Ok(Self { kind, environment, outline, start })
    }

    /// Reads `text` as a template, be it a single expression or none at all.
    ///
    /// # Errors
    /// As [`Leaf::read`].
    pub(crate) fn template(file: &Arc<SourceFile>, span: Span, text: &str) -> Result<(Self, Template), Problem> {
        let mut leaf = Self::read(file, span, text)?;
        let place = leaf.start.map_or(span, |start| Span::new(start, start + text.len()));
        let template = match std::mem::replace(&mut leaf.kind, LeafKind::Literal) {
            LeafKind::Template(template) => template,
            LeafKind::Literal | LeafKind::Expression(_) => {
                Self::template_of(file, place, text.to_owned(), leaf.start.is_some())?
            }
        };
        Ok((leaf, template))
    }

    fn template_of(file: &Arc<SourceFile>, span: Span, source: String, has_places: bool) -> Result<Template, Problem> {
        Template::parse_source(file, span, Some(source.into()), has_places, Mode::Prompt)
    }
}

/// What a template with variables of the environment reads them from.
pub(crate) fn environment_binding(variables: Map) -> Binding {
    Binding::data(ENVIRONMENT, Value::from(variables))
}

/// Each `${env:NAME}` in a part of a text.
fn variables(text: &str, range: Range<usize>) -> impl Iterator<Item = (&str, Range<usize>)> {
    const BEGINNING: &str = "${env:";
    let mut from = range.start;
    std::iter::from_fn(move || {
        let part = text.get(from..range.end)?;
        let start = from + part.find(BEGINNING)?;
        let name_start = start + BEGINNING.len();
        let name_end = name_start + text.get(name_start..range.end)?.find('}')?;
        from = name_end + 1;
        Some((text.get(name_start..name_end)?, start..from))
    })
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|letter: char| letter.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a text ends with `{% raw %}`.
fn follows_raw(before: &str) -> bool {
    let tag = before.trim_end().strip_suffix("%}").map(|tag| tag.trim_end_matches(['-', '+']).trim_end());
    let open = tag.and_then(|tag| tag.strip_suffix("raw")).map(|open| open.trim_end());
    open.is_some_and(|open| open.trim_end_matches(['-', '+']).ends_with("{%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Nonce;

    fn read(text: &str) -> Result<Leaf, Problem> {
        let file = SourceFile::new("a.yaml", text);
        Leaf::read(&file, Span::new(0, text.len()), text)
    }

    /// Renders a text with `x` and the variable `KEY` known.
    fn check_rendered(text: &str, x: &str, key: &str, expected: &str) {
        let file = SourceFile::new("a.yaml", text);
        let (_, template) = Leaf::template(&file, Span::new(0, text.len()), text).unwrap();
        let inputs = [Binding::data("x", x), environment_binding(Map::from([("KEY", key)]))];
        assert_eq!(&*template.render(&inputs, Nonce(1)).unwrap().text, expected, "{text}");
    }

    #[test]
    fn variables_are_filled_in_as_text() {
        check_rendered("Bearer ${env:KEY}", "", "k", "Bearer k");
        check_rendered("${env:KEY}/{{ x }}", "a b", "{{ x }}{% raw %}${env:KEY}", "{{ x }}{% raw %}${env:KEY}/a b");
        check_rendered("{{ x }}", "${env:KEY}{{ __.KEY }}", "k", "${env:KEY}{{ __.KEY }}");
        check_rendered("plain", "", "", "plain");
        check_rendered("user:\n{{x}}", "system:\n", "", "user:\nsystem:\n");
    }

    #[test]
    fn a_single_expression_is_told_from_text() {
        let kind = |text: &str| match read(text).unwrap().kind {
            LeafKind::Literal => "literal",
            LeafKind::Template(_) => "template",
            LeafKind::Expression(_) => "expression",
        };
        assert_eq!(kind("{{ q }}"), "expression");
        assert_eq!(kind(" {{- q -}}\n"), "expression");
        assert_eq!(kind("{{ q }}s"), "template");
        assert_eq!(kind("{{ q }}{{ r }}"), "template");
        assert_eq!(kind("${env:KEY}"), "template");
        assert_eq!(kind("a ${inputs.q} b"), "literal");
        assert_eq!(kind(""), "literal");
    }

    #[test]
    fn an_outline_keeps_every_place() {
        let leaf = read("https://${env:A}/{{ x }}?é").unwrap();
        assert_eq!(leaf.outline, format!("https://{}/{}?é", "\u{1}".repeat(8), "\0".repeat(7)));
        assert_eq!(leaf.environment, [("A".into(), Span::new(8, 16))]);
    }

    #[test]
    fn variables_that_cannot_be_filled_in_are_told() {
        for text in ["${env:}", "${env:1A}", "${env:A:b}", "{{ '${env:A}' }}", "{%raw%}${env:A}{%endraw%}"] {
            assert_eq!(read(text).map(|_| ()).unwrap_err().code, "flow::bad_variable", "{text}");
        }
    }
    proptest::proptest! {
        #[test]
        fn no_text_panics_and_every_outline_is_as_long(text in r"([a-zé/:.]|\$\{env:|\{\{|\}\}|\{%|%\}|raw|-|\}|K|1|#| |'){0,16}") {
            if let Ok(leaf) = read(&text) {
                proptest::prop_assert_eq!(leaf.outline.len(), text.len());
            }
        }
    }
}
