//! Sentence BLEU as sacrebleu computes it: tokenizer 13a, exponential smoothing, effective order.

use super::ngrams::{number, orders};
use super::tokenize::Tokenizer;

/// sacrebleu's `sentence_bleu` with its defaults. **In 0..=100**, as sacrebleu gives it.
#[must_use]
pub fn sacrebleu_sentence(prediction: &str, reference: &str) -> f64 {
    let (prediction, reference) = (Tokenizer::Mteval13a.tokenize(prediction), Tokenizer::Mteval13a.tokenize(reference));
    let pair = number(prediction.iter(), reference.iter());
    let (length, expected) = (pair.prediction.len() as f64, pair.reference.len() as f64);
    let orders = orders(&pair, 4);
    if orders.iter().all(|order| order.matches == 0) {
        return 0.0;
    }
    let penalty = if length < expected { (1.0 - expected / length).exp() } else { 1.0 };
    let mut halving = 1.0;
    // Only orders that the prediction is long enough for count.
    let logs: Vec<f64> = orders
        .iter()
        .take_while(|order| order.predicted > 0)
        .map(|order| {
            let matches = if order.matches == 0 {
                halving *= 2.0;
                1.0 / halving
            } else {
                order.matches as f64
            };
            (100.0 * matches / order.predicted as f64).ln()
        })
        .collect();
    penalty * (logs.iter().sum::<f64>() / logs.len() as f64).exp()
}
