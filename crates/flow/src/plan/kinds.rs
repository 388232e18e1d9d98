//! What nodes do, by their kind, with what each kind needs.

use std::fmt;
use std::sync::Arc;

use sluicegate_model::{ConnectionName, Message};
use sluicegate_source::SourceFile;
use sluicegate_value::Value;

use super::{Operand, Place, Plan};
use crate::messages::{Flavour, MessagesError, conversation};
use crate::prompty::PromptyFile;
use crate::request::{Api, is_api_parameter, is_later_parameter};
use crate::template::{Expression, Rendered, Template};

/// What a node does.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Renders a template and asks a model.
    Llm(LlmNode),
    /// Renders a template.
    Prompt(Arc<Template>),
    /// Renders a prompty and asks the model that it names.
    Prompty(Arc<PromptyFile>),
    /// Computes an expression over its inputs.
    Expression(Arc<Expression>),
    /// Runs another flow.
    Flow(Arc<Plan>),
    /// Runs another flow for each item of a list.
    Map(MapNode),
    /// Runs another flow until an expression over its outputs holds.
    Loop(LoopNode),
    /// Makes one HTTP call.
    Http(Arc<HttpNode>),
    /// Turns texts into vectors: its input `input` is a text or a list of texts.
    Embedding(EmbeddingNode),
    /// Calls a Python tool.
    Python(PythonNode),
}

impl NodeKind {
    /// The kind as flows spell it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Llm(_) => "llm",
            Self::Prompt(_) => "prompt",
            Self::Prompty(_) => "prompty",
            Self::Expression(_) => "expression",
            Self::Flow(_) => "flow",
            Self::Map(_) => "map",
            Self::Loop(_) => "loop",
            Self::Http(_) => "http",
            Self::Embedding(_) => "embedding",
            Self::Python(_) => "python",
        }
    }

    /// The plan inside, for kinds that run another flow.
    #[must_use]
    pub fn inner(&self) -> Option<&Arc<Plan>> {
        match self {
            Self::Flow(plan) => Some(plan),
            Self::Map(map) => Some(&map.plan),
            Self::Loop(cycle) => Some(&cycle.plan),
            _ => None,
        }
    }
}

/// Renders a template and asks a model.
#[derive(Clone, Debug)]
pub struct LlmNode {
    /// The template.
    pub template: Arc<Template>,
    /// Whether the chat or the older completion API is asked.
    pub completion: bool,
    /// The connection, by the file or by what the plan was bound to; `None` until then.
    pub connection: Option<ConnectionName>,
    /// Whether the responses API is asked whatever the connection speaks: `api: responses`.
    pub responses: bool,
    /// Whether `developer:` opens a message: `developer_role: true`.
    pub developer_role: bool,
}

impl LlmNode {
    /// The API that it asks.
    #[must_use]
    pub fn api(&self) -> Api {
        match (self.completion, self.responses) {
            (true, _) => Api::Completion,
            (false, true) => Api::Responses,
            (false, false) => Api::Chat,
        }
    }

    /// Whether an input is a parameter of the API rather than a variable of the template. Names that the original did
    /// not know are variables where the template reads them.
    #[must_use]
    pub fn is_parameter(&self, input: &str) -> bool {
        let is_read = || self.template.variables().iter().any(|(variable, _)| **variable == *input);
        is_api_parameter(self.api(), input) && !(is_later_parameter(self.api(), input) && is_read())
    }

    /// Cuts its rendered template into messages.
    ///
    /// # Errors
    /// Text that is no conversation.
    pub fn messages(&self, rendered: &Rendered) -> Result<Vec<Message>, MessagesError> {
        conversation(rendered, Flavour::Tool, self.developer_role)
    }
}

/// Runs another flow for each item of a list; its output is the list of the flow's outputs, in order.
#[derive(Clone, Debug)]
pub struct MapNode {
    /// The flow.
    pub plan: Arc<Plan>,
    /// Where the list comes from.
    pub over: Operand,
    /// The inner flow's input that gets the item.
    pub item: Arc<str>,
    /// How many items at once; `None`: as many as the run allows.
    pub concurrency: Option<usize>,
}

/// Runs another flow until an expression over its outputs holds. Each round's outputs replace the inputs of the same
/// name for the next; the node's output is the last round's outputs.
#[derive(Clone, Debug)]
pub struct LoopNode {
    /// The flow.
    pub plan: Arc<Plan>,
    /// When to stop: an expression over the round's outputs by name, `inputs` and `iteration` (from 1).
    pub until: Arc<Expression>,
    /// The most rounds; the node fails when the expression does not hold after them.
    pub max_iterations: u32,
}

/// Makes one HTTP call. Its templates and expressions read the node's inputs.
#[derive(Clone, Debug)]
pub struct HttpNode {
    /// `GET`, `POST`, … in upper case.
    pub method: Arc<str>,
    /// The address, without what `query` adds.
    pub url: Arc<Template>,
    /// What is added to the address's query, in order; percent-encoded when sent.
    pub query: Vec<(Arc<str>, JsonTemplate)>,
    /// Headers, in order. One that holds a secret is written with `${env:NAME}`.
    pub headers: Vec<(Arc<str>, Arc<Template>)>,
    /// The body, if it has one.
    pub body: Option<HttpBody>,
    /// Whether an answer with a status other than 2xx is an output (`expect: any`) rather than a failure.
    pub any_status: bool,
    /// The most redirects that are followed, within what the settings allow; `None`: as those say.
    pub redirects: Option<u32>,
    /// The most bytes of an answer, within what the settings allow; `None`: as those say.
    pub max_size: Option<u64>,
    /// The variables of the process environment that its texts read, each once.
    pub variables: Vec<HttpVariable>,
}

/// A `${env:NAME}` in the texts of an HTTP call. Prints no value, which may be a secret.
#[derive(Clone)]
pub struct HttpVariable {
    /// The variable.
    pub name: Arc<str>,
    /// What it holds; `None` until the plan is bound.
    pub value: Option<Arc<str>>,
    /// Where it is first read.
    pub at: Place,
}

impl fmt::Debug for HttpVariable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "HttpVariable({})", self.name)
    }
}

/// The body of an HTTP call.
#[derive(Clone, Debug)]
pub enum HttpBody {
    /// `body:`, a text as it is rendered.
    Text(Arc<Template>),
    /// `json:`, sent with `content-type: application/json`.
    Json(JsonTemplate),
}

/// A value with templates in it. A text that is one `{{ expression }}` and nothing else gives the expression's value as
/// it is, list or number; any other text is rendered.
#[derive(Clone, Debug)]
pub enum JsonTemplate {
    /// A rendered text.
    Text(Arc<Template>),
    /// An expression's value.
    Value(Arc<Expression>),
    /// A list.
    List(Vec<JsonTemplate>),
    /// A map, in order.
    Map(Vec<(Arc<str>, JsonTemplate)>),
    /// Anything else, as it stands in the file.
    Literal(Value),
}

/// Turns texts into vectors. Its inputs: `input` (a text, or a list of texts), `deployment_name` or `model`, and whatever
/// else the API takes, such as `dimensions`.
#[derive(Clone, Debug)]
pub struct EmbeddingNode {
    /// The connection, by the file or by what the plan was bound to; `None` until then.
    pub connection: Option<ConnectionName>,
}

/// What becomes of a node whose request or reply a content filter stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFiltered {
    /// A stopped request fails the node, as in the original; a stopped reply is its output as far as it came.
    #[default]
    AsOriginal,
    /// `on_filtered: fail`: both fail the node.
    Fail,
    /// `on_filtered: report`: its output is `{filtered: {state, findings, message}, text}`.
    Report,
}

/// Calls a Python tool, or a `custom_llm` / package tool, which are Python too.
#[derive(Clone, Debug, Default)]
pub struct PythonNode {
    /// The file, relative to the flow's folder; `None` for a package tool.
    pub file: Option<Arc<SourceFile>>,
    /// The package tool's id, such as `promptflow.tools.embedding.embedding`.
    pub tool: Option<Arc<str>>,
    /// The template of a `custom_llm` node.
    pub template: Option<Arc<Template>>,
    /// The connection of a `custom_llm` node.
    pub connection: Option<ConnectionName>,
    /// What a flex flow names, in place of a file and of a package's tool.
    pub entry: Option<Entry>,
}

/// What a flex flow names in Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `module:function` or `module:Class`.
    pub entry: Arc<str>,
    /// Whether this is the class's `__aggregate__`, for all lines, rather than its `__call__`, for each.
    pub is_aggregate: bool,
}
