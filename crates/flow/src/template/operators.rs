//! `+`, `~`, `*` and `%` as filters.
//!
//! minijinja computes them where it likes: between constants while it compiles, before any budget counts. As filters
//! ([`super::arithmetic`]) they run when the template runs, are counted, and do what they do in Python: `'%s' % x`
//! fills in a text, and a float prints in `~` as anywhere.
//!
//! This walks a tag's tokens by precedence, no more: what an operand is, minijinja decides.

use super::rewrite::Edit;
use super::scan::{Token, TokenKind};

/// Puts the filters in. What does not read as an expression stays as it is, for minijinja to complain about.
pub(super) fn rewrite(source: &str, tokens: &[Token], edits: &mut Vec<Edit>) {
    let mut walk = Walk { source, tokens, at: 0, edits: Vec::new() };
    while walk.at < tokens.len() {
        let before = walk.at;
        walk.sum();
        // A keyword, a comparison or a comma.
        if walk.at == before {
            walk.at += 1;
        }
    }
    edits.append(&mut walk.edits);
}

struct Walk<'a> {
    source: &'a str,
    tokens: &'a [Token],
    at: usize,
    edits: Vec<Edit>,
}

/// Words that end an operand.
const KEYWORDS: [&str; 8] = ["if", "else", "and", "or", "not", "in", "is", "recursive"];

impl Walk<'_> {
    fn sign(&self) -> &'static str {
        match self.tokens.get(self.at).map(|token| token.kind) {
            Some(TokenKind::Sign(sign)) => sign,
            _ => "",
        }
    }

    fn word(&self) -> &str {
        match self.tokens.get(self.at) {
            Some(token) if token.kind == TokenKind::Name => &self.source[token.at.clone()],
            _ => "",
        }
    }

    fn sum(&mut self) -> bool {
        self.chain(&["+", "-"], Self::concat)
    }

    fn concat(&mut self) -> bool {
        self.chain(&["~"], Self::product)
    }

    fn product(&mut self) -> bool {
        self.chain(&["*", "/", "//", "%"], Self::power)
    }

    fn power(&mut self) -> bool {
        self.chain(&["**"], Self::unary)
    }

    /// Operands with operators of one precedence between them: `a * b * c` becomes `((a )|__mul( b ))|__mul( c)`.
    fn chain(&mut self, signs: &[&str], operand: fn(&mut Self) -> bool) -> bool {
        let (first, place) = (self.at, self.edits.len());
        if !operand(self) {
            return false;
        }
        let mut filtered = 0;
        while signs.contains(&self.sign()) {
            let operator = self.at;
            let filter = match self.sign() {
                "+" => "__add",
                "~" => "__concat",
                "*" => "__mul",
                "%" => "__rem",
                _ => "",
            };
            self.at += 1;
            let inner = self.edits.len();
            if !operand(self) {
                break;
            }
            if !filter.is_empty() {
                filtered += 1;
                let sign = &self.tokens[operator].at;
                self.edits.insert(inner, Edit::replace(sign.clone(), format!(")|{filter}(")));
                self.edits.push(Edit::insert(self.tokens[self.at - 1].at.end, ")"));
            }
        }
        if filtered > 0 {
            self.edits.insert(place, Edit::insert(self.tokens[first].at.start, "(".repeat(filtered)));
        }
        true
    }

    fn unary(&mut self) -> bool {
        while matches!(self.sign(), "-" | "+") {
            // minijinja has no unary plus.
            if self.sign() == "+" {
                self.edits.push(Edit::replace(self.tokens[self.at].at.clone(), ""));
            }
            self.at += 1;
        }
        if !self.primary() {
            return false;
        }
        loop {
            match self.sign() {
                "." => {
                    self.at += 2;
                }
                "(" | "[" => self.brackets(),
                "|" => {
                    self.at += 2;
                    while self.sign() == "." {
                        self.at += 2;
                    }
                }
                _ if self.word() == "is" => self.test(),
                _ => break,
            }
        }
        self.at = self.at.min(self.tokens.len());
        true
    }

    fn primary(&mut self) -> bool {
        match self.tokens.get(self.at).map(|token| token.kind) {
            Some(TokenKind::Sign("(" | "[" | "{")) => self.brackets(),
            Some(TokenKind::Text) => {
                while self.tokens.get(self.at).is_some_and(|token| token.kind == TokenKind::Text) {
                    self.at += 1;
                }
            }
            Some(TokenKind::Number) => self.at += 1,
            Some(TokenKind::Name) if !KEYWORDS.contains(&self.word()) => self.at += 1,
            _ => return false,
        }
        true
    }

    /// `is not divisibleby 3`.
    fn test(&mut self) {
        self.at += 1;
        if self.word() == "not" {
            self.at += 1;
        }
        self.at += 1;
        if self.sign() != "(" {
            self.primary();
        }
    }

    /// Everything up to the bracket that closes the one here. The scanner has seen that they match, and how deep.
    fn brackets(&mut self) {
        self.at += 1;
        while self.at < self.tokens.len() {
            let before = self.at;
            match self.sign() {
                ")" | "]" | "}" => {
                    self.at += 1;
                    return;
                }
                // A star before an argument is no operator.
                "*" | "**" => self.at += 1,
                _ => {
                    self.sum();
                }
            }
            if self.at == before {
                self.at += 1;
            }
        }
    }
}
