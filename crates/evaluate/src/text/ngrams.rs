//! How many n-grams two token lists have in common.
//!
//! Tokens become numbers, and an n-gram the pair of its first n−1 tokens' number and its last token: no n-gram is ever
//! built as text.

use std::hash::Hash;

// Seeded anew in each process, as the standard library's hashing is, and several times as fast on short words.
use foldhash::{HashMap, HashMapExt as _};

/// Two token lists with each token told by a number; equal tokens, equal numbers.
pub(super) struct Numbered {
    pub(super) prediction: Vec<u32>,
    pub(super) reference: Vec<u32>,
    /// How many different tokens there are.
    pub(super) kinds: usize,
}

/// Numbers the tokens of a pair.
pub(super) fn number<T: Hash + Eq>(
    prediction: impl Iterator<Item = T>,
    reference: impl Iterator<Item = T>,
) -> Numbered {
    let mut numbers: HashMap<T, u32> = HashMap::with_capacity(prediction.size_hint().0.max(16));
    let mut number = |token| {
        let next = numbers.len() as u32;
        *numbers.entry(token).or_insert(next)
    };
    let prediction = prediction.map(&mut number).collect();
    let reference = reference.map(&mut number).collect();
    Numbered { prediction, reference, kinds: numbers.len() }
}

/// The n-grams of one order in two texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// In both, each counted as often as in the text that has it less often.
    pub(super) matches: usize,
    /// In the prediction.
    pub(super) predicted: usize,
    /// In the reference.
    pub(super) expected: usize,
}

/// Counts the orders 1 to `longest`.
pub(super) fn orders(pair: &Numbered, longest: usize) -> Vec<Order> {
    let mut orders = Vec::with_capacity(longest);
    orders.push(count(&pair.prediction, &pair.reference, pair.kinds));
    if longest > 1 {
        let (mut prediction, mut reference) = (pair.prediction.clone(), pair.reference.clone());
        for length in 2..=longest {
            let kinds = lengthen(&mut prediction, &mut reference, pair, length);
            orders.push(count(&prediction, &reference, kinds));
        }
    }
    orders
}

fn count(prediction: &[u32], reference: &[u32], kinds: usize) -> Order {
    let mut left = vec![0_u32; kinds];
    for gram in reference {
        if let Some(count) = left.get_mut(*gram as usize) {
            *count += 1;
        }
    }
    let mut matches = 0;
    for gram in prediction {
        // What the reference does not have is out of range.
        if let Some(count) = left.get_mut(*gram as usize).filter(|count| **count > 0) {
            *count -= 1;
            matches += 1;
        }
    }
    Order { matches, predicted: prediction.len(), expected: reference.len() }
}

/// An n-gram that the reference does not have.
const FOREIGN: u32 = u32::MAX;

/// Makes n-grams of (n−1)-grams; answers how many different ones the reference has.
fn lengthen(prediction: &mut Vec<u32>, reference: &mut Vec<u32>, pair: &Numbered, length: usize) -> usize {
    let mut numbers: HashMap<u64, u32> = HashMap::with_capacity(reference.len());
    let grams = |shorter: &[u32], tokens: &[u32], number: &mut dyn FnMut(u64) -> u32| -> Vec<u32> {
        let last = tokens.get(length - 1..).unwrap_or_default();
        shorter.iter().zip(last).map(|(first, last)| number(u64::from(*first) << 32 | u64::from(*last))).collect()
    };
    *reference = grams(reference, &pair.reference, &mut |gram| {
        let next = numbers.len() as u32;
        *numbers.entry(gram).or_insert(next)
    });
    // What begins with a foreign n-gram is not found either: no number of the reference's is `FOREIGN`.
    *prediction = grams(prediction, &pair.prediction, &mut |gram| numbers.get(&gram).copied().unwrap_or(FOREIGN));
    numbers.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prediction: &str, reference: &str, expected: &[(usize, usize, usize)]) {
        let pair = number(prediction.split_whitespace(), reference.split_whitespace());
        let found: Vec<_> =
            orders(&pair, expected.len()).iter().map(|o| (o.matches, o.predicted, o.expected)).collect();
        assert_eq!(found, expected, "{prediction} | {reference}");
    }

    #[test]
    fn matches_are_clipped() {
        check("the the the the", "the cat the mat", &[(2, 4, 4), (0, 3, 3)]);
        check("a b a b", "a b c a b", &[(4, 4, 5), (2, 3, 4), (0, 2, 3), (0, 1, 2)]);
    }

    #[test]
    fn short_texts_have_no_long_n_grams() {
        check("a", "a b", &[(1, 1, 2), (0, 0, 1), (0, 0, 0)]);
        check("", "", &[(0, 0, 0), (0, 0, 0)]);
    }
}
