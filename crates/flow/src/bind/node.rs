//! What a node asks: its own words, or what the config environment says in their place.

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_model::ConnectionName;
use sluicegate_source::Span;

use super::{Binder, SettingTarget, inline_connection_name};
use crate::plan::{Activate, HttpNode, Node, NodeKind, Operand, Place};
use crate::prompty::Version;

impl Binder<'_, '_> {
    pub(super) fn node(&mut self, node: &mut Node, path: &str) {
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
