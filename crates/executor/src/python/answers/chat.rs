//! `chat` and `embedding`: what the tools of `promptflow.tools` do.

use std::sync::Arc;

use sluicegate_flow::messages::{Flavour, chat_messages};
use sluicegate_flow::plan::OnFiltered;
use sluicegate_flow::request;
use sluicegate_flow::template::Mode;
use sluicegate_model::{ChatRequest, Prompt};
use sluicegate_python::{HostError, Pieces};
use sluicegate_value::Value;

use super::{Answer, connection, in_pieces, refusal, render};
use crate::calls::Asker;
use crate::nodes::shortfall;
use crate::python::fields::Fields;
use crate::python::host::NodeHost;

/// The header by which the original's endpoints learn which of its tools asks.
const CALLED_FROM: &str = "ms-azure-ai-promptflow-called-from";

pub(super) async fn chat(host: &NodeHost<'_>, fields: Fields<'_>, pieces: Option<Pieces>) -> Answer {
    let connection = connection(host.side, fields)?;
    let mode = match fields.text("mode").as_deref() {
        Some("llm") => Mode::Llm,
        Some("vision") => Mode::PromptyV1,
        _ => Mode::Prompt,
    };
    let rendered = render::rendered(fields, "prompt", mode)?;
    let prompt = if fields.text("api").as_deref() == Some("completion") {
        Prompt::Text(rendered.text)
    } else {
        let flavour = if mode == Mode::PromptyV1 { Flavour::Prompty } else { Flavour::Tool };
        let messages = chat_messages(&rendered, flavour).map_err(|error| render::refused(&error))?;
        Prompt::Messages(render::with_detail(messages, fields))
    };
    let stream = fields.is_true("stream");
    let mut parameters = fields.map("parameters");
    parameters.insert("stream", stream);
    let request = ChatRequest {
        model: fields.required_text("model")?,
        prompt,
        parameters,
        stream,
        called_from: fields.map("headers").get(CALLED_FROM).and_then(Value::as_str).unwrap_or("aoai-tool").into(),
        api: None,
    };
    in_pieces(pieces, async |pieces| {
        let asker = Asker { span: fields.span(), pieces };
        let reply = host.calls.chat_for(asker, &connection, &request).await.map_err(refusal)?;
        shortfall::of_filter(OnFiltered::AsOriginal, &reply).map_err(refusal)?;
        Ok(if fields.text("result").as_deref() == Some("message") {
            reply.message.into()
        } else {
            Value::from(reply.text.unwrap_or_else(|| Arc::from(""))).into()
        })
    })
    .await
}

pub(super) async fn embedding(host: &NodeHost<'_>, fields: Fields<'_>) -> Answer {
    let connection = connection(host.side, fields)?;
    let model = fields.required_text("model")?;
    let input = fields.get("input").cloned().unwrap_or_default();
    // As the client that the original's tool uses asks: a third of the bytes, and the same numbers.
    let format = ("encoding_format".into(), Value::from("base64"));
    let request = request::embedding_request(&model, &[("input".into(), input), format])
        .map_err(|error| HostError::new("UserErrorException", error.to_string()))?;
    let asker = Asker { span: fields.span(), pieces: None };
    let reply = host.calls.embed_for(asker, &connection, &request).await.map_err(refusal)?;
    let vector = reply.vectors.first().map(Vec::as_slice).unwrap_or_default();
    let numbers: Vec<Value> = vector.iter().map(|number| Value::from(*number)).collect();
    Ok(Value::from(numbers).into())
}
