//! Providers against a real HTTP endpoint on this machine.

#![expect(clippy::unwrap_used, reason = "the tests' own helpers fail by panicking, as tests do")]

mod adapt;
mod anthropic;
mod batch_api;
mod embeddings;
mod faults;
mod fetch;
mod filters;
mod gateway;
mod golden;
mod identity;
mod proxy;
mod requests;
mod responses;
mod serverless;
mod simulated;
mod streams;
mod tls;
mod wire_vectors;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluicegate_config::{Auth, AzureApi, Connection, ConnectionKind, Retry, Secret};
use sluicegate_model::{
    CallContext, CallNotice, ChatModel, ChatReply, ChatRequest, Message, ModelError, Models, Notices, Prompt,
};
use sluicegate_providers::{Connected, Options, connect};
use sluicegate_value::Map;

const KEY: &str = "sk-secret-0123456789";

fn azure(url: &str) -> ConnectionKind {
    azure_api(url, AzureApi::Dated("2024-02-01".to_owned()))
}

fn azure_api(url: &str, api: AzureApi) -> ConnectionKind {
    ConnectionKind::AzureOpenAi { api_base: url.to_owned(), auth: Auth::Key(Secret::new(KEY)), api, responses: false }
}

fn open_ai(url: &str) -> ConnectionKind {
    ConnectionKind::OpenAi {
        base_url: format!("{url}/v1"),
        api_key: Some(Secret::new(KEY)),
        organization: None,
        responses: false,
    }
}

/// A connection named `c` with pauses of a millisecond.
fn connection(kind: ConnectionKind) -> Connection {
    let millisecond = Duration::from_millis(1);
    Connection {
        retry: Retry { max_attempts: 3, initial: millisecond, max: millisecond },
        ..Connection::new("c", kind)
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
        api: None,
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
            CallNotice::Adapted { parameter, adaptation, .. } => format!("adapted {parameter}: {adaptation:?}"),
            CallNotice::FirstChunk { .. } => "first chunk".to_owned(),
            CallNotice::Chunk { text } => format!("chunk {text:?}"),
        };
        self.0.lock().unwrap().push(line);
    }
}
