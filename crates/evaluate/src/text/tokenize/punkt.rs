//! Punkt with the English parameters of nltk's `punkt_tab`, for ASCII.
//!
//! A period, question or exclamation mark is a candidate where a blank or a closing sign follows; the word before it and
//! the word after it decide: abbreviations, initials and numbers, words seen together, and how a word is usually
//! written. Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection" (2006).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use foldhash::{HashMap, HashSet};

use super::words::is_blank;
use crate::text::deflated::unpack;
use crate::text::whitespace::is_ascii_space;

/// Where the sentences of `text` are. Only for ASCII. They leave out the blanks between them.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut slices = Vec::new();
    let mut start = 0;
    for candidate in candidates(text.as_bytes()) {
        if text.get(candidate.context.clone()).is_some_and(holds_break) {
            slices.push(start..candidate.mark + 1);
            start = candidate.next_word.unwrap_or(candidate.mark + 1);
        }
    }
    slices.push(start..text.trim_end_matches(super::is_space).len());
    realign(text.as_bytes(), &slices)
}

/// A mark that may end a sentence.
#[derive(Clone)]
struct Candidate {
    mark: usize,
    /// The word before the mark up to the word or sign after it.
    context: Range<usize>,
    /// Where the next word begins, if a blank follows.
    next_word: Option<usize>,
}

/// Of marks that stand in one word ("what?!") the last one counts.
fn candidates(text: &[u8]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut pending: Option<Candidate> = None;
    let mut previous = 0..0;
    for (mark, byte) in text.iter().enumerate() {
        if !matches!(byte, b'.' | b'?' | b'!') {
            continue;
        }
        let Some((end, next_word)) = after_mark(text, mark + 1) else { continue };
        // As the original: a blank at the very beginning of what lies between is not seen.
        let between = text.get(previous.end..mark).unwrap_or_default();
        let start = match between.iter().rposition(|byte| matches!(byte, b'\t'..=b'\r' | b' ')) {
            Some(last) if last > 0 => previous.end + last + 1,
            _ => previous.start,
        };
        found.extend(pending.take_if(|_| previous.end <= start));
        pending = Some(Candidate { mark, context: start..end, next_word });
        previous = start..mark;
    }
    found.extend(pending);
    found
}

/// Where the context after a mark ends, and the next word begins; `None` where no sentence can end.
fn after_mark(text: &[u8], at: usize) -> Option<(usize, Option<usize>)> {
    let rest = text.get(at..)?;
    if is_no_word(*rest.first()?) {
        return Some((at + 1, None));
    }
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    let word = rest.get(blanks..)?.iter().take_while(|byte| !is_blank(**byte)).count();
    (blanks > 0 && word > 0).then_some((at + blanks + word, Some(at + blanks)))
}

/// Signs that closed the sentence before a slice move into it.
fn realign(text: &[u8], slices: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut sentences = Vec::with_capacity(slices.len());
    let mut moved = 0;
    for (index, slice) in slices.iter().enumerate() {
        let start = slice.start + moved;
        moved = 0;
        let mut end = slice.end;
        if let Some(next) = slices.get(index + 1)
            && let Some((signs, taken)) = closing(text.get(next.clone()).unwrap_or_default())
        {
            end = next.start + signs;
            moved = taken;
        }
        if start < end {
            sentences.push(start..end);
        }
    }
    sentences
}

/// `["')\]}]+?(?:\s+|(?=--)|$)`: how many signs, and how much with the blanks after them.
fn closing(text: &[u8]) -> Option<(usize, usize)> {
    let signs = text.iter().take_while(|byte| matches!(byte, b'"' | b'\'' | b')' | b']' | b'}')).count();
    let rest = text.get(signs..)?;
    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
    (signs > 0 && (blanks > 0 || rest.is_empty() || rest.starts_with(b"--"))).then_some((signs, signs + blanks))
}

/// Whether a sentence ends within these few words.
fn holds_break(context: &str) -> bool {
    let mut previous: Option<&str> = None;
    for line in context.split('\n').filter(|line| !line.bytes().all(is_ascii_space)) {
        let mut rest = line;
        while let Some((word, after)) = next_word(rest) {
            rest = after;
            if previous.is_some_and(|previous| is_break(previous, word)) {
                return true;
            }
            previous = Some(word);
        }
    }
    false
}

/// The next word of Punkt's own, rougher kind, and what is left.
fn next_word(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start_matches(|letter| u8::try_from(letter).is_ok_and(is_blank));
    let text = line.as_bytes();
    let first = *text.first()?;
    let length = match many_signs(text) {
        0 if begins_word(first) => (1..text.len()).find(|at| ends_word(text, *at)).unwrap_or(text.len()),
        0 => 1,
        signs => signs,
    };
    line.split_at_checked(length)
}

/// `\-{2,}|\.{2,}|(?:\.\s){2,}\.`: how long it is.
fn many_signs(text: &[u8]) -> usize {
    for sign in [b'-', b'.'] {
        let run = text.iter().take_while(|byte| **byte == sign).count();
        if run >= 2 {
            return run;
        }
    }
    let pairs = text.chunks_exact(2).take_while(|pair| matches!(pair, [b'.', blank] if is_blank(*blank))).count();
    match text.get(pairs * 2) {
        Some(b'.') if pairs >= 2 => pairs * 2 + 1,
        // The last pair gives back its blank.
        _ if pairs >= 3 => pairs * 2 - 1,
        _ => 0,
    }
}

fn begins_word(byte: u8) -> bool {
    !matches!(
        byte,
        b'(' | b'"' | b'`' | b'{' | b'[' | b':' | b';' | b'&' | b'#' | b'*' | b'@' | b')' | b'}' | b']' | b'-' | b','
    )
}

/// Signs that are in no word.
fn is_no_word(byte: u8) -> bool {
    matches!(byte, b')' | b'"' | b';' | b'}' | b']' | b'*' | b':' | b'@' | b'\'' | b'(' | b'{' | b'[' | b'?' | b'!')
}

fn ends_word(text: &[u8], at: usize) -> bool {
    let ends =
        |rest: &[u8]| rest.first().is_none_or(|byte| is_blank(*byte) || is_no_word(*byte)) || many_signs(rest) > 0;
    match text.get(at..) {
        Some([b',', after @ ..]) => ends(after),
        Some(rest) => ends(rest),
        None => true,
    }
}

/// Whether a sentence ends with `word`, given the word after it.
fn is_break(word: &str, next: &str) -> bool {
    let parameters = &*PARAMETERS;
    let first = look(word);
    if !word.ends_with('.') {
        return first == Look::Break;
    }
    let kind = kind(word);
    let kind = without_period(&kind);
    let next_kind = self::kind(next);
    let next_kind = if look(next) == Look::Break { without_period(&next_kind) } else { &next_kind };
    let next_upper = next.starts_with(|letter: char| letter.is_ascii_uppercase());
    let initial = matches!(word.as_bytes(), [letter, b'.'] if letter.is_ascii_alphabetic() || *letter == b'_');

    if parameters.collocations.get(kind).is_some_and(|nexts| nexts.contains(next_kind)) {
        return false;
    }
    if matches!(first, Look::Abbreviation | Look::Ellipsis)
        && !initial
        && (starts_sentence(next, next_kind) == Some(true)
            || next_upper && parameters.sentence_starters.contains(next_kind))
    {
        return true;
    }
    if initial || kind == NUMBER {
        match starts_sentence(next, next_kind) {
            Some(false) => return false,
            None if initial && next_upper && !parameters.context.contains_key(next_kind) => return false,
            _ => {}
        }
    }
    first == Look::Break
}

/// What a word is by itself.
#[derive(PartialEq)]
enum Look {
    Break,
    Ellipsis,
    Abbreviation,
    Plain,
}

fn look(word: &str) -> Look {
    if matches!(word, "." | "?" | "!") {
        return Look::Break;
    }
    let Some(stem) = word.strip_suffix('.') else { return Look::Plain };
    if stem.ends_with('.') {
        let only_dots = word.bytes().all(|byte| byte == b'.');
        return if only_dots { Look::Ellipsis } else { Look::Plain };
    }
    let stem = lower(stem);
    let last = stem.rsplit('-').next().unwrap_or(&stem);
    let known = &PARAMETERS.abbreviations;
    if known.contains(&*stem) || known.contains(last) { Look::Abbreviation } else { Look::Break }
}

const NUMBER: &str = "##number##";

/// The word as the parameters know it: in lower case, numbers all alike.
fn kind(word: &str) -> Cow<'_, str> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let digits = digits.strip_prefix(['.', ',']).unwrap_or(digits);
    let number = digits.starts_with(|letter: char| letter.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'.' | b'-'));
    if number { NUMBER.into() } else { lower(word) }
}

fn without_period(kind: &str) -> &str {
    kind.strip_suffix('.').filter(|stem| !stem.is_empty()).unwrap_or(kind)
}

fn lower(word: &str) -> Cow<'_, str> {
    crate::text::whitespace::lower(word)
}

/// Whether this word begins a sentence, by how it is written here and elsewhere; `None` if nothing tells.
fn starts_sentence(word: &str, kind: &str) -> Option<bool> {
    if matches!(word, ";" | ":" | "," | "." | "!" | "?") {
        return Some(false);
    }
    let context = PARAMETERS.context.get(kind);
    let first = word.chars().next()?;
    if first.is_ascii_uppercase() && context.is_some_and(|seen| seen & UPPER_WITHIN == 0) {
        return Some(true);
    }
    if first.is_ascii_lowercase() && context.is_none_or(|seen| seen & UPPER != 0 || seen & LOWER_FIRST == 0) {
        return Some(false);
    }
    None
}

/// Seen in upper case within a sentence.
const UPPER_WITHIN: u8 = 1;
/// Seen in upper case.
const UPPER: u8 = 2;
/// Seen in lower case at a sentence's beginning.
const LOWER_FIRST: u8 = 4;

struct Parameters {
    abbreviations: HashSet<&'static str>,
    /// Words with a period, and those that follow them within a sentence.
    collocations: HashMap<&'static str, HashSet<&'static str>>,
    sentence_starters: HashSet<&'static str>,
    /// How a word is written elsewhere. Only words that were seen in lower case are here.
    context: HashMap<&'static str, u8>,
}

static TABLE: LazyLock<String> =
    LazyLock::new(|| unpack(include_bytes!("../../../data/punkt_english.deflate").as_slice()));

static PARAMETERS: LazyLock<Parameters> = LazyLock::new(|| {
    let mut sections = TABLE.split("\n\n").map(str::lines);
    let mut section = || sections.next().unwrap_or_else(|| "".lines());
    let abbreviations = section().collect();
    let mut collocations: HashMap<_, HashSet<_>> = HashMap::default();
    for (first, second) in section().filter_map(|line| line.split_once('\t')) {
        collocations.entry(first).or_default().insert(second);
    }
    let sentence_starters = section().collect();
    let context =
        section().filter_map(|line| line.split_once('\t')).map(|(word, seen)| (word, seen.parse().unwrap_or(0)));
    Parameters { abbreviations, collocations, sentence_starters, context: context.collect() }
});

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).into_iter().map(|span| &text[span]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_parameters_are_whole() {
        assert_eq!(PARAMETERS.abbreviations.len(), 156);
        assert_eq!(PARAMETERS.collocations.values().map(HashSet::len).sum::<usize>(), 37);
        assert_eq!(PARAMETERS.sentence_starters.len(), 39);
        assert!(PARAMETERS.context.len() > 14_000);
    }

    #[test]
    fn an_abbreviation_does_not_end_a_sentence() {
        check(
            "Dr. Who met J. Bach at 5 p.m. yesterday. He left.",
            &["Dr. Who met J. Bach at 5 p.m. yesterday.", "He left."],
        );
    }

    #[test]
    fn closing_signs_go_with_their_sentence() {
        check("(He ate.) She said \"no!\" \"Yes.\" Done", &["(He ate.)", "She said \"no!\"", "\"Yes.\"", "Done"]);
    }

    #[test]
    fn nothing_has_no_sentence() {
        check("", &[]);
        check(" \n", &[]);
        check("...", &["..."]);
    }
}
