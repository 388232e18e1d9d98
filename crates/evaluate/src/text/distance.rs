//! How many edits are between two texts, counted in Unicode scalar values.
//!
//! Two ratios go by the name "Levenshtein ratio", and they differ: name the one that you mean.

use rapidfuzz::distance::{indel, levenshtein};

/// How many letters to insert, delete or replace.
#[must_use]
pub fn levenshtein_distance(a: &str, b: &str) -> usize {
    if a.is_ascii() && b.is_ascii() {
        levenshtein::distance(a.bytes(), b.bytes())
    } else {
        levenshtein::distance(a.chars(), b.chars())
    }
}

/// 1 − distance / length of the longer text, in 0..=1; 1 for two empty texts. `normalized_similarity` of rapidfuzz.
#[must_use]
pub fn normalized_similarity(a: &str, b: &str) -> f64 {
    let longer = length(a).max(length(b));
    if longer == 0 { 1.0 } else { 1.0 - levenshtein_distance(a, b) as f64 / longer as f64 }
}

/// 1 − (insertions and deletions) / both lengths, in 0..=1; 1 for two empty texts. `ratio` of the package Levenshtein.
#[must_use]
pub fn indel_ratio(a: &str, b: &str) -> f64 {
    let both = length(a) + length(b);
    let edits = if a.is_ascii() && b.is_ascii() {
        indel::distance(a.bytes(), b.bytes())
    } else {
        indel::distance(a.chars(), b.chars())
    };
    if both == 0 { 1.0 } else { 1.0 - edits as f64 / both as f64 }
}

fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_two_ratios_differ() {
        assert_eq!(levenshtein_distance("kitten", "sitting"), 3);
        assert_eq!(normalized_similarity("kitten", "sitting"), 1.0 - 3.0 / 7.0);
        assert_eq!(indel_ratio("kitten", "sitting"), 1.0 - 5.0 / 13.0);
    }

    proptest! {
        #[test]
        fn it_is_the_textbook_s_distance(a in "[a-cé😀]{0,150}", b in "[a-cé😀]{0,150}") {
            prop_assert_eq!(levenshtein_distance(&a, &b), strsim::levenshtein(&a, &b));
        }

        #[test]
        fn so_it_is_for_any_text(a in ".*", b in ".*") {
            prop_assert_eq!(levenshtein_distance(&a, &b), strsim::levenshtein(&a, &b));
        }
    }
}
