//! Two equalities: Rust's, for tests and maps, and Python's `==`, for conditions.

use std::sync::Arc;

use crate::{BigInt, Value};

impl Value {
    /// Python's `==`: `True == 1 == 1.0`, lists and dicts deeply, `nan` equals nothing, `"1"` is not `1`.
    #[must_use]
    pub fn python_eq(&self, other: &Value) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| identical_or_equal(a, b))
            }
            (Self::Map(a), Self::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| identical_or_equal(value, other)))
            }
            (Self::Blob(a), Self::Blob(b)) => a.hash == b.hash,
            (Self::Handle(a), Self::Handle(b)) => a == b,
            _ => match (Number::of(self), Number::of(other)) {
                (Some(a), Some(b)) => a.equals(&b),
                _ => false,
            },
        }
    }
}

/// Python compares the members of a container by identity first, so that a list equals itself though it holds `nan`.
fn identical_or_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(x), Value::List(y)) if Arc::ptr_eq(x, y) => true,
        _ => a.python_eq(b),
    }
}

/// A number as Python's numeric tower sees it; booleans are integers.
enum Number<'a> {
    Int(i64),
    Big(&'a BigInt),
    Float(f64),
}

impl<'a> Number<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(yes) => Some(Self::Int(i64::from(*yes))),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::BigInt(number) => Some(Self::Big(number)),
            Value::Float(number) => Some(Self::Float(*number)),
            _ => None,
        }
    }

    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Big(a), Self::Big(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Int(_), Self::Big(_)) | (Self::Big(_), Self::Int(_)) => false,
            // Exact, as in Python: 2**53 + 1 is not equal to the float that it would round to.
            (Self::Float(float), whole) | (whole, Self::Float(float)) => {
                float.fract() == 0.0
                    && match (BigInt::truncate(*float), whole) {
                        (Some(Value::Int(a)), Self::Int(b)) => a == *b,
                        (Some(Value::BigInt(a)), Self::Big(b)) => a == **b,
                        _ => false,
                    }
            }
        }
    }
}

pub(crate) fn structural(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::BigInt(a), Value::BigInt(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => a == b,
        (Value::Map(a), Value::Map(b)) => a == b,
        (Value::Blob(a), Value::Blob(b)) => a == b,
        (Value::Handle(a), Value::Handle(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::json;

    fn check(a: &str, b: &str, equal: bool) {
        let (left, right) = (json::read(a).expect(a), json::read(b).expect(b));
        assert_eq!(left.python_eq(&right), equal, "{a} == {b}");
        assert_eq!(right.python_eq(&left), equal, "{b} == {a}");
    }

    #[test]
    fn numbers_and_booleans_compare_as_in_python() {
        check("true", "1", true);
        check("1", "1.0", true);
        check("0", "false", true);
        check("0", "-0.0", true);
        check("true", "2", false);
        check("\"1\"", "1", false);
        check("null", "null", true);
        check("null", "0", false);
        check("NaN", "NaN", false);
        check("Infinity", "Infinity", true);
        check("1e20", "100000000000000000000", true);
        check("9007199254740993", "9007199254740992.0", false);
        check("[1, {\"a\": true}]", "[1.0, {\"a\": 1}]", true);
        check("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1}", true);
        check("[]", "{}", false);
    }
}
