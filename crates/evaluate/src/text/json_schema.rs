//! JSON Schema, drafts 4 to 2020-12. References to other files or to the network are refused, never fetched.

use jsonschema::{PatternOptions, Validator};
use sluicegate_value::Value;

/// A schema, ready to check values.
#[derive(Debug)]
pub struct JsonSchema {
    validator: Validator,
}

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is no valid schema of its draft, or refers to what is not in it.
    #[error("{message}{}", at(.path))]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where, as a JSON pointer; empty for the whole.
        path: String,
    },
    /// It holds what JSON cannot: `nan`, an image, a Python object.
    #[error("the schema is not JSON: {0}")]
    NotJson(NotJson),
}

/// A value that is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    /// `nan` or an infinity.
    #[error("it holds a number that is not finite")]
    NotFinite,
    /// An image or another blob, or an object that lives in a worker.
    #[error("it holds an image or a Python object")]
    Object,
}

/// Something about a value that its schema forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaViolation {
    /// What is wrong. It holds text of the value: hostile text, if a model wrote it.
    pub message: String,
    /// Where in the value, as a JSON pointer; empty for the whole.
    pub path: String,
    /// Which part of the schema says so, as a JSON pointer.
    pub schema_path: String,
}

/// What a pattern in a schema may do before it counts as not matching: a model's reply must not keep us busy.
const MAX_BACKTRACKS: usize = 100_000;

impl JsonSchema {
    /// Reads a schema. `$schema` says which draft it is; without it, it is of 2020-12. `format` is checked where the
    /// draft says so (up to draft 7).
    ///
    /// # Errors
    /// A schema that is none, or that refers to what is not in it.
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        let schema = to_serde(schema).map_err(SchemaError::NotJson)?;
        jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(MAX_BACKTRACKS))
            .build(&schema)
            .map(|validator| Self { validator })
            .map_err(|error| SchemaError::Invalid {
                message: error.to_string(),
                path: error.instance_path().to_string(),
            })
    }

    /// Whether the value is as the schema says.
    #[must_use]
    pub fn allows(&self, value: &Value) -> bool {
        to_serde(value).is_ok_and(|value| self.validator.is_valid(&value))
    }

    /// What is wrong with the value, at most `most` things, in the schema's order; empty if nothing is. A value that is
    /// no JSON has that one violation.
    #[must_use]
    pub fn violations(&self, value: &Value, most: usize) -> Vec<SchemaViolation> {
        match to_serde(value) {
            Ok(value) => self
                .validator
                .iter_errors(&value)
                .take(most)
                .map(|error| SchemaViolation {
                    message: error.to_string(),
                    path: error.instance_path().to_string(),
                    schema_path: error.schema_path().to_string(),
                })
                .collect(),
            Err(error) => Vec::from([SchemaViolation {
                message: error.to_string(),
                path: String::new(),
                schema_path: String::new(),
            }]),
        }
    }
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" at `{path}`") }
}

/// Integers beyond 64 bits become floats: JSON Schema compares numbers by value, and such a number's last digits are
/// in no schema that we know.
fn to_serde(value: &Value) -> Result<serde_json::Value, NotJson> {
    let number = |number: f64| serde_json::Number::from_f64(number).map(Into::into).ok_or(NotJson::NotFinite);
    match value {
        Value::Null => Ok(serde_json::Value::Null),
        Value::Bool(yes) => Ok((*yes).into()),
        Value::Int(whole) => Ok((*whole).into()),
        Value::BigInt(whole) => match whole.as_str().parse::<u64>() {
            Ok(whole) => Ok(whole.into()),
            Err(_) => number(whole.to_f64()),
        },
        Value::Float(float) => number(*float),
        Value::Str(text) => Ok(text.to_string().into()),
        Value::List(items) => items.iter().map(to_serde).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| Ok((key.to_string(), to_serde(value)?))).collect(),
        Value::Blob(_) | Value::Handle(_) => Err(NotJson::Object),
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json::read;

    use super::*;

    fn schema(text: &str) -> Result<JsonSchema, SchemaError> {
        JsonSchema::new(&read(text).expect("JSON"))
    }

    fn check(text: &str, value: &str, valid: bool) {
        let schema = schema(text).expect(text);
        let value = read(value).expect("JSON");
        assert_eq!(schema.allows(&value), valid, "{text} {value:?}");
        assert_eq!(schema.violations(&value, 5).is_empty(), valid, "{text} {value:?}");
    }

    #[test]
    fn each_draft_reads_its_own_words() {
        let four = r#"{"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 5, "exclusiveMaximum": true}"#;
        check(four, "5", false);
        check(four, "4", true);
        let six = r#"{"$schema": "http://json-schema.org/draft-06/schema#", "exclusiveMaximum": 5, "const": 4}"#;
        check(six, "4", true);
        let seven = r#"{"$schema": "http://json-schema.org/draft-07/schema#", "if": {"type": "string"}, "then": {"minLength": 2}}"#;
        check(seven, "\"a\"", false);
        let nineteen =
            r#"{"$schema": "https://json-schema.org/draft/2019-09/schema", "dependentRequired": {"a": ["b"]}}"#;
        check(nineteen, r#"{"a": 1}"#, false);
        check(r#"{"prefixItems": [{"type": "integer"}], "items": false}"#, "[1.0]", true);
        check(r#"{"prefixItems": [{"type": "integer"}], "items": false}"#, "[1, 2]", false);
    }

    #[test]
    fn references_within_the_schema_work_and_others_are_refused() {
        check(r##"{"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}}"##, r#"[1, "x"]"#, false);
        for elsewhere in ["http://127.0.0.1:1/x.json", "file:///etc/passwd", "other.json"] {
            let refused = schema(&format!(r#"{{"$ref": "{elsewhere}"}}"#));
            assert!(matches!(refused, Err(SchemaError::Invalid { .. })), "{elsewhere}: {refused:?}");
        }
    }

    #[test]
    fn violations_say_what_and_where() {
        let schema =
            schema(r#"{"properties": {"a": {"items": {"type": "string"}}}, "required": ["b"]}"#).expect("a schema");
        let found = schema.violations(&read(r#"{"a": ["x", 1]}"#).expect("JSON"), 5);
        let mut shown: Vec<String> = found.iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
        shown.sort();
        assert_eq!(shown, ["/a/1: 1 is not of type \"string\"", ": \"b\" is a required property"]);
        assert_eq!(schema.violations(&read(r#"{"a": [1, 2, 3]}"#).expect("JSON"), 2).len(), 2);
    }

    #[test]
    fn what_is_no_schema_or_no_json_is_told() {
        assert!(matches!(schema(r#"{"type": "strin"}"#), Err(SchemaError::Invalid { .. })));
        assert!(matches!(schema(r#"{"pattern": "("}"#), Err(SchemaError::Invalid { .. })));
        assert_eq!(schema(r#"{"const": NaN}"#).err(), Some(SchemaError::NotJson(NotJson::NotFinite)));
        let any = schema("{}").expect("a schema");
        assert!(!any.allows(&Value::from(f64::INFINITY)));
        assert!(any.allows(&read("123456789012345678901234567890").expect("JSON")));
    }

    #[test]
    fn a_pattern_cannot_run_away() {
        let schema = schema(r#"{"pattern": "^(?=(a+)+$)b"}"#).expect("a schema");
        assert!(!schema.allows(&Value::from("a".repeat(5_000) + "!")));
    }
}
