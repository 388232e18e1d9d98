//! A checked flow: every reference leads to something that exists, every template parses, nothing is left to check.

mod kinds;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use petgraph::graph::DiGraph;
use sluicegate_model::ConnectionName;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::{Map, Value};

use crate::flex::FlexFlow;
use crate::template::Expression;

pub use kinds::{
    EmbeddingNode, Entry, HttpBody, HttpNode, HttpVariable, JsonTemplate, LlmNode, LoopNode, MapNode, NodeKind,
    OnFiltered, PythonNode,
};

/// The name of a node, unique in its flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(pub Arc<str>);

impl fmt::Display for NodeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl From<&str> for NodeName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// A node of a plan, by its position in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The position in [`Plan::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A place in one of a plan's files.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Where in it.
    pub span: Span,
}

/// A checked flow. Prints what it is, not what is in it: a bound plan holds secrets.
#[derive(Clone)]
pub struct Plan {
    /// The flow's name: `name:` of the file, else its folder's name, else the prompty's stem.
    pub name: Arc<str>,
    /// The flow's folder as given to compile; paths in errors and the working directory of its tools.
    pub folder: Arc<str>,
    /// What it takes, in the order of the file.
    pub inputs: IndexMap<Arc<str>, InputSpec>,
    /// What it gives, in the order of the file.
    pub outputs: IndexMap<Arc<str>, OutputSpec>,
    /// Its nodes, in the order of the file.
    pub nodes: Vec<Node>,
    /// An edge from each node to each node that waits for it; node weights are positions in `nodes`, and the graph's
    /// own indices are the same numbers.
    pub graph: DiGraph<NodeId, ()>,
    /// `environment_variables:` of the file, values resolved to text when bound; as written where nothing reads them.
    pub environment_variables: IndexMap<Arc<str>, Value>,
    /// How images stand in inputs and outputs.
    pub message_format: MessageFormat,
    /// The inputs and output that make it a chat.
    pub chat: Option<ChatMarkers>,
    /// What must be known of the outside before it can run, with the places that ask for it.
    pub needs: Vec<Need>,
    /// Inputs to use when none at all are given; only a prompty has them.
    pub sample: Option<Map>,
    /// What `additional_includes` puts into the flow's folder for its Python files, in the order of the file.
    pub includes: Vec<Include>,
    /// The list of Python packages that it needs, by its path below the project's root: what
    /// `environment.python_requirements_txt` names, else `requirements.txt` beside the flow if there is one.
    pub requirements: Option<Arc<str>>,
    /// What it is beyond its one Python node, if it is a flex flow.
    pub flex: Option<FlexFlow>,
    /// SHA-256 over every file that went into it, names included, in lower-case hex.
    pub hash: Arc<str>,
}

/// A file or folder from elsewhere that a flow sees as if it stood in its own folder (spec: promptflow.md §1.14).
///
/// Whoever makes such a folder on disk copies the flow's folder first, and then each of these; what is there already
/// stays. Two folders of one name become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// Where it is, below the project's root.
    pub source: Arc<str>,
    /// Its name in the flow's folder.
    pub target: Arc<str>,
}

impl Plan {
    /// The node of this id.
    ///
    /// # Panics
    /// Ids of another plan may be out of range; those of this plan never are.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The node of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| &*node.name.0 == name).map(|index| NodeId(index as u32))
    }

    /// What this plan and the plans inside it, each once, need of the outside.
    #[must_use]
    pub fn all_needs(&self) -> Vec<Need> {
        let mut needs = self.needs.clone();
        for_each_inner(&self.nodes, &mut HashSet::new(), &mut |plan| needs.extend(plan.needs.iter().cloned()));
        needs
    }

    /// The nodes that wait for `id`, each once.
    pub fn successors(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.graph.neighbors(petgraph::graph::NodeIndex::new(id.index())).map(|index| self.graph[index])
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes: Vec<&str> = self.nodes.iter().map(|node| &*node.name.0).collect();
        out.debug_struct("Plan")
            .field("name", &self.name)
            .field("folder", &self.folder)
            .field("nodes", &nodes)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// Calls `visit` with every plan inside these nodes, each once however often it is run.
fn for_each_inner(nodes: &[Node], seen: &mut HashSet<*const Plan>, visit: &mut dyn FnMut(&Plan)) {
    for plan in nodes.iter().filter_map(|node| node.kind.inner()) {
        if seen.insert(Arc::as_ptr(plan)) {
            visit(plan);
            for_each_inner(&plan.nodes, seen, visit);
        }
    }
}

/// Whether any of these nodes, or of those in the flows that they run, is Python: who reads environment variables.
pub(crate) fn runs_python(nodes: &[Node]) -> bool {
    let is_python = |nodes: &[Node]| nodes.iter().any(|node| matches!(node.kind, NodeKind::Python(_)));
    let mut found = is_python(nodes);
    for_each_inner(nodes, &mut HashSet::new(), &mut |plan| found |= is_python(&plan.nodes));
    found
}

/// What a flow takes.
#[derive(Clone, Debug)]
pub struct InputSpec {
    /// Its type.
    pub kind: InputType,
    /// What it is when nothing is given, coerced; `None`: it must be given.
    pub default: Option<Value>,
    /// Whether its value must not be shown: `type: secret`.
    pub secret: bool,
    /// What the author says of it.
    pub description: Option<Arc<str>>,
    /// Where it is declared.
    pub at: Place,
}

/// The type of a flow's input (spec: promptflow.md §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the format")]
pub enum InputType {
    Int,
    Double,
    Bool,
    String,
    List,
    Object,
    Image,
    /// `secret`, `file_path`, `prompt_template`, `assistant_definition`: passed as they are.
    Untouched,
}

/// What a flow gives.
#[derive(Clone, Debug)]
pub struct OutputSpec {
    /// Where it comes from. An output of an aggregation node is not in the plan (a warning says so).
    pub from: Operand,
    /// Whether it is only of interest to evaluation.
    pub evaluation_only: bool,
    /// Where it is declared.
    pub at: Place,
}

/// Where a value comes from. Prints no literal: it may be what a variable held.
#[derive(Clone)]
pub enum Operand {
    /// It stands in the file.
    Literal(Value),
    /// A flow input.
    Input(Arc<str>),
    /// The output of a node, or something inside it.
    Output {
        /// Which node.
        node: NodeId,
        /// The way into its output; empty for the whole.
        property: Arc<[Step]>,
        /// The property as written, for messages.
        written: Arc<str>,
    },
}

/// A step into a value (spec: promptflow.md §1.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.word`: the key of a map, else a Python attribute.
    Word(Arc<str>),
    /// `['key']`: the key of a map.
    Key(Arc<str>),
    /// `[0]`: an item of a list or a letter of a text.
    Index(usize),
}

/// A step of the flow.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What it does.
    pub kind: NodeKind,
    /// What it takes, in the order of the file. For `llm` nodes API parameters stand among the template variables.
    pub inputs: IndexMap<Arc<str>, Operand>,
    /// When it runs at all.
    pub activate: Option<Activate>,
    /// Whether it runs once over all lines.
    pub aggregation: bool,
    /// How often it is tried; beyond what a connection does by itself.
    pub retry: Option<RetryPolicy>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Whether recorded replies may answer its model calls; `None`: as the run says.
    pub cache: Option<bool>,
    /// What becomes of it when a content filter stops its request or reply.
    pub on_filtered: OnFiltered,
    /// Whether text that it makes may hold role headers of its own when a `prompt` or `python` node feeds an `llm` node
    /// (`role_headers: false` on the node switches it off).
    pub role_headers: bool,
    /// Where it stands.
    pub at: Place,
}

/// When a node runs: one condition.
#[derive(Clone, Debug)]
pub enum Activate {
    /// `when` equals `is`, by Python's `==`.
    Equals {
        /// What is looked at.
        when: Operand,
        /// What it must equal.
        is: Value,
    },
    /// An expression over flow inputs (`inputs.x`) and node outputs (`node.output`, by node name) is true.
    If {
        /// The expression.
        expression: Arc<Expression>,
        /// What it reads, under dotted names: `inputs.x` for each flow input, `node.output` for each node. See
        /// [`nested`].
        operands: IndexMap<Arc<str>, Operand>,
    },
}

/// Turns values under dotted names into the variables of an expression: `inputs.x` becomes `inputs` with a key `x`.
#[must_use]
pub fn nested(values: impl IntoIterator<Item = (Arc<str>, Value)>) -> Vec<(Arc<str>, Value)> {
    let mut variables: IndexMap<Arc<str>, Map> = IndexMap::new();
    for (name, value) in values {
        let (variable, key) = name.split_once('.').unwrap_or((&name, "output"));
        variables.entry(variable.into()).or_default().insert(key, value);
    }
    variables.into_iter().map(|(name, map)| (name, map.into())).collect()
}

impl fmt::Debug for Operand {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => write!(out, "Literal({})", value.type_name()),
            Self::Input(name) => write!(out, "Input({name})"),
            Self::Output { node, written, .. } => write!(out, "Output({}, {written})", node.0),
        }
    }
}

impl Operand {
    /// The node whose output it reads.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Output { node, .. } => Some(*node),
            _ => None,
        }
    }
}

impl Node {
    /// Every operand that it reads: its inputs, the list of a `map` node, and what its condition looks at.
    pub fn operands(&self) -> impl Iterator<Item = &Operand> {
        let over = match &self.kind {
            NodeKind::Map(map) => Some(&map.over),
            _ => None,
        };
        let (when, read) = match &self.activate {
            Some(Activate::Equals { when, .. }) => (Some(when), None),
            Some(Activate::If { operands, .. }) => (None, Some(operands.values())),
            None => (None, None),
        };
        self.inputs.values().chain(over).chain(when).chain(read.into_iter().flatten())
    }
}

/// How often a node is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// The pause before the second attempt, doubled for each further one.
    pub initial: Duration,
    /// The longest pause.
    pub max: Duration,
}

/// How images stand in inputs and outputs (spec: promptflow.md §1.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessageFormat {
    /// `{"data:image/png;base64": "…"}`.
    #[default]
    Basic,
    /// `{"type": "image_url", "image_url": {…}}`.
    OpenAiVision,
}

/// The inputs and output that make a flow a chat (spec: promptflow.md §1.15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMarkers {
    /// The input that holds what the person says.
    pub input: Arc<str>,
    /// The input that holds the turns before.
    pub history: Arc<str>,
    /// The output that holds the answer.
    pub output: Arc<str>,
}

/// Something that must be known of the outside before the plan can run.
#[derive(Clone, Debug)]
pub struct Need {
    /// What.
    pub what: NeedKind,
    /// The node that asks, if one does.
    pub node: Option<NodeName>,
    /// Where.
    pub at: Place,
}

/// What a plan needs of the outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// `${env:NAME}`.
    Variable(Arc<str>),
    /// A connection by name.
    Connection(ConnectionName),
}
