//! Steps into a value, as `${node.output.items[0]}` takes them (spec: promptflow.md §1.7).

use std::sync::Arc;

use sluicegate_value::{Handle, Value};

use crate::plan::Step;

/// Why the way into a value ends.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyError {
    /// There is nothing of that name or index.
    Missing(InvalidProperty),
    /// The value there is an object in a Python worker, which has to take the remaining steps.
    InWorker {
        /// The object.
        handle: Arc<Handle>,
        /// How many steps were taken before.
        taken: usize,
    },
}

/// A property that the output of a node does not have (the original's `InvalidReferenceProperty`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid property `{property}` when accessing the node `{node}`")]
pub struct InvalidProperty {
    /// The property as written.
    pub property: Arc<str>,
    /// The node whose output was read.
    pub node: Arc<str>,
}

/// Takes `steps` into the output of `node`; `written` is how the author wrote them.
///
/// A word or a key leads into a map; an index into a list or a text (by letters). A map's key that is the whole
/// property, dots included, is found when the steps lead nowhere (the original looks there first, and then fails).
///
/// # Errors
/// There is no such place, or it lies inside of a Python object.
pub fn walk(node: &str, output: &Value, steps: &[Step], written: &Arc<str>) -> Result<Value, PropertyError> {
    let mut here = output.clone();
    for (taken, step) in steps.iter().enumerate() {
        if let Value::Handle(handle) = &here {
            return Err(PropertyError::InWorker { handle: handle.clone(), taken });
        }
        match step_into(&here, step) {
            Some(value) => here = value,
            None => {
                return output.get(written).filter(|_| written.contains('.')).cloned().ok_or_else(|| {
                    PropertyError::Missing(InvalidProperty { property: written.clone(), node: node.into() })
                });
            }
        }
    }
    Ok(here)
}

fn step_into(value: &Value, step: &Step) -> Option<Value> {
    match (value, step) {
        (Value::Map(map), Step::Word(key) | Step::Key(key)) => map.get(key).cloned(),
        (Value::List(items), Step::Index(index)) => items.get(*index).cloned(),
        (Value::Str(text), Step::Index(index)) => text.chars().nth(*index).map(|letter| letter.to_string().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;
    use crate::reference;

    const SOURCE: &str = r#"{"d": {"e": [1, 2, {"f": "g"}]}, "k k": "space", "dot.ted": "dotted", "0": "zero",
        "lst": ["x", "y"], "n": null, "t": "abc"}"#;

    fn check(property: &str, expected: Option<&str>) {
        let value = json::read(SOURCE).unwrap();
        let found = walk("src", &value, &reference::steps(property), &property.into());
        assert_eq!(found.ok().map(|value| value.to_json()).as_deref(), expected, "{property}");
    }

    #[test]
    fn ways_into_a_value_are_prompt_flows() {
        check("d", Some(r#"{"e":[1,2,{"f":"g"}]}"#));
        check("d.e[2]", Some(r#"{"f":"g"}"#));
        check("d.e[2].f", Some("\"g\""));
        check("d['e'][0]", Some("1"));
        check("lst[1]", Some("\"y\""));
        check("n", Some("null"));
        check("0", Some("\"zero\""));
        check("d..e[1]", Some("2"));
        check("t[0]", Some("\"a\""));
        check("['k k']", Some("\"space\""));
        check("dot.ted", Some("\"dotted\""));
        for missing in ["ted']", "lst[-1]", "missing", "lst[9]", "n.x", "t.upper", "lst.0", "k k", "d[0]", "t['a']"] {
            check(missing, None);
        }
    }

    #[test]
    fn a_missing_place_names_property_and_node() {
        let error = walk("src", &Value::Null, &reference::steps("k"), &"k".into()).unwrap_err();
        let PropertyError::Missing(error) = error else { panic!("{error:?}") };
        assert_eq!(error.to_string(), "invalid property `k` when accessing the node `src`");
    }
}
