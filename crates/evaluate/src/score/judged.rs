//! What a judge or an evaluation flow is asked about a case.

use sluicegate_gate::Missing;
use sluicegate_value::{Map, Value, hash};

use super::CaseFacts;
use super::texts::text_of;
use crate::binding::{BoundEvaluator, Family};
use crate::evaluator::Scorer;
use crate::judge::Expects;

/// Why a case has no score of an evaluator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct NotScored {
    /// The kind of reason.
    pub why: Missing,
    /// In words.
    pub detail: String,
}

impl NotScored {
    /// The evaluator says nothing about the case.
    pub fn not_applicable(detail: impl Into<String>) -> Self {
        Self { why: Missing::NotApplicable, detail: detail.into() }
    }

    /// The evaluator failed.
    pub fn failed(detail: impl Into<String>) -> Self {
        Self { why: Missing::EvaluatorFailed, detail: detail.into() }
    }
}

impl BoundEvaluator {
    /// The inputs of the evaluator's flow for a case: a row of its batch. For a judge they are texts, and what is
    /// compared is put into an order that `judge_repeat` decides, so that no answer is favoured for its place.
    ///
    /// # Errors
    /// The case need not be asked about: give it missing scores, by [`BoundEvaluator::missing`].
    pub fn flow_inputs(&self, facts: &CaseFacts<'_>, judge_repeat: u32) -> Result<Map, NotScored> {
        self.ready(facts)?;
        let Scorer::Judge(judge) = &self.evaluator.scorer else {
            let inputs = self.evaluator.inputs.iter();
            return Ok(inputs
                .filter_map(|input| Some((input.name.clone(), self.value(&input.name, facts)?.clone())))
                .collect());
        };
        let mut row = judge.constants.clone();
        let turn = self.last_turn(facts);
        for input in &self.evaluator.inputs {
            if input.family == Some(Family::Conversation) && &*input.name == "conversation" && turn.is_some() {
                continue;
            }
            let given = self.value(&input.name, facts).filter(|value| !value.is_null());
            let text = given.map(|value| shown(value, input.family)).or_else(|| turn.as_ref()?.of(input.family));
            if let Some(text) = text {
                row.insert(input.name.clone(), text);
            }
        }
        let asked = |family: Family| {
            let input = self.evaluator.inputs.iter().find(|input| input.family == Some(family));
            input.is_none_or(|input| !input.required || row.contains_key(&input.name))
        };
        if !asked(Family::Response) || !asked(Family::Query) {
            return Err(NotScored::not_applicable("the conversation has no turn of the assistant"));
        }
        if !asked(Family::Context) {
            return Err(NotScored::not_applicable("the conversation's last answer has no context"));
        }
        match judge.expects {
            Expects::Score => {}
            Expects::Winner => {
                if is_swapped(judge_repeat) {
                    swap(&mut row, "response", "other");
                }
            }
            Expects::Number => self.number_candidates(facts, judge_repeat, &mut row)?,
        }
        // A prompt of the author's own need not take all that ours takes.
        Ok(row.into_iter().filter(|(name, _)| judge.declared.contains(name)).collect())
    }

    /// How many answers stand before the judge, and at which place (from 1) the one that is judged stands.
    pub(super) fn place_among(&self, facts: &CaseFacts<'_>, judge_repeat: u32) -> Option<(u32, u32)> {
        let others = u32::try_from(self.candidates(facts).len()).ok().filter(|others| *others > 0)?;
        // From the case alone, so that a resumed evaluation asks the same.
        let digest = hash::sha256_of_parts([facts.key.as_str(), &facts.repeat.to_string()]);
        let draw = u32::from_str_radix(digest.get(..6)?, 16).ok()?;
        Some((others + 1, (draw.wrapping_add(judge_repeat)) % (others + 1) + 1))
    }

    fn candidates(&self, facts: &CaseFacts<'_>) -> Vec<String> {
        match self.value("candidates", facts) {
            Some(Value::List(items)) => items.iter().map(|item| text_of(item).into_owned()).collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(other) => vec![text_of(other).into_owned()],
        }
    }

    fn number_candidates(&self, facts: &CaseFacts<'_>, judge_repeat: u32, row: &mut Map) -> Result<(), NotScored> {
        let mut all = self.candidates(facts);
        let Some((_, place)) = self.place_among(facts, judge_repeat) else {
            return Err(NotScored::not_applicable("there is no other answer to choose from"));
        };
        let own = row.remove("response").and_then(|own| own.as_str().map(str::to_owned)).unwrap_or_default();
        all.insert((place as usize - 1).min(all.len()), own);
        let numbered =
            all.iter().enumerate().map(|(at, text)| format!("<answer number=\"{}\">\n{text}\n</answer>", at + 1));
        row.insert("candidates", numbered.collect::<Vec<_>>().join("\n"));
        row.insert("count", all.len() as u64);
        Ok(())
    }

    /// The last turn of the conversation, where the case has one.
    fn last_turn(&self, facts: &CaseFacts<'_>) -> Option<Turn> {
        let input = self.evaluator.inputs.iter().find(|input| input.family == Some(Family::Conversation))?;
        Turn::last(self.value(&input.name, facts)?)
    }
}

/// Whether the two answers of a comparison change places in this reading.
pub(super) fn is_swapped(judge_repeat: u32) -> bool {
    judge_repeat % 2 == 1
}

fn swap(row: &mut Map, one: &str, other: &str) {
    let (first, second) = (row.get(one).cloned(), row.get(other).cloned());
    if let (Some(first), Some(second)) = (first, second) {
        row.insert(one.to_owned(), second);
        row.insert(other.to_owned(), first);
    }
}

/// What was said last, and what was said before it.
struct Turn {
    before: String,
    answer: String,
    context: Option<String>,
}

impl Turn {
    /// The last turn of the assistant; of a list of messages, or of a map that has one.
    fn last(conversation: &Value) -> Option<Self> {
        let messages = conversation.as_list().or_else(|| conversation.get("messages")?.as_list())?;
        let role = |message: &Value| message.get("role").and_then(Value::as_str).unwrap_or("user").to_owned();
        let at = messages.iter().rposition(|message| role(message) == "assistant")?;
        let content = |message: &Value| message.get("content").map(|content| text_of(content).into_owned());
        let line = |message: &Value| Some(format!("{}: {}", role(message), content(message)?));
        let before: Vec<String> = messages.iter().take(at).filter_map(line).collect();
        let last = messages.get(at)?;
        let before = match messages.get(..at) {
            // One question is that question, and no conversation.
            Some([only]) => content(only)?,
            _ => before.join("\n"),
        };
        let context = last.get("context").map(|context| shown(context, Some(Family::Context)));
        Some(Self { before, answer: content(last)?, context })
    }

    fn of(&self, family: Option<Family>) -> Option<String> {
        match family? {
            Family::Query => Some(self.before.clone()),
            Family::Response => Some(self.answer.clone()),
            Family::Context => self.context.clone(),
            _ => None,
        }
    }
}

/// A value as a judge reads it. Documents stand one below the other.
fn shown(value: &Value, family: Option<Family>) -> String {
    let documents = match (family, value) {
        (Some(Family::Context), Value::List(items)) => items.as_slice(),
        (Some(Family::Context), Value::Map(_)) => std::slice::from_ref(value),
        _ => return text_of(value).into_owned(),
    };
    documents.iter().map(document).collect::<Vec<_>>().join("\n\n")
}

/// The text of a document, by the names that retrievers give it.
fn document(value: &Value) -> String {
    const NAMES: [&str; 6] = ["content", "text", "page_content", "chunk", "snippet", "citations"];
    match NAMES.iter().find_map(|name| value.get(name)) {
        Some(Value::List(items)) => items.iter().map(document).collect::<Vec<_>>().join("\n\n"),
        Some(inner) => text_of(inner).into_owned(),
        None => text_of(value).into_owned(),
    }
}
