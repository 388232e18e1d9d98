//! What the scripted model says, in no dialect yet, and in the one that flows read.

use std::sync::Arc;

use sluicegate_value::{Map, Value};

use crate::{ChatReply, ChatRequest, EmbeddingReply, Filter, Prompt, Usage};

/// A reply in no dialect yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The same for the same request: ids are made of it.
    pub number: u64,
    /// Its text, if it has one.
    pub text: Option<String>,
    /// In which words the model refuses to answer, if it does.
    pub refusal: Option<String>,
    /// Which tools it calls.
    pub tool_calls: Vec<CalledTool>,
    /// `stop`, `length`, `tool_calls`, `content_filter`.
    pub finish_reason: Arc<str>,
    /// Tokens used.
    pub usage: Usage,
    /// Whether those are an estimate.
    pub usage_is_estimated: bool,
    /// What a content filter did.
    pub filter: Option<Filter>,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledTool {
    /// `call_…`.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// Its arguments, as JSON.
    pub arguments: String,
}

/// Vectors in no dialect yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// One for each text, each of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// How many tokens the texts are, roughly.
    pub input_tokens: u64,
}

impl Reply {
    /// The reply as a connection gives it, with a body of the chat API (or the completion API).
    #[must_use]
    pub fn into_chat_reply(self, request: &ChatRequest) -> ChatReply {
        let text: Option<Arc<str>> = self.text.map(Into::into);
        let refusal: Option<Arc<str>> = self.refusal.map(Into::into);
        let mut message = Map::from([("role", Value::from("assistant")), ("content", Value::from(text.clone()))]);
        if let Some(refusal) = &refusal {
            message.insert("refusal", refusal.clone());
        }
        if !self.tool_calls.is_empty() {
            message.insert("tool_calls", self.tool_calls.iter().map(CalledTool::to_value).collect::<Vec<_>>());
        }
        let message = Value::from(message);
        let (object, said) = match &request.prompt {
            Prompt::Messages(_) => ("chat.completion", ("message", message.clone())),
            Prompt::Text(_) => ("text_completion", ("text", Value::from(text.clone().unwrap_or_default()))),
        };
        let choice = Map::from([
            ("index", Value::Int(0)),
            said,
            ("finish_reason", Value::from(self.finish_reason.clone())),
            ("logprobs", Value::Null),
        ]);
        let id: Arc<str> = format!("simulated-{:016x}", self.number).into();
        let mut body = Map::from([
            ("id", Value::from(id.clone())),
            ("object", Value::from(object)),
            ("created", Value::Int(0)),
            ("model", Value::from(request.model.clone())),
            ("choices", Value::from(vec![Value::from(choice)])),
            ("usage", counts(&self.usage)),
        ]);
        if self.usage_is_estimated {
            body.insert("usage_is_estimated", true);
        }
        ChatReply {
            text,
            message,
            finish_reason: Some(self.finish_reason),
            model: Some(request.model.clone()),
            id: Some(id),
            usage: self.usage,
            filter: self.filter,
            refusal,
            body: body.into(),
        }
    }
}

/// Tokens as the chat API spells them.
fn counts(usage: &Usage) -> Value {
    let mut counts = Map::from([
        ("prompt_tokens", usage.input_tokens),
        ("completion_tokens", usage.output_tokens),
        ("total_tokens", usage.total()),
    ]);
    if let Some(cached) = usage.cached_input_tokens {
        counts.insert("prompt_tokens_details", Map::from([("cached_tokens", cached)]));
    }
    if let Some(reasoning) = usage.reasoning_tokens {
        counts.insert("completion_tokens_details", Map::from([("reasoning_tokens", reasoning)]));
    }
    counts.into()
}

impl CalledTool {
    /// As the chat API spells it.
    fn to_value(&self) -> Value {
        let function = Map::from([("name", Value::from(&*self.name)), ("arguments", Value::from(&*self.arguments))]);
        Map::from([
            ("id", Value::from(&*self.id)),
            ("type", Value::from("function")),
            ("function", Value::from(function)),
        ])
        .into()
    }

    /// How many characters a model writes for it, roughly.
    pub(super) fn weight(&self) -> usize {
        self.id.len() + self.name.len() + self.arguments.len() + 80
    }
}

impl Vectors {
    /// The vectors as a connection gives them.
    #[must_use]
    pub fn into_embedding_reply(self, model: &Arc<str>) -> EmbeddingReply {
        let vectors = self.vectors.iter().map(|vector| vector.iter().map(|number| f64::from(*number)).collect());
        EmbeddingReply {
            vectors: vectors.collect(),
            model: Some(model.clone()),
            usage: Usage { input_tokens: Some(self.input_tokens), ..Usage::default() },
        }
    }
}
