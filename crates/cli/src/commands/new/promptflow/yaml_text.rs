//! YAML as people write it: block style, quotes only where they are needed.

use sluicegate_source::yaml::plain_scalar;
use sluicegate_value::{Map, Value};

/// A map, a key a line, indented by `indent` blanks.
pub(crate) fn block(map: &Map, indent: usize) -> String {
    map.iter().map(|(key, value)| entry(key, value, indent)).collect()
}

/// A key and its value, with a line break at the end.
pub(crate) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let key = text(key);
    match value {
        Value::Map(map) if !map.is_empty() => format!("{margin}{key}:\n{}", block(map, indent + 2)),
        Value::List(items) if !items.is_empty() => {
            let items = items.iter().map(|item| format!("{margin}- {}\n", inline(item)));
            format!("{margin}{key}:\n{}", items.collect::<String>())
        }
        value => format!("{margin}{key}: {}\n", inline(value)),
    }
}

/// A value on one line: text as it is where it stays text, everything else as JSON, which is YAML.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Str(written) => text(written),
        other => other.to_json(),
    }
}

/// A text on one line.
pub(crate) fn text(text: &str) -> String {
    let mut letters = text.chars();
    let begins_well = letters.next().is_some_and(|first| first.is_alphanumeric() || "_/.$".contains(first));
    let goes_on_well = letters.all(|letter| letter.is_alphanumeric() || "_-./${}()+@~ ".contains(letter));
    let is_plain = begins_well
        && goes_on_well
        && !text.ends_with(' ')
        && !text.starts_with("---")
        && !text.starts_with("...")
        && plain_scalar(text).as_str() == Some(text);
    if is_plain || is_address(text) { text.to_owned() } else { Value::from(text).to_json() }
}

fn is_address(text: &str) -> bool {
    text.starts_with("https://")
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-./${}:".contains(letter))
        && !text.ends_with(':')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluicegate_source::{SourceFile, yaml};

    use super::*;

    #[test]
    fn quotes_stand_only_where_they_are_needed() {
        for (written, expected) in [
            ("aoai", "aoai"),
            ("${data.text}", "${data.text}"),
            ("https://NAME.openai.azure.com/", "https://NAME.openai.azure.com/"),
            ("2023-07-01-preview", "2023-07-01-preview"),
            ("5", "\"5\""),
            ("true", "\"true\""),
            ("a: b", "\"a: b\""),
            ("", "\"\""),
            ("x # y", "\"x # y\""),
            ("- x", "\"- x\""),
        ] {
            assert_eq!(text(written), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(key in "[ -~]{1,8}", value in "\\PC{0,20}") {
            let map = Map::from([(key.as_str(), Value::from(Map::from([("a", Value::from(value.as_str()))])))]);
            let read = yaml::read(&SourceFile::new("t", block(&map, 0))).expect("reads").root.to_value();
            prop_assert_eq!(read, Value::from(map));
        }
    }
}
