//! The wire format of embeddings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sluicegate_model::{EmbeddingReply, EmbeddingRequest, ModelError, Usage};
use sluicegate_value::{Map, Value};

use super::chat::reply::malformed;
use super::sendable;

/// Writes the body of a request. How many texts it may hold is the endpoint's affair, for they differ.
pub(crate) fn body(request: &EmbeddingRequest, connection: &str) -> Result<String, ModelError> {
    let mut body = Map::new();
    // A serverless endpoint serves one model, which need not be named.
    if !request.model.is_empty() {
        body.insert("model", request.model.clone());
    }
    body.insert("input", request.input.to_value());
    for (name, value) in &request.parameters {
        if !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    sendable::to_json(connection, body)
}

/// Reads an answer: a vector for each text in the order of the texts, all of one length.
pub(crate) fn read(request: &EmbeddingRequest, body: &Value) -> Result<EmbeddingReply, ModelError> {
    let Some(data) = body.get("data").and_then(Value::as_list) else { return Err(malformed("has no `data`", body)) };
    let texts = request.input.texts().len();
    if data.len() != texts {
        let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let what = format!("has {} for {}", counted(data.len(), "vector"), counted(texts, "text"));
        return Err(malformed(&what, body));
    }
    let mut vectors: Vec<Option<Vec<f64>>> = vec![None; texts];
    for (position, item) in data.iter().enumerate() {
        let index = match item.get("index") {
            Some(index) => index.as_int().and_then(|index| usize::try_from(index).ok()),
            None => Some(position),
        };
        let vector =
            item.get("embedding").and_then(vector).ok_or_else(|| malformed("has a vector that is none", body))?;
        match index.and_then(|index| vectors.get_mut(index)) {
            Some(place @ None) => *place = Some(vector),
            _ => return Err(malformed("numbers its vectors (`index`) in a way that fits no text", body)),
        }
    }
    let vectors: Vec<Vec<f64>> = vectors.into_iter().flatten().collect();
    if let [first, others @ ..] = vectors.as_slice()
        && let Some(other) = others.iter().find(|other| other.len() != first.len())
    {
        let what = format!("has vectors of different lengths ({} and {})", first.len(), other.len());
        return Err(malformed(&what, body));
    }
    let count = |name: &str| u64::try_from(body.get("usage")?.get(name)?.as_int()?).ok();
    let usage = Usage { input_tokens: count("prompt_tokens"), output_tokens: Some(0), ..Usage::default() };
    let model = body.get("model").and_then(Value::as_str).map(Into::into);
    Ok(EmbeddingReply { vectors, model, usage })
}

/// A vector: a list of numbers, or, with `encoding_format: base64`, four bytes for each. It has at least one number,
/// and each is finite.
fn vector(value: &Value) -> Option<Vec<f64>> {
    let vector: Vec<f64> = match value {
        Value::List(numbers) => numbers.iter().map(Value::as_number).collect::<Option<_>>()?,
        Value::Str(text) => {
            let bytes = STANDARD.decode(text.as_bytes()).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            if !rest.is_empty() {
                return None;
            }
            numbers.iter().map(|number| f64::from(f32::from_le_bytes(*number))).collect()
        }
        _ => return None,
    };
    (!vector.is_empty() && vector.iter().all(|number| number.is_finite())).then_some(vector)
}
