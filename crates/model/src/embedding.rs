//! What is asked of an embedding model, and what it answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_value::{Map, Value};

use crate::{About, BoxFuture, CallContext, ModelError, Usage};

/// A model that turns texts into vectors.
pub trait EmbeddingModel: Send + Sync {
    /// Sends one request, with the connection's limits and retries. Dropping the future cancels the call.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    fn embed<'a>(
        &'a self,
        request: &'a EmbeddingRequest,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EmbeddingReply, ModelError>>;

    /// What is known of this model before any call, for spans and people.
    fn about(&self) -> &About;
}

/// One request for vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingRequest {
    /// Deployment (Azure) or model.
    pub model: Arc<str>,
    /// What is turned into vectors.
    pub input: EmbeddingInput,
    /// Everything else that stands in the body, by its name there: `dimensions`, `user`, `input_type`, …
    pub parameters: Map,
    /// Which of prompt flow's tools is imitated by the header `ms-azure-ai-promptflow-called-from`.
    pub called_from: Arc<str>,
}

/// What is turned into vectors: one text is sent as a text, several as a list.
#[derive(Clone, Debug, PartialEq)]
pub enum EmbeddingInput {
    /// One text, one vector.
    One(Arc<str>),
    /// A vector for each text, in order.
    Many(Vec<Arc<str>>),
}

/// The vectors of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingReply {
    /// One for each text, in the order of the texts (an endpoint may answer in another one).
    pub vectors: Vec<Vec<f64>>,
    /// The model that answered, by the endpoint's word.
    #[serde(default)]
    pub model: Option<Arc<str>>,
    /// Tokens used.
    #[serde(default)]
    pub usage: Usage,
}

impl EmbeddingInput {
    /// The texts, in order.
    #[must_use]
    pub fn texts(&self) -> &[Arc<str>] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    /// The input as the API spells it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::One(text) => text.clone().into(),
            Self::Many(texts) => texts.iter().map(|text| Value::from(text.clone())).collect::<Vec<_>>().into(),
        }
    }
}

impl EmbeddingReply {
    /// What a node makes of it: the vector of one text, or the list of vectors.
    #[must_use]
    pub fn to_value(&self, input: &EmbeddingInput) -> Value {
        let vector = |vector: &Vec<f64>| Value::from(vector.iter().map(|x| Value::Float(*x)).collect::<Vec<_>>());
        match (input, self.vectors.as_slice()) {
            (EmbeddingInput::One(_), [only]) => vector(only),
            (_, vectors) => vectors.iter().map(vector).collect::<Vec<_>>().into(),
        }
    }
}
