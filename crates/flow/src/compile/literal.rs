//! Literals among the inputs of `llm` and `prompt` nodes: API parameters get their types, images are loaded.

use sluicegate_value::Value;

use super::kinds::Inputs;
use super::operand::Scope;
use super::sections::literal;
use super::session::Session;
use crate::coerce::{coerce, shortened};
use crate::file::{NodeFile, Written};
use crate::files::FileError;
use crate::image::Images;
use crate::plan::{InputType, MessageFormat, Operand};
use crate::request::Api;
use crate::template::Template;

impl Session<'_> {
    /// Literals of API parameters get the type that `kind_of` says, the tool's signature; `null` and `""` are as good as absent
    /// (spec: promptflow.md §1.8).
    pub(super) fn coerce_parameters(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &NodeFile<'_>,
        kind_of: impl Fn(&str) -> Option<InputType>,
        inputs: &mut Inputs,
    ) {
        inputs.retain(|_, operand| match literal(operand) {
            Some(Value::Null) => false,
            Some(Value::Str(text)) => !text.is_empty(),
            _ => true,
        });
        for entry in written.inputs {
            let Some(kind) = kind_of(&entry.key) else { continue };
            let Some(Operand::Literal(value)) = inputs.get_mut(&entry.key) else { continue };
            if value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
                continue;
            }
            match coerce(kind, value, &Images::without_files(MessageFormat::Basic)) {
                Ok(coerced) => *value = coerced,
                Err(_) => {
                    let message = format!(
                        "parameter `{}` of node `{}` is no `{}`: {}",
                        entry.key,
                        name.text,
                        kind.word(),
                        shortened(value)
                    );
                    self.report(scope.problem("flow::bad_literal", entry.value.span, message));
                }
            }
        }
    }

    /// Literals of variables in image markdown are images: they are loaded now (spec: promptflow.md §2.5).
    pub(super) fn load_images(
        &mut self,
        scope: &mut Scope,
        name: &Written,
        written: &NodeFile<'_>,
        template: &Template,
        inputs: &mut Inputs,
    ) {
        for (variable, _) in template.image_variables() {
            let Some(Operand::Literal(value)) = inputs.get_mut(variable) else { continue };
            if value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
                continue;
            }
            let (files, folder) = (self.files, &scope.folder);
            let read = |path: &str| {
                let located = folder.locate(path).ok_or_else(|| FileError::Outside(path.to_owned()))?;
                files.read(&located)
            };
            match Images::new(MessageFormat::Basic, &read).image(value) {
                Ok(image) => {
                    if let Value::Blob(blob) = &image {
                        scope.folder.note(&format!("{}.inputs.{variable} (image)", name.text), &blob.hash);
                    }
                    *value = image;
                }
                Err(error) => {
                    let entry = written.inputs.iter().find(|entry| entry.key == *variable);
                    let at = entry.map_or(name.at, |entry| entry.value.span);
                    let message = format!("input `{variable}` of node `{}` should be an image: {error}", name.text);
                    self.report(scope.problem("flow::bad_image", at, message));
                }
            }
        }
    }
}

/// The types of the parameters of prompt flow's `llm` tools; `None` for what goes through as it is.
pub(crate) fn parameter_type(api: Api, name: &str) -> Option<InputType> {
    let shared = match name {
        "deployment_name" | "model" | "user" => InputType::String,
        "temperature" | "top_p" | "presence_penalty" | "frequency_penalty" => InputType::Double,
        "stream" => InputType::Bool,
        "stop" => InputType::List,
        "max_tokens" | "n" => InputType::Int,
        "logit_bias" => InputType::Object,
        _ => match (api, name) {
            (
                Api::Chat | Api::Responses,
                "function_call" | "tool_choice" | "response_format" | "metadata" | "stream_options" | "prediction"
                | "audio" | "web_search_options",
            ) => InputType::Object,
            (Api::Chat | Api::Responses, "functions" | "tools" | "modalities") => InputType::List,
            (Api::Chat | Api::Responses, "seed" | "max_completion_tokens" | "top_logprobs") => InputType::Int,
            (Api::Chat | Api::Responses, "parallel_tool_calls" | "store" | "logprobs") => InputType::Bool,
            (Api::Completion, "suffix") => InputType::String,
            (Api::Completion, "logprobs" | "best_of") => InputType::Int,
            (Api::Completion, "echo") => InputType::Bool,
            _ => return None,
        },
    };
    Some(shared)
}

/// The types of an `embedding` node's inputs; `None` for what goes through as it is.
pub(crate) fn embedding_parameter_type(name: &str) -> Option<InputType> {
    match name {
        "deployment_name" | "model" | "encoding_format" | "input_type" | "user" => Some(InputType::String),
        "dimensions" => Some(InputType::Int),
        _ => None,
    }
}
