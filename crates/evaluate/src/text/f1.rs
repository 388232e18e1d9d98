//! The words that prediction and reference share, as SQuAD and azure-ai-evaluation count them.

use super::Overlap;
use super::ngrams::{number, orders};
use super::normalize::squad;

/// Token F1 after SQuAD's normalisation, in 0..=1. Nothing in common is 0, and so are two empty texts (SQuAD's own
/// script says 1 there; azure-ai-evaluation, whose numbers these are, says 0).
#[must_use]
pub fn f1_score(prediction: &str, reference: &str) -> f64 {
    f1_overlap(prediction, reference).f1
}

/// As [`f1_score`], with its two parts.
#[must_use]
pub fn f1_overlap(prediction: &str, reference: &str) -> Overlap {
    let (prediction, reference) = (squad(prediction), squad(reference));
    let pair = number(words(&prediction), words(&reference));
    let shared = orders(&pair, 1).first().copied().unwrap_or_default();
    Overlap::of(shared.matches, shared.predicted, shared.expected)
}

/// The normal form has one blank between words.
fn words(normal: &str) -> impl Iterator<Item = &[u8]> {
    normal.as_bytes().split(|byte| *byte == b' ').filter(|word| !word.is_empty())
}
