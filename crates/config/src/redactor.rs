//! Secrets are taken out of whatever is recorded or shown.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// What stands where a secret stood.
pub const MASK: &str = "[secret]";

/// A secret with fewer bytes is left where it is: taking out every `1234` would spoil what is shown, and hide nothing.
const SHORTEST: usize = 6;

/// Takes secrets out of text, in one pass: as they are, as JSON writes them (once and twice over), in base64 (also in
/// the middle of a longer text), and as URLs write them.
#[derive(Clone)]
pub struct Redactor {
    patterns: Option<AhoCorasick>,
    /// The same patterns as text.
    forms: Arc<[String]>,
    too_short: usize,
}

impl Redactor {
    /// A redactor for these secrets.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self::default().with(secrets)
    }

    /// A redactor for these secrets too.
    #[must_use]
    pub fn with<S: AsRef<str>>(&self, secrets: impl IntoIterator<Item = S>) -> Self {
        let mut forms: BTreeSet<String> = self.forms.iter().cloned().collect();
        let mut too_short = self.too_short;
        for secret in secrets {
            let secret = secret.as_ref();
            // Endpoints often strip what surrounds a key before they repeat it.
            for secret in [secret, secret.trim()] {
                if secret.len() >= SHORTEST {
                    add_forms(secret, &mut forms);
                } else if !secret.is_empty() {
                    too_short += 1;
                    break;
                }
            }
        }
        let build = || AhoCorasick::builder().match_kind(MatchKind::Standard).build(&forms).ok();
        let patterns = if forms.is_empty() { None } else { build() };
        Self { patterns, forms: forms.into_iter().collect(), too_short }
    }

    /// How many secrets are too short (under 6 bytes) to be taken out; worth a warning.
    #[must_use]
    pub fn too_short(&self) -> usize {
        self.too_short
    }

    /// How many bytes at the end of `text` may be the beginning of a secret that the next piece completes. A whole secret
    /// at the end counts: it may be the beginning of a longer one.
    #[must_use]
    pub fn begun(&self, text: &str) -> usize {
        let longest = self.patterns.as_ref().map_or(0, AhoCorasick::max_pattern_len);
        let bytes = text.as_bytes();
        let begins = |from: &usize| self.forms.iter().any(|form| form.as_bytes().starts_with(&bytes[*from..]));
        let first = bytes.len().saturating_sub(longest.saturating_sub(1));
        (first..bytes.len()).find(begins).map_or(0, |from| bytes.len() - from)
    }

    /// The text with [`MASK`] in place of every secret; `None` if there is none in it.
    #[must_use]
    pub fn redact(&self, text: &str) -> Option<String> {
        let patterns = self.patterns.as_ref()?;
        // Matches that overlap are one: else the rest of the second secret would stay.
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for found in patterns.find_overlapping_iter(text) {
            let (mut start, end) = (found.start(), found.end());
            while let Some(last) = ranges.last().filter(|last| last.1 > start) {
                start = start.min(last.0);
                ranges.pop();
            }
            ranges.push((start, end));
        }
        if ranges.is_empty() {
            return None;
        }
        let mut redacted = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in ranges {
            redacted.push_str(text.get(at..start).unwrap_or(""));
            redacted.push_str(MASK);
            at = end;
        }
        redacted.push_str(text.get(at..).unwrap_or(""));
        Some(redacted)
    }
}

/// Without secrets, it does nothing.
impl Default for Redactor {
    fn default() -> Self {
        Self { patterns: None, forms: Arc::default(), too_short: 0 }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns = self.patterns.as_ref().map_or(0, AhoCorasick::patterns_len);
        out.debug_struct("Redactor").field("patterns", &patterns).field("too_short", &self.too_short).finish()
    }
}

fn add_forms(secret: &str, forms: &mut BTreeSet<String>) {
    let json = json_escaped(secret);
    forms.insert(json_escaped(&json));
    forms.insert(json_escaped_ascii(secret));
    forms.insert(json);
    for hexadecimal in ["0123456789ABCDEF", "0123456789abcdef"] {
        let url = url_escaped(secret, hexadecimal.as_bytes());
        forms.insert(url.replace("%20", "+"));
        forms.insert(url);
    }
    // As templates escape for HTML: mustache's variables and jinja's `e`, with either spelling of quotes.
    for (double, single) in [("&quot;", "'"), ("&quot;", "&#39;"), ("&#34;", "&#39;"), ("&#34;", "'")] {
        let escaped = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        forms.insert(escaped.replace('"', double).replace('\'', single));
    }
    for offset in 0..3 {
        add_base64(secret.as_bytes(), offset, forms);
    }
    forms.insert(secret.to_owned());
}

/// Adds what is left of a secret in base64 when `offset` bytes stand before it, whatever they are.
fn add_base64(secret: &[u8], offset: usize, forms: &mut BTreeSet<String>) {
    let encoded = STANDARD_NO_PAD.encode([&[0; 2][..offset], secret].concat());
    let first = [0, 2, 3][offset];
    // The last sign also depends on what follows, unless it holds the secret's bits only.
    let last = (offset + secret.len()) * 8 / 6;
    let Some(certain) = encoded.get(first..last) else { return };
    let mut add = |form: &str| {
        forms.insert(form.to_owned());
        forms.insert(form.replace('+', "-").replace('/', "_"));
    };
    add(certain);
    if let Some(to_the_end) = encoded.get(first..) {
        // At the text's end: with its last sign, and the padding if it is written.
        add(to_the_end);
        let padding = (4 - encoded.len() % 4) % 4;
        add(&format!("{to_the_end}{}", &"=="[..padding.min(2)]));
    }
}

/// As JSON writes a text between its quotes.
fn json_escaped(text: &str) -> String {
    let mut quoted = String::new();
    sluicegate_value::json::write_string(text, &mut quoted);
    quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

/// As a cautious JSON writer does: `/` and everything beyond ASCII escaped too.
fn json_escaped_ascii(text: &str) -> String {
    let mut escaped = String::new();
    for character in json_escaped(text).chars() {
        if character.is_ascii() {
            escaped.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                escaped += &format!("\\u{unit:04x}");
            }
        }
    }
    escaped
}

fn url_escaped(text: &str, hexadecimal: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(char::from(hexadecimal[usize::from(byte >> 4)]));
            escaped.push(char::from(hexadecimal[usize::from(byte & 15)]));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;
    use sluicegate_value::Value;

    use super::*;

    #[test]
    fn a_secret_in_html_is_taken_out() {
        let redactor = Redactor::new(["k&y<long>'\"7"]);
        for text in ["k&amp;y&lt;long&gt;&#39;&#34;7", "k&amp;y&lt;long&gt;'&quot;7"] {
            assert_eq!(redactor.redact(text).as_deref(), Some(MASK), "{text}");
        }
    }

    #[test]
    fn what_may_become_a_secret_is_known() {
        let redactor = Redactor::new(["sk-abcdef"]);
        for (text, begun) in [("see sk-ab", 5), ("see sk-abcdef", 9), ("see", 0), ("s", 1), ("", 0), ("é", 0)] {
            assert_eq!(redactor.begun(text), begun, "{text}");
        }
        assert_eq!(Redactor::new([""; 0]).begun("s"), 0);
    }

    #[track_caller]
    fn check(secrets: &[&str], text: &str, expected: Option<&str>) {
        assert_eq!(Redactor::new(secrets).redact(text).as_deref(), expected);
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        check(&["sk-123456"], "key sk-123456, again sk-123456", Some("key [secret], again [secret]"));
        check(&["sk-123456"], "nothing here", None);
        check(&[], "sk-123456", None);
    }

    #[test]
    fn secrets_that_overlap_are_masked_as_one() {
        check(&["abcdef", "efghij"], "x abcdefghij y", Some("x [secret] y"));
        check(&["abcdef", "abcdefgh"], "abcdefgh!", Some("[secret]!"));
        check(&["aaaaaa"], "aaaaaaaaab", Some("[secret]b"));
    }

    #[test]
    fn blanks_around_a_secret_do_not_hide_it() {
        check(&["sk-123456\n"], "Bearer sk-123456.", Some("Bearer [secret]."));
    }

    #[test]
    fn a_short_secret_is_counted_and_left() {
        let redactor = Redactor::new(["12345", "", "long-enough"]);
        assert_eq!((redactor.too_short(), redactor.redact("12345")), (1, None));
    }

    #[test]
    fn encoded_forms_are_masked() {
        let secret = "p/ss: \"wörd\" #1";
        let url = "p%2Fss%3A%20%22w%C3%B6rd%22%20%231";
        for form in [
            Value::from(secret).to_json(),
            Value::from(Value::from(secret).to_json()).to_json(),
            url.to_owned(),
            url.to_lowercase(),
            STANDARD.encode(secret),
            STANDARD.encode(format!("user:{secret}")),
        ] {
            let redacted = Redactor::new([secret]).redact(&form).expect(&form);
            assert!(redacted.contains(MASK), "{form} became {redacted}");
        }
    }

    proptest! {
        #[test]
        fn no_secret_survives(
            secret in "\\PC{6,30}",
            before in "[a-z ]{0,8}",
            after in "[a-z ]{0,8}",
        ) {
            prop_assume!(secret.trim() == secret && secret.len() >= SHORTEST);
            let redactor = Redactor::new([&secret]);
            let around = |text: &str| format!("{before}{text}{after}");

            let raw = redactor.redact(&around(&secret)).unwrap();
            prop_assert!(!raw.contains(&secret));

            let json = Value::from(around(&secret)).to_json();
            let redacted = redactor.redact(&json).unwrap();
            let read = sluicegate_value::json::read(&redacted).unwrap();
            prop_assert!(!read.as_str().unwrap().contains(&secret));

            for encoded in [STANDARD.encode(around(&secret)), URL_SAFE.encode(around(&secret))] {
                prop_assert!(redactor.redact(&encoded).is_some(), "{}", encoded);
            }
        }

        #[test]
        fn what_holds_no_secret_stays(text in "\\PC{0,60}") {
            prop_assert_eq!(Redactor::new(["zz-not-there-zz"]).redact(&text), None);
        }
    }
}
