//! References become values: what a node takes, whether it runs, what a flow gives (spec: promptflow.md §1.7, §1.10,
//! §1.16).

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_events::{Failure, Found, NodePath};
use sluicegate_flow::flex::FlexFlow;
use sluicegate_flow::plan::{Activate, Node, NodeId, NodeKind, Operand, Plan};
use sluicegate_flow::template::{Binding, Trust};
use sluicegate_value::{Map, Value};

use super::state::{FlowState, Settled, Stage};
use super::work::{Inputs, LineFailure};
use crate::lookup;

/// What is to become of a node whose turn it is.
pub(super) enum Decision {
    Run(Inputs),
    Bypass,
    Fail(Failure),
}

/// Decides in prompt flow's order: a condition alone counts where there is one, else what the node reads.
pub(super) fn decide(flow: &FlowState, node: &Node) -> Decision {
    let runs = match &node.activate {
        Some(activate) => match holds(flow, activate) {
            Ok(holds) => holds,
            Err(failure) => return Decision::Fail(failure),
        },
        None => !reads_only_bypassed(flow, node),
    };
    if !runs {
        return Decision::Bypass;
    }
    match bindings(flow, node) {
        Ok(inputs) => Decision::Run(inputs),
        Err(failure) => Decision::Fail(failure),
    }
}

fn holds(flow: &FlowState, activate: &Activate) -> Result<bool, Failure> {
    match activate {
        Activate::Equals { when, is } => {
            if is_bypassed(flow, when) {
                return Ok(false);
            }
            Ok(value(flow, when)?.python_eq(is))
        }
        // A condition of our own may ask whether something ran, so what was bypassed is `null` here.
        Activate::If { expression, operands } => {
            Ok(lookup::evaluate(expression, &condition_variables(flow, operands))?.is_truthy())
        }
    }
}

/// `inputs.x` and `node.output` as an expression reads them: a map `inputs`, and one for each node.
fn condition_variables(flow: &FlowState, operands: &IndexMap<Arc<str>, Operand>) -> Vec<(Arc<str>, Value)> {
    let mut inputs = Map::new();
    let mut variables: IndexMap<Arc<str>, Value> = IndexMap::new();
    for (variable, operand) in operands {
        match operand {
            Operand::Literal(literal) => {
                variables.insert(variable.clone(), literal.clone());
            }
            Operand::Input(name) => {
                inputs.insert(name.clone(), of_all_lines(flow, operand).unwrap_or_else(|| input(flow, name)));
            }
            Operand::Output { node, .. } => {
                let name = &flow.wiring.plan.node(*node).name.0;
                let value = of_all_lines(flow, operand).unwrap_or_else(|| output(flow, *node));
                variables.insert(name.clone(), Map::from([("output", value)]).into());
            }
        }
    }
    variables.insert("inputs".into(), inputs.into());
    variables.into_iter().collect()
}

/// What a condition of an aggregation node reads of all lines.
fn of_all_lines(flow: &FlowState, operand: &Operand) -> Option<Value> {
    flow.lists.as_ref()?.of(operand)?.clone().ok()
}

/// The operands of a node that may lead to other nodes: its inputs and, for a `map`, its list.
pub(super) fn operands(node: &Node) -> impl Iterator<Item = &Operand> {
    let over = match &node.kind {
        NodeKind::Map(map) => Some(&map.over),
        _ => None,
    };
    node.inputs.values().chain(over)
}

fn reads_only_bypassed(flow: &FlowState, node: &Node) -> bool {
    if let NodeKind::Map(map) = &node.kind
        && is_bypassed(flow, &map.over)
    {
        return true;
    }
    let mut reads_nodes = false;
    for operand in operands(node) {
        if matches!(operand, Operand::Output { .. }) {
            reads_nodes = true;
            if !is_bypassed(flow, operand) {
                return false;
            }
        }
    }
    reads_nodes
}

/// For aggregation nodes only other aggregation nodes count: what they read of lines is a list, though of `null`.
pub(super) fn is_bypassed(flow: &FlowState, operand: &Operand) -> bool {
    match operand {
        Operand::Output { node, .. } => {
            was_bypassed(flow, *node) && (!flow.aggregating || flow.wiring.plan.node(*node).aggregation)
        }
        _ => false,
    }
}

fn was_bypassed(flow: &FlowState, node: NodeId) -> bool {
    matches!(flow.nodes[node.index()].stage, Stage::Done(Settled::Bypassed))
}

fn bindings(flow: &FlowState, node: &Node) -> Result<Inputs, Failure> {
    let mut bindings = Vec::with_capacity(node.inputs.len());
    let mut absent = Vec::new();
    let flex = flow.wiring.plan.flex.as_ref();
    for (name, operand) in &node.inputs {
        let is_absent = is_bypassed(flow, operand)
            || matches!(operand, Operand::Input(input)
                if !flow.inputs.contains_key(input) && flex.is_some_and(|flex| flex.optional.contains(input)));
        if is_absent {
            absent.push(name.clone());
        }
        let value = if is_absent { Value::Null } else { value(flow, operand)? };
        bindings.push(Binding { name: name.clone(), value, trust: trust(flow, operand) });
    }
    // A function whose parameters nobody knows gets all that is given.
    if let (true, false) = (flex.is_some_and(|flex| flex.open), flow.aggregating) {
        let others = flow.inputs.iter().filter(|(name, _)| !node.inputs.contains_key(*name));
        bindings.extend(others.map(|(name, value)| Binding::data(name.clone(), value.clone())));
    }
    Ok(Inputs { bindings: bindings.into(), absent: absent.into() })
}

/// What an operand is now. Aggregation nodes see a list with one item where a batch would give one per line.
pub(super) fn value(flow: &FlowState, operand: &Operand) -> Result<Value, Failure> {
    if let Some(lists) = &flow.lists
        && let Some(list) = lists.of(operand)
    {
        return list.clone();
    }
    match operand {
        Operand::Literal(literal) => Ok(literal.clone()),
        Operand::Input(name) => {
            let value = input(flow, name);
            Ok(if flow.aggregating { vec![value].into() } else { value })
        }
        Operand::Output { node, property, written } => {
            let per_line = flow.aggregating && !flow.wiring.plan.node(*node).aggregation;
            let value = if per_line && was_bypassed(flow, *node) {
                Value::Null
            } else {
                match looked_up(flow, *node, written) {
                    Some(Found::Value(value)) => value.clone(),
                    Some(Found::Failure(failure)) => return Err(failure.clone()),
                    None if property.is_empty() => output(flow, *node),
                    None => {
                        let name = &flow.wiring.plan.node(*node).name.0;
                        lookup::property(name, &output(flow, *node), property, written)?
                    }
                }
            };
            Ok(if per_line { vec![value].into() } else { value })
        }
    }
}

fn input(flow: &FlowState, name: &str) -> Value {
    flow.inputs.get(name).cloned().unwrap_or_default()
}

fn output(flow: &FlowState, node: NodeId) -> Value {
    match &flow.nodes[node.index()].stage {
        Stage::Done(Settled::Completed { output, .. }) => output.clone(),
        _ => Value::Null,
    }
}

/// What was found where a way leads into a Python object, when that lived.
fn looked_up<'f>(flow: &'f FlowState, node: NodeId, written: &str) -> Option<&'f Found> {
    match &flow.nodes[node.index()].stage {
        Stage::Done(Settled::Completed { properties, .. }) => {
            properties.iter().find(|property| *property.path == *written).map(|property| &property.found)
        }
        _ => None,
    }
}

/// Whose text a value is: only what the author wrote, here or through a node that builds text, may hold role headers.
fn trust(flow: &FlowState, operand: &Operand) -> Trust {
    match operand {
        Operand::Literal(_) => Trust::Author,
        Operand::Input(_) => Trust::Data,
        Operand::Output { node: id, property, .. } => {
            let node = flow.wiring.plan.node(*id);
            match (&node.kind, &flow.nodes[id.index()].stage) {
                _ if !node.role_headers => Trust::Data,
                (NodeKind::Python(_), _) => Trust::Author,
                // A list of texts, as aggregation nodes read them, has no offsets of its own.
                (NodeKind::Prompt(_), Stage::Done(Settled::Completed { headers, .. }))
                    if property.is_empty() && (!flow.aggregating || node.aggregation) =>
                {
                    Trust::Headers(headers.clone())
                }
                _ => Trust::Data,
            }
        }
    }
}

/// The node of a flex flow that is its function.
fn entry_of(plan: &Plan) -> Option<NodeId> {
    let is_entry = |node: &Node| matches!(&node.kind, NodeKind::Python(python) if python.entry.is_some());
    let position = plan.nodes.iter().position(|node| is_entry(node) && !node.aggregation)?;
    Some(NodeId(position as u32))
}

/// What a flow gives once all its nodes are over. A bypassed node gives `null`, but nothing inside it can be read.
pub(super) fn outputs(flow: &FlowState) -> Result<Map, LineFailure> {
    let in_output = |name: &str, mut failure: Failure| {
        failure.message = format!("output `{name}`: {}", failure.message);
        LineFailure { path: NodePath::default(), failure }
    };
    let plan = &flow.wiring.plan;
    if let (Some(_), Some(node)) = (&plan.flex, entry_of(plan)) {
        let given = FlexFlow::outputs(&output(flow, node));
        let given = given.iter().map(|(name, value)| {
            let value = lookup::as_output(value).map_err(|failure| in_output(name, failure))?;
            Ok((name.clone(), value))
        });
        return given.collect();
    }
    let mut outputs = Map::new();
    for (name, spec) in &plan.outputs {
        let value = value(flow, &spec.from).and_then(|value| lookup::as_output(&value));
        outputs.insert(name.clone(), value.map_err(|failure| in_output(name, failure))?);
    }
    Ok(outputs)
}
