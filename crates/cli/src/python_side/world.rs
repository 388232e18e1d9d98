//! The door's side of [`World`]: files, settings, connections.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_config::{Connection, ConnectionFacts, Environment, Secret};
use sluicegate_executor::python::{Asked, FlowAsked, NoConnection, Place, World};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::Plan;
use sluicegate_flow::prompty::PromptyFile;
use sluicegate_model::ConnectionName;
use sluicegate_python::{ConnectionObject, StrongType};
use sluicegate_source::Problem;
use sluicegate_value::{Map, Value, hash};

use super::folders::Folders;
use super::masks::Masks;
use super::models::AllModels;
use super::program::{moved_folders, program_variables};

/// What Python nodes are given of files and settings.
pub(super) struct Door {
    pub(super) environment: Environment,
    pub(super) root: PathBuf,
    pub(super) masks: Masks,
    pub(super) models: Arc<AllModels>,
    pub(super) folders: Folders,
    /// Connections that code has made known, by name.
    added: Mutex<HashMap<Arc<str>, ConnectionObject>>,
    pub(super) flows: Mutex<Vec<(FlowAsked, BoundPlan)>>,
    pub(super) prompties: Mutex<HashMap<(PathBuf, String), Arc<PromptyFile>>>,
}

impl Door {
    pub(super) fn new(environment: Environment, masks: Masks, models: Arc<AllModels>) -> Self {
        let root = &environment.project().root;
        let root = root.canonicalize().unwrap_or_else(|_| root.clone());
        Self {
            environment,
            root,
            masks,
            models,
            folders: Folders::default(),
            added: Mutex::default(),
            flows: Mutex::default(),
            prompties: Mutex::default(),
        }
    }

    fn handed_out(&self, connection: &ConnectionObject) {
        self.masks.hide(connection.secrets.iter().map(|(_, secret)| secret.expose()));
    }
}

impl World for Door {
    fn place(&self, plan: &Plan) -> Result<Place, Problem> {
        let mut place = self.folders.place(plan, &self.root)?;
        let mut told = program_variables(&self.root, self.environment.environment_name());
        told.extend(moved_folders(&place));
        told.retain(|(name, _)| !place.variables.iter().any(|(own, _)| own == name));
        place.variables.extend(told);
        Ok(place)
    }

    fn connection(&self, name: &str) -> Result<ConnectionObject, NoConnection> {
        if let Some(added) = self.added.lock().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Ok(added.clone());
        }
        let known = self.environment.connection_names();
        let facts = self.environment.connection_facts(name).map_err(|problems| {
            if known.iter().any(|known| known == name) {
                let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                NoConnection::Broken { message: messages.join("; ") }
            } else {
                NoConnection::Unknown { known }
            }
        })?;
        let connection = object_of(facts);
        self.handed_out(&connection);
        Ok(connection)
    }

    fn connections(&self) -> Vec<ConnectionObject> {
        let named = self.environment.connection_names();
        named.iter().filter_map(|name| self.environment.connection_facts(name).ok()).map(object_of).collect()
    }

    fn add_connection(&self, told: &Map, keeps: bool) -> Result<ConnectionName, String> {
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let type_name = text("type").unwrap_or("custom");
        let part = |name: &str| told.get(name).and_then(Value::as_map).cloned().unwrap_or_default();
        let (mut configs, mut secrets) = (part("values"), part("secrets"));
        for (name, value) in &part("configs") {
            configs.insert(name.clone(), value.clone());
        }
        // Wherever a key stands, it is one.
        for key in ["api_key"] {
            if let Some(value) = configs.remove(key) {
                secrets.insert(key, value);
            }
        }
        let own_name = text("name").filter(|name| !name.is_empty());
        let name: Arc<str> = match own_name.filter(|_| keeps) {
            Some(name) => name.into(),
            None if keeps => return Err("a connection that is kept needs a name".to_owned()),
            None => format!("python:{}", &hash::sha256(Value::from(told.clone()).to_json())[..16]).into(),
        };
        let class = text("class").zip(text("module"));
        let connection = ConnectionObject {
            name: name.clone(),
            type_name: type_name.into(),
            class: class.map(|(class, module)| StrongType { class: class.into(), module: module.into() }),
            configs: configs.clone(),
            secrets: secrets
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), Secret::new(value.as_str()?))))
                .collect(),
        };
        self.handed_out(&connection);
        let model = self.model_connection(&name, type_name, configs, &secrets);
        match model {
            Some(Ok(connection)) => self.models.add(connection),
            Some(Err(why)) if !keeps => return Err(why),
            None if !keeps => return Err(format!("connections of type `{type_name}` have no models")),
            Some(Err(_)) | None => {}
        }
        if keeps {
            self.added.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), connection);
        }
        Ok(ConnectionName(name))
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    }

    fn said(&self, text: &str) {
        self.masks.say_part(text);
    }

    fn prompty(&self, path: &Path, overrides: &Map) -> Result<Arc<PromptyFile>, Asked> {
        self.prompty_asked(path, overrides)
    }

    fn flow(&self, asked: &FlowAsked) -> Result<BoundPlan, Asked> {
        self.flow_asked(asked)
    }
}

impl Door {
    /// The connection that code describes, if models can be behind it.
    fn model_connection(
        &self,
        name: &str,
        type_name: &str,
        mut configuration: Map,
        secrets: &Map,
    ) -> Option<Result<Connection, String>> {
        if !matches!(type_name, "azure_open_ai" | "open_ai" | "serverless") {
            return None;
        }
        for (name, value) in secrets {
            configuration.insert(name.clone(), value.clone());
        }
        configuration.insert("type", type_name);
        let read = self.environment.inline_connection(name, Some(type_name), &configuration);
        Some(read.map_err(|problems| {
            let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
            messages.join("; ")
        }))
    }
}

fn object_of(facts: ConnectionFacts) -> ConnectionObject {
    let ConnectionFacts { name, class: _, type_name, custom_type, module, configs, secrets } = facts;
    let class = custom_type.zip(module).map(|(class, module)| StrongType { class, module });
    ConnectionObject { name, type_name, class, configs, secrets }
}
