//! Texts become tokens.
//!
//! [`Tokenizer::Unicode`] is what we would choose. [`Tokenizer::AzureCompat`] is what azure-ai-evaluation does, with
//! its consequences: a text of ASCII is cut by nltk's `word_tokenize` (Punkt finds the sentences, the Treebank rules
//! the words), any other text by nltk's port of NIST's international tokenizer, which parts "naïve" into three and
//! leaves a Chinese sentence whole. Two texts that are compared may so be cut by different rules.

mod mteval;
mod nist;
mod punkt;
mod unicode;
mod words;

use std::ops::Range;

use super::whitespace::is_space;

/// Which rules cut a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tokenizer {
    /// Word boundaries of Unicode (UAX 29): words, numbers, punctuation and symbols each are tokens; Chinese, Japanese
    /// and Thai letters each stand alone. The same rules for every text.
    #[default]
    Unicode,
    /// As azure-ai-evaluation: nltk's `word_tokenize` for ASCII, `NISTTokenizer.international_tokenize` otherwise.
    AzureCompat,
    /// mteval-v13a, sacrebleu's default.
    Mteval13a,
}

impl Tokenizer {
    /// Cuts a text. No token is empty or holds a blank at its ends.
    #[must_use]
    pub fn tokenize(self, text: &str) -> Tokens {
        match self {
            Self::Unicode => unicode::tokenize(text),
            Self::AzureCompat if text.is_ascii() => Tokens::split(words::spaced(text)),
            Self::AzureCompat => Tokens::split(nist::spaced(text)),
            Self::Mteval13a => Tokens::split(mteval::spaced(text)),
        }
    }
}

/// The tokens of a text, in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Tokens {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Each token, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &str> + ExactSizeIterator {
        self.spans.iter().map(|span| self.text.get(span.clone()).unwrap_or_default())
    }

    /// The tokens are what blanks part in `text`.
    fn split(text: String) -> Self {
        let mut spans = Vec::with_capacity(text.len() / 5);
        let mut start = None;
        for (index, letter) in text.char_indices() {
            match (is_space(letter), start) {
                (false, None) => start = Some(index),
                (true, Some(begin)) => {
                    spans.push(begin..index);
                    start = None;
                }
                _ => {}
            }
        }
        spans.extend(start.map(|begin| begin..text.len()));
        Self { text, spans }
    }

    fn of(text: &str, spans: Vec<Range<usize>>) -> Self {
        Self { text: text.to_owned(), spans }
    }
}

/// Splits an ASCII text into sentences as nltk's Punkt does, with its English parameters; other text is left whole.
#[must_use]
pub fn sentences(text: &str) -> Vec<&str> {
    if !text.is_ascii() {
        return Vec::from([text]);
    }
    punkt::sentences(text).into_iter().filter_map(|span| text.get(span)).collect()
}
