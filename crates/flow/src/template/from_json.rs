//! The `from_json` filter, which jinja2 lacks: the value of a text that is JSON, so that an `expression` can look into a
//! model's answer.

use minijinja::{Error, ErrorKind, State, Value as Item};
use sluicegate_value::json;

use super::{guards, inputs, marks};

pub(super) fn filter(state: &mut State<'_, '_>, item: Item) -> Result<Item, Error> {
    let Some(text) = item.as_str() else { return Ok(item) };
    let text = marks::without(text);
    let text = unfenced(text.trim());
    guards::spend_items(state, text.len() / 8)?;
    let value = json::read(text).map_err(|error| {
        let beginning: String = text.chars().take(60).collect();
        Error::new(
            ErrorKind::InvalidOperation,
            format!("`from_json` got a text that is no JSON ({error}): {beginning}"),
        )
    })?;
    Ok(inputs::item(&value, inputs::Origin::default()))
}

/// Models put JSON between fences, though nobody asked for them.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```").and_then(|rest| rest.trim_end().strip_suffix("```"));
    inner.map_or(text, |inner| inner.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).trim())
}

#[cfg(test)]
mod tests {
    use super::unfenced;

    #[test]
    fn fences_are_taken_off() {
        for text in ["{}", "```json\n{}\n```", "```\n{}\n```", "``` {} ```"] {
            assert_eq!(unfenced(text), "{}", "{text}");
        }
        assert_eq!(unfenced("``` {}"), "``` {}");
    }
}
