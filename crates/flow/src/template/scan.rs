//! Where text ends and tags begin in a template's source, and which words and signs stand in a tag.
//!
//! Only what [`super::rewrite`] must know to put things in at the right places: minijinja does the parsing. The text's
//! edges follow jinja2's whitespace control, for a header is a header only if its line breaks are printed.

use std::ops::Range;

/// What a template consists of; comments are left out.
pub(super) enum Piece {
    /// Text; only this part of it is printed.
    Text(Range<usize>),
    /// `{{ … }}`.
    Print(Tag),
    /// `{% … %}`.
    Block(Tag),
}

/// A tag.
pub(super) struct Tag {
    /// All of it.
    pub(super) outer: Range<usize>,
    /// What stands in it, without the signs of whitespace control.
    pub(super) inner: Range<usize>,
    /// The words and signs in it.
    pub(super) tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) at: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Name,
    Text,
    Number,
    Sign(&'static str),
}

/// Something that is no template, and where.
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) at: Range<usize>,
}

/// How deep brackets may nest: what reads them is recursive.
const DEPTH: usize = 60;

/// How many operators, dots, calls and filters may follow one another: they nest when they are parsed.
const CHAIN: usize = 60;
/// How many of them in all, from the outermost bracket to the innermost.
const NESTED_CHAINS: usize = 70;

/// Longer signs first, so that `**` is not two `*`.
const SIGNS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

pub(super) struct Scanner<'a> {
    source: &'a str,
    at: usize,
    trim_blocks: bool,
    pieces: Vec<Piece>,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(source: &'a str, trim_blocks: bool) -> Self {
        Self { source, at: 0, trim_blocks, pieces: Vec::new() }
    }

    /// Cuts the whole source.
    pub(super) fn pieces(mut self) -> Result<Vec<Piece>, SyntaxError> {
        loop {
            let Some((begin, kind)) = next_tag(self.source, self.at) else {
                self.text(self.at, self.source.len());
                return Ok(self.pieces);
            };
            let control = self.byte(begin + 2);
            self.text(self.at, if control == b'-' { self.trimmed_end(self.at, begin) } else { begin });
            self.at = begin + 2 + usize::from(matches!(control, b'-' | b'+'));
            match kind {
                b'#' => self.comment(begin)?,
                b'{' => {
                    let tag = self.tag(begin, "}}")?;
                    self.close(tag.outer.end, false);
                    self.pieces.push(Piece::Print(tag));
                }
                _ if self.is_raw() => self.raw(begin)?,
                _ => {
                    let tag = self.tag(begin, "%}")?;
                    self.close(tag.outer.end, true);
                    self.pieces.push(Piece::Block(tag));
                }
            }
        }
    }

    /// The tokens of an expression that stands alone.
    pub(super) fn expression(mut self) -> Result<Vec<Token>, SyntaxError> {
        let tokens = self.tag(0, "").map_err(|error| SyntaxError {
            // An expression that stands alone has nothing around it to set a variable in.
            message: error.message.replace(" with `{% set %}`", ": let a node before it compute a part"),
            ..error
        })?;
        Ok(tokens.tokens)
    }

    fn byte(&self, at: usize) -> u8 {
        self.source.as_bytes().get(at).copied().unwrap_or(b' ')
    }

    fn trimmed_end(&self, start: usize, end: usize) -> usize {
        start + self.source[start..end].trim_end().len()
    }

    fn error(&self, at: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError { message: message.into(), at: at..(at + 1).min(self.source.len()) }
    }

    fn text(&mut self, start: usize, end: usize) {
        if start < end {
            self.pieces.push(Piece::Text(start..end));
        }
    }

    fn comment(&mut self, begin: usize) -> Result<(), SyntaxError> {
        let Some(length) = self.source[self.at..].find("#}") else {
            return Err(self.error(begin, "Missing end of comment tag"));
        };
        let end = self.at + length + 2;
        self.close(end, true);
        Ok(())
    }

    fn is_raw(&self) -> bool {
        let rest = self.source[self.at..].trim_start().strip_prefix("raw").map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with("%}") || rest.starts_with("-%}"))
    }

    fn raw(&mut self, begin: usize) -> Result<(), SyntaxError> {
        let open = self.source[self.at..].find("%}").map_or(self.source.len(), |length| self.at + length + 2);
        self.close(open, false);
        let start = self.at;
        let mut search = start;
        loop {
            let Some(length) = self.source[search..].find("{%") else {
                return Err(self.error(begin, "Missing end of raw directive"));
            };
            let tag = search + length;
            let control = self.byte(tag + 2);
            let inner = tag + 2 + usize::from(matches!(control, b'-' | b'+'));
            let after = self.source[inner..].trim_start().strip_prefix("endraw").map(str::trim_start);
            let after = after.map(|after| after.strip_prefix(['-', '+']).unwrap_or(after));
            if let Some(rest) = after.and_then(|after| after.strip_prefix("%}")) {
                self.text(start, if control == b'-' { self.trimmed_end(start, tag) } else { tag });
                self.close(self.source.len() - rest.len(), true);
                return Ok(());
            }
            search = tag + 2;
        }
    }

    /// Goes behind a tag that ends at `end`, with what its last sign says of the whitespace there.
    fn close(&mut self, end: usize, is_block: bool) {
        self.at = end;
        match self.byte(end.saturating_sub(3)) {
            b'-' => self.blanks(),
            b'+' => {}
            _ if is_block && self.trim_blocks => {
                let rest = &self.source[end..];
                self.at +=
                    ["\r\n", "\n", "\r"].iter().find(|line| rest.starts_with(**line)).map_or(0, |line| line.len());
            }
            _ => {}
        }
    }

    fn blanks(&mut self) {
        let rest = &self.source[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn tag(&mut self, begin: usize, end: &'static str) -> Result<Tag, SyntaxError> {
        let inner = self.at;
        let mut tokens: Vec<Token> = Vec::new();
        let mut open: Vec<&'static str> = Vec::new();
        let mut chains = vec![0_usize];
        loop {
            let before = self.at;
            self.blanks();
            let rest = &self.source[self.at..];
            if rest.is_empty() && end.is_empty() && open.is_empty() {
                return Ok(Tag { outer: begin..self.at, inner: inner..before, tokens });
            }
            if rest.is_empty() {
                let wanted = match end {
                    "}}" => "end of print statement",
                    "%}" => "end of statement block",
                    _ => open.last().unwrap_or(&"an operand"),
                };
                return Err(self.error(begin, format!("unexpected end of template, expected '{wanted}'.")));
            }
            let sign = usize::from(rest.starts_with('-') || (end == "%}" && rest.starts_with('+')));
            if open.is_empty() && !end.is_empty() && rest[sign..].starts_with(end) {
                self.at += sign + 2;
                return Ok(Tag { outer: begin..self.at, inner: inner..before, tokens });
            }
            let token = self.token()?;
            match token.kind {
                TokenKind::Sign("(" | "[" | "{") if open.len() >= DEPTH => {
                    return Err(SyntaxError { message: format!("brackets nest deeper than {DEPTH}"), at: token.at });
                }
                TokenKind::Sign("(") => open.push(")"),
                TokenKind::Sign("[") => open.push("]"),
                TokenKind::Sign("{") => open.push("}"),
                TokenKind::Sign(close @ (")" | "]" | "}")) => match open.pop() {
                    None => return Err(SyntaxError { message: format!("unexpected '{close}'"), at: token.at }),
                    Some(wanted) if wanted != close => {
                        let message = format!("unexpected '{close}', expected '{wanted}'");
                        return Err(SyntaxError { message, at: token.at });
                    }
                    Some(_) => {}
                },
                _ => {}
            }
            self.chain(&token, &mut chains)?;
            tokens.push(token);
        }
    }

    /// Counts the operators between two commas, at each level of brackets.
    fn chain(&self, token: &Token, chains: &mut Vec<usize>) -> Result<(), SyntaxError> {
        let is_operator = match token.kind {
            TokenKind::Sign("," | ":" | "=") => {
                chains.last_mut().into_iter().for_each(|chain| *chain = 0);
                false
            }
            TokenKind::Sign(")" | "]" | "}") => {
                chains.pop();
                false
            }
            TokenKind::Sign(_) => true,
            TokenKind::Name => {
                matches!(&self.source[token.at.clone()], "and" | "or" | "not" | "if" | "else" | "is" | "in")
            }
            _ => false,
        };
        if let Some(chain) = chains.last_mut().filter(|_| is_operator) {
            *chain += 1;
            let is_long = *chain > CHAIN;
            if is_long || chains.iter().sum::<usize>() > NESTED_CHAINS {
                let message =
                    format!("more than {CHAIN} operators in a row: take the expression apart with `{{% set %}}`");
                return Err(SyntaxError { message, at: token.at.clone() });
            }
        }
        if matches!(token.kind, TokenKind::Sign("(" | "[" | "{")) {
            chains.push(0);
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let start = self.at;
        let rest = &self.source[start..];
        let first = rest.chars().next().unwrap_or(' ');
        let (length, kind) = if first == '_' || first.is_alphabetic() {
            let end = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
            (end.unwrap_or(rest.len()), TokenKind::Name)
        } else if first.is_ascii_digit() {
            (number_length(rest.as_bytes()), TokenKind::Number)
        } else if first == '"' || first == '\'' {
            let end = string_end(rest, first).ok_or_else(|| self.error(start, "this text has no closing quote"))?;
            (end, TokenKind::Text)
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            (sign.len(), TokenKind::Sign(sign))
        } else {
            return Err(self.error(start, format!("unexpected char '{first}'")));
        };
        self.at += length;
        Ok(Token { kind, at: start..self.at })
    }
}

/// Where the next tag opens, and with which sign.
fn next_tag(source: &str, from: usize) -> Option<(usize, u8)> {
    let mut from = from;
    loop {
        let at = from + source[from..].find('{')?;
        match source.as_bytes().get(at + 1) {
            Some(sign @ (b'{' | b'%' | b'#')) => return Some((at, *sign)),
            _ => from = at + 1,
        }
    }
}

fn string_end(rest: &str, quote: char) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return Some(index + 1);
        }
    }
    None
}

/// A number's length: a dot belongs to it only before a digit, so that `a.0.b` stays three parts.
fn number_length(rest: &[u8]) -> usize {
    let word = |from: usize| {
        rest.get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count()
    };
    let mut length = word(0);
    let plain = rest[..length].iter().all(|byte| byte.is_ascii_digit() || *byte == b'_');
    if plain && rest.get(length) == Some(&b'.') && rest.get(length + 1).is_some_and(u8::is_ascii_digit) {
        length += 1 + word(length + 1);
    }
    let is_exponent = matches!(rest.get(length.saturating_sub(1)), Some(b'e' | b'E')) && !rest.starts_with(b"0x");
    if is_exponent
        && matches!(rest.get(length), Some(b'+' | b'-'))
        && rest.get(length + 1).is_some_and(u8::is_ascii_digit)
    {
        length += 1 + word(length + 1);
    }
    length
}
