//! The flow engine's pure parts, with failures as events tell them.

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_flow::plan::{Plan, Step};
use sluicegate_flow::property::{self, InvalidProperty, PropertyError};
use sluicegate_flow::template::{Expression, RenderError};
use sluicegate_value::{Map, Value};

/// The value of an expression.
pub(crate) fn evaluate(expression: &Expression, variables: &[(Arc<str>, Value)]) -> Result<Value, Failure> {
    expression.eval(variables).map_err(|error| render_failure("expression", &error))
}

/// A template's or expression's failure, with its place.
pub(crate) fn render_failure(code: &str, error: &RenderError) -> Failure {
    let position = error.file.position(error.span.start);
    let mut failure = Failure::new(code, format!("{}: {}", error.class, error.message));
    failure.details = Map::from([
        ("file", Value::from(error.file.name())),
        ("line", Value::from(position.line as i64)),
        ("column", Value::from(position.column as i64)),
    ])
    .into();
    failure
}

/// There is nothing where a property path leads.
pub(crate) fn missing_property(missing: &InvalidProperty) -> Failure {
    let node = &missing.node;
    Failure::new("reference", missing.to_string())
        .hint(format!("look at what `{node}` gives, and write the way into it as `.word`, `['key']` or `[0]`"))
}

/// What a property path leads to.
pub(crate) fn property(node: &str, output: &Value, steps: &[Step], written: &Arc<str>) -> Result<Value, Failure> {
    property::walk(node, output, steps, written).map_err(|error| match error {
        PropertyError::Missing(missing) => missing_property(&missing),
        // Ways into objects were gone when the node ended; there is none for what a text or a number has in Python.
        PropertyError::InWorker { handle, .. } => Failure::new(
            "reference",
            format!("`{written}` leads into a Python object ({}) of node `{node}`", handle.type_name),
        ),
    })
}

/// A value as a flow gives it: objects as the JSON that they make (spec: promptflow.md §1.5).
pub(crate) fn as_output(value: &Value) -> Result<Value, Failure> {
    Ok(match value {
        Value::Handle(handle) => match &handle.json {
            Some(json) => json.clone(),
            None => {
                let message = format!(
                    "it is not JSON serializable: (TypeError) Object of type {} is not JSON serializable",
                    handle.type_name
                );
                return Err(Failure::new("unserializable", message)
                    .hint("let the node return what JSON holds: numbers, texts, lists and dicts of those"));
            }
        },
        Value::List(items) if value.holds_handle() => {
            items.iter().map(as_output).collect::<Result<Vec<_>, _>>()?.into()
        }
        Value::Map(map) if value.holds_handle() => {
            let entries = map.iter().map(|(key, value)| Ok((key.clone(), as_output(value)?)));
            entries.collect::<Result<Map, Failure>>()?.into()
        }
        other => other.clone(),
    })
}

/// The inputs of a nested flow: what is given, by its declared types, and defaults for the rest.
pub(crate) fn nested_inputs(plan: &Plan, given: impl IntoIterator<Item = (Arc<str>, Value)>) -> Result<Map, Failure> {
    plan.resolve_inputs(&given.into_iter().collect()).map_err(|errors| {
        let mut messages = errors.iter().map(ToString::to_string);
        let mut failure =
            Failure::new("input", format!("flow `{}`: {}", plan.name, messages.next().unwrap_or_default()));
        failure.causes = messages.collect();
        failure.hint("look at the node's inputs: they are the inner flow's")
    })
}
