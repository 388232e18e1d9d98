//! `render`, `parse_chat`, `messages`: templates and conversations, without a model.

use std::sync::{Arc, LazyLock};

use sluicegate_flow::messages::{Flavour, MessagesError, conversation};
use sluicegate_flow::template::{Binding, Mode, RenderError, Rendered, Template, Trust};
use sluicegate_model::{Content, Message, Part};
use sluicegate_python::HostError;
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::{Blob, Value};

use super::Answer;
use crate::nodes::nonce;
use crate::python::fields::Fields;

pub(super) fn render(fields: Fields<'_>) -> Answer {
    let rendered = rendered(fields, "template", mode(fields))?;
    let keeps = fields.get("keep_trailing_newline").and_then(Value::as_bool).unwrap_or(true);
    let text = if keeps { &rendered.text } else { rendered.text.strip_suffix('\n').unwrap_or(&rendered.text) };
    Ok(Value::from(text).into())
}

pub(super) fn parse_chat(fields: Fields<'_>) -> Answer {
    /// A text as the author's: its role headers count.
    static AS_IT_IS: LazyLock<Result<Template, Problem>> =
        LazyLock::new(|| Template::parse_file(&SourceFile::new("text", "{{ text }}"), Mode::Prompt));
    let template = AS_IT_IS.as_ref().map_err(invalid)?;
    let binding = Binding { name: "text".into(), value: fields.required_text("text")?.into(), trust: Trust::Author };
    let rendered = template.render(&[binding], nonce()).map_err(|error| failed(&error))?;
    parsed(rendered, fields)
}

pub(super) fn messages(fields: Fields<'_>) -> Answer {
    parsed(rendered(fields, "template", mode(fields))?, fields)
}

fn mode(fields: Fields<'_>) -> Mode {
    if fields.text("mode").as_deref() == Some("llm") { Mode::Llm } else { Mode::Prompt }
}

/// A template of user code, filled in. What its author gives it may open messages, save what is to be escaped.
pub(super) fn rendered(fields: Fields<'_>, name: &str, mode: Mode) -> Result<Rendered, HostError> {
    let source = fields.required_text(name)?;
    let template =
        Template::parse_file(&SourceFile::new("prompt", source), mode).map_err(|problem| invalid(&problem))?;
    let escape: Vec<&str> = fields.list("escape").iter().filter_map(Value::as_str).collect();
    let variables = fields.map("variables");
    let bindings: Vec<Binding> = variables
        .iter()
        .map(|(name, value)| {
            let trust = if escape.contains(&&**name) { Trust::Data } else { Trust::Author };
            Binding { name: name.clone(), value: value.clone(), trust }
        })
        .collect();
    template.render(&bindings, nonce()).map_err(|error| failed(&error))
}

fn parsed(mut rendered: Rendered, fields: Fields<'_>) -> Answer {
    let images: Vec<Arc<Blob>> = fields
        .list("images")
        .iter()
        .filter_map(|image| match image {
            Value::Blob(blob) => Some(blob.clone()),
            _ => None,
        })
        .collect();
    let flavour = if images.is_empty() { Flavour::Tool } else { Flavour::Prompty };
    rendered.images = images;
    let developer = fields.list("roles").iter().any(|role| role.as_str() == Some("developer"));
    let messages = conversation(&rendered, flavour, developer).map_err(|error| refused(&error))?;
    let messages = with_detail(messages, fields);
    Ok(Value::from(messages.iter().map(Message::to_value).collect::<Vec<_>>()).into())
}

/// Messages whose images are looked at as closely as was asked.
pub(super) fn with_detail(mut messages: Vec<Message>, fields: Fields<'_>) -> Vec<Message> {
    if let Some(wanted) = fields.text("detail") {
        for message in &mut messages {
            let Some(Content::Parts(parts)) = &mut message.content else { continue };
            for part in parts {
                if let Part::Image { detail, .. } = part {
                    *detail = wanted.clone();
                }
            }
        }
    }
    messages
}

/// A text that is no conversation. The tools' class of a wrong role is not the prompties'.
pub(super) fn refused(error: &MessagesError) -> HostError {
    let class = if error.class == "ChatAPIInvalidRoleError" { "ChatAPIInvalidRole" } else { error.class };
    HostError::new(class, error.message.clone())
}

fn invalid(problem: &Problem) -> HostError {
    HostError::new(
        "JinjaTemplateError",
        format!(
            "Failed to render jinja template: TemplateSyntaxError: {}. Please modify your prompt to fix the issue.",
            problem.message
        ),
    )
}

fn failed(error: &RenderError) -> HostError {
    HostError::new(
        "JinjaTemplateError",
        format!(
            "Failed to render jinja template: {}: {}. Please modify your prompt to fix the issue.",
            error.class, error.message
        ),
    )
}
