//! nltk's `NISTTokenizer.international_tokenize`, rule by rule.
//!
//! Its three character sets are frozen at an old version of Unicode, and the one named "Number" holds what is *no*
//! number (letters and signs): both are kept, since the scores that others compare with were made so.

use std::sync::LazyLock;

const NOT_NUMBER: u8 = 1;
const PUNCTUATION: u8 = 2;
const SYMBOL: u8 = 4;

/// The text with blanks between its tokens.
pub(super) fn spaced(text: &str) -> String {
    let text = unescape(text.replace("<skipped>", "").replace('\u{2028}', " "));
    let letters = pad_ascii_runs(&text);
    let letters = part(&letters, NOT_NUMBER, PUNCTUATION, |first, second| [first, ' ', second, ' ']);
    let letters = part(&letters, PUNCTUATION, NOT_NUMBER, |first, second| [' ', first, ' ', second]);
    let mut out = String::with_capacity(letters.len() + 16);
    for letter in letters {
        if class(letter) & SYMBOL != 0 {
            out.extend([' ', letter, ' ']);
        } else {
            out.push(letter);
        }
    }
    out
}

/// Python's `xml.sax.saxutils.unescape` with Moses' entities. `&amp;` comes last, so that what it reveals stays.
fn unescape(text: String) -> String {
    if !text.contains('&') {
        return text;
    }
    [
        ("&gt;", ">"),
        ("&lt;", "<"),
        ("&apos;", "'"),
        ("&quot;", "\""),
        ("&#124;", "|"),
        ("&#91;", "["),
        ("&#93;", "]"),
        ("&amp;", "&"),
    ]
    .into_iter()
    .fold(text, |text, (entity, plain)| text.replace(entity, plain))
}

fn pad_ascii_runs(text: &str) -> Vec<char> {
    let mut out = Vec::with_capacity(text.len() + 16);
    let mut inside = false;
    for letter in text.chars() {
        if letter.is_ascii() != inside {
            out.push(' ');
            inside = !inside;
        }
        out.push(letter);
    }
    if inside {
        out.push(' ');
    }
    out
}

/// Replaces each pair of a letter in `left` and a letter in `right`. Pairs do not overlap: what one has taken, the next
/// one cannot take.
fn part(letters: &[char], left: u8, right: u8, replace: impl Fn(char, char) -> [char; 4]) -> Vec<char> {
    let mut out = Vec::with_capacity(letters.len() + 16);
    let mut rest = letters;
    loop {
        match rest {
            [first, second, after @ ..] if class(*first) & left != 0 && class(*second) & right != 0 => {
                out.extend(replace(*first, *second));
                rest = after;
            }
            [first, after @ ..] => {
                out.push(*first);
                rest = after;
            }
            [] => return out,
        }
    }
}

struct Classes {
    ascii: [u8; 128],
    /// For each set, its ranges above ASCII, in order.
    others: Vec<(u8, Vec<(u32, u32)>)>,
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let mut classes = Classes { ascii: [0; 128], others: Vec::new() };
    for line in include_str!("../../../data/nist_ranges.txt").lines() {
        let mut fields = line.split(' ');
        let bit = match fields.next() {
            Some("Number") => NOT_NUMBER,
            Some("Punctuation") => PUNCTUATION,
            _ => SYMBOL,
        };
        let ranges: Vec<(u32, u32)> = fields.filter_map(range).collect();
        for (code, class) in (0..).zip(classes.ascii.iter_mut()) {
            if ranges.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
                *class |= bit;
            }
        }
        classes.others.push((bit, ranges));
    }
    classes
});

fn range(text: &str) -> Option<(u32, u32)> {
    let (first, last) = text.split_once('-')?;
    Some((u32::from_str_radix(first, 16).ok()?, u32::from_str_radix(last, 16).ok()?))
}

fn class(letter: char) -> u8 {
    let code = u32::from(letter);
    let classes = &*CLASSES;
    if let Some(class) = classes.ascii.get(code as usize) {
        return *class;
    }
    classes
        .others
        .iter()
        .filter(|(_, ranges)| {
            let after = ranges.partition_point(|(first, _)| *first <= code);
            after.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|(_, last)| code <= *last)
        })
        .fold(0, |classes, (bit, _)| classes | bit)
}

#[cfg(test)]
mod tests {
    use super::super::Tokens;
    use super::*;

    fn check(text: &str, expected: &str) {
        let tokens: Vec<String> = Tokens::split(spaced(text)).iter().map(str::to_owned).collect();
        assert_eq!(tokens.join(" "), expected, "{text}");
    }

    #[test]
    fn the_examples_of_its_authors_hold() {
        check(
            "Alibaba Group Holding Limited (Chinese: 阿里巴巴集团控股 有限公司)",
            "Alibaba Group Holding Limited ( Chinese : 阿里巴巴集团控股 有限公司 )",
        );
        check("Amazon.com, Inc. (/ˈæməzɒn/)", "Amazon . com , Inc . ( / ˈæ m ə z ɒ n / )");
        check("this is a foo\u{2604}sentence.", "this is a foo \u{2604} sentence .");
    }

    #[test]
    fn an_entity_behind_an_entity_stays() {
        check("é &amp;lt; &lt;", "é & lt ; <");
        check("é<skipped>é\u{2028}é", "éé é");
    }

    #[test]
    fn the_sets_are_those_that_were_frozen() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../../tests/data/nist_perluniprops_ranges.json")).expect("JSON");
        for (name, bit) in [("Number", NOT_NUMBER), ("Punctuation", PUNCTUATION), ("Symbol", SYMBOL)] {
            let inside: usize = golden["sets"][name]
                .as_array()
                .expect("ranges")
                .iter()
                .map(|range| {
                    let ends = [0, 1].map(|index| range[index].as_u64().expect("code") as u32);
                    let letters = (ends[0]..=ends[1]).filter_map(char::from_u32);
                    letters.inspect(|letter| assert_ne!(class(*letter) & bit, 0, "{letter:?} in {name}")).count()
                })
                .sum();
            let ours = ('\0'..=char::MAX).filter(|letter| class(*letter) & bit != 0).count();
            assert_eq!(ours, inside, "{name}");
        }
    }
}
