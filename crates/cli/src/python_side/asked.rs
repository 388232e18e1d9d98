//! Prompties and flows that Python code asks for: read, changed as it wishes, bound.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use indexmap::IndexMap;
use sluicegate_executor::python::{Asked, FlowAsked, World as _};
use sluicegate_flow::bind::{BoundPlan, NodeBinding, Setting, SettingTarget, bind};
use sluicegate_flow::compile::{CompileOptions, VariantChoice, compile};
use sluicegate_flow::files::{DiskFiles, FileError, FileKind, Files, file_name, parent};
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_model::ConnectionName;
use sluicegate_source::{Problem, Severity, SourceFile};
use sluicegate_value::{Map, Value, hash, python};

use super::below;
use super::world::Door;
use crate::prepared::{bindings_of, connection_lookup, inline_models};

/// Files on disk, with one that is only said to be there.
struct With<'f> {
    disk: &'f DiskFiles,
    path: String,
    text: String,
}

impl Files for With<'_> {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, FileError> {
        if path == self.path { Ok(self.text.as_bytes().into()) } else { self.disk.read(path) }
    }

    fn kind(&self, path: &str) -> FileKind {
        if path == self.path { FileKind::File } else { self.disk.kind(path) }
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, FileError> {
        self.disk.list(folder)
    }
}

impl Door {
    pub(super) fn prompty_asked(&self, path: &Path, overrides: &Map) -> Result<Arc<PromptyFile>, Asked> {
        let key = (path.to_owned(), Value::from(overrides.clone()).to_json());
        if let Some(known) = self.prompties.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let (disk, target) = self.target(path);
        let (files, target) = match overrides.is_empty() {
            true => (None, target),
            false => {
                let (text, name) = self.overridden(&disk, &target, overrides)?;
                (Some(With { disk: &disk, path: name.clone(), text }), name)
            }
        };
        let files: &dyn Files = files.as_ref().map_or(&disk, |files| files);
        // What code names itself is not replaced by what the section says of all model nodes.
        let names_own = overrides.get("model").and_then(|model| model.get("configuration")).is_some();
        let bound = self.bound(files, &target, &FlowAsked::default(), !names_own)?;
        let prompty = bound.plan().nodes.iter().find_map(|node| match &node.kind {
            NodeKind::Prompty(prompty) => Some(prompty.clone()),
            _ => None,
        });
        let prompty = prompty.ok_or_else(|| refused(format!("`{}` is no prompty", path.display())))?;
        self.prompties.lock().unwrap_or_else(PoisonError::into_inner).insert(key, prompty.clone());
        Ok(prompty)
    }

    /// A prompty's text with what code lays over its front matter, and the name under which it is said to stand.
    fn overridden(&self, disk: &DiskFiles, target: &str, overrides: &Map) -> Result<(String, String), Asked> {
        let text = disk.read(target).map_err(|error| refused(error.to_string()))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let file = SourceFile::new(target, text);
        let read = |path: &str| {
            let place = sluicegate_flow::files::join(parent(target), path).ok_or_else(|| path.to_owned())?;
            let bytes = disk.read(&place).map_err(|error| error.to_string())?;
            String::from_utf8(bytes.to_vec()).map(Arc::from).map_err(|error| error.to_string())
        };
        let prompty = PromptyFile::read(&file, &read).map_err(|problems| said(&problems))?;
        let mut front = prompty.front.clone();
        // Another kind of service: nothing that the file says of its own fits it.
        let kind = |front: &Map| {
            let kind = front.get("model")?.get("configuration")?.get("type")?;
            Some(kind.as_str()?.replace('_', "").to_ascii_lowercase())
        };
        if let (Some(old), Some(new)) = (kind(&front), kind(overrides))
            && old != new
        {
            lay_over(&mut front, &Map::from([("model", Value::from(Map::from([("configuration", Value::Null)])))]));
        }
        lay_over(&mut front, overrides);
        if !front.contains_key("name") {
            front.insert("name", prompty.name.clone());
        }
        // A whole connection becomes the name of one.
        let whole = front.get("model").and_then(|model| model.get("configuration")?.get("connection"));
        if let Some(told) = whole.and_then(Value::as_map) {
            let name = self.add_connection(told, false).map_err(refused)?;
            let named = Map::from([("configuration", Value::from(Map::from([("connection", name.0)])))]);
            lay_over(&mut front, &Map::from([("model", Value::from(named))]));
        }
        let front = Value::from(front).to_json();
        let short = &hash::sha256(&front)[..8];
        let stem = file_name(target).trim_end_matches(".prompty");
        let folder = parent(target);
        let slash = if folder.is_empty() { "" } else { "/" };
        let name = format!("{folder}{slash}{stem}.{short}.prompty");
        Ok((format!("---\n{front}\n---\n{}", prompty.template.source()), name))
    }

    pub(super) fn flow_asked(&self, asked: &FlowAsked) -> Result<BoundPlan, Asked> {
        let known = |flows: &Vec<(FlowAsked, BoundPlan)>| {
            flows.iter().find(|(known, _)| known == asked).map(|(_, plan)| plan.clone())
        };
        if let Some(plan) = known(&self.flows.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(plan);
        }
        let (disk, target) = self.target(&asked.path);
        let bound = match &asked.entry {
            None => self.bound(&disk, &target, asked, true)?,
            Some(entry) => {
                let folder = if target == "." { String::new() } else { format!("{target}/") };
                let path = format!("{folder}flow.{}.flex.yaml", &hash::sha256(entry)[..8]);
                let text = Value::from(Map::from([("entry", entry.as_str())])).to_json();
                self.bound(&With { disk: &disk, path: path.clone(), text }, &path, asked, true)?
            }
        };
        self.flows.lock().unwrap_or_else(PoisonError::into_inner).push((asked.clone(), bound.clone()));
        Ok(bound)
    }

    /// The files that a path leads into, and the path among them. What lies outside of the project is a project of its own.
    fn target(&self, path: &Path) -> (DiskFiles, String) {
        let origin = self.folders.origin(path).or_else(|| below(self.environment.project(), path));
        match origin {
            Some(target) => (DiskFiles::new(&self.root), target),
            None => {
                let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
                let name = path.file_name().map_or_else(|| ".".to_owned(), |name| name.to_string_lossy().into_owned());
                (DiskFiles::new(folder), name)
            }
        }
    }

    fn bound(&self, files: &dyn Files, target: &str, asked: &FlowAsked, by_section: bool) -> Result<BoundPlan, Asked> {
        let variant = match asked.variant.as_deref() {
            Some(text) => Some(VariantChoice::parse(text).ok_or_else(|| refused(format!("`{text}` is no variant")))?),
            None => None,
        };
        let compiled = compile(files, target, &CompileOptions { variant });
        let whole = compiled.plan.ok_or_else(|| said(&compiled.problems))?;
        let mut plan = Plan::clone(&whole);
        if let Some(node) = &asked.node {
            plan = plan.only(node).ok_or_else(|| refused(format!("the flow has no node `{node}`")))?;
        }
        for (name, value) in &asked.variables {
            plan.environment_variables.insert(name.clone(), value.clone());
        }
        let environment = &self.environment;
        let variable = |name: &str| environment.variable(name).map(|found| Arc::from(found.value));
        let lookup = connection_lookup(environment);
        let mut bindings =
            bindings_of(environment, &variable).map_err(|_| refused("the settings are wrong".to_owned()))?;
        bindings.connection_value = Some(&lookup);
        // The section's own nodes are those of the flow that runs, not of every flow that code asks for.
        bindings.nodes = IndexMap::new();
        bindings.connections = None;
        if !by_section {
            (bindings.connection_name, bindings.deployment_name) = (None, None);
        }
        bindings.init.clone_from(&asked.init);
        bindings.whole = asked.node.as_ref().map(|_| &*whole);
        for (name, told) in &asked.connections {
            self.bind_connection(&mut bindings.nodes, name, told)?;
        }
        for (path, value) in &asked.overrides {
            bindings.set.push(setting(path, value)?);
        }
        let bound = bind(&plan, &bindings).map_err(|problems| said(&problems))?;
        let mut inline = HashMap::new();
        inline_models(bound.plan(), &mut inline);
        for (name, model) in inline {
            let connection = environment
                .inline_connection(&name.0, model.provider.as_deref(), &model.configuration)
                .map_err(|problems| said(&problems))?;
            self.masks.hide(connection.secrets().iter().map(sluicegate_config::Secret::expose));
            self.models.add(connection);
        }
        Ok(bound)
    }

    /// `{node: {connection, deployment_name}}`, or `{name: a whole connection}`.
    fn bind_connection(
        &self,
        nodes: &mut IndexMap<Arc<str>, NodeBinding>,
        name: &Arc<str>,
        told: &Value,
    ) -> Result<(), Asked> {
        let Some(told) = told.as_map() else { return Err(refused(format!("`connections` of `{name}` is no map"))) };
        if told.contains_key("type") {
            let mut named = told.clone();
            named.insert("name", name.clone());
            self.add_connection(&named, true).map_err(refused)?;
            return Ok(());
        }
        let connection = match told.get("connection") {
            Some(Value::Map(whole)) => Some(self.add_connection(whole, false).map_err(refused)?),
            Some(Value::Str(name)) => Some(ConnectionName(name.clone())),
            _ => None,
        };
        let deployment = ["deployment_name", "model"].iter().find_map(|key| told.get(key)?.as_str());
        nodes.insert(name.clone(), NodeBinding { connection, deployment_name: deployment.map(Into::into) });
        Ok(())
    }
}

fn setting(path: &str, value: &Value) -> Result<Setting, Asked> {
    let target = match path.strip_prefix("nodes.").and_then(|rest| rest.split_once(".inputs.")) {
        Some((node, input)) => SettingTarget::NodeInput { node: node.into(), input: input.into() },
        None => {
            let text = value.as_str().map_or_else(|| python::str(value), ToOwned::to_owned);
            return Setting::parse(&format!("{path}={text}")).map_err(refused);
        }
    };
    Ok(Setting { target, value: value.clone() })
}

/// Lays a map over another one, deeply.
fn lay_over(under: &mut Map, over: &Map) {
    for (name, value) in over {
        match (under.get(name), value) {
            (Some(Value::Map(below)), Value::Map(above)) => {
                let mut merged = (**below).clone();
                lay_over(&mut merged, above);
                under.insert(name.clone(), merged);
            }
            _ => {
                under.insert(name.clone(), value.clone());
            }
        }
    }
}

fn refused(message: String) -> Asked {
    Asked { class: "UserErrorException", message }
}

fn said(problems: &[Problem]) -> Asked {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let messages: Vec<String> = errors.map(ToString::to_string).collect();
    refused(messages.join("; "))
}
