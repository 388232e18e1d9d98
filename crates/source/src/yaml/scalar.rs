//! What a scalar's text means: YAML 1.2 as ruamel's default resolver reads it.

use sluicegate_value::{BigInt, Value};

/// Beyond this many hexadecimal, octal or binary digits a number stays text: converting them is quadratic.
const MAX_DIGITS: usize = 2_000;

/// The value of an unquoted scalar without a tag.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => number(text).unwrap_or_else(|| Value::from(text)),
    }
}

/// The value of a scalar with a tag of YAML's core schema (`str`, `int`, …); `None` if its text does not fit the tag.
pub(super) fn tagged(tag: &str, text: &str) -> Option<Value> {
    match tag {
        "str" => Some(Value::from(text)),
        "null" => plain(text).is_null().then_some(Value::Null),
        "bool" => plain(text).as_bool().map(Value::Bool),
        "int" => integer(text),
        "float" => float(text).or_else(|| match integer(text)? {
            Value::Int(number) => Some(Value::Float(number as f64)),
            Value::BigInt(number) => Some(Value::Float(number.to_f64())),
            _ => None,
        }),
        _ => None,
    }
}

fn number(text: &str) -> Option<Value> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.')) {
        return None;
    }
    integer(text).or_else(|| float(text))
}

fn unsigned(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

/// `12`, `-1_000`, `010` (ten), `0o17`, `0x1F`, `0b11`.
fn integer(text: &str) -> Option<Value> {
    let (negative, digits) = unsigned(text);
    let based = |prefix: &str, base: u32| digits.strip_prefix(prefix).map(|digits| (digits, base));
    if let Some((digits, base)) = based("0x", 16).or_else(|| based("0o", 8)).or_else(|| based("0b", 2)) {
        return in_base(negative, digits, base);
    }
    // A leading underscore makes it text, as only digits and signs start a number.
    if !digits.as_bytes().first()?.is_ascii_digit() || !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
    {
        return None;
    }
    if digits.contains('_') { BigInt::parse(&text.replace('_', "")) } else { BigInt::parse(text) }
}

fn in_base(negative: bool, digits: &str, base: u32) -> Option<Value> {
    if digits.len() > MAX_DIGITS {
        return None;
    }
    // Base 10^9, least part first, multiplied and added to digit by digit.
    let mut parts: Vec<u64> = vec![0];
    let mut any = false;
    for character in digits.chars().filter(|character| *character != '_') {
        any = true;
        let mut carry = u64::from(character.to_digit(base)?);
        for part in &mut parts {
            let sum = *part * u64::from(base) + carry;
            *part = sum % 1_000_000_000;
            carry = sum / 1_000_000_000;
        }
        if carry > 0 {
            parts.push(carry);
        }
    }
    if !any {
        return None;
    }
    let mut decimal = String::from(if negative { "-" } else { "" });
    for (place, part) in parts.iter().rev().enumerate() {
        decimal += &if place == 0 { part.to_string() } else { format!("{part:09}") };
    }
    BigInt::parse(&decimal)
}

/// `1.5`, `1.`, `.5`, `1e3`, `-.inf`, `.nan`.
fn float(text: &str) -> Option<Value> {
    let (negative, rest) = unsigned(text);
    match rest {
        ".inf" | ".Inf" | ".INF" => {
            return Some(Value::Float(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
        }
        ".nan" | ".NaN" | ".NAN" => return (rest.len() == text.len()).then_some(Value::Float(f64::NAN)),
        _ => {}
    }
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    if let Some(exponent) = exponent {
        let (_, digits) = unsigned(exponent);
        let signed = digits.len() < exponent.len();
        // ruamel asks for a sign in the exponent of `.5e+3`, and only there.
        if digits.is_empty()
            || !digits.bytes().all(|byte| byte.is_ascii_digit())
            || (mantissa.starts_with('.') && !signed)
        {
            return None;
        }
    }
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits_or_underscores = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !digits_or_underscores(whole) || !fraction.is_none_or(digits_or_underscores) || whole.starts_with('_') {
        return None;
    }
    let has_digits = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    if !has_digits || (fraction.is_none() && exponent.is_none()) {
        return None;
    }
    text.replace('_', "").parse().ok().map(Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_plain(text: &str, json: &str, kind: &str) {
        let value = plain(text);
        assert_eq!((value.to_json().as_str(), value.type_name()), (json, kind), "{text}");
    }

    #[test]
    fn only_true_and_false_are_booleans() {
        for (text, json) in [("true", "true"), ("False", "false"), ("TRUE", "true")] {
            check_plain(text, json, "bool");
        }
        for text in ["yes", "no", "on", "off", "y", "n", "tRUE"] {
            check_plain(text, &format!("\"{text}\""), "str");
        }
    }

    #[test]
    fn nothing_has_four_spellings() {
        for text in ["", "~", "null", "Null", "NULL"] {
            check_plain(text, "null", "NoneType");
        }
        check_plain("nULL", "\"nULL\"", "str");
        check_plain("none", "\"none\"", "str");
    }

    #[test]
    fn integers_are_decimal_unless_they_say_otherwise() {
        for (text, json) in [
            ("0", "0"),
            ("010", "10"),
            ("-010", "-10"),
            ("+7", "7"),
            ("1_000", "1000"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("-0x1f", "-31"),
            ("0b101", "5"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"),
            ("-99999999999999999999999999", "-99999999999999999999999999"),
            ("0xFFFFFFFFFFFFFFFFFF", "4722366482869645213695"),
            ("0x8000000000000000000000000000000000", "43556142965880123323311949751266331066368"),
        ] {
            check_plain(text, json, "int");
        }
        for text in ["0x", "0xg", "0o8", "_1", "+", "-", "-_1", "1a", "0b2", "0o_", "1:30", "1 2"] {
            check_plain(text, &format!("\"{text}\""), "str");
        }
    }

    #[test]
    fn floats_have_a_point_or_an_exponent() {
        for (text, number) in [
            ("1e3", 1e3),
            ("1.", 1.0),
            (".5", 0.5),
            ("-1.5E-3", -1.5e-3),
            ("1_0.5", 10.5),
            ("-.inf", f64::NEG_INFINITY),
        ] {
            assert!(matches!(plain(text), Value::Float(read) if read == number), "{text}");
        }
        assert!(matches!(plain(".nan"), Value::Float(number) if number.is_nan()));
        for text in [".", "-.nan", "1e", "e3", ".e3", ".5e3", "1.2.3", "nan", "inf", "infinity", "._", "-"] {
            check_plain(text, &format!("\"{text}\""), "str");
        }
    }

    #[test]
    fn dates_and_times_stay_text() {
        for text in ["2024-01-02", "2024-01-02T03:04:05Z", "12:30", "2024-06-01-preview"] {
            check_plain(text, &format!("\"{text}\""), "str");
        }
    }

    #[test]
    fn a_tag_decides_over_the_looks() {
        assert_eq!(tagged("str", "5").unwrap().to_json(), "\"5\"");
        assert_eq!(tagged("int", "5").unwrap().to_json(), "5");
        assert_eq!(tagged("float", "5").unwrap().type_name(), "float");
        assert_eq!(tagged("bool", "true").unwrap().to_json(), "true");
        assert!(tagged("int", "five").is_none());
        assert!(tagged("binary", "aGk=").is_none());
    }
}
