//! What is asked and what is answered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sluicegate_value::{Blob, Map, Value};

use crate::{Filter, FilterState};

/// One request to a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// Deployment (Azure) or model.
    pub model: Arc<str>,
    /// What the model reads.
    pub prompt: Prompt,
    /// Everything else that stands in the body, by its name there; `1` and `1.0` stay what they are.
    pub parameters: Map,
    /// Whether the reply comes in pieces.
    pub stream: bool,
    /// Which of prompt flow's tools is imitated by the header `ms-azure-ai-promptflow-called-from`.
    pub called_from: Arc<str>,
    /// Which chat API is asked; `None`: the connection's.
    pub api: Option<ChatApi>,
}

/// Which of a provider's APIs for conversations is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChatApi {
    /// Chat completions.
    Completions,
    /// Responses.
    Responses,
}

/// What the model reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A conversation.
    Messages(Vec<Message>),
    /// A text to complete (the older completion API).
    Text(Arc<str>),
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, `function` or `developer`.
    pub role: Arc<str>,
    /// What it says; an assistant's message with tool calls has none.
    pub content: Option<Content>,
    /// Who says it; a function's message needs it.
    pub name: Option<Arc<str>>,
    /// Which tool call this answers.
    pub tool_call_id: Option<Arc<str>>,
    /// The assistant's tool calls, as the API spells them.
    pub tool_calls: Option<Value>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// One text.
    Text(Arc<str>),
    /// Texts and images in order.
    Parts(Vec<Part>),
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Text.
    Text(Arc<str>),
    /// An image.
    Image {
        /// Its bytes or address.
        image: Arc<Blob>,
        /// How closely the model looks: `auto`, `low`, `high`.
        detail: Arc<str>,
    },
    /// Anything else, as the API spells it.
    Other(Value),
}

impl Message {
    /// A message that says one text.
    pub fn text(role: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self {
            role: role.into(),
            content: Some(Content::Text(text.into())),
            name: None,
            tool_call_id: None,
            tool_calls: None,
        }
    }

    /// The message as the chat API spells it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("role", self.role.clone());
        if let Some(name) = &self.name {
            map.insert("name", name.clone());
        }
        if let Some(id) = &self.tool_call_id {
            map.insert("tool_call_id", id.clone());
        }
        if let Some(calls) = &self.tool_calls {
            map.insert("tool_calls", calls.clone());
        }
        if let Some(content) = &self.content {
            map.insert("content", content.to_value());
        }
        Value::from(map)
    }
}

impl Content {
    /// The content as the chat API spells it: a text, or a list of parts.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.clone()),
            Self::Parts(parts) => Value::from(parts.iter().map(Part::to_value).collect::<Vec<_>>()),
        }
    }

    /// All text in it, parts joined by a line break.
    #[must_use]
    pub fn plain_text(&self) -> String {
        match self {
            Self::Text(text) => text.to_string(),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Text(text) => Some(&**text),
                        _ => None,
                    })
                    .collect();
                texts.join("\n")
            }
        }
    }
}

impl Part {
    fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Map::from([("type", Value::from("text")), ("text", Value::from(text.clone()))]).into(),
            Self::Image { image, detail } => {
                let address =
                    Map::from([("url", Value::from(image.to_data_url())), ("detail", Value::from(detail.clone()))]);
                Map::from([("type", Value::from("image_url")), ("image_url", Value::from(address))]).into()
            }
            Self::Other(value) => value.clone(),
        }
    }
}

/// What a model answered, whole: a streamed reply is put together first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    /// The text of the first choice; `None` if it has none (tool calls, a refusal).
    pub text: Option<Arc<str>>,
    /// The message of the first choice as the API spells it.
    pub message: Value,
    /// Why the first choice ended: `stop`, `length`, `tool_calls`, `content_filter`.
    pub finish_reason: Option<Arc<str>>,
    /// The model that answered, by the endpoint's word.
    pub model: Option<Arc<str>>,
    /// The reply's own id.
    pub id: Option<Arc<str>>,
    /// Tokens used.
    pub usage: Usage,
    /// What a content filter did, if it did anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// In which words the model refused to answer, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Arc<str>>,
    /// The whole body, as one reply even when it was streamed.
    pub body: Value,
}

/// What is wrong with a reply that came.
#[derive(Clone, Debug, PartialEq)]
pub enum Shortfall {
    /// A content filter stopped the request or the reply, or failed itself.
    Filtered(Filter),
    /// The model refused to answer, in these words.
    Refused(Arc<str>),
    /// All tokens that the reply might have went into reasoning, and nothing was said.
    OnlyReasoning {
        /// How many.
        tokens: Option<u64>,
    },
    /// It has as many tokens as it might have, and may end in the middle of a word.
    CutOff,
}

impl Shortfall {
    /// What is wrong, in one word for machines: `filtered`, `refused`, `only_reasoning`, `cut_off`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Filtered(_) => "filtered",
            Self::Refused(_) => "refused",
            Self::OnlyReasoning { .. } => "only_reasoning",
            Self::CutOff => "cut_off",
        }
    }
}

impl ChatReply {
    /// A reply with this text, and nothing known beside it.
    #[must_use]
    pub fn of_text(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self {
            message: Map::from([("role", Value::from("assistant")), ("content", Value::from(text.clone()))]).into(),
            text: Some(text),
            finish_reason: Some("stop".into()),
            model: None,
            id: None,
            usage: Usage::default(),
            filter: None,
            refusal: None,
            body: Value::Null,
        }
    }

    /// What is wrong with it, the worst first; `None` for most replies. A filter that only noted something is none.
    #[must_use]
    pub fn shortfall(&self) -> Option<Shortfall> {
        if let Some(filter) = self.filter.as_ref().filter(|filter| filter.state != FilterState::Noted) {
            return Some(Shortfall::Filtered(filter.clone()));
        }
        if let Some(refusal) = &self.refusal {
            return Some(Shortfall::Refused(refusal.clone()));
        }
        if self.finish_reason.as_deref() != Some("length") {
            return None;
        }
        let is_empty = self.text.as_deref().is_none_or(|text| text.trim().is_empty());
        match self.usage.reasoning_tokens {
            Some(tokens) if is_empty && tokens > 0 => Some(Shortfall::OnlyReasoning { tokens: Some(tokens) }),
            _ => Some(Shortfall::CutOff),
        }
    }
}

/// Tokens used by one or more calls; `None` is "the endpoint did not say".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the request, cached ones included.
    pub input_tokens: Option<u64>,
    /// Tokens of the reply, reasoning included.
    pub output_tokens: Option<u64>,
    /// Tokens of the request that the endpoint had cached.
    pub cached_input_tokens: Option<u64>,
    /// Tokens of the reply spent on reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Input and output together. An endpoint may say any number: beyond 64 bits it stays at the most they hold.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        Some(self.input_tokens?.saturating_add(self.output_tokens?))
    }

    /// Both usages together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        Self {
            input_tokens: add(self.input_tokens, other.input_tokens),
            output_tokens: add(self.output_tokens, other.output_tokens),
            cached_input_tokens: add(self.cached_input_tokens, other.cached_input_tokens),
            reasoning_tokens: add(self.reasoning_tokens, other.reasoning_tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up_whatever_an_endpoint_says() {
        let hostile = Usage { input_tokens: Some(u64::MAX), output_tokens: Some(u64::MAX), ..Usage::default() };
        let modest = Usage { input_tokens: Some(1), ..Usage::default() };
        assert_eq!(hostile.total(), Some(u64::MAX));
        assert_eq!(modest.total(), None);
        let both = hostile.plus(&modest);
        assert_eq!((both.input_tokens, both.output_tokens), (Some(u64::MAX), Some(u64::MAX)));
        assert_eq!((both.cached_input_tokens, both.reasoning_tokens), (None, None));
    }
}
