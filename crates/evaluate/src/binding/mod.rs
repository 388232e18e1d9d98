//! Which column or output feeds which input of an evaluator.
//!
//! An input that the author gave is what he gave: a literal, or a [`Reference`]. Any other is matched by name, in this
//! order: the column or output of its own name; one of its [`Family`]'s other names; for the answer, the only output
//! that the target has. What is found nowhere, and needed, is a problem that names what there is.
//!
//! `${target.output}` is the only output of a target that has one, whatever that is called.

mod family;
mod reference;

use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::{Map, Value};

pub use family::Family;
pub use reference::{Reference, ReferenceError, Side, lookup};

use crate::evaluator::{Evaluator, InputSpec};
use crate::score::CaseFacts;

/// What there is to read: columns of the data, outputs of the target.
#[derive(Clone, Debug, Default)]
pub struct Available {
    /// Columns of the data.
    pub data: Names,
    /// Outputs of the target.
    pub target: Names,
}

/// Names, and whether there may be others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Those that are known.
    pub known: Vec<Arc<str>>,
    /// Whether there may be others: then a name that is not known is no problem.
    pub open: bool,
}

/// An evaluator whose inputs lead to something that exists.
#[derive(Clone, Debug)]
pub struct BoundEvaluator {
    /// The evaluator.
    pub evaluator: Arc<Evaluator>,
    inputs: Vec<(Arc<str>, Operand)>,
    /// The evaluator's hash, once: every score carries it.
    hash: Arc<str>,
}

/// What an input takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The same for each case.
    Literal(Value),
    /// A column or an output.
    Reference(Reference),
}

impl Names {
    /// These, and no others.
    pub fn exactly<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        Self { known: names.into_iter().map(Into::into).collect(), open: false }
    }

    fn has(&self, name: &str) -> bool {
        self.known.iter().any(|known| **known == *name)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|name| &**name)
    }
}

impl Available {
    fn on(&self, side: Side) -> &Names {
        if side == Side::Data { &self.data } else { &self.target }
    }

    fn only_output(&self) -> Option<&Arc<str>> {
        match &self.target.known[..] {
            [only] if !self.target.open => Some(only),
            _ => None,
        }
    }
}

impl BoundEvaluator {
    /// Leads each input of an evaluator to something that exists.
    ///
    /// # Errors
    /// Each input that leads nowhere, with what there is.
    pub fn bind(
        evaluator: &Arc<Evaluator>,
        file: &Arc<SourceFile>,
        available: &Available,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut inputs = Vec::new();
        for input in &evaluator.inputs {
            let given = evaluator.given.iter().find(|given| given.input == input.name);
            let operand = match given {
                Some(given) => match &given.operand {
                    Operand::Reference(reference) => match resolve(reference, available) {
                        Ok(reference) => Some(Operand::Reference(reference)),
                        Err(problem) => {
                            problems.push(problem.in_file(file).at(given.span, ""));
                            continue;
                        }
                    },
                    literal => Some(literal.clone()),
                },
                None => by_name(input, available).map(Operand::Reference),
            };
            if let Some(operand) = operand {
                inputs.push((input.name.clone(), operand));
            }
        }
        let bound = |name: &str| inputs.iter().any(|(input, _)| &**input == name);
        // The last turn of a conversation is question and answer, and may bring its context.
        let from_conversation = |input: &InputSpec| {
            matches!(input.family, Some(Family::Query | Family::Response | Family::Context)) && bound("conversation")
        };
        for input in evaluator.inputs.iter().filter(|input| input.required) {
            let was_wrong = evaluator.given.iter().any(|given| given.input == input.name);
            if !bound(&input.name) && !was_wrong && !from_conversation(input) {
                problems.push(unmatched(evaluator, input, available).in_file(file).at(evaluator.place, ""));
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { evaluator: evaluator.clone(), inputs, hash: evaluator.hash().into() })
    }

    /// The evaluator's hash.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Its inputs, as the author would write them: `${data.question}`, or a literal.
    #[must_use]
    pub fn mapping(&self) -> Map {
        let written = |operand: &Operand| match operand {
            Operand::Literal(value) => value.clone(),
            Operand::Reference(reference) => reference.to_string().into(),
        };
        self.inputs.iter().map(|(name, operand)| (name.clone(), written(operand))).collect()
    }

    /// Whether it reads what the target gave, so that it has nothing to say where the target failed.
    #[must_use]
    pub fn reads_target(&self) -> bool {
        let of_target = |operand: &Operand| matches!(operand, Operand::Reference(found) if found.side == Side::Target);
        self.inputs.iter().any(|(_, operand)| of_target(operand)) || self.evaluator.scorer.reads_run()
    }

    /// The value of an input for a case; `None` if it is bound to nothing, or the case has nothing there.
    pub(crate) fn value<'c>(&'c self, name: &str, facts: &CaseFacts<'c>) -> Option<&'c Value> {
        match self.operand(name)? {
            Operand::Literal(value) => Some(value),
            Operand::Reference(reference) => facts.at(reference),
        }
    }

    pub(crate) fn operand(&self, name: &str) -> Option<&Operand> {
        self.inputs.iter().find(|(input, _)| &**input == name).map(|(_, operand)| operand)
    }
}

/// A reference that the author wrote, held against what there is.
fn resolve(reference: &Reference, available: &Available) -> Result<Reference, Problem> {
    if matches!(reference.side, Side::RunInputs | Side::Baseline) {
        return Ok(reference.clone());
    }
    let names = available.on(reference.side);
    if names.open || reference.first_of(names.iter()).is_some() {
        return Ok(reference.clone());
    }
    let rest = reference.path.strip_prefix("output").filter(|rest| rest.is_empty() || rest.starts_with('.'));
    if reference.side == Side::Target
        && let (Some(rest), Some(only)) = (rest, available.only_output())
    {
        return Ok(Reference { side: Side::Target, path: format!("{only}{rest}").into() });
    }
    let first = reference.path.split('.').next().unwrap_or(&reference.path);
    let (what, there) = match reference.side {
        Side::Data => ("the data have no column", "columns"),
        _ => ("the target has no output", "outputs"),
    };
    let problem = Problem::error("evaluation::unknown_reference", format!("{what} `{first}`"));
    Err(problem.help(match suggest::nearest(first, names.iter()) {
        Some(near) => format!("did you mean `${{{}.{near}}}`?", reference.side.word()),
        None if names.known.is_empty() => format!("there are no {there}"),
        None => format!("{there}: {}", quoted(names.iter())),
    }))
}

fn by_name(input: &InputSpec, available: &Available) -> Option<Reference> {
    let reference = |side: Side, name: &str| Reference { side, path: name.into() };
    let Some(family) = input.family else {
        let sides = [Side::Data, Side::Target];
        return sides
            .into_iter()
            .find(|side| available.on(*side).has(&input.name))
            .map(|side| reference(side, &input.name));
    };
    for side in family.sides() {
        let names = std::iter::once(&*input.name).chain(family.names().iter().copied());
        if let Some(name) = names.into_iter().find(|name| available.on(*side).has(name)) {
            return Some(reference(*side, name));
        }
        if *side == Side::Target
            && family == Family::Response
            && let Some(only) = available.only_output()
        {
            return Some(reference(Side::Target, only));
        }
    }
    None
}

fn unmatched(evaluator: &Evaluator, input: &InputSpec, available: &Available) -> Problem {
    let message = format!("nothing feeds `{}` of evaluator `{}`", input.name, evaluator.name);
    let listed = |what: &str, names: &Names| match names.known.is_empty() {
        true => None,
        false => Some(format!("{what} {}", quoted(names.iter()))),
    };
    let there: Vec<String> = [listed("the columns", &available.data), listed("the outputs", &available.target)]
        .into_iter()
        .flatten()
        .collect();
    let sides = input.family.map_or(&[Side::Data][..], Family::sides);
    let side = *sides.iter().find(|side| !available.on(**side).known.is_empty()).unwrap_or(&Side::Data);
    let example = available.on(side).known.first().map_or("…", |name| name);
    let of_those = if there.is_empty() { String::new() } else { format!("; there are {}", there.join(" and ")) };
    Problem::error("evaluation::unmatched_input", message).help(format!(
        "give it one: `{}: \"${{{}.{example}}}\"`{of_those}",
        input.name,
        side.word()
    ))
}

/// Names in backticks, with commas.
pub(crate) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// An input that the author gave.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenInput {
    /// The evaluator's input.
    pub input: Arc<str>,
    /// What it takes.
    pub operand: Operand,
    /// Where that is written.
    pub span: Span,
}
