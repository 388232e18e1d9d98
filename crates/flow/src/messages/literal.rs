//! Python's literals, as far as `ast.literal_eval` reads them and JSON can hold them: texts, numbers, `True`, `False`,
//! `None`, lists, tuples (which become lists) and dicts. No bytes, sets, complex numbers or f-strings.

use sluicegate_value::{BigInt, Map, Value};

/// How deep lists and dicts may nest, so that a hostile text cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

/// The list that a text begins with; whatever follows it is ignored. `None` if it begins with none.
pub(super) fn list(text: &str) -> Option<Value> {
    if !text.starts_with('[') {
        return None;
    }
    Reader { rest: text, depth: 0 }.value()
}

struct Reader<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self) -> Option<Value> {
        self.blanks();
        let first = self.rest.chars().next()?;
        match first {
            '[' | '(' | '{' => {
                if self.depth == MAX_DEPTH {
                    return None;
                }
                self.depth += 1;
                self.rest = self.rest.get(1..)?;
                let value = match first {
                    '[' => self.items(']').map(|(items, _)| Value::from(items)),
                    '(' => self.group(),
                    _ => self.dict(),
                };
                self.depth -= 1;
                value
            }
            '0'..='9' | '.' | '+' | '-' => self.number(),
            '"' | '\'' => self.text(),
            _ => self.word(),
        }
    }

    /// Items up to the closing sign, and whether a comma stood among them.
    fn items(&mut self, close: char) -> Option<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.eat(close) {
                return Some((items, comma));
            }
            items.push(self.value()?);
            if self.eat(',') {
                comma = true;
            } else if !self.eat(close) {
                return None;
            } else {
                return Some((items, comma));
            }
        }
    }

    /// A tuple, or a value in parentheses.
    fn group(&mut self) -> Option<Value> {
        let (mut items, comma) = self.items(')')?;
        if items.len() == 1 && !comma { items.pop() } else { Some(items.into()) }
    }

    fn dict(&mut self) -> Option<Value> {
        let mut map = Map::new();
        loop {
            if self.eat('}') {
                return Some(map.into());
            }
            let key = match self.value()? {
                Value::Str(text) => text,
                // What JSON makes of such keys.
                key @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::BigInt(_) | Value::Float(_)) => {
                    key.to_json().into()
                }
                _ => return None,
            };
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            map.insert(key, value);
            if !self.eat(',') {
                return self.eat('}').then(|| map.into());
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let mut negative = false;
        while let Some(sign) = self.rest.chars().next().filter(|sign| matches!(sign, '+' | '-')) {
            negative ^= sign == '-';
            self.rest = self.rest.get(1..)?;
            self.blanks();
        }
        let bytes = self.rest.as_bytes();
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let after_exponent = length > 0
                && matches!(bytes.get(length - 1), Some(b'e' | b'E'))
                && !self.rest.starts_with("0x")
                && !self.rest.starts_with("0X");
            if byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'.')
                || (after_exponent && matches!(byte, b'+' | b'-'))
            {
                length += 1;
            } else {
                break;
            }
        }
        let written = self.rest.get(..length)?;
        self.rest = self.rest.get(length..)?;
        number(written, negative)
    }

    /// One text, or several in a row, which Python joins.
    fn text(&mut self) -> Option<Value> {
        let mut text = self.one_text(false)?;
        loop {
            self.blanks();
            let raw = matches!(self.rest.as_bytes(), [b'r' | b'R', b'"' | b'\'', ..]);
            let prefixed = raw || matches!(self.rest.as_bytes(), [b'u' | b'U', b'"' | b'\'', ..]);
            if prefixed {
                self.rest = self.rest.get(1..)?;
            } else if !self.rest.starts_with(['"', '\'']) {
                return Some(text.into());
            }
            text.push_str(&self.one_text(raw)?);
        }
    }

    fn one_text(&mut self, raw: bool) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let triple: &str = if quote == '"' { "\"\"\"" } else { "'''" };
        let close = if self.rest.starts_with(triple) { triple } else { triple.get(..1)? };
        self.rest = self.rest.get(close.len()..)?;
        let mut text = String::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix(close) {
                self.rest = rest;
                return Some(text);
            }
            let letter = self.next()?;
            match letter {
                '\\' if raw => {
                    text.push('\\');
                    text.push(self.next()?);
                }
                '\\' => self.escape(&mut text)?,
                '\n' if close.len() == 1 => return None,
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let letter = self.next()?;
        match letter {
            '\n' => {}
            '\\' | '\'' | '"' => text.push(letter),
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            'x' => text.push(self.code(2)?),
            'u' => text.push(self.code(4)?),
            'U' => text.push(self.code(8)?),
            // The name of a character: we have no list of them.
            'N' => return None,
            '0'..='7' => {
                let mut code = letter.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|digit| digit.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    self.rest = self.rest.get(1..)?;
                }
                text.push(char::from_u32(code)?);
            }
            other => {
                text.push('\\');
                text.push(other);
            }
        }
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let written = self.rest.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let code = u32::from_str_radix(written, 16).ok()?;
        self.rest = self.rest.get(digits..)?;
        // Half of a surrogate pair is no character here.
        Some(char::from_u32(code).unwrap_or('\u{fffd}'))
    }

    fn word(&mut self) -> Option<Value> {
        let length =
            self.rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(self.rest.len());
        let word = self.rest.get(..length)?;
        self.rest = self.rest.get(length..)?;
        match word {
            "True" => Some(true.into()),
            "False" => Some(false.into()),
            "None" => Some(Value::Null),
            "r" | "R" | "u" | "U" if self.rest.starts_with(['"', '\'']) => {
                let first = self.one_text(word.eq_ignore_ascii_case("r"))?;
                self.blanks();
                if self.rest.starts_with(['"', '\'']) {
                    let more = self.text()?;
                    return Some((first + more.as_str()?).into());
                }
                Some(first.into())
            }
            _ => None,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let letter = letters.next()?;
        self.rest = letters.as_str();
        Some(letter)
    }

    fn eat(&mut self, sign: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Blanks, comments and line ends within brackets; all that we read stands within brackets.
    fn blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.rest = self.rest.get(end..).unwrap_or("");
            } else if let Some(rest) = self.rest.strip_prefix("\\\n") {
                self.rest = rest;
            } else {
                return;
            }
        }
    }
}

fn number(written: &str, negative: bool) -> Option<Value> {
    if written.is_empty() || written.starts_with('_') || written.ends_with('_') || written.contains("__") {
        return None;
    }
    let digits = written.replace('_', "");
    let sign = if negative { "-" } else { "" };
    let radix = match digits.get(..2).unwrap_or("").to_ascii_lowercase().as_str() {
        "0x" => 16,
        "0o" => 8,
        "0b" => 2,
        _ => return decimal(&digits, sign),
    };
    let number = u64::from_str_radix(digits.get(2..)?, radix).ok()?;
    BigInt::parse(&format!("{sign}{number}"))
}

fn decimal(digits: &str, sign: &str) -> Option<Value> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        // Python refuses `017`, which was an octal number once.
        let canonical = digits.trim_start_matches('0');
        if canonical.len() != digits.len() && !canonical.is_empty() {
            return None;
        }
        let canonical = if canonical.is_empty() { "0" } else { canonical };
        return BigInt::parse(&format!("{sign}{canonical}"));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    format!("{sign}{digits}").parse::<f64>().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluicegate_value::python;

    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(list(text).map(|value| python::repr(&value)).as_deref(), expected, "{text}");
    }

    #[test]
    fn literals_are_read_as_python_reads_them() {
        check("[]", Some("[]"));
        check(
            "[1, -2, 0x10, 1_000, 1.5, 1e3, .5, True, None,]",
            Some("[1, -2, 16, 1000, 1.5, 1000.0, 0.5, True, None]"),
        );
        check("[{'a': [1], \"b\": ('x',), 1: ()}] and more", Some("[{'a': [1], 'b': ['x'], '1': []}]"));
        check(
            r"['it\'s', 'a' 'b', r'\n', u'\u00e9', '''x'y''', '\x41\101']",
            Some(r#"["it's", 'ab', '\\n', 'é', "x'y", 'AA']"#),
        );
        check("[ # a comment\n 1,\n (2) ]", Some("[1, 2]"));
        check("[99999999999999999999]", Some("[99999999999999999999]"));
    }

    #[test]
    fn what_is_no_literal_is_none() {
        for text in [
            "",
            "1",
            "[null]",
            "[1",
            "[1 2]",
            "[f'x']",
            "[b'x']",
            "[{1}]",
            "['a\nb']",
            "[017]",
            "[__import__('os')]",
            "[0x]",
            "[-]",
        ] {
            check(text, None);
        }
        check(&"[".repeat(100_000), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\[[\\[\\]{}(),:'\"\\\\a-z0-9_.+\\-#\n é]{0,60}") {
            let _ = list(&text);
        }

        #[test]
        fn what_python_prints_comes_back(texts in proptest::collection::vec(".*", 0..5), number: i64, float in -1e9..1e9f64) {
            let mut items: Vec<Value> = texts.into_iter().map(Value::from).collect();
            items.push(number.into());
            items.push(float.into());
            items.push(Map::from([("k", items.clone())]).into());
            let value = Value::from(items);
            prop_assert_eq!(list(&python::repr(&value)), Some(value));
        }
    }
}
