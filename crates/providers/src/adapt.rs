//! What a deployment does not take is sent by another name or left out: what the settings declare, before anything is
//! sent; what the endpoint refuses, once the endpoint has said so.
//!
//! ```text
//!  gate ─► declared ─► learned ─► transport ─► 400 `max_tokens` is not supported
//!             ▲                                   │  learned once for the deployment, told once
//!             └────────── the same attempt ◄──────┘
//! ```
//!
//! A deployment's name is free text: nothing is guessed from it. What is learned holds as long as the process does, for
//! one deployment and one API of it; [`config_line`] writes what makes it last.

mod refusal;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_config::{Connection, Deployments};
use sluicegate_model::{Adaptation, CallNotice, ChatApi, ModelError, Prompt};
use sluicegate_value::{Map, Value};

use crate::ask::{Answer, Ask};
use crate::transport::{Attempt, Transport};
pub(crate) use refusal::Refusal;

/// The line for config.yaml that makes an adaptation last: `connections: { aoai: { deployments: { gpt-5: { rename: {
/// max_tokens: max_completion_tokens } } } } }`, on one line. `None` for a mere value: there another one is to be written
/// where the flow has it.
fn config_line(connection: &str, deployment: &str, parameter: &str, adaptation: &Adaptation) -> Option<String> {
    let what = match adaptation {
        Adaptation::Renamed(to) => format!("rename: {{ {}: {} }}", plain(parameter), plain(to)),
        Adaptation::Dropped => format!("drop: [{}]", plain(parameter)),
        Adaptation::ValueDropped(_) => return None,
    };
    let (connection, deployment) = (plain(connection), plain(deployment));
    Some(format!("connections: {{ {connection}: {{ deployments: {{ {deployment}: {{ {what} }} }} }} }}"))
}

/// A text as YAML reads it back: as it is, or in quotes.
fn plain(text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { Value::from(text).to_json() }
}

/// The most adaptations of one call: an endpoint that refuses more than that refuses the request.
const MOST: usize = 6;

/// What reasoning models do not take.
const NOT_FOR_REASONING: [&str; 7] =
    ["temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"];

/// Without these a request would mean something else.
const ESSENTIAL: [&str; 14] = [
    "model",
    "messages",
    "prompt",
    "input",
    "instructions",
    "system",
    "stream",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "modalities",
    "dimensions",
];

/// Two names of one thing: who does not take the one, takes the other.
const PAIR: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// What of a request an endpoint means by this name, if without it the request would mean something else.
pub(crate) fn essential(named: &str) -> Option<&'static str> {
    let top = refusal::top(named);
    ESSENTIAL.into_iter().find(|essential| *essential == top)
}

/// The most refused values of one parameter that are remembered: who refuses so many refuses the parameter.
const MOST_VALUES: usize = 8;

/// Adapts what is asked to what deployments take.
pub(crate) struct Adapt {
    connection: Arc<str>,
    deployments: Deployments,
    learned: Mutex<HashMap<(Arc<str>, Form), Lessons>>,
}

/// What was learned, in the order in which it is applied. A parameter may have several values that are not taken.
type Lessons = Vec<(Arc<str>, Adaptation)>;

/// Which API of a deployment is asked: each has its own mind about parameters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Embedding,
    Completion,
    Messages(Option<ChatApi>),
}

impl Adapt {
    pub(crate) fn new(connection: &Connection) -> Self {
        Self {
            connection: connection.name.clone(),
            deployments: connection.deployments.clone(),
            learned: Mutex::default(),
        }
    }

    /// Sends one attempt, as often as something is learned from its refusal.
    pub(crate) async fn send<T: Transport>(
        &self,
        transport: &T,
        ask: &Ask<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<Answer, ModelError> {
        let mut tried: Vec<Arc<str>> = Vec::new();
        loop {
            let adapted = self.adapted(ask);
            let sent = adapted.as_ref().unwrap_or(ask);
            let error = match transport.send(sent, attempt).await {
                Err(error @ ModelError::Rejected { .. }) if !attempt.passed_on() => error,
                other => return other,
            };
            self.learn(sent, error, attempt, &mut tried)?;
            attempt.sends_again();
        }
    }

    /// The request as its deployment takes it; `None`: as it is.
    fn adapted(&self, ask: &Ask<'_>) -> Option<Ask<'static>> {
        let mut changed = None;
        let mut apply = |name: &str, adaptation: &Adaptation| {
            let parameters: &Map = changed.as_ref().unwrap_or_else(|| ask.parameters());
            let Some(value) = parameters.get(name) else { return };
            let is_meant = match adaptation {
                Adaptation::ValueDropped(refused) => value.to_json() == **refused,
                Adaptation::Renamed(_) | Adaptation::Dropped => true,
            };
            if is_meant {
                changed = Some(with(parameters, name, adaptation));
            }
        };
        if let Some(deployment) = self.deployments.of(ask.model()) {
            for (from, to) in &deployment.rename {
                apply(from, &Adaptation::Renamed(to.clone()));
            }
            for name in &deployment.drop {
                apply(name, &Adaptation::Dropped);
            }
            if deployment.reasoning {
                apply(PAIR[0], &Adaptation::Renamed(PAIR[1].into()));
                NOT_FOR_REASONING.iter().for_each(|name| apply(name, &Adaptation::Dropped));
            }
        }
        if let Some(lessons) = self.lock().get(&key(ask)) {
            lessons.iter().for_each(|(name, adaptation)| apply(name, adaptation));
        }
        changed.map(|parameters| ask.with_parameters(parameters))
    }

    /// Learns from a refusal what the deployment does not take; fails with what the caller shall read if there is nothing
    /// to learn.
    fn learn(
        &self,
        sent: &Ask<'_>,
        error: ModelError,
        attempt: &Attempt<'_>,
        tried: &mut Vec<Arc<str>>,
    ) -> Result<(), ModelError> {
        let ModelError::Rejected { status: status @ (400 | 422), message, parameter } = &error else {
            return Err(error);
        };
        let Some(refusal) = Refusal::read(message, "") else { return Err(error) };
        // The endpoint's own `param` is surer than its words, unless these name several.
        let names = match parameter {
            Some(parameter) if refusal.names.len() < 2 => vec![parameter.clone()],
            _ => refusal.names.clone(),
        };
        let mut carried: Vec<Arc<str>> = Vec::new();
        for name in names.iter().filter_map(|name| refusal::carried(sent.parameters(), name)) {
            if !carried.contains(&name) {
                carried.push(name);
            }
        }
        // Also what of a request is not among its parameters.
        let essential = names.iter().find_map(|name| essential(name));
        let essential = essential
            .map(str::to_owned)
            .or_else(|| carried.iter().find(|name| is_essential(name, sent.parameters())).map(ToString::to_string));
        let rejected = |words: String| ModelError::Rejected {
            status: *status,
            message: format!("{}; {words}", message.trim_end_matches('.')),
            // Who reads of a parameter is told to leave it out.
            parameter: carried.first().filter(|_| essential.is_none()).map(ToString::to_string),
        };
        if let Some(name) = &essential {
            return Err(rejected(format!(
                "it is not left out, since without `{name}` the request would mean something else"
            )));
        }
        // Who goes on refusing what is adapted already does not mean it.
        let again = names.iter().map(|name| refusal::top(name)).chain(carried.iter().map(|name| &**name));
        let is_again = { again }.any(|name| tried.iter().any(|tried| **tried == *name));
        if carried.is_empty() || is_again || tried.len() + carried.len() > MOST {
            return Err(error);
        }
        let plan: Lessons =
            carried.iter().map(|name| (name.clone(), refusal.adaptation(name, sent.parameters(), tried))).collect();
        if self.deployments.never_adapt {
            let lines = plan
                .iter()
                .filter_map(|(name, adaptation)| config_line(&self.connection, sent.model(), name, adaptation));
            let lines: Vec<String> = lines.map(|line| format!("`{line}`")).collect();
            return Err(rejected(match lines.as_slice() {
                [] => "`adapt` is off, so that it is not left out; use another value".to_owned(),
                lines => {
                    format!("`adapt` is off; if it shall be adapted, write {} into config.yaml", lines.join(" and "))
                }
            }));
        }
        for (name, adaptation) in plan {
            tried.push(name.clone());
            // Calls that were on their way meanwhile learn the same, and only the first one tells it.
            if let Some(adaptation) = self.remember(sent, &name, adaptation) {
                attempt.context.notices.notice(CallNotice::Adapted {
                    model: sent.model().clone(),
                    parameter: name,
                    adaptation,
                    message: message.as_str().into(),
                });
            }
        }
        Ok(())
    }

    /// What is new of an adaptation; `None` if all of it is known.
    fn remember(&self, sent: &Ask<'_>, name: &Arc<str>, adaptation: Adaptation) -> Option<Adaptation> {
        let mut learned = self.lock();
        let lessons = learned.entry(key(sent)).or_default();
        let is_value = |adaptation: &Adaptation| matches!(adaptation, Adaptation::ValueDropped(_));
        let (values, whole): (Vec<_>, Vec<_>) = lessons
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, known)| known)
            .partition(|known| is_value(known));
        if !whole.is_empty() || values.contains(&&adaptation) {
            return None;
        }
        let adaptation =
            if is_value(&adaptation) && values.len() >= MOST_VALUES { Adaptation::Dropped } else { adaptation };
        lessons.push((name.clone(), adaptation.clone()));
        Some(adaptation)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Arc<str>, Form), Lessons>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a request means something else without this: several answers are something else than one.
fn is_essential(name: &str, parameters: &Map) -> bool {
    let several = || parameters.get("n").is_some_and(|n| n.as_number() != Some(1.0));
    ESSENTIAL.contains(&name) || (name == "n" && several())
}

fn key(ask: &Ask<'_>) -> (Arc<str>, Form) {
    let form = match ask {
        Ask::Embedding(_) => Form::Embedding,
        Ask::Chat(request) => match request.prompt {
            Prompt::Text(_) => Form::Completion,
            Prompt::Messages(_) => Form::Messages(request.api),
        },
    };
    (ask.model().clone(), form)
}

/// Parameters with one of them adapted, in the same order. What is renamed to a name that is given too is dropped.
fn with(parameters: &Map, name: &str, adaptation: &Adaptation) -> Map {
    let mut adapted = Map::new();
    for (known, value) in parameters {
        match adaptation {
            _ if **known != *name => adapted.insert(known.clone(), value.clone()),
            Adaptation::Renamed(to) if !parameters.contains_key(to) => adapted.insert(to.clone(), value.clone()),
            Adaptation::Renamed(_) | Adaptation::Dropped | Adaptation::ValueDropped(_) => None,
        };
    }
    adapted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_the_config_can_be_pasted() {
        let line = |deployment: &str, adaptation| config_line("aoai", deployment, "max_tokens", &adaptation);
        assert_eq!(
            line("gpt-5", Adaptation::Renamed("max_completion_tokens".into())).unwrap(),
            "connections: { aoai: { deployments: { gpt-5: { rename: { max_tokens: max_completion_tokens } } } } }"
        );
        assert_eq!(
            line("our: best", Adaptation::Dropped).unwrap(),
            r#"connections: { aoai: { deployments: { "our: best": { drop: [max_tokens] } } } }"#
        );
        assert_eq!(line("gpt-5", Adaptation::ValueDropped("7".into())), None);
        for quoted in ["4o", "yes", "", "a b", "ü"] {
            assert!(plain(quoted).starts_with('"'), "{quoted}");
        }
    }

    #[test]
    fn a_renamed_parameter_keeps_its_place() {
        let parameters = Map::from([("a", 1_i64), ("max_tokens", 2), ("b", 3)]);
        let to = Adaptation::Renamed("max_completion_tokens".into());
        let json = |map: Map| Value::from(map).to_json();
        assert_eq!(json(with(&parameters, "max_tokens", &to)), r#"{"a":1,"max_completion_tokens":2,"b":3}"#);
        assert_eq!(json(with(&parameters, "a", &Adaptation::Renamed("b".into()))), r#"{"max_tokens":2,"b":3}"#);
        assert_eq!(json(with(&parameters, "b", &Adaptation::Dropped)), r#"{"a":1,"max_tokens":2}"#);
    }
}
