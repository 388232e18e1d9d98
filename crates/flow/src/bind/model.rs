//! Connections and deployments: chosen, looked up, held against those that there are.

use std::collections::HashSet;
use std::sync::Arc;

use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, suggest};

use super::Binder;
use crate::file::quoted;
use crate::plan::{NodeName, Place};
use crate::prompty::PromptyFile;
use crate::reference;

impl Binder<'_, '_> {
    /// Replaces a connection's name `${env:NAME}`, unless the outside replaces the whole name.
    pub(super) fn fill_in_connection(
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

    pub(super) fn check_connection(
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

    pub(super) fn no_deployment(&mut self, node: &NodeName, own: &str, key: &str, place: &Place) {
        let message = format!("node `{node}` names no deployment and no model");
        let help = format!("{own}, or give the flow one (`{key}:` in its config section)");
        self.problems
            .push(Problem::error("flow::no_deployment", message).in_file(&place.file).at(place.span, "").help(help));
    }

    /// A prompty with its variables filled in, and another model where the outside says so. Variables that only
    /// what was replaced would read are not asked for.
    pub(super) fn prompty(
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
