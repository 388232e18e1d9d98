//! Nodes that run once over all lines: given what was recorded, do they give what was recorded?

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate_flow::plan::{Node, Operand, Plan};
use sluicegate_flow::property;
use sluicegate_value::{Map, Value};

use super::recorded::{RecordedEnd, RunFolder};

/// What an operand reads, by a name; `None` if it stands in the file.
pub(super) fn name_of(operand: &Operand, plan: &Plan) -> Option<Arc<str>> {
    match operand {
        Operand::Literal(_) => None,
        Operand::Input(name) => Some(name.clone()),
        Operand::Output { node, written, .. } if written.is_empty() => {
            Some(format!("{}.output", plan.node(*node).name).into())
        }
        Operand::Output { node, written, .. } => Some(format!("{}.output.{written}", plan.node(*node).name).into()),
    }
}

/// What an aggregation node reads, by the names of [`name_of`]: lists over the lines that completed, of what was recorded; what other aggregation nodes gave stays single (spec: promptflow.md §1.16). An error tells what is missing.
pub(super) fn inputs_of(
    node: &Node,
    plan: &Plan,
    run: &RunFolder,
    line_inputs: &BTreeMap<u64, Map>,
) -> Result<Map, String> {
    let completed: Vec<u64> = run
        .lines
        .iter()
        .filter(|(_, line)| {
            matches!(line.end, Some(RecordedEnd::Completed)) || (line.end.is_none() && line.outputs.is_some())
        })
        .map(|(number, _)| *number)
        .collect();
    let mut inputs = Map::new();
    for operand in node.inputs.values() {
        let Some(name) = name_of(operand, plan) else { continue };
        match operand {
            Operand::Literal(_) => {}
            Operand::Input(input) => {
                let of_line = |line: &u64| line_inputs.get(line).and_then(|inputs| inputs.get(input)).cloned();
                let list: Vec<Value> = completed.iter().map(|line| of_line(line).unwrap_or_default()).collect();
                inputs.insert(name, list);
            }
            Operand::Output { node: source, property, written } => {
                let source = plan.node(*source);
                let inside = |output: &Value| {
                    property::walk(&source.name.0, output, property, written)
                        .map_err(|_| format!("`{name}` cannot be read from what was recorded"))
                };
                let value = if source.aggregation {
                    let recorded = run.aggregation(&source.name.0);
                    inside(&recorded.ok_or_else(|| format!("node `{}` is not recorded", source.name))?.output)?
                } else {
                    let mut list = Vec::with_capacity(completed.len());
                    for line in &completed {
                        let recorded = run.node(*line, &source.name.0);
                        list.push(match recorded {
                            Some(node) if node.end == Some(RecordedEnd::Bypassed) => Value::Null,
                            Some(node) => inside(&node.output)?,
                            None => return Err(format!("node `{}` of line {line} is not recorded", source.name)),
                        });
                    }
                    list.into()
                };
                inputs.insert(name, value);
            }
        }
    }
    Ok(inputs)
}
