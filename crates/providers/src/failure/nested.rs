//! An error in an error: gateways quote what the service behind them said, as JSON in the middle of their own words.

use sluicegate_value::{Value, json};

/// How many braces are looked at: words may have some of their own.
const BRACES: usize = 4;

/// The first JSON object in a text, and the words before it.
pub(crate) fn quoted(message: &str) -> Option<(&str, Value)> {
    let starts = message.match_indices('{').map(|(start, _)| start).take(BRACES);
    starts.filter_map(|start| message.split_at_checked(start)).find_map(|(before, rest)| {
        let object = json::read(balanced(rest)?).ok()?;
        let is_error = ["error", "message", "detail"].iter().any(|key| object.get(key).is_some());
        is_error.then(|| (words(before), object))
    })
}

/// The words in front of what they quote, without the marks around it: `x - b'`.
fn words(before: &str) -> &str {
    let before = before.trim_end();
    let bare = before.trim_end_matches(['\'', '"', '`']);
    if bare.len() < before.len() { bare.strip_suffix(" b").unwrap_or(bare).trim_end() } else { before }
}

/// From an opening brace to the one that closes it.
fn balanced(text: &str) -> Option<&str> {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => depth += 1,
            b'}' if !in_text => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.get(..=at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::quoted;

    fn check(message: &str, expected: Option<(&str, &str)>) {
        let found = quoted(message).map(|(before, object)| (before, object.to_json()));
        assert_eq!(found.as_ref().map(|(before, object)| (*before, object.as_str())), expected, "{message}");
    }

    #[test]
    fn an_error_is_found_between_words() {
        check(r#"{"error":{"message":"no"}}"#, Some(("", r#"{"error":{"message":"no"}}"#)));
        check(
            r#"litellm.BadRequestError: AzureException - {"message":"a } and \" b"} . Received Model Group=m"#,
            Some(("litellm.BadRequestError: AzureException -", r#"{"message":"a } and \" b"}"#)),
        );
        check(r#"Vertex - b'{"error":1}'"#, Some(("Vertex -", r#"{"error":1}"#)));
        check(r#"the set {a} was {"detail":"no"}"#, Some(("the set {a} was", r#"{"detail":"no"}"#)));
    }

    #[test]
    fn what_is_no_error_is_none() {
        for message in ["", "{", "{}", "}{", r#"unknown field in {"type":"text"}"#, "{'error': 1}", r#"{"error": "no"#]
        {
            check(message, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_words_are_too_much(message in r#"[{}"\\a: é]{0,60}"#) {
            let _ = quoted(&message);
        }
    }
}
