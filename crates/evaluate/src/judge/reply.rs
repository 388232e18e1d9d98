//! What a judge's reply says.
//!
//! The places where a score is looked for, in this order; the first that has one, or has one that is wrong, decides:
//!
//! 1. JSON, anywhere in the text, in a fence or not: the last object that has a score. Its key is the author's
//!    `score_key`, one of the usual words (`score`, `rating`, `grade` …), or the only one whose value is a number.
//! 2. Tags: `<S2>4</S2>`, `<score>4</score>`; the last one, closed or not.
//! 3. A label: `Score: 4/5`, `**Rating** = 4`, `"score": 4` of JSON that was cut off, "the score is 4". One that says
//!    "final" goes before others, one with a colon before one with "is", a later one before an earlier.
//! 4. A line that is nothing but the score: the first or the last one. If both are, they must agree.
//! 5. The only number of the text, besides those that name the scale (`1-5`, "out of 5"). Several different ones are no
//!    score.
//!
//! A number that is not on the scale is no score, nor is `8/10` on a scale to 5.

use std::sync::LazyLock;

use regex::Regex;
use sluicegate_value::{Map, Value, json};

use super::scale::{Piece, Wanted, start};
use super::weigh;

/// What a reply says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A score.
    Scored {
        /// The score.
        score: f64,
        /// Why, in the judge's words; empty if it gave none.
        reason: String,
        /// Whether the score is a mean over the probabilities of its tokens.
        weighted: bool,
    },
    /// No score, with why.
    Unscored(String),
}

/// Keys and labels of scores.
const SCORE_WORDS: [&str; 13] = [
    "score",
    "rating",
    "grade",
    "final_score",
    "overall_score",
    "stars",
    "s2",
    "verdict",
    "winner",
    "choice",
    "best",
    "result",
    "value",
];
const REASON_WORDS: [&str; 9] =
    ["reason", "reasoning", "explanation", "rationale", "justification", "s1", "chain_of_thought", "thought", "s0"];

/// A reply longer than this is looked at from both ends: a score stands at one.
const MOST: usize = 48 * 1024;
/// Objects of a text that are looked at, from its end.
const MOST_OBJECTS: usize = 64;
/// How much of a reason is kept.
const REASON: usize = 1_000;

#[expect(clippy::expect_used, reason = "the patterns are constants, which a test compiles")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)<(?:s2|score|rating|grade|verdict|winner|choice|answer|result)>([^<]{0,200})"));
static REASON_TAG: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?is)<(?:s1|reason|reasoning|explanation|rationale|thoughts?|s0)>([^<]{0,4000})"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?i)\b(final\s+|overall\s+)?(?:score|rating|grade|verdict|winner)\b["'*_`]*(?:\s*\([^)\n]{0,40}\))?(?:\s+(?:for|of|on)\s+[^\n:=.]{1,60})?["'*_`]*\s*(:|=|\bis\b|\bwould\s+be\b)\s*["'*_`]*(?:an?\s+)?([^\n]{1,80})"#,
    )
});
static BRACKETS: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[\[([^\]\n]{1,20})\]\]"));
static ITEM: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:[-*•]|\d+[.)])\s+\S"));
static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(r"[+\-−]?\d+(?:\.\d+)?"));
static RANGE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(\d+(?:\.\d+)?)\s*(?:-|–|—|to|and)\s*(\d+(?:\.\d+)?)"));
static OUT_OF: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(\d+(?:\.\d+)?)\s*(?:/|out\s+of)\s*(\d+(?:\.\d+)?)"));
static OF_SCALE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bout\s+of\s+(\d+(?:\.\d+)?)"));

/// Reads a reply: text, JSON, or the whole answer of a chat API, whose token probabilities are used if `weighted` says so.
/// `score_key` is the key of the score where the author names one.
#[must_use]
pub fn parse_reply(output: &Value, wanted: Wanted, score_key: Option<&str>, weighted: bool) -> Reply {
    match output {
        Value::Null => unscored("is empty"),
        Value::Str(text) => of_text(text, wanted, score_key),
        Value::Map(map) => {
            if let Some(answer) = weigh::chat_answer(map) {
                return of_answer(&answer, wanted, score_key, weighted);
            }
            if let (1, Some(inner)) = (map.len(), map.get("output")) {
                return parse_reply(inner, wanted, score_key, weighted);
            }
            match of_object(map, wanted, score_key) {
                Some(found) => found,
                None => unscored("is JSON without a score"),
            }
        }
        other => match wanted.of_value(other) {
            Piece::Score(score) => Reply::Scored { score, reason: String::new(), weighted: false },
            Piece::Wrong(why) => unscored(&why),
            Piece::Nothing => unscored("has no score"),
        },
    }
}

fn of_answer(answer: &weigh::ChatAnswer<'_>, wanted: Wanted, score_key: Option<&str>, weighted: bool) -> Reply {
    if let Some(refusal) = answer.refusal {
        return unscored(&format!("is a refusal: {}", start(refusal)));
    }
    let read = of_text(answer.text, wanted, score_key);
    let Reply::Scored { score, reason, .. } = read else { return read };
    let mean = if weighted { weigh::mean_score(&answer.tokens, score, wanted) } else { None };
    Reply::Scored { score: mean.unwrap_or(score), reason, weighted: mean.is_some() }
}

fn of_text(text: &str, wanted: Wanted, score_key: Option<&str>) -> Reply {
    let text = ends(text);
    if text.trim().is_empty() {
        return unscored("is empty");
    }
    let objects = objects(&text);
    if let Some(found) = objects.iter().rev().find_map(|object| of_object(object, wanted, score_key)) {
        return found;
    }
    let reason = || reason_of_text(&text);
    let decided = |piece: Piece| match piece {
        Piece::Score(score) => Some(Reply::Scored { score, reason: reason(), weighted: false }),
        Piece::Wrong(why) => Some(unscored(&why)),
        Piece::Nothing => None,
    };
    let found = decided(by_tag(&text, wanted)).or_else(|| decided(by_label(&text, wanted)));
    if let Some(found) = found {
        return found;
    }
    if !objects.is_empty() {
        // Any number that is left is most likely one of what the JSON tells.
        return unscored("is JSON without a score");
    }
    let found = decided(by_line(&text, wanted)).or_else(|| decided(by_only_number(&text, wanted)));
    found.unwrap_or_else(|| unscored(&format!("has no score: `{}`", start(&text))))
}

/// What an object says; `None` if it has no score.
fn of_object(object: &Map, wanted: Wanted, score_key: Option<&str>) -> Option<Reply> {
    let named = |words: &[&str]| {
        words.iter().find_map(|word| object.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(word)))
    };
    let by_key = match score_key {
        Some(key) => object.iter().find(|(known, _)| &***known == key),
        None => named(&SCORE_WORDS).or_else(|| only_number(object)),
    };
    let (_, value) = by_key?;
    // `{"score": {"value": 4, "reason": "…"}}`
    if let (Value::Map(inner), None) = (value, score_key) {
        return of_object(inner, wanted, None);
    }
    let reason = named(&REASON_WORDS).and_then(|(_, value)| value.as_str()).unwrap_or_default();
    Some(match wanted.of_value(value) {
        Piece::Score(score) => Reply::Scored { score, reason: kept(reason), weighted: false },
        Piece::Wrong(why) => unscored(&why),
        Piece::Nothing => unscored("has no score"),
    })
}

fn only_number(object: &Map) -> Option<(&std::sync::Arc<str>, &Value)> {
    let mut numbers = object.iter().filter(|(_, value)| value.as_number().is_some());
    let first = numbers.next()?;
    numbers.next().is_none().then_some(first)
}

fn by_tag(text: &str, wanted: Wanted) -> Piece {
    let last = TAG.captures_iter(text).filter_map(|found| found.get(1)).map(|found| wanted.of_text(found.as_str()));
    let last = last.filter(|piece| *piece != Piece::Nothing).last();
    let brackets = || {
        let found = BRACKETS.captures_iter(text).filter_map(|found| found.get(1));
        found.map(|found| wanted.of_text(found.as_str())).filter(|piece| *piece != Piece::Nothing).last()
    };
    last.or_else(brackets).unwrap_or(Piece::Nothing)
}

fn by_label(text: &str, wanted: Wanted) -> Piece {
    let mut best: Option<(u8, Piece)> = None;
    for found in LABEL.captures_iter(text) {
        let Some(piece) = found.get(3).map(|said| labelled(said.as_str(), wanted)) else { continue };
        if piece == Piece::Nothing {
            continue;
        }
        let is_final = found.get(1).is_some();
        let has_colon = found.get(2).is_some_and(|sign| matches!(sign.as_str(), ":" | "="));
        let rank = 2 * u8::from(is_final) + u8::from(has_colon);
        if best.as_ref().is_none_or(|(known, _)| rank >= *known) {
            best = Some((rank, piece));
        }
    }
    best.map_or(Piece::Nothing, |(_, piece)| piece)
}

/// What follows a label: the rest of its line, or its first words where the rest is a sentence.
fn labelled(said: &str, wanted: Wanted) -> Piece {
    match wanted.of_text(said) {
        Piece::Nothing => wanted.of_text(said.split([',', '.', ';', '(', '—', '–', '}']).next().unwrap_or_default()),
        found => found,
    }
}

fn by_line(text: &str, wanted: Wanted) -> Piece {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("```"));
    let Some(first) = lines.next() else { return Piece::Nothing };
    let last = lines.next_back();
    // `4 - well said`: a dash or a colon parts a score from its reason; a full stop would be an item of a list.
    let leading = || {
        let (head, _) = first.split_once([':', '–', '—']).or_else(|| first.split_once(" - "))?;
        is_bare(head).then(|| wanted.of_text(head))
    };
    let alone = |line: &str| if is_bare(line) { wanted.of_text(line) } else { Piece::Nothing };
    let at_start = match alone(first) {
        Piece::Nothing => leading().unwrap_or(Piece::Nothing),
        found => found,
    };
    match (at_start, last.map_or(Piece::Nothing, alone)) {
        (Piece::Score(first), Piece::Score(last)) if first != last => Piece::Wrong("names several scores".to_owned()),
        (Piece::Nothing, last) => last,
        (first, _) => first,
    }
}

/// Whether a line is a score and little else: a few words, and no item of a list.
fn is_bare(line: &str) -> bool {
    line.len() <= 40 && line.split_whitespace().count() <= 4 && !ITEM.is_match(line)
}

fn by_only_number(text: &str, wanted: Wanted) -> Piece {
    if wanted == Wanted::Winner {
        return Piece::Nothing;
    }
    let parse = |found: Option<regex::Match<'_>>| found.and_then(|found| found.as_str().parse::<f64>().ok());
    let mut skipped: Vec<std::ops::Range<usize>> = Vec::new();
    for found in RANGE.captures_iter(text) {
        if let (Some(from), Some(to), Some(all)) = (parse(found.get(1)), parse(found.get(2)), found.get(0))
            && wanted.is_range(from, to)
        {
            skipped.push(all.range());
        }
    }
    let mut pieces: Vec<Piece> = Vec::new();
    for found in OUT_OF.captures_iter(text) {
        if let (Some(number), Some(of), Some(all)) = (parse(found.get(1)), parse(found.get(2)), found.get(0)) {
            pieces.push(wanted.of_scale(number, of));
            skipped.push(all.range());
        }
    }
    skipped.extend(OF_SCALE.find_iter(text).map(|found| found.range()));
    for found in NUMBER.find_iter(text) {
        let is_skipped = skipped.iter().any(|range| range.start < found.end() && found.start() < range.end);
        if !is_skipped && stands_alone(text, found.range()) {
            let number = found.as_str().replace('−', "-").parse::<f64>();
            pieces.push(number.map_or(Piece::Nothing, |number| wanted.checked(number)));
        }
    }
    pieces.dedup();
    let mut scores: Vec<f64> =
        pieces.iter().filter_map(|piece| if let Piece::Score(score) = piece { Some(*score) } else { None }).collect();
    scores.sort_by(f64::total_cmp);
    scores.dedup();
    match (&scores[..], pieces.len()) {
        ([only], _) if pieces.iter().all(|piece| matches!(piece, Piece::Score(_))) => Piece::Score(*only),
        ([], 1) => pieces.remove(0),
        ([], 0) => Piece::Nothing,
        _ => Piece::Wrong("names several numbers".to_owned()),
    }
}

/// Whether a number is no part of a word, a name, a price or a longer number.
fn stands_alone(text: &str, at: std::ops::Range<usize>) -> bool {
    let before = text[..at.start].chars().next_back();
    let mut after = text[at.end..].chars();
    let (next, then) = (after.next(), after.next());
    let joins = |letter: char| letter.is_alphanumeric() || "_-#$€£/.".contains(letter);
    let goes_on = |letter: char| letter.is_alphanumeric() || "_%/".contains(letter);
    let is_decimal = matches!(next, Some('.' | ',' | '-')) && then.is_some_and(char::is_alphanumeric);
    !before.is_some_and(joins) && !next.is_some_and(goes_on) && !is_decimal
}

/// The objects of a text that are JSON, in order; those within others are left out.
fn objects(text: &str) -> Vec<Map> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut tried = 0;
    while let Some(open) = text[from..].find('{').map(|at| from + at) {
        tried += 1;
        if tried > MOST_OBJECTS {
            break;
        }
        let read = closing(&text[open..]).and_then(|length| {
            let value = json::read(&text[open..open + length]).ok()?;
            Some((value.as_map()?.clone(), length))
        });
        match read {
            Some((map, length)) => {
                found.push(map);
                from = open + length;
            }
            None => from = open + 1,
        }
    }
    found
}

/// How long the object is that a text begins with; `None` if it does not end.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' => depth += 1,
            b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

fn reason_of_text(text: &str) -> String {
    if let Some(tagged) = REASON_TAG.captures_iter(text).filter_map(|found| found.get(1)).last() {
        return kept(tagged.as_str());
    }
    // A reply that is its score gives no reason.
    if is_bare(text.trim()) { String::new() } else { kept(text) }
}

fn kept(reason: &str) -> String {
    sluicegate_gate::shortened(reason.trim(), REASON)
}

/// Both ends of a long text.
fn ends(text: &str) -> std::borrow::Cow<'_, str> {
    if text.len() <= 2 * MOST {
        return text.into();
    }
    let head = &text[..text.floor_char_boundary(MOST)];
    let tail = &text[text.ceil_char_boundary(text.len() - MOST)..];
    format!("{head}\n{tail}").into()
}

fn unscored(why: &str) -> Reply {
    Reply::Unscored(format!("the reply {why}"))
}
