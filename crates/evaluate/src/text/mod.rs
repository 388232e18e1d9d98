//! Texts, numbers, vectors and JSON compared without a model: pure functions over what is given, with no files, no
//! network and no clock. The same input gives the same score anywhere.
//!
//! Where a metric has a reference implementation in Python (nltk, rouge-score, sacrebleu, azure-ai-evaluation), ours
//! gives its number to the last digits that floating point allows; `tests/data/text_metrics.jsonl` holds rows that were
//! computed there. Scores lie in 0..=1 except where a function says otherwise.
//!
//! ```text
//!  matching · lists · numbers · json · json_path · json_schema     yes or no
//!  f1 · bleu · gleu · sacrebleu · rouge · meteor                   overlap of words
//!  distance · vectors                                              how far apart
//!       └─ normalize · tokenize · ngrams · porter · wordnet        what they stand on
//! ```

mod deflated;
mod ngrams;
mod porter;
mod whitespace;
mod wordnet;

pub mod bleu;
pub mod distance;
pub mod f1;
pub mod gleu;
pub mod json;
pub mod json_path;
pub mod json_schema;
pub mod lists;
pub mod matching;
pub mod meteor;
pub mod normalize;
pub mod numbers;
pub mod rouge;
pub mod sacrebleu;
pub mod tokenize;
pub mod vectors;

pub use bleu::bleu;
pub use f1::f1_score;
pub use gleu::gleu;
pub use matching::exact_match;
pub use meteor::meteor;
pub use normalize::Normalization;
pub use porter::stem;
pub use rouge::rouge;
pub use tokenize::Tokenizer;

/// How much of each other two texts hold: the three numbers that belong together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overlap {
    /// Which share of the prediction is in the reference.
    pub precision: f64,
    /// Which share of the reference is in the prediction.
    pub recall: f64,
    /// Their harmonic mean; 0 where both are 0.
    pub f1: f64,
}

impl Overlap {
    /// From counts: `matches` of `predicted` and of `expected` things. A share of nothing is 0.
    pub(crate) fn of(matches: usize, predicted: usize, expected: usize) -> Self {
        let precision = matches as f64 / predicted.max(1) as f64;
        let recall = matches as f64 / expected.max(1) as f64;
        let f1 = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
        Self { precision, recall, f1 }
    }
}
