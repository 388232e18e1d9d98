//! Objects that live in workers: what is looked up in them while they live, and where they may go.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use sluicegate_events::{Failure, Found, Property};
use sluicegate_flow::flex::FlexFlow;
use sluicegate_flow::plan::{Operand, Step};
use sluicegate_flow::property::{self, InvalidProperty, PropertyError};
use sluicegate_python::{Argument, LineId, PropertyStep, PythonError};
use sluicegate_value::{Handle, Map, Value};

use super::host::NodeHost;
use super::side::{PoolName, PythonSide};
use crate::lookup;
use crate::nodes::Product;
use crate::progress::NodeRef;

/// What a node made of what its tool gave: generators that the flow gives are read to their end, and ways into objects
/// that others go are gone now, where the objects live.
pub(crate) async fn product(
    at: &NodeRef,
    returned: Value,
    line: LineId,
    deadline: Option<Instant>,
    host: &NodeHost<'_>,
) -> Result<Product, PythonError> {
    if !returned.holds_handle() {
        return Ok(returned.into());
    }
    let mut found = Lookups { host, deadline, drained: Vec::new(), known: HashSet::new() };
    found.remember(&returned);
    let mut properties: Vec<Property> = Vec::new();
    let readers = at.plan.nodes.iter().flat_map(|node| node.operands());
    let outputs = at.plan.outputs.values().map(|output| &output.from);
    for (operand, is_given) in readers.map(|operand| (operand, false)).chain(outputs.map(|operand| (operand, true))) {
        let Operand::Output { node, property: steps, written } = operand else { continue };
        if *node != at.id {
            continue;
        }
        let position = match properties.iter().position(|known| known.path == *written) {
            Some(position) => Some(position),
            None => match property::walk(&at.node().name.0, &returned, steps, written) {
                Ok(value) => {
                    if is_given {
                        found.drain(&value).await?;
                    }
                    None
                }
                Err(PropertyError::Missing(_)) => None,
                Err(PropertyError::InWorker { handle, taken }) => {
                    let path = written.clone();
                    let looked_up = found.look_up(at, &handle, &steps[taken..], written, line).await?;
                    properties.push(Property { path, found: looked_up });
                    Some(properties.len() - 1)
                }
            },
        };
        if let (true, Some(Property { found: Found::Value(value), .. })) =
            (is_given, position.and_then(|position| properties.get(position)))
        {
            found.drain(value).await?;
        }
    }
    if at.plan.flex.is_some() {
        found.drain(&returned).await?;
        for value in FlexFlow::outputs(&returned).values() {
            found.drain(value).await?;
        }
    }
    let output = found.with_texts(&returned);
    for property in &mut properties {
        if let Found::Value(value) = &mut property.found {
            *value = found.with_texts(value);
        }
    }
    Ok(Product { properties, ..Product::from(output) })
}

struct Lookups<'h> {
    host: &'h NodeHost<'h>,
    deadline: Option<Instant>,
    /// What generators gave, joined.
    drained: Vec<(Arc<Handle>, String)>,
    known: HashSet<Arc<str>>,
}

impl Lookups<'_> {
    fn remember(&mut self, value: &Value) {
        for_each_handle(value, &mut |handle| {
            if self.known.insert(handle.worker.clone()) {
                self.host.side.keep_worker(&handle.worker, &self.host.workplace.name);
            }
        });
    }

    async fn look_up(
        &mut self,
        at: &NodeRef,
        handle: &Arc<Handle>,
        steps: &[Step],
        written: &Arc<str>,
        line: LineId,
    ) -> Result<Found, PythonError> {
        let steps: Vec<PropertyStep> = steps
            .iter()
            .map(|step| match step {
                Step::Word(word) => PropertyStep::Word(word.clone()),
                Step::Key(key) => PropertyStep::Key(key.clone()),
                Step::Index(index) => PropertyStep::Index(i64::try_from(*index).unwrap_or(i64::MAX)),
            })
            .collect();
        match self.host.workplace.pool.property(handle, &steps, Some(line)).await {
            Ok(value) => {
                self.remember(&value);
                Ok(Found::Value(value))
            }
            Err(PythonError::NoSuchProperty(_)) => {
                let missing = InvalidProperty { property: written.clone(), node: at.node().name.0.clone() };
                Ok(Found::Failure(lookup::missing_property(&missing)))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a generator to its end.
    async fn drain(&mut self, value: &Value) -> Result<(), PythonError> {
        let Value::Handle(handle) = value else { return Ok(()) };
        if &*handle.type_name != "generator" || self.drained.iter().any(|(known, _)| is_same(known, handle)) {
            return Ok(());
        }
        let text = self.host.workplace.pool.drain(handle, self.host, self.deadline).await?;
        self.drained.push((handle.clone(), text));
        Ok(())
    }

    /// The value with what its generators gave in them: that is what a flow gives; others get the generator.
    fn with_texts(&self, value: &Value) -> Value {
        if self.drained.is_empty() || !value.holds_handle() {
            return value.clone();
        }
        match value {
            Value::Handle(handle) => match self.drained.iter().find(|(known, _)| is_same(known, handle)) {
                Some((_, text)) => {
                    Value::Handle(Arc::new(Handle { json: Some(text.as_str().into()), ..(**handle).clone() }))
                }
                None => value.clone(),
            },
            Value::List(items) => items.iter().map(|item| self.with_texts(item)).collect::<Vec<_>>().into(),
            Value::Map(map) => {
                map.iter().map(|(key, item)| (key.clone(), self.with_texts(item))).collect::<Map>().into()
            }
            other => other.clone(),
        }
    }
}

/// What a node takes, as it may go to its pool: an object of another flow's worker goes as what it is in JSON.
pub(crate) fn localized(side: &PythonSide, name: &str, value: &Value, pool: &PoolName) -> Result<Argument, Failure> {
    fn changed(side: &PythonSide, value: &Value, pool: &PoolName) -> Result<Value, Arc<str>> {
        Ok(match value {
            Value::Handle(handle) if side.is_elsewhere(&handle.worker, pool) => {
                handle.json.clone().ok_or_else(|| handle.type_name.clone())?
            }
            Value::List(items) => {
                items.iter().map(|item| changed(side, item, pool)).collect::<Result<Vec<_>, _>>()?.into()
            }
            Value::Map(map) => {
                let entries = map.iter().map(|(key, item)| Ok((key.clone(), changed(side, item, pool)?)));
                entries.collect::<Result<Map, Arc<str>>>()?.into()
            }
            other => other.clone(),
        })
    }
    if !value.holds_handle() {
        return Ok(value.clone().into());
    }
    changed(side, value, pool).map(Argument::Value).map_err(|type_name| {
        Failure::new(
            "input",
            format!("input `{name}` is or holds a Python object ({type_name}) that lives in another flow's worker"),
        )
        .hint("let the other flow give what JSON holds: numbers, texts, lists and dicts of those")
    })
}

fn is_same(one: &Handle, other: &Handle) -> bool {
    one.worker == other.worker && one.id == other.id
}

fn for_each_handle(value: &Value, visit: &mut dyn FnMut(&Arc<Handle>)) {
    match value {
        Value::Handle(handle) => visit(handle),
        Value::List(items) => items.iter().for_each(|item| for_each_handle(item, visit)),
        Value::Map(map) => map.values().for_each(|item| for_each_handle(item, visit)),
        _ => {}
    }
}
