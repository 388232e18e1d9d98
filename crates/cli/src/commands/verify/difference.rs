//! Where two values differ, told by paths: `messages[1].content`.

use sluicegate_value::{Map, Value};

/// A value beyond this many differences is not looked through further: nobody reads the twenty-first.
const MOST: usize = 20;

/// A place where two values differ. `None`: there is nothing at that place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    /// The way there; empty for the whole.
    pub(crate) path: String,
    /// What the recording has there.
    pub(crate) recorded: Option<Value>,
    /// What we have there.
    pub(crate) ours: Option<Value>,
}

/// Every place where `ours` is not what was recorded, as JSON tells values apart: `1` and `1.0` are one number, `true` is
/// none, and the order of keys means nothing.
pub(crate) fn differences(recorded: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", recorded, ours, &mut found);
    found
}

fn compare(path: &str, recorded: &Value, ours: &Value, found: &mut Vec<Difference>) {
    if found.len() >= MOST {
        return;
    }
    match (recorded, ours) {
        (_, Value::Handle(handle)) => match &handle.json {
            Some(json) => compare(path, recorded, json, found),
            // The recording has an object's `str()`, at best.
            None if recorded.as_str().is_none_or(|text| *text == *handle.preview) => {}
            None => found.push(difference(path, Some(recorded), Some(&Value::from(handle.preview.as_str())))),
        },
        // An image whose file is not there any more says nothing.
        (Value::Map(map), Value::Blob(_)) if is_image_path(map) => {}
        (Value::Map(recorded), Value::Map(ours)) => compare_maps(path, recorded, ours, found),
        (Value::List(recorded), Value::List(ours)) => {
            for index in 0..recorded.len().max(ours.len()) {
                let path = format!("{path}[{index}]");
                match (recorded.get(index), ours.get(index)) {
                    (Some(recorded), Some(ours)) => compare(&path, recorded, ours, found),
                    (recorded, ours) => found.push(difference(&path, recorded, ours)),
                }
            }
        }
        (recorded, ours) if is_same(recorded, ours) => {}
        (recorded, ours) => found.push(difference(path, Some(recorded), Some(ours))),
    }
}

fn compare_maps(path: &str, recorded: &Map, ours: &Map, found: &mut Vec<Difference>) {
    for (key, value) in recorded {
        let path = below(path, key);
        match ours.get(key) {
            Some(ours) => compare(&path, value, ours, found),
            None => found.push(difference(&path, Some(value), None)),
        }
    }
    for (key, value) in ours.iter().filter(|(key, _)| !recorded.contains_key(key)) {
        found.push(difference(&below(path, key), None, Some(value)));
    }
}

fn is_same(recorded: &Value, ours: &Value) -> bool {
    match (recorded, ours) {
        (Value::Bool(recorded), Value::Bool(ours)) => recorded == ours,
        (Value::Bool(_), _) | (_, Value::Bool(_)) => false,
        (Value::Float(recorded), Value::Float(ours)) if recorded.is_nan() && ours.is_nan() => true,
        (Value::Blob(recorded), Value::Blob(ours)) => recorded.hash == ours.hash,
        (recorded, ours) => recorded.python_eq(ours),
    }
}

/// `{"data:image/png;path": "…"}`.
pub(crate) fn is_image_path(map: &Map) -> bool {
    map.len() == 1 && map.keys().all(|key| key.starts_with("data:image/") && key.ends_with(";path"))
}

fn difference(path: &str, recorded: Option<&Value>, ours: Option<&Value>) -> Difference {
    Difference { path: path.to_owned(), recorded: recorded.cloned(), ours: ours.cloned() }
}

fn below(path: &str, key: &str) -> String {
    let is_word = !key.is_empty() && key.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter));
    match (path, is_word) {
        ("", true) => key.to_owned(),
        (_, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}['{key}']"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluicegate_value::json;

    use super::*;

    fn check(recorded: &str, ours: &str, expected: &str) {
        let shown = |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_json());
        let found: Vec<String> = differences(&json::read(recorded).unwrap(), &json::read(ours).unwrap())
            .into_iter()
            .map(|found| format!("{}: {} / {}", found.path, shown(found.recorded), shown(found.ours)))
            .collect();
        assert_eq!(found.join("; "), expected);
    }

    #[test]
    fn a_difference_is_told_by_its_path() {
        check(r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":2}]}"#, "a[0].b: 1 / 2");
        check(r#"{"a b":1}"#, r#"{"a b":2}"#, "['a b']: 1 / 2");
        check("[1]", "[1,2]", "[1]: nothing / 2");
        check(r#"{"a":1,"b":2}"#, r#"{"c":3,"b":2}"#, "a: 1 / nothing; c: nothing / 3");
        check(r#""x""#, "null", r#": "x" / null"#);
    }

    #[test]
    fn what_json_calls_the_same_is_the_same() {
        check(r#"{"a":1,"b":2}"#, r#"{"b":2.0,"a":1}"#, "");
        check("NaN", "NaN", "");
        check("1", "true", ": 1 / true");
        check("0", "null", ": 0 / null");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-c]{1,2}", inner), 0..4)
                    .prop_map(|entries| Value::from(entries.into_iter().collect::<Map>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn nothing_differs_from_itself(value in any_json()) {
            prop_assert_eq!(differences(&value, &value), Vec::new());
        }

        #[test]
        fn what_differs_one_way_differs_the_other_way(one in any_json(), other in any_json()) {
            let there: Vec<String> = differences(&one, &other).into_iter().map(|found| found.path).collect();
            let mut back: Vec<String> = differences(&other, &one).into_iter().map(|found| found.path).collect();
            prop_assert_eq!(there.is_empty(), back.is_empty());
            if there.len() < MOST {
                back.sort();
                let mut there = there;
                there.sort();
                prop_assert_eq!(there, back);
            }
        }
    }
}
