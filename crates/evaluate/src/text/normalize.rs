//! What two texts may differ in and still be the same.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::whitespace::{is_ascii_space, lower, words};

/// How texts are made alike before they are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// Not at all: byte by byte.
    #[default]
    Raw,
    /// As SQuAD: see [`squad`].
    Squad,
    /// Letters' case does not count: see [`fold_case`].
    Case,
    /// Blanks do not count: see [`fold_spaces`].
    Space,
    /// Neither counts.
    CaseAndSpace,
}

impl Normalization {
    /// The text in the form that is compared.
    #[must_use]
    pub fn apply(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Raw => text.into(),
            Self::Squad => squad(text).into(),
            Self::Case => fold_case(text).into(),
            Self::Space => fold_spaces(text).into(),
            Self::CaseAndSpace => fold_spaces(&fold_case(text)).into(),
        }
    }
}

/// SQuAD's normal form: lower case, without the 32 ASCII punctuation characters (deleted: "well-known" becomes
/// "wellknown"; “” and 。 stay), without the words a, an and the, with one blank between words.
#[must_use]
pub fn squad(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') || is_ascii_space(byte)) {
        return squad_plain(text);
    }
    let lowered = lower(text);
    let kept: String = lowered.chars().filter(|letter| !letter.is_ascii_punctuation()).collect();
    let mut out = String::with_capacity(kept.len());
    for word in words(&without_articles(&kept)) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The same for what is written most: ASCII without control characters, where a word is what blanks part.
fn squad_plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = 0;
    for byte in text.bytes().chain([b' ']) {
        if byte.is_ascii_alphanumeric() {
            out.push(byte.to_ascii_lowercase().into());
        } else if is_ascii_space(byte) {
            if matches!(out.get(start..), Some("a" | "an" | "the")) {
                out.truncate(start);
            }
            if out.len() > start {
                out.push(' ');
            }
            start = out.len();
        }
    }
    out.truncate(out.trim_end_matches(' ').len());
    out
}

/// Python's `re.sub(r"\b(a|an|the)\b", " ", text)`.
fn without_articles(text: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut copied = 0;
    let mut start = None;
    // Words are found by hand: an article is a whole run of word characters.
    let ends = text.char_indices().map(|(index, letter)| (index, is_word(letter)));
    for (index, inside) in ends.chain([(text.len(), false)]) {
        match (inside, start) {
            (true, None) => start = Some(index),
            (false, Some(begin)) => {
                start = None;
                if matches!(text.get(begin..index), Some("a" | "an" | "the")) {
                    out.push_str(text.get(copied..begin).unwrap_or_default());
                    out.push(' ');
                    copied = index;
                }
            }
            _ => {}
        }
    }
    if copied == 0 {
        return text.into();
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    out.into()
}

/// `\w` of Python's `re`: letters and numbers, but no combining marks (which Rust's idea of it has).
fn is_word(letter: char) -> bool {
    static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^[\p{L}\p{N}_]$").ok());
    if letter.is_ascii() {
        return letter.is_ascii_alphanumeric() || letter == '_';
    }
    // Where both agree, the expression need not be asked.
    if !letter.is_alphanumeric() {
        return false;
    }
    WORD.as_ref().is_none_or(|word| word.is_match(letter.encode_utf8(&mut [0; 4])))
}

/// A form in which letters that differ in case only are equal: "Straße", "STRASSE" and "strasse", "ς" and "σ". It is for
/// comparing, not for reading.
#[must_use]
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == 'ı' {
            // Only a Turkish reader's capital of it is I.
            out.push(letter);
        } else {
            // By the capital, since small letters are more: ß and ſ and ς have capitals in common with others.
            out.extend(letter.to_uppercase().flat_map(char::to_lowercase));
        }
    }
    out
}

/// One blank between words, none at the ends.
#[must_use]
pub fn fold_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in words(text) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squad_deletes_punctuation_and_articles() {
        for (text, expected) in [
            ("The  well-known, A-team!", "wellknown ateam"),
            ("an 'apple' the", "apple"),
            ("“a” 。 the。", "“ ” 。 。"),
            ("the\u{1f}a\u{a0}b", "b"),
            ("a\u{301} theé", "\u{301} theé"),
            ("_the_ anthem", "anthem"),
            ("The end. A. -", "end"),
            (" x\u{1c}the\ty ", "x y"),
            ("a\0b", "\0b"),
            ("", ""),
        ] {
            assert_eq!(squad(text), expected, "{text:?}");
        }
    }

    #[test]
    fn case_folds_beyond_lower_case() {
        for (a, b) in [("Straße", "STRASSE"), ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"), ("ﬁn", "FIN"), ("Kelvin", "kelvin")]
        {
            assert_eq!(fold_case(a), fold_case(b), "{a} {b}");
        }
        assert_ne!(fold_case("ı"), fold_case("i"));
    }

    #[test]
    fn blanks_fold() {
        assert_eq!(fold_spaces(" a\t\n b\u{a0}c\u{1c}d "), "a b c d");
        assert_eq!(Normalization::CaseAndSpace.apply(" A\n B"), "a b");
    }
}
