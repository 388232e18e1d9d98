//! Which lines are wanted.

use std::sync::Arc;

use sluicegate_flow::template::Expression;
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::{Map, Value};

use crate::lines::Line;
use crate::survey::{Columns, listed};

/// An expression that holds for the lines that are wanted, such as `lang == "de" and text|length > 20`.
///
/// It reads the row's columns by their names; `data`, the row as a map, for names that are no words
/// (`data["my column"]`); `run.inputs` and `run.outputs` of the earlier run's line; and `line_number`, which is the
/// line's number unless the row has a column of this name. A column that a row does not have is undefined, so that
/// comparing it is false.
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

    /// Names that the expression reads and no row has.
    #[must_use]
    pub fn check(&self, columns: &Columns) -> Vec<Problem> {
        let ours = ["data", "run", "line_number"];
        let is_known = |name: &str| ours.contains(&name) || columns.is_cut || columns.exists(name);
        let unknown = self.expression.variables().iter().filter(|(name, _)| !is_known(name));
        let problem = |(name, span): &(Arc<str>, Span)| {
            let near = suggest::nearest(name, columns.names());
            let help = near.map_or_else(|| listed(columns), |near| format!("did you mean `{near}`?"));
            Problem::error("data::unknown_column", format!("no row has a column `{name}`"))
                .in_file(&self.file)
                .at(*span, "")
                .help(help)
        };
        unknown.map(problem).collect()
    }

    /// Whether a line is wanted.
    ///
    /// # Errors
    /// A problem at the row for which the expression fails.
    pub fn holds(&self, line: &Line) -> Result<bool, Problem> {
        let columns = &line.row.columns;
        let value = |name: &str| match name {
            "data" => Some(Value::from(columns.clone())),
            "run" => line.run.as_ref().map(|run| {
                Value::from(Map::from([
                    ("inputs", Value::from(run.inputs.clone())),
                    ("outputs", Value::from(run.outputs.clone())),
                ]))
            }),
            "line_number" => columns.get(name).cloned().or_else(|| Some(Value::from(line.number))),
            _ => columns.get(name).cloned(),
        };
        let variables = self.expression.variables().iter();
        let given: Vec<(Arc<str>, Value)> =
            variables.filter_map(|(name, _)| Some((name.clone(), value(name)?))).collect();
        let held = self.expression.eval(&given).map_err(|error| {
            let message = format!("`{}` fails here: {}: {}", self.expression.source(), error.class, error.message);
            line.row.problem("data::where", message)
        })?;
        Ok(held.is_truthy())
    }
}
