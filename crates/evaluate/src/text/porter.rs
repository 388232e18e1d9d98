//! nltk's Porter stemmer, with nltk's own extensions to Porter's algorithm (its default mode).
//!
//! Snowball's English stemmer is another one, and differs in one word of thirty. The steps and rules keep the names of
//! M. F. Porter, "An algorithm for suffix stripping" (1980).

use super::whitespace::lower;

/// The stem of a word, in lower case. What is not English is stemmed by the same rules.
#[must_use]
pub fn stem(word: &str) -> String {
    let lowered = lower(word);
    if let Some(irregular) = irregular(&lowered) {
        return irregular.to_owned();
    }
    if word.is_ascii() {
        if word.len() <= 2 {
            return lowered.into_owned();
        }
        let mut letters = Stem(lowered.as_bytes().to_vec());
        letters.strip();
        // The bytes are ASCII, as the word was.
        String::from_utf8(letters.0).unwrap_or_default()
    } else {
        if word.chars().count() <= 2 {
            return lowered.into_owned();
        }
        let mut letters = Stem(lowered.chars().collect());
        letters.strip();
        letters.0.into_iter().collect()
    }
}

fn irregular(word: &str) -> Option<&'static str> {
    Some(match word {
        "sky" | "skies" => "sky",
        "dying" => "die",
        "lying" => "lie",
        "tying" => "tie",
        "news" => "news",
        "innings" | "inning" => "inning",
        "outings" | "outing" => "outing",
        "cannings" | "canning" => "canning",
        "howe" => "howe",
        "proceed" => "proceed",
        "exceed" => "exceed",
        "succeed" => "succeed",
        _ => return None,
    })
}

/// A word on its way to its stem. `L` is a byte for ASCII, and otherwise a character.
struct Stem<L>(Vec<L>);

/// A suffix, what replaces it, and how large the measure of what is before it must be at least.
type Rule = (&'static str, &'static str, usize);

impl<L: Copy + PartialEq + From<u8>> Stem<L> {
    fn strip(&mut self) {
        self.step1a();
        self.step1b();
        self.step1c();
        self.step2();
        self.first_of(&STEP3);
        self.step4();
        self.step5a();
        self.step5b();
    }

    fn ends(&self, suffix: &str) -> bool {
        let start = self.0.len().checked_sub(suffix.len());
        start
            .and_then(|start| self.0.get(start..))
            .is_some_and(|end| end.iter().copied().eq(suffix.bytes().map(L::from)))
    }

    fn replace(&mut self, suffix: &str, replacement: &str) {
        self.0.truncate(self.0.len().saturating_sub(suffix.len()));
        self.0.extend(replacement.bytes().map(L::from));
    }

    fn before(&self, suffix: &str) -> &[L] {
        self.0.get(..self.0.len().saturating_sub(suffix.len())).unwrap_or_default()
    }

    /// The first rule whose suffix the word has decides, even if it then does not apply.
    fn first_of(&mut self, rules: &[Rule]) {
        if let Some((suffix, replacement, least)) = rules.iter().find(|(suffix, ..)| self.ends(suffix))
            && measure(self.before(suffix)) >= *least
        {
            self.replace(suffix, replacement);
        }
    }

    fn step1a(&mut self) {
        if self.0.len() == 4 && self.ends("ies") {
            self.replace("s", "");
        } else {
            self.first_of(&[("sses", "ss", 0), ("ies", "i", 0), ("ss", "ss", 0), ("s", "", 0)]);
        }
    }

    fn step1b(&mut self) {
        if self.ends("ied") {
            self.replace("ied", if self.0.len() == 4 { "ie" } else { "i" });
            return;
        }
        if self.ends("eed") {
            self.first_of(&[("eed", "ee", 1)]);
            return;
        }
        let Some(suffix) = ["ed", "ing"].into_iter().find(|suffix| self.ends(suffix) && has_vowel(self.before(suffix)))
        else {
            return;
        };
        self.replace(suffix, "");
        if self.ends("at") || self.ends("bl") || self.ends("iz") {
            self.replace("", "e");
        } else if ends_double_consonant(&self.0) {
            if !["l", "s", "z"].into_iter().any(|letter| self.ends(letter)) {
                self.0.pop();
            }
        } else if self.ends("*d") {
            // nltk's mark for "a double consonant" is also looked for as text.
            self.replace("*d", "d");
        } else if measure(&self.0) == 1 && ends_cvc(&self.0) {
            self.replace("", "e");
        }
    }

    fn step1c(&mut self) {
        let stem = self.before("y");
        if self.ends("y") && stem.len() > 1 && is_consonant(stem) {
            self.replace("y", "i");
        }
    }

    fn step2(&mut self) {
        if self.ends("alli") && measure(self.before("alli")) > 0 {
            self.replace("alli", "al");
            self.step2();
            return;
        }
        if STEP2.iter().all(|(suffix, ..)| !self.ends(suffix)) && self.ends("logi") {
            // Measured with its l, unlike all others.
            if measure(self.before("ogi")) > 0 {
                self.replace("logi", "log");
            }
            return;
        }
        self.first_of(&STEP2);
    }

    fn step4(&mut self) {
        // "ion" needs an s or t before it; no suffix before it in the list ends alike.
        if self.ends("ion") {
            if measure(self.before("ion")) > 1 && (self.ends("sion") || self.ends("tion")) {
                self.replace("ion", "");
            }
            return;
        }
        self.first_of(&STEP4);
    }

    fn step5a(&mut self) {
        if !self.ends("e") {
            return;
        }
        let stem = self.before("e");
        let measure = measure(stem);
        if measure > 1 || (measure == 1 && !ends_cvc(stem)) {
            self.replace("e", "");
        }
    }

    fn step5b(&mut self) {
        if self.ends("ll") && measure(self.before("l")) > 1 {
            self.replace("l", "");
        }
    }
}

const STEP2: [Rule; 21] = [
    ("ational", "ate", 1),
    ("tional", "tion", 1),
    ("enci", "ence", 1),
    ("anci", "ance", 1),
    ("izer", "ize", 1),
    ("bli", "ble", 1),
    ("alli", "al", 1),
    ("entli", "ent", 1),
    ("eli", "e", 1),
    ("ousli", "ous", 1),
    ("ization", "ize", 1),
    ("ation", "ate", 1),
    ("ator", "ate", 1),
    ("alism", "al", 1),
    ("iveness", "ive", 1),
    ("fulness", "ful", 1),
    ("ousness", "ous", 1),
    ("aliti", "al", 1),
    ("iviti", "ive", 1),
    ("biliti", "ble", 1),
    ("fulli", "ful", 1),
];

const STEP3: [Rule; 7] = [
    ("icate", "ic", 1),
    ("ative", "", 1),
    ("alize", "al", 1),
    ("iciti", "ic", 1),
    ("ical", "ic", 1),
    ("ful", "", 1),
    ("ness", "", 1),
];

const STEP4: [Rule; 18] = [
    ("al", "", 2),
    ("ance", "", 2),
    ("ence", "", 2),
    ("er", "", 2),
    ("ic", "", 2),
    ("able", "", 2),
    ("ible", "", 2),
    ("ant", "", 2),
    ("ement", "", 2),
    ("ment", "", 2),
    ("ent", "", 2),
    ("ou", "", 2),
    ("ism", "", 2),
    ("ate", "", 2),
    ("iti", "", 2),
    ("ous", "", 2),
    ("ive", "", 2),
    ("ize", "", 2),
];

/// For each letter whether it is a consonant: a y is one at the beginning and after a vowel.
fn consonants<L: Copy + PartialEq + From<u8>>(word: &[L]) -> impl Iterator<Item = bool> {
    let vowels = [b'a', b'e', b'i', b'o', b'u'].map(L::from);
    let mut previous = false;
    word.iter().map(move |letter| {
        previous = if vowels.contains(letter) { false } else { *letter != L::from(b'y') || !previous };
        previous
    })
}

/// How often a consonant follows a vowel.
fn measure<L: Copy + PartialEq + From<u8>>(word: &[L]) -> usize {
    let mut after_vowel = false;
    let mut count = 0;
    for consonant in consonants(word) {
        count += usize::from(consonant && after_vowel);
        after_vowel = !consonant;
    }
    count
}

fn has_vowel<L: Copy + PartialEq + From<u8>>(word: &[L]) -> bool {
    consonants(word).any(|consonant| !consonant)
}

/// Whether the last letter is a consonant.
fn is_consonant<L: Copy + PartialEq + From<u8>>(word: &[L]) -> bool {
    consonants(word).last().unwrap_or(false)
}

fn ends_double_consonant<L: Copy + PartialEq + From<u8>>(word: &[L]) -> bool {
    matches!(word, [.., before, last] if before == last) && is_consonant(word)
}

/// Consonant, vowel, consonant other than w, x and y; or a word of a vowel and a consonant.
fn ends_cvc<L: Copy + PartialEq + From<u8>>(word: &[L]) -> bool {
    let mut last = [false; 3];
    for consonant in consonants(word) {
        last = [last[1], last[2], consonant];
    }
    match word {
        [_, _] => last == [false, false, true],
        [_, _, .., letter] => last == [true, false, true] && !b"wxy".map(L::from).contains(letter),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_paper_hold() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("ties", "tie"),
            ("cats", "cat"),
            ("agreed", "agre"),
            ("plastered", "plaster"),
            ("sing", "sing"),
            ("conflated", "conflat"),
            ("hopping", "hop"),
            ("falling", "fall"),
            ("filing", "file"),
            ("happy", "happi"),
            ("enjoy", "enjoy"),
            ("relational", "relat"),
            ("vietnamization", "vietnam"),
            ("hopefulness", "hope"),
            ("electricity", "electr"),
            ("adjustment", "adjust"),
            ("adoption", "adopt"),
            ("controlling", "control"),
            ("geology", "geolog"),
            ("skies", "sky"),
            ("dying", "die"),
            ("Running", "run"),
            ("naïvely", "naïv"),
            ("x*ding", "x*ding"),
            ("xa*ding", "xad"),
            ("is", "is"),
        ] {
            assert_eq!(stem(word), expected, "{word}");
        }
    }
}
