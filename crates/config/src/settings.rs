//! All layers of a project's settings, laid over one another.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_source::suggest::nearest;
use sluicegate_source::yaml::{self, Document};
use sluicegate_source::{Problem, Severity, SourceFile};
use sluicegate_value::Value;

use crate::aliases::modernize;
use crate::check;
use crate::keys::TOP_KEYS;
use crate::layers::{Tree, merge};
use crate::sections::{Sections, flow_name};
use crate::telemetry;
use crate::variables::{KNOWN, SLUICEGATE_ENVIRONMENT};
use crate::{Environment, Origin, Project, Variables};

/// What holds where nobody says otherwise; readable as documentation.
const DEFAULTS: &str = include_str!("default.yaml");

/// A value that a flag sets, over all else. Prints without the value.
#[derive(Clone)]
pub struct Override {
    /// The dotted key: of the whole file (`connections.aoai.api_base`, `max_in_flight`), else of the flow's section
    /// (`connection_name`).
    pub key: String,
    /// The value.
    pub value: Value,
    /// The flag, as it is written: `--connection`.
    pub flag: String,
}

impl fmt::Debug for Override {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Override({} by {})", self.key, self.flag)
    }
}

/// A project's settings: files, variables and flags. Variables are looked up when a value is asked for.
#[derive(Clone)]
pub struct Settings {
    pub(crate) project: Project,
    pub(crate) variables: Variables,
    environment: Option<Arc<str>>,
    /// Who chose the environment.
    environment_origin: Option<Origin>,
    pub(crate) overrides: Vec<Override>,
    /// Defaults and files, merged.
    pub(crate) files: Tree,
    has_overlay: bool,
    warnings: Vec<Problem>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("project", &self.project)
            .field("environment", &self.environment)
            .field("variables", &self.variables)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the project's files and lays them over one another.
    ///
    /// The environment is `environment` (a flag's), else what `SLUICEGATE_ENVIRONMENT` says, else none.
    ///
    /// # Errors
    /// What is wrong with the files by their syntax or shape, everything at once.
    pub fn load(
        project: &Project,
        variables: &Variables,
        environment: Option<&str>,
        overrides: Vec<Override>,
    ) -> Result<Self, Vec<Problem>> {
        let chosen = match environment {
            Some(name) => Some((Arc::from(name), Origin::Flag { name: "--environment_name".into() })),
            None => variables.get_non_empty(SLUICEGATE_ENVIRONMENT).map(|found| (found.value.into(), found.origin)),
        };
        let (environment, environment_origin) = chosen.unzip();
        let environment: Option<Arc<str>> = environment;
        let overlay = environment.as_deref().and_then(|name| project.overlay_file(name));

        let mut layers = vec![defaults()?];
        let (mut problems, mut warnings, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for path in project.config_file.iter().chain(&overlay) {
            match read(project, path) {
                Ok(document) => {
                    let checked = check::check(&document);
                    let (found, told): (Vec<_>, Vec<_>) =
                        checked.problems.into_iter().partition(|problem| problem.severity == Severity::Error);
                    values.extend(checked.values);
                    problems.extend(found);
                    warnings.extend(told);
                    let tree = Tree::from_node(&document.root, &document.file);
                    layers.extend(tree.as_table().is_some().then(|| modernize(tree.clone())));
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            problems.extend(values);
            return Err(problems);
        }
        Ok(Self {
            project: project.clone(),
            variables: variables.clone(),
            environment,
            environment_origin,
            overrides,
            files: merge(&layers),
            has_overlay: overlay.is_some(),
            warnings,
        })
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The variables of the process and of `.env`.
    #[must_use]
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The config environment that was chosen, if any.
    #[must_use]
    pub fn environment_name(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// Who chose the environment.
    #[must_use]
    pub fn environment_origin(&self) -> Option<&Origin> {
        self.environment_origin.as_ref()
    }

    /// What is odd about the files and stops nothing.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The names of the flows that have sections.
    #[must_use]
    pub fn flows(&self) -> Vec<String> {
        Sections::new(&self.files, &self.project).flows().map(str::to_owned).collect()
    }

    /// The config environments for which a flow has a section.
    #[must_use]
    pub fn environments(&self, flow: &str) -> Vec<String> {
        let sections = Sections::new(&self.files, &self.project);
        sections.environments(flow).into_iter().map(str::to_owned).collect()
    }

    /// The names of the connections, in the order of the files.
    #[must_use]
    pub fn connection_names(&self) -> Vec<String> {
        let table = self.files.get("connections").and_then(Tree::as_table);
        table.into_iter().flatten().map(|(name, _)| name.to_string()).collect()
    }

    /// A deployment's section by its name, `<flow>_<type>_<environment>`, as written.
    #[must_use]
    pub fn deployment(&self, name: &str) -> Option<Value> {
        Some(self.files.get("deployment_configs")?.get(name)?.to_value())
    }

    /// What holds for no flow in particular: connections, prices, the store.
    ///
    /// # Errors
    /// An environment that no flow has, nor a file of its own.
    pub fn without_flow(&self) -> Result<Environment, Problem> {
        self.check_environment_exists()?;
        Ok(Environment::new(self.clone(), "".into(), None, &[]))
    }

    /// What holds for one flow: a name in `flow_configs`, or a path (from `folder`, else from the project's root) to a
    /// folder, a `flow.dag.yaml` or a `.prompty`, which need no section.
    ///
    /// # Errors
    /// A flow that is neither, or an environment that the flow does not have.
    pub fn environment(&self, flow: &str, folder: &Path) -> Result<Environment, Problem> {
        let sections = Sections::new(&self.files, &self.project);
        let looks_like_path = flow.contains(['/', '\\'])
            || flow.ends_with(".prompty")
            || flow.ends_with(".yaml")
            || flow.ends_with(".yml");
        let path = || self.existing_path(flow, folder);
        let (name, path) = if !looks_like_path && sections.is_flow(flow) {
            (flow.to_owned(), None)
        } else if let Some(path) = path() {
            let by_section = sections.at_path(&path, &self.project).map(str::to_owned);
            (by_section.or_else(|| flow_name(&path)).unwrap_or_else(|| flow.to_owned()), Some(path))
        } else {
            let known: Vec<&str> = sections.flows().collect();
            let problem = Problem::error("config::unknown_flow", format!("there is no flow `{flow}`"));
            return Err(match nearest(flow, known.iter().copied()) {
                Some(name) => problem.help(format!("did you mean `{name}`? known flows: {}", listed(&known))),
                None if known.is_empty() => {
                    problem.help("give the path of a folder, a flow.dag.yaml or a .prompty file")
                }
                None => problem.help(format!("known flows: {}; or give a path", listed(&known))),
            });
        };
        let shared = sections.of(&name, None);
        let own = match self.environment.as_deref() {
            Some(environment) => {
                let own = sections
                    .of(&name, Some(environment))
                    .filter(|_| sections.environments(&name).contains(&environment));
                if own.is_none() {
                    self.check_flow_has(&sections, &name, environment)?;
                }
                own
            }
            None => None,
        };
        let layers: Vec<Tree> =
            shared.into_iter().chain(own).filter(|tree| tree.as_table().is_some()).cloned().collect();
        Ok(Environment::new(self.clone(), name.into(), path, &layers))
    }

    fn existing_path(&self, flow: &str, folder: &Path) -> Option<PathBuf> {
        [folder.join(flow), self.project.resolve(flow)].into_iter().find(|path| path.exists())
    }

    /// A flow without a section for the environment is fine if the environment has a file of its own, or if the flow
    /// has no sections at all and other flows know the environment.
    fn check_flow_has(&self, sections: &Sections<'_>, flow: &str, environment: &str) -> Result<(), Problem> {
        let known = sections.environments(flow);
        if self.has_overlay {
            return Ok(());
        }
        if known.is_empty() && sections.of(flow, None).is_none() {
            return self.check_environment_exists();
        }
        let message = format!("flow `{flow}` has no config environment `{environment}`");
        Err(self
            .unknown_environment(message, environment, &known)
            .help_if_none(format!("add a section `{flow}_{environment}` to `flow_configs`")))
    }

    fn check_environment_exists(&self) -> Result<(), Problem> {
        let Some(environment) = self.environment.as_deref().filter(|_| !self.has_overlay) else { return Ok(()) };
        let sections = Sections::new(&self.files, &self.project);
        let known: BTreeSet<&str> = sections.all_environments();
        if known.contains(environment) {
            return Ok(());
        }
        let known: Vec<&str> = known.into_iter().collect();
        let message = format!("there is no config environment `{environment}`");
        Err(self.unknown_environment(message, environment, &known).help_if_none(format!(
            "environments are sections `<flow>_{environment}` of `flow_configs`, or a file config/{environment}.yaml"
        )))
    }

    fn unknown_environment(&self, message: String, environment: &str, known: &[&str]) -> Problem {
        let problem = Problem::error("config::unknown_environment", message);
        let by = match &self.environment_origin {
            Some(origin @ (Origin::DotEnv { .. } | Origin::Process { .. })) => {
                format!(" (the name comes from {origin})")
            }
            _ => String::new(),
        };
        match nearest(environment, known.iter().copied()) {
            Some(name) => problem.help(format!("did you mean `{name}`? there are: {}{by}", listed(known))),
            None if known.is_empty() => problem,
            None => problem.help(format!("there are: {}{by}", listed(known))),
        }
    }

    /// Everything but the flow's section: files, what sections say about it, variables, flags.
    pub(crate) fn root(&self, section: Option<&Tree>) -> Tree {
        let mut layers = vec![self.files.clone()];
        let of_root = section.and_then(Tree::as_table).into_iter().flatten();
        let of_root =
            of_root.filter(|(key, _)| TOP_KEYS.contains(&&***key)).map(|(key, tree)| (key.clone(), tree.clone()));
        layers.push(Tree::Table(of_root.collect()));
        layers.extend(telemetry::layer_of_resource_attributes(&self.variables));
        for known in KNOWN {
            if let (Some(key), Some(found)) = (known.setting, self.variables.get_non_empty(known.name)) {
                layers.push(Tree::at_key(key, found.value.into(), found.origin));
            }
        }
        layers.extend(self.flag_layers(true));
        merge(&layers)
    }

    /// What flags set: of the whole file, or of the flow's section.
    pub(crate) fn flag_layers(&self, of_root: bool) -> impl Iterator<Item = Tree> {
        let is_of_root = |key: &str| TOP_KEYS.contains(&key.split('.').next().unwrap_or(key));
        self.overrides
            .iter()
            .filter(move |flag| is_of_root(&flag.key) == of_root)
            .map(|flag| Tree::at_key(&flag.key, flag.value.clone(), Origin::Flag { name: flag.flag.as_str().into() }))
    }
}

/// Gives help only where there is none.
trait HelpIfNone {
    fn help_if_none(self, help: String) -> Self;
}

impl HelpIfNone for Problem {
    fn help_if_none(mut self, help: String) -> Self {
        self.help.get_or_insert(help);
        self
    }
}

fn defaults() -> Result<Tree, Vec<Problem>> {
    let document = yaml::read(&SourceFile::new("built-in defaults", DEFAULTS))?;
    Ok(as_default(Tree::from_node(&document.root, &document.file)))
}

fn as_default(tree: Tree) -> Tree {
    match tree {
        Tree::Leaf(leaf) => Tree::leaf(leaf.value, Origin::Default),
        Tree::Table(table) => Tree::Table(table.into_iter().map(|(key, tree)| (key, as_default(tree))).collect()),
    }
}

fn read(project: &Project, path: &Path) -> Result<Document, Vec<Problem>> {
    let name = project.display_name(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| vec![Problem::error("config::unreadable", format!("`{name}` cannot be read: {error}"))])?;
    yaml::read(&SourceFile::new(name, text))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
