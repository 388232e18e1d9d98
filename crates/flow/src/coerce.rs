//! What is given for a flow's input becomes its type, by Python's rules (spec: promptflow.md §1.4).

use std::sync::Arc;

use sluicegate_source::suggest;
use sluicegate_value::{BigInt, Map, Value, json, python};

use crate::image::{ImageError, Images};
use crate::plan::{InputType, Plan};

/// Python refuses to read integers with more digits from text.
const MAX_DIGITS: usize = 4300;

/// Why a value does not become a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoerceError {
    /// It is something else.
    Type,
    /// It is text that should be JSON and is not.
    Json(json::JsonError),
    /// It is no image, or the image cannot be had.
    Image(ImageError),
}

/// What is wrong with what was given for an input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Nothing was given and there is no default (the original's `InputNotFound`).
    #[error("input `{name}` is not given, and it has no default")]
    Missing {
        /// Which input.
        name: Arc<str>,
    },
    /// It does not become the declared type (the original's `InputTypeError`).
    #[error("input `{name}` does not match its type `{expected}`: it is {found}")]
    Type {
        /// Which input.
        name: Arc<str>,
        /// The declared type.
        expected: &'static str,
        /// What was given, shortened.
        found: String,
    },
    /// It is text that should be JSON and is not (the original's `InputParseError`).
    #[error("input `{name}` has type `{expected}`, but the text given for it is not JSON: {reason}")]
    Json {
        /// Which input.
        name: Arc<str>,
        /// The declared type.
        expected: &'static str,
        /// Where reading stopped.
        reason: json::JsonError,
    },
    /// It is no image, or the image cannot be had.
    #[error("input `{name}`: {reason}")]
    Image {
        /// Which input.
        name: Arc<str>,
        /// Why.
        reason: ImageError,
    },
}

/// A name that was given and that the flow does not take; it is ignored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flow has no input `{name}`{}", suggestion.as_ref().map_or(String::new(), |near| format!(", did you mean `{near}`?")))]
pub struct UnknownInput {
    /// The name that was given.
    pub name: Arc<str>,
    /// The input that may be meant.
    pub suggestion: Option<Arc<str>>,
}

impl InputType {
    /// The type as flows spell it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::String => "string",
            Self::List => "list",
            Self::Object => "object",
            Self::Image => "image",
            Self::Untouched => "any",
        }
    }
}

impl Plan {
    /// What the flow runs with: `given`, coerced, and the defaults of what is absent. Images are taken from text and
    /// maps; those given as a path cannot be had, see [`Plan::resolve_inputs_with`].
    ///
    /// # Errors
    /// Everything that is wrong with any input.
    pub fn resolve_inputs(&self, given: &Map) -> Result<Map, Vec<InputError>> {
        self.resolve_inputs_with(given, &Images::without_files(self.message_format))
    }

    /// As [`Plan::resolve_inputs`], with a way to read images that are given as paths.
    ///
    /// # Errors
    /// Everything that is wrong with any input.
    pub fn resolve_inputs_with(&self, given: &Map, images: &Images<'_>) -> Result<Map, Vec<InputError>> {
        let given = match &self.sample {
            Some(sample) if given.is_empty() => sample,
            _ => given,
        };
        let mut resolved = Map::new();
        let mut errors = Vec::new();
        for (name, spec) in &self.inputs {
            match given.get(name) {
                Some(value) => match coerce(spec.kind, value, images) {
                    Ok(value) => {
                        resolved.insert(name.clone(), value);
                    }
                    Err(error) => errors.push(error.of(name, spec.kind, value)),
                },
                None if self.may_be_absent(name) => {}
                None => match self.default_of(name).map(|default| images_of(spec.kind, &default, images)) {
                    Some(Ok(value)) => {
                        resolved.insert(name.clone(), value);
                    }
                    Some(Err(reason)) => errors.push(InputError::Image { name: name.clone(), reason }),
                    None => errors.push(InputError::Missing { name: name.clone() }),
                },
            }
        }
        if self.flex.as_ref().is_some_and(|flex| flex.open) {
            let others = given.iter().filter(|(name, _)| !self.inputs.contains_key(*name));
            others.for_each(|(name, value)| drop(resolved.insert(name.clone(), value.clone())));
        }
        if errors.is_empty() { Ok(resolved) } else { Err(errors) }
    }

    /// Whether an input may stay absent: it has no default here, and a flex flow's function has, or may have, one of its own.
    fn may_be_absent(&self, input: &str) -> bool {
        let in_python = self.flex.as_ref().is_some_and(|flex| !flex.signed || flex.optional.contains(input));
        in_python && self.default_of(input).is_none()
    }

    /// The names in `given` that the flow does not take. They are ignored, but somebody should be told. None of an open
    /// flex flow's: its function may take them.
    #[must_use]
    pub fn unknown_inputs(&self, given: &Map) -> Vec<UnknownInput> {
        let open = self.flex.as_ref().is_some_and(|flex| flex.open);
        given
            .keys()
            .filter(|name| !open && !self.inputs.contains_key(*name))
            .map(|name| UnknownInput {
                name: name.clone(),
                suggestion: suggest::nearest(name, self.inputs.keys().map(|known| &**known)).map(Arc::from),
            })
            .collect()
    }

    /// What an input is when nothing is given; the history of a chat begins empty.
    #[must_use]
    pub fn default_of(&self, input: &str) -> Option<Value> {
        let declared = self.inputs.get(input).and_then(|spec| spec.default.clone());
        let is_history = self.chat.as_ref().is_some_and(|chat| &*chat.history == input);
        declared.or_else(|| is_history.then(Value::empty_list))
    }
}

impl CoerceError {
    /// The error as one of an input.
    #[must_use]
    pub fn of(self, name: &Arc<str>, kind: InputType, value: &Value) -> InputError {
        let name = name.clone();
        match self {
            Self::Type => InputError::Type { name, expected: kind.word(), found: shortened(value) },
            Self::Json(reason) => InputError::Json { name, expected: kind.word(), reason },
            Self::Image(reason) => InputError::Image { name, reason },
        }
    }
}

/// Makes `value` what `kind` asks for.
///
/// # Errors
/// Python's own function would refuse it.
pub fn coerce(kind: InputType, value: &Value, images: &Images<'_>) -> Result<Value, CoerceError> {
    match kind {
        InputType::Int => int(value).ok_or(CoerceError::Type),
        InputType::Double => double(value).map(Value::Float).ok_or(CoerceError::Type),
        InputType::Bool => boolean(value).map(Value::Bool).ok_or(CoerceError::Type),
        InputType::String => Ok(match value {
            Value::Str(_) => value.clone(),
            other => python::str(other).into(),
        }),
        InputType::List => {
            let read = match value {
                Value::Str(text) => json::read(text).map_err(CoerceError::Json)?,
                other => other.clone(),
            };
            match read {
                Value::List(_) => images.inside(&read).map_err(CoerceError::Image),
                _ => Err(CoerceError::Type),
            }
        }
        InputType::Object => {
            let read = match value {
                Value::Str(text) => json::read(text).unwrap_or_else(|_| value.clone()),
                other => other.clone(),
            };
            images.inside(&read).map_err(CoerceError::Image)
        }
        InputType::Image => images.image(value).map_err(CoerceError::Image),
        InputType::Untouched => Ok(value.clone()),
    }
}

/// A default was made into its type when the flow was compiled; only images had to wait.
fn images_of(kind: InputType, default: &Value, images: &Images<'_>) -> Result<Value, ImageError> {
    match kind {
        InputType::Image => images.image(default),
        InputType::List | InputType::Object => images.inside(default),
        _ => Ok(default.clone()),
    }
}

/// Python's `int(value)`.
fn int(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(yes) => Some(Value::Int(i64::from(*yes))),
        Value::Int(_) | Value::BigInt(_) => Some(value.clone()),
        Value::Float(number) => BigInt::truncate(*number),
        Value::Str(text) => {
            let digits = without_underscores(text.trim())?;
            (digits.len() <= MAX_DIGITS).then(|| BigInt::parse(&digits)).flatten()
        }
        _ => None,
    }
}

/// Python's `float(value)`.
fn double(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::BigInt(number) => Some(number.to_f64()).filter(|number| number.is_finite()),
        Value::Str(text) => without_underscores(text.trim())?.parse().ok(),
        other => other.as_number(),
    }
}

/// `true`, `false`, and the two words in any case.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(yes) => Some(*yes),
        Value::Str(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Str(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Drops underscores that stand between two digits; `None` if one stands elsewhere.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let between_digits = |at: usize| {
        let digit = |index: Option<usize>| index.and_then(|index| bytes.get(index)).is_some_and(u8::is_ascii_digit);
        digit(at.checked_sub(1)) && digit(at.checked_add(1))
    };
    let placed_well = text.match_indices('_').all(|(at, _)| between_digits(at));
    placed_well.then(|| text.replace('_', ""))
}

/// A value for a message: not longer than one can read.
pub(crate) fn shortened(value: &Value) -> String {
    let text = python::repr(value);
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MessageFormat;

    fn check(kind: InputType, value: &str, expected: &str) {
        let value = json::read(value).unwrap();
        let found = coerce(kind, &value, &Images::without_files(MessageFormat::Basic));
        let printed = match found {
            Ok(value) => python::repr(&value),
            Err(CoerceError::Type) => "type".to_owned(),
            Err(CoerceError::Json(_)) => "json".to_owned(),
            Err(CoerceError::Image(error)) => error.to_string(),
        };
        assert_eq!(printed, expected, "{kind:?} {value:?}");
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        check(InputType::Int, "\"+1_0\"", "10");
        check(InputType::Int, "\"_1\"", "type");
        check(InputType::Int, "\"1__0\"", "type");
        check(InputType::Int, "\"007\"", "7");
        check(InputType::Int, "1e30", "1000000000000000019884624838656");
        check(InputType::Int, "NaN", "type");
        check(InputType::Double, "\".5\"", "0.5");
        check(InputType::Double, "\"5.\"", "5.0");
        check(InputType::Double, "\"-Infinity\"", "-inf");
        check(InputType::Double, "\"1_0.5\"", "10.5");
        check(InputType::Double, "\"1_.5\"", "type");
        check(InputType::Double, "[]", "type");
    }

    #[test]
    fn long_values_are_shortened_in_messages() {
        let text = shortened(&Value::from("é".repeat(100)));
        assert_eq!(text.chars().count(), 61);
    }
}
