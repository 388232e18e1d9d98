//! From a request to a turn.

use std::sync::Arc;
use std::time::Duration;

use regex::Captures;
use sluicegate_value::{Map, Value};

use super::dice::Dice;
use super::template::Filling;
use super::{Entry, Fault, FaultKind, Occasion, Outcome, Said, Script, Turn};
use crate::{ChatReply, ChatRequest, ModelError, Prompt, Usage};

impl Script {
    /// What the scripted model does with one attempt; `connection` is the name that its errors carry.
    #[must_use]
    pub fn answer(&self, connection: &str, request: &ChatRequest, occasion: Occasion) -> Turn {
        let heard = Heard::from(request);
        let matched = self
            .entries
            .iter()
            .find_map(|entry| entry.matches(request, &heard).map(|captures| (entry, captures)))
            .or_else(|| self.default.as_ref().map(|entry| (entry, None)));
        let dice = Dice::new(self.seed).text(&request.model).text(&heard.system).text(&heard.user);
        let delay = matched.as_ref().map_or(Duration::ZERO, |(entry, _)| entry.delay);
        let faults = matched.as_ref().map_or(&[][..], |(entry, _)| &entry.faults);
        let fault = self.faults.iter().chain(faults).enumerate().find(|(index, fault)| {
            let dice = dice
                .number(*index as u64)
                .number(u64::from(occasion.attempt))
                .number(occasion.line.map_or(u64::MAX, |line| line))
                .number(u64::from(occasion.repeat))
                .number(u64::from(occasion.index));
            fault.strikes(occasion.attempt, dice)
        });
        let outcome = match (fault, matched) {
            (Some((_, fault)), _) => fault.outcome(connection, request),
            (None, Some((entry, captures))) => {
                Outcome::Reply(Box::new(entry.reply(request, &heard, captures.as_ref(), dice)))
            }
            (None, None) => Outcome::Failure(ModelError::Unscripted {
                connection: connection.to_owned(),
                message: heard.shortened(&request.model),
            }),
        };
        Turn { delay, chunk_delay: self.chunk_delay, outcome }
    }
}

/// What a script looks at.
struct Heard {
    user: String,
    system: String,
    characters: usize,
}

impl From<&ChatRequest> for Heard {
    fn from(request: &ChatRequest) -> Self {
        let messages = match &request.prompt {
            Prompt::Text(text) => {
                return Self { user: text.to_string(), system: String::new(), characters: text.chars().count() };
            }
            Prompt::Messages(messages) => messages,
        };
        let mut heard = Self { user: String::new(), system: String::new(), characters: 0 };
        for message in messages {
            let text = message.content.as_ref().map(crate::Content::plain_text).unwrap_or_default();
            heard.characters += text.chars().count();
            match &*message.role {
                "user" => heard.user = text,
                "system" | "developer" => {
                    if !heard.system.is_empty() {
                        heard.system.push('\n');
                    }
                    heard.system.push_str(&text);
                }
                _ => {}
            }
        }
        heard
    }
}

impl Heard {
    fn shortened(&self, model: &str) -> String {
        let short = |text: &str| {
            let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
            match flat.char_indices().nth(120) {
                Some((end, _)) => format!("{}…", &flat[..end]),
                None => flat,
            }
        };
        format!("model `{model}`, system `{}`, user `{}`", short(&self.system), short(&self.user))
    }
}

impl Entry {
    /// Whether this entry answers, and what `when.user` captured.
    fn matches<'h>(&self, request: &ChatRequest, heard: &'h Heard) -> Option<Option<Captures<'h>>> {
        let fits = |regex: &Option<regex::Regex>, text: &str| regex.as_ref().is_none_or(|regex| regex.is_match(text));
        if !fits(&self.model, &request.model) || !fits(&self.system, &heard.system) {
            return None;
        }
        match &self.user {
            None => Some(None),
            Some(regex) => regex.captures(&heard.user).map(Some),
        }
    }

    fn reply(&self, request: &ChatRequest, heard: &Heard, captures: Option<&Captures<'_>>, dice: Dice) -> ChatReply {
        let found: Vec<&str> =
            self.find.iter().flat_map(|find| find.find_iter(&heard.user)).map(|found| found.as_str()).collect();
        let found = found.join(", ");
        let filling =
            Filling { captures, found: &found, model: &request.model, user: &heard.user, system: &heard.system };
        let text: Option<Arc<str>> = self.reply.as_ref().map(|said| said.text(&filling).into());
        let hash = dice.bits();
        let calls: Vec<Value> = self
            .tool_calls
            .iter()
            .enumerate()
            .map(|(index, call)| {
                let arguments = call.arguments.text(&filling);
                let function =
                    Map::from([("name", Value::from(call.name.fill(&filling))), ("arguments", Value::from(arguments))]);
                Map::from([
                    ("id", Value::from(format!("call_{hash:016x}_{index}"))),
                    ("type", Value::from("function")),
                    ("function", Value::from(function)),
                ])
                .into()
            })
            .collect();

        let mut message = Map::from([("role", Value::from("assistant")), ("content", Value::from(text.clone()))]);
        let ends = if calls.is_empty() { "stop" } else { "tool_calls" };
        let spoken: usize = calls.iter().map(Value::weight).sum();
        if !calls.is_empty() {
            message.insert("tool_calls", calls);
        }
        let finish_reason = self.finish_reason.clone().unwrap_or_else(|| ends.into());
        let characters = text.as_ref().map_or(0, |text| text.chars().count()) + spoken;
        let counted = |characters: usize| Some(characters.div_ceil(4) as u64);
        let usage = self.usage.unwrap_or_else(|| Usage {
            input_tokens: counted(heard.characters),
            output_tokens: counted(characters),
            ..Usage::default()
        });
        let id: Arc<str> = format!("simulated-{hash:016x}").into();
        let message = Value::from(message);
        let body = body(request, &id, text.as_ref(), &message, &finish_reason, &usage, self.usage.is_none());
        ChatReply {
            text,
            message,
            finish_reason: Some(finish_reason),
            model: Some(request.model.clone()),
            id: Some(id),
            usage,
            body,
        }
    }
}

impl Said {
    /// As text: itself, or its JSON.
    fn text(&self, filling: &Filling<'_>) -> String {
        match self {
            Self::Text(template) => template.fill(filling),
            other => other.fill(filling).to_json(),
        }
    }

    fn fill(&self, filling: &Filling<'_>) -> Value {
        match self {
            Self::Text(template) => template.fill(filling).into(),
            Self::List(items) => items.iter().map(|item| item.fill(filling)).collect::<Vec<_>>().into(),
            Self::Map(entries) => {
                entries.iter().map(|(key, value)| (key.clone(), value.fill(filling))).collect::<Map>().into()
            }
            Self::Other(value) => value.clone(),
        }
    }
}

impl Fault {
    fn strikes(&self, attempt: u32, dice: Dice) -> bool {
        self.times.is_none_or(|times| attempt <= times) && self.rate.is_none_or(|rate| dice.share() < rate)
    }

    fn outcome(&self, connection: &str, request: &ChatRequest) -> Outcome {
        let connection = connection.to_owned();
        let (status, retry_after, message) = match &self.kind {
            FaultKind::Hang => return Outcome::Hang,
            FaultKind::Reset => {
                return Outcome::Failure(ModelError::Unreachable {
                    endpoint: "the simulated model".to_owned(),
                    message: "connection reset (the script says so)".to_owned(),
                });
            }
            FaultKind::Status { status, retry_after, message } => (*status, *retry_after, message),
        };
        let message = message.as_ref().map_or_else(|| "the script says so".to_owned(), ToString::to_string);
        Outcome::Failure(match status {
            401 | 403 => ModelError::KeyRefused { connection, status, message },
            404 => ModelError::UnknownModel { connection, model: request.model.to_string(), message },
            429 => ModelError::RateLimited { retry_after, temporary: true, message },
            408 | 500.. => ModelError::ServerFailed { status, retry_after, message },
            _ => ModelError::Rejected { status, message, parameter: None },
        })
    }
}

fn body(
    request: &ChatRequest,
    id: &Arc<str>,
    text: Option<&Arc<str>>,
    message: &Value,
    finish_reason: &Arc<str>,
    usage: &Usage,
    estimated: bool,
) -> Value {
    let (object, said) = match &request.prompt {
        Prompt::Messages(_) => ("chat.completion", ("message", message.clone())),
        Prompt::Text(_) => ("text_completion", ("text", Value::from(text.cloned().unwrap_or_default()))),
    };
    let choice = Map::from([
        ("index", Value::Int(0)),
        said,
        ("finish_reason", Value::from(finish_reason.clone())),
        ("logprobs", Value::Null),
    ]);
    let counts = Map::from([
        ("prompt_tokens", usage.input_tokens),
        ("completion_tokens", usage.output_tokens),
        ("total_tokens", usage.total()),
    ]);
    let mut body = Map::from([
        ("id", Value::from(id.clone())),
        ("object", Value::from(object)),
        ("created", Value::Int(0)),
        ("model", Value::from(request.model.clone())),
        ("choices", Value::from(vec![Value::from(choice)])),
        ("usage", Value::from(counts)),
    ]);
    if estimated {
        body.insert("usage_is_estimated", true);
    }
    Value::from(body)
}
