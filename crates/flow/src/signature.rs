//! What Python says that its functions take, once a worker has loaded them: a flex flow becomes complete by it, and what a
//! flow wires to its Python nodes is held against it.
//!
//! Nothing here asks Python: whoever has a worker hands signatures in.

use std::collections::HashSet;
use std::sync::Arc;

use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, suggest};
use sluicegate_value::{Map, Value};

use crate::bind::graph_of;
use crate::coerce::{coerce, shortened};
use crate::file::quoted;
use crate::flex::{FlexFlow, InitSpec};
use crate::image::Images;
use crate::plan::{Entry, InputSpec, InputType, Node, NodeId, NodeKind, OnFiltered, Operand, Place, Plan, PythonNode};

/// The name of the node that a class's `__aggregate__` becomes.
pub const AGGREGATE: &str = "__aggregate__";

/// What a function takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signature {
    /// What it takes, in order; without a method's own object and without `**kwargs`.
    pub parameters: Vec<Parameter>,
    /// Whether it takes whatever else there is (`**kwargs`).
    pub takes_any: bool,
    /// What its class is made with, if it is a method. A tool's class takes it from the node's inputs, a flex flow's
    /// from `init`.
    pub init: Vec<Parameter>,
    /// Whether the class takes whatever else there is.
    pub init_takes_any: bool,
    /// The one parameter of the class's `__aggregate__`, if a flex flow's class has that method.
    pub aggregate: Option<Arc<str>>,
}

/// Something that a function takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: Arc<str>,
    /// Its type; [`InputType::Untouched`] if it takes anything.
    pub kind: InputType,
    /// Whether it is a connection, for which a flow gives a name.
    pub connection: bool,
    /// Whether it must be given.
    pub required: bool,
    /// Its default, if that is a plain value.
    pub default: Option<Value>,
}

impl Plan {
    /// A flex flow's plan with what Python says of its function: inputs and what the class is made with get types and
    /// defaults (what the file says comes first), and a class with `__aggregate__` gets a node for it, which runs over
    /// all lines. Any other plan stays as it is.
    ///
    /// # Errors
    /// Inputs that the file declares and the function does not take; values that the class is not made with, that it
    /// needs, or that are of another type.
    pub fn with_signature(&self, signature: &Signature) -> Result<Plan, Vec<Problem>> {
        let (Some(flex), Some(node)) = (&self.flex, self.nodes.first()) else { return Ok(self.clone()) };
        let (mut plan, mut flex, mut problems) = (self.clone(), flex.clone(), Vec::new());
        let entry_at = &node.at;
        let takes = |name: &str| signature.parameters.iter().any(|parameter| *parameter.name == *name);
        for (name, spec) in self.inputs.iter().filter(|(name, _)| !signature.takes_any && !takes(name)) {
            let message = format!("`{}` takes no input `{name}`", flex.entry);
            problems.push(known_names("flow::unknown_parameter", message, &spec.at, name, &signature.parameters));
        }
        for parameter in &signature.parameters {
            let declared = plan.inputs.entry(parameter.name.clone()).or_insert_with(|| InputSpec {
                kind: parameter.kind,
                default: None,
                secret: false,
                description: None,
                at: entry_at.clone(),
            });
            if declared.default.is_none() {
                declared.default.clone_from(&parameter.default);
            }
            if !parameter.required {
                flex.optional.insert(parameter.name.clone());
            }
        }
        (flex.signed, flex.open) = (true, signature.takes_any);
        flex.complete_init(signature, entry_at, &mut problems);
        if let Some(node) = plan.nodes.first_mut() {
            node.inputs = plan.inputs.keys().map(|name| (name.clone(), Operand::Input(name.clone()))).collect();
        }
        if let (Some(parameter), 1) = (&signature.aggregate, plan.nodes.len()) {
            plan.nodes.push(aggregate(&flex.entry, parameter, entry_at));
            plan.graph = graph_of(&plan.nodes);
        }
        plan.flex = Some(flex);
        if problems.is_empty() { Ok(plan) } else { Err(problems) }
    }

    /// What is wrong between the Python nodes of this plan and what Python says of their functions: parameters without a
    /// source, inputs that nothing takes, literals of another type, connections that do not exist (`None`: do not
    /// check). Nodes of which `signature` says nothing, and flows inside, are not looked at.
    #[must_use]
    pub fn check_signatures(
        &self,
        signature: &dyn Fn(&Node) -> Option<Arc<Signature>>,
        connections: Option<&HashSet<ConnectionName>>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        for node in &self.nodes {
            let is_tool = matches!(&node.kind, NodeKind::Python(python) if python.entry.is_none());
            if let Some(signature) = signature(node).filter(|_| is_tool) {
                check_node(node, &signature, connections, &mut problems);
            }
        }
        problems
    }
}

impl FlexFlow {
    /// Types, defaults and names of what the class is made with.
    fn complete_init(&mut self, signature: &Signature, at: &Place, problems: &mut Vec<Problem>) {
        for parameter in &signature.init {
            let spec = self.init.entry(parameter.name.clone()).or_insert_with(|| InitSpec {
                kind: parameter.kind,
                connection: parameter.connection,
                default: None,
                required: false,
                at: None,
            });
            spec.connection |= parameter.connection;
            spec.required = parameter.required;
            if spec.default.is_none() {
                spec.default.clone_from(&parameter.default);
            }
        }
        let takes = |name: &str| signature.init.iter().any(|parameter| *parameter.name == *name);
        let names = self.init_values.keys().chain(self.init.keys().filter(|name| !self.init_values.contains_key(name)));
        for name in names.filter(|name| !signature.init_takes_any && !takes(name)) {
            let place = self.init.get(name).and_then(|spec| spec.at.as_ref()).unwrap_or(at);
            let message = format!("`{}` is not made with `{name}`", self.entry);
            problems.push(known_names("flow::unknown_init", message, place, name, &signature.init));
        }
        match self.made_with(&self.init_values) {
            Ok(values) => self.init_values = values,
            Err(found) => problems.extend(found),
        }
    }

    /// What the class is made with: `given` in its types, and defaults for the rest.
    pub(crate) fn made_with(&self, given: &Map) -> Result<Map, Vec<Problem>> {
        let (mut values, mut problems) = (given.clone(), Vec::new());
        for (name, spec) in &self.init {
            let place = |problem: Problem| match &spec.at {
                Some(at) => problem.in_file(&at.file).at(at.span, ""),
                None => problem,
            };
            match given.get(name) {
                // A text is what a command line gives; all else has the type that its author gave it.
                Some(text @ Value::Str(_)) if !spec.connection => {
                    match coerce(spec.kind, text, &Images::without_files(crate::plan::MessageFormat::Basic)) {
                        Ok(value) => drop(values.insert(name.clone(), value)),
                        Err(_) => {
                            let message =
                                format!("`{name}` of `init` is no `{}`: {}", spec.kind.word(), shortened(text));
                            problems.push(place(Problem::error("flow::bad_init", message)));
                        }
                    }
                }
                Some(_) => {}
                None => match &spec.default {
                    Some(default) => drop(values.insert(name.clone(), default.clone())),
                    None if spec.required => {
                        let message = format!("`{}` is made with `{name}`, which is not given", self.entry);
                        let problem = place(Problem::error("flow::missing_init", message));
                        problems.push(problem.help(format!(
                            "give it: `--init {name}=…`, or `sample: {{init: {{{name}: …}}}}` in the flow's file"
                        )));
                    }
                    None => {}
                },
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems) }
    }
}

fn aggregate(entry: &Arc<str>, parameter: &Arc<str>, at: &Place) -> Node {
    let lines = Operand::Output { node: NodeId(0), property: Arc::default(), written: "".into() };
    let entry = Entry { entry: entry.clone(), is_aggregate: true };
    Node {
        name: AGGREGATE.into(),
        kind: NodeKind::Python(PythonNode { entry: Some(entry), ..PythonNode::default() }),
        inputs: [(parameter.clone(), lines)].into_iter().collect(),
        activate: None,
        aggregation: true,
        retry: None,
        timeout: None,
        cache: None,
        on_filtered: OnFiltered::AsOriginal,
        role_headers: true,
        at: at.clone(),
    }
}

fn check_node(
    node: &Node,
    signature: &Signature,
    connections: Option<&HashSet<ConnectionName>>,
    problems: &mut Vec<Problem>,
) {
    let all = || signature.init.iter().chain(&signature.parameters);
    // A literal `null` or empty text is as good as absent (spec: promptflow.md §1.8).
    let is_absent = |operand: &Operand| match operand {
        Operand::Literal(value) => value.is_null() || value.as_str() == Some(""),
        _ => false,
    };
    for parameter in all().filter(|parameter| parameter.required) {
        if node.inputs.get(&parameter.name).is_none_or(is_absent) {
            let message =
                format!("the tool of node `{}` needs `{}`, which the node does not give", node.name, parameter.name);
            let problem =
                Problem::error("flow::missing_parameter", message).in_file(&node.at.file).at(node.at.span, "");
            problems.push(problem.help(format!("add it to the node's inputs: `{}: ${{…}}`", parameter.name)));
        }
    }
    for (name, operand) in &node.inputs {
        let Some(parameter) = all().find(|parameter| parameter.name == *name) else {
            if !signature.takes_any && !signature.init_takes_any {
                let message = format!("the tool of node `{}` takes no `{name}`", node.name);
                let known: Vec<Parameter> = all().cloned().collect();
                problems.push(known_names("flow::unknown_parameter", message, &node.at, name, &known));
            }
            continue;
        };
        let Operand::Literal(value) = operand else { continue };
        let problem = |code: &'static str, message: String| {
            Problem::error(code, message).in_file(&node.at.file).at(node.at.span, "")
        };
        if is_absent(operand) || value.as_str().is_some_and(|text| crate::reference::variable(text).is_some()) {
            continue;
        }
        if parameter.connection {
            let named = value.as_str().map(ConnectionName::from);
            if let (Some(named), Some(known)) = (named, connections)
                && !known.contains(&named)
            {
                let message = format!("there is no connection `{named}`, which node `{}` gives as `{name}`", node.name);
                let mut names: Vec<&str> = known.iter().map(|name| &*name.0).collect();
                names.sort_unstable();
                let problem = problem("flow::unknown_connection", message);
                problems.push(match suggest::nearest(&named.0, names.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if names.is_empty() => problem.help("define it under `connections:` in the project's config"),
                    None => problem.help(format!("connections: {}", quoted(names))),
                });
            }
        } else if coerce(parameter.kind, value, &Images::later(crate::plan::MessageFormat::Basic)).is_err() {
            let message = format!(
                "`{name}` of node `{}` is no `{}`, as its tool takes: {}",
                node.name,
                parameter.kind.word(),
                shortened(value)
            );
            problems.push(problem("flow::bad_literal", message));
        }
    }
}

fn known_names(code: &'static str, message: String, at: &Place, name: &str, known: &[Parameter]) -> Problem {
    let problem = Problem::error(code, message).in_file(&at.file).at(at.span, "");
    let names = || known.iter().map(|parameter| &*parameter.name);
    match suggest::nearest(name, names()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => problem.help("it takes nothing"),
        None => problem.help(format!("it takes: {}", quoted(names()))),
    }
}
