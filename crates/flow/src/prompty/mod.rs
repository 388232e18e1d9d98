//! `.prompty` files: front matter and a template in one file, versions 1 (prompt flow's) and 2.

use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Map, Value};

use sluicegate_model::Message;

use crate::messages::MessagesError;
use crate::template::{Binding, Rendered, Template};

/// A prompty, read and checked. `${env:NAME}` in it stays as written until [`PromptyFile::resolve`].
#[derive(Debug)]
pub struct PromptyFile {
    /// Which format.
    pub version: Version,
    /// Its name: `name:`, else the file's stem.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// The model that it asks.
    pub model: PromptyModel,
    /// What it takes, in order.
    pub inputs: Vec<PromptyInput>,
    /// What its answer holds, in order; empty if not declared.
    pub outputs: Vec<PromptyOutput>,
    /// Inputs to use when none are given.
    pub sample: Option<Map>,
    /// The template.
    pub template: Arc<Template>,
    /// The whole front matter, files included, `${env:..}` as written.
    pub front: Map,
    /// Every `${env:NAME}`, with its place.
    pub variables: Vec<EnvironmentReference>,
    /// What is odd and does not stop a run.
    pub warnings: Vec<Problem>,
    /// The file.
    pub file: Arc<SourceFile>,
}

/// Which format a prompty has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Prompt flow's.
    V1,
    /// The one after it.
    V2,
}

/// The model that a prompty asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PromptyModel {
    /// `chat`, `completion`; version 2 also has `embedding`, `image`, `responses`.
    pub api: Arc<str>,
    /// `azure_openai`, `openai` …, as written.
    pub provider: Option<Arc<str>>,
    /// Deployment (Azure) or model.
    pub deployment: Option<Arc<str>>,
    /// The name of a connection.
    pub connection: Option<Arc<str>>,
    /// Where the model lives, as written: version 1's `configuration`, version 2's `connection`.
    pub configuration: Map,
    /// Parameters of the API, by its own names.
    pub parameters: Map,
    /// What the answer is.
    pub response: ResponseFormat,
}

/// What a prompty answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// The first choice's text (or message).
    #[default]
    First,
    /// The API's whole answer.
    All,
}

/// An input of a prompty.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptyInput {
    /// Its name.
    pub name: Arc<str>,
    /// Its type as written: `string`, `int` …, version 2 also `thread`, `image`; `None` if not said.
    pub kind: Option<Arc<str>>,
    /// What it is when not given.
    pub default: Option<Value>,
    /// What it is for.
    pub description: Option<Arc<str>>,
    /// Whether it must be given: no default, and not `required: false`.
    pub required: bool,
    /// Whether it is the user's message of a chat.
    pub is_chat_input: bool,
    /// Whether it is what was said before.
    pub is_chat_history: bool,
    /// Where its name stands.
    pub span: Span,
}

/// A part of a prompty's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptyOutput {
    /// Its name.
    pub name: Arc<str>,
    /// Its type as written.
    pub kind: Option<Arc<str>>,
    /// What it is.
    pub description: Option<Arc<str>>,
    /// Where its name stands.
    pub span: Span,
}

/// A `${env:NAME}` in a prompty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentReference {
    /// The variable.
    pub name: Arc<str>,
    /// What it is when unset: `${env:NAME:default}`, version 2 only.
    pub default: Option<Arc<str>>,
    /// The key that holds it: `model.configuration.api_key`.
    pub key: Arc<str>,
    /// Where it stands.
    pub span: Span,
}

impl PromptyFile {
    /// Reads a prompty. `read_file` gives the text of a file beside it for `${file:..}`, by the path as written.
    ///
    /// # Errors
    /// Every problem of the front matter and the template.
    pub fn read(
        file: &Arc<SourceFile>,
        read_file: &dyn Fn(&str) -> Result<Arc<str>, String>,
    ) -> Result<Self, Vec<Problem>> {
        let _ = (file, read_file);
        Err(Vec::new())
    }

    /// The same with every `${env:NAME}` replaced by what `lookup` gives. An unset one stays as written in version 1;
    /// in version 2 it takes its default.
    ///
    /// # Errors
    /// Version 2: each unset one without a default.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<Arc<str>>) -> Result<(PromptyModel, Map), Vec<Problem>> {
        let _ = lookup;
        Ok((self.model.clone(), self.front.clone()))
    }

    /// The inputs of a render: what is given (names that the prompty does not know are ignored), else the defaults;
    /// the sample when nothing at all is given.
    ///
    /// # Errors
    /// Inputs that are neither given nor have a default: `Missing required inputs: ['q']`.
    pub fn bindings(&self, given: &Map) -> Result<Vec<Binding>, MissingInputs> {
        let _ = given;
        Ok(Vec::new())
    }

    /// Cuts a rendered prompt into messages, as this version does; `inputs` are what it was rendered with (the turns
    /// of thread inputs are taken from there).
    ///
    /// # Errors
    /// Text that is no conversation.
    pub fn messages(&self, rendered: &Rendered, inputs: &[Binding]) -> Result<Vec<Message>, MessagesError> {
        let _ = (rendered, inputs);
        Ok(Vec::new())
    }
}

/// Inputs that a prompty needs and did not get.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Missing required inputs: {}", sluicegate_value::python::repr(&names.iter().map(|name| Value::from(name.clone())).collect::<Vec<_>>().into()))]
pub struct MissingInputs {
    /// Their names, in the order of the file.
    pub names: Vec<Arc<str>>,
}
