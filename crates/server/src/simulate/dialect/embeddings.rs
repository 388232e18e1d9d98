//! Embeddings, as all of OpenAI, Azure and Azure AI model inference spell them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sluicegate_model::script::Vectors;

#[derive(Serialize)]
pub(in crate::simulate) struct Embeddings<'a> {
    object: &'static str,
    data: Vec<Embedding<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f32]),
    /// The numbers' bytes, the lowest first.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

pub(in crate::simulate) fn whole<'a>(model: &'a str, vectors: &'a Vectors, as_base64: bool) -> Embeddings<'a> {
    let embedding = |(index, vector): (usize, &'a Vec<f32>)| Embedding {
        object: "embedding",
        index,
        embedding: match as_base64 {
            false => Vector::Numbers(vector),
            true => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Vector::Base64(STANDARD.encode(bytes))
            }
        },
    };
    Embeddings {
        object: "list",
        data: vectors.vectors.iter().enumerate().map(embedding).collect(),
        model,
        usage: Usage { prompt_tokens: vectors.input_tokens, total_tokens: vectors.input_tokens },
    }
}
