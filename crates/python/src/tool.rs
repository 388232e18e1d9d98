//! Tools: where they come from, and what they take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::ser::SerializeTuple as _;
use serde::{Serialize, Serializer};
use sluicegate_model::TraceContext;
use sluicegate_value::{Map, Value};

use crate::argument::Argument;
use crate::pace::Pace;

/// Where a tool comes from.
#[derive(Clone, Debug)]
pub enum ToolSource {
    /// The one `@tool` of a file, an absolute path.
    File(PathBuf),
    /// A package's tool by its id: `package.module.function` or `package.module.Class.method`.
    Package(Arc<str>),
    /// What a flex flow names.
    Entry {
        /// `module:function` or `module:Class`.
        entry: Arc<str>,
        /// What the class is made with. The same entry with the same values means the same object (per worker).
        init: Vec<(Arc<str>, Argument)>,
        /// The class's method.
        method: EntryMethod,
    },
}

/// Which method of a flex flow's class is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EntryMethod {
    /// `__call__`, for each line. A function is called itself.
    #[default]
    Call,
    /// `__aggregate__`, after all lines.
    Aggregate,
}

impl EntryMethod {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Call => "__call__",
            Self::Aggregate => "__aggregate__",
        }
    }
}

/// A tool that was loaded, as its pool knows it.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The function's name.
    pub name: Arc<str>,
    /// How it gives its value.
    pub kind: ToolKind,
    /// What it takes, without a method's own object.
    pub parameters: Vec<Parameter>,
    /// For a method: its class. The `init` parameters come from the node's inputs too, and must be literals there.
    pub provider: Option<Provider>,
    /// Where it comes from.
    pub source: ToolSource,
    /// Its name in the workers.
    pub(crate) key: Arc<str>,
    /// How long its calls take.
    pub(crate) pace: Arc<Pace>,
}

impl Tool {
    /// The parameter of that name; a provider's too.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        let init = self.provider.iter().flat_map(|provider| &provider.init);
        init.chain(&self.parameters).find(|parameter| *parameter.name == *name && parameter.kind != ParameterType::Rest)
    }

    /// Whether it takes inputs of any name (`**kwargs`).
    #[must_use]
    pub fn takes_any(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.kind == ParameterType::Rest)
    }
}

/// How a tool gives its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolKind {
    /// It returns it. One such call at a time runs in a worker.
    #[default]
    Function,
    /// It is awaited; such calls run together.
    Coroutine,
    /// It gives pieces.
    Generator,
    /// It gives pieces that are awaited.
    AsyncGenerator,
}

impl ToolKind {
    /// Whether its calls run together on an event loop.
    #[must_use]
    pub fn is_async(self) -> bool {
        matches!(self, Self::Coroutine | Self::AsyncGenerator)
    }
}

/// The class whose method a tool is.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name.
    pub name: Arc<str>,
    /// What its objects are made with.
    pub init: Vec<Parameter>,
    /// Whether it has a method `__aggregate__` (flex flows).
    pub aggregates: bool,
}

/// Something that a tool takes.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Arc<str>,
    /// What it takes.
    pub kind: ParameterType,
    /// Whether it must be given.
    pub required: bool,
    /// Its default, if that is a boolean, a number or text.
    pub default: Option<Value>,
}

/// What a parameter takes, in the original's words (spec: promptflow.md §1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParameterType {
    /// `int`.
    Int,
    /// `float`.
    Double,
    /// `bool`.
    Bool,
    /// `str`.
    Text,
    /// `list`.
    List,
    /// Anything: `dict`, no annotation, a union.
    Object,
    /// One of these values.
    Enum(Vec<String>),
    /// A connection.
    Connection {
        /// The names of the classes that it may have.
        classes: Vec<String>,
        /// For a class of the user's own (a custom strong type): its module.
        custom: Option<String>,
    },
    /// An image.
    Image,
    /// Other types of the original: `assistant_definition`, `secret`, `prompt_template`, `file_path`.
    Other(String),
    /// `**kwargs`: whatever else there is.
    Rest,
}

/// One call of a tool.
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// What is called.
    pub tool: Arc<Tool>,
    /// With what.
    pub inputs: Vec<(Arc<str>, Argument)>,
    /// For which node.
    pub node: Option<Arc<str>>,
    /// For which line: while objects of it live in a worker, its calls go there, and [`crate::Pool::end_line`] lets go of
    /// them.
    pub line: Option<LineId>,
    /// The node's span, so that user code's spans and calls stand below it.
    pub trace: Option<TraceContext>,
    /// When the caller gives up.
    pub deadline: Option<Instant>,
    /// How long it may run, counted from when it begins in a worker; that it waits for other calls there does not count.
    pub timeout: Option<Duration>,
}

impl ToolCall {
    /// A call without node, line, trace and limits.
    #[must_use]
    pub fn new(tool: Arc<Tool>, inputs: Vec<(Arc<str>, Argument)>) -> Self {
        Self { tool, inputs, node: None, line: None, trace: None, deadline: None, timeout: None }
    }
}

/// Which line (and repeat) of which run a call belongs to: unique in a pool's life, chosen by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineId(pub u64);

/// A step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyStep {
    /// `.word`: a dict's key, else an attribute.
    Word(Arc<str>),
    /// `['key']`.
    Key(Arc<str>),
    /// `[3]`.
    Index(i64),
}

impl Serialize for PropertyStep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        match self {
            Self::Word(word) => {
                pair.serialize_element("word")?;
                pair.serialize_element(&**word)?;
            }
            Self::Key(key) => {
                pair.serialize_element("key")?;
                pair.serialize_element(&**key)?;
            }
            Self::Index(index) => {
                pair.serialize_element("index")?;
                pair.serialize_element(index)?;
            }
        }
        pair.end()
    }
}

/// Reads a worker's description of a tool.
pub(crate) fn described(told: &Value, source: ToolSource, key: Arc<str>) -> Tool {
    let text = |name: &str| -> Option<Arc<str>> { told.get(name).and_then(Value::as_str).map(Arc::from) };
    let kind = match told.get("kind").and_then(Value::as_str) {
        Some("coroutine") => ToolKind::Coroutine,
        Some("generator") => ToolKind::Generator,
        Some("async_generator") => ToolKind::AsyncGenerator,
        _ => ToolKind::Function,
    };
    let provider = text("provider").map(|name| Provider {
        name,
        init: parameters(told.get("init")),
        aggregates: told.get("aggregates").and_then(Value::as_bool).unwrap_or_default(),
    });
    let name = text("name").unwrap_or_default();
    let parameters = parameters(told.get("parameters"));
    Tool { name, kind, parameters, provider, source, key, pace: Arc::default() }
}

fn parameters(told: Option<&Value>) -> Vec<Parameter> {
    let told = told.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_map);
    told.map(|told| Parameter {
        name: told.get("name").and_then(Value::as_str).unwrap_or_default().into(),
        kind: parameter_type(told),
        required: told.get("required").and_then(Value::as_bool).unwrap_or_default(),
        default: told.get("default").cloned(),
    })
    .collect()
}

fn parameter_type(told: &Map) -> ParameterType {
    let words = |name: &str| -> Vec<String> {
        let items = told.get(name).and_then(Value::as_list).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    match told.get("type").and_then(Value::as_str).unwrap_or("object") {
        "int" => ParameterType::Int,
        "double" => ParameterType::Double,
        "bool" => ParameterType::Bool,
        "string" => ParameterType::Text,
        "list" => ParameterType::List,
        "object" => ParameterType::Object,
        "enum" => ParameterType::Enum(words("values")),
        "image" => ParameterType::Image,
        "rest" => ParameterType::Rest,
        "connection" => {
            let is_custom = told.get("custom").and_then(Value::as_bool).unwrap_or_default();
            let module = told.get("module").and_then(Value::as_str).filter(|_| is_custom);
            ParameterType::Connection { classes: words("classes"), custom: module.map(ToOwned::to_owned) }
        }
        other => ParameterType::Other(other.to_owned()),
    }
}
