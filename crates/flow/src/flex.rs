//! Flex flows: a Python function, or a class with `__call__`, in place of nodes (spec: promptflow.md §1.1, §1.2).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_value::{Map, Value};

use crate::plan::{InputType, Place};

/// The output of a function that gives no map.
pub const OUTPUT: &str = "output";

/// What a flex flow is beyond a plan of one Python node. Prints no value: what a class is made with may be a secret.
#[derive(Clone)]
pub struct FlexFlow {
    /// `module:function` or `module:Class`.
    pub entry: Arc<str>,
    /// What the class is made with, as far as the file declares it, or its signature once that is known.
    pub init: IndexMap<Arc<str>, InitSpec>,
    /// `sample: {init: …}`: what it is made with if nothing at all is given.
    pub sample_init: Option<Map>,
    /// What it is made with; empty until the plan is bound.
    pub init_values: Map,
    /// Whether the function's signature is known: see [`crate::plan::Plan::with_signature`]. Until then any input may be
    /// absent, and Python says what is missing.
    pub signed: bool,
    /// Whether inputs that are not declared are let through, and go to the function: its signature is not known yet, or
    /// it takes whatever there is.
    pub open: bool,
    /// Inputs that may stay absent: the function has a default of its own for them. They are not passed then.
    pub optional: BTreeSet<Arc<str>>,
    /// Whether the text of the entry's module holds the word `__aggregate__`; whether the class has that method, only
    /// Python knows: see [`crate::signature::Signature`].
    pub may_aggregate: bool,
}

/// Something that a flex flow's class is made with.
#[derive(Clone)]
pub struct InitSpec {
    /// Its type.
    pub kind: InputType,
    /// Whether it is the name of a connection, in whose place the class gets the connection.
    pub connection: bool,
    /// What it is when nothing is given.
    pub default: Option<Value>,
    /// Whether it must be given; `false` until the signature is known.
    pub required: bool,
    /// Where it is declared; nowhere in the flow's file if only the signature has it.
    pub at: Option<Place>,
}

impl FlexFlow {
    /// What the flow gives, made of what its function gave: the entries of a map (a dataclass's fields are one), and
    /// anything else as `output`.
    #[must_use]
    pub fn outputs(returned: &Value) -> Map {
        let projected = match returned {
            Value::Handle(handle) => handle.json.as_ref(),
            _ => None,
        };
        match projected.unwrap_or(returned) {
            Value::Map(map) => (**map).clone(),
            _ => Map::from([(OUTPUT, returned.clone())]),
        }
    }
}

impl fmt::Debug for FlexFlow {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FlexFlow")
            .field("entry", &self.entry)
            .field("init", &self.init.keys().collect::<Vec<_>>())
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InitSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.connection { "connection" } else { self.kind.word() };
        write!(out, "InitSpec({word})")
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::{Handle, json};

    use super::*;

    fn check(returned: Value, expected: &str) {
        assert_eq!(Value::from(FlexFlow::outputs(&returned)).to_json(), expected);
    }

    fn handle(json: Option<Value>) -> Value {
        let (worker, type_name) = ("w".into(), "Answer".into());
        Value::Handle(Arc::new(Handle { worker, id: 1, type_name, preview: "Answer()".to_owned(), json }))
    }

    #[test]
    fn a_map_is_the_outputs_and_anything_else_is_one() {
        check(json::read(r#"{"answer": 1, "b": null}"#).unwrap(), r#"{"answer":1,"b":null}"#);
        check(Value::from("hi"), r#"{"output":"hi"}"#);
        check(Value::Null, r#"{"output":null}"#);
        check(handle(Some(json::read(r#"{"answer": 1}"#).unwrap())), r#"{"answer":1}"#);
        assert!(matches!(FlexFlow::outputs(&handle(None)).get(OUTPUT), Some(Value::Handle(_))));
    }
}
