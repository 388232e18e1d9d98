//! Which lines are wanted.

use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_source::{Problem, Severity, SourceFile, Span, suggest};
use sluicegate_value::{Map, Value};

use crate::compared::text_beside_number;
use crate::lines::{Line, RunRow};
use crate::survey::{Columns, listed};

/// An expression that holds for the lines that are wanted, such as `lang == "de" and text|length > 20`.
///
/// It reads the row's columns by their names; `data`, the row as a map, for names that are no words
/// (`data["my column"]`); `run.inputs` and `run.outputs` of the earlier run's line, if there is one; and `line_number`,
/// which is the line's number unless the row has a column of this name. A column that a row does not have is undefined,
/// so that comparing it is false.
#[derive(Debug)]
pub struct Where {
    expression: Expression,
    file: Arc<SourceFile>,
}

impl Where {
    /// Parses an expression that stands at `span` of `file`.
    ///
    /// # Errors
    /// What is no expression, with its place.
    pub fn parse(file: &Arc<SourceFile>, span: Span, text: &str) -> Result<Self, Problem> {
        Ok(Self { expression: Expression::parse(file, span, text)?, file: file.clone() })
    }

    /// What is asked, as its author wrote it.
    #[must_use]
    pub fn source(&self) -> &str {
        self.expression.source()
    }

    /// Whether the expression reads a name.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.expression.variables().iter().any(|(read, _)| &**read == name)
    }

    /// Names that the expression reads and no row has; `run` is one of them unless there is an earlier run.
    #[must_use]
    pub fn check(&self, columns: &Columns, has_run: bool) -> Vec<Problem> {
        let is_known = |name: &str| match name {
            "data" | "line_number" => true,
            "run" if has_run => true,
            _ => columns.is_cut || columns.exists(name),
        };
        let unknown = self.expression.variables().iter().filter(|(name, _)| !is_known(name));
        let problem = |(name, span): &(Arc<str>, Span)| {
            if &**name == "run" {
                let problem = Problem::error("data::no_run", "`run` is a line of an earlier run, and there is none");
                return problem.in_file(&self.file).at(*span, "").help("name the run whose lines to take");
            }
            let near = suggest::nearest(name, columns.names());
            let help = near.map_or_else(|| listed(columns), |near| format!("did you mean `{near}`?"));
            Problem::error("data::unknown_column", format!("no row has a column `{name}`"))
                .in_file(&self.file)
                .at(*span, "")
                .help(help)
        };
        unknown.map(problem).collect()
    }

    /// What the expression says of a line.
    ///
    /// # Errors
    /// A problem at the row for which the expression fails ([`Where::FAILED`]).
    pub(crate) fn answer(&self, line: &Line) -> Result<Answer, Problem> {
        let columns = &line.row.columns;
        let run = |run: &RunRow| {
            Value::from(Map::from([
                ("inputs", Value::from(run.inputs.clone())),
                ("outputs", Value::from(run.outputs.clone())),
            ]))
        };
        let value = |name: &str| match name {
            "data" => Some(Value::from(columns.clone())),
            "run" => line.run.as_ref().map(run).or_else(|| columns.get(name).cloned()),
            "line_number" => columns.get(name).cloned().or_else(|| Some(Value::from(line.number))),
            _ => columns.get(name).cloned(),
        };
        let variables = self.expression.variables().iter();
        let given: Vec<(Arc<str>, Value)> =
            variables.filter_map(|(name, _)| Some((name.clone(), value(name)?))).collect();
        let as_number = |name: &str| format!("`{name}` is a text here: `{name}|float` makes a number of it");
        if let Some(name) = text_beside_number(self.source(), &given) {
            let message = format!("`{}` fails here: a text is compared with a number", self.source());
            return Err(line.row.problem(Self::FAILED, message).help(as_number(name)));
        }
        let said = self.expression.eval(&given).map_err(|error| {
            let message = format!("`{}` fails here: {}: {}", self.source(), error.class, error.message);
            let problem = line.row.problem(Self::FAILED, message);
            // What a spreadsheet shows as a number is a text in its CSV file.
            let is_number = |value: &Value| value.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok());
            match given.iter().filter(|_| &*error.class == "TypeError").find(|(_, value)| is_number(value)) {
                Some((name, _)) => problem.help(as_number(name)),
                None => problem,
            }
        })?;
        let kind = match &said {
            Value::Bool(_) | Value::Null => None,
            Value::Str(_) => Some("a text"),
            Value::Int(_) | Value::Float(_) | Value::BigInt(_) => Some("a number"),
            Value::List(_) => Some("a list"),
            _ => Some("an object"),
        };
        // What is empty or 0 is what `and` gives where its left side does not hold: nothing to wonder at.
        let odd = kind.filter(|_| said.is_truthy()).map(|kind| {
            let message = format!("`{}` gives {kind} here, and not true or false", self.source());
            let help = "whatever is empty or 0 counts as false, all else as true: compare it, as in `NAME == \"yes\"`";
            Problem { severity: Severity::Warning, ..line.row.problem("data::where_answer", message) }.help(help)
        });
        Ok(Answer { holds: said.is_truthy(), odd })
    }

    /// The code of the problem that a line is for which the expression fails.
    pub const FAILED: &str = "data::where";
}

/// What an expression says of a line.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) holds: bool,
    /// That it holds without being true.
    pub(crate) odd: Option<Problem>,
}
