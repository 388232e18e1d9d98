//! `.prompty` files: front matter and a template in one file, versions 1 (prompt flow's) and 2.

mod bind;
mod check;
mod front;
mod model;
mod options;
mod roles;
mod strict;
mod variables;

use std::fmt;
use std::sync::Arc;

use sluicegate_source::{Problem, SourceFile, Span};
use sluicegate_value::{Map, Value};

use sluicegate_model::{ChatApi, ChatRequest, Message, Prompt};

pub(crate) use front::{file_content, file_reference};

use crate::messages::{Flavour, MessagesError, conversation};
use crate::request::{RequestError, prompty_request, verbatim_request};
use crate::template::{Binding, Mode, Rendered, Template};

/// A prompty, read and checked. `${env:NAME}` in it stays as written until [`PromptyFile::resolve`].
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
    /// Whether `developer:` opens a message: always in version 2, by `developer_role: true` in version 1.
    pub developer_role: bool,
    /// Why it cannot run here, though it is as the format wants it.
    pub cannot_run: Option<Problem>,
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
#[derive(Clone, Default, PartialEq)]
pub struct PromptyModel {
    /// `chat`, `completion`, `responses`; version 2 also has `embedding` and `image`, which do not run.
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
    /// The first choice as version 2 has it: calls of tools as a list, a refusal's words, an empty text for nothing;
    /// text that was asked for as JSON and is none as it is.
    Lenient,
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
    /// Whether text that reads as a role is refused, not just kept from being one (version 2 only).
    pub strict: bool,
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
        let parts = front::split(file).map_err(|problem| vec![problem])?;
        let root = front::read(file, parts.front, read_file)?;
        let version = check::version(&root);
        let mut check = check::Check { file, version, problems: Vec::new(), warnings: Vec::new() };
        let declared = check.run(&root, read_file);
        let (mut problems, mut warnings) = (check.problems, check.warnings);
        variables::partial(&root, file, &mut warnings);
        let (body, mode) = match version {
            Version::V1 => (parts.body, Mode::PromptyV1),
            Version::V2 => {
                let mode = if check::is_mustache(&root) { Mode::Mustache } else { Mode::PromptyV2 };
                (without_outer_line_breaks(file, parts.body), mode)
            }
        };
        let template = match Template::parse(file, body, mode) {
            Ok(template) if problems.is_empty() => template,
            Ok(_) => return Err(problems),
            Err(problem) => {
                problems.push(problem);
                return Err(problems);
            }
        };
        let front = root.to_value().as_map().cloned().unwrap_or_default();
        Ok(Self {
            version,
            name: declared.name.unwrap_or_else(|| stem(file.name()).into()),
            description: declared.description,
            model: model::of(version, &front),
            inputs: declared.inputs,
            outputs: declared.outputs,
            sample: declared.sample,
            template: Arc::new(template),
            developer_role: declared.developer_role,
            cannot_run: declared.cannot_run,
            variables: variables::find(&root, version),
            front,
            warnings,
            file: file.clone(),
        })
    }

    /// The same with every `${env:NAME}` replaced by what `lookup` gives. An unset one stays as written in version 1;
    /// in version 2 it takes its default.
    ///
    /// # Errors
    /// Version 2: each unset one without a default.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<Arc<str>>) -> Result<(PromptyModel, Map), Vec<Problem>> {
        match variables::replace(&self.front, self.version, lookup) {
            Ok(front) => Ok((model::of(self.version, &front), front)),
            Err(unset) => Err(unset.iter().map(|(key, name)| self.unset_variable(key, name)).collect()),
        }
    }

    /// The inputs of a render: what is given (names that the prompty does not know are ignored), else the defaults;
    /// the sample when nothing at all is given.
    ///
    /// # Errors
    /// Inputs that are neither given nor have a default, `Missing required inputs: ['q']`; then the first strict input
    /// whose text reads as a role.
    pub fn bindings(&self, given: &Map) -> Result<Vec<Binding>, BindingError> {
        bind::bindings(self, given)
    }

    /// Cuts a rendered prompt into messages, as this version does; `inputs` are what it was rendered with (the turns
    /// of thread inputs are taken from there).
    ///
    /// # Errors
    /// Text that is no conversation.
    pub fn messages(&self, rendered: &Rendered, inputs: &[Binding]) -> Result<Vec<Message>, MessagesError> {
        match self.version {
            Version::V1 => conversation(rendered, Flavour::Prompty, self.developer_role),
            Version::V2 => roles::messages(self, rendered, inputs),
        }
    }

    /// The request that it makes: its parameters as they are, and the API that it names.
    ///
    /// # Errors
    /// Version 1: tools or functions that are not what the API takes.
    pub fn request(&self, deployment: &str, prompt: Prompt) -> Result<ChatRequest, RequestError> {
        let request = match self.version {
            Version::V1 => prompty_request(deployment, prompt, &self.model.parameters)?,
            // Its tools were made by us, and it says nothing of which one is called.
            Version::V2 => verbatim_request(deployment, prompt, &self.model.parameters),
        };
        Ok(ChatRequest { api: self.model.chat_api(), ..request })
    }

    fn unset_variable(&self, key: &str, name: &str) -> Problem {
        let span = self.variables.iter().find(|variable| &*variable.key == key).map(|variable| variable.span);
        Problem::error("prompty::unset_variable", format!("environment variable `{name}` is not set"))
            .in_file(&self.file)
            .at(span.unwrap_or_default(), format!("`{key}` needs it"))
            .help(format!("set it, or give a default: `${{env:{name}:…}}`"))
    }
}

impl PromptyModel {
    /// The API that it names; `None` if the connection says which one is asked.
    #[must_use]
    pub fn chat_api(&self) -> Option<ChatApi> {
        (&*self.api == "responses").then_some(ChatApi::Responses)
    }
}

/// Without the values of its front matter: where `${env:NAME}` was filled in, they are secrets.
impl fmt::Debug for PromptyFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PromptyFile")
            .field("version", &self.version)
            .field("name", &self.name)
            .field("file", &self.file.name())
            .field("model", &self.model)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("front", &self.front.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Without the values of where it lives and of its parameters, which may be secrets.
impl fmt::Debug for PromptyModel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PromptyModel")
            .field("api", &self.api)
            .field("provider", &self.provider)
            .field("deployment", &self.deployment)
            .field("connection", &self.connection)
            .field("configuration", &self.configuration.keys().collect::<Vec<_>>())
            .field("parameters", &self.parameters.keys().collect::<Vec<_>>())
            .field("response", &self.response)
            .finish()
    }
}

/// Why a prompty cannot be filled in with what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// Inputs that it needs and did not get.
    #[error("Missing required inputs: {}", sluicegate_value::python::repr(&names.iter().map(|name| Value::from(name.clone())).collect::<Vec<_>>().into()))]
    Missing {
        /// Their names, in the order of the file.
        names: Vec<Arc<str>>,
    },
    /// A strict input's text has a line that reads as a role.
    #[error("StrictViolation: input `{input}` is strict, and line {line} of its text begins with the role `{role}:`")]
    StrictViolation {
        /// The input's name.
        input: Arc<str>,
        /// The role, in lower case.
        role: Arc<str>,
        /// The line of the text, from 1; of a list or a map, the line in the text within that holds it.
        line: usize,
    },
}

impl BindingError {
    /// Its name in version 2 of the format: `StrictViolation`, `ValueError`.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "ValueError",
            Self::StrictViolation { .. } => "StrictViolation",
        }
    }
}

/// The body of a version 2 prompty: line breaks around it are not the author's text.
fn without_outer_line_breaks(file: &SourceFile, body: Span) -> Span {
    let text = file.slice(body);
    let blank_lines = |letter: char| matches!(letter, '\n' | '\r');
    let start = body.start as usize + (text.len() - text.trim_start_matches(blank_lines).len());
    let trimmed = text.trim_matches(blank_lines);
    Span::new(start, start + trimmed.len())
}

/// A file's name without folders and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}
