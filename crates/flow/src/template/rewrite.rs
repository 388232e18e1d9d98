//! What is put into a template's source before minijinja compiles it.
//!
//! * Marks behind the colons of header lines that the template itself wrote ([`super::marks`]), so that data cannot
//!   make one. A line counts as the template's if nothing but blanks, `#`, tags without output and the role stand in
//!   it; the role may be printed by an expression, `{{ message.role }}:`, if it is the whole value.
//! * Guards around everything that is assigned, looped over or passed to a macro ([`super::guards`]): values grow
//!   beyond what the source spells out only by being kept and used again, so this is where size is counted.
//!
//! The result keeps every byte of the source in order, so that a place in it leads back to the author's.

use std::ops::Range;

use super::mustache::Places;
use super::scan::{Piece, Scanner, SyntaxError, Tag, Token, TokenKind};
use super::tags::{end_sign, loop_operand, parameters, top_level, with_values};
use super::{marks, operators};

/// A rewritten source.
pub(super) struct Rewritten {
    pub(super) text: String,
    /// For ascending offsets in `text`: the offset in the source.
    map: Vec<(usize, usize)>,
    /// If the source was translated before: where it came from.
    pub(super) translated: Option<Places>,
    /// Variables in image markdown, with their places in the source.
    pub(super) images: Vec<Range<usize>>,
}

/// How to rewrite.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) trim_blocks: bool,
    /// `![image]({{x}})` becomes `{{x}}` on a line of its own.
    pub(super) expand_images: bool,
    /// A header may end the text without a line break.
    pub(super) open_end: bool,
}

impl Rewritten {
    /// The place in the source that a place in the rewritten text came from.
    pub(super) fn origin(&self, at: usize) -> usize {
        let index = self.map.partition_point(|(offset, _)| *offset <= at).saturating_sub(1);
        let source = self.map.get(index).map_or(at, |(offset, origin)| origin + (at - offset.min(&at)));
        self.translated.as_ref().map_or(source, |places| places.origin(source))
    }
}

/// Rewrites a template.
pub(super) fn template(source: &str, options: Options) -> Result<(Rewritten, Vec<Piece>), SyntaxError> {
    let pieces = Scanner::new(source, options.trim_blocks).pieces()?;
    let mut rewriter = Rewriter {
        source,
        options,
        edits: Vec::new(),
        line: Line::Heading(String::new()),
        open: Vec::new(),
        images: Vec::new(),
    };
    rewriter.pieces(&pieces);
    Ok((rewriter.finish(), pieces))
}

struct Rewriter<'a> {
    source: &'a str,
    options: Options,
    edits: Vec<Edit>,
    line: Line,
    open: Vec<Open>,
    images: Vec<Range<usize>>,
}

/// Something to put into the source.
pub(super) struct Edit {
    at: usize,
    remove: usize,
    insert: String,
    is_mark: bool,
}

impl Edit {
    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self { at, remove: 0, insert: text.into(), is_mark: false }
    }

    pub(super) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { at: range.start, remove: range.len(), insert: text.into(), is_mark: false }
    }
}

/// Who wrote the current line of output so far.
#[derive(Clone, Debug, PartialEq)]
enum Line {
    /// The template: blanks and the signs of a heading.
    Heading(String),
    /// The template, and then a role.
    Role,
    /// Anything else.
    Other,
}

/// A block that is not closed yet.
struct Open {
    word: &'static str,
    /// How the line stood before it.
    before: Line,
    /// How it stood at the end of its other branches.
    branches: Vec<Line>,
    has_else: bool,
    /// The edits made before it.
    edits: usize,
    /// Where the first line break behind its start stands.
    first_break: Option<usize>,
    /// Where a charge for its literal text can stand, and with which last sign of the tag.
    body: usize,
    literal: usize,
    sign: &'static str,
}

impl Rewriter<'_> {
    fn pieces(&mut self, pieces: &[Piece]) {
        for (index, piece) in pieces.iter().enumerate() {
            let next = pieces.get(index + 1);
            match piece {
                Piece::Text(range) => {
                    let before_tag = !matches!(next, Some(Piece::Print(_)) | None);
                    self.text(range.clone(), before_tag, next.is_none());
                }
                Piece::Print(tag) => {
                    let before = index.checked_sub(1).and_then(|index| pieces.get(index));
                    self.operators(&tag.tokens);
                    self.print(tag, before, next);
                }
                Piece::Block(tag) => {
                    self.operators(tag.tokens.get(1..).unwrap_or_default());
                    self.block(tag);
                }
            }
        }
    }

    fn text(&mut self, range: Range<usize>, before_tag: bool, is_last: bool) {
        for open in &mut self.open {
            open.literal += range.len();
        }
        let mut start = range.start;
        for line in self.source[range].split_inclusive('\n') {
            let ends = line.ends_with('\n');
            let closes = ends || (is_last && self.options.open_end);
            let line_state = std::mem::replace(&mut self.line, Line::Other);
            match line_state {
                Line::Heading(so_far) => {
                    let whole = format!("{so_far}{line}");
                    if closes {
                        // The colon stands in this piece, since what came before ends in no colon.
                        if let Some(end) = marks::header_end(&whole).and_then(|end| end.checked_sub(so_far.len())) {
                            self.mark(start + end, marks::HEADER);
                        }
                    } else if marks::is_heading_start(&whole) {
                        self.line = Line::Heading(whole);
                    } else if before_tag && marks::is_role(marks::after_heading(&whole)) {
                        self.mark(start + line.len(), marks::ROLE);
                        self.line = Line::Role;
                    }
                }
                Line::Role => {
                    let after = line.trim_start_matches([' ', '\t']);
                    if closes && after.trim_end() == ":" {
                        self.mark(start + line.len() - after.len() + 1, marks::COLON);
                    } else if !ends && after.is_empty() {
                        self.line = Line::Role;
                    }
                }
                Line::Other => {}
            }
            start += line.len();
            if ends {
                self.line = Line::Heading(String::new());
                for open in &mut self.open {
                    open.first_break.get_or_insert(start - 1);
                }
            }
        }
    }

    fn print(&mut self, tag: &Tag, before: Option<&Piece>, next: Option<&Piece>) {
        if tag.tokens.is_empty() {
            return;
        }
        let text_of = |piece: Option<&Piece>| match piece {
            Some(Piece::Text(range)) => self.source.get(range.clone()).unwrap_or(""),
            _ => "",
        };
        let after = text_of(next);
        if let Some(markdown) = image_markdown(text_of(before)).filter(|_| after.starts_with(')')) {
            let name = self.source[tag.inner.clone()].trim();
            let whole = &self.source[tag.outer.clone()];
            let is_plain = !whole.starts_with("{{-")
                && !whole.ends_with("-}}")
                && !name.contains(|letter: char| letter.is_whitespace() || "{}".contains(letter));
            if is_plain {
                let start = tag.tokens.first().map_or(tag.inner.start, |token| token.at.start);
                let end = name.find(['.', '[', '|', '(']).unwrap_or(name.len());
                self.images.push(start..start + end);
                if self.options.expand_images {
                    self.replace(tag.outer.start - markdown, markdown, "\n");
                    self.replace(tag.outer.end, 1, "\n");
                }
            }
        }
        let colon = after.trim_start_matches([' ', '\t']);
        let line = colon.split_inclusive('\n').next().unwrap_or("");
        let at_end = matches!(next, Some(Piece::Text(range)) if range.end == self.source.len());
        let closes = line.ends_with('\n') || (at_end && self.options.open_end);
        let is_role = closes && line.trim_end() == ":" && matches!(self.line, Line::Heading(_));
        if is_role {
            self.wrap(&tag.inner, "__role");
            self.line = Line::Role;
        } else {
            if self.line == Line::Other {
                self.wrap(&tag.inner, "__inline");
            }
            self.line = Line::Other;
        }
    }

    /// Puts in what stands for slices and operators. What a guard puts around an operand must come before.
    fn operators(&mut self, tokens: &[Token]) {
        slices(tokens, &mut self.edits);
        operators::rewrite(self.source, tokens, &mut self.edits);
    }

    fn wrap(&mut self, inner: &Range<usize>, filter: &str) {
        self.insert(inner.start, "(");
        self.insert(inner.end, &format!(")|{filter}"));
    }

    fn block(&mut self, tag: &Tag) {
        let Some(word) = tag.tokens.first().map(|token| &self.source[token.at.clone()]) else { return };
        let guard = |name: &str| format!(")|{name}");
        match word {
            "if" => self.enter("if", tag, self.line.clone()),
            "elif" | "else" => {
                let line = std::mem::replace(&mut self.line, Line::Other);
                if let Some(open) = self.open.last_mut() {
                    open.branches.push(line);
                    open.has_else |= word == "else";
                    self.line = open.before.clone();
                }
            }
            "endif" => {
                if let Some(open) = self.leave("if") {
                    let lines = open.branches.into_iter().chain((!open.has_else).then_some(open.before));
                    self.line = lines.fold(self.line.clone(), merge);
                }
            }
            "for" => {
                if let Some(over) = loop_operand(self.source, tag) {
                    self.insert(over.start, "(");
                    // A blank, since a word may follow at once.
                    self.insert(over.end, ")|__each ");
                }
                self.enter("for", tag, self.line.clone());
            }
            "endfor" => {
                let end = self.line.clone();
                if let Some(open) = self.leave("for") {
                    // The next round begins where this one ended: behind data, the body's first line is no header.
                    if !matches!(end, Line::Heading(_)) {
                        let first_break = open.first_break.unwrap_or(tag.outer.start);
                        let mut index = 0;
                        self.edits.retain(|edit| {
                            index += 1;
                            index <= open.edits || !edit.is_mark || edit.at > first_break
                        });
                    }
                    self.charge(&open);
                    self.line = open.branches.into_iter().fold(merge(open.before, end), merge);
                }
            }
            "set" => match top_level(self.source, tag, "=") {
                Some(equals) => {
                    // Growth from round to round needs a namespace: that is where nothing may nest without end.
                    let is_attribute = tag
                        .tokens
                        .iter()
                        .take_while(|token| token.at.end <= equals)
                        .any(|token| token.kind == TokenKind::Sign("."));
                    self.insert(equals, "(");
                    self.insert(tag.inner.end, &guard(if is_attribute { "__keep_in" } else { "__keep" }));
                }
                None => self.enter("set", tag, Line::Heading(String::new())),
            },
            "with" => {
                for value in with_values(self.source, tag) {
                    self.insert(value.start, "(");
                    self.insert(value.end, &guard("__keep"));
                }
            }
            "macro" | "call" => {
                self.enter(if word == "macro" { "macro" } else { "call" }, tag, Line::Heading(String::new()));
                let sign = end_sign(self.source, tag);
                for name in parameters(self.source, tag) {
                    self.insert(tag.outer.end, &format!("{{% set {name} = {name}|__keep {sign}%}}"));
                }
            }
            "filter" => self.enter("filter", tag, self.line.clone()),
            "endset" | "endmacro" => {
                if let Some(open) = self.leave(if word == "endset" { "set" } else { "macro" }) {
                    self.charge(&open);
                    self.line = open.before;
                }
            }
            "endcall" | "endfilter" => {
                if let Some(open) = self.leave(if word == "endcall" { "call" } else { "filter" }) {
                    self.charge(&open);
                    self.line = Line::Other;
                }
            }
            _ => {}
        }
    }

    fn enter(&mut self, word: &'static str, tag: &Tag, inside: Line) {
        let before = std::mem::replace(&mut self.line, inside);
        self.open.push(Open {
            word,
            before,
            branches: Vec::new(),
            has_else: false,
            edits: self.edits.len(),
            first_break: None,
            body: tag.outer.end,
            literal: 0,
            sign: end_sign(self.source, tag),
        });
    }

    /// Closes a block; minijinja reports one that does not match.
    fn leave(&mut self, word: &str) -> Option<Open> {
        if self.open.last()?.word == word { self.open.pop() } else { None }
    }

    /// Charges the literal text of a body that may run often: it can pile up in a captured text.
    fn charge(&mut self, open: &Open) {
        if open.literal > 64 {
            self.insert(open.body, &format!("{{% do __spend({}) {}%}}", open.literal, open.sign));
        }
    }

    fn mark(&mut self, at: usize, mark: char) {
        self.edits.push(Edit { at, remove: 0, insert: mark.to_string(), is_mark: true });
    }

    fn insert(&mut self, at: usize, text: &str) {
        self.replace(at, 0, text);
    }

    fn replace(&mut self, at: usize, remove: usize, text: &str) {
        self.edits.push(Edit { at, remove, insert: text.to_owned(), is_mark: false });
    }

    fn finish(mut self) -> Rewritten {
        line_breaks(self.source, &mut self.edits);
        apply(self.source, self.edits, self.images)
    }
}

/// `x[a:b:c]` becomes `x.__slice(a, b, c)`: minijinja's own slices of nothing, backwards, end the program (3.0.5).
fn slices(tokens: &[Token], edits: &mut Vec<Edit>) {
    let mut replace = |at: &Range<usize>, insert: &str| {
        edits.push(Edit { at: at.start, remove: at.len(), insert: insert.to_owned(), is_mark: false });
    };
    for (open, token) in tokens.iter().enumerate() {
        let follows_value = open.checked_sub(1).is_some_and(|before| {
            matches!(tokens[before].kind, TokenKind::Name | TokenKind::Text | TokenKind::Sign(")" | "]" | "}"))
        });
        if token.kind != TokenKind::Sign("[") || !follows_value {
            continue;
        }
        let mut depth = 0_usize;
        let mut colons = Vec::new();
        let close = tokens[open..].iter().position(|token| {
            match token.kind {
                TokenKind::Sign("(" | "[" | "{") => depth += 1,
                TokenKind::Sign(")" | "]" | "}") => depth = depth.saturating_sub(1),
                TokenKind::Sign(":") if depth == 1 => colons.push(token.at.clone()),
                _ => {}
            }
            depth == 0
        });
        let (Some(close), false) = (close, colons.is_empty()) else { continue };
        replace(&token.at, ".__slice(");
        let mut before = token.at.end;
        let is_empty =
            |from: usize, to: usize| !tokens.iter().any(|token| token.at.start >= from && token.at.end <= to);
        for colon in &colons {
            replace(colon, if is_empty(before, colon.start) { "none," } else { "," });
            before = colon.end;
        }
        let end = &tokens[open + close].at;
        replace(end, if is_empty(before, end.start) { "none)" } else { ")" });
    }
}

/// Line breaks become `\n`, and what looks like a mark becomes U+FFFD.
fn line_breaks(source: &str, edits: &mut Vec<Edit>) {
    let mut edit =
        |at, remove, insert: &str| edits.push(Edit { at, remove, insert: insert.to_owned(), is_mark: false });
    for (at, _) in source.match_indices('\r') {
        edit(at, 1, if source[at + 1..].starts_with('\n') { "" } else { "\n" });
    }
    for (at, mark) in source.match_indices(marks::is_mark) {
        edit(at, mark.len(), "\u{fffd}");
    }
}

fn apply(source: &str, mut edits: Vec<Edit>, images: Vec<Range<usize>>) -> Rewritten {
    // Stable: what was put in at one place first stands first.
    edits.sort_by_key(|edit| edit.at);
    let mut text = String::with_capacity(source.len() + 16 * edits.len());
    let mut map = vec![(0, 0)];
    let mut copied = 0;
    for edit in edits {
        let at = edit.at.max(copied);
        text.push_str(&source[copied..at]);
        map.push((text.len(), at));
        text.push_str(&edit.insert);
        copied = (edit.at + edit.remove).max(at);
        // What was put in leads to the place where it stands.
        map.push((text.len(), copied));
    }
    text.push_str(&source[copied..]);
    Rewritten { text, map, translated: None, images }
}

fn merge(a: Line, b: Line) -> Line {
    match (a, b) {
        (Line::Heading(a), Line::Heading(b)) if a == b => Line::Heading(a),
        (Line::Role, Line::Role) => Line::Role,
        _ => Line::Other,
    }
}

/// How many bytes of `![image](` end a text.
fn image_markdown(text: &str) -> Option<usize> {
    let open = text.rfind("![")?;
    let word = text[open + 2..].strip_suffix("](")?;
    (word.trim() == "image").then_some(text.len() - open)
}

/// An expression as a template that remembers its value.
pub(super) fn expression(text: &str, tokens: &[Token]) -> Rewritten {
    let edit = |at, insert: &str| Edit { at, remove: 0, insert: insert.to_owned(), is_mark: false };
    let mut edits = vec![edit(0, "{{ (")];
    slices(tokens, &mut edits);
    operators::rewrite(text, tokens, &mut edits);
    edits.push(edit(text.len(), ")|__outcome }}"));
    line_breaks(text, &mut edits);
    apply(text, edits, Vec::new())
}
