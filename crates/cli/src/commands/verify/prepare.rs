//! A flow, made ready to be run against a recording: every node asks a connection of its own, nothing is retried, and
//! what is not run gives what was recorded.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_flow::bind::{BoundPlan, ConnectionValue, bind};
use sluicegate_flow::plan::{Node, NodeId, NodeKind, NodeName, Operand, Plan};
use sluicegate_flow::property;
use sluicegate_flow::template::Expression;
use sluicegate_model::ConnectionName;
use sluicegate_source::{SourceFile, Span};
use sluicegate_value::{Map, Value};

use super::aggregation::name_of;
use super::recorded::{RecordedEnd, RunFolder};
use super::replay::connection_of;
use crate::error::CliError;
use crate::prepared::{bindings_of, connection_lookup};

/// The input of a stand-in that holds what was recorded.
const RECORDED: &str = "recorded";
/// What a stand-in for a node that failed computes: a failure.
const FAILURE: &str = "1 // 0";

/// Makes plans ready for one line each.
pub(crate) struct Preparation<'a> {
    environment: &'a Environment,
    plan: Arc<Plan>,
    /// Whether Python nodes give what was recorded.
    recorded_python: bool,
    /// What the class of a flex flow is made with.
    init: Map,
    gives_recorded: Arc<Expression>,
    fails: Arc<Expression>,
    unset: RefCell<BTreeSet<String>>,
}

impl<'a> Preparation<'a> {
    pub(crate) fn new(
        environment: &'a Environment,
        plan: Arc<Plan>,
        recorded_python: bool,
        init: Map,
    ) -> Result<Self, CliError> {
        let expression = |text: &str| {
            let file = SourceFile::new("the recording", text);
            Expression::parse(&file, Span::new(0, text.len()), text).map(Arc::new)
        };
        let (gives_recorded, fails) = (expression(RECORDED), expression(FAILURE));
        Ok(Self {
            environment,
            plan,
            recorded_python,
            init,
            gives_recorded: gives_recorded.map_err(|problem| CliError::Problems(vec![problem]))?,
            fails: fails.map_err(|problem| CliError::Problems(vec![problem]))?,
            unset: RefCell::default(),
        })
    }

    /// The plan as compiled.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether a node is not run: what was recorded stands in for it.
    pub(crate) fn is_stand_in(&self, node: &Node) -> bool {
        self.recorded_python && matches!(node.kind, NodeKind::Python(_))
    }

    /// Variables that the flow asks for and nobody has set. Their names, as `${NAME}`, stand in for them.
    pub(crate) fn unset(&self) -> BTreeSet<String> {
        self.unset.borrow().clone()
    }

    /// Whether the plan is the same for every line: nothing in it is recorded.
    pub(crate) fn is_one_for_all(&self) -> bool {
        !self.plan.nodes.iter().any(|node| self.is_stand_in(node))
    }

    /// The plan for one line. Aggregation nodes do nothing in it.
    pub(crate) fn for_line(&self, run: &RunFolder, line: u64) -> Result<BoundPlan, CliError> {
        let mut plan = Plan::clone(&self.plan);
        for node in &mut plan.nodes {
            node.retry = None;
            if node.aggregation {
                // It reads no line, so that no aggregation begins.
                node.kind = NodeKind::Expression(self.fails.clone());
                node.inputs.clear();
                node.activate = None;
            } else if self.is_stand_in(node) {
                let recorded = run.node(line, &node.name.0);
                let output = recorded.filter(|node| !matches!(node.end, Some(RecordedEnd::Failed(_))));
                node.kind = NodeKind::Expression(match output {
                    Some(_) => self.gives_recorded.clone(),
                    None => self.fails.clone(),
                });
                let output = output.map(|node| node.output.clone()).unwrap_or_default();
                node.inputs.insert(RECORDED.into(), Operand::Literal(output));
            }
        }
        self.keep_trust(&mut plan, run, line);
        self.bind(&plan)
    }

    /// The plan in which an aggregation node has what it reads, by the names of [`name_of`].
    ///
    /// It stays an aggregation node (only those log metrics), and what it reads comes from others of its kind, since what
    /// those give is not put into a list once more.
    pub(crate) fn for_aggregation(&self, node: &Node, inputs: &Map) -> Result<BoundPlan, CliError> {
        let plain = |name: String, aggregation: bool, value: Operand| Node {
            name: NodeName(name.into()),
            kind: NodeKind::Expression(self.gives_recorded.clone()),
            inputs: [(RECORDED.into(), value)].into_iter().collect(),
            activate: None,
            aggregation,
            retry: None,
            timeout: None,
            ..node.clone()
        };
        let whole = |node: usize| {
            let node = NodeId(u32::try_from(node).unwrap_or(u32::MAX));
            Operand::Output { node, property: Arc::default(), written: "".into() }
        };
        // A line there must be, and something that reads it.
        let mut nodes = vec![plain(format!("{RECORDED} line"), false, Operand::Literal(Value::Null))];
        nodes.push(plain(format!("{RECORDED} end"), true, whole(0)));
        let mut alone = Node { activate: None, retry: None, ..node.clone() };
        for operand in alone.inputs.values_mut() {
            let Some(name) = name_of(operand, &self.plan) else { continue };
            let value = inputs.get(&name).cloned().unwrap_or_default();
            *operand = whole(nodes.len());
            nodes.push(plain(format!("{RECORDED} {name}"), true, Operand::Literal(value)));
        }
        nodes.push(alone);
        let mut plan = Plan { nodes, ..Plan::clone(&self.plan) };
        plan.outputs.clear();
        plan.chat = None;
        self.bind(&plan)
    }

    /// Text of a Python node is its author's and may hold role headers; that of the expression which stands in for it is
    /// not. So readers get the text as if it stood in the file.
    fn keep_trust(&self, plan: &mut Plan, run: &RunFolder, line: u64) {
        let is_stand_in: Vec<bool> = self.plan.nodes.iter().map(|node| self.is_stand_in(node)).collect();
        let outputs: Vec<Option<Value>> = self
            .plan
            .nodes
            .iter()
            .map(|node| run.node(line, &node.name.0).filter(|node| node.end == Some(RecordedEnd::Completed)))
            .map(|recorded| recorded.map(|recorded| recorded.output.clone()))
            .collect();
        let readers = plan.nodes.iter_mut().filter(|node| {
            matches!(node.kind, NodeKind::Llm(_) | NodeKind::Prompt(_) | NodeKind::Prompty(_)) && !node.aggregation
        });
        for reader in readers {
            let mut sources: BTreeSet<NodeId> = BTreeSet::new();
            for operand in reader.inputs.values_mut() {
                let Operand::Output { node, property, written } = operand else { continue };
                let (true, Some(output)) = (is_stand_in[node.index()], &outputs[node.index()]) else { continue };
                let name = &self.plan.node(*node).name.0;
                if let Ok(value) = property::walk(name, output, property, written) {
                    sources.insert(*node);
                    *operand = Operand::Literal(value);
                }
            }
            // It still waits for them, and is bypassed with them.
            for source in sources {
                let whole = Operand::Output { node: source, property: Arc::default(), written: "".into() };
                reader.inputs.insert(format!("{RECORDED} {}", source.0).into(), whole);
            }
        }
    }

    fn bind(&self, plan: &Plan) -> Result<BoundPlan, CliError> {
        let variable = |name: &str| {
            Some(self.environment.variable(name).map_or_else(
                || {
                    self.unset.borrow_mut().insert(name.to_owned());
                    stand_in_for(name).into()
                },
                |found| found.value.into(),
            ))
        };
        let mut bindings = bindings_of(self.environment, &variable)?;
        // A key that is not set is needed by nothing here.
        let known = connection_lookup(self.environment);
        let connection_value = |name: &ConnectionName, key: &str| match known(name, key) {
            found @ (ConnectionValue::Text(_) | ConnectionValue::NoKey(_)) => found,
            ConnectionValue::NoConnection | ConnectionValue::Incomplete(_) => {
                ConnectionValue::Text(stand_in_for(&format!("{name}.{key}")).into())
            }
        };
        bindings.connection_name = None;
        bindings.connections = None;
        bindings.connection_value = Some(&connection_value);
        bindings.init.clone_from(&self.init);
        let mut asking = Vec::new();
        asking_nodes(plan, "", &mut asking);
        for node in asking {
            let binding = bindings.nodes.entry(node.as_str().into()).or_default();
            binding.connection = Some(connection_of(&node));
        }
        let whole = self.plan.clone();
        bindings.whole = Some(&whole);
        Ok(bind(plan, &bindings)?)
    }
}

/// What stands in for a variable that is not set.
pub(crate) fn stand_in_for(variable: &str) -> String {
    format!("${{{variable}}}")
}

/// The nodes that ask a model themselves, by their paths.
fn asking_nodes(plan: &Plan, prefix: &str, found: &mut Vec<String>) {
    for node in &plan.nodes {
        match &node.kind {
            NodeKind::Llm(_) | NodeKind::Prompty(_) | NodeKind::Embedding(_) => {
                found.push(format!("{prefix}{}", node.name))
            }
            kind => {
                if let Some(inner) = kind.inner() {
                    asking_nodes(inner, &format!("{prefix}{}/", node.name), found);
                }
            }
        }
    }
}
