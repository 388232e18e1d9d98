//! Reply texts with places for what the request said: `$1`, `${name}`, `$$`.

use std::sync::Arc;

use regex::{Captures, Regex};

/// A text with places in it.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Arc<str>),
    Group(usize),
    Named(Arc<str>),
    Found,
    Model,
    User,
    System,
    Tool,
}

/// What an entry gives its templates, besides what every request has.
#[derive(Default)]
pub(super) struct Places {
    pub(super) user: Option<Regex>,
    pub(super) finds: bool,
}

/// What a template's places stand for.
pub(super) struct Filling<'a> {
    pub(super) captures: Option<&'a Captures<'a>>,
    pub(super) found: &'a str,
    pub(super) model: &'a str,
    pub(super) user: &'a str,
    pub(super) system: &'a str,
    pub(super) tool: &'a str,
}

impl Template {
    /// Reads a template; its places must be among those that its entry has.
    pub(super) fn parse(source: &str, places: &Places) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let (name, remaining) = if let Some(remaining) = after.strip_prefix('$') {
                text.push('$');
                rest = remaining;
                continue;
            } else if let Some((name, remaining)) = after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
                (name, remaining)
            } else if digits > 0 {
                after.split_at(digits)
            } else {
                text.push('$');
                rest = after;
                continue;
            };
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            pieces.push(piece(name, places)?);
            rest = remaining;
        }
        text.push_str(rest);
        if !text.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(text.into()));
        }
        Ok(Self { pieces })
    }

    /// The text with its places filled; a group that took no part in the match is empty.
    pub(super) fn fill(&self, filling: &Filling<'_>) -> String {
        let group = |index: usize| filling.captures.and_then(|captures| captures.get(index)).map_or("", |m| m.as_str());
        let named = |name: &str| filling.captures.and_then(|captures| captures.name(name)).map_or("", |m| m.as_str());
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Group(index) => group(*index),
                Piece::Named(name) => named(name),
                Piece::Found => filling.found,
                Piece::Model => filling.model,
                Piece::User => filling.user,
                Piece::System => filling.system,
                Piece::Tool => filling.tool,
            })
            .collect()
    }
}

fn piece(name: &str, places: &Places) -> Result<Piece, String> {
    let user = places.user.as_ref();
    if let Ok(index) = name.parse::<usize>() {
        return match user {
            Some(regex) if index < regex.captures_len() => Ok(Piece::Group(index)),
            Some(regex) => Err(format!(
                "`${name}` is not there: `when.user` has {} captures (write `$$` for a dollar)",
                regex.captures_len() - 1
            )),
            None => Err(format!("`${name}` needs a `when.user` to capture it (write `$$` for a dollar)")),
        };
    }
    if user.is_some_and(|regex| regex.capture_names().flatten().any(|known| known == name)) {
        return Ok(Piece::Named(name.into()));
    }
    match name {
        "found" if places.finds => Ok(Piece::Found),
        "found" => Err("`${found}` needs a `find` in the same entry".to_owned()),
        "model" => Ok(Piece::Model),
        "user" => Ok(Piece::User),
        "system" => Ok(Piece::System),
        "tool" => Ok(Piece::Tool),
        _ => Err(format!("`${{{name}}}` is neither a capture of `when.user` nor `model`, `user`, `system` or `tool`")),
    }
}
