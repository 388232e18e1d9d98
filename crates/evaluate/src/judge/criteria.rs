//! Criteria and scales as a prompt shows them.

use sluicegate_value::{Value, python};

/// A text, a list or a map of texts as one text, a line for each.
pub(crate) fn criteria_text(value: &Value) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| python::str(value), str::to_owned);
    match value {
        Value::List(items) => {
            items.iter().map(|item| format!("- {}", shown(item).trim())).collect::<Vec<_>>().join("\n")
        }
        Value::Map(map) => {
            map.iter().map(|(name, item)| format!("- {name}: {}", shown(item).trim())).collect::<Vec<_>>().join("\n")
        }
        Value::Null => String::new(),
        other => shown(other).trim().to_owned(),
    }
}

/// What each score means, a line for each, the lowest first; `None` if it is no map from score to text.
pub(crate) fn levels_text(value: &Value) -> Option<String> {
    let map = value.as_map().filter(|map| !map.is_empty())?;
    let mut levels: Vec<(f64, &str)> = map
        .iter()
        .map(|(score, meaning)| {
            Some((score.trim().parse::<f64>().ok().filter(|score| score.is_finite())?, meaning.as_str()?))
        })
        .collect::<Option<_>>()?;
    levels.sort_by(|(left, _), (right, _)| left.total_cmp(right));
    let line = |(score, meaning): &(f64, &str)| format!("{}: {}", number_text(*score), meaning.trim());
    Some(levels.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// A number as people write it: whole ones without a point.
pub(crate) fn number_text(number: f64) -> String {
    let rounded = (number * 1e6).round() / 1e6;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_in_any_form_become_one_text() {
        let text = |json: &str| criteria_text(&sluicegate_value::json::read(json).unwrap());
        assert_eq!(text(r#"" Be kind. ""#), "Be kind.");
        assert_eq!(text(r#"["Be kind.", "Be short."]"#), "- Be kind.\n- Be short.");
        assert_eq!(text(r#"{"tone": "Be kind."}"#), "- tone: Be kind.");
    }

    #[test]
    fn levels_stand_in_order() {
        let text = |json: &str| levels_text(&sluicegate_value::json::read(json).unwrap());
        assert_eq!(text(r#"{"5": "all", "1": "none", "2.5": "half"}"#).as_deref(), Some("1: none\n2.5: half\n5: all"));
        assert_eq!(text(r#"{"good": "all"}"#), None);
        assert_eq!(text(r#"["all"]"#), None);
    }
}
