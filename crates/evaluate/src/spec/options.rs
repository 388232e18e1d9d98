//! Options of one evaluator.

use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate_source::Problem;
use sluicegate_source::yaml::{Entry, Node};
use sluicegate_value::{Map, Value};

use super::reader::Reader;
use crate::text::{Normalization, Tokenizer};

/// Options of one evaluator, each read once. What is read is noted with its effective value.
pub(super) struct Options<'r, 'a, 'n> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) name: &'n str,
    entries: &'n [Entry],
    used: BTreeSet<&'static str>,
    pub(super) resolved: Map,
}

const NORMALIZATIONS: [(&str, Normalization); 6] = [
    ("raw", Normalization::Raw),
    ("squad", Normalization::Squad),
    ("case", Normalization::Case),
    ("space", Normalization::Space),
    ("case_and_space", Normalization::CaseAndSpace),
    ("none", Normalization::Raw),
];

const TOKENIZERS: [(&str, Tokenizer); 3] =
    [("azure", Tokenizer::AzureCompat), ("unicode", Tokenizer::Unicode), ("13a", Tokenizer::Mteval13a)];

/// A number as one would write it: a whole one without a point.
pub(super) fn tidy(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 { Value::Int(number as i64) } else { Value::Float(number) }
}

impl<'r, 'a, 'n> Options<'r, 'a, 'n> {
    pub(super) fn new(reader: &'r mut Reader<'a>, name: &'n str, entries: &'n [Entry]) -> Self {
        Self { reader, name, entries, used: BTreeSet::new(), resolved: Map::new() }
    }

    /// The entry of an option, if the author gave it.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Entry> {
        self.used.insert(key);
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    pub(super) fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.take(key).map(|entry| &entry.value)
    }

    /// What no option has taken.
    pub(super) fn rest(&self) -> Vec<&'n Entry> {
        self.entries.iter().filter(|entry| !self.used.contains(&*entry.key)).collect()
    }

    pub(super) fn note(&mut self, key: &'static str, value: impl Into<Value>) {
        self.resolved.insert(key, value);
    }

    /// One of a few words; the first one if none is given.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> T {
        let found = self.node(key).and_then(|node| {
            let indices: Vec<(&str, usize)> = words.iter().enumerate().map(|(at, (word, _))| (*word, at)).collect();
            self.reader.word(key, node, &indices)
        });
        let (word, meaning) = words[found.unwrap_or(0)];
        self.note(key, word);
        meaning
    }

    pub(super) fn normalization(&mut self, default: Normalization) -> Normalization {
        self.normalization_if_given().unwrap_or_else(|| {
            let word = NORMALIZATIONS.iter().find(|(_, meaning)| *meaning == default).map_or("raw", |(word, _)| *word);
            self.note("normalization", word);
            default
        })
    }

    pub(super) fn normalization_if_given(&mut self) -> Option<Normalization> {
        let node = self.node("normalization")?;
        let found = self.reader.word("normalization", node, &NORMALIZATIONS)?;
        self.note("normalization", node.as_str().unwrap_or("raw").replace('-', "_"));
        Some(found)
    }

    pub(super) fn tokenizer(&mut self) -> Tokenizer {
        self.word("tokenizer", &TOKENIZERS)
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let found = self.node(key).and_then(|node| self.reader.boolean(key, node)).unwrap_or(default);
        self.note(key, found);
        found
    }

    pub(super) fn number(&mut self, key: &'static str, default: f64, least: f64, most: f64) -> f64 {
        let found = self.node(key).and_then(|node| self.reader.number(key, node, least, most)).unwrap_or(default);
        self.note(key, tidy(found));
        found
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<(Arc<str>, &'n Node)> {
        let node = self.node(key)?;
        let found: Arc<str> = self.reader.text(key, node)?.into();
        self.note(key, found.clone());
        Some((found, node))
    }

    pub(super) fn scale(&mut self) -> Option<[f64; 2]> {
        let node = self.node("scale")?;
        let found = self.reader.scale(node)?;
        self.note("scale", found.map(tidy).to_vec());
        Some(found)
    }

    /// A problem with an option that must be given.
    pub(super) fn lacks(&mut self, key: &str, example: &str, at: sluicegate_source::Span) {
        let message = format!("evaluator `{}` needs `{key}`", self.name);
        self.reader
            .problem(Problem::error("evaluation::missing_option", message).help(format!("as in `{example}`")), at);
    }
}
