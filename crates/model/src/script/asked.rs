//! What a script looks at in a request, whatever its dialect.

use std::borrow::Cow;

use sluicegate_value::{Map, Value};

use crate::{ChatApi, ChatRequest, Content, EmbeddingRequest, Prompt};

/// A request as a script sees it.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// In which dialect it was asked.
    pub api: Api,
    /// Deployment or model.
    pub model: &'a str,
    /// The last user message, or the text to complete, or the texts to embed, joined by line breaks.
    pub user: Cow<'a, str>,
    /// All system and developer messages, joined by line breaks.
    pub system: Cow<'a, str>,
    /// What tools answered since the last user message, joined by line breaks; `None` if none did.
    pub tool: Option<Cow<'a, str>>,
    /// How many characters all messages have.
    pub characters: usize,
    /// The parameters by their names in the body (it may hold the rest of the body too).
    pub parameters: &'a Map,
}

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Chat completions.
    Chat,
    /// The older completions.
    Completions,
    /// Responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Embeddings.
    Embeddings,
}

impl Api {
    /// `chat`, `completions`, `responses`, `messages`, `embeddings`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Embeddings => "embeddings",
        }
    }
}

impl<'a> Asked<'a> {
    /// A request without a message yet; see [`Asked::hear`].
    #[must_use]
    pub fn new(api: Api, model: &'a str, parameters: &'a Map) -> Self {
        let nothing = Cow::Borrowed("");
        Self { api, model, user: nothing.clone(), system: nothing, tool: None, characters: 0, parameters }
    }

    /// Adds a message. Roles are `user`, `system`, `developer`, `tool` and `function`; of others only the length
    /// counts.
    pub fn hear(&mut self, role: &str, text: Cow<'a, str>) {
        self.characters += text.chars().count();
        match role {
            "user" => {
                self.user = text;
                self.tool = None;
            }
            "system" | "developer" if self.system.is_empty() => self.system = text,
            "system" | "developer" => join(&mut self.system, &text),
            "tool" | "function" => match &mut self.tool {
                Some(said) => join(said, &text),
                None => self.tool = Some(text),
            },
            _ => {}
        }
    }

    /// The parameter under a name, or deeper inside one: `reasoning.effort`. What is `null` was not asked for.
    pub(super) fn parameter(&self, path: &str) -> Option<&Value> {
        let mut steps = path.split('.');
        let first = self.parameters.get(path).or_else(|| {
            let first = self.parameters.get(steps.next()?)?;
            steps.try_fold(first, |value, step| value.get(step))
        });
        first.filter(|value| !value.is_null())
    }

    /// The number that tokens of the request are estimated to be.
    #[must_use]
    pub fn estimated_tokens(&self) -> u64 {
        estimated_tokens(self.characters)
    }

    pub(super) fn shortened(&self) -> String {
        let short = |text: &str| {
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            match flat.char_indices().nth(120) {
                Some((end, _)) => format!("{}…", &flat[..end]),
                None => flat,
            }
        };
        format!("model `{}`, system `{}`, user `{}`", self.model, short(&self.system), short(&self.user))
    }
}

/// How many tokens so many characters are, roughly: a quarter.
pub(super) fn estimated_tokens(characters: usize) -> u64 {
    characters.div_ceil(4) as u64
}

fn join(text: &mut Cow<'_, str>, more: &str) {
    let text = text.to_mut();
    text.push('\n');
    text.push_str(more);
}

impl<'a> From<&'a ChatRequest> for Asked<'a> {
    fn from(request: &'a ChatRequest) -> Self {
        let api = match (&request.prompt, request.api) {
            (Prompt::Text(_), _) => Api::Completions,
            (_, Some(ChatApi::Responses)) => Api::Responses,
            _ => Api::Chat,
        };
        let mut asked = Self::new(api, &request.model, &request.parameters);
        match &request.prompt {
            Prompt::Text(text) => asked.hear("user", Cow::Borrowed(text)),
            Prompt::Messages(messages) => {
                for message in messages {
                    let text = match &message.content {
                        Some(Content::Text(text)) => Cow::Borrowed(&**text),
                        Some(content) => Cow::Owned(content.plain_text()),
                        None => Cow::Borrowed(""),
                    };
                    asked.hear(&message.role, text);
                }
            }
        }
        asked
    }
}

impl<'a> From<&'a EmbeddingRequest> for Asked<'a> {
    fn from(request: &'a EmbeddingRequest) -> Self {
        let mut asked = Self::new(Api::Embeddings, &request.model, &request.parameters);
        let text = match request.input.texts() {
            [only] => Cow::Borrowed(&**only),
            texts => Cow::Owned(texts.join("\n")),
        };
        asked.hear("user", text);
        asked
    }
}
