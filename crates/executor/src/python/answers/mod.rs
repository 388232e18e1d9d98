//! What a node's code asks, answered: the other end of `py/promptflow/HOST.md`.

mod chat;
mod connections;
mod flows;
mod prompty;
mod render;

use std::sync::Arc;

use sluicegate_events::Failure;
use sluicegate_model::{BoxFuture, ConnectionName, FetchRequest};
use sluicegate_python::{Argument, Ask, HostError, Pieces};
use sluicegate_value::{Blob, Value};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::fields::Fields;
use super::host::NodeHost;
use super::side::PythonSide;
use crate::calls::Asker;
use crate::nodes::AttemptFailure;

type Answer = Result<Argument, HostError>;

/// Answers one question of a running node.
pub(super) async fn answer(host: &NodeHost<'_>, ask: Ask) -> Answer {
    let Ask { what, fields, pieces } = ask;
    let fields = Fields(&fields);
    match &*what {
        "chat" => chat::chat(host, fields, pieces).await,
        "embedding" => chat::embedding(host, fields).await,
        "prompty" => prompty::ask(host, fields, pieces).await,
        "flow" => flows::flow(host, fields).await,
        "test" => flows::test(host, fields).await,
        "image" => image(host, fields).await,
        _ => without_models(host.side, &what, fields),
    }
}

/// Answers one question of code that runs while its file is loaded.
pub(super) fn answer_while_loading(side: &PythonSide, ask: &Ask) -> Answer {
    match &*ask.what {
        "chat" | "embedding" | "prompty" | "flow" | "test" | "image" => Err(HostError::new(
            "UserErrorException",
            format!("`{}` is possible while a node runs, not while its file is loaded", ask.what),
        )),
        _ => without_models(side, &ask.what, Fields(&ask.fields)),
    }
}

/// What needs no model and no address.
fn without_models(side: &PythonSide, what: &str, fields: Fields<'_>) -> Answer {
    match what {
        "render" => render::render(fields),
        "parse_chat" => render::parse_chat(fields),
        "messages" => render::messages(fields),
        "prompty_load" => prompty::load(side, fields),
        "prompty_render" => prompty::render(side, fields),
        "prompty_tokens" => prompty::tokens(side, fields),
        "connection" => connections::one(side, fields),
        "connection_list" => Ok(connections::all(side)),
        "connection_save" => connections::save(side, fields),
        _ => Err(HostError::new("NotImplementedError", format!("`{what}` is not offered here"))),
    }
}

/// An image at an address, fetched by the rules of `http:`.
async fn image(host: &NodeHost<'_>, fields: Fields<'_>) -> Answer {
    let refused = |why: String| HostError::new("InvalidImageInput", why);
    let url = fields.required_text("url")?;
    let request = FetchRequest {
        method: "GET".into(),
        url: url.clone(),
        headers: Vec::new(),
        body: None,
        timeout: None,
        redirects: None,
        max_size: None,
    };
    let asker = Asker { span: fields.span(), pieces: None };
    let reply = host.calls.fetch_for(asker, &request).await.map_err(|failed| refused(failed.failure.message))?;
    if reply.status / 100 != 2 {
        return Err(refused(format!("cannot fetch the image from {url}: status {}", reply.status)));
    }
    let kind = reply.headers.iter().find(|(name, _)| &**name == "content-type");
    let mime =
        kind.and_then(|(_, kind)| kind.split(';').next()).map(str::trim).filter(|kind| kind.starts_with("image/"));
    Ok(Value::Blob(Arc::new(Blob::from_bytes(mime.unwrap_or("image/*"), reply.body))).into())
}

/// The connection that a question names, or describes in full.
fn connection(side: &PythonSide, fields: Fields<'_>) -> Result<ConnectionName, HostError> {
    match fields.get("connection") {
        Some(Value::Str(name)) => Ok(ConnectionName(name.clone())),
        Some(Value::Map(told)) => {
            side.world().add_connection(told, false).map_err(|why| HostError::new("InvalidConnectionType", why))
        }
        _ => Err(HostError::new("UserErrorException", "no connection is named")),
    }
}

/// Makes an answer whose pieces are handed on as they come.
async fn in_pieces<T>(
    pieces: Option<Pieces>,
    work: impl AsyncFnOnce(Option<&UnboundedSender<Arc<str>>>) -> Result<T, HostError>,
) -> Result<T, HostError> {
    let Some(pieces) = pieces else { return work(None).await };
    let (sender, mut receiver) = unbounded_channel::<Arc<str>>();
    let handing_on = async {
        while let Some(text) = receiver.recv().await {
            pieces.send(&text).await;
        }
    };
    let working = async {
        let done = work(Some(&sender)).await;
        drop(sender);
        done
    };
    let (done, ()) = tokio::join!(working, handing_on);
    done
}

/// What remains of a model call after its retries, as the original's exceptions.
fn refusal(failed: AttemptFailure) -> HostError {
    let AttemptFailure { failure, .. } = failed;
    let class = match &*failure.code {
        "no_such_connection" => "GetConnectionError",
        "misconfigured" | "unsupported" | "no_identity" => "InvalidConnectionType",
        "template" => return of_template(&failure),
        "rate_limited" => "ExceedMaxRetryTimes",
        "input" => "UserErrorException",
        _ => "WrappedOpenAIError",
    };
    let message = match &failure.hint {
        Some(hint) => format!("{} ({hint})", failure.message),
        None => failure.message,
    };
    HostError { codes: vec!["UserError".to_owned(), class.to_owned()], ..HostError::new(class, message) }
}

/// A template's failure, or a conversation's that is none: the latter names its class.
fn of_template(failure: &Failure) -> HostError {
    match failure.message.split_once(": ") {
        Some((class, message)) if class.starts_with("ChatAPI") => HostError::new(class, message),
        _ => HostError::new(
            "JinjaTemplateError",
            format!(
                "Failed to render jinja template: {}. Please modify your prompt to fix the issue.",
                failure.message
            ),
        ),
    }
}

/// An answer that takes long, boxed: futures of answers hold one another (a flow runs a node that runs a flow).
fn boxed<'a, T>(work: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(work)
}
