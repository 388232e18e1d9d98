//! What can be wrong with a column mapping.

use std::sync::Arc;

use sluicegate_flow::plan::Place;
use sluicegate_source::{Problem, suggest};

use super::reference::{LINE_NUMBER, Reference, Side, body};
use super::{Entry, MappingContext, MappingEntry, Operand};
use crate::Survey;
use crate::survey::{Columns, listed};

/// An entry, unless it leads nowhere.
pub(super) fn entry(entry: &MappingEntry, context: &MappingContext<'_>, problems: &mut Vec<Problem>) -> Option<Entry> {
    let target = &entry.target;
    let input = context.inputs.iter().find(|(name, _)| name == target);
    let mut tell = |problem| problems.push(at(problem, entry.at.as_ref()));
    if input.is_none() && !context.takes_more {
        tell(unknown_target(target, context));
    }
    let operand = match entry.value.as_str().map(|text| (text, body(text))) {
        Some((text, Some(body))) => match Reference::parse(body) {
            Some(reference) => {
                if let Some(problem) = without_side(&reference, target, context) {
                    tell(problem);
                }
                Operand::Column(reference)
            }
            None => {
                tell(unknown_source(text, body, target, context));
                return None;
            }
        },
        Some((text, None)) => {
            if let Some(problem) = near_reference(text, target) {
                tell(problem);
            }
            Operand::Literal(entry.value.clone())
        }
        None => Operand::Literal(entry.value.clone()),
    };
    let has_default = input.is_some_and(|(_, has_default)| *has_default);
    Some(Entry { target: target.clone(), operand, has_default, is_explicit: true, at: entry.at.clone() })
}

/// An input that nothing feeds, for there are no data.
pub(super) fn without_data(name: &Arc<str>) -> Problem {
    Problem::error(
        "data::unmapped_input",
        format!("input `{name}` has no default, and there are no data to take it from"),
    )
    .help(format!("map it to the run: `{name}: ${{run.inputs.{name}}}` or `${{run.outputs.…}}`; or give data"))
}

/// References to columns that no line has.
pub(super) fn columns(entries: &[Entry], survey: &Survey) -> Vec<Problem> {
    let mut problems = Vec::new();
    for entry in entries {
        let Operand::Column(reference) = &entry.operand else { continue };
        let (columns, whose) = match reference.side {
            Side::Data => (&survey.columns, "row of the data"),
            Side::RunInputs => (&survey.run_inputs, "line of the run among its inputs"),
            Side::RunOutputs => (&survey.run_outputs, "line of the run among its outputs"),
        };
        // Where nothing was read, nothing is missing.
        if survey.lines == 0 || columns.is_cut || &*reference.name == LINE_NUMBER || begins(columns, &reference.name) {
            continue;
        }
        let has = match reference.side {
            Side::Data => format!("no {whose} has a column `{}`", reference.name),
            Side::RunInputs | Side::RunOutputs => format!("no {whose} has `{}`", reference.name),
        };
        let message = if entry.is_explicit {
            format!("input `{}` is mapped to `{reference}`, and {has}", entry.target)
        } else {
            format!("input `{}` is not mapped and has no default, and {has}", entry.target)
        };
        let help = match suggest::nearest(&reference.name, columns.names()) {
            Some(near) => {
                let meant = Reference { side: reference.side, name: near.into() };
                format!("did you mean `{}: {meant}`? {}", entry.target, listed(columns))
            }
            None => listed(columns),
        };
        problems.push(at(Problem::error("data::unknown_column", message).help(help), entry.at.as_ref()));
    }
    problems
}

/// Whether the name, or what stands before one of its dots, is a column of any line.
fn begins(columns: &Columns, name: &str) -> bool {
    columns.count(name) > 0 || name.match_indices('.').any(|(dot, _)| columns.count(&name[..dot]) > 0)
}

fn unknown_target(target: &str, context: &MappingContext<'_>) -> Problem {
    let problem = Problem::error("data::unknown_input", format!("the flow has no input `{target}`"));
    let names = || context.inputs.iter().map(|(name, _)| &**name);
    match suggest::nearest(target, names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if context.inputs.is_empty() => problem.help("it takes no inputs"),
        None => {
            problem.help(format!("it takes {}", names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn without_side(reference: &Reference, target: &str, context: &MappingContext<'_>) -> Option<Problem> {
    let (is_there, code, what, help) = match reference.side {
        Side::Data => (context.has_data, "data::no_data", "there are no data", "name a data file"),
        Side::RunInputs | Side::RunOutputs => {
            (context.has_run, "data::no_run", "there is no earlier run", "name the run whose lines to take")
        }
    };
    let message = format!("input `{target}` is mapped to `{reference}`, and {what}");
    (!is_there).then(|| Problem::error(code, message).help(help))
}

fn unknown_source(text: &str, body: &str, target: &str, context: &MappingContext<'_>) -> Problem {
    let problem = Problem::error(
        "data::unknown_source",
        format!("input `{target}` is mapped to `{text}`, which names no column"),
    );
    let trimmed = body.trim();
    let (first, rest) = trimmed.split_once('.').unwrap_or((trimmed, ""));
    let meant = if trimmed != body && Reference::parse(trimmed).is_some() {
        trimmed.to_owned()
    } else if rest.is_empty() {
        let is_side = ["data", "run"].contains(&first) || Side::ALL.iter().any(|side| side.word() == trimmed);
        format!("data.{}", if is_side { target } else { first })
    } else {
        match first {
            "run" => format!("run.outputs.{rest}"),
            "outputs" | "output" => format!("run.outputs.{}", rest.trim_start_matches("outputs.")),
            _ if context.has_data => format!("data.{rest}"),
            _ => format!("run.inputs.{rest}"),
        }
    };
    problem.help(format!(
        "did you mean `${{{meant}}}`? columns are `${{data.NAME}}`, `${{run.inputs.NAME}}` and `${{run.outputs.NAME}}`"
    ))
}

/// Text that looks as if a reference were meant.
fn near_reference(text: &str, target: &str) -> Option<Problem> {
    let help = if body(text.trim()).is_some() {
        "remove the blanks around it"
    } else if text.contains("${") {
        "only a text that is a reference as a whole is one: put parts together in the flow, with a `prompt` node"
    } else {
        return None;
    };
    let message = format!("input `{target}` is given the text `{}` as it stands: it is no reference", shortened(text));
    Some(Problem::warning("data::no_reference", message).help(help))
}

fn shortened(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn at(problem: Problem, place: Option<&Place>) -> Problem {
    match place {
        Some(place) => problem.in_file(&place.file).at(place.span, ""),
        None => problem,
    }
}
