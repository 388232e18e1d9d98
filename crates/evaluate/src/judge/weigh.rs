//! A score as the mean over what the judge could have said in its place.

use sluicegate_value::{Map, Value};

use super::scale::{Piece, Wanted};

/// The answer of a chat API: its text, and its tokens with their probabilities.
pub(super) struct ChatAnswer<'a> {
    pub(super) text: &'a str,
    pub(super) refusal: Option<&'a str>,
    pub(super) tokens: Vec<Token<'a>>,
}

/// A token of a reply, and what could have stood there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    /// Tokens with their natural logarithms of probability, the one that was chosen among them.
    pub(super) alternatives: Vec<(&'a str, f64)>,
}

/// Less of the probability than this being on the scale, the mean would be of something else.
const LEAST_MASS: f64 = 0.5;

/// The first choice of a chat API's whole answer; `None` if the map is none.
pub(super) fn chat_answer(map: &Map) -> Option<ChatAnswer<'_>> {
    let choice = map.get("choices")?.as_list()?.first()?;
    let message = choice.get("message")?;
    let tokens = choice.get("logprobs").and_then(|found| found.get("content")).and_then(Value::as_list);
    Some(ChatAnswer {
        text: message.get("content").and_then(Value::as_str).unwrap_or_default(),
        refusal: message.get("refusal").and_then(Value::as_str).filter(|refusal| !refusal.is_empty()),
        tokens: tokens.unwrap_or_default().iter().filter_map(token).collect(),
    })
}

fn token(value: &Value) -> Option<Token<'_>> {
    let of = |value: &Value| value.get("logprob").and_then(Value::as_number).filter(|number| !number.is_nan());
    let text = value.get("token")?.as_str()?;
    let mut alternatives: Vec<(&str, f64)> = value
        .get("top_logprobs")
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(|other| Some((other.get("token")?.as_str()?, of(other)?)))
        .collect();
    if alternatives.is_empty() {
        alternatives.extend(of(value).map(|logprob| (text, logprob)));
    }
    Some(Token { text, alternatives })
}

/// The mean over the alternatives of the token that is the score; `None` if it cannot be told which token that is, or if
/// too little of the probability is on the scale.
pub(super) fn mean_score(tokens: &[Token<'_>], score: f64, wanted: Wanted) -> Option<f64> {
    let says_score = |token: &Token<'_>| wanted.of_text(token.text) == Piece::Score(score);
    let mut said = String::new();
    let mut found: Vec<(&Token<'_>, bool)> = Vec::new();
    for token in tokens {
        if says_score(token) {
            let from = said.floor_char_boundary(said.len().saturating_sub(24));
            let before = said[from..].to_lowercase();
            found.push((token, ["score", "rating", "grade", "<s2>"].iter().any(|word| before.contains(word))));
        }
        said.push_str(token.text);
    }
    let labelled = found.iter().rev().find(|(_, is_labelled)| *is_labelled).map(|(token, _)| *token);
    let token = labelled.or_else(|| match &found[..] {
        [(only, _)] => Some(*only),
        _ => None,
    })?;
    let mut mass = 0.0;
    let mut sum = 0.0;
    for (text, logprob) in &token.alternatives {
        if let Piece::Score(score) = wanted.of_text(text) {
            let probability = logprob.exp();
            mass += probability;
            sum += probability * score;
        }
    }
    (mass >= LEAST_MASS && sum.is_finite()).then(|| sum / mass)
}
