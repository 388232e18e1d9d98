//! How two requests differ, in words.

use std::fmt;

use sluicegate_model::Asked;
use sluicegate_value::{Map, Value};

use super::call::Request;

/// The most letters of a value that are shown.
const MOST_LETTERS: usize = 120;

/// Letters that are shown before the first one that differs.
const LETTERS_BEFORE: usize = 30;

/// How what is asked differs from what was.
#[derive(Debug)]
pub(super) struct Difference {
    /// How much: each value that differs counts up to 2, a text less the more it has in common.
    pub(super) weight: f64,
    first: Option<First>,
}

/// The first value that differs.
#[derive(Debug)]
struct First {
    path: String,
    here: Option<String>,
    there: Option<String>,
}

impl Difference {
    pub(super) fn between(asked: &Asked, recorded: &Request) -> Self {
        let mut difference = Self { weight: 0.0, first: None };
        let texts = |here: &str, there: &str| (Value::from(here), Value::from(there));
        let (here, there) = texts(&asked.operation, &recorded.operation);
        difference.compare("the operation", Some(&here), Some(&there));
        let (here, there) = texts(&asked.model, &recorded.model);
        difference.compare("the model", Some(&here), Some(&there));
        difference.compare("", Some(&asked.body), Some(&recorded.request));
        difference
    }

    fn compare(&mut self, path: &str, here: Option<&Value>, there: Option<&Value>) {
        match (here, there) {
            (Some(Value::Map(here)), Some(Value::Map(there))) => self.compare_maps(path, here, there),
            (Some(Value::List(here)), Some(Value::List(there))) => {
                for index in 0..here.len().max(there.len()) {
                    self.compare(&format!("{path}[{index}]"), here.get(index), there.get(index));
                }
            }
            (Some(here), Some(there)) if here == there => {}
            (Some(Value::Str(here)), Some(Value::Str(there))) => {
                let start = here.bytes().zip(there.bytes()).take_while(|(one, other)| one == other).count();
                let longest = here.len().max(there.len()).max(1);
                let shortest = here.len().min(there.len());
                let end = here.bytes().rev().zip(there.bytes().rev()).take_while(|(one, other)| one == other).count();
                let common = start + end.min(shortest - start);
                let before = here.get(..here.floor_char_boundary(start)).map_or(0, |same| same.chars().count());
                let from = before.saturating_sub(LETTERS_BEFORE);
                self.note(
                    2.0 - common as f64 / longest as f64,
                    path,
                    Some(shown(here, from)),
                    Some(shown(there, from)),
                );
            }
            (here, there) => {
                let text = |value: &Value| match value {
                    Value::Str(text) => shown(text, 0),
                    value => shown(&value.to_json(), 0),
                };
                self.note(2.0, path, here.map(text), there.map(text));
            }
        }
    }

    fn compare_maps(&mut self, path: &str, here: &Map, there: &Map) {
        let inside = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        for (key, value) in here {
            self.compare(&inside(key), Some(value), there.get(key));
        }
        for (key, value) in there {
            if !here.contains_key(key) {
                self.compare(&inside(key), None, Some(value));
            }
        }
    }

    fn note(&mut self, weight: f64, path: &str, here: Option<String>, there: Option<String>) {
        self.weight += weight;
        let path = if path.is_empty() { "the request" } else { path };
        self.first.get_or_insert_with(|| First { path: path.to_owned(), here, there });
    }
}

/// `messages[1].content is `…` here and `…` on the cassette`.
impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(First { path, here, there }) = &self.first else {
            return out.write_str(
                "nothing that is recorded differs, so it is the provider, the repeat, or what is not recorded (headers, \
                 query and body of an HTTP call)",
            );
        };
        match (here, there) {
            (Some(here), Some(there)) => write!(out, "{path} is `{here}` here and `{there}` on the cassette"),
            (Some(here), None) => write!(out, "{path} is `{here}` here and is not on the cassette"),
            (None, Some(there)) => write!(out, "{path} is not there here and is `{there}` on the cassette"),
            (None, None) => write!(out, "{path} differs"),
        }
    }
}

/// A text from a letter on, on one line, and no longer than a person reads.
fn shown(text: &str, from: usize) -> String {
    let mut shown = String::new();
    let mut letters = 0;
    if from > 0 {
        shown.push('…');
        letters += 1;
    }
    for letter in text.chars().skip(from) {
        let escaped = match letter {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            letter if letter.is_control() => letter.escape_default().to_string(),
            letter => letter.to_string(),
        };
        let count = escaped.chars().count();
        if letters + count >= MOST_LETTERS {
            shown.push('…');
            break;
        }
        letters += count;
        shown += &escaped;
    }
    shown
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    fn asked(body: Value) -> Asked {
        Asked {
            hash: "h".into(),
            provider: "openai".into(),
            operation: "chat".into(),
            model: "gpt".into(),
            body,
            line: None,
            repeat: 0,
            node: "answer".into(),
            call: 0,
        }
    }

    fn difference(here: &str, there: &str) -> Difference {
        let request = Request { operation: "chat".into(), model: "gpt".into(), request: json::read(there).unwrap() };
        Difference::between(&asked(json::read(here).unwrap()), &request)
    }

    fn check(here: &str, there: &str, expected: &str) {
        assert_eq!(difference(here, there).to_string(), expected);
    }

    #[test]
    fn the_first_value_that_differs_is_named_with_both_of_its_values() {
        check(
            r#"{"messages": [{"role": "user", "content": "hi\nyou"}], "top_p": 1}"#,
            r#"{"top_p": 2, "messages": [{"role": "user", "content": "ho"}]}"#,
            r"messages[0].content is `hi\nyou` here and `ho` on the cassette",
        );
        check(r#"{"a": 1}"#, r#"{"a": 1.0}"#, "a is `1` here and `1.0` on the cassette");
        check(r#"{"a": [1, {"x": 2}]}"#, r#"{"a": [1]}"#, r#"a[1] is `{"x":2}` here and is not on the cassette"#);
        check(r"{}", r#"{"seed": 7}"#, "seed is not there here and is `7` on the cassette");
        check("null", r"{}", "the request is `null` here and `{}` on the cassette");
        assert!(difference("{}", "{}").to_string().starts_with("nothing that is recorded differs"));
    }

    #[test]
    fn a_long_value_is_shown_around_what_differs() {
        let text = |end: &str| format!("{{\"a\": \"{}{end}{}\"}}", "é".repeat(500), "z".repeat(500));
        let said = difference(&text("one"), &text("two")).to_string();
        let expected = format!("a is `…{}one{}…` here", "é".repeat(30), "z".repeat(85));
        assert!(said.starts_with(&expected), "{said}");
        let values: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
        assert!(values.iter().all(|value| value.chars().count() <= MOST_LETTERS), "{said}");
    }

    #[test]
    fn texts_that_have_much_in_common_are_nearer() {
        let weight = |there: &str| difference(r#"{"a": "the cat sat"}"#, &format!("{{\"a\": \"{there}\"}}")).weight;
        assert!(weight("the cat sits") < weight("a dog"));
        assert!(weight("the cat sat") < f64::EPSILON);
        assert!(weight("a dog") < difference(r#"{"a": 1, "b": 2}"#, r#"{"a": 2, "b": 3}"#).weight);
    }
}
