//! What names a case.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_gate::CaseKey;
use sluicegate_value::{Map, Value, hash};

use crate::binding::lookup;

/// Gives each row its key: a hash of all its columns, or of those that the evaluation names. Rows are the same cases in
/// both arms of a comparison if their keys are equal, whatever their order. Rows that are wholly equal are told apart by
/// their number among each other.
#[derive(Debug, Default)]
pub struct CaseKeys {
    columns: Vec<Arc<str>>,
    seen: HashMap<String, u32>,
    repeated: u64,
}

/// How many rows have a key that an earlier one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepeatedKey(pub u64);

/// Hex digits of a key: 64 bits, enough for a billion cases.
const DIGITS: usize = 16;

impl CaseKeys {
    /// By these columns; by all if none is named.
    #[must_use]
    pub fn new(columns: &[Arc<str>]) -> Self {
        Self { columns: columns.to_vec(), ..Self::default() }
    }

    /// The key of the next row.
    pub fn next(&mut self, row: &Map) -> CaseKey {
        let mut parts: Vec<(String, String)> = if self.columns.is_empty() {
            row.iter().map(|(name, value)| (name.to_string(), canonical(value))).collect()
        } else {
            let of = |name: &Arc<str>| (name.to_string(), canonical(lookup(row, name).unwrap_or(&Value::Null)));
            self.columns.iter().map(of).collect()
        };
        // The order of columns in a file is nobody's meaning.
        parts.sort();
        let mut key = hash::sha256_of_parts(parts.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
        key.truncate(DIGITS);
        let seen = self.seen.entry(key.clone()).or_default();
        *seen += 1;
        if *seen > 1 {
            self.repeated += 1;
            key = format!("{key}-{seen}");
        }
        CaseKey::from(key)
    }

    /// How many rows had a key that an earlier one has; to be told where the author chose the columns.
    #[must_use]
    pub fn repeated(&self) -> RepeatedKey {
        RepeatedKey(self.repeated)
    }
}

/// JSON with the keys of maps in order.
fn canonical(value: &Value) -> String {
    match value {
        Value::Map(map) => {
            let mut entries: Vec<(&str, String)> = map.iter().map(|(key, value)| (&**key, canonical(value))).collect();
            entries.sort();
            let shown = entries.into_iter().map(|(key, value)| format!("{}:{value}", Value::from(key).to_json()));
            format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
        }
        Value::List(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_json(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(columns: &[&str], rows: &[&str]) -> Vec<String> {
        let columns: Vec<Arc<str>> = columns.iter().map(|name| Arc::from(*name)).collect();
        let mut keys = CaseKeys::new(&columns);
        let row = |text: &&str| sluicegate_value::json::read(text).unwrap().as_map().unwrap().clone();
        rows.iter().map(|text| keys.next(&row(text)).to_string()).collect()
    }

    #[test]
    fn the_order_of_columns_changes_nothing() {
        let found = keys(&[], &[r#"{"q": "a", "m": {"x": 1, "y": 2}}"#, r#"{"m": {"y": 2, "x": 1}, "q": "a"}"#]);
        assert_eq!(found[1], format!("{}-2", found[0]));
        assert_ne!(keys(&[], &[r#"{"q": "a"}"#]), keys(&[], &[r#"{"q": "b"}"#]));
    }

    #[test]
    fn columns_that_are_not_named_do_not_count() {
        let one = keys(&["q"], &[r#"{"q": "a", "note": 1}"#]);
        assert_eq!(one, keys(&["q"], &[r#"{"q": "a", "note": 2}"#]));
        assert_eq!(one[0].len(), DIGITS);
    }
}
