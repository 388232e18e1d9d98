//! What `--set` and a config section say about single values.

use std::sync::Arc;

use sluicegate_source::{Problem, suggest};
use sluicegate_value::{Value, json};

use super::Binder;
use crate::coerce::{coerce, shortened};
use crate::compile::literal::{embedding_parameter_type, parameter_type};
use crate::file::quoted;
use crate::image::Images;
use crate::plan::{InputType, NodeKind, Operand, Plan};
use crate::reference::Reference;

/// A value that replaces a written one: `nodes.NODE.inputs.NAME=VALUE` or `inputs.NAME.default=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub target: SettingTarget,
    /// To what.
    pub value: Value,
}

/// What a [`Setting`] sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingTarget {
    /// The literal of a node's input.
    NodeInput {
        /// The node.
        node: Arc<str>,
        /// The input.
        input: Arc<str>,
    },
    /// The default of a flow's input.
    Default {
        /// The input.
        input: Arc<str>,
    },
}

impl Setting {
    /// Reads `nodes.NODE.inputs.NAME=VALUE` or `inputs.NAME.default=VALUE`; the value is JSON, or else plain text.
    ///
    /// # Errors
    /// Another form, as a fragment for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form =
            || format!("`{text}` has not the form `nodes.NODE.inputs.NAME=VALUE` or `inputs.NAME.default=VALUE`");
        let (path, value) = text.split_once('=').ok_or_else(form)?;
        let target =
            if let Some((node, input)) = path.strip_prefix("nodes.").and_then(|rest| rest.split_once(".inputs.")) {
                SettingTarget::NodeInput { node: node.into(), input: input.into() }
            } else if let Some(input) = path.strip_prefix("inputs.").and_then(|rest| rest.strip_suffix(".default")) {
                SettingTarget::Default { input: input.into() }
            } else {
                return Err(form());
            };
        Ok(Self { target, value: json::read(value).unwrap_or_else(|_| value.into()) })
    }
}

impl Binder<'_, '_> {
    pub(super) fn apply(&mut self, plan: &mut Plan, setting: &Setting) {
        match &setting.target {
            SettingTarget::NodeInput { node, input } => {
                let Some(id) = plan.find(node) else {
                    if self.bindings.whole.is_some_and(|whole| whole.find(node).is_some()) {
                        return;
                    }
                    let names: Vec<&str> = plan.nodes.iter().map(|node| &*node.name.0).collect();
                    self.unknown_setting(format!("there is no node `{node}` to set `{input}` of"), node, &names);
                    return;
                };
                if matches!(
                    setting.value.as_str().and_then(Reference::parse),
                    Some(Reference::Input(_) | Reference::Node { .. })
                ) {
                    let message = format!("`{input}` of node `{node}` can be set to a value, not to a reference");
                    self.problems.push(Problem::error("flow::bad_setting", message));
                    return;
                }
                let Some(target) = plan.nodes.get_mut(id.index()) else { return };
                let kind = match &target.kind {
                    NodeKind::Llm(llm) if llm.is_parameter(input) => parameter_type(llm.api(), input),
                    NodeKind::Embedding(_) => embedding_parameter_type(input),
                    _ => None,
                };
                let value = match kind {
                    Some(kind) => coerce(kind, &setting.value, &Images::without_files(plan.message_format)),
                    None => Ok(setting.value.clone()),
                };
                match value {
                    Ok(value) => {
                        target.inputs.insert(input.clone(), Operand::Literal(value));
                    }
                    Err(_) => {
                        let wanted = kind.map_or("any", InputType::word);
                        let message =
                            format!("`{input}` of node `{node}` is no `{wanted}`: {}", shortened(&setting.value));
                        self.problems.push(Problem::error("flow::bad_setting", message));
                    }
                }
            }
            SettingTarget::Default { input } => {
                let Some(spec) = plan.inputs.get_mut(input) else {
                    if self.bindings.whole.is_some_and(|whole| whole.inputs.contains_key(input)) {
                        return;
                    }
                    let names: Vec<&str> = plan.inputs.keys().map(|name| &**name).collect();
                    self.unknown_setting(format!("the flow has no input `{input}`"), input, &names);
                    return;
                };
                match coerce(spec.kind, &setting.value, &Images::without_files(plan.message_format)) {
                    Ok(value) => spec.default = Some(value),
                    Err(error) => {
                        let error = error.of(input, spec.kind, &setting.value);
                        self.problems.push(Problem::error("flow::bad_setting", error.to_string()));
                    }
                }
            }
        }
    }

    fn unknown_setting(&mut self, message: String, name: &str, known: &[&str]) {
        let problem = Problem::error("flow::bad_setting", message);
        self.problems.push(match suggest::nearest(name, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help(format!("known: {}", quoted(known.iter().copied()))),
        });
    }

    /// Overrides for nodes that do not exist help nobody.
    pub(super) fn check_names(&mut self, plan: &Plan) {
        for path in self.bindings.nodes.keys() {
            let mut names = path.split('/');
            let mut here = Some(self.bindings.whole.unwrap_or(plan));
            let found = names.all(|name| {
                let node = here.and_then(|plan| plan.find(name).map(|id| plan.node(id)));
                here = node.and_then(|node| node.kind.inner()).map(|plan| &**plan);
                node.is_some()
            });
            if !found {
                let known: Vec<&str> = plan.nodes.iter().map(|node| &*node.name.0).collect();
                self.unknown_setting(format!("there is no node `{path}` to choose a connection for"), path, &known);
            }
        }
    }
}
