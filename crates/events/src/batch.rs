//! Lines of a batch: what a batch runs over, how a line ends, and sets of lines.

use serde::{Deserialize, Serialize};
use sluicegate_value::Map;

use crate::{Failure, NodePath};

/// What a batch runs over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BatchData {
    /// Where the rows come from, as it was asked for: absolute paths, or `-` for standard input.
    pub sources: Vec<String>,
    /// SHA-256 of all that was read from there, so that a resume knows whether it is the same.
    pub hash: String,
    /// How many lines there are to run, after `--where` and `--limit`.
    pub lines: u64,
    /// Which input takes what, as the batch began with it.
    pub column_mapping: Map,
}

/// How a line ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum LineEnd {
    /// Every output is there.
    Completed {
        /// The outputs.
        outputs: Map,
    },
    /// It failed.
    Failed {
        /// Why.
        failure: Failure,
        /// The node that failed; empty when the row, an output or the line's time did.
        #[serde(default, skip_serializing_if = "NodePath::is_root")]
        node: NodePath,
    },
    /// It was stopped because the batch was; a resume goes on with it.
    Cancelled,
}

/// How many lines ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineCounts {
    /// Lines with all outputs.
    pub completed: u64,
    /// Lines that failed.
    pub failed: u64,
    /// Lines that have not ended: they never began, or were stopped.
    pub left: u64,
}

impl LineCounts {
    /// All lines of the batch.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.completed + self.failed + self.left
    }
}

/// A set of line numbers: a bit for each, so that a million lines take 125 kB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineSet {
    words: Vec<u64>,
    count: u64,
}

impl LineSet {
    /// Adds a line; `false` if it was there.
    pub fn insert(&mut self, line: u64) -> bool {
        let Ok(word) = usize::try_from(line / 64) else { return false };
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let bit = 1 << (line % 64);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// Takes a line out; `false` if it was not there.
    pub fn remove(&mut self, line: u64) -> bool {
        let word = usize::try_from(line / 64).ok().and_then(|word| self.words.get_mut(word));
        let Some(word) = word.filter(|word| **word & (1 << (line % 64)) != 0) else { return false };
        *word &= !(1 << (line % 64));
        self.count -= 1;
        true
    }

    /// Whether a line is in it.
    #[must_use]
    pub fn contains(&self, line: u64) -> bool {
        let word = usize::try_from(line / 64).ok().and_then(|word| self.words.get(word));
        word.is_some_and(|word| word & (1 << (line % 64)) != 0)
    }

    /// How many lines are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lines, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| index as u64 * 64 + bit)
        })
    }
}

impl FromIterator<u64> for LineSet {
    fn from_iter<I: IntoIterator<Item = u64>>(lines: I) -> Self {
        let mut set = Self::default();
        for line in lines {
            set.insert(line);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_set_is_a_set(steps in prop::collection::vec((0u64..300, any::<bool>()), 0..200)) {
            let (mut ours, mut model) = (LineSet::default(), BTreeSet::new());
            for (line, insert) in steps {
                if insert {
                    prop_assert_eq!(ours.insert(line), model.insert(line));
                } else {
                    prop_assert_eq!(ours.remove(line), model.remove(&line));
                }
                prop_assert_eq!(ours.contains(line), model.contains(&line));
            }
            prop_assert_eq!(ours.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(ours.len(), model.len() as u64);
        }
    }
}
