//! JSON in and out, with what Python's `json` adds: `NaN`, `Infinity`, integers of any size; the last of two equal
//! keys wins.
//!
//! Our own, for two reasons that a library does not serve: an input of type `list` or `object` must be read exactly
//! as `json.loads` reads it, and `1` and `1.0` must leave as they came.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::{BigInt, Map, Value};

/// How deep lists and maps may nest; beyond it reading fails, so that hostile text cannot exhaust the stack.
pub const MAX_DEPTH: usize = 128;

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line} column {column}")]
pub struct JsonError {
    /// What was wrong, as a fragment: "expected `,` or `]`".
    pub message: String,
    /// Byte offset in the text.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Reads one JSON value; blanks around it are allowed.
///
/// # Errors
/// Text that Python's `json.loads` would refuse, or that nests deeper than [`MAX_DEPTH`].
pub fn read(text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    reader.blanks();
    let value = reader.value(0)?;
    reader.blanks();
    if reader.at < text.len() {
        return Err(reader.error("more text after the value"));
    }
    Ok(value)
}

impl Value {
    /// Compact JSON. `nan` and infinities are written bare, as Python does; a blob as prompt flow's
    /// `{"data:image/png;base64": "…"}`; a handle as the text of its preview.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write(self, &mut out, None, 0);
        out
    }

    /// JSON on several lines, indented by two.
    #[must_use]
    pub fn to_json_pretty(&self) -> String {
        let mut out = String::new();
        write(self, &mut out, Some(2), 0);
        out
    }
}

/// The bytes that a JSON string does not hold as they are.
const NEEDS_ESCAPE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// Writes `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    while let Some(next) = bytes[copied..].iter().position(|byte| NEEDS_ESCAPE[usize::from(*byte)]) {
        let index = copied + next;
        let byte = bytes[index];
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            _ => "",
        };
        out.push_str(&text[copied..index]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        copied = index + 1;
    }
    out.push_str(&text[copied..]);
    out.push('"');
}

fn write(value: &Value, out: &mut String, indent: Option<usize>, level: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::BigInt(number) => out.push_str(number.as_str()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Str(text) => write_string(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index, indent, level + 1);
                write(item, out, indent, level + 1);
            }
            close(out, items.is_empty(), indent, level);
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                separate(out, index, indent, level + 1);
                write_string(key, out);
                out.push_str(if indent.is_some() { ": " } else { ":" });
                write(item, out, indent, level + 1);
            }
            close(out, map.is_empty(), indent, level);
            out.push('}');
        }
        Value::Blob(blob) => {
            let (kind, text) = match (&blob.source, blob.to_base64()) {
                (crate::BlobSource::Url(url), _) => ("url", url.to_string()),
                (_, Some(base64)) => ("base64", base64),
                (_, None) => ("sha256", blob.hash.to_string()),
            };
            let entry = Map::from([(format!("data:{};{kind}", blob.mime), text)]);
            write(&Value::from(entry), out, indent, level);
        }
        Value::Handle(handle) => match &handle.json {
            Some(json) => write(json, out, indent, level),
            None => write_string(&handle.preview, out),
        },
    }
}

fn separate(out: &mut String, index: usize, indent: Option<usize>, level: usize) {
    if index > 0 {
        out.push(',');
    }
    if let Some(width) = indent {
        let _ = write!(out, "\n{:1$}", "", width * level);
    }
}

fn close(out: &mut String, empty: bool, indent: Option<usize>, level: usize) {
    if let (false, Some(width)) = (empty, indent) {
        let _ = write!(out, "\n{:1$}", "", width * level);
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        crate::python::float_repr(number)
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, message: impl Into<String>) -> JsonError {
        let before = &self.text[..self.text.floor_char_boundary(self.at)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        JsonError {
            message: message.into(),
            offset: self.at,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.text[self.at..].starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("lists and maps nest deeper than {MAX_DEPTH}")));
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::from),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') if self.word("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.word("false") => Ok(Value::Bool(false)),
            Some(b'n') if self.word("null") => Ok(Value::Null),
            Some(b'N') if self.word("NaN") => Ok(Value::Float(f64::NAN)),
            Some(b'I') if self.word("Infinity") => Ok(Value::Float(f64::INFINITY)),
            Some(_) => Err(self.error("expected a JSON value")),
            None => Err(self.error("the text ends where a JSON value should begin")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.blanks();
        if self.word("]") {
            return Ok(Value::from(items));
        }
        loop {
            self.blanks();
            items.push(self.value(depth + 1)?);
            self.blanks();
            if self.word("]") {
                return Ok(Value::from(items));
            }
            if !self.word(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut map = Map::new();
        self.blanks();
        if self.word("}") {
            return Ok(Value::from(map));
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in double quotes"));
            }
            let key = self.string()?;
            self.blanks();
            if !self.word(":") {
                return Err(self.error("expected `:` after a key"));
            }
            self.blanks();
            map.insert(key, self.value(depth + 1)?);
            self.blanks();
            if self.word("}") {
                return Ok(Value::from(map));
            }
            if !self.word(",") {
                return Err(self.error("expected `,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.word("-Infinity") {
            return Ok(Value::Float(f64::NEG_INFINITY));
        }
        self.word("-");
        let digits = self.at;
        self.digits();
        if self.at == digits || (self.at - digits > 1 && self.text.as_bytes()[digits] == b'0') {
            self.at = digits;
            return Err(self.error("expected a number"));
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            whole = false;
            if self.digits() == 0 {
                return Err(self.error("expected a digit after `.`"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            whole = false;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.error("expected a digit in the exponent"));
            }
        }
        let text = &self.text[start..self.at];
        if whole && text != "-0" {
            return BigInt::parse(text).ok_or_else(|| self.error("expected a number"));
        }
        if whole {
            return Ok(Value::Int(0));
        }
        text.parse().map(Value::Float).map_err(|_| self.error("expected a number"))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Result<Arc<str>, JsonError> {
        self.at += 1;
        let start = self.at;
        // Most strings have no escape: then the text is taken as it stands.
        let rest = &self.text.as_bytes()[start..];
        if let Some(end) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
            && rest[end] == b'"'
        {
            self.at = start + end + 1;
            return Ok(self.text[start..start + end].into());
        }
        let mut out = String::new();
        loop {
            let Some(letter) = self.text[self.at..].chars().next() else {
                return Err(self.error("the text ends inside a string"));
            };
            match letter {
                '"' => {
                    self.at += 1;
                    return Ok(out.into());
                }
                '\\' => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                '\0'..'\x20' => return Err(self.error("a control character inside a string must be escaped")),
                _ => {
                    self.at += letter.len_utf8();
                    out.push(letter);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.peek().ok_or_else(|| self.error("the text ends inside a string"))?;
        let plain = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.error("unknown escape in a string")),
        };
        self.at += 1;
        Ok(plain)
    }

    /// Reads the hex digits after `\u`; half of a surrogate pair becomes U+FFFD, since text here is always valid.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let high = self.hex4()?;
        if (0xd800..0xdc00).contains(&high) {
            let back = self.at;
            if self.word("\\u") {
                let low = self.hex4()?;
                if (0xdc00..0xe000).contains(&low) {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at = back;
            }
        }
        Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let code = self
            .text
            .get(self.at..self.at + 4)
            .filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|hex| u32::from_str_radix(hex, 16).ok())
            .ok_or_else(|| self.error("expected four hex digits after `\\u`"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = read(text).map_or_else(|error| format!("error: {error}"), |value| value.to_json());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn what_python_reads_is_read() {
        check(" [1, 1.0, -0, 1e3, 1E-7, true, null] ", "[1,1.0,0,1000.0,1e-07,true,null]");
        check("[NaN, Infinity, -Infinity]", "[NaN,Infinity,-Infinity]");
        check("123456789012345678901234567890", "123456789012345678901234567890");
        check("{\"a\": 1, \"a\": 2}", "{\"a\":2}");
        check(r#""\u00e9\ud83d\ude00\/\n""#, "\"é😀/\\n\"");
        check(r#""\ud83d!""#, "\"\u{fffd}!\"");
        check("1e999", "Infinity");
    }

    #[test]
    fn what_python_refuses_is_refused_with_its_place() {
        check("", "error: the text ends where a JSON value should begin at line 1 column 1");
        check("[1,\n 2,]", "error: expected a JSON value at line 2 column 4");
        check("{'a': 1}", "error: expected a key in double quotes at line 1 column 2");
        check("01", "error: expected a number at line 1 column 1");
        check("1 2", "error: more text after the value at line 1 column 3");
        check("\"a\nb\"", "error: a control character inside a string must be escaped at line 1 column 3");
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn pretty_is_what_a_person_expects() {
        let value = read(r#"{"a":[1,{"b":[]}],"c":{}}"#).expect("valid");
        assert_eq!(
            value.to_json_pretty(),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}"
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn strings_come_back(text in ".*") {
            let written = Value::from(text.as_str()).to_json();
            prop_assert_eq!(read(&written), Ok(Value::from(text.as_str())));
            let other: String = serde_json::from_str(&written).expect("serde_json reads it too");
            prop_assert_eq!(other, text);
        }

        #[test]
        fn floats_come_back(number in any::<f64>()) {
            prop_assert_eq!(read(&Value::from(number).to_json()), Ok(Value::from(number)));
        }
    }
}
