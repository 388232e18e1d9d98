//! Sentence BLEU with one reference, as nltk computes it with smoothing method 4.

use super::ngrams::{Order, number, orders};
use super::tokenize::Tokenizer;

/// BLEU of orders 1 to 4, equally weighted, in 0..=1. Without a token in common it is 0, for two empty texts too. A text of
/// two or three tokens does not get 1 even against itself: the n-grams that it is too short for are smoothed. A text of one
/// token is judged by that token alone.
#[must_use]
pub fn bleu(prediction: &str, reference: &str, tokenizer: Tokenizer) -> f64 {
    let (prediction, reference) = (tokenizer.tokenize(prediction), tokenizer.tokenize(reference));
    bleu_of_tokens(prediction.iter(), reference.iter())
}

/// As [`bleu`], of texts that are cut already.
#[must_use]
pub fn bleu_of_tokens<'t>(prediction: impl Iterator<Item = &'t str>, reference: impl Iterator<Item = &'t str>) -> f64 {
    let pair = number(prediction, reference);
    let (length, expected) = (pair.prediction.len() as f64, pair.reference.len() as f64);
    let orders = orders(&pair, 4);
    if orders.first().is_none_or(|order| order.matches == 0) {
        return 0.0;
    }
    let penalty = if length > expected { 1.0 } else { (1.0 - expected / length).exp() };
    let logs: f64 = smoothed(&orders, length).filter(|precision| *precision > 0.0).map(|p| 0.25 * p.ln()).sum();
    (penalty * logs.exp()).min(1.0)
}

/// Method 4: the k-th order without a match counts as ln(length) / (5·2^k) matches.
fn smoothed(orders: &[Order], length: f64) -> impl Iterator<Item = f64> {
    let mut missing = 0;
    orders.iter().map(move |order| {
        let matches = if order.matches == 0 && length > 1.0 {
            missing += 1;
            1.0 / (f64::from(1 << missing) * 5.0 / length.ln())
        } else {
            order.matches as f64
        };
        matches / order.predicted.max(1) as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prediction: &str, reference: &str, expected: f64) {
        let found = bleu(prediction, reference, Tokenizer::AzureCompat);
        assert!((found - expected).abs() < 1e-12, "{prediction} | {reference}: {found}");
    }

    #[test]
    fn four_equal_tokens_are_needed_for_one() {
        check("a b c d", "a b c d", 1.0);
        check("Paris", "Paris", 1.0);
        check("New York", "New York", (0.25_f64 * ((2_f64.ln() / 10.0).ln() + (2_f64.ln() / 20.0).ln())).exp());
    }

    #[test]
    fn nothing_in_common_is_zero() {
        check("", "", 0.0);
        check("a", "b", 0.0);
        check("", "a", 0.0);
    }
}
