//! Hashes of what an evaluator is.

use sluicegate_gate::Comparator;
use sluicegate_value::{Map, Value, hash};

use super::{Evaluator, Scorer};
use crate::binding::Operand;

/// The version of the evaluators as this crate computes them. It goes into their hashes: a number changes when the
/// same case may get another score.
pub const VERSION: &str = "1";

/// Options that change nothing about a score: whom to ask and how often. A prompt's text is hashed, and not its path.
const NOT_HASHED: [&str; 4] = ["connection", "deployment", "repeats", "prompt"];

impl Evaluator {
    /// Hash of everything that a score rests on besides the case and the model: kind, options, inputs, the texts of
    /// prompt and schema, and the version of this crate's evaluators. Names are no part of it.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut parts = vec![format!("evaluator/{VERSION}"), self.kind.name.to_owned(), sorted(&self.hashed_options())];
        let inputs = self.given.iter().map(|given| {
            let written = match &given.operand {
                Operand::Literal(value) => value.clone(),
                Operand::Reference(reference) => reference.to_string().into(),
            };
            (given.input.clone(), written)
        });
        parts.push(sorted(&inputs.collect()));
        parts.push(self.threshold.as_ref().map(Comparator::to_string).unwrap_or_default());
        parts.push(self.only.as_ref().map(|only| only.source().to_owned()).unwrap_or_default());
        parts.extend(self.contents.iter().map(ToString::to_string));
        hash::sha256_of_parts(parts)
    }

    /// Hash of a judge: its prompt, what it is told, and the model that it asks. A calibration holds for this, whatever
    /// columns the judge reads. `None` for a model that is not known.
    #[must_use]
    pub fn judge_hash(&self, model: Option<&str>) -> String {
        let constants = match &self.scorer {
            Scorer::Judge(judge) => sorted(&judge.constants),
            _ => String::new(),
        };
        let mut parts = vec![format!("judge/{VERSION}"), self.kind.name.to_owned(), constants];
        parts.push(sorted(&self.hashed_options()));
        parts.push(model.unwrap_or_default().to_owned());
        parts.extend(self.contents.iter().map(ToString::to_string));
        hash::sha256_of_parts(parts)
    }

    fn hashed_options(&self) -> Map {
        let kept = self.options.iter().filter(|(name, _)| !NOT_HASHED.contains(&&***name));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

/// As JSON with its keys in order, at any depth: the order in which an author wrote them is nobody's meaning.
fn sorted(map: &Map) -> String {
    fn value(item: &Value) -> Value {
        match item {
            Value::Map(map) => {
                let mut entries: Vec<_> = map.iter().map(|(key, item)| (key.clone(), value(item))).collect();
                entries.sort_by(|(left, _), (right, _)| left.cmp(right));
                entries.into_iter().collect::<Map>().into()
            }
            Value::List(items) => items.iter().map(value).collect::<Vec<_>>().into(),
            other => other.clone(),
        }
    }
    value(&Value::from(map.clone())).to_json()
}
