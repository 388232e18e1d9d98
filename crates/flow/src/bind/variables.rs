//! Variables: those that a flow reads (`${env:NAME}`), and those that it sets for its tools (`environment_variables`).

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, suggest};
use sluicegate_value::{Value, python};

use super::{Binder, ConnectionValue};
use crate::file::quoted;
use crate::plan::{Need, NeedKind, Operand, Place, Plan, runs_python};
use crate::reference;

impl Binder<'_, '_> {
    /// Makes text of what a flow sets for its tools; nothing is looked up that no tool could read.
    pub(super) fn environment_variables(&mut self, plan: &mut Plan) {
        if !runs_python(&plan.nodes) {
            return;
        }
        let mut places = Places { needs: &plan.needs, taken: HashMap::new() };
        for (name, value) in &mut plan.environment_variables {
            let by = format!("environment variable `{name}` of the flow");
            let text = value.as_str();
            if let Some(variable) = text.and_then(reference::variable) {
                let place = places.next(NeedKind::Variable(variable.into()));
                match (self.bindings.variable)(variable) {
                    Some(text) => *value = text.into(),
                    None => self.unset(variable, &by, place.as_ref()),
                }
            } else if let Some((connection, key)) = text.and_then(reference::of_connection) {
                let place = places.next(NeedKind::Connection(connection.into()));
                if let Some(text) = self.of_connection(&connection.into(), key, &by, place.as_ref()) {
                    *value = text.into();
                }
            } else {
                *value = match &*value {
                    Value::Str(_) => continue,
                    nested @ (Value::List(_) | Value::Map(_)) => nested.to_json().into(),
                    plain => python::str(plain).into(),
                };
            }
        }
    }

    /// A value of a connection; what is wrong is told at its place.
    fn of_connection(
        &mut self,
        connection: &ConnectionName,
        key: &str,
        by: &str,
        place: Option<&Place>,
    ) -> Option<Arc<str>> {
        let known = match self.bindings.connection_value {
            Some(lookup) => lookup(connection, key),
            // Whoever only checks has names, and perhaps no values.
            None => match &self.bindings.connections {
                Some(known) if !known.contains(connection) => ConnectionValue::NoConnection,
                _ => return None,
            },
        };
        let problem = match known {
            ConnectionValue::Text(text) => return Some(text),
            ConnectionValue::NoConnection => {
                let message = format!("there is no connection `{connection}`, which {by} reads");
                let mut names: Vec<&str> = self.bindings.connections.iter().flatten().map(|name| &*name.0).collect();
                names.sort_unstable();
                let problem = Problem::error("flow::unknown_connection", message);
                match suggest::nearest(&connection.0, names.iter().copied()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if names.is_empty() => problem.help("define it under `connections:` in the project's config"),
                    None => problem.help(format!("connections: {}", quoted(names))),
                }
            }
            ConnectionValue::NoKey(known) => {
                let message = format!("connection `{connection}` has no `{key}`, which {by} reads");
                let problem = Problem::error("flow::unknown_connection_key", message);
                let names = || known.iter().map(String::as_str);
                match suggest::nearest(key, names()) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None if known.is_empty() => problem.help("it has no values"),
                    None => problem.help(format!("it has: {}", quoted(names()))),
                }
            }
            ConnectionValue::Incomplete(reason) => {
                let message =
                    format!("connection `{connection}` is not complete, and {by} reads its `{key}`: {reason}");
                Problem::error("flow::incomplete_connection", message)
            }
        };
        self.problems.push(match place {
            Some(place) => problem.in_file(&place.file).at(place.span, ""),
            None => problem,
        });
        None
    }

    /// Replaces a literal `${env:NAME}`.
    pub(super) fn fill_in(&mut self, operand: &mut Operand, place: &Place) {
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

    pub(super) fn unset(&mut self, variable: &str, by: &str, place: Option<&Place>) {
        let by = if by.is_empty() { String::new() } else { format!(", which {by} takes") };
        let problem = Problem::error("flow::unset_variable", format!("variable `{variable}` is not set{by}"))
            .help(format!("set `{variable}` in the environment or in `.env`"));
        self.problems.push(match place {
            Some(place) => problem.in_file(&place.file).at(place.span, ""),
            None => problem,
        });
    }
}

/// Where the flow's variables stand: what the plan needs is in the order of the file, as they are.
struct Places<'a> {
    needs: &'a [Need],
    /// How many of each kind were taken.
    taken: HashMap<String, usize>,
}

impl Places<'_> {
    fn next(&mut self, what: NeedKind) -> Option<Place> {
        let taken = self.taken.entry(format!("{what:?}")).or_default();
        let mut alike = self.needs.iter().filter(|need| need.node.is_none() && need.what == what);
        let found = alike.nth(*taken)?;
        *taken += 1;
        Some(found.at.clone())
    }
}
