//! JSON compared as data.

use sluicegate_value::Value;
use sluicegate_value::json::{JsonError, read};

/// Whether two values are the same JSON: keys in any order, items of lists in theirs, and numbers by their value, so
/// that `1`, `1.0` and `1e0` are equal (JSON itself does not tell them apart, and models write either). A boolean is no
/// number, `"1"` is no number, and `nan`, which JSON lacks, equals nothing.
#[must_use]
pub fn json_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| json_equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| json_equal(value, other)))
        }
        // Python's `==` takes true for 1; for all else it is what is wanted here.
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Bool(_), _) | (_, Value::Bool(_)) => false,
        _ => a.python_eq(b),
    }
}

/// Compares two texts that should be JSON.
///
/// # Errors
/// One of them is not JSON: that is for the caller to score, and not the same as different data.
pub fn json_texts_equal(a: &str, b: &str) -> Result<bool, JsonError> {
    Ok(json_equal(&read(a)?, &read(b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &str, b: &str, equal: bool) {
        assert_eq!(json_texts_equal(a, b), Ok(equal), "{a} {b}");
        assert_eq!(json_texts_equal(b, a), Ok(equal), "{b} {a}");
    }

    #[test]
    fn data_is_compared_and_not_its_spelling() {
        check(r#"{"a": 1, "b": [true, null]}"#, r#"{ "b":[true,null],"a":1.0 }"#, true);
        check("1", "1e0", true);
        check("0", "-0.0", true);
        check("9007199254740993", "9007199254740992.0", false);
        check(r#""é""#, r#""\u00e9""#, true);
    }

    #[test]
    fn kinds_are_told_apart() {
        check("1", "true", false);
        check("0", "false", false);
        check("[[1]]", "[[true]]", false);
        check("1", "\"1\"", false);
        check("null", "{}", false);
        check("[1, 2]", "[2, 1]", false);
        check("NaN", "NaN", false);
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        assert!(json_texts_equal("{", "{}").is_err());
    }
}
