//! METEOR, as nltk computes it: words aligned as they are, then by their stems, then as WordNet's synonyms.

use foldhash::HashMap;

use super::ngrams::number;
use super::porter::stem;
use super::tokenize::Tokenizer;
use super::whitespace::lower;
use super::wordnet::{self, Name};

/// What weighs how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeteorParameters {
    /// How much precision counts against recall, in 0..=1.
    pub alpha: f64,
    /// How steeply scattered matches are punished.
    pub beta: f64,
    /// How much of the score scattered matches can cost, in 0..=1.
    pub gamma: f64,
}

impl Default for MeteorParameters {
    fn default() -> Self {
        Self { alpha: 0.9, beta: 3.0, gamma: 0.5 }
    }
}

/// METEOR against one reference, in 0..=1 with the default parameters. Equal texts do not get 1 (of ten tokens 0.9995,
/// of one 0.5): the penalty for scattered matches counts the one piece that they make. Nothing in common is 0.
#[must_use]
pub fn meteor(prediction: &str, reference: &str, tokenizer: Tokenizer, parameters: MeteorParameters) -> f64 {
    let (prediction, reference) = (tokenizer.tokenize(prediction), tokenizer.tokenize(reference));
    let mut matches = align(prediction.iter(), reference.iter());
    matches.sort_unstable();
    let matched = matches.len() as f64;
    if matches.is_empty() {
        return 0.0;
    }
    let precision = matched / prediction.len() as f64;
    let recall = matched / reference.len() as f64;
    let weighted = parameters.alpha * precision + (1.0 - parameters.alpha) * recall;
    if weighted == 0.0 {
        return 0.0;
    }
    let penalty = parameters.gamma * (pieces(&matches) as f64 / matched).powf(parameters.beta);
    (1.0 - penalty) * (precision * recall / weighted)
}

/// Which token of the prediction stands for which of the reference.
fn align<'t>(
    prediction: impl Iterator<Item = &'t str>,
    reference: impl Iterator<Item = &'t str>,
) -> Vec<(usize, usize)> {
    let mut sides = Sides {
        prediction: prediction.map(lower).enumerate().collect(),
        reference: reference.map(lower).enumerate().collect(),
        matches: Vec::new(),
    };
    sides.match_equal();
    // What is left goes on as its stem: in nltk the third stage sees stems, too.
    for (_, word) in sides.prediction.iter_mut().chain(&mut sides.reference) {
        *word = stem(word).into();
    }
    sides.match_equal();
    sides.match_synonyms();
    sides.matches
}

/// Words that are not matched yet, with their places; and what is.
struct Sides<'t> {
    prediction: Vec<(usize, std::borrow::Cow<'t, str>)>,
    reference: Vec<(usize, std::borrow::Cow<'t, str>)>,
    matches: Vec<(usize, usize)>,
}

/// No place.
const NONE: usize = usize::MAX;

impl Sides<'_> {
    /// From the last word of the prediction to the first, each takes the last equal word of the reference that is free.
    fn match_equal(&mut self) {
        if self.prediction.is_empty() || self.reference.is_empty() {
            return;
        }
        let pair =
            number(self.prediction.iter().map(|(_, word)| &**word), self.reference.iter().map(|(_, word)| &**word));
        let mut last = vec![NONE; pair.kinds];
        let mut before = vec![NONE; pair.reference.len()];
        for (index, (word, before)) in pair.reference.iter().zip(&mut before).enumerate() {
            if let Some(last) = last.get_mut(*word as usize) {
                *before = std::mem::replace(last, index);
            }
        }
        let mut pairs = Vec::new();
        for (index, word) in pair.prediction.iter().enumerate().rev() {
            if let Some(place) = last.get_mut(*word as usize)
                && let Some(before) = before.get(*place)
            {
                pairs.push((index, *place));
                *place = *before;
            }
        }
        self.take(&pairs);
    }

    /// The same, for words of which one is a synonym of the other. Equal words are gone by now.
    fn match_synonyms(&mut self) {
        let mut last: HashMap<Name, usize> = HashMap::default();
        let mut before = vec![NONE; self.reference.len()];
        for (index, ((_, word), before)) in self.reference.iter().zip(&mut before).enumerate() {
            if let Some(name) = wordnet::name(word) {
                *before = last.insert(name, index).unwrap_or(NONE);
            }
        }
        if last.is_empty() {
            return;
        }
        let mut pairs = Vec::new();
        for (index, (_, word)) in self.prediction.iter().enumerate().rev() {
            let mut best: Option<(usize, Name)> = None;
            wordnet::each_synonym(word, |name| {
                if let Some(place) = last.get(&name).filter(|place| best.is_none_or(|(best, _)| **place > best)) {
                    best = Some((*place, name));
                }
            });
            if let Some((place, name)) = best {
                pairs.push((index, place));
                match before.get(place) {
                    Some(before) if *before != NONE => last.insert(name, *before),
                    _ => last.remove(&name),
                };
            }
        }
        self.take(&pairs);
    }

    /// Moves pairs, told by their places among what is left, to the matches.
    fn take(&mut self, pairs: &[(usize, usize)]) {
        let mut left = vec![true; self.prediction.len()];
        let mut right = vec![true; self.reference.len()];
        for (prediction, reference) in pairs {
            if let (Some(a), Some(b)) = (self.prediction.get(*prediction), self.reference.get(*reference)) {
                self.matches.push((a.0, b.0));
            }
            left.get_mut(*prediction).into_iter().chain(right.get_mut(*reference)).for_each(|free| *free = false);
        }
        let (mut left, mut right) = (left.into_iter(), right.into_iter());
        self.prediction.retain(|_| left.next().unwrap_or(true));
        self.reference.retain(|_| right.next().unwrap_or(true));
    }
}

/// How many pieces there are within which both texts go on word by word.
fn pieces(matches: &[(usize, usize)]) -> usize {
    1 + matches.windows(2).filter(|pair| !matches!(pair, [a, b] if (a.0 + 1, a.1 + 1) == *b)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(prediction: &str, reference: &str, expected: f64) {
        let found = meteor(prediction, reference, Tokenizer::AzureCompat, MeteorParameters::default());
        assert!((found - expected).abs() < 1e-9, "{prediction} | {reference}: {found}");
    }

    #[test]
    fn the_example_of_its_authors_holds() {
        let found = meteor(
            "It is a guide to action which ensures that the military always obeys the commands of the party",
            "It is a guide to action that ensures that the military will forever heed Party commands",
            Tokenizer::AzureCompat,
            MeteorParameters::default(),
        );
        assert_eq!((found * 10_000.0).round(), 6944.0);
    }

    #[test]
    fn equal_texts_are_not_quite_one() {
        check("Paris", "Paris", 0.5);
        check("a b c d e f g h i j", "a b c d e f g h i j", 0.9995);
    }

    #[test]
    fn stems_and_synonyms_match() {
        check("runs", "running", 0.5);
        check("car", "automobile", 0.0);
        check("fast", "quick", 0.5);
        check("", "", 0.0);
    }
}
