//! A value within a JSON value, by a path.
//!
//! A part of JSONPath (RFC 9535) that answers with what stands at a place: `$`, `.name`, `['name']`, `["name"]`, `[0]`,
//! `[-1]`, and `.*` or `[*]` for each item. Filters, slices, unions and `..` are refused, not guessed.

use sluicegate_value::Value;

/// A path, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(i64),
    Each,
}

/// A path that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at column {column} of the path")]
pub struct JsonPathError {
    /// What was wrong.
    pub message: &'static str,
    /// Where, in characters, from 1.
    pub column: usize,
}

impl JsonPath {
    /// Reads a path. `$` at its beginning may be left out, with the full stop after it: `answer.items[0]`.
    ///
    /// # Errors
    /// What is not a path, or uses more of JSONPath than this.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let mut reader = Reader { text, rest: text.trim_end() };
        let mut steps = Vec::new();
        if !reader.take("$") && !reader.rest.starts_with(['[', '.']) && !reader.rest.is_empty() {
            steps.push(reader.name()?);
        }
        while !reader.rest.is_empty() {
            if reader.rest.starts_with("..") {
                return Err(reader.error("`..` is not supported"));
            }
            let step = if reader.take(".") {
                if reader.take("*") { Step::Each } else { reader.name()? }
            } else if reader.take("[") {
                reader.bracket()?
            } else {
                return Err(reader.error("expected `.` or `[`"));
            };
            steps.push(step);
        }
        Ok(Self { steps })
    }

    /// All values at this path, in the order of the data; none where something is missing.
    #[must_use]
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut found = Vec::from([value]);
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.of(value)).collect();
        }
        found
    }

    /// The value at this path: the only one, or `None`. Several (by `*`) come as one list.
    #[must_use]
    pub fn value(&self, value: &Value) -> Option<Value> {
        let found = self.all(value);
        if self.steps.contains(&Step::Each) {
            return Some(Value::from(found.into_iter().cloned().collect::<Vec<_>>()));
        }
        found.first().copied().cloned()
    }
}

impl Step {
    fn of<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match (self, value) {
            (Self::Key(key), Value::Map(map)) => map.get(key).into_iter().collect(),
            (Self::Index(index), Value::List(items)) => {
                let from_end = usize::try_from(index.unsigned_abs()).ok();
                let place = if *index < 0 { from_end.and_then(|back| items.len().checked_sub(back)) } else { from_end };
                place.and_then(|place| items.get(place)).into_iter().collect()
            }
            (Self::Each, Value::List(items)) => items.iter().collect(),
            (Self::Each, Value::Map(map)) => map.values().collect(),
            _ => Vec::new(),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn error(&self, message: &'static str) -> JsonPathError {
        let read = self.text.trim_end().len() - self.rest.len();
        JsonPathError { message, column: self.text.get(..read).unwrap_or_default().chars().count() + 1 }
    }

    fn take(&mut self, start: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(start) else { return false };
        self.rest = rest;
        true
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|letter| !wanted(letter)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn name(&mut self) -> Result<Step, JsonPathError> {
        let name = self.take_while(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'));
        if name.is_empty() { Err(self.error("expected a name")) } else { Ok(Step::Key(name.to_owned())) }
    }

    fn bracket(&mut self) -> Result<Step, JsonPathError> {
        self.blanks();
        let step = match self.rest.chars().next() {
            Some('*') => {
                self.take("*");
                Step::Each
            }
            Some(quote @ ('\'' | '"')) => Step::Key(self.quoted(quote)?),
            Some('-' | '0'..='9') => {
                let digits = self.take_while(|letter| letter == '-' || letter.is_ascii_digit());
                Step::Index(digits.parse().map_err(|_| self.error("expected an index"))?)
            }
            Some('?') => return Err(self.error("filters are not supported")),
            _ => return Err(self.error("expected an index, a quoted name or `*`")),
        };
        self.blanks();
        if !self.take("]") {
            return Err(self.error("expected `]` (slices and several names are not supported)"));
        }
        Ok(step)
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn quoted(&mut self, quote: char) -> Result<String, JsonPathError> {
        let mut out = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((index, letter)) = letters.next() {
            if letter == quote {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(out);
            }
            if letter != '\\' {
                out.push(letter);
                continue;
            }
            match letters.next() {
                Some((_, escaped @ ('\\' | '/' | '\'' | '"'))) => out.push(escaped),
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, 'r')) => out.push('\r'),
                _ => return Err(self.error("unknown escape in a name")),
            }
        }
        Err(self.error("the name has no closing quote"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sluicegate_value::json::read;

    use super::*;

    const DATA: &str = r#"{"a": {"b c": [1, {"d": null}, 3]}, "é": "x", "list": [{"n": 1}, {"n": 2}, {}], "it's": 5}"#;

    fn check(path: &str, expected: Option<&str>) {
        let value = JsonPath::parse(path).expect(path).value(&read(DATA).expect("JSON"));
        assert_eq!(value.map(|value| value.to_json()).as_deref(), expected, "{path}");
    }

    #[test]
    fn a_path_leads_to_a_value() {
        check("$.a['b c'][0]", Some("1"));
        check("$.a[\"b c\"][-1]", Some("3"));
        check("a['b c'][1].d", Some("null"));
        check("$.é", Some("\"x\""));
        check("$['it\\'s']", Some("5"));
        check("list[*].n", Some("[1,2]"));
        check("list.*.n", Some("[1,2]"));
    }

    #[test]
    fn what_is_missing_is_none_and_not_null() {
        check("$.b", None);
        check("list[3]", None);
        check("list[-4]", None);
        check("list.n", None);
        check("a[0]", None);
    }

    #[test]
    fn what_is_no_path_is_told_with_its_place() {
        for (path, message) in [
            ("$..a", "`..` is not supported at column 2 of the path"),
            ("$.a[?(@.b)]", "filters are not supported at column 5 of the path"),
            ("$.a[0:2]", "expected `]` (slices and several names are not supported) at column 6 of the path"),
            ("$a", "expected `.` or `[` at column 2 of the path"),
            ("$.", "expected a name at column 3 of the path"),
            ("$['a", "the name has no closing quote at column 3 of the path"),
            ("$[--1]", "expected an index at column 6 of the path"),
        ] {
            assert_eq!(JsonPath::parse(path).expect_err(path).to_string(), message, "{path}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(path in "[$.\\[\\]'\"\\\\*a-c0-9é -]{0,20}") {
            let data = read(DATA).expect("JSON");
            if let Ok(path) = JsonPath::parse(&path) {
                let _ = path.value(&data);
            }
        }
    }
}
