//! Which column feeds which input (spec: promptflow.md §3).

mod check;
mod reference;

use std::fmt;
use std::sync::Arc;

use sluicegate_flow::plan::Place;
use sluicegate_source::Problem;
use sluicegate_value::{Map, Value};

use crate::lines::{Line, RunRow};
use crate::row::{Row, RowPlace};
use reference::{Reference, Side};

/// An entry of a column mapping, as its author wrote it.
#[derive(Clone, Debug)]
pub struct MappingEntry {
    /// The input.
    pub target: Arc<str>,
    /// What it takes: `${data.question}`, or a literal.
    pub value: Value,
    /// Where the entry stands; `None` if nobody knows.
    pub at: Option<Place>,
}

/// What a column mapping is made for.
#[derive(Clone, Copy, Debug, Default)]
pub struct MappingContext<'a> {
    /// The flow's inputs, and whether each has a default.
    pub inputs: &'a [(Arc<str>, bool)],
    /// Whether the flow takes inputs that it does not declare.
    pub takes_more: bool,
    /// Whether there are data.
    pub has_data: bool,
    /// Whether there is an earlier run.
    pub has_run: bool,
}

/// Which column feeds which input, checked.
///
/// A text that as a whole is `${data.NAME}`, `${run.inputs.NAME}` or `${run.outputs.NAME}` is a reference, anything
/// else a literal. A name with dots means the column of that name if the row has it, else the longest column that it
/// begins with and the way into that column's object: `${data.user.name}`. `${data.line_number}` is the line's number
/// where no column of that name is.
#[derive(Clone, Debug, Default)]
pub struct ColumnMapping {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    target: Arc<str>,
    operand: Operand,
    has_default: bool,
    /// Whether its author wrote it; else it is by name.
    is_explicit: bool,
    at: Option<Place>,
}

#[derive(Clone, Debug)]
enum Operand {
    Literal(Value),
    Column(Reference),
}

/// Columns that a line does not have, for inputs without a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The line.
    pub line_number: u64,
    /// Where its row stands, if it has one.
    pub place: Option<RowPlace>,
    /// The columns.
    pub columns: Vec<MissingColumn>,
}

/// A column that a line does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingColumn {
    /// The input that should take it.
    pub input: Arc<str>,
    /// The reference: `${data.question}`.
    pub reference: String,
}

impl MappingEntry {
    /// The entries of a map, such as `column_mapping` of a config; all at one place, if that is known.
    #[must_use]
    pub fn of_map(map: &Map, at: Option<&Place>) -> Vec<Self> {
        let entry = |(target, value): (&Arc<str>, &Value)| Self {
            target: target.clone(),
            value: value.clone(),
            at: at.cloned(),
        };
        map.iter().map(entry).collect()
    }
}

impl ColumnMapping {
    /// Makes the mapping of a flow's inputs. An input that `explicit` does not name takes the column of its own name;
    /// if it has a default, its default. No entries at all are as good as no mapping.
    ///
    /// What is wrong comes beside it, warnings too: with an error among them the mapping is not to be used.
    #[must_use]
    pub fn for_inputs(explicit: &[MappingEntry], context: &MappingContext<'_>) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut entries: Vec<Entry> = Vec::new();
        for entry in explicit {
            if let Some(entry) = check::entry(entry, context, &mut problems) {
                // Of two flags for one input the last counts.
                entries.retain(|other| other.target != entry.target);
                entries.push(entry);
            }
        }
        for (name, has_default) in context.inputs {
            if *has_default || explicit.iter().any(|entry| entry.target == *name) {
                continue;
            }
            if !context.has_data {
                problems.push(check::without_data(name));
                continue;
            }
            entries.push(Entry {
                target: name.clone(),
                operand: Operand::Column(Reference { side: Side::Data, name: name.clone() }),
                has_default: false,
                is_explicit: false,
                at: None,
            });
        }
        (Self { entries }, problems)
    }

    /// References to columns that no line has, each with what there is.
    #[must_use]
    pub fn check(&self, survey: &crate::Survey) -> Vec<Problem> {
        check::columns(&self.entries, survey)
    }

    /// The mapping as text, for records: `{"text": "${data.text}"}`.
    #[must_use]
    pub fn to_map(&self) -> Map {
        let value = |operand: &Operand| match operand {
            Operand::Literal(value) => value.clone(),
            Operand::Column(reference) => Value::from(reference.to_string()),
        };
        self.entries.iter().map(|entry| (entry.target.clone(), value(&entry.operand))).collect()
    }

    /// What a line gives to the flow. Of a column that is `null` or that this row does not have, an input with a default
    /// takes its default; one without takes the `null`, and a column that is not there is an error. (The original makes
    /// `nan` of both, and then the text `nan` of that.)
    ///
    /// # Errors
    /// Every column that is missing.
    pub fn apply(&self, row: &Row, run: Option<&RunRow>) -> Result<Map, Missing> {
        let number = run.map_or(row.number, |run| run.line_number);
        let (mut given, mut columns) = (Map::new(), Vec::new());
        for entry in &self.entries {
            let value = match &entry.operand {
                Operand::Literal(value) => Some(value.clone()),
                Operand::Column(reference) => reference.find(row, run, number),
            };
            match (value, &entry.operand) {
                // A literal `null` is no value either.
                (None | Some(Value::Null), _) if entry.has_default => {}
                (Some(value), _) => {
                    given.insert(entry.target.clone(), value);
                }
                (None, Operand::Column(reference)) => {
                    columns.push(MissingColumn { input: entry.target.clone(), reference: reference.to_string() });
                }
                (None, Operand::Literal(_)) => {}
            }
        }
        if columns.is_empty() {
            Ok(given)
        } else {
            Err(Missing { line_number: number, place: row.place.clone(), columns })
        }
    }

    /// As [`ColumnMapping::apply`], for a whole line.
    ///
    /// # Errors
    /// Every column that is missing.
    pub fn apply_to(&self, line: &Line) -> Result<Map, Missing> {
        self.apply(&line.row, line.run.as_ref())
    }
}

impl Missing {
    /// The same as a problem at the row.
    #[must_use]
    pub fn to_problem(&self) -> Problem {
        let problem = Problem::error("data::missing_column", self.to_string())
            .help("give the input a default, or the row the column (`null` counts as one)");
        match &self.place {
            Some(place) => place.mark(problem),
            None => problem,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {} has no ", self.line_number)?;
        for (index, column) in self.columns.iter().enumerate() {
            let comma = if index > 0 { ", no " } else { "" };
            write!(out, "{comma}`{}` for input `{}`", column.reference, column.input)?;
        }
        Ok(())
    }
}

impl std::error::Error for Missing {}
