//! Where a command stands: the folder, the project around it, its settings and flows.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_config::variables::SLUICEGATE_ENVIRONMENT;
use sluicegate_config::{Connection, ConnectionKind, Environment, Project, Settings, Variables};
use sluicegate_flow::compile::{CompileOptions, Compiled, VariantChoice, compile};
use sluicegate_flow::files::{DiskFiles, Files};
use sluicegate_flow::plan::Plan;
use sluicegate_providers::read_script;
use sluicegate_source::{Problem, Severity, SourceFile};
use sluicegate_store::{Durability, Store};

use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::prepared::durability;
use crate::project_files::Replaced;
use crate::terminal::{Printer, show_problems};

/// Where a command stands.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    printer: Printer,
    directory: PathBuf,
    process: Vec<(String, String)>,
    /// Whether nobody is going to be asked, so that connections need no keys.
    without_keys: bool,
}

/// A flow, found.
#[derive(Clone)]
pub(crate) struct Flow {
    /// Its name: its section's, else its folder's or file's.
    pub(crate) name: String,
    /// How it was asked for.
    pub(crate) asked: String,
    /// Where it lies, absolute.
    pub(crate) path: PathBuf,
    /// The same below the project's root, as the compiler reads it.
    target: String,
    /// What holds for it.
    pub(crate) environment: Environment,
    /// Files in place of others, each by its path below the project's root: which, and by which.
    pub(crate) instead: Vec<(String, String)>,
}

impl Flow {
    /// Whether it is a single `.prompty` file.
    pub(crate) fn is_prompty(&self) -> bool {
        self.target.ends_with(".prompty")
    }

    /// What a list of flows calls it: its path, if that is a file of its own, else its name.
    pub(crate) fn shown_name(&self) -> &str {
        if self.target.ends_with(".prompty") { &self.target } else { &self.name }
    }
}

/// Whether a config environment plays a part.
enum Wanted<'a> {
    /// None does, whatever `SLUICEGATE_ENVIRONMENT` says.
    None,
    /// The flag's, else the variable's.
    Chosen(Option<&'a str>),
}

impl Session {
    /// Stands in `directory`, or where the process does.
    pub(crate) fn start(printer: Printer, directory: Option<&Path>) -> Result<Self, CliError> {
        let here = std::env::current_dir()
            .map_err(|error| CliError::misused("the current folder cannot be read").cause(error.to_string()))?;
        let directory = directory.map_or_else(|| here.clone(), |directory| here.join(directory));
        let directory = directory.canonicalize().map_err(|error| {
            CliError::misused(format!("folder `{}` cannot be used", directory.display())).cause(error.to_string())
        })?;
        #[expect(clippy::disallowed_methods, reason = "the command line is where the process environment is read")]
        let process = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { printer, directory: plain(directory), process, without_keys: false })
    }

    /// The same, where nobody is going to be asked: connections need no keys.
    pub(crate) fn replaying(&self, replaying: bool) -> Self {
        Self { without_keys: replaying, ..self.clone() }
    }

    pub(crate) fn printer(&self) -> &Printer {
        &self.printer
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// A variable of the process, such as those that a build's runner sets; one that is empty is none.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.process.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The project around the current folder.
    pub(crate) fn project(&self) -> Project {
        self.project_at(&self.directory)
    }

    /// What the clients of models and of `http` nodes keep to: proxies, trusted certificates, the policy of `http:`, and
    /// whether streams tell their token counts.
    pub(crate) fn client_options(
        &self,
        environment: &Environment,
        stream_usage: bool,
    ) -> Result<sluicegate_providers::Options, CliError> {
        Ok(sluicegate_providers::Options {
            proxies: environment.proxies(),
            stream_usage,
            ca_files: environment.certificate_files(),
            http: environment.http_policy().map_err(|problem| CliError::Problems(vec![problem]))?,
        })
    }

    /// The settings of no flow in particular, in an environment.
    pub(crate) fn settings_of_all(&self, environment: Option<&str>) -> Result<Environment, CliError> {
        let settings = self.settings(&self.project_at(&self.directory), &Wanted::Chosen(environment))?;
        settings.without_flow().map_err(|problem| CliError::Problems(vec![problem]))
    }

    /// A flow in an environment.
    pub(crate) fn flow(&self, asked: &str, environment: Option<&str>) -> Result<Flow, CliError> {
        self.find(asked, &Wanted::Chosen(environment))
    }

    /// A flow, whatever the environment.
    pub(crate) fn find_flow(&self, asked: &str) -> Result<Flow, CliError> {
        self.find(asked, &Wanted::None)
    }

    /// Every flow that the config names and every flow below `flows/`, or why it cannot be found.
    pub(crate) fn all_flows(&self) -> Vec<Result<Flow, CliError>> {
        let project = self.project_at(&self.directory);
        let Ok(settings) = self.settings(&project, &Wanted::None) else { return Vec::new() };
        let mut flows: Vec<Result<Flow, CliError>> = settings.flows().iter().map(|name| self.find_flow(name)).collect();
        for path in flows_below(&project.root.join("flows")) {
            if !flows.iter().flatten().any(|flow| flow.path == path) {
                flows.push(self.find_flow(&path.display().to_string()));
            }
        }
        flows
    }

    /// What is wrong with the project's settings and the scripts of its simulated models, and what is odd about them.
    /// What needs a variable that is not set is not wrong: nobody asked for it yet.
    pub(crate) fn settings_problems(&self) -> Vec<Problem> {
        let settings = match self.settings(&self.project_at(&self.directory), &Wanted::None) {
            Ok(settings) => settings,
            Err(CliError::Problems(problems)) => return problems,
            Err(CliError::Other(_)) => return Vec::new(),
        };
        let mut problems = settings.warnings().to_vec();
        let Ok(environment) = settings.without_flow() else { return problems };
        for name in environment.connection_names() {
            let script = match environment.connection(&name) {
                Ok(Connection { kind: ConnectionKind::Simulated { script }, .. }) => script,
                Ok(_) => continue,
                Err(found) => {
                    problems.extend(found.into_iter().filter(|problem| problem.code != "config::unset_variable"));
                    continue;
                }
            };
            let shown = environment.project().display_name(&script);
            match std::fs::read_to_string(&script) {
                Ok(text) => problems.extend(read_script(&SourceFile::new(shown, text)).err().into_iter().flatten()),
                Err(error) => problems.push(
                    Problem::error(
                        "config::missing_script",
                        format!("the script of connection `{name}` cannot be read: {error}"),
                    )
                    .help(format!("it should be at `{shown}`")),
                ),
            }
        }
        problems
    }

    /// Compiles a flow.
    pub(crate) fn compile(&self, flow: &Flow, variant: Option<&VariantChoice>) -> Compiled {
        let files = DiskFiles::new(&flow.environment.project().root);
        self.compile_in(&Replaced::new(files, &flow.instead), flow, variant)
    }

    /// Compiles a flow whose files come from there.
    pub(crate) fn compile_in(&self, files: &dyn Files, flow: &Flow, variant: Option<&VariantChoice>) -> Compiled {
        compile(files, &flow.target, &CompileOptions { variant: variant.cloned() })
    }

    /// Compiles a flow; warnings are said, problems end the command.
    pub(crate) fn plan(&self, flow: &Flow, variant: Option<&VariantChoice>) -> Result<Arc<Plan>, CliError> {
        let Compiled { plan, problems } = self.compile(flow, variant);
        match plan {
            Some(plan) => {
                if !problems.is_empty() {
                    self.printer.say(&show_problems(&problems, self.printer.colour()));
                }
                Ok(plan)
            }
            None => Err(CliError::Problems(problems)),
        }
    }

    /// The store of runs, if there is one already, and how it is to be written.
    pub(crate) fn existing_store(&self) -> Result<Option<(Store, Durability)>, CliError> {
        let settings = self.store_settings(&self.project_at(&self.directory))?;
        if !settings.path.is_dir() {
            return Ok(None);
        }
        let store = Store::open(&settings.path).map_err(store_error)?;
        Ok(Some((store, durability(&settings))))
    }

    /// The store of a project's runs, made if it is not there, and how it is to be written.
    pub(crate) fn store_of(&self, project: &Project) -> Result<(Store, Durability), CliError> {
        let settings = self.store_settings(project)?;
        let store = Store::open(&settings.path).map_err(store_error)?;
        Ok((store, durability(&settings)))
    }

    /// Where a project keeps its runs, whatever flow and environment: `runs` must look where `run` wrote.
    pub(crate) fn store_settings(&self, project: &Project) -> Result<sluicegate_config::Store, CliError> {
        let environment = self.settings(project, &Wanted::None)?.without_flow();
        environment.and_then(|environment| environment.store()).map_err(|problem| CliError::Problems(vec![problem]))
    }

    /// The command that goes on with a run of a project, as it must be typed here.
    pub(crate) fn resume_command(&self, project: &Project, run: &sluicegate_events::RunId) -> String {
        if project.root == self.project_at(&self.directory).root {
            format!("sluicegate runs resume {run}")
        } else {
            format!("sluicegate -C '{}' runs resume {run}", project.root.display())
        }
    }

    fn find(&self, asked: &str, wanted: &Wanted<'_>) -> Result<Flow, CliError> {
        let given = self.directory.join(asked);
        // A path may lead into another project than the one around the current folder.
        let start = if given.exists() { given } else { self.directory.clone() };
        let project = self.project_at(&start);
        let settings = self.settings(&project, wanted)?;
        let problem = |problem: Problem| CliError::Problems(vec![problem]);
        if !settings.warnings().is_empty() && matches!(wanted, Wanted::Chosen(_)) {
            self.printer.say(&show_problems(settings.warnings(), self.printer.colour()));
        }
        let environment = settings.environment(asked, &self.directory).map_err(problem)?;
        self.printer.hide(Arc::new(environment.redactor([])));
        let path = environment.flow_path().map_err(problem)?;
        let path = plain(path.canonicalize().map_err(|error| {
            CliError::Problems(vec![
                Problem::error(
                    "config::missing_flow",
                    format!("flow `{asked}` is not at `{}`: {error}", path.display()),
                )
                .help("correct its `flow_path`"),
            ])
        })?);
        let root = plain(project.root.canonicalize().unwrap_or(project.root));
        let below = path.strip_prefix(&root).map_err(|_| {
            CliError::misused(format!("flow `{asked}` lies at `{}`, outside of the project", path.display()))
                .hint(format!("the project is `{}`; give the flow's own path to work in its project", root.display()))
        })?;
        let names: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        let target = if names.is_empty() { ".".to_owned() } else { names.join("/") };
        let is_section = settings.flows().iter().any(|known| known == environment.flow());
        let name = if is_section { environment.flow().to_owned() } else { name_of(&path) };
        Ok(Flow { name, asked: asked.to_owned(), path, target, environment, instead: Vec::new() })
    }

    /// The project around a path; without one, the current folder if the path lies in it, else the path's own folder.
    fn project_at(&self, start: &Path) -> Project {
        let start = start.canonicalize().map_or_else(|_| start.to_owned(), plain);
        let project = Project::find(&start);
        if project.config_file.is_none() && start.starts_with(&self.directory) {
            return Project { root: self.directory.clone(), config_file: None };
        }
        project
    }

    fn settings(&self, project: &Project, wanted: &Wanted<'_>) -> Result<Settings, CliError> {
        let (environment, hidden) = match wanted {
            Wanted::None => (None, Some(SLUICEGATE_ENVIRONMENT)),
            Wanted::Chosen(environment) => (*environment, None),
        };
        let process = self.process.iter().filter(|(name, _)| Some(name.as_str()) != hidden).cloned();
        let mut variables = Variables::new(process).with_nearest_dot_env(&project.root)?;
        if self.without_keys {
            variables = variables.without_keys();
        }
        Ok(Settings::load(project, &variables, environment, Vec::new())?)
    }
}

/// The name of a flow that no section names: its folder's, or a prompty's own.
fn name_of(path: &Path) -> String {
    let is_flow_file = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let named = if is_flow_file { path.parent() } else { Some(path) };
    let name = named.and_then(|path| if path.is_dir() { path.file_name() } else { path.file_stem() });
    name.map_or_else(|| "flow".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Folders with a flow file and `.prompty` files, at any depth that people use.
fn flows_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        if folder.join("flow.dag.yaml").is_file() || folder.join("flow.dag.yml").is_file() {
            found.push(folder.clone());
        }
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.is_dir() && depth < 4 {
                folders.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "prompty") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Windows gives `\\?\C:\…` for a canonical path, which nobody wants to read.
fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(rest) if !rest.starts_with("UNC") => PathBuf::from(rest),
        _ => path,
    }
}

/// Whether any of these stops a command.
pub(crate) fn any_error(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Error)
}
