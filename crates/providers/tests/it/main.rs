//! Providers against a real HTTP endpoint on this machine.

#![expect(clippy::unwrap_used, reason = "the tests' own helpers fail by panicking, as tests do")]

mod faults;
mod requests;
mod simulated;
mod streams;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_config::{Connection, ConnectionKind, Limits, Retry, Secret, Timeouts};
use sluicegate_model::{
    CallContext, CallNotice, ChatModel, ChatReply, ChatRequest, Message, ModelError, Models, Notices, Prompt,
};
use sluicegate_providers::{Connected, Options, connect};
use sluicegate_value::Map;

const KEY: &str = "sk-secret-0123456789";

fn azure(url: &str) -> ConnectionKind {
    ConnectionKind::AzureOpenAi {
        api_base: url.to_owned(),
        api_key: Some(Secret::new(KEY)),
        api_version: Some("2024-02-01".to_owned()),
        v1: false,
    }
}

fn open_ai(url: &str) -> ConnectionKind {
    ConnectionKind::OpenAi { base_url: format!("{url}/v1"), api_key: Some(Secret::new(KEY)), organization: None }
}

/// A connection named `c` with pauses of a millisecond.
fn connection(kind: ConnectionKind) -> Connection {
    Connection {
        name: "c".into(),
        kind,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
        retry: Retry { max_attempts: 3, initial: Duration::from_millis(1), max: Duration::from_millis(1) },
    }
}

fn models(connection: Connection) -> Connected {
    connect(vec![connection], Options::default())
}

fn model(connection: Connection) -> Arc<dyn ChatModel> {
    models(connection).chat(&"c".into()).unwrap()
}

fn request() -> ChatRequest {
    ChatRequest {
        model: "gpt-test".into(),
        prompt: Prompt::Messages(vec![Message::text("system", "Be brief."), Message::text("user", "Hello?")]),
        parameters: Map::new(),
        stream: false,
        called_from: "aoai-tool".into(),
    }
}

/// What a call came to: its result, and what was told on the way, a line each.
struct Call {
    result: Result<ChatReply, ModelError>,
    told: Vec<String>,
}

async fn call(model: &dyn ChatModel, request: &ChatRequest) -> Call {
    let ears = Arc::new(Ears::default());
    let context = CallContext { notices: ears.clone(), ..CallContext::detached() };
    let result = model.chat(request, &context).await;
    let told = ears.0.lock().unwrap().clone();
    Call { result, told }
}

impl Call {
    fn error(&self) -> &ModelError {
        self.result.as_ref().expect_err("a failure")
    }
}

#[derive(Default)]
struct Ears(Mutex<Vec<String>>);

impl Notices for Ears {
    fn notice(&self, notice: CallNotice) {
        let line = match notice {
            CallNotice::Queued => "queued".to_owned(),
            CallNotice::AttemptStarted { attempt } => format!("attempt {attempt}"),
            CallNotice::AttemptFailed { attempt, error, retry_in } => {
                let then = if retry_in.is_some() { "again" } else { "no more" };
                format!("attempt {attempt} failed: {}, {then}", error.code())
            }
            CallNotice::FirstChunk { .. } => "first chunk".to_owned(),
            CallNotice::Chunk { text } => format!("chunk {text:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
