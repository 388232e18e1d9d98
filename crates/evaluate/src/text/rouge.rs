//! ROUGE, as the package rouge-score computes it.
//!
//! Only the letters a to z and digits count: a text in another script has no tokens, and scores 0 even against itself.

use std::borrow::Cow;

use super::Overlap;
use super::ngrams::{Numbered, number, orders};
use super::porter::stem;
use super::whitespace::lower;

/// Which ROUGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rouge {
    /// Words in common.
    One,
    /// Pairs of words.
    Two,
    /// Runs of three words.
    Three,
    /// Runs of four words.
    Four,
    /// Runs of five words.
    Five,
    /// The longest common subsequence of words.
    L,
}

impl Rouge {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::One, Self::Two, Self::Three, Self::Four, Self::Five, Self::L];

    /// Its name, from `rouge1` to `rougeL`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "rouge1",
            Self::Two => "rouge2",
            Self::Three => "rouge3",
            Self::Four => "rouge4",
            Self::Five => "rouge5",
            Self::L => "rougeL",
        }
    }

    /// The one of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// How many words an n-gram has; `None` for ROUGE-L.
    fn order(self) -> Option<usize> {
        match self {
            Self::One => Some(1),
            Self::Two => Some(2),
            Self::Three => Some(3),
            Self::Four => Some(4),
            Self::Five => Some(5),
            Self::L => None,
        }
    }
}

/// Scores one kind; each part is in 0..=1. With `use_stemmer`, words of more than three letters are stemmed first
/// (azure-ai-evaluation does not).
#[must_use]
pub fn rouge(kind: Rouge, prediction: &str, reference: &str, use_stemmer: bool) -> Overlap {
    let (prediction, reference) = (lower(prediction), lower(reference));
    let pair = if use_stemmer {
        number(stems(&prediction), stems(&reference))
    } else {
        number(words(&prediction), words(&reference))
    };
    match kind.order() {
        Some(order) => {
            let counts = orders(&pair, order).pop().unwrap_or_default();
            Overlap::of(counts.matches, counts.predicted, counts.expected)
        }
        None => Overlap::of(longest_common_subsequence(&pair), pair.prediction.len(), pair.reference.len()),
    }
}

fn words(lowered: &str) -> impl Iterator<Item = &[u8]> {
    lowered.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn stems(lowered: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let words = lowered.split(|letter: char| !letter.is_ascii_alphanumeric());
    words
        .map(|word| if word.len() > 3 { stem(word).into() } else { Cow::Borrowed(word) })
        .filter(|word| !word.is_empty())
}

/// Its length, by the bit-parallel method of Hyyrö (2004): 64 cells of the table in one step. Only blocks that something
/// changes are visited, and memory stays in proportion to the texts.
fn longest_common_subsequence(pair: &Numbered) -> usize {
    let places = Places::of(pair);
    let mut row = vec![u64::MAX; pair.reference.len().div_ceil(64)];
    for token in &pair.prediction {
        let mut carry = false;
        let mut next = 0;
        for (block, bits) in places.of_token(*token) {
            while carry && next < block {
                carry = step(&mut row, next, 0, carry);
                next += 1;
            }
            carry = step(&mut row, block, bits, carry);
            next = block + 1;
        }
        while carry && next < row.len() {
            carry = step(&mut row, next, 0, carry);
            next += 1;
        }
    }
    // Bits past the reference's end match nothing and stay set.
    row.iter().map(|cells| cells.count_zeros() as usize).sum()
}

/// Goes on by one token in one block; answers whether the sum carries into the next one.
fn step(row: &mut [u64], block: usize, bits: u64, carry: bool) -> bool {
    let Some(cells) = row.get_mut(block) else { return false };
    let (sum, first) = cells.overflowing_add(*cells & bits);
    let (sum, second) = sum.overflowing_add(u64::from(carry));
    *cells = sum | (*cells & !bits);
    first || second
}

/// Where each kind of token stands in the reference: chains of blocks of 64 places, in order.
struct Places {
    /// Block, bits, and where in this list the same token's next block is.
    blocks: Vec<(usize, u64, usize)>,
    first: Vec<usize>,
}

impl Places {
    const NONE: usize = usize::MAX;

    fn of(pair: &Numbered) -> Self {
        let mut places = Self { blocks: Vec::with_capacity(pair.reference.len()), first: vec![Self::NONE; pair.kinds] };
        for (index, token) in pair.reference.iter().enumerate().rev() {
            let Some(first) = places.first.get_mut(*token as usize) else { continue };
            match places.blocks.get_mut(*first) {
                Some((block, bits, _)) if *block == index / 64 => *bits |= 1 << (index % 64),
                _ => {
                    let next = std::mem::replace(first, places.blocks.len());
                    places.blocks.push((index / 64, 1 << (index % 64), next));
                }
            }
        }
        places
    }

    fn of_token(&self, token: u32) -> impl Iterator<Item = (usize, u64)> {
        let mut at = self.first.get(token as usize).copied().unwrap_or(Self::NONE);
        std::iter::from_fn(move || {
            let (block, bits, next) = *self.blocks.get(at)?;
            at = next;
            Some((block, bits))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0; b.len() + 1];
        for x in a {
            let mut diagonal = 0;
            for (index, y) in b.iter().enumerate() {
                let above = row[index + 1];
                row[index + 1] = if x == y { diagonal + 1 } else { above.max(row[index]) };
                diagonal = above;
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn the_fast_subsequence_is_as_long_as_the_slow_one(
            (a, b) in (1_u32..400).prop_flat_map(|kinds| {
                (prop::collection::vec(0..kinds, 0..300), prop::collection::vec(0..kinds, 0..300))
            }),
        ) {
            let pair = number(a.iter(), b.iter());
            prop_assert_eq!(longest_common_subsequence(&pair), table(&a, &b));
        }
    }

    #[test]
    fn order_counts_for_l_but_neighbourhood_does_not() {
        let score = rouge(Rouge::L, "police killed the gunman", "the gunman police killed", false);
        assert_eq!(score, Overlap { precision: 0.5, recall: 0.5, f1: 0.5 });
        let score = rouge(Rouge::L, "police slowly killed the gunman", "police killed the gunman", false);
        assert_eq!((score.precision, score.recall), (0.8, 1.0));
    }

    #[test]
    fn another_script_scores_nothing() {
        assert_eq!(rouge(Rouge::One, "Москва", "Москва", false), Overlap::default());
    }
}
