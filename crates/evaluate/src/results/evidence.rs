//! Cases as the gate reads them.

use std::collections::BTreeMap;

use sluicegate_flow::template::Expression;
use sluicegate_gate::{Case, CaseKey, KEPT_OUTPUT, shortened};
use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Map, Value};

use crate::binding::lookup;
use crate::score::CaseFacts;

/// A case as the gate reads it: what was asked and answered, shortened, with its cost and time.
#[must_use]
pub fn case(facts: &CaseFacts<'_>, cluster: Option<&str>, trace_id: &str) -> Case {
    Case {
        key: facts.key.clone(),
        line: facts.line,
        repeat: facts.repeat,
        confirming: false,
        cluster: cluster.and_then(|column| cluster_of(facts.data, column)),
        outcome: facts.outcome.clone(),
        input: shown(facts.run_inputs.unwrap_or(facts.data)),
        output: shown(facts.outputs),
        cost_usd: facts.run.cost_usd,
        latency_ms: facts.run.latency_ms,
        cached: facts.run.cached,
        trace_id: trace_id.to_owned(),
    }
}

/// The cluster of a row; `None` if it has nothing in that column.
#[must_use]
pub fn cluster_of(row: &Map, column: &str) -> Option<String> {
    match lookup(row, column)? {
        Value::Null => None,
        Value::Str(text) => Some(text.to_string()),
        other => Some(other.to_json()),
    }
}

/// For each expression of a policy the cases for which it holds. An expression reads the columns of a row by their names,
/// and `data`, the whole row.
///
/// # Errors
/// An expression that is none. For a row for which it fails it does not hold.
pub fn selections<'r>(
    expressions: &[&str],
    rows: impl Iterator<Item = (&'r CaseKey, &'r Map)>,
) -> Result<BTreeMap<String, Vec<CaseKey>>, Vec<Problem>> {
    let (mut parsed, mut problems) = (Vec::new(), Vec::new());
    for text in expressions {
        let file = SourceFile::new("where", *text);
        match Expression::parse(&file, Span::new(0, text.len()), text) {
            Ok(expression) => parsed.push((*text, expression)),
            Err(problem) => problems.push(problem),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut selected: BTreeMap<String, Vec<CaseKey>> =
        parsed.iter().map(|(text, _)| ((*text).to_owned(), Vec::new())).collect();
    for (key, row) in rows {
        for (text, expression) in &parsed {
            if holds(expression, row)
                && let Some(cases) = selected.get_mut(*text)
            {
                cases.push(key.clone());
            }
        }
    }
    Ok(selected)
}

/// Whether an expression over a row's columns holds; one that fails does not.
#[must_use]
pub fn holds(expression: &Expression, row: &Map) -> bool {
    let value = |name: &str| match row.get(name) {
        Some(value) => Some(value.clone()),
        None if name == "data" => Some(row.clone().into()),
        None => None,
    };
    let variables = expression.variables().iter();
    let given: Vec<_> = variables.filter_map(|(name, _)| Some((name.clone(), value(name)?))).collect();
    expression.eval(&given).is_ok_and(|held| held.is_truthy())
}

/// A map as a person would read it: of one entry its value.
fn shown(map: &Map) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_json(), str::to_owned);
    let whole = match map.values().next() {
        None => String::new(),
        Some(only) if map.len() == 1 => text(only),
        Some(_) => map.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect::<Vec<_>>().join("\n"),
    };
    shortened(&whole, KEPT_OUTPUT)
}
