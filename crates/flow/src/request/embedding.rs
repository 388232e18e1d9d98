//! What an `embedding` node asks.

use std::sync::Arc;

use sluicegate_model::{EmbeddingInput, EmbeddingRequest};
use sluicegate_value::{Map, Value};

use super::{RequestError, coerce, llm};

/// The names of an `embedding` node's inputs; what else the API takes stands under `parameters`.
pub(crate) const EMBEDDING_PARAMETERS: [&str; 8] =
    ["input", "deployment_name", "model", "dimensions", "encoding_format", "input_type", "user", "parameters"];

/// The request of an `embedding` node, from its inputs.
///
/// # Errors
/// No text, an empty one, or something else than text among the texts; parameters that are not what the API takes.
pub fn embedding_request(model: &str, inputs: &[(Arc<str>, Value)]) -> Result<EmbeddingRequest, RequestError> {
    let given = llm::Given(inputs);
    let input = match given.get("input") {
        Some(Value::List(items)) if items.is_empty() => return Err(refused("`input` is an empty list".to_owned())),
        Some(Value::List(items)) => {
            let texts = items.iter().enumerate().map(|(index, item)| text(&format!("`input[{index}]`"), item));
            EmbeddingInput::Many(texts.collect::<Result<_, _>>()?)
        }
        Some(one) => EmbeddingInput::One(text("`input`", one)?),
        None => return Err(refused("`input` is not given".to_owned())),
    };
    let mut parameters = Map::new();
    if let Some(dimensions) = given.get("dimensions").filter(|value| value.as_str() != Some("")) {
        parameters.insert("dimensions", coerce::integer("dimensions", dimensions)?);
    }
    for name in ["encoding_format", "input_type", "user"] {
        if let Some(value) = given.get(name).filter(|value| value.as_str() != Some("")) {
            parameters.insert(name, value.clone());
        }
    }
    if let Some(more) = given.get("parameters") {
        let Value::Map(more) = coerce::structured(more) else {
            return Err(refused(format!("`parameters` must be a map, not {}", more.type_name())));
        };
        for (name, value) in more.iter() {
            if matches!(&**name, "model" | "input") {
                return Err(refused(format!("`parameters` cannot set `{name}`: the node says it elsewhere")));
            }
            parameters.insert(name.clone(), value.clone());
        }
    }
    Ok(EmbeddingRequest { model: model.into(), input, parameters, called_from: "aoai-tool".into() })
}

fn text(what: &str, value: &Value) -> Result<Arc<str>, RequestError> {
    match value {
        Value::Str(text) if text.is_empty() => Err(refused(format!("{what} is an empty text, which has no vector"))),
        Value::Str(text) => Ok(text.clone()),
        other => Err(refused(format!("{what} must be text, not {}", other.type_name()))),
    }
}

fn refused(message: String) -> RequestError {
    RequestError { class: "ToolValidationError", message }
}
