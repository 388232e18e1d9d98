//! Python for a flow that is verified: tools run for real, their connections without keys.

use std::sync::Arc;

use sluicegate_config::variables::looks_secret;
use sluicegate_config::{Environment, Settings, Variables};
use sluicegate_executor::python::{PythonSide, load_tools};
use sluicegate_flow::bind::BoundPlan;
use tokio::runtime::Runtime;

use crate::error::CliError;
use crate::python_side::{AllModels, Masks, python_side};
use crate::session::{Flow, Session};
use crate::variable_names::variable_names;

/// What runs Python nodes.
pub(super) struct Python {
    side: Arc<PythonSide>,
}

impl Python {
    /// Nothing is started yet.
    pub(super) fn new(session: &Session, flow: &Flow) -> Result<Self, CliError> {
        let environment = complete(session, flow)?;
        let masks = Masks::new(environment.redactor([]), session.printer());
        // What code asks is answered by the recording: these models are never asked.
        let options = session.client_options(&environment, false)?;
        let models = Arc::new(AllModels::new(Vec::new(), environment.clone(), options));
        Ok(Self { side: python_side(&environment, session.printer(), &masks, &models)? })
    }

    pub(super) fn side(&self) -> &Arc<PythonSide> {
        &self.side
    }

    /// Starts Python and loads the tools of a plan.
    pub(super) fn load(&self, session: &Session, runtime: &Runtime, plan: &BoundPlan) -> Result<BoundPlan, CliError> {
        runtime.block_on(load_tools(&self.side, plan)).map_err(|problems| {
            session.printer().say("`--recorded-python` needs no Python: what was recorded stands in for its nodes");
            CliError::Problems(problems)
        })
    }

    /// Ends what was started.
    pub(super) fn close(&self, runtime: &Runtime) {
        runtime.block_on(self.side.shutdown());
    }
}

/// The flow's environment with something for every variable that the config names and nobody has set: connections are
/// handed to tools, and their keys are used by nothing.
fn complete(session: &Session, flow: &Flow) -> Result<Environment, CliError> {
    let project = flow.environment.project();
    let overlay = flow.environment.environment_name().and_then(|name| project.overlay_file(name));
    let texts = project.config_file.iter().chain(&overlay).filter_map(|file| std::fs::read_to_string(file).ok());
    let unset: Vec<(String, String)> = texts
        .flat_map(|text| variable_names(&text))
        .filter(|name| flow.environment.variable(name).is_none())
        .map(|name| {
            let value = stand_in(&name);
            (name, value)
        })
        .collect();
    #[expect(clippy::disallowed_methods, reason = "the command line is where the process environment is read")]
    let process =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let variables = Variables::new(process.chain(unset)).with_nearest_dot_env(&project.root)?;
    let settings = Settings::load(project, &variables, flow.environment.environment_name(), Vec::new())?;
    let path = flow.path.display().to_string();
    let asked = if settings.flows().contains(&flow.name) { &flow.name } else { &path };
    settings.environment(asked, session.directory()).map_err(|problem| CliError::Problems(vec![problem]))
}

/// Something that has the form of what a variable holds, by its name.
fn stand_in(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let is_address =
        ["ENDPOINT", "API_BASE", "BASE_URL", "_URL", "_URI", "HOST"].iter().any(|end| upper.ends_with(end));
    if is_address && !looks_secret(name) { "https://not-set.invalid".to_owned() } else { format!("not-set-{name}") }
}
