//! Version 2 spells options, tools and outputs its own way; here they become what the chat API takes.

use sluicegate_value::{Map, Value};

/// Options by their names in the chat API. Those of `additionalProperties`, and options that version 2 does not
/// define, go as they are.
const NAMES: [(&str, &str); 7] = [
    ("maxOutputTokens", "max_completion_tokens"),
    ("topP", "top_p"),
    ("topK", "top_k"),
    ("frequencyPenalty", "frequency_penalty"),
    ("presencePenalty", "presence_penalty"),
    ("stopSequences", "stop"),
    ("allowMultipleToolCalls", "parallel_tool_calls"),
];

/// The parameters of a request.
pub(super) fn parameters(api: &str, options: &Map, front: &Map) -> Map {
    let mut parameters = Map::new();
    for (name, value) in options {
        if &**name == "additionalProperties" || value.is_null() {
            continue;
        }
        let name = NAMES.iter().find(|(ours, _)| *ours == &**name).map_or(&**name, |(_, theirs)| theirs);
        parameters.insert(name, value.clone());
    }
    for (name, value) in options.get("additionalProperties").and_then(Value::as_map).into_iter().flatten() {
        if !parameters.contains_key(name) {
            parameters.insert(name.clone(), value.clone());
        }
    }
    // The responses API spells the same things otherwise; whoever speaks it translates.
    if matches!(api, "chat" | "responses") {
        let tools: Vec<Value> = properties(front.get("tools")).iter().filter_map(tool).collect();
        if !tools.is_empty() {
            parameters.insert("tools", tools);
        }
        let outputs = properties(front.get("outputs"));
        if !outputs.is_empty() && !parameters.contains_key("response_format") {
            parameters.insert("response_format", response_format(&outputs));
        }
    }
    parameters
}

/// A list of maps that have names, or a map of maps by name, as the former.
fn properties(value: Option<&Value>) -> Vec<Map> {
    match value {
        Some(Value::List(items)) => items.iter().filter_map(|item| item.as_map().cloned()).collect(),
        Some(Value::Map(map)) => map
            .iter()
            .map(|(name, item)| {
                let mut property = Map::from([("name", name.clone())]);
                match item {
                    Value::Map(item) => {
                        for (key, value) in item.iter() {
                            property.insert(key.clone(), value.clone());
                        }
                    }
                    other => {
                        property.insert("kind", super::check::kind_of(other));
                    }
                }
                property
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// A function as a tool of the API; `None` for other kinds, which the API does not run.
fn tool(tool: &Map) -> Option<Value> {
    if tool.get("kind").and_then(Value::as_str)? != "function" {
        return None;
    }
    let is_strict = tool.get("strict").and_then(Value::as_bool).unwrap_or(false);
    // A bound parameter is filled from the prompty's inputs: the model does not see it.
    let bound = tool.get("bindings");
    let parameters: Vec<Map> = properties(tool.get("parameters"))
        .into_iter()
        .filter(|parameter| name(parameter).is_some_and(|name| bound.and_then(|bound| bound.get(name)).is_none()))
        .collect();
    let mut function = Map::new();
    for key in ["name", "description"] {
        if let Some(value) = tool.get(key).filter(|value| !value.is_null()) {
            function.insert(key, value.clone());
        }
    }
    let mut schema = Map::from([("type", Value::from("object"))]);
    schema.insert("properties", schemas(&parameters, false));
    let required: Vec<Value> = parameters.iter().filter(|item| is_required(item)).filter_map(name_value).collect();
    if !required.is_empty() {
        schema.insert("required", required);
    }
    if is_strict {
        function.insert("strict", true);
        schema.insert("additionalProperties", false);
    }
    function.insert("parameters", schema);
    Some(Map::from([("type", Value::from("function")), ("function", function.into())]).into())
}

fn response_format(outputs: &[Map]) -> Value {
    let mut format = Map::from([("name", Value::from("structured_output")), ("strict", true.into())]);
    format.insert("schema", strict_object(outputs));
    Map::from([("type", Value::from("json_schema")), ("json_schema", format.into())]).into()
}

/// An object as strict schemas want it: every property is required, and what is not declared so may be null.
fn strict_object(properties: &[Map]) -> Map {
    let mut object = Map::from([("type", Value::from("object"))]);
    object.insert("properties", schemas(properties, true));
    object.insert("required", properties.iter().filter_map(name_value).collect::<Vec<_>>());
    object.insert("additionalProperties", false);
    object
}

fn schemas(properties: &[Map], is_strict: bool) -> Value {
    properties
        .iter()
        .filter_map(|property| {
            let schema = schema(property, is_strict);
            let may_be_absent = is_strict && !is_required(property);
            Some((name(property)?.to_owned(), if may_be_absent { nullable(schema) } else { schema }))
        })
        .collect::<Map>()
        .into()
}

/// A schema that `null` fits too, by its type and by what it lists.
fn nullable(mut schema: Map) -> Map {
    if let Some(word) = schema.get("type").cloned() {
        schema.insert("type", vec![word, "null".into()]);
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_list).filter(|values| !values.contains(&Value::Null)) {
        schema.insert("enum", values.iter().cloned().chain([Value::Null]).collect::<Vec<_>>());
    }
    schema
}

fn schema(property: &Map, is_strict: bool) -> Map {
    let kind = property.get("kind").or_else(|| property.get("type")).and_then(Value::as_str).unwrap_or("string");
    let word = match kind {
        "integer" | "int" => "integer",
        "float" | "number" | "double" => "number",
        "boolean" | "bool" => "boolean",
        "array" | "list" => "array",
        "object" => "object",
        _ => "string",
    };
    let inner = properties(property.get("properties"));
    let mut schema = if word == "object" && is_strict {
        strict_object(&inner)
    } else {
        let mut schema = Map::from([("type", Value::from(word))]);
        if word == "object" && !inner.is_empty() {
            schema.insert("properties", schemas(&inner, false));
        }
        schema
    };
    if let Some(items) = property.get("items").and_then(Value::as_map) {
        schema.insert("items", self::schema(items, is_strict));
    }
    if let Some(description) = property.get("description").filter(|value| !value.is_null()) {
        schema.insert("description", description.clone());
    }
    if let Some(values) = property.get("enumValues").filter(|value| !value.is_null()) {
        schema.insert("enum", values.clone());
    }
    schema
}

fn is_required(property: &Map) -> bool {
    property.get("required").and_then(Value::as_bool).unwrap_or(false)
}

fn name(property: &Map) -> Option<&str> {
    property.get("name").and_then(Value::as_str)
}

fn name_value(property: &Map) -> Option<Value> {
    name(property).map(Value::from)
}
