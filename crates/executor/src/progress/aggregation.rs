//! Aggregation over the lines of a batch: what is kept of each line, and the progress of the nodes that read it
//! (spec: promptflow.md §1.16, §3).

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::{Activate, NodeId, Operand};
use sluicegate_value::{Map, Value};

use super::resolve;
use super::{Progress, Shape};
use crate::lookup;

/// What aggregation nodes read of the lines, in the order of the lines.
#[derive(Debug)]
pub(super) struct Lists(HashMap<Key, Result<Value, Failure>>);

/// What is read of a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Input(Arc<str>),
    /// A node's output, and the way into it as it is written.
    Output(NodeId, Arc<str>),
}

impl Key {
    fn of(operand: &Operand) -> Option<Self> {
        match operand {
            Operand::Literal(_) => None,
            Operand::Input(name) => Some(Self::Input(name.clone())),
            Operand::Output { node, written, .. } => Some(Self::Output(*node, written.clone())),
        }
    }
}

impl Lists {
    pub(super) fn of(&self, operand: &Operand) -> Option<&Result<Value, Failure>> {
        self.0.get(&Key::of(operand)?)
    }
}

/// What aggregation nodes read of each line: nothing else of a line is kept once it is over.
#[derive(Clone, Debug)]
pub struct ForAggregation {
    shape: Shape,
    operands: Arc<[(Key, Operand)]>,
}

impl ForAggregation {
    /// What the plan's aggregation nodes read; `None` if it has none.
    #[must_use]
    pub fn of(shape: &Shape) -> Option<Self> {
        let plan = shape.plan();
        if !plan.nodes.iter().any(|node| node.aggregation) {
            return None;
        }
        let mut operands: Vec<(Key, Operand)> = Vec::new();
        for node in plan.nodes.iter().filter(|node| node.aggregation) {
            let conditions: Vec<&Operand> = match &node.activate {
                Some(Activate::Equals { when, .. }) => vec![when],
                Some(Activate::If { operands, .. }) => operands.values().collect(),
                None => Vec::new(),
            };
            for operand in resolve::operands(node).chain(conditions) {
                let is_of_line = match operand {
                    Operand::Literal(_) => false,
                    Operand::Input(_) => true,
                    Operand::Output { node, .. } => !plan.node(*node).aggregation,
                };
                if let (true, Some(key)) = (is_of_line, Key::of(operand))
                    && !operands.iter().any(|(known, _)| *known == key)
                {
                    operands.push((key, operand.clone()));
                }
            }
        }
        Some(Self { shape: shape.clone(), operands: operands.into() })
    }

    /// What is kept of a line that is complete. Objects of a Python worker are kept as the JSON that they make: they
    /// live no longer than their line.
    #[must_use]
    pub fn values(&self, line: &Progress) -> Vec<Result<Value, Failure>> {
        let Some(flow) = line.flows.get(line.root) else { return Vec::new() };
        let value = |operand: &Operand| match resolve::is_bypassed(flow, operand) {
            true => Ok(Value::Null),
            false => resolve::value(flow, operand).and_then(|value| lookup::as_output(&value)),
        };
        self.operands.iter().map(|(_, operand)| value(operand)).collect()
    }

    /// The progress of the aggregation nodes over what was kept of the lines, in their order.
    #[must_use]
    pub fn progress(&self, lines: Vec<Vec<Result<Value, Failure>>>) -> Progress {
        let mut lists: Vec<Result<Vec<Value>, Failure>> = self.operands.iter().map(|_| Ok(Vec::new())).collect();
        for line in lines {
            for (list, value) in lists.iter_mut().zip(line) {
                match (list.as_mut(), value) {
                    (Ok(values), Ok(value)) => values.push(value),
                    (Ok(_), Err(failure)) => *list = Err(failure),
                    (Err(_), _) => {}
                }
            }
        }
        let keys = self.operands.iter().map(|(key, _)| key.clone());
        let lists = keys.zip(lists.into_iter().map(|list| list.map(Value::from))).collect();
        let mut progress = Progress::at_rest(&self.shape, Map::new());
        progress.aggregates = true;
        progress.result = Some(Ok(Map::new()));
        if let Some(root) = progress.flows.get_mut(progress.root) {
            root.lists = Some(Arc::new(Lists(lists)));
        }
        progress.begin_aggregation();
        progress.end_empty_flows();
        progress
    }
}
