//! Values that became something else when they became inputs: told once for each input, before anything is asked.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_flow::plan::{InputType, Plan};
use sluicegate_value::{Map, Value};

/// How much of a value is shown.
const SHOWN: usize = 40;

/// What became something else, by input.
#[derive(Debug, Default)]
pub(super) struct Coerced {
    inputs: IndexMap<Arc<str>, Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The first of them: as it was given, and what was made of it.
    first: (String, String),
    kind: InputType,
    rows: u64,
}

impl Coerced {
    /// Sees the inputs of a row: as they were given, and as the flow takes them.
    pub(super) fn see(&mut self, plan: &Plan, secret: &[Arc<str>], given: &Map, taken: &Map) {
        for (name, value) in given {
            let (Some(spec), Some(became)) = (plan.inputs.get(name), taken.get(name)) else { continue };
            if !is_surprising(value, became) {
                continue;
            }
            if let Some(seen) = self.inputs.get_mut(name) {
                seen.rows += 1;
                continue;
            }
            let first = match secret.contains(name) {
                true => ("a value".to_owned(), "another".to_owned()),
                false => (shown(value), shown(became)),
            };
            self.inputs.insert(name.clone(), Seen { first, kind: spec.kind, rows: 1 });
        }
    }

    /// A sentence for each input.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.inputs.iter().map(|(name, Seen { first: (given, became), kind, rows })| {
            let rows = if *rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            format!("input `{name}` has type `{}`: {given} is taken as {became}, and so in {rows}", kind.word())
        })
    }
}

/// Whether Python's own functions made something of a value that its author may not have meant.
fn is_surprising(given: &Value, became: &Value) -> bool {
    match (given, became) {
        (Value::Float(number), Value::Int(_) | Value::BigInt(_)) => number.fract() != 0.0,
        (Value::Bool(_), Value::Int(_) | Value::Float(_)) => true,
        (Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_), Value::Str(_)) => true,
        (Value::Str(text), Value::Int(_) | Value::BigInt(_)) => text.contains('_'),
        (Value::Str(text), Value::Float(number)) => text.contains('_') || !number.is_finite(),
        _ => false,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
        Value::Str(text) => {
            let short: String = text.chars().take(SHOWN).collect();
            format!("\"{short}{}\"", if short.len() < text.len() { "…" } else { "" })
        }
        other => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loses_or_changes_something_is_surprising() {
        let check = |given: Value, became: Value, expected: bool| {
            assert_eq!(is_surprising(&given, &became), expected, "{given:?} {became:?}");
        };
        check(1.9.into(), 1_i64.into(), true);
        check(2.0.into(), 2_i64.into(), false);
        check(true.into(), 1_i64.into(), true);
        check(Value::Null, "None".into(), true);
        check(Value::empty_list(), "[]".into(), true);
        check("7".into(), 7_i64.into(), false);
        check("1_000".into(), 1000_i64.into(), true);
        check("nan".into(), f64::NAN.into(), true);
        check(7_i64.into(), "7".into(), false);
        check("true".into(), true.into(), false);
    }
}
