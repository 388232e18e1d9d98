//! Printing as Python prints: `str()` and `repr()`.

use std::fmt::Write as _;

use crate::Value;

/// What `str(value)` gives: text as it is, everything else as [`repr`].
#[must_use]
pub fn str(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => repr(other),
    }
}

/// What `repr(value)` gives: `True`, `None`, `1.0`, `'text'`, `['a', 1]`, `{'k': 'v'}`.
#[must_use]
pub fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(value, &mut out);
    out
}

/// Writes `repr(value)`.
pub fn write_repr(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(yes) => out.push_str(if *yes { "True" } else { "False" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::BigInt(number) => out.push_str(number.as_str()),
        Value::Float(number) => out.push_str(&float_repr(*number)),
        Value::Str(text) => write_string_repr(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_repr(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                write_string_repr(key, out);
                out.push_str(": ");
                write_repr(item, out);
            }
            out.push('}');
        }
        Value::Blob(blob) => out.push_str(&blob.python_str()),
        Value::Handle(handle) => out.push_str(&handle.preview),
    }
}

/// What `repr(float)` gives: the shortest digits that come back, `1e+16` from ten to the sixteenth on, `1e-05` below
/// a ten-thousandth, `nan`, `inf`.
#[must_use]
pub fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() };
    }
    if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
        let plain = format!("{number}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    // Rust writes 1e16 and 1.5e-7 where Python writes 1e+16 and 1.5e-07.
    let short = format!("{number:e}");
    match short.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => short,
    }
}

/// Writes `repr(text)`: single quotes unless the text has one and no double quote; what does not print is escaped.
pub fn write_string_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if letter == quote => {
                out.push('\\');
                out.push(letter);
            }
            ' '..='~' => out.push(letter),
            _ if is_printable(letter) => out.push(letter),
            _ => {
                let code = u32::from(letter);
                let _ = match code {
                    0..0x100 => write!(out, "\\x{code:02x}"),
                    0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push(quote);
}

/// Python's `isprintable` of one character: Rust's debug escaping follows the same Unicode categories. The letter
/// stands second, since a first one would be escaped for being a combining mark too.
fn is_printable(letter: char) -> bool {
    let pair: String = ['a', letter].iter().collect();
    pair.escape_debug().nth(1) != Some('\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn check(json: &str, expected: &str) {
        assert_eq!(repr(&json::read(json).expect(json)), expected, "{json}");
    }

    #[test]
    fn values_print_as_in_python() {
        check("[true, null, 1, 1.0, \"a\"]", "[True, None, 1, 1.0, 'a']");
        check("{\"k\": {\"n\": [1.5]}}", "{'k': {'n': [1.5]}}");
        check("\"it's\"", "\"it's\"");
        check("\"it's \\\"so\\\"\"", "'it\\'s \"so\"'");
        check("\"a\\nb\\u0001\\u00a0é你e\\u0301\\ue000\\ud83d\\ude00\"", "'a\\nb\\x01\\xa0é你e\u{301}\\ue000😀'");
        check("[NaN, -Infinity]", "[nan, -inf]");
    }

    #[test]
    fn floats_print_as_in_python() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (1.5e-5, "1.5e-05"),
            (1e-100, "1e-100"),
            (123_456.789, "123456.789"),
        ] {
            assert_eq!(float_repr(number), expected);
        }
    }
}
