//! Word boundaries of UAX 29.

use unicode_segmentation::UnicodeSegmentation as _;

use super::Tokens;

pub(super) fn tokenize(text: &str) -> Tokens {
    let spans = text
        .split_word_bound_indices()
        // What nobody sees parts words, and is none; a mark that stands alone clings even to a blank.
        .map(|(start, piece)| {
            let seen = piece.trim_start_matches(is_unseen);
            let start = start + piece.len() - seen.len();
            start..start + seen.trim_end_matches(is_unseen).len()
        })
        .filter(|span| !span.is_empty())
        .collect();
    Tokens::of(text, spans)
}

fn is_unseen(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(tokenize(text).iter().collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn words_numbers_and_signs_are_tokens() {
        check(
            "The quick (\"brown\") fox can't jump 32.3 feet, right?",
            &["The", "quick", "(", "\"", "brown", "\"", ")", "fox", "can't", "jump", "32.3", "feet", ",", "right", "?"],
        );
    }

    #[test]
    fn a_word_with_an_accent_is_one() {
        check("naïve co\u{302}te", &["naïve", "co\u{302}te"]);
    }

    #[test]
    fn letters_of_scripts_without_blanks_stand_alone() {
        check("北京很大。", &["北", "京", "很", "大", "。"]);
    }

    #[test]
    fn a_family_is_one() {
        check("a 👨\u{200d}👩\u{200d}👧 b", &["a", "👨\u{200d}👩\u{200d}👧", "b"]);
    }

    #[test]
    fn what_nobody_sees_is_none() {
        check(" \t\u{feff}\u{200b}\r\n", &[]);
        check("1\u{202f}000", &["1\u{202f}000"]);
        check("\t\u{1056}", &["\u{1056}"]);
    }
}
