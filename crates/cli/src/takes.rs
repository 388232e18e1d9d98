//! What a flow takes: values as somebody gave them become its inputs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_flow::coerce::InputError;
use sluicegate_flow::files::FileError;
use sluicegate_flow::image::Images;
use sluicegate_flow::plan::{InputType, NodeKind, Operand, Plan};
use sluicegate_value::{Map, Value, json};

use crate::error::CliError;
use crate::prepared::{Prepared, one};
use crate::python_side::Masks;
use crate::session::Session;

impl Prepared {
    /// What the flow takes: `folder` is where the values come from, of which relative paths count.
    pub(crate) fn takes(&self, session: &Session, folder: Option<&Path>) -> Result<Takes, CliError> {
        let plan = self.plan().clone();
        let own = if self.flow.path.is_dir() { Some(&*self.flow.path) } else { self.flow.path.parent() };
        let folders = [folder, own, Some(session.directory())].into_iter().flatten().map(Path::to_owned).collect();
        // What the section says under an input's name stands between what is given and the flow's own default.
        let environment = &self.flow.environment;
        let mut of_section = Map::new();
        for name in environment.value_names().into_iter().filter(|name| plan.inputs.contains_key(*name)) {
            if let Some(setting) = one(environment.value(name))? {
                of_section.insert(name, setting.value);
            }
        }
        let (root, secret) = (environment.project().root.clone(), secret_inputs(&plan).into_iter().collect());
        Ok(Takes { plan, of_section, folders, root, secret, masks: self.masks.clone() })
    }
}

/// What a flow takes, ready to make the inputs of one row after the other.
pub(crate) struct Takes {
    pub(crate) plan: Arc<Plan>,
    /// What the section says under the names of inputs.
    pub(crate) of_section: Map,
    folders: Vec<PathBuf>,
    root: PathBuf,
    /// Inputs that are secret.
    pub(crate) secret: Vec<Arc<str>>,
    masks: Masks,
}

impl Takes {
    /// The inputs, coerced, with defaults.
    pub(crate) fn inputs(&self, given: &Map) -> Result<Map, Vec<InputError>> {
        let folders: Vec<&Path> = self.folders.iter().map(PathBuf::as_path).collect();
        let read = |path: &str| read_image(path, &folders, &self.root);
        let images = Images::new(self.plan.message_format, &read);
        let mut given = images_by_pair(&self.plan, given);
        for (name, value) in &self.of_section {
            if !given.contains_key(name) {
                given.insert(name.clone(), value.clone());
            }
        }
        self.plan.resolve_inputs_with(&given, &images)
    }

    /// From now on what of these inputs is secret is hidden.
    pub(crate) fn hide_secrets(&self, inputs: &Map) {
        let secrets = self.secret.iter().filter_map(|name| match inputs.get(name) {
            Some(Value::Str(text)) => Some(text.clone()),
            _ => None,
        });
        let secrets: Vec<Arc<str>> = secrets.collect();
        if !secrets.is_empty() {
            self.masks.hide(secrets);
        }
    }
}

/// A secret with fewer bytes is not taken out of text: every `1234` would go.
pub(crate) const SHORTEST_SECRET: usize = 6;

/// The flow inputs that are secret: by their own type, or because they go straight into one that is, of a flow inside.
fn secret_inputs(plan: &Plan) -> BTreeSet<Arc<str>> {
    let mut names: BTreeSet<Arc<str>> =
        plan.inputs.iter().filter(|(_, spec)| spec.secret).map(|(name, _)| name.clone()).collect();
    for node in &plan.nodes {
        let inside: BTreeSet<Arc<str>> = match &node.kind {
            NodeKind::Prompty(prompty) => {
                let is_secret = |kind: &Option<Arc<str>>| kind.as_deref() == Some("secret");
                prompty.inputs.iter().filter(|input| is_secret(&input.kind)).map(|input| input.name.clone()).collect()
            }
            kind => kind.inner().map(|inner| secret_inputs(inner)).unwrap_or_default(),
        };
        for (name, operand) in &node.inputs {
            if let (true, Operand::Input(outer)) = (inside.contains(name), operand) {
                names.insert(outer.clone());
            }
        }
    }
    names
}

/// `i={"data:image/png;path": "a.png"}` on the command line is the map, not a file of that name.
fn images_by_pair(plan: &Plan, given: &Map) -> Map {
    let parsed = |name: &Arc<str>, value: &Value| match value {
        Value::Str(text) if text.trim_start().starts_with('{') => {
            let is_image = plan.inputs.get(name).is_some_and(|spec| spec.kind == InputType::Image);
            is_image.then(|| json::read(text).ok()).flatten().unwrap_or_else(|| value.clone())
        }
        other => other.clone(),
    };
    given.iter().map(|(name, value)| (name.clone(), parsed(name, value))).collect()
}

/// The bytes of an image by its path: relative ones count from the file of inputs, else from the flow's folder, else from
/// the current folder. What lies outside of all of these and of the project is not read: inputs may come from strangers.
fn read_image(path: &str, folders: &[&Path], root: &Path) -> Result<Arc<[u8]>, FileError> {
    let found = folders.iter().map(|folder| folder.join(path)).find(|place| place.is_file());
    let place = found.and_then(|place| place.canonicalize().ok()).ok_or_else(|| FileError::Missing(path.to_owned()))?;
    let is_inside = |folder: &Path| folder.canonicalize().is_ok_and(|folder| place.starts_with(folder));
    if !is_inside(root) && !folders.iter().any(|folder| is_inside(folder)) {
        return Err(FileError::Outside(path.to_owned()));
    }
    std::fs::read(&place)
        .map(Into::into)
        .map_err(|error| FileError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}
