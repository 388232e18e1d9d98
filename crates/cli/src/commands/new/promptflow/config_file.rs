//! The config that a project has already: read as it will be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sluicegate_config::{Environment, Project, Settings, Variables};
use sluicegate_source::yaml;
use sluicegate_source::{Problem, SourceFile};
use sluicegate_value::Value;

/// Where it stands.
pub(crate) const CONFIG_FILE: &str = "config/config.yaml";

/// What a project's config says.
#[derive(Debug, Default)]
pub(crate) struct ConfigFacts {
    /// Its text, if there is one.
    pub(crate) text: Option<String>,
    /// Its flows, by the names that are known here.
    pub(crate) flows: BTreeMap<String, FlowSections>,
    /// Every environment of any flow.
    pub(crate) environments: BTreeSet<String>,
    /// The names under `connections`.
    pub(crate) connections: BTreeSet<String>,
    /// What `aoai_config` says, as written.
    pub(crate) aoai: BTreeMap<String, String>,
    pub(crate) has_deployments: bool,
    pub(crate) has_ai_studio: bool,
    /// Whether it could be read.
    pub(crate) is_broken: bool,
}

/// What the config says of one flow.
#[derive(Debug, Default)]
pub(crate) struct FlowSections {
    /// Where it lies, below the root.
    pub(crate) path: Option<String>,
    pub(crate) environments: Vec<String>,
    /// The connection that each environment names.
    pub(crate) connection_names: BTreeMap<String, String>,
    pub(crate) data_path: Option<String>,
    pub(crate) eval_data_path: Option<String>,
    /// Keys that mean nothing to sluicegate.
    pub(crate) values: BTreeSet<String>,
}

impl ConfigFacts {
    /// Reads the config below `root`, if there is one.
    pub(crate) fn read(root: &Path, notes: &mut Vec<String>) -> Self {
        let mut facts = Self::default();
        let file = root.join(CONFIG_FILE);
        if !file.is_file() {
            return facts;
        }
        facts.text = std::fs::read_to_string(&file).ok();
        let project = Project { root: root.to_owned(), config_file: Some(file) };
        let settings = match load(&project, None) {
            Ok(settings) => settings,
            Err(problems) => {
                facts.is_broken = true;
                notes.extend(problems.iter().map(ToString::to_string));
                return facts;
            }
        };
        notes.extend(settings.warnings().iter().map(ToString::to_string));
        facts.connections = settings.connection_names().into_iter().collect();
        for flow in settings.flows() {
            let mut sections = FlowSections { environments: settings.environments(&flow), ..FlowSections::default() };
            facts.environments.extend(sections.environments.iter().cloned());
            let alone = std::iter::once(None).chain(sections.environments.clone().into_iter().map(Some));
            for environment in alone {
                let Ok(settings) = load(&project, environment.as_deref()) else { continue };
                let Ok(found) = settings.environment(&flow, root) else { continue };
                sections.add(root, environment.as_deref(), &found);
            }
            facts.flows.insert(flow, sections);
        }
        facts.read_older_keys();
        facts
    }

    /// What the config calls the flow at a path.
    pub(crate) fn name_of(&self, path: &str) -> Option<&str> {
        let found = self.flows.iter().find(|(_, sections)| sections.path.as_deref() == Some(path));
        found.map(|(name, _)| name.as_str())
    }

    fn read_older_keys(&mut self) {
        let Some(text) = &self.text else { return };
        let Ok(document) = yaml::read(&SourceFile::new(CONFIG_FILE, text.as_str())) else { return };
        for entry in document.root.get("aoai_config").and_then(yaml::Node::as_map).unwrap_or_default() {
            if let Some(value) = entry.value.as_scalar().filter(|value| !value.is_null()) {
                let text = value.as_str().map_or_else(|| value.to_json(), str::to_owned);
                self.aoai.insert(entry.key.to_string(), text);
            }
        }
        self.has_deployments = document.root.get("deployment_configs").is_some_and(|node| node.as_map().is_some());
        self.has_ai_studio = document.root.get("aistudio_config").is_some_and(|node| node.as_map().is_some());
    }
}

impl FlowSections {
    fn add(&mut self, root: &Path, environment: Option<&str>, found: &Environment) {
        let below = |path: std::path::PathBuf| {
            let below = path.strip_prefix(root).map_or(path.clone(), Path::to_owned);
            below.to_string_lossy().replace('\\', "/")
        };
        self.path = self.path.take().or_else(|| found.flow_path().ok().map(below));
        self.data_path = self.data_path.take().or_else(|| found.data_path().ok()?.map(below));
        self.eval_data_path = self.eval_data_path.take().or_else(|| found.eval_data_path().ok()?.map(below));
        if let (Some(environment), Ok(Some(name))) = (environment, found.connection_name()) {
            self.connection_names.insert(environment.to_owned(), name);
        }
        let values = found.value_names().into_iter().filter(|name| *name != "nodes");
        self.values.extend(values.map(str::to_owned));
    }
}

/// No variable is looked up: what hangs on one is not known here.
fn load(project: &Project, environment: Option<&str>) -> Result<Settings, Vec<Problem>> {
    Settings::load(project, &Variables::default(), environment, Vec::new())
}

/// Whether a text may be taken over as it is: no secret, or one that only names a variable.
pub(crate) fn names_a_variable(value: &str) -> bool {
    value.contains("${") || (value.starts_with('$') && value.len() > 1)
}

/// Whether a value says nothing: the placeholders that samples have.
pub(crate) fn is_placeholder(value: &Value) -> bool {
    let Some(text) = value.as_str() else { return value.is_null() };
    let text = text.trim().to_ascii_lowercase();
    text.is_empty()
        || (text.starts_with('<') && text.ends_with('>'))
        || ["to_replace", "your_", "your-", "replace", "xxx", "***", "..."].iter().any(|begin| text.starts_with(begin))
}
