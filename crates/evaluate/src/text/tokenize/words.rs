//! nltk's `word_tokenize` for ASCII: sentences by Punkt, then the rules of `NLTKWordTokenizer`.
//!
//! Those rules are some thirty regular expressions, each replaced over the whole sentence, in an order that matters. Here
//! each is a small step over bytes, given as "what it does at this place", with the expression that it stands for
//! beside it; a step that cannot match (none of its letters are in the sentence) is not walked at all.

use super::punkt;
use crate::text::whitespace::is_ascii_space;

/// The text with blanks between its tokens. Only for ASCII.
pub(super) fn spaced(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + text.len() / 4 + 8);
    let mut sentence = Sentence::default();
    for span in punkt::sentences(text) {
        sentence.load(text.as_bytes().get(span).unwrap_or_default());
        sentence.opening_quotes();
        sentence.punctuation();
        sentence.closing_quotes();
        sentence.contractions();
        out.extend_from_slice(&sentence.text);
    }
    // The bytes are ASCII, as the text was.
    String::from_utf8(out).unwrap_or_default()
}

/// A sentence while it is rewritten.
#[derive(Default)]
struct Sentence {
    text: Vec<u8>,
    next: Vec<u8>,
    /// Which of the 128 characters may be in it.
    present: u128,
}

const fn set(letters: &[u8]) -> u128 {
    let mut set = 0;
    let mut index = 0;
    while index < letters.len() {
        set |= 1 << letters[index];
        index += 1;
    }
    set
}

fn is_in(byte: u8, letters: u128) -> bool {
    byte < 128 && letters & (1 << byte) != 0
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// `\s` of the engine that nltk uses, which is narrower than `str.isspace()`.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

fn run(text: &[u8], of: u8) -> usize {
    text.iter().take_while(|byte| **byte == of).count()
}

impl Sentence {
    fn load(&mut self, sentence: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(sentence);
        self.present = sentence.iter().fold(0, |set, byte| set | 1 << (byte & 127));
    }

    /// Replaces from the left to the right. `step` is asked at each place, with what is before it and what begins
    /// there; it writes a replacement and tells how many bytes that stands for, or answers 0.
    fn replace(&mut self, needs: u128, step: impl Fn(&[u8], &[u8], &mut Vec<u8>) -> usize) {
        if self.present & needs == 0 {
            return;
        }
        self.next.clear();
        let mut at = 0;
        while let (before, rest @ [first, ..]) = self.text.split_at(at) {
            match step(before, rest, &mut self.next) {
                0 => {
                    self.next.push(*first);
                    at += 1;
                }
                taken => at += taken.min(rest.len()),
            }
        }
        std::mem::swap(&mut self.text, &mut self.next);
    }

    /// `[letters]` → ` \g<0> `
    fn pad(&mut self, letters: u128) {
        self.replace(letters, |_, rest, out| match rest {
            [byte, ..] if is_in(*byte, letters) => {
                out.extend_from_slice(&[b' ', *byte, b' ']);
                1
            }
            _ => 0,
        });
    }

    fn opening_quotes(&mut self) {
        // "[`]+" → " \1 "
        self.replace(set(b"`"), |_, rest, out| {
            let ticks = run(rest, b'`');
            if ticks > 0 {
                out.push(b' ');
                out.resize(out.len() + ticks, b'`');
                out.push(b' ');
            }
            ticks
        });
        // ^" → ``
        if self.text.first() == Some(&b'"') {
            self.text.splice(..1, *b"``");
            self.present |= set(b"`");
        }
        // (``) → " \1 "
        self.replace(set(b"`"), |_, rest, out| {
            if !rest.starts_with(b"``") {
                return 0;
            }
            out.extend_from_slice(b" `` ");
            2
        });
        // ([ ([{<])("|'{2}) → \1 ``
        self.replace(set(b"\"'"), |_, rest, out| {
            let (first, taken) = match rest {
                [first, b'"', ..] => (*first, 2),
                [first, b'\'', b'\'', ..] => (*first, 3),
                _ => return 0,
            };
            if !matches!(first, b' ' | b'(' | b'[' | b'{' | b'<') {
                return 0;
            }
            out.extend_from_slice(&[first, b' ', b'`', b'`', b' ']);
            taken
        });
        // (?i)(?<!\w)(')(?!(?:re|ve|ll|m|t|s|d|n)\b)(?=\w) → "\1 "
        self.replace(set(b"'"), |before, rest, out| {
            let [b'\'', after @ ..] = rest else { return 0 };
            if before.last().is_some_and(|byte| is_word(*byte)) || !after.first().is_some_and(|byte| is_word(*byte)) {
                return 0;
            }
            let clitics: [&[u8]; 8] = [b"re", b"ve", b"ll", b"m", b"t", b"s", b"d", b"n"];
            if clitics.iter().any(|clitic| after_word(after, clitic).is_some()) {
                return 0;
            }
            out.extend_from_slice(b"' ");
            1
        });
    }

    fn punctuation(&mut self) {
        self.final_period(true);
        // ([:,])([^\d]) → " \1 \2"
        self.replace(set(b":,"), |_, rest, out| match rest {
            [point @ (b':' | b','), next, ..] if !next.is_ascii_digit() => {
                out.extend_from_slice(&[b' ', *point, b' ', *next]);
                2
            }
            _ => 0,
        });
        // ([:,])$ → " \1 "
        self.replace(set(b":,"), |_, rest, out| match rest {
            [point @ (b':' | b',')] | [point @ (b':' | b','), b'\n'] => {
                out.extend_from_slice(&[b' ', *point, b' ']);
                1
            }
            _ => 0,
        });
        // \.{2,} → " \g<0> "
        self.replace(set(b"."), |_, rest, out| {
            let dots = run(rest, b'.');
            if dots < 2 {
                return 0;
            }
            out.push(b' ');
            out.resize(out.len() + dots, b'.');
            out.push(b' ');
            dots
        });
        self.pad(set(b";@#$%&"));
        self.final_period(false);
        self.pad(set(b"?!"));
        // ([^'])' → "\1 ' "
        self.replace(set(b"'"), |_, rest, out| match rest {
            [first, b'\'', b' ', ..] if *first != b'\'' => {
                out.extend_from_slice(&[*first, b' ', b'\'', b' ']);
                3
            }
            _ => 0,
        });
        self.pad(set(b"*"));
        self.pad(set(b"[](){}<>"));
        // -- → " -- "
        self.replace(set(b"-"), |_, rest, out| {
            if !rest.starts_with(b"--") {
                return 0;
            }
            out.extend_from_slice(b" -- ");
            2
        });
    }

    /// With blanks among the closing signs: `([^\.])(\.)([\])}>"' ]*+)\s*$` → `\1 \2 \3 `.
    /// Without: `([^\.])(\.)([\]\)}>"\']*)\s*$` → `\1 \2\3 `.
    fn final_period(&mut self, blanks: bool) {
        let Some(period) = self.text.iter().rposition(|byte| *byte == b'.') else { return };
        let (before, [_, tail @ ..]) = self.text.split_at(period) else { return };
        if before.last().is_none_or(|byte| *byte == b'.') {
            return;
        }
        let closing = if blanks { set(b"])}>\"' ") } else { set(b"])}>\"'") };
        let closed = tail.iter().take_while(|byte| is_in(**byte, closing)).count();
        let (signs, rest) = tail.split_at(closed);
        if !rest.iter().all(|byte| is_blank(*byte)) {
            return;
        }
        self.next.clear();
        self.next.extend_from_slice(before);
        self.next.extend_from_slice(if blanks { b" . " } else { b" ." });
        self.next.extend_from_slice(signs);
        self.next.push(b' ');
        std::mem::swap(&mut self.text, &mut self.next);
    }

    fn closing_quotes(&mut self) {
        self.text.insert(0, b' ');
        self.text.push(b' ');
        // '' → " '' "
        self.replace(set(b"'"), |_, rest, out| {
            if !rest.starts_with(b"''") {
                return 0;
            }
            out.extend_from_slice(b" '' ");
            2
        });
        // " → " '' "
        self.replace(set(b"\""), |_, rest, out| {
            if rest.first() != Some(&b'"') {
                return 0;
            }
            out.extend_from_slice(b" '' ");
            1
        });
        if self.present & set(b"\"'") == 0 {
            return;
        }
        self.present |= set(b"'");
        // \s+ → " "
        self.replace(u128::MAX, |_, rest, out| {
            let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
            if blanks > 0 {
                out.push(b' ');
            }
            blanks
        });
        // ([^' ])('[sS]|'[mM]|'[dD]|') → "\1 \2 "
        self.part(|rest| match rest {
            [b'\'', b's' | b'S' | b'm' | b'M' | b'd' | b'D', b' ', ..] => 2,
            [b'\'', b' ', ..] => 1,
            _ => 0,
        });
        // ([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) → "\1 \2 "
        self.part(|rest| match rest {
            [b'\'', b'l', b'l', b' ', ..]
            | [b'\'', b'L', b'L', b' ', ..]
            | [b'\'', b'r', b'e', b' ', ..]
            | [b'\'', b'R', b'E', b' ', ..]
            | [b'\'', b'v', b'e', b' ', ..]
            | [b'\'', b'V', b'E', b' ', ..]
            | [b'n', b'\'', b't', b' ', ..]
            | [b'N', b'\'', b'T', b' ', ..] => 3,
            _ => 0,
        });
    }

    /// A letter, an ending that `ending` measures, and a blank: a blank goes between the letter and the ending.
    fn part(&mut self, ending: impl Fn(&[u8]) -> usize) {
        self.replace(set(b"'"), |_, rest, out| {
            let [first, after @ ..] = rest else { return 0 };
            if matches!(first, b'\'' | b' ') {
                return 0;
            }
            let length = ending(after);
            if length == 0 {
                return 0;
            }
            out.extend_from_slice(&[*first, b' ']);
            out.extend_from_slice(after.get(..length).unwrap_or_default());
            out.push(b' ');
            length + 2
        });
    }

    fn contractions(&mut self) {
        // (?i)\b(can)(not)\b and its like → " \1 \2 "
        const PAIRS: [(&[u8], usize); 7] =
            [(b"cannot", 3), (b"d'ye", 1), (b"gimme", 3), (b"gonna", 3), (b"gotta", 3), (b"lemme", 3), (b"more'n", 4)];
        self.replace(set(b"cdglmwCDGLMW"), |before, rest, out| {
            if before.last().is_some_and(|byte| is_word(*byte)) {
                return 0;
            }
            let Some((word, first)) =
                PAIRS.into_iter().find(|(word, _)| after_word(rest, word).is_some()).or_else(|| {
                    // (?i)\b(wan)(na)(?=\s)
                    let follows = after_word(rest, b"wanna").and_then(<[u8]>::first);
                    follows.is_some_and(|byte| is_ascii_space(*byte)).then_some((b"wanna", 3))
                })
            else {
                return 0;
            };
            write_parted(rest, word.len(), first, out);
            word.len()
        });
        // (?i) ('t)(is)\b and (?i) ('t)(was)\b → " \1 \2 "
        self.replace(set(b"'"), |_, rest, out| {
            let [b' ', after @ ..] = rest else { return 0 };
            let words: [&[u8]; 2] = [b"'tis", b"'twas"];
            let Some(word) = words.into_iter().find(|word| after_word(after, word).is_some()) else { return 0 };
            write_parted(after, word.len(), 2, out);
            word.len() + 1
        });
    }
}

/// What follows `word`, if `text` begins with it in any case and a word ends there.
fn after_word<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(word.len())?;
    let ends = rest.first().is_none_or(|byte| !is_word(*byte));
    (ends && start.eq_ignore_ascii_case(word)).then_some(rest)
}

fn write_parted(text: &[u8], length: usize, first: usize, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(text.get(..first).unwrap_or_default());
    out.push(b' ');
    out.extend_from_slice(text.get(first..length).unwrap_or_default());
    out.push(b' ');
}

#[cfg(test)]
mod tests {
    use super::super::Tokens;
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(Tokens::split(spaced(text)).iter().collect::<Vec<_>>(), expected, "{text}");
    }

    #[test]
    fn the_example_of_its_authors_holds() {
        check(
            "Good muffins cost $3.88 (roughly 3,36 euros)\nin New York.  Please buy me\ntwo of them.\nThanks.",
            &[
                "Good", "muffins", "cost", "$", "3.88", "(", "roughly", "3,36", "euros", ")", "in", "New", "York", ".",
                "Please", "buy", "me", "two", "of", "them", ".", "Thanks", ".",
            ],
        );
    }

    #[test]
    fn contractions_are_parted() {
        check(
            "I cannot, I don't; they'll gonna go, the dogs'. 'Tis so.",
            &[
                "I", "can", "not", ",", "I", "do", "n't", ";", "they", "'ll", "gon", "na", "go", ",", "the", "dogs",
                "'", ".", "'", "Tis", "so", ".",
            ],
        );
    }

    #[test]
    fn quotes_are_told_apart() {
        check(
            "\"Yes,\" (\"no\") ''x'' `y`",
            &["``", "Yes", ",", "''", "(", "``", "no", "''", ")", "``", "x", "''", "`", "y", "`"],
        );
    }

    #[test]
    fn a_period_parts_at_a_sentence_s_end_only() {
        check("Mr. Smith left. He ate 3.5 pies...", &["Mr.", "Smith", "left", ".", "He", "ate", "3.5", "pies", "..."]);
    }
}
