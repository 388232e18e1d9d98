//! Mustache as Jinja: a prompty of version 2 may be written in either, and only one of them is run.
//!
//! The source is translated into Jinja that calls the functions of [`super::context`], so that role safety, limits and
//! places are those of every template:
//!
//! ```text
//! {{a.b}}            {{ lookup('a.b', root)|html }}
//! {{{a}}}  {{&a}}    {{ lookup('a', root) }}
//! {{#a}}..{{/a}}     {% for c1 in section(lookup('a', root)) %}..{% endfor %}
//! {{^a}}..{{/a}}     {% if inverted(lookup('a', root)) %}..{% endif %}
//! ```
//!
//! Partials, other delimiters and blocks of parents are problems; functions as values do not exist here.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::scan::SyntaxError;

/// How deep sections may nest: minijinja's compiler is recursive.
const DEPTH: usize = 30;

/// A translated source.
pub(super) struct Translated {
    /// Jinja.
    pub(super) text: String,
    pub(super) places: Places,
    /// The first part of every name, with its first place. Within a section it may be a key of an item.
    pub(super) variables: Vec<(Arc<str>, Range<usize>)>,
}

/// Where the parts of a translation came from: its offset there, the offset in the source, the length in the source.
#[derive(Default)]
pub(super) struct Places(Vec<(usize, usize, usize)>);

impl Places {
    /// The place in the source that a place in the translation came from.
    pub(super) fn origin(&self, at: usize) -> usize {
        let index = self.0.partition_point(|(offset, ..)| *offset <= at).saturating_sub(1);
        self.0.get(index).map_or(0, |(offset, origin, length)| origin + at.saturating_sub(*offset).min(*length))
    }
}

/// Translates a source.
pub(super) fn translate(source: &str) -> Result<Translated, SyntaxError> {
    let out = Translated { text: String::new(), places: Places::default(), variables: Vec::new() };
    let mut translator = Translator { source, out, open: Vec::new() };
    let mut at = 0;
    while let Some(begin) = source[at..].find("{{").map(|length| at + length) {
        let tag = tag(source, begin)?;
        let (text_end, next) = match tag.kind {
            Kind::Escaped | Kind::Raw => (begin, tag.outer.end),
            _ => standalone(source, &tag.outer).unwrap_or((begin, tag.outer.end)),
        };
        translator.text(at, text_end);
        translator.tag(tag)?;
        at = next;
    }
    translator.text(at, source.len());
    match translator.open.pop() {
        Some(section) => {
            let message = format!("section `{}` is never closed: `{{{{/{}}}}}` is missing", section.name, section.name);
            Err(SyntaxError { message, at: section.at })
        }
        None => Ok(translator.out),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Escaped,
    Raw,
    Section,
    Inverted,
    Close,
    Comment,
}

struct Tag<'a> {
    kind: Kind,
    name: &'a str,
    name_at: Range<usize>,
    outer: Range<usize>,
}

struct Section<'a> {
    name: &'a str,
    at: Range<usize>,
    is_inverted: bool,
}

/// Reads the tag that begins at `begin`.
fn tag(source: &str, begin: usize) -> Result<Tag<'_>, SyntaxError> {
    let inside = &source[begin + 2..];
    let body = inside.trim_start();
    let blanks = inside.len() - body.len();
    let refuse =
        |message: String| SyntaxError { message, at: begin..(begin + 2 + blanks + 1).min(source.len()).max(begin + 2) };
    let (kind, sign, close) = match body.as_bytes().first() {
        Some(b'{') if blanks == 0 => (Kind::Raw, 1, "}}}"),
        Some(b'&') => (Kind::Raw, 1, "}}"),
        Some(b'#') => (Kind::Section, 1, "}}"),
        Some(b'^') => (Kind::Inverted, 1, "}}"),
        Some(b'/') => (Kind::Close, 1, "}}"),
        Some(b'!') => (Kind::Comment, 1, "}}"),
        Some(b'>') => {
            let message = "a partial `{{> ..}}` needs a template loader, and a template stands alone here: copy the text in, or give it as an input";
            return Err(refuse(message.to_owned()));
        }
        Some(b'=') => return Err(refuse("the delimiters `{{` and `}}` cannot be changed here".to_owned())),
        Some(sign @ (b'<' | b'$')) => {
            let message = format!("`{{{{{}` is not known: a template stands alone here", char::from(*sign));
            return Err(refuse(message));
        }
        _ => (Kind::Escaped, 0, "}}"),
    };
    let start = begin + 2 + blanks + sign;
    let Some(length) = source[start..].find(close) else {
        return Err(refuse(format!("this tag is never closed: `{close}` is missing")));
    };
    let written = &source[start..start + length];
    let name = written.trim();
    let name_start = start + (written.len() - written.trim_start().len());
    let tag =
        Tag { kind, name, name_at: name_start..name_start + name.len(), outer: begin..start + length + close.len() };
    if kind != Kind::Comment {
        check_name(&tag)?;
    }
    Ok(tag)
}

fn check_name(tag: &Tag<'_>) -> Result<(), SyntaxError> {
    let message = if tag.name.is_empty() {
        "a tag needs a name".to_owned()
    } else if tag.name.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "{}".contains(letter)) {
        format!("`{}` is no name: mustache has names and dots only, no expressions and no helpers", tag.name)
    } else if tag.name != "." && tag.name.split('.').any(str::is_empty) {
        format!("`{}` is no name: something must stand before and behind each dot", tag.name)
    } else {
        return Ok(());
    };
    let at = if tag.name.is_empty() { tag.outer.clone() } else { tag.name_at.clone() };
    Err(SyntaxError { message, at })
}

/// If nothing but blanks stands beside a tag, its whole line prints nothing: where the line begins, and where the next.
fn standalone(source: &str, tag: &Range<usize>) -> Option<(usize, usize)> {
    let is_blank = |text: &str| text.bytes().all(|byte| matches!(byte, b' ' | b'\t'));
    let start = source[..tag.start].rfind('\n').map_or(0, |newline| newline + 1);
    let rest = &source[tag.end..];
    let line = rest.split_inclusive('\n').next().unwrap_or("");
    let after = line.strip_suffix('\n').map_or(line, |line| line.strip_suffix('\r').unwrap_or(line));
    (is_blank(&source[start..tag.start]) && is_blank(after)).then_some((start, tag.end + line.len()))
}

struct Translator<'a> {
    source: &'a str,
    out: Translated,
    open: Vec<Section<'a>>,
}

impl<'a> Translator<'a> {
    /// Text that is printed as it is, whatever it means in Jinja.
    fn text(&mut self, start: usize, end: usize) {
        let Some(text) = self.source.get(start..end).filter(|text| !text.is_empty()) else { return };
        self.out.places.0.push((self.out.text.len(), start, text.len()));
        let mut copied = 0;
        for (at, _) in text.match_indices('{') {
            if matches!(text.as_bytes().get(at + 1), None | Some(b'{' | b'%' | b'#')) {
                self.out.text.push_str(&text[copied..at]);
                self.out.text.push_str("{% raw %}{{% endraw %}");
                copied = at + 1;
                self.out.places.0.push((self.out.text.len(), start + copied, text.len() - copied));
            }
        }
        self.out.text.push_str(&text[copied..]);
    }

    fn tag(&mut self, tag: Tag<'a>) -> Result<(), SyntaxError> {
        let outer = tag.outer.clone();
        let places = &mut self.out.places.0;
        match tag.kind {
            Kind::Comment => return Ok(()),
            Kind::Close => {
                let section = self.close(&tag)?;
                self.out.places.0.push((self.out.text.len(), outer.start, outer.len()));
                self.out.text.push_str(if section.is_inverted { "{% endif %}" } else { "{% endfor %}" });
                return Ok(());
            }
            _ => places.push((self.out.text.len(), outer.start, 2)),
        }
        let found = self.lookup(&tag)?;
        let (begin, call, end) = match tag.kind {
            Kind::Escaped => ("{{ ".to_owned(), format!("{found}|html"), " }}"),
            Kind::Section => (format!("{{% for c{} in ", self.contexts() + 1), format!("section({found})"), " %}"),
            Kind::Inverted => ("{% if ".to_owned(), format!("inverted({found})"), " %}"),
            _ => ("{{ ".to_owned(), found, " }}"),
        };
        // Whatever part of the call fails, it is the name that is at fault.
        let start = self.out.text.len() + begin.len();
        self.out.places.0.push((start, tag.name_at.start, 0));
        self.out.places.0.push((start + call.len(), tag.name_at.end, 0));
        let _ = write!(self.out.text, "{begin}{call}{end}");
        if matches!(tag.kind, Kind::Section | Kind::Inverted) {
            if self.open.len() >= DEPTH {
                return Err(SyntaxError { message: format!("sections nest deeper than {DEPTH}"), at: outer });
            }
            self.open.push(Section { name: tag.name, at: outer, is_inverted: tag.kind == Kind::Inverted });
        }
        Ok(())
    }

    fn close(&mut self, tag: &Tag<'_>) -> Result<Section<'a>, SyntaxError> {
        let message = match self.open.pop() {
            Some(section) if section.name == tag.name => return Ok(section),
            Some(section) => {
                format!("`{{{{/{}}}}}` closes nothing: the open section is `{}`", tag.name, section.name)
            }
            None => format!("`{{{{/{}}}}}` closes nothing: no section is open", tag.name),
        };
        Err(SyntaxError { message, at: tag.outer.clone() })
    }

    /// How many sections around here have given a context.
    fn contexts(&self) -> usize {
        self.open.iter().filter(|section| !section.is_inverted).count()
    }

    /// The call that finds a name in the contexts here, the innermost first.
    fn lookup(&mut self, tag: &Tag<'_>) -> Result<String, SyntaxError> {
        let contexts = self.contexts();
        if tag.name == "." && contexts == 0 {
            let message = "`.` is the item of a section, and no section is open here".to_owned();
            return Err(SyntaxError { message, at: tag.outer.clone() });
        }
        let first = tag.name.split('.').next().unwrap_or("");
        if !first.is_empty() && !self.out.variables.iter().any(|(known, _)| **known == *first) {
            let start = tag.name_at.start;
            self.out.variables.push((first.into(), start..start + first.len()));
        }
        let name = tag.name.replace('\\', "\\\\").replace('\'', "\\'");
        let mut call = format!("lookup('{name}', ");
        for context in (1..=contexts).rev() {
            let _ = write!(call, "c{context}, ");
        }
        call.push_str("root)");
        Ok(call)
    }
}
