//! WordNet 3.0's synonyms, as METEOR needs them: for a word, the other names of what it may mean.
//!
//! Embedded and packed (600 KB; its licence is beside it), unpacked when first asked: about a tenth of a second and
//! some fifteen megabytes, once.

use std::sync::LazyLock;

use foldhash::{HashMap, HashMapExt as _};

use super::deflated::unpack;

/// A name as WordNet writes it, capital letters and all: METEOR compares it as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(u32);

/// Noun, verb, adjective, adverb.
const PARTS: usize = 4;

/// The number of a name in a single word, if WordNet has it.
pub(super) fn name(word: &str) -> Option<Name> {
    WORDNET.names.get(word).copied().map(Name)
}

/// Calls `tell` with each name that shares a meaning with `word`, or with what `word` is a form of; a name may come more
/// than once. Names of several words do not come.
pub(super) fn each_synonym(word: &str, mut tell: impl FnMut(Name)) {
    let wordnet = &*WORDNET;
    for part in 0..PARTS {
        wordnet.each_lemma(word, part, &mut |lemma| {
            for meaning in wordnet.meanings(lemma, part) {
                for name in slice(&wordnet.members, &wordnet.member_starts, *meaning as usize) {
                    tell(Name(*name));
                }
            }
        });
    }
}

struct WordNet {
    /// Names and lemmas; phrases too, with `_` for blanks.
    names: HashMap<&'static str, u32>,
    /// Where the meanings of a lemma (number · 4 + part of speech) begin in `meanings`.
    meaning_starts: Vec<u32>,
    meanings: Vec<u32>,
    /// Where the names of a meaning begin in `members`.
    member_starts: Vec<u32>,
    members: Vec<u32>,
    /// Irregular forms and their lemmas, by part of speech.
    exceptions: [HashMap<&'static str, &'static str>; PARTS],
}

impl WordNet {
    fn meanings(&self, lemma: u32, part: usize) -> &[u32] {
        slice(&self.meanings, &self.meaning_starts, lemma as usize * PARTS + part)
    }

    /// Calls `tell` with each lemma that `form` may be a form of. nltk's `_morphy`.
    fn each_lemma(&self, form: &str, part: usize, tell: &mut dyn FnMut(u32)) {
        // Forms are few, and of one word: told twice would only be told twice.
        let mut try_form = |form: &str| {
            if let Some(lemma) = self.names.get(form).filter(|lemma| !self.meanings(**lemma, part).is_empty()) {
                tell(*lemma);
            }
        };
        try_form(form);
        if let Some(lemmas) = self.exceptions.get(part).and_then(|exceptions| exceptions.get(form)) {
            lemmas.split(' ').for_each(try_form);
            return;
        }
        let mut longer = String::new();
        for (suffix, replacement) in SUFFIXES.get(part).copied().unwrap_or_default() {
            let Some(stem) = form.strip_suffix(suffix) else { continue };
            if replacement.is_empty() {
                try_form(stem);
            } else {
                longer.clear();
                longer.push_str(stem);
                longer.push_str(replacement);
                try_form(&longer);
            }
        }
    }
}

fn slice<'w>(all: &'w [u32], starts: &[u32], index: usize) -> &'w [u32] {
    match starts.get(index..) {
        Some([start, end, ..]) => all.get(*start as usize..*end as usize).unwrap_or_default(),
        _ => &[],
    }
}

const SUFFIXES: [&[(&str, &str)]; PARTS] = [
    &[
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ],
    &[("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")],
    &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")],
    &[],
];

/// Four sections of meanings, four of exceptions, parted by empty lines; a line of words for each.
static TABLE: LazyLock<String> = LazyLock::new(|| unpack(include_bytes!("../../data/wordnet.deflate").as_slice()));

/// The same in lower case, at the same places: lemmas are written so. All of it is ASCII.
static LOWERED: LazyLock<String> = LazyLock::new(|| TABLE.to_ascii_lowercase());

static WORDNET: LazyLock<WordNet> = LazyLock::new(|| {
    let mut sections = TABLE.split("\n\n").zip(LOWERED.split("\n\n"));
    let mut names: HashMap<&'static str, u32> = HashMap::with_capacity(140_000);
    let mut number = |name: &'static str| {
        let next = names.len() as u32;
        *names.entry(name).or_insert(next)
    };
    let (mut members, mut member_starts) = (Vec::new(), Vec::from([0]));
    // Which lemma, and part of speech, has which meaning.
    let mut senses: Vec<(u32, u32)> = Vec::with_capacity(210_000);
    for part in 0..PARTS as u32 {
        let Some((section, lowered)) = sections.next() else { break };
        for (line, lowered) in section.lines().zip(lowered.lines()) {
            let meaning = member_starts.len() as u32 - 1;
            for (name, lemma) in line.split(' ').zip(lowered.split(' ')) {
                senses.push((number(lemma) * PARTS as u32 + part, meaning));
                if !name.contains('_') {
                    members.push(number(name));
                }
            }
            member_starts.push(members.len() as u32);
        }
    }
    let exceptions = std::array::from_fn(|_| {
        let section = sections.next().map_or("", |(section, _)| section);
        section.lines().filter_map(|line| line.split_once(' ')).collect()
    });
    let (meaning_starts, meanings) = by_key(&senses, names.len() * PARTS);
    WordNet { names, meaning_starts, meanings, member_starts, members, exceptions }
});

/// Sorts values by their key, below `keys`: where each key's values begin (and the last ones end), and all values.
fn by_key(pairs: &[(u32, u32)], keys: usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; keys + 1];
    for (key, _) in pairs {
        if let Some(start) = starts.get_mut(*key as usize + 1) {
            *start += 1;
        }
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    let mut next = starts.clone();
    let mut values = vec![0; pairs.len()];
    for (key, value) in pairs {
        if let Some(place) = next.get_mut(*key as usize) {
            if let Some(slot) = values.get_mut(*place as usize) {
                *slot = *value;
            }
            *place += 1;
        }
    }
    (starts, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, expected: &[&str]) {
        let mut found = Vec::new();
        each_synonym(word, |name| {
            found.extend(WORDNET.names.iter().find(|(_, number)| **number == name.0).map(|(name, _)| *name));
        });
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, expected, "{word}");
    }

    #[test]
    fn the_table_is_whole() {
        assert!(WORDNET.member_starts.len() > 68_000, "{}", WORDNET.member_starts.len());
        assert_eq!(WORDNET.exceptions.each_ref().map(HashMap::len), [2050, 2401, 1489, 7]);
    }

    #[test]
    fn synonyms_are_found_through_forms() {
        check("mice", &["mouse", "shiner"]);
        check("aardwolves", &["aardwolf"]);
        check(
            "quickest",
            &[
                "agile",
                "fast",
                "fastest",
                "flying",
                "immediate",
                "nimble",
                "prompt",
                "quick",
                "quickest",
                "ready",
                "speedy",
                "spry",
                "straightaway",
                "warm",
            ],
        );
        check("xyzzy", &[]);
        check("", &[]);
    }
}
