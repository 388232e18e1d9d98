//! A written value becomes an [`Operand`]: its reference is followed, or it is a literal.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_source::yaml::{Data, Node as Tree};
use sluicegate_source::{Problem, SourceFile, Span, suggest};
use sluicegate_value::Value;

use super::graph::Edge;
use super::includes::Folder;
use super::session::Session;
use crate::file::quoted;
use crate::plan::{InputSpec, Need, NeedKind, NodeId, NodeName, Operand, Place};
use crate::reference::{self, Reference};

/// What the parts of one flow know of each other while it is compiled.
pub(super) struct Scope {
    pub(super) file: Arc<SourceFile>,
    pub(super) folder: Folder,
    pub(super) inputs: IndexMap<Arc<str>, InputSpec>,
    pub(super) names: HashMap<Arc<str>, NodeId>,
    /// By node: whether it is an aggregation node.
    pub(super) aggregation: Vec<bool>,
    /// By node: whether its text may open messages, as an author's may.
    pub(super) authors: Vec<bool>,
    pub(super) edges: Vec<Edge>,
    pub(super) needs: Vec<Need>,
}

/// Who reads a value.
pub(super) struct Reader<'a> {
    pub(super) node: NodeId,
    pub(super) name: &'a Arc<str>,
    /// What it is called there: "input `x`", "`when`".
    pub(super) what: &'a str,
}

impl Scope {
    pub(super) fn place(&self, span: Span) -> Place {
        Place { file: self.file.clone(), span }
    }

    pub(super) fn problem(&self, code: &'static str, at: Span, message: String) -> Problem {
        Problem::error(code, message).in_file(&self.file).at(at, "")
    }

    pub(super) fn warning(&self, code: &'static str, at: Span, message: String) -> Problem {
        Problem::warning(code, message).in_file(&self.file).at(at, "")
    }

    /// Says that a node of this name does not exist.
    pub(super) fn unknown_node(&self, code: &'static str, at: Span, message: String, name: &str) -> Problem {
        let problem = self.problem(code, at, message);
        if self.names.contains_key(name.trim()) {
            return problem.help(format!("blanks count: write `{}`", name.trim()));
        }
        if self.inputs.contains_key(name) {
            return problem.help(format!("`{name}` is an input: write `${{inputs.{name}}}`"));
        }
        if let Some(name) = name.strip_prefix("env:") {
            return problem.help(format!("`{name}` is no name of an environment variable"));
        }
        let mut names: Vec<&str> = self.names.keys().map(|name| &**name).collect();
        names.sort_unstable_by_key(|name| self.names.get(*name));
        match suggest::nearest(name, names.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => problem.help("the flow has no nodes"),
            None => problem.help(format!("nodes: {}", quoted(names))),
        }
    }

    /// Says that an input of this name does not exist.
    pub(super) fn unknown_input(&self, code: &'static str, at: Span, message: String, name: &str) -> Problem {
        let problem = self.problem(code, at, message);
        let known = || self.inputs.keys().map(|name| &**name);
        if let Some((first, rest)) = name.split_once('.')
            && self.inputs.contains_key(first)
        {
            return problem.help(format!(
                "nothing leads into an input: `{name}` is taken as a name; an `expression` node can read `{first}.{rest}`"
            ));
        }
        match suggest::nearest(name, known()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if self.inputs.is_empty() => problem.help("the flow has no inputs"),
            None => problem.help(format!("inputs: {}", quoted(known()))),
        }
    }

    /// Notes that a variable of the process environment is needed.
    pub(super) fn needs_variable(&mut self, name: &str, node: Option<&Arc<str>>, at: Span) {
        let what = NeedKind::Variable(name.into());
        self.needs.push(Need { what, node: node.cloned().map(NodeName), at: self.place(at) });
    }

    /// Notes that `reader` waits for a node.
    pub(super) fn waits_for(&mut self, target: NodeId, reader: NodeId, at: Span) {
        self.edges.push(Edge { from: target, to: reader, at });
    }
}

impl Session<'_> {
    /// What a node reads: a literal, a flow input, or another node's output. `None` when a problem was reported.
    pub(super) fn operand(&mut self, scope: &mut Scope, reader: &Reader<'_>, value: &Tree) -> Option<Operand> {
        let owner = format!("node `{}`", reader.name);
        let Some(reference) = value.as_str().and_then(Reference::parse) else {
            self.warn_of_embedded(scope, &format!("{} of {owner}", reader.what), value);
            return Some(Operand::Literal(value.to_value()));
        };
        let written = value.as_str().unwrap_or_default();
        match reference {
            Reference::Variable(name) => {
                scope.needs_variable(name, Some(reader.name), value.span);
                Some(Operand::Literal(value.to_value()))
            }
            Reference::Input(name) if scope.inputs.contains_key(name) => Some(Operand::Input(name.into())),
            Reference::Input(name) => {
                let message = format!("{owner} reads flow input `{name}`, which does not exist");
                self.report(scope.unknown_input("flow::unknown_input", value.span, message, name));
                None
            }
            Reference::Node { node, section, property } => {
                let Some(&target) = scope.names.get(node) else {
                    let message = format!("{owner} reads `{written}`, but there is no node `{node}`");
                    self.report(scope.unknown_node("flow::unknown_node", value.span, message, node));
                    return None;
                };
                if section != "output" {
                    let problem = scope.problem(
                        "flow::unsupported_reference",
                        value.span,
                        format!("{owner} reads section `{section}` of node `{node}`; a node has only `output`"),
                    );
                    self.report(problem.help(section_help(node, section, property)));
                    return None;
                }
                scope.waits_for(target, reader.node, value.span);
                self.check_aggregation(scope, reader, target, node, value.span);
                Some(output(target, property))
            }
        }
    }

    /// What a flow output is: as for nodes, but any section gives the node's output (the original's habit).
    pub(super) fn output_operand(&mut self, scope: &mut Scope, output_name: &str, value: &Tree) -> Option<Operand> {
        let owner = format!("output `{output_name}`");
        let text = value.as_str();
        if text == Some("") {
            let message = format!("{owner} has an empty reference");
            let problem = scope.problem("flow::empty_output_reference", value.span, message);
            self.report(problem.help("name what it gives: `${node.output}`"));
            return None;
        }
        let Some(reference) = text.and_then(Reference::parse) else {
            self.warn_of_embedded(scope, &owner, value);
            return Some(Operand::Literal(value.to_value()));
        };
        match reference {
            Reference::Variable(name) => {
                scope.needs_variable(name, None, value.span);
                Some(Operand::Literal(value.to_value()))
            }
            Reference::Input(name) if scope.inputs.contains_key(name) => Some(Operand::Input(name.into())),
            Reference::Input(name) => {
                let message = format!("{owner} reads flow input `{name}`, which does not exist");
                self.report(scope.unknown_input("flow::unknown_output_reference", value.span, message, name));
                None
            }
            Reference::Node { node, section, property } => {
                let Some(&target) = scope.names.get(node) else {
                    let message = format!("{owner} reads node `{node}`, which does not exist");
                    self.report(scope.unknown_node("flow::unknown_output_reference", value.span, message, node));
                    return None;
                };
                if section != "output" {
                    let problem = scope.warning(
                        "flow::ignored_section",
                        value.span,
                        format!("`{section}` of {owner} is not looked at: it is the output of node `{node}`"),
                    );
                    self.report(problem.help(section_help(node, section, property)));
                }
                Some(output(target, property))
            }
        }
    }

    /// A node for single lines cannot wait for one that runs after all of them.
    pub(super) fn check_aggregation(
        &mut self,
        scope: &Scope,
        reader: &Reader<'_>,
        target: NodeId,
        node: &str,
        at: Span,
    ) {
        let aggregates = |id: NodeId| scope.aggregation.get(id.index()).copied().unwrap_or_default();
        if aggregates(target) && !aggregates(reader.node) {
            let message =
                format!("node `{}` reads aggregation node `{node}`, which runs once after all lines", reader.name);
            self.report(
                scope
                    .problem("flow::invalid_node_reference", at, message)
                    .help(format!("make `{}` an aggregation node too, or read another node", reader.name)),
            );
        }
    }

    /// A text with a reference inside stays as it is: prompt flow's authors fall into that.
    pub(super) fn warn_of_embedded(&mut self, scope: &Scope, what: &str, value: &Tree) {
        match &value.data {
            Data::Scalar { value: Value::Str(text), .. } => {
                if let Some(part) = reference::embedded(text, |name| scope.names.contains_key(name)) {
                    let message = format!("{what} is plain text: `{part}` in it is not replaced");
                    let problem = scope.warning("flow::literal_reference", value.span, message);
                    self.report(problem.help(format!(
                        "a reference stands alone, as `\"{part}\"`; a `prompt` or `expression` node can build a text"
                    )));
                }
            }
            Data::Scalar { .. } => {}
            Data::List(items) => items.iter().for_each(|item| self.warn_of_embedded(scope, what, item)),
            Data::Map(entries) => entries.iter().for_each(|entry| self.warn_of_embedded(scope, what, &entry.value)),
        }
    }
}

fn output(node: NodeId, property: &str) -> Operand {
    Operand::Output { node, property: reference::steps(property).into(), written: property.into() }
}

fn section_help(node: &str, section: &str, property: &str) -> String {
    if section.contains("${") {
        return "a value is one reference; a `prompt` or `expression` node can put several together".to_owned();
    }
    match section.strip_prefix("output[") {
        Some(rest) => {
            let inside = if property.is_empty() { rest.to_owned() } else { format!("{rest}.{property}") };
            format!("a dot belongs before the bracket: `${{{node}.output.[{inside}}}`")
        }
        None if property.is_empty() => format!("write `${{{node}.output}}`"),
        None => format!("write `${{{node}.output.{property}}}`"),
    }
}
