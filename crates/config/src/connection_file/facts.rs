//! What code outside of us sees of a connection, as far as its kind does not tell by itself: above all the connections of
//! prompt flow that no model answers behind (spec: promptflow.md §4).

use std::sync::Arc;

use sluicegate_value::Value;

use super::{Collected, check_address, identity, missing};
use crate::facts::{ConnectionFacts, auth_mode, key_of};
use crate::layers::{Table, Tree};
use crate::reader::Reader;
use crate::{ConnectionKind, Secret, Variables};

/// Under which names the original keeps the class of a custom connection among its configs.
const CUSTOM_KEYS: [(&str, &str); 4] = [
    ("custom_type", "promptflow.connection.custom_type"),
    ("module", "promptflow.connection.module"),
    ("package", "promptflow.connection.package"),
    ("package_version", "promptflow.connection.package_version"),
];

pub(super) fn read(
    name: &str,
    kind: &ConnectionKind,
    reader: &Reader<'_>,
    variables: &Variables,
    problems: &mut Collected,
) -> ConnectionFacts {
    let mut facts = ConnectionFacts::of_kind(name, kind);
    let mut with = Facts { facts: &mut facts, reader, variables, problems };
    match kind {
        ConnectionKind::AzureOpenAi { .. } => {
            with.if_written("api_type");
            with.if_written("api_version");
            with.if_written("resource_id");
        }
        ConnectionKind::Other { type_name } => match type_name.as_str() {
            "serp" => with.key(),
            "cognitive_search" => {
                with.needed("api_base");
                with.or("api_version", "2023-11-01");
                with.key_or_identity("api_base");
            }
            "azure_ai_services" => {
                with.needed("endpoint");
                with.key_or_identity("endpoint");
            }
            "azure_content_safety" => {
                with.needed("endpoint");
                with.or("api_version", "2023-10-01");
                with.or("api_type", "Content Safety");
                with.key();
            }
            "form_recognizer" => {
                with.needed("endpoint");
                with.or("api_version", "2023-07-31");
                with.or("api_type", "Form Recognizer");
                with.key();
            }
            "qdrant" | "weaviate" => {
                with.needed("api_base");
                with.key();
            }
            _ => with.custom(),
        },
        _ => {}
    }
    facts
}

/// Fills facts from a connection's table.
struct Facts<'a, 'r> {
    facts: &'a mut ConnectionFacts,
    reader: &'a Reader<'r>,
    variables: &'a Variables,
    problems: &'a mut Collected,
}

impl Facts<'_, '_> {
    fn if_written(&mut self, key: &str) {
        if let Some(text) = self.problems.maybe(self.reader.text(key)) {
            self.facts.set(key, text);
        }
    }

    fn or(&mut self, key: &str, default: &str) {
        let text = self.problems.maybe(self.reader.text(key));
        self.facts.set(key, text.unwrap_or_else(|| default.to_owned()));
    }

    fn needed(&mut self, key: &str) {
        let text = self.problems.maybe(self.reader.written_text(key));
        if let Some(text) = text.or_else(|| missing(self.reader, key, "", self.problems)) {
            // A vector store may be named without a scheme; a secret in an address is told anyway.
            if text.contains("://") {
                check_address(self.reader, key, &text, self.problems);
            }
            self.facts.set(key, text);
        }
    }

    fn key(&mut self) {
        let told = self.problems.0.len();
        match self.problems.maybe(self.reader.written_secret("api_key")) {
            Some(key) => self.facts.secrets.push(("api_key".into(), key)),
            None if self.problems.0.len() == told => {
                missing::<()>(self.reader, "api_key", "", self.problems);
            }
            None => {}
        }
    }

    fn key_or_identity(&mut self, address: &str) {
        let address = self.facts.configs.get(address).and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(auth) = identity::read(self.reader, &address, self.variables, self.problems) {
            self.facts.set("auth_mode", auth_mode(&auth));
            self.facts.secrets.extend(key_of(&auth).map(|key| (Arc::from("api_key"), key.clone())));
        }
    }

    fn custom(&mut self) {
        for (key, value) in self.values("configs") {
            self.facts.set(&key, value);
        }
        let secrets = self.values("secrets");
        self.facts.secrets.extend(secrets.into_iter().map(|(key, value)| (key, Secret::new(value))));
        let mut own = CUSTOM_KEYS.map(|(key, _)| self.problems.maybe(self.reader.text(key)));
        let [custom_type, module, ..] = &own;
        if custom_type.is_some() && module.is_none() {
            missing::<()>(self.reader, "module", ", the one that defines its `custom_type`", self.problems);
        }
        if custom_type.is_none() {
            return;
        }
        self.facts.custom_type = custom_type.as_deref().map(Arc::from);
        self.facts.module = module.as_deref().map(Arc::from);
        for ((_, config), value) in CUSTOM_KEYS.iter().zip(&mut own) {
            if let Some(value) = value.take() {
                self.facts.set(config, value);
            }
        }
    }

    /// The texts of `configs` or `secrets`. One that is empty may be given by a variable `<CONNECTION>_<KEY>`, as prompt
    /// flow allows; else an empty config is empty, and an empty secret is a problem.
    fn values(&mut self, part: &str) -> Vec<(Arc<str>, String)> {
        let empty = Table::new();
        let table = self.problems.maybe(self.reader.table(part)).unwrap_or(&empty);
        let path = self.reader.key(part);
        let inner = Reader::new(table, &path, self.variables);
        let mut values = Vec::new();
        for (key, tree) in table {
            let is_written = match tree {
                Tree::Leaf(leaf) => !leaf.value.is_null() && leaf.value.as_str() != Some(""),
                Tree::Table(_) => true,
            };
            let variable = || self.variables.get_non_empty(&super::variable_name(&self.facts.name, key));
            let text = match variable().filter(|_| !is_written) {
                Some(found) => Some(found.value.to_owned()),
                None if part == "secrets" && is_written => {
                    self.problems.maybe(inner.written_secret(key)).map(|secret| secret.expose().to_owned())
                }
                None if part == "secrets" => {
                    let message = format!("`{}` is empty", inner.key(key));
                    let help = format!("set `{}`, or leave `{key}` out", super::variable_name(&self.facts.name, key));
                    self.problems.push(inner.problem(key, "config::missing_key", message).help(help));
                    None
                }
                None => Some(self.problems.maybe(inner.text(key)).unwrap_or_default()),
            };
            values.extend(text.map(|text| (key.clone(), text)));
        }
        values
    }
}
