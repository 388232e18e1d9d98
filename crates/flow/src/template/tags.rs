//! Reading a tag: its sign of whitespace control, what a loop goes over, the values of a `with`, a macro's parameters.

use std::ops::Range;

use super::scan::{Tag, Token, TokenKind};

/// The sign of whitespace control before a tag's end.
pub(super) fn end_sign(source: &str, tag: &Tag) -> &'static str {
    match source.as_bytes().get(tag.outer.end.saturating_sub(3)) {
        Some(b'-') => "-",
        Some(b'+') => "+",
        _ => "",
    }
}

/// The tokens of a tag that stand in no bracket, with their index.
fn outside_brackets(tag: &Tag) -> impl Iterator<Item = (usize, &Token)> {
    let mut depth = 0_usize;
    tag.tokens.iter().enumerate().filter(move |(_, token)| {
        match token.kind {
            TokenKind::Sign("(" | "[" | "{") => depth += 1,
            TokenKind::Sign(")" | "]" | "}") => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    })
}

/// Where the first `sign` outside of brackets ends.
pub(super) fn top_level(source: &str, tag: &Tag, sign: &str) -> Option<usize> {
    outside_brackets(tag).find(|(_, token)| &source[token.at.clone()] == sign).map(|(_, token)| token.at.end)
}

/// What a loop goes over: between `in` and `if`, `recursive` or the end.
pub(super) fn loop_operand(source: &str, tag: &Tag) -> Option<Range<usize>> {
    let word = |token: &Token| if token.kind == TokenKind::Name { &source[token.at.clone()] } else { "" };
    let start = outside_brackets(tag).find(|(_, token)| word(token) == "in")?.1.at.end;
    let end =
        outside_brackets(tag).find(|(_, token)| token.at.start >= start && matches!(word(token), "if" | "recursive"));
    Some(start..end.map_or(tag.inner.end, |(_, token)| token.at.start))
}

/// The values of a `with` tag.
pub(super) fn with_values(source: &str, tag: &Tag) -> Vec<Range<usize>> {
    let mut values = Vec::new();
    let mut start = None;
    for (_, token) in outside_brackets(tag) {
        match &source[token.at.clone()] {
            "=" if start.is_none() => start = Some(token.at.end),
            "," => values.extend(start.take().map(|start| start..token.at.start)),
            _ => {}
        }
    }
    values.extend(start.map(|start| start..tag.inner.end));
    values
}

/// The names of the parameters of a `macro` or `call` tag.
pub(super) fn parameters<'a>(source: &'a str, tag: &'a Tag) -> Vec<&'a str> {
    let is_call = tag.tokens.first().is_some_and(|token| &source[token.at.clone()] == "call");
    let open = if is_call { 1 } else { 2 };
    if tag.tokens.get(open).is_none_or(|token| token.kind != TokenKind::Sign("(")) {
        return Vec::new();
    }
    let mut names = Vec::new();
    let mut depth = 0_usize;
    for pair in tag.tokens[open..].windows(2) {
        match pair[0].kind {
            TokenKind::Sign("(" | "[" | "{") => depth += 1,
            TokenKind::Sign(")" | "]" | "}") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
        if depth == 1 && matches!(pair[0].kind, TokenKind::Sign("(" | ",")) && pair[1].kind == TokenKind::Name {
            names.push(&source[pair[1].at.clone()]);
        }
    }
    names
}
