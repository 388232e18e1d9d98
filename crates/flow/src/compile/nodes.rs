//! A `flow.dag.yaml` from its tree to its plan, and each node from what was written to what it does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use sluicegate_source::yaml::Document;
use sluicegate_source::{Problem, Span, yaml};

use super::VariantChoice;
use super::flex;
use super::includes::Folder;
use super::operand::{Reader, Scope};
use super::session::{Asked, Session};
use super::target::FLEX_NAMES;
use crate::file::{FlowFile, NodeFile, Written, missing_key};
use crate::files::{file_name, parent};
use crate::plan::{MessageFormat, Need, NeedKind, Node, NodeId, NodeName, Operand, Plan, RetryPolicy, runs_python};

/// The pause before a second attempt, where a retry policy does not say.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, where a retry policy does not say.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A name that is none: nothing, or what no terminal and no reference can hold.
pub(super) fn bad_name(scope: &Scope, owner: &str, name: &str, at: Span) -> Option<Problem> {
    let message = if name.trim().is_empty() {
        format!("the name of {owner} is empty")
    } else if name.contains(char::is_control) {
        format!("the name of {owner} holds control characters: {name:?}")
    } else {
        return None;
    };
    Some(scope.problem("flow::bad_name", at, message).help("use letters, digits and `_`"))
}

impl Session<'_> {
    /// Compiles a flow's YAML file: nodes, or the entry of a flex flow. What is wrong is reported; what is returned then is of
    /// no use.
    pub(super) fn yaml_flow(
        &mut self,
        path: &str,
        variant: Option<&VariantChoice>,
        asked: Option<Asked<'_>>,
    ) -> Option<Plan> {
        let file = self.flow_source(path, asked)?;
        let document = match yaml::read(&file) {
            Ok(document) => document,
            Err(problems) => {
                self.report_all(problems);
                return None;
            }
        };
        if document.root.as_scalar().is_some_and(sluicegate_value::Value::is_null) {
            let help = "a flow has `nodes:`, most often `inputs:` and `outputs:` too";
            self.report(Problem::error("flow::empty_file", "the file is empty").in_file(&file).help(help));
            return None;
        }
        let is_flex = FLEX_NAMES.contains(&file_name(path)) || document.root.entry("entry").is_some();
        match flex::both(&document).filter(|_| is_flex) {
            Some(problem) => {
                self.report(problem);
                None
            }
            None if is_flex => self.flex_flow(path, &document),
            None => self.dag_flow(path, &document, variant),
        }
    }

    fn dag_flow(&mut self, path: &str, document: &Document, variant: Option<&VariantChoice>) -> Option<Plan> {
        let file = document.file.clone();
        let mut problems = Vec::new();
        let written = FlowFile::read(document, &mut problems);
        self.report_all(problems);

        let format = if written.openai_vision { MessageFormat::OpenAiVision } else { MessageFormat::Basic };
        let mut scope = Scope {
            file: file.clone(),
            folder: Folder::new(parent(path)),
            inputs: IndexMap::new(),
            names: HashMap::new(),
            aggregation: Vec::new(),
            authors: Vec::new(),
            edges: Vec::new(),
            needs: Vec::new(),
        };
        scope.folder.note(path, file.text());
        if let Some(choice) = variant {
            scope.folder.note("(variant)", &format!("{}.{}", choice.node, choice.variant));
        }
        self.include(&mut scope.folder, parent(path), &written.includes, &file);
        self.inputs(&mut scope, &written.inputs, format);

        let node_files = self.nodes_with_variants(&scope, &written, variant);
        let names = self.name_nodes(&mut scope, &node_files);
        let mut nodes = Vec::with_capacity(node_files.len());
        for (index, node) in node_files.iter().enumerate() {
            nodes.extend(self.node(&mut scope, NodeId(index as u32), node));
        }
        let complete = nodes.len() == node_files.len();
        let graph = self.graph(&scope, &names);
        let outputs = self.outputs(&mut scope, &written);
        let chat = self.chat(&scope, &written.inputs, &written.outputs, |name| outputs.contains_key(name));
        let environment_variables =
            self.environment_variables(&mut scope, written.environment_variables, runs_python(&nodes));
        let requirements = self.requirements_of(&mut scope, written.environment);
        let folder = parent(path);
        let name = written.name.clone().unwrap_or_else(|| match file_name(folder) {
            "" => "flow".into(),
            name => name.into(),
        });
        scope.needs.sort_by_key(|need| need.at.span);
        let includes = scope.folder.includes();
        // Positions of nodes are their ids: a plan with one missing would be another flow.
        complete.then(|| Plan {
            name,
            folder: folder.into(),
            hash: scope.folder.hash().into(),
            inputs: scope.inputs,
            outputs,
            nodes,
            graph,
            environment_variables,
            message_format: format,
            chat,
            needs: scope.needs,
            sample: None,
            includes,
            requirements,
            flex: None,
        })
    }

    /// The text of a flow's file.
    pub(super) fn flow_source(
        &mut self,
        path: &str,
        asked: Option<Asked<'_>>,
    ) -> Option<Arc<sluicegate_source::SourceFile>> {
        match (asked, self.source(path)) {
            (_, Ok(source)) => Some(source),
            (Some(asked), Err(_)) => self.required_source(path, asked),
            (None, Err(error)) => {
                let problem = self.file_problem(&error, path);
                self.report(problem);
                None
            }
        }
    }

    /// Fills the scope's names; a second node of a name is a problem, as is none.
    fn name_nodes(&mut self, scope: &mut Scope, nodes: &[NodeFile<'_>]) -> Vec<NodeName> {
        let mut names = Vec::with_capacity(nodes.len());
        let mut first_places = HashMap::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            scope.aggregation.push(node.aggregation);
            let kind = node.kind.as_ref().map(|kind| &*kind.text);
            scope.authors.push(node.role_headers && matches!(kind, None | Some("prompt" | "python" | "custom_llm")));
            let Some(Written { text, at }) = &node.name else {
                let help = "references and results call it by that";
                self.report(missing_key(&scope.file, node.at, "a node", "name", help));
                names.push(NodeName::from(""));
                continue;
            };
            self.node_name(scope, text, *at);
            match first_places.get(text) {
                None => {
                    first_places.insert(text.clone(), *at);
                    scope.names.insert(text.clone(), NodeId(index as u32));
                }
                Some(first) => {
                    let message = format!("there is another node `{text}`");
                    let problem = scope.problem("flow::duplicate_node", *at, message).at(*first, "the first one");
                    self.report(problem.help("rename one of them"));
                }
            }
            names.push(NodeName(text.clone()));
        }
        names
    }

    /// Says what is wrong with a node's name by itself.
    fn node_name(&mut self, scope: &Scope, name: &str, at: Span) {
        if let Some(problem) = bad_name(scope, "a node", name, at) {
            self.report(problem);
        } else if matches!(name, "inputs" | "flow") || name.contains('.') {
            let message = format!("no reference can reach a node named `{name}`");
            let help = if name.contains('.') { "use `_` in place of `.`" } else { "call it something else" };
            self.report(scope.warning("flow::unreachable_name", at, message).help(help));
        }
    }

    fn node(&mut self, scope: &mut Scope, id: NodeId, written: &NodeFile<'_>) -> Option<Node> {
        let unnamed = Written { text: "".into(), at: written.at };
        let name = written.name.as_ref().unwrap_or(&unnamed);
        let mut inputs = IndexMap::with_capacity(written.inputs.len());
        for entry in written.inputs {
            let what = format!("input `{}`", entry.key);
            let reader = Reader { node: id, name: &name.text, what: &what };
            // A wrong one stays known by name, so that nobody says that it is missing.
            let operand = self.operand(scope, &reader, &entry.value);
            inputs.insert(entry.key.clone(), operand.unwrap_or(Operand::Literal(sluicegate_value::Value::Null)));
        }
        let activate = written.activate.and_then(|activate| self.activate(scope, id, &name.text, activate));
        if let Some(connection) = &written.connection {
            let what = match crate::reference::variable(&connection.text) {
                Some(variable) => NeedKind::Variable(variable.into()),
                None => NeedKind::Connection((&*connection.text).into()),
            };
            let node = Some(NodeName(name.text.clone()));
            scope.needs.push(Need { what, node, at: scope.place(connection.at) });
        }
        let kind = self.kind(scope, id, name, written, &mut inputs);
        let retry = written.retry.as_ref().map(|retry| {
            let initial = retry.initial.unwrap_or(FIRST_PAUSE);
            let max = retry.max.unwrap_or(LONGEST_PAUSE.max(initial));
            RetryPolicy { max_attempts: retry.max_attempts.unwrap_or(3), initial, max }
        });
        Some(Node {
            name: NodeName(name.text.clone()),
            kind: kind?,
            inputs,
            activate,
            aggregation: written.aggregation,
            retry,
            timeout: written.timeout,
            cache: written.cache.map(|(cache, _)| cache),
            on_filtered: written.on_filtered,
            role_headers: written.role_headers,
            at: scope.place(name.at),
        })
    }

    /// The kind that a node names; a problem if it names none.
    pub(super) fn kind_word<'w>(
        &mut self,
        scope: &Scope,
        name: &Written,
        written: &'w NodeFile<'_>,
    ) -> Option<&'w str> {
        if let Some(kind) = &written.kind {
            return Some(&kind.text);
        }
        if !written.has_kind {
            let owner = format!("node `{}`", name.text);
            let help = match written.legacy_tool {
                Some(_) => "the older form with `tool:` alone does not run here: write `type:` and `source:`",
                None => {
                    "say what it does: `llm`, `prompt`, `python`, `prompty`, `expression`, `http`, `embedding`, `flow`, \
                     `map` or `loop`"
                }
            };
            let problem = missing_key(&scope.file, name.at, &owner, "type", help);
            self.report(Problem { code: "flow::missing_kind", ..problem });
        }
        None
    }
}
