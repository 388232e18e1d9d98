//! Texts that are, hold or begin with other texts.

use regex::{Regex, RegexBuilder};

use super::normalize::Normalization;

/// Whether the two are the same once normalised.
#[must_use]
pub fn exact_match(prediction: &str, reference: &str, normalization: Normalization) -> bool {
    normalization.apply(prediction) == normalization.apply(reference)
}

/// Whether one of the two holds the other once normalised. An empty text is part of an empty one only: an answer that
/// says nothing is no partial answer.
#[must_use]
pub fn partial_match(prediction: &str, reference: &str, normalization: Normalization) -> bool {
    let (prediction, reference) = (normalization.apply(prediction), normalization.apply(reference));
    if prediction.is_empty() || reference.is_empty() {
        return prediction == reference;
    }
    prediction.contains(&*reference) || reference.contains(&*prediction)
}

/// Whether `text` holds `part`; every text holds the empty one.
#[must_use]
pub fn contains(text: &str, part: &str, normalization: Normalization) -> bool {
    normalization.apply(text).contains(&*normalization.apply(part))
}

/// Whether `text` holds at least one of `parts`; of none it holds none.
#[must_use]
pub fn contains_any<P: AsRef<str>>(text: &str, parts: &[P], normalization: Normalization) -> bool {
    let text = normalization.apply(text);
    parts.iter().any(|part| text.contains(&*normalization.apply(part.as_ref())))
}

/// Whether `text` holds each of `parts`.
#[must_use]
pub fn contains_all<P: AsRef<str>>(text: &str, parts: &[P], normalization: Normalization) -> bool {
    let text = normalization.apply(text);
    parts.iter().all(|part| text.contains(&*normalization.apply(part.as_ref())))
}

/// Whether `text` holds none of `parts`.
#[must_use]
pub fn contains_none<P: AsRef<str>>(text: &str, parts: &[P], normalization: Normalization) -> bool {
    !contains_any(text, parts, normalization)
}

/// Whether `text` begins with `start`.
#[must_use]
pub fn starts_with(text: &str, start: &str, normalization: Normalization) -> bool {
    normalization.apply(text).starts_with(&*normalization.apply(start))
}

/// Whether `text` ends with `end`.
#[must_use]
pub fn ends_with(text: &str, end: &str, normalization: Normalization) -> bool {
    normalization.apply(text).ends_with(&*normalization.apply(end))
}

/// A regular expression, ready to be looked for. Matching takes time in proportion to the text, whatever the pattern.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// A regular expression that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not written as one; looking ahead or behind and going back to a group are not supported.
    #[error("{0}")]
    Syntax(String),
    /// It would need too much memory.
    #[error("the pattern needs more than {0} bytes when compiled")]
    TooLarge(usize),
}

/// What one pattern may take when compiled: room for any that a person writes.
const MAX_PATTERN_BYTES: usize = 4 << 20;

impl Pattern {
    /// Compiles a pattern in the syntax of the `regex` crate, which is Python's without what needs to go back.
    ///
    /// # Errors
    /// A pattern that is not one, or too large.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => PatternError::TooLarge(limit),
            other => PatternError::Syntax(other.to_string()),
        })
    }

    /// Whether it is found anywhere in `text`. To ask for all of it, write `^…$`.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What it finds first in `text`: its first group if it has one that took part, and otherwise all of it.
    #[must_use]
    pub fn extract<'t>(&self, text: &'t str) -> Option<&'t str> {
        let found = self.0.captures(text)?;
        found.get(1).or_else(|| found.get(0)).map(|part| part.as_str())
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisation_decides_what_is_equal() {
        for (a, b, normalization, equal) in [
            ("Paris", "Paris", Normalization::Raw, true),
            ("Paris", "paris", Normalization::Raw, false),
            ("Paris", "PARIS", Normalization::Case, true),
            ("Paris ", "Paris", Normalization::Case, false),
            ("New  York\n", "New York", Normalization::Space, true),
            ("New  York\n", "new york", Normalization::CaseAndSpace, true),
            ("The Eiffel Tower!", "an eiffel tower", Normalization::Squad, true),
        ] {
            assert_eq!(exact_match(a, b, normalization), equal, "{a:?} {b:?} {normalization:?}");
        }
    }

    #[test]
    fn a_part_goes_both_ways_and_nothing_is_no_part() {
        assert!(partial_match("It is Paris.", "Paris", Normalization::Raw));
        assert!(partial_match("Paris", "It is Paris.", Normalization::Raw));
        assert!(!partial_match("", "Paris", Normalization::Raw));
        assert!(!partial_match("the", "Paris", Normalization::Squad));
        assert!(partial_match("", "", Normalization::Raw));
    }

    #[test]
    fn any_all_and_none() {
        let text = "Refunds take 14 days";
        assert!(contains(text, "refunds", Normalization::Case));
        assert!(contains_any(text, &["30 days", "14 days"], Normalization::Raw));
        assert!(!contains_all(text, &["30 days", "14 days"], Normalization::Raw));
        assert!(contains_none(text, &["30 days", "guarantee"], Normalization::Raw));
        let nothing: [&str; 0] = [];
        assert!(!contains_any(text, &nothing, Normalization::Raw));
        assert!(contains_all(text, &nothing, Normalization::Raw));
        assert!(starts_with(text, "REFUNDS", Normalization::Case));
        assert!(ends_with(text, "days", Normalization::Raw));
    }

    #[test]
    fn a_pattern_finds_and_extracts() {
        let pattern = Pattern::new(r"(?i)answer:\s*(\d+)").expect("a pattern");
        assert!(pattern.is_in("The Answer: 42."));
        assert_eq!(pattern.extract("The Answer: 42."), Some("42"));
        assert_eq!(pattern.extract("none"), None);
    }

    #[test]
    fn a_bad_pattern_is_told() {
        assert!(matches!(Pattern::new("(a"), Err(PatternError::Syntax(_))));
        assert!(matches!(Pattern::new("(?=a)b"), Err(PatternError::Syntax(_))));
        assert!(matches!(Pattern::new(r"\w{1000}{1000}"), Err(PatternError::TooLarge(_))));
    }
}
