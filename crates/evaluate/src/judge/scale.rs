//! What counts as a score in a short piece of text.

use std::sync::LazyLock;

use regex::Regex;
use sluicegate_value::Value;

use super::number_text;

/// What a reply should hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wanted {
    /// A number between two.
    Scale {
        /// The lowest score.
        lowest: f64,
        /// The highest score.
        highest: f64,
    },
    /// The number of one of several answers, from 1.
    Choice {
        /// How many there are.
        of: u32,
    },
    /// `A`, `B` or neither: 1, 0 and 0.5.
    Winner,
}

/// What a piece of a reply says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A score.
    Score(f64),
    /// Something that should be a score and is none, in words that follow "the reply …".
    Wrong(String),
    /// No score.
    Nothing,
}

#[expect(clippy::expect_used, reason = "the patterns are constants, which a test compiles")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

static LEADING: LazyLock<Regex> = LazyLock::new(|| pattern(r"^([+\-−]?(?:\d+(?:\.\d+)?|\.\d+))(\s*)"));
static DENOMINATOR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?:/|out\s+of|of)\s*(\d+(?:\.\d+)?)"));
static SECOND: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?:-|–|—|,|to|or|and)\s*\d"));
static WINNER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:the\s+)?(?:(?:response|answer|assistant|option)\s+)?(a|b|c|1|2|first|second|tie|draw|equal|neither|both)(?:\s+(?:response|answer|is\s+(?:the\s+)?(?:clearly\s+|slightly\s+|much\s+)?(?:better|winner|best)\b|wins\b).*)?$",
    )
});

const NUMBER_WORDS: [&str; 11] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
const YES: [&str; 7] = ["yes", "true", "pass", "passed", "passes", "correct", "met"];
const NO: [&str; 7] = ["no", "false", "fail", "failed", "fails", "incorrect", "unmet"];
const NO_SCORE: [&str; 7] = ["n/a", "na", "none", "null", "unknown", "nan", "unscored"];

/// What stands around a score and is no part of it.
const AROUND: &[char] = &[
    '*', '_', '`', '\'', '"', '“', '”', '[', ']', '(', ')', '{', '}', '<', '>', '.', ',', ';', '!', '#', ' ', '\t',
    '\r', '\n',
];

impl Wanted {
    /// What a value of a JSON reply says.
    pub(super) fn of_value(self, value: &Value) -> Piece {
        match value {
            Value::Null => Piece::Wrong("gives no score".to_owned()),
            Value::Bool(yes) if self.is_yes_or_no() => Piece::Score(f64::from(*yes)),
            Value::Str(text) => match self.of_text(text) {
                Piece::Nothing => Piece::Wrong(format!("has `{}` for a score", start(text))),
                found => found,
            },
            other => match other.as_number() {
                Some(number) => self.checked(number),
                None => Piece::Wrong("has no number for a score".to_owned()),
            },
        }
    }

    /// What a short text says: a number with or without its scale, a word for one, a winner.
    pub(super) fn of_text(self, text: &str) -> Piece {
        let text = text.trim_matches(AROUND);
        if self == Self::Winner {
            return winner(text);
        }
        let Some(found) = LEADING.captures(text) else { return self.of_word(text) };
        let (whole, digits) =
            (found.get(0).map_or("", |all| all.as_str()), found.get(1).map_or("", |all| all.as_str()));
        let Ok(number) = digits.replace('−', "-").parse::<f64>() else { return Piece::Nothing };
        let is_apart = found.get(2).is_some_and(|blanks| !blanks.is_empty());
        let rest = text.get(whole.len()..).unwrap_or_default();
        if let Some(of) = DENOMINATOR.captures(rest).and_then(|found| found.get(1)?.as_str().parse::<f64>().ok()) {
            return self.of_scale(number, of);
        }
        if rest.starts_with('%') {
            return self.of_percent(number);
        }
        if SECOND.is_match(rest) {
            return Piece::Wrong("names several numbers".to_owned());
        }
        if !is_apart && rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
            return Piece::Nothing;
        }
        self.checked(number)
    }

    /// `4/5`: the second number must be the highest score.
    pub(super) fn of_scale(self, number: f64, of: f64) -> Piece {
        match self {
            Self::Scale { highest, .. } if of == highest => self.checked(number),
            Self::Choice { of: count } if of == f64::from(count) => self.checked(number),
            _ => Piece::Wrong(format!("is on a scale to {}", number_text(of))),
        }
    }

    fn of_percent(self, number: f64) -> Piece {
        match self {
            Self::Scale { lowest: 0.0, highest: 1.0 } => self.checked(number / 100.0),
            Self::Scale { lowest: 0.0, highest: 100.0 } => self.checked(number),
            _ => Piece::Wrong("is in percent".to_owned()),
        }
    }

    fn of_word(self, text: &str) -> Piece {
        let word =
            text.split(|letter: char| letter.is_whitespace() || ":,;.-–—".contains(letter)).next().unwrap_or_default();
        let word = word.trim_matches(AROUND).to_lowercase();
        if NO_SCORE.contains(&&*word) {
            return Piece::Wrong("gives no score".to_owned());
        }
        if self.is_yes_or_no() {
            if YES.contains(&&*word) {
                return Piece::Score(1.0);
            }
            if NO.contains(&&*word) {
                return Piece::Score(0.0);
            }
        }
        match NUMBER_WORDS.iter().position(|known| *known == word) {
            Some(number) => self.checked(number as f64),
            None => Piece::Nothing,
        }
    }

    /// A number, if it is on the scale.
    pub(super) fn checked(self, number: f64) -> Piece {
        let fits = match self {
            Self::Scale { lowest, highest } => (lowest..=highest).contains(&number),
            Self::Choice { of } => number.fract() == 0.0 && (1.0..=f64::from(of)).contains(&number),
            Self::Winner => false,
        };
        if fits {
            Piece::Score(number)
        } else {
            Piece::Wrong(format!("says {}, which is not {self}", number_text(number)))
        }
    }

    /// Whether a range that a reply names is the scale itself: `1-5`.
    pub(super) fn is_range(self, from: f64, to: f64) -> bool {
        match self {
            Self::Scale { lowest, highest } => from == lowest && to == highest,
            Self::Choice { of } => from == 1.0 && to == f64::from(of),
            Self::Winner => false,
        }
    }

    fn is_yes_or_no(self) -> bool {
        self == Self::Scale { lowest: 0.0, highest: 1.0 }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Scale { lowest, highest } => {
                write!(out, "between {} and {}", number_text(*lowest), number_text(*highest))
            }
            Self::Choice { of } => write!(out, "a whole number between 1 and {of}"),
            Self::Winner => out.write_str("`A`, `B` or a tie"),
        }
    }
}

fn winner(text: &str) -> Piece {
    let Some(found) = WINNER.captures(text).and_then(|found| found.get(1)) else {
        return match NO_SCORE.contains(&&*text.to_lowercase()) {
            true => Piece::Wrong("names no winner".to_owned()),
            false => Piece::Nothing,
        };
    };
    Piece::Score(match &*found.as_str().to_lowercase() {
        "a" | "1" | "first" => 1.0,
        "b" | "2" | "second" => 0.0,
        _ => 0.5,
    })
}

/// The beginning of a text, for messages.
pub(super) fn start(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARS: Wanted = Wanted::Scale { lowest: 1.0, highest: 5.0 };
    const UNIT: Wanted = Wanted::Scale { lowest: 0.0, highest: 1.0 };

    #[track_caller]
    fn check(wanted: Wanted, text: &str, expected: Option<f64>) {
        let found = match wanted.of_text(text) {
            Piece::Score(score) => Some(score),
            _ => None,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_number_may_come_with_its_scale() {
        for text in
            ["4", " **4** ", "4/5", "4 / 5", "4 out of 5", "4.0", "4 - good", "4: good", "four", "\"4\"", "4 (good)"]
        {
            check(STARS, text, Some(4.0));
        }
        for text in ["4/10", "4-5", "4 or 5", "4th", "40%", "6", "0", "-4", "good", "", "n/a", "4,5"] {
            check(STARS, text, None);
        }
    }

    #[test]
    fn yes_and_no_are_a_scale_of_two() {
        for (text, score) in
            [("yes", 1.0), ("PASS", 1.0), ("No.", 0.0), ("Correct - it is", 1.0), ("80%", 0.8), ("0.5", 0.5)]
        {
            check(UNIT, text, Some(score));
        }
        check(STARS, "yes", None);
    }

    #[test]
    fn a_winner_is_a_letter_or_a_word() {
        for (text, score) in [
            ("A", 1.0),
            ("[[B]]", 0.0),
            ("[[C]]", 0.5),
            ("Response A", 1.0),
            ("answer b is better", 0.0),
            ("The second response", 0.0),
            ("tie", 0.5),
            ("neither", 0.5),
        ] {
            check(Wanted::Winner, text, Some(score));
        }
        for text in ["Answer A is worse", "A and B", "all", "", "C3"] {
            check(Wanted::Winner, text, None);
        }
    }
}
