//! Integers beyond 64 bits, kept as digits: they travel and compare, nobody here computes with them.

use std::fmt;
use std::sync::Arc;

use crate::Value;

/// An integer outside of `i64`, as canonical decimal digits (no `+`, no leading zero).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(Arc<str>);

impl BigInt {
    /// Reads decimal digits with an optional sign into the smallest kind of integer [`Value`] that holds them.
    ///
    /// Returns `None` if `text` is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Value> {
        let (negative, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        if let Ok(small) = text.parse::<i64>() {
            return Some(Value::Int(small));
        }
        let digits = digits.trim_start_matches('0');
        let canonical = if negative { format!("-{digits}") } else { digits.to_owned() };
        // "+9223372036854775807" and "-000…1" have an i64 once they are canonical.
        Some(canonical.parse::<i64>().map_or_else(|_| Value::BigInt(Self(canonical.into())), Value::Int))
    }

    /// The whole part of a finite float as an integer [`Value`], exact at any size, as Python's `int(v)`.
    ///
    /// Returns `None` for `nan` and infinities.
    #[must_use]
    pub fn truncate(number: f64) -> Option<Value> {
        number.is_finite().then(|| Self::parse(&format!("{:.0}", number.trunc()))).flatten()
    }

    /// The canonical digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest float; infinite where there is none.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl From<u64> for BigInt {
    fn from(number: u64) -> Self {
        Self(number.to_string().into())
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let value = BigInt::parse(text).map(|value| value.to_json());
        assert_eq!(value.as_deref().unwrap_or("-"), expected, "{text}");
    }

    #[test]
    fn digits_become_the_smallest_kind_of_integer() {
        check("0", "0");
        check("-0", "0");
        check("007", "7");
        check("9223372036854775807", "9223372036854775807");
        check("9223372036854775808", "9223372036854775808");
        check("-00100000000000000000000", "-100000000000000000000");
        check("+5", "5");
        check("", "-");
        check("-", "-");
        check("1.0", "-");
        assert!(matches!(BigInt::parse("9223372036854775808"), Some(Value::BigInt(_))));
        assert!(matches!(BigInt::parse("+000000000000000000000000000001"), Some(Value::Int(1))));
    }

    #[test]
    fn a_float_truncates_exactly() {
        assert_eq!(BigInt::truncate(7.9), Some(Value::Int(7)));
        assert_eq!(BigInt::truncate(-7.9), Some(Value::Int(-7)));
        assert_eq!(BigInt::truncate(1e23).map(|value| value.to_json()).as_deref(), Some("99999999999999991611392"));
        assert_eq!(BigInt::truncate(f64::NAN), None);
    }
}
