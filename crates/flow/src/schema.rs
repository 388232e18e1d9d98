//! The JSON Schemas of `flow.dag.yaml` and `flow.flex.yaml`, for editors: made from the tables that check the files.

use sluicegate_value::{Map, Value};

use crate::file::keys::{FLEX, FLOW, Section, Shape};

/// The JSON Schema (draft 2020-12) of a flow file.
#[must_use]
pub fn flow_schema() -> Value {
    schema_of(&FLOW, "A flow of sluicegate, in prompt flow's format: flow.dag.yaml")
}

/// The JSON Schema (draft 2020-12) of a flex flow's file.
#[must_use]
pub fn flex_flow_schema() -> Value {
    schema_of(&FLEX, "A flex flow of sluicegate, in prompt flow's format: flow.flex.yaml")
}

fn schema_of(root: &Section, title: &str) -> Value {
    let mut definitions = Map::new();
    let mut schema = Map::from([
        ("$schema", Value::from("https://json-schema.org/draft/2020-12/schema")),
        ("title", Value::from(title)),
    ]);
    for (key, value) in &section(root, &mut definitions) {
        schema.insert(key.clone(), value.clone());
    }
    schema.insert("$defs", definitions);
    schema.into()
}

fn section(section: &Section, definitions: &mut Map) -> Map {
    let properties: Map = section
        .keys
        .iter()
        .map(|key| {
            let mut described = shape(&key.shape, definitions);
            described.insert("description", key.about);
            (key.name, Value::from(described))
        })
        .collect();
    let required: Vec<Value> = section.keys.iter().filter(|key| key.required).map(|key| key.name.into()).collect();
    let mut schema = Map::from([("type", Value::from("object")), ("properties", Value::from(properties))]);
    schema.insert("additionalProperties", false);
    if !required.is_empty() {
        schema.insert("required", required);
    }
    schema
}

fn shape(shape: &Shape, definitions: &mut Map) -> Map {
    match shape {
        Shape::Anything => Map::new(),
        Shape::Text => types(&["string", "null"]),
        Shape::Name => types(&["string", "number", "null"]),
        Shape::Boolean => types(&["boolean", "null"]),
        Shape::Whole(least) => {
            let mut schema = types(&["integer", "null"]);
            schema.insert("minimum", *least);
            schema
        }
        Shape::Duration => {
            let mut schema = types(&["string", "number", "null"]);
            schema.insert("pattern", r"^\s*[0-9.]+\s*(ms|s|m|min|h)?\s*$");
            schema
        }
        Shape::Size => {
            let mut schema = types(&["string", "integer", "null"]);
            schema.insert("pattern", r"^\s*[0-9]+(\.[0-9]+)?\s*([bB]|[kKmMgG][iI]?[bB])?\s*$");
            schema
        }
        Shape::Word(words) => {
            Map::from([("enum", Value::from(words.words.iter().map(|word| Value::from(*word)).collect::<Vec<_>>()))])
        }
        Shape::ListOf(item) => {
            let items = self::shape(item, definitions);
            with(types(&["array", "null"]), "items", items)
        }
        Shape::MapOf(item) => {
            let values = self::shape(item, definitions);
            with(types(&["object", "null"]), "additionalProperties", values)
        }
        Shape::Section(inner) => {
            let name = definition_name(inner);
            if !definitions.contains_key(&name) {
                // The name is taken first, so that a section within itself ends.
                definitions.insert(name.as_str(), Value::Null);
                let schema = section(inner, definitions);
                definitions.insert(name.as_str(), schema);
            }
            Map::from([("$ref", Value::from(format!("#/$defs/{name}")))])
        }
    }
}

fn types(names: &[&str]) -> Map {
    Map::from([("type", Value::from(names.iter().map(|name| Value::from(*name)).collect::<Vec<_>>()))])
}

fn with(mut schema: Map, key: &str, value: Map) -> Map {
    if !value.is_empty() {
        schema.insert(key, value);
    }
    schema
}

/// `a retry policy` as `retry_policy`.
fn definition_name(section: &Section) -> String {
    let name = section.name;
    let name = ["the ", "an ", "a "].iter().find_map(|article| name.strip_prefix(article)).unwrap_or(name);
    name.replace(' ', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_key_is_in_the_schema() {
        let schema = flow_schema();
        for key in FLOW.keys {
            let property = schema.get("properties").and_then(|all| all.get(key.name)).expect(key.name);
            assert_eq!(property.get("description").and_then(Value::as_str), Some(key.about));
        }
        let definitions = schema.get("$defs").unwrap();
        let input = definitions.get("input").unwrap();
        assert_eq!(input.get("required").unwrap().to_json(), r#"["type"]"#);
        assert_eq!(input.get("additionalProperties").unwrap(), &Value::from(false));
        let retry = definitions.get("retry_policy").and_then(|retry| retry.get("properties")).unwrap();
        assert_eq!(retry.get("max_attempts").unwrap().get("minimum"), Some(&Value::Int(1)));
    }

    #[test]
    fn every_reference_in_the_schema_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::List(items) => items.iter().for_each(|item| references(item, found)),
                Value::Map(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|item| references(item, found));
                }
                _ => {}
            }
        }
        for (schema, least) in [(flow_schema(), 5), (flex_flow_schema(), 2)] {
            let mut found = Vec::new();
            references(&schema, &mut found);
            assert!(found.len() > least);
            for reference in found {
                let name = reference.strip_prefix("#/$defs/").unwrap();
                assert!(schema.get("$defs").unwrap().get(name).unwrap().get("properties").is_some(), "{name}");
            }
        }
    }
}
