//! `Prompty` and `AsyncPrompty`: loaded, rendered and asked here, so that there is one renderer and one way to a model.

use std::path::Path;
use std::sync::Arc;

use sluicegate_flow::plan::OnFiltered;
use sluicegate_flow::prompty::{PromptyFile, ResponseFormat};
use sluicegate_model::{Message, Prompt};
use sluicegate_python::{HostError, Pieces};
use sluicegate_value::{Map, Value, python};

use super::{Answer, in_pieces, of_template, refusal};
use crate::calls::Asker;
use crate::nodes::{AttemptFailure, prompty};
use crate::python::fields::Fields;
use crate::python::host::NodeHost;
use crate::python::side::PythonSide;

fn found(side: &PythonSide, fields: Fields<'_>) -> Result<Arc<PromptyFile>, HostError> {
    let path = fields.required_text("path")?;
    side.world()
        .prompty(Path::new(&*path), &fields.map("overrides"))
        .map_err(|refused| HostError::new(refused.class, refused.message))
}

/// Inputs as prompties take them: what an object says of itself is its text.
fn inputs(fields: Fields<'_>) -> Map {
    let plain = |value: &Value| match value {
        Value::Handle(handle) => handle.json.clone().unwrap_or_else(|| handle.preview.as_str().into()),
        other => other.clone(),
    };
    fields.map("inputs").iter().map(|(name, value)| (name.clone(), plain(value))).collect()
}

pub(super) async fn ask(host: &NodeHost<'_>, fields: Fields<'_>, pieces: Option<Pieces>) -> Answer {
    let file = found(host.side, fields)?;
    let given = inputs(fields);
    in_pieces(pieces, async |pieces| {
        let asker = Asker { span: fields.span(), pieces };
        let asked = prompty::ask_for(asker, &file, OnFiltered::AsOriginal, &given, host.calls);
        Ok(asked.await.map_err(refused)?.output.into())
    })
    .await
}

pub(super) fn load(side: &PythonSide, fields: Fields<'_>) -> Answer {
    let file = found(side, fields)?;
    let model = &file.model;
    let is_json = model.parameters.get("response_format").and_then(|format| format.get("type"));
    let is_json = is_json.and_then(Value::as_str).is_some_and(|format| format.starts_with("json"));
    let asks_for_stream = model.parameters.get("stream").is_some_and(Value::is_truthy);
    let is_first = model.response != ResponseFormat::All;
    let part = |name: &str| file.front.get(name).cloned().unwrap_or_default();
    Ok(Value::from(Map::from([
        ("name", Value::from(file.name.clone())),
        ("api", model.api.clone().into()),
        ("response", if is_first { "first" } else { "all" }.into()),
        ("streams", (asks_for_stream && is_first && !is_json).into()),
        ("inputs", part("inputs")),
        ("outputs", part("outputs")),
        ("sample", file.sample.clone().map_or(Value::Null, Value::from)),
    ]))
    .into())
}

pub(super) fn render(side: &PythonSide, fields: Fields<'_>) -> Answer {
    let text = match prompt(side, fields)? {
        Prompt::Text(text) => text.to_string(),
        Prompt::Messages(messages) => python::str(&messages.iter().map(Message::to_value).collect::<Vec<_>>().into()),
    };
    Ok(Value::from(text).into())
}

/// About how many tokens a prompt takes: a token is some four letters, and each message takes a few of its own.
pub(super) fn tokens(side: &PythonSide, fields: Fields<'_>) -> Answer {
    let of_text = |text: &str| text.chars().count().div_ceil(4);
    let count = match prompt(side, fields)? {
        Prompt::Text(text) => of_text(&text),
        Prompt::Messages(messages) => {
            let said = messages.iter().filter_map(|message| message.content.as_ref());
            3 + said.map(|content| 4 + of_text(&content.plain_text())).sum::<usize>()
        }
    };
    Ok(Value::from(count as i64).into())
}

fn prompt(side: &PythonSide, fields: Fields<'_>) -> Result<Prompt, HostError> {
    prompty::prompt_of(&*found(side, fields)?, &inputs(fields)).map_err(refused)
}

fn refused(failed: AttemptFailure) -> HostError {
    match &*failed.failure.code {
        "template" => of_template(&failed.failure),
        "input" if failed.failure.message.starts_with("Missing required inputs") => {
            HostError::new("MissingRequiredInputError", failed.failure.message)
        }
        "malformed_output" => HostError::new("InvalidOutputKeyError", failed.failure.message),
        _ => refusal(failed),
    }
}
