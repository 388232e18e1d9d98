//! A plan meets a config environment: connections and deployments are chosen, variables filled in, settings applied.
//!
//! Nothing is opened and nothing is asked: whoever binds says which variables and connections there are.

mod setting;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use petgraph::graph::{DiGraph, NodeIndex};
use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::{Value, python};

use crate::file::quoted;
use crate::plan::{Activate, HttpNode, Node, NodeId, NodeKind, NodeName, Operand, Place, Plan, runs_python};
use crate::prompty::{PromptyFile, Version};
use crate::reference;

pub use setting::{Setting, SettingTarget};

/// Looks up a variable of the process environment (or of a `.env` file).
pub type Lookup<'a> = dyn Fn(&str) -> Option<Arc<str>> + 'a;

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
        let has_readers = runs_python(&plan.nodes);
        for (name, value) in plan.environment_variables.iter_mut().filter(|_| has_readers) {
            let place = plan.needs.iter().find(|need| need.node.is_none()).map(|need| need.at.clone());
            if let Some(variable) = value.as_str().and_then(reference::variable) {
                match (self.bindings.variable)(variable) {
                    Some(text) => *value = text.into(),
                    None => self.unset(variable, &format!("environment variable `{name}` of the flow"), place.as_ref()),
                }
            } else {
                *value = match &*value {
                    Value::Str(_) => continue,
                    nested @ (Value::List(_) | Value::Map(_)) => nested.to_json().into(),
                    plain => python::str(plain).into(),
                };
            }
        }
        plan.graph = graph_of(&plan.nodes);
    }

    fn node(&mut self, node: &mut Node, path: &str) {
        let place = node.at.clone();
        for operand in node.inputs.values_mut() {
            self.fill_in(operand, &place);
        }
        match &mut node.activate {
            Some(Activate::Equals { when, .. }) => self.fill_in(when, &place),
            Some(Activate::If { .. }) | None => {}
        }
        let own = self.bindings.nodes.get(path);
        let connection = own.and_then(|own| own.connection.clone()).or_else(|| self.bindings.connection_name.clone());
        let deployment =
            own.and_then(|own| own.deployment_name.clone()).or_else(|| self.bindings.deployment_name.clone());
        let name = node.name.clone();
        match &mut node.kind {
            NodeKind::Llm(llm) => {
                self.fill_in_connection(connection.as_ref(), &mut llm.connection, &place);
                if let Some(deployment) = deployment.filter(|_| !self.sets_deployment(path)) {
                    ask(&mut node.inputs, deployment);
                }
                self.check_connection(&name, connection.as_ref(), llm.connection.as_ref(), &place);
                llm.connection = connection.or_else(|| llm.connection.take());
                if !names_deployment(&node.inputs) {
                    let own = "give it one (`deployment_name:` in its inputs)";
                    self.no_deployment(&name, own, "deployment_name", &place);
                }
            }
            NodeKind::Embedding(embedding) => {
                self.fill_in_connection(connection.as_ref(), &mut embedding.connection, &place);
                // The section's `deployment_name` is a chat's, most often: it is better than none, and no more.
                let of_section = self.bindings.embedding_deployment_name.clone();
                let deployment = own
                    .and_then(|own| own.deployment_name.clone())
                    .or(of_section)
                    .or_else(|| deployment.filter(|_| !names_deployment(&node.inputs)));
                if let Some(deployment) = deployment.filter(|_| !self.sets_deployment(path)) {
                    ask(&mut node.inputs, deployment);
                }
                self.check_connection(&name, connection.as_ref(), embedding.connection.as_ref(), &place);
                embedding.connection = connection.or_else(|| embedding.connection.take());
                if !names_deployment(&node.inputs) {
                    let own = "give it one (`deployment_name:` in its inputs)";
                    self.no_deployment(&name, own, "embedding_deployment_name", &place);
                }
            }
            NodeKind::Http(http) if !http.variables.is_empty() => {
                let mut bound = HttpNode::clone(http);
                for variable in &mut bound.variables {
                    variable.value = (self.bindings.variable)(&variable.name);
                    if variable.value.is_none() {
                        self.unset(&variable.name, "", Some(&variable.at));
                    }
                }
                *http = Arc::new(bound);
            }
            NodeKind::Prompty(prompty) => {
                let own = prompty.model.connection.clone().map(ConnectionName);
                let is_inline = connection.is_none() && own.is_none();
                if !is_inline {
                    self.check_connection(&name, connection.as_ref(), own.as_ref(), &place);
                }
                let mut bound = self.prompty(prompty, connection, deployment);
                if is_inline {
                    bound.model.connection = Some(inline_connection_name(&bound.file));
                }
                if bound.model.deployment.is_none() {
                    let own = match bound.version {
                        Version::V1 => "give it one (`azure_deployment` or `model` in its `configuration`)",
                        Version::V2 => "give it one (`id` in its `model`)",
                    };
                    self.no_deployment(
                        &name,
                        own,
                        "deployment_name",
                        &Place { file: bound.file.clone(), span: Span::default() },
                    );
                }
                *prompty = Arc::new(bound);
            }
            NodeKind::Map(map) => {
                self.fill_in(&mut map.over, &place);
                self.inner(&mut map.plan, path);
            }
            NodeKind::Flow(plan) => self.inner(plan, path),
            NodeKind::Loop(cycle) => self.inner(&mut cycle.plan, path),
            NodeKind::Python(python) => {
                self.fill_in_connection(connection.as_ref(), &mut python.connection, &place);
                if let Some(own) = &python.connection {
                    let replaced = connection.as_ref();
                    self.check_connection(&name, replaced, Some(own), &place);
                    python.connection = connection.or_else(|| python.connection.take());
                }
            }
            NodeKind::Prompt(_) | NodeKind::Expression(_) | NodeKind::Http(_) => {}
        }
    }

    /// Whether a flag sets a node's deployment, which comes before the config section's. Flags name nodes of the outer
    /// flow only.
    fn sets_deployment(&self, path: &str) -> bool {
        self.bindings.set.iter().any(|setting| match &setting.target {
            SettingTarget::NodeInput { node: of, input } => {
                &**of == path && matches!(&**input, "deployment_name" | "model")
            }
            SettingTarget::Default { .. } => false,
        })
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

    /// Replaces a literal `${env:NAME}`.
    fn fill_in(&mut self, operand: &mut Operand, place: &Place) {
        let Operand::Literal(value) = operand else { return };
        let Some(name) = value.as_str().and_then(reference::variable) else { return };
        match (self.bindings.variable)(name) {
            Some(text) => *value = text.into(),
            None => {
                let name = name.to_owned();
                self.unset(&name, "", Some(place));
            }
        }
    }

    /// Replaces a connection's name `${env:NAME}`, unless the outside replaces the whole name.
    fn fill_in_connection(
        &mut self,
        outside: Option<&ConnectionName>,
        own: &mut Option<ConnectionName>,
        place: &Place,
    ) {
        let Some(name) = own.as_ref().filter(|_| outside.is_none()).and_then(|own| reference::variable(&own.0)) else {
            return;
        };
        match (self.bindings.variable)(name) {
            Some(text) => *own = Some(ConnectionName(text)),
            None => {
                let name = name.to_owned();
                self.unset(&name, "", Some(place));
            }
        }
    }

    fn unset(&mut self, variable: &str, by: &str, place: Option<&Place>) {
        let by = if by.is_empty() { String::new() } else { format!(", which {by} takes") };
        let problem = Problem::error("flow::unset_variable", format!("variable `{variable}` is not set{by}"))
            .help(format!("set `{variable}` in the environment or in `.env`"));
        self.problems.push(match place {
            Some(place) => problem.in_file(&place.file).at(place.span, ""),
            None => problem,
        });
    }

    fn check_connection(
        &mut self,
        node: &NodeName,
        outside: Option<&ConnectionName>,
        own: Option<&ConnectionName>,
        place: &Place,
    ) {
        let Some(connection) = outside.or(own) else {
            let problem = Problem::error("flow::no_connection", format!("node `{node}` names no connection"));
            self.problems.push(
                problem.in_file(&place.file).at(place.span, "").help(
                    "give it one (`connection:`), or give the flow one (`connection_name:` in its config section)",
                ),
            );
            return;
        };
        let Some(known) = &self.bindings.connections else { return };
        if known.contains(connection) {
            return;
        }
        let mut names: Vec<&str> = known.iter().map(|name| &*name.0).collect();
        names.sort_unstable();
        let help = match suggest::nearest(&connection.0, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "define it under `connections:` in the project's config".to_owned(),
            None => format!("connections: {}", quoted(names)),
        };
        let problem =
            Problem::error("flow::unknown_connection", format!("there is no connection `{connection}`")).help(help);
        match outside {
            Some(outside) if !self.reported.insert(outside.clone()) => {}
            Some(_) => self.problems.push(problem),
            None => self.problems.push(problem.in_file(&place.file).at(place.span, format!("node `{node}` asks it"))),
        }
    }

    fn no_deployment(&mut self, node: &NodeName, own: &str, key: &str, place: &Place) {
        let message = format!("node `{node}` names no deployment and no model");
        let help = format!("{own}, or give the flow one (`{key}:` in its config section)");
        self.problems
            .push(Problem::error("flow::no_deployment", message).in_file(&place.file).at(place.span, "").help(help));
    }

    /// A prompty with its variables filled in, and another model where the outside says so. Variables that only
    /// what was replaced would read are not asked for.
    fn prompty(
        &mut self,
        prompty: &PromptyFile,
        connection: Option<ConnectionName>,
        deployment: Option<Arc<str>>,
    ) -> PromptyFile {
        let replaced = |key: &str| {
            let inside =
                |section: &str| key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            let names_model =
                ["model.configuration.azure_deployment", "model.configuration.model", "model.id"].contains(&key);
            if names_model {
                deployment.is_some()
            } else {
                connection.is_some() && (inside("model.configuration") || inside("model.connection"))
            }
        };
        let mut needed: HashSet<&str> = HashSet::new();
        for variable in prompty.variables.iter().filter(|variable| !replaced(&variable.key)) {
            needed.insert(&variable.name);
            if variable.default.is_none() && (self.bindings.variable)(&variable.name).is_none() {
                let place = Place { file: prompty.file.clone(), span: variable.span };
                self.unset(&variable.name, &format!("`{}`", variable.key), Some(&place));
            }
        }
        let lookup = |name: &str| {
            let found = (self.bindings.variable)(name);
            if needed.contains(name) { found } else { Some(found.unwrap_or_default()) }
        };
        // What `resolve` refuses was reported above, with the same places.
        let (mut model, front) =
            prompty.resolve(&lookup).unwrap_or_else(|_| (prompty.model.clone(), prompty.front.clone()));
        if let Some(connection) = connection {
            model.connection = Some(connection.0);
        }
        if let Some(deployment) = deployment {
            model.deployment = Some(deployment);
        }
        PromptyFile {
            version: prompty.version,
            name: prompty.name.clone(),
            description: prompty.description.clone(),
            model,
            inputs: prompty.inputs.clone(),
            outputs: prompty.outputs.clone(),
            sample: prompty.sample.clone(),
            template: prompty.template.clone(),
            developer_role: prompty.developer_role,
            cannot_run: None,
            front,
            variables: Vec::new(),
            warnings: Vec::new(),
            file: prompty.file.clone(),
        }
    }
}

/// Makes a node ask a deployment, whatever its own inputs say.
fn ask(inputs: &mut IndexMap<Arc<str>, Operand>, deployment: Arc<str>) {
    inputs.shift_remove("model");
    inputs.insert("deployment_name".into(), Operand::Literal(deployment.into()));
}

fn names_deployment(inputs: &IndexMap<Arc<str>, Operand>) -> bool {
    ["deployment_name", "model"].iter().any(|key| inputs.get(*key).is_some_and(names_something))
}

/// Whether an operand may hold the name of a model.
fn names_something(operand: &Operand) -> bool {
    !matches!(operand, Operand::Literal(value) if value.is_null() || value.as_str().is_some_and(str::is_empty))
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
