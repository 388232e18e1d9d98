//! `python` and `custom_llm`: a tool in Python is called (spec: promptflow.md §1.8, §1.10, §10.1).

use std::sync::Arc;
use std::time::Instant;

use sluicegate_events::Failure;
use sluicegate_flow::plan::{Node, NodeKind, Operand};
use sluicegate_python::{Argument, LineId, ParameterType, PythonError, ToolCall};
use sluicegate_value::Value;

use super::{AttemptFailure, Product};
use crate::calls::{Calls, SaidKind};
use crate::progress::{Inputs, NodeRef};
use crate::python::{NodeHost, NodeTool, PythonSide, attempt_failure, localized, product};

/// How often a call is made again that was cut off by another one's end, without counting as an attempt.
const MOST_REPEATS: usize = 3;

pub(super) async fn call(
    at: &NodeRef,
    inputs: &Inputs,
    line: LineId,
    calls: &Calls<'_>,
) -> Result<Product, AttemptFailure> {
    let Some(side) = &calls.engine.python else {
        return Err(AttemptFailure::lasting(Failure::new("python_missing", "nothing here runs Python")));
    };
    let node = at.node();
    let tool = side.tool(&at.plan, at.id).await.map_err(crate::python::LoadTrouble::failure)?;
    let call = ToolCall {
        node: Some(node.name.0.clone()),
        line: Some(line),
        trace: Some(calls.span.context()),
        timeout: node.timeout,
        ..ToolCall::new(tool.tool.clone(), arguments(side, node, &tool, inputs)?)
    };
    let host = NodeHost::new(side, calls, &tool.workplace, node.aggregation);
    let mut repeats = 0;
    loop {
        let made = async {
            let returned = tool.workplace.pool.call(&call, &host).await?;
            if is_aggregate(node) {
                tell_metrics(calls, &returned);
            }
            let deadline = node.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            // What it gave may be lost before all of it is looked at: then it is made again.
            product(at, returned, line, deadline, &host).await.map_err(|error| match error {
                PythonError::HandleLost { .. } => PythonError::WorkerReplaced { because: "it died after the call" },
                other => other,
            })
        };
        match made.await {
            Err(error) if error.is_repeatable() && repeats < MOST_REPEATS => {
                repeats += 1;
                calls.begin_again();
            }
            made => return made.map_err(|error| attempt_failure(&error, node.timeout)),
        }
    }
}

/// What the tool is called with: literals as its annotations want them, everything else as it is. What was bypassed is
/// left out where the function has a default of its own.
fn arguments(
    side: &PythonSide,
    node: &Node,
    tool: &NodeTool,
    inputs: &Inputs,
) -> Result<Vec<(Arc<str>, Argument)>, AttemptFailure> {
    let is_literal = |name: &str| matches!(node.inputs.get(name), Some(Operand::Literal(_)));
    let mut arguments = Vec::with_capacity(inputs.bindings.len());
    for input in inputs.bindings.iter().filter(|input| !is_literal(&input.name)) {
        if inputs.absent.contains(&input.name) && may_be_absent(tool, &input.name) {
            continue;
        }
        let argument =
            localized(side, &input.name, &input.value, &tool.workplace.name).map_err(AttemptFailure::lasting)?;
        arguments.push((input.name.clone(), argument));
    }
    let given: Vec<Arc<str>> = arguments.iter().map(|(name, _)| name.clone()).collect();
    arguments.extend(tool.literals.iter().filter(|(name, _)| !given.contains(name)).cloned());
    Ok(arguments)
}

/// Whether a node is the `__aggregate__` of a flex flow's class.
fn is_aggregate(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Python(python) if python.entry.as_ref().is_some_and(|entry| entry.is_aggregate))
}

/// What a class makes of all lines are numbers over them.
fn tell_metrics(calls: &Calls<'_>, returned: &Value) {
    let json = match returned {
        Value::Handle(handle) => handle.json.as_ref().unwrap_or(&Value::Null),
        other => other,
    };
    for (key, value) in json.as_map().into_iter().flatten() {
        calls.tell(SaidKind::Metric(key.to_string(), value.clone()));
    }
}

fn may_be_absent(tool: &NodeTool, name: &str) -> bool {
    let parameter = tool.tool.parameter(name).filter(|parameter| parameter.kind != ParameterType::Rest);
    parameter.is_some_and(|parameter| !parameter.required)
}
