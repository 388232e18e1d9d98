//! Google's BLEU for sentences, as nltk computes it: the smaller of precision and recall over all short n-grams.

use super::ngrams::{number, orders};
use super::tokenize::Tokenizer;

/// GLEU over the n-grams of 1 to 4 tokens, in 0..=1; 0 if both texts are empty.
#[must_use]
pub fn gleu(prediction: &str, reference: &str, tokenizer: Tokenizer) -> f64 {
    let (prediction, reference) = (tokenizer.tokenize(prediction), tokenizer.tokenize(reference));
    let pair = number(prediction.iter(), reference.iter());
    let orders = orders(&pair, 4);
    let matches: usize = orders.iter().map(|order| order.matches).sum();
    let predicted: usize = orders.iter().map(|order| order.predicted).sum();
    let expected: usize = orders.iter().map(|order| order.expected).sum();
    matches as f64 / predicted.max(expected).max(1) as f64
}
