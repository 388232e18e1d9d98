//! Model calls of one attempt of a node: each has a span, is told before it is sent, and is answered from the journal
//! where a past process already paid for it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use sluicegate_events::{Failure, NodePath, SpanRef};
use sluicegate_model::{
    About, CallContext, CallNotice, ChatReply, ChatRequest, ConnectionName, ModelError, Notices, Prompt, TraceContext,
};
use sluicegate_value::{Map, Value};
use tokio::sync::mpsc::UnboundedSender;

use crate::engine::Engine;
use crate::nodes::AttemptFailure;

/// What a node's work tells its owner on the way.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    pub(crate) call: u32,
    pub(crate) what: SaidKind,
}

#[derive(Debug)]
pub(crate) enum SaidKind {
    Started(Box<CallStarted>),
    Noticed(CallNotice),
    Ended(Result<Box<ChatReply>, Failure>),
}

#[derive(Debug)]
pub(crate) struct CallStarted {
    pub(crate) span: SpanRef,
    pub(crate) about: About,
    pub(crate) model: Arc<str>,
    pub(crate) request: Value,
    pub(crate) stream: bool,
    pub(crate) request_hash: String,
}

/// The calls of one attempt.
pub(crate) struct Calls<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) path: NodePath,
    pub(crate) attempt: u32,
    /// The node's span, which calls are inside of.
    pub(crate) span: SpanRef,
    pub(crate) deadline: Option<Instant>,
    pub(crate) say: UnboundedSender<Said>,
    /// Replies of a past process, by the hash of their request; each answers once.
    pub(crate) recorded: Vec<(String, ChatReply)>,
    pub(crate) made: u32,
}

impl Calls<'_> {
    /// Asks a model, or the past.
    ///
    /// # Errors
    /// What remains after the connection's own retries.
    pub(crate) async fn chat(
        &mut self,
        connection: &ConnectionName,
        request: &ChatRequest,
    ) -> Result<ChatReply, AttemptFailure> {
        let request = ChatRequest { stream: request.stream || self.engine.options.stream, ..request.clone() };
        let model = self.engine.models.chat(connection).map_err(|error| AttemptFailure::of_model(&error, 1))?;
        let about = model.about().clone();
        let repeat = self.engine.options.repeat;
        let body = body(&request);
        let request_hash = request_hash(&about.provider, &request.model, &body, repeat);
        if let Some(position) = self.recorded.iter().position(|(hash, _)| *hash == request_hash) {
            return Ok(self.recorded.remove(position).1);
        }
        let call = self.made;
        self.made += 1;
        let span =
            SpanRef { span_id: crate::spans::random() as u64 | 1, parent_id: Some(self.span.span_id), ..self.span };
        let started = CallStarted {
            span,
            about,
            model: request.model.clone(),
            request: body,
            stream: request.stream,
            request_hash,
        };
        self.tell(call, SaidKind::Started(Box::new(started)));
        let attempts = Arc::new(AtomicU32::new(1));
        let notices = Teller {
            say: self.say.clone(),
            path: self.path.clone(),
            attempt: self.attempt,
            call,
            attempts: attempts.clone(),
        };
        let context = CallContext {
            trace: Some(TraceContext { trace_id: span.trace_id, span_id: span.span_id, sampled: span.sampled }),
            deadline: self.deadline,
            line: self.engine.options.line,
            repeat,
            index: call,
            notices: Arc::new(notices),
        };
        let answer = model.chat(&request, &context).await;
        let told = match &answer {
            Ok(reply) => Ok(Box::new(reply.clone())),
            Err(error) => Err(model_failure(error, attempts.load(Ordering::Relaxed))),
        };
        self.tell(call, SaidKind::Ended(told));
        answer.map_err(|error| AttemptFailure::of_model(&error, attempts.load(Ordering::Relaxed)))
    }

    fn tell(&self, call: u32, what: SaidKind) {
        // Nobody listens once the run is over; then there is nothing to tell.
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, call, what });
    }
}

struct Teller {
    say: UnboundedSender<Said>,
    path: NodePath,
    attempt: u32,
    call: u32,
    /// How many attempts the connection has made.
    attempts: Arc<AtomicU32>,
}

impl Notices for Teller {
    fn notice(&self, notice: CallNotice) {
        if let CallNotice::AttemptStarted { attempt } | CallNotice::AttemptFailed { attempt, .. } = &notice {
            self.attempts.fetch_max(*attempt, Ordering::Relaxed);
        }
        let what = SaidKind::Noticed(notice);
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, call: self.call, what });
    }
}

/// A model's error as events tell it, and after how many attempts the connection gave up, if it made several.
pub(crate) fn model_failure(error: &ModelError, attempts: u32) -> Failure {
    let mut failure = Failure::new(error.code(), error.to_string());
    failure.hint = hint(error);
    if attempts > 1 {
        failure.details = Map::from([(CALL_ATTEMPTS, Value::from(i64::from(attempts)))]).into();
    }
    failure
}

/// Among a failure's details: how often the connection tried.
const CALL_ATTEMPTS: &str = "call_attempts";

/// Whether a connection has tried more than once and given up.
pub(crate) fn was_given_up(failure: &Failure) -> bool {
    failure.details.get(CALL_ATTEMPTS).is_some()
}

fn hint(error: &ModelError) -> Option<String> {
    Some(match error {
        ModelError::NoSuchConnection { known, .. } if known.is_empty() => {
            "declare it under `connections` in config/config.yaml".to_owned()
        }
        ModelError::NoSuchConnection { known, .. } => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("known connections: {}", known.join(", "))
        }
        ModelError::KeyRefused { connection, .. } => {
            format!("look at the key of `{connection}`: `sluicegate config show` tells where it comes from")
        }
        ModelError::UnknownModel { .. } => "look at the name of the deployment or model".to_owned(),
        ModelError::RateLimited { temporary: false, .. } => "the quota is used up; waiting does not help".to_owned(),
        ModelError::TooLong { .. } => "shorten the prompt, or use a model that takes more".to_owned(),
        ModelError::Unreachable { endpoint, .. } => format!("look whether {endpoint} is right and up"),
        _ => return None,
    })
}

/// The request's body as events tell it: messages or prompt first, then the parameters.
fn body(request: &ChatRequest) -> Value {
    let mut body = Map::new();
    match &request.prompt {
        Prompt::Messages(messages) => {
            body.insert("messages", messages.iter().map(|message| message.to_value()).collect::<Vec<_>>())
        }
        Prompt::Text(text) => body.insert("prompt", text.clone()),
    };
    for (name, value) in &request.parameters {
        body.insert(name.clone(), value.clone());
    }
    body.into()
}

/// Names what is asked, whoever is asked: SHA-256 over provider, model, the body with sorted keys, and the repeat.
pub(crate) fn request_hash(provider: &str, model: &str, body: &Value, repeat: u32) -> String {
    let mut canonical = String::new();
    for text in [provider, model] {
        sluicegate_value::json::write_string(text, &mut canonical);
        canonical.push('\n');
    }
    canonical.push_str(&sorted(body).to_json());
    let _ = write!(canonical, "\n{repeat}");
    sluicegate_value::hash::sha256(canonical)
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::List(items) => items.iter().map(sorted).collect::<Vec<_>>().into(),
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            entries.into_iter().collect::<Map>().into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_value::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_change_what_is_asked() {
        let hash = |body: &str, repeat| request_hash("openai", "m", &json::read(body).unwrap(), repeat);
        let first = hash(r#"{"a":1,"b":[{"c":1,"d":2}]}"#, 0);
        assert_eq!(first, hash(r#"{"b":[{"d":2,"c":1}],"a":1}"#, 0));
        assert_ne!(first, hash(r#"{"a":1.0,"b":[{"c":1,"d":2}]}"#, 0), "1 and 1.0 are different bodies");
        assert_ne!(first, hash(r#"{"a":1,"b":[{"c":1,"d":2}]}"#, 1), "repeats are asked anew");
    }
}
