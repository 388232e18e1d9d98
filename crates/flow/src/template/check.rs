//! What can be said of a template before it runs: its variables, and names that nothing answers to.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Environment, Value as Item};
use sluicegate_source::suggest;

use super::scan::{Piece, SyntaxError, Tag, Token, TokenKind};

/// What a template has without asking.
const GLOBALS: [&str; 7] = ["range", "dict", "lipsum", "cycler", "joiner", "namespace", "self"];

/// How deep blocks may nest, and how many `elif` an `if` may have: minijinja's compiler is recursive in both.
const DEPTH: usize = 30;
const BRANCHES: usize = 60;

/// Filters and tests that one may have meant.
const KNOWN: &str = "abs attr batch boolean capitalize center count d default defined dictsort divisibleby e escape even \
    filesizeformat first float forceescape format groupby in indent int integer items iterable join last length list \
    lower map mapping max min none number odd pprint reject rejectattr replace reverse round safe sameas select \
    selectattr sequence slice sort string striptags sum title tojson trim truncate undefined unique upper urlencode \
    wordcount wordwrap xmlattr";

/// The first thing in the tags that cannot work.
pub(super) fn tags(source: &str, pieces: &[Piece], env: &Environment<'static>) -> Result<(), SyntaxError> {
    let mut depth = 0_usize;
    let mut branches = 0_usize;
    for piece in pieces {
        match piece {
            Piece::Text(_) => {}
            Piece::Print(tag) => names(source, &tag.tokens, env)?,
            Piece::Block(tag) => {
                let word = statement(source, tag)?;
                // What is never closed counts too: then the source is refused either way.
                match word {
                    "if" | "for" | "macro" | "call" | "filter" | "with" | "block" | "autoescape" => depth += 1,
                    "elif" => branches += 1,
                    "endif" => branches = 0,
                    _ => {}
                }
                if word.starts_with("end") {
                    depth = depth.saturating_sub(1);
                }
                if depth > DEPTH || branches > BRANCHES {
                    let message =
                        format!("blocks nest deeper than {DEPTH}, or an `if` has more than {BRANCHES} branches");
                    return Err(SyntaxError { message, at: tag.outer.clone() });
                }
                names(source, &tag.tokens, env)?;
            }
        }
    }
    Ok(())
}

fn statement<'a>(source: &'a str, tag: &Tag) -> Result<&'a str, SyntaxError> {
    let Some(first) = tag.tokens.first() else {
        return Err(SyntaxError { message: "tag name expected".to_owned(), at: tag.outer.clone() });
    };
    let word = &source[first.at.clone()];
    if matches!(word, "include" | "import" | "from" | "extends") {
        let message = format!(
            "`{word}` needs a template loader, and a template stands alone here: copy the text in, or give it as an input"
        );
        return Err(SyntaxError { message, at: tag.outer.clone() });
    }
    Ok(word)
}

/// Filters and tests.
pub(super) fn names(source: &str, tokens: &[Token], env: &Environment<'static>) -> Result<(), SyntaxError> {
    let word = |token: &Token| &source[token.at.clone()];
    let mut state = env.empty_state();
    let mut exists = |test: &str, name: &str| state.perform_test(test, &[Item::from(name)]).unwrap_or(false);
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).filter(|next| next.kind == TokenKind::Name);
        let is_attribute = index > 0 && tokens[index - 1].kind == TokenKind::Sign(".");
        match token.kind {
            TokenKind::Sign("|") => {
                if let Some(name) = next.filter(|name| !exists("filter", word(name)) || word(name).starts_with("__")) {
                    return Err(unknown("filter", word(name), name.at.clone()));
                }
            }
            TokenKind::Name if word(token) == "is" && !is_attribute => {
                let skip = next.is_some_and(|next| word(next) == "not");
                let name = tokens.get(index + 1 + usize::from(skip)).filter(|name| name.kind == TokenKind::Name);
                if let Some(name) = name.filter(|name| !exists("test", word(name))) {
                    return Err(unknown("test", word(name), name.at.clone()));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn unknown(what: &str, name: &str, at: Range<usize>) -> SyntaxError {
    let nearest = suggest::nearest(name, KNOWN.split_whitespace());
    let hint = nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"));
    SyntaxError { message: format!("No {what} named '{name}'.{hint}"), at }
}

/// The variables that a caller may give, each with its first place.
pub(super) fn variables(
    source: &str,
    undeclared: &HashSet<String>,
    tokens: &[&[Token]],
) -> Vec<(Arc<str>, Range<usize>)> {
    let mut found: Vec<(Arc<str>, Range<usize>)> = Vec::new();
    for tag in tokens {
        for (index, token) in tag.iter().enumerate() {
            let name = &source[token.at.clone()];
            let before = index.checked_sub(1).map(|index| tag[index].kind);
            let is_keyword = tag.get(index + 1).is_some_and(|next| next.kind == TokenKind::Sign("="))
                && matches!(before, Some(TokenKind::Sign("(" | ",")));
            let is_variable = token.kind == TokenKind::Name
                && !matches!(before, Some(TokenKind::Sign("." | "|")))
                && !is_keyword
                && undeclared.contains(name)
                && !name.starts_with("__")
                && !GLOBALS.contains(&name);
            if is_variable && !found.iter().any(|(known, _)| **known == *name) {
                found.push((name.into(), token.at.clone()));
            }
        }
    }
    found
}
