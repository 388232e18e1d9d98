//! A plan meets a config environment: connections and deployments are chosen, variables filled in, settings applied.
//!
//! Nothing is opened and nothing is asked: whoever binds says which variables and connections there are.

mod init;
mod model;
mod node;
mod setting;
mod variables;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use petgraph::graph::{DiGraph, NodeIndex};
use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::Map;

use crate::plan::{Node, NodeId, Operand, Plan};
use crate::signature::Signature;

pub use setting::{Setting, SettingTarget};

/// Looks up a variable of the process environment (or of a `.env` file).
pub type Lookup<'a> = dyn Fn(&str) -> Option<Arc<str>> + 'a;

/// Looks up a value of a connection, by the connection's name and the key, for `${connection.key}`.
pub type ConnectionLookup<'a> = dyn Fn(&ConnectionName, &str) -> ConnectionValue + 'a;

/// What came of looking up a value of a connection. Prints no value, which may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub enum ConnectionValue {
    /// This is it.
    Text(Arc<str>),
    /// There is no such connection.
    NoConnection,
    /// The connection has no such key: those that it has.
    NoKey(Vec<String>),
    /// The connection is not complete, for a reason that is told elsewhere or in this fragment.
    Incomplete(String),
}

/// What a plan is bound to.
pub struct Bindings<'a> {
    /// The connection of the config section: every `llm` and `prompty` node asks it.
    pub connection_name: Option<ConnectionName>,
    /// The deployment of the config section. `embedding` nodes ask it only if they name none themselves.
    pub deployment_name: Option<Arc<str>>,
    /// The deployment of the config section for `embedding` nodes.
    pub embedding_deployment_name: Option<Arc<str>>,
    /// What single nodes ask instead, by node name; `outer/inner` for a node of an inner flow.
    pub nodes: IndexMap<Arc<str>, NodeBinding>,
    /// Values that replace written ones.
    pub set: Vec<Setting>,
    /// Where variables come from.
    pub variable: &'a Lookup<'a>,
    /// The connections that there are; `None`: do not check.
    pub connections: Option<HashSet<ConnectionName>>,
    /// Where `${connection.key}` in `environment_variables` comes from; `None`: it stays as written.
    pub connection_value: Option<&'a ConnectionLookup<'a>>,
    /// What a flex flow's class is made with; if this is empty, its sample says.
    pub init: Map,
    /// The plan that the bound one was cut from by [`Plan::only`]: what `nodes` and `set` say about its other nodes is
    /// no mistake then.
    pub whole: Option<&'a Plan>,
}

/// What one node asks in place of what the section says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeBinding {
    /// Its connection.
    pub connection: Option<ConnectionName>,
    /// Its deployment.
    pub deployment_name: Option<Arc<str>>,
}

/// A plan with nothing left to ask for: it can run.
#[derive(Clone, Debug)]
pub struct BoundPlan(Arc<Plan>);

impl BoundPlan {
    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.0
    }

    /// The same with what Python says of a flex flow's function: see [`Plan::with_signature`].
    ///
    /// # Errors
    /// As there.
    pub fn with_signature(&self, signature: &Signature) -> Result<Self, Vec<Problem>> {
        Ok(Self(Arc::new(self.0.with_signature(signature)?)))
    }
}

impl fmt::Debug for ConnectionValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => out.write_str("Text(..)"),
            Self::NoConnection => out.write_str("NoConnection"),
            Self::NoKey(known) => write!(out, "NoKey({known:?})"),
            Self::Incomplete(reason) => write!(out, "Incomplete({reason})"),
        }
    }
}

impl<'a> Bindings<'a> {
    /// Bindings that change nothing and check no connection names.
    #[must_use]
    pub fn new(variable: &'a Lookup<'a>) -> Self {
        Self {
            connection_name: None,
            deployment_name: None,
            embedding_deployment_name: None,
            nodes: IndexMap::new(),
            set: Vec::new(),
            variable,
            connections: None,
            connection_value: None,
            init: Map::new(),
            whole: None,
        }
    }
}

/// Binds a plan, inner flows included.
///
/// # Errors
/// Every variable that is needed and not set, every connection that is missing or unknown, every setting that does
/// not fit; those that stem from a file with their places.
pub fn bind(plan: &Plan, bindings: &Bindings<'_>) -> Result<BoundPlan, Vec<Problem>> {
    let mut binder = Binder { bindings, problems: Vec::new(), reported: HashSet::new(), inner: HashMap::new() };
    let mut bound = plan.clone();
    for setting in &bindings.set {
        binder.apply(&mut bound, setting);
    }
    binder.check_names(&bound);
    binder.init(&mut bound);
    binder.plan(&mut bound, "");
    if binder.problems.is_empty() { Ok(BoundPlan(Arc::new(bound))) } else { Err(binder.problems) }
}

/// The name under which a prompty's own `configuration` is a connection: one for each file.
#[must_use]
pub fn inline_connection_name(prompty: &SourceFile) -> Arc<str> {
    format!("prompty:{}", prompty.name()).into()
}

struct Binder<'b, 'a> {
    bindings: &'b Bindings<'a>,
    problems: Vec<Problem>,
    /// Connections from outside that were reported: they have no place, so once is enough.
    reported: HashSet<ConnectionName>,
    /// Inner plans and what they were bound to, for those that are bound alike wherever they run.
    inner: HashMap<*const Plan, Arc<Plan>>,
}

impl Binder<'_, '_> {
    fn plan(&mut self, plan: &mut Plan, prefix: &str) {
        for node in &mut plan.nodes {
            self.node(node, &format!("{prefix}{}", node.name));
        }
        for output in plan.outputs.values_mut() {
            self.fill_in(&mut output.from, &output.at);
        }
        self.environment_variables(plan);
        plan.graph = graph_of(&plan.nodes);
    }

    /// An inner plan is bound once, unless `nodes` says something about its nodes where it runs here. Its address
    /// names it: the plan that is being bound holds it all the while.
    fn inner(&mut self, plan: &mut Arc<Plan>, path: &str) {
        let prefix = format!("{path}/");
        let is_alike = !self.bindings.nodes.keys().any(|node| node.starts_with(&prefix));
        let unbound = Arc::as_ptr(plan);
        if let Some(bound) = self.inner.get(&unbound).filter(|_| is_alike) {
            *plan = bound.clone();
            return;
        }
        let mut bound = Plan::clone(plan);
        self.plan(&mut bound, &prefix);
        *plan = Arc::new(bound);
        if is_alike {
            self.inner.insert(unbound, plan.clone());
        }
    }
}

/// The graph that a list of nodes spells out.
pub(crate) fn graph_of(nodes: &[Node]) -> DiGraph<NodeId, ()> {
    let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len());
    for index in 0..nodes.len() {
        graph.add_node(NodeId(index as u32));
    }
    for (index, node) in nodes.iter().enumerate() {
        let sources: HashSet<NodeId> = node.operands().filter_map(Operand::node).collect();
        let mut sources: Vec<NodeId> = sources.into_iter().collect();
        sources.sort_unstable();
        for source in sources {
            graph.add_edge(NodeIndex::new(source.index()), NodeIndex::new(index), ());
        }
    }
    graph
}
