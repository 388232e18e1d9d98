//! `check`: every problem of a flow, without a key and without a socket.

use std::collections::BTreeSet;

use sluicegate_flow::bind::bind;
use sluicegate_flow::plan::Plan;
use sluicegate_source::Problem;

use crate::error::CliError;
use crate::exit::Exit;
use crate::prepared::bindings_of;
use crate::session::{Flow, Session, any_error};
use crate::terminal::{harmless, show_problems};

/// Show every problem of flows, each with its place; needs no key and opens no socket.
///
/// Without FLOW, every flow of the config and every flow below flows/ is checked, in every environment that it has.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Flows to check
    #[arg(value_name = "FLOW")]
    flows: Vec<String>,

    /// Check in this environment only
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,
}

/// Checks flows and says what is wrong with them.
pub(crate) fn check(session: &Session, args: &CheckArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let mut problems = session.settings_problems();
    let mut flows = Vec::new();
    if args.flows.is_empty() {
        for found in session.all_flows() {
            match found {
                Ok(flow) => flows.push(flow),
                Err(CliError::Problems(found)) => problems.extend(found),
                Err(other) => return Err(other),
            }
        }
    } else {
        for flow in &args.flows {
            flows.push(session.find_flow(flow)?);
        }
    }
    if flows.is_empty() && problems.is_empty() {
        return Err(CliError::misused("there is no flow here")
            .hint("name one: a folder with flow.dag.yaml, or a .prompty file")
            .hint("or start in a project: a folder with config/config.yaml"));
    }
    let mut unchecked = Vec::new();
    for flow in &flows {
        let compiled = session.compile(flow, None);
        unchecked.extend(compiled.plan.iter().flat_map(|plan| plan.unchecked()));
        problems.extend(compiled.problems);
        if let Some(plan) = &compiled.plan {
            problems.extend(problems_of_binding(
                session,
                flow,
                plan,
                args.environment_name.as_deref(),
                !args.flows.is_empty(),
            )?);
        }
    }
    let mut told = BTreeSet::new();
    problems.retain(|problem| told.insert(problem.to_string()));
    let wrong = any_error(&problems);
    if !problems.is_empty() {
        printer.say(&show_problems(&problems, printer.colour()));
    }
    if wrong {
        return Ok(Exit::Misused);
    }
    for what in &unchecked {
        printer.say(&printer.painter().dim(&harmless(&format!("not looked at: {what}"))));
    }
    let names: Vec<_> = flows.iter().map(|flow| harmless(flow.shown_name())).collect();
    printer.say(&format!("{} checked: {}", count(flows.len()), names.join(", ")));
    Ok(Exit::Done)
}

/// What would stop a run in the flow's environments: connections that do not exist, nodes without one. A variable that is
/// not set is no problem here: `check` needs no key.
fn problems_of_binding(
    session: &Session,
    flow: &Flow,
    plan: &Plan,
    environment_name: Option<&str>,
    is_alone: bool,
) -> Result<Vec<Problem>, CliError> {
    let mut environments = Vec::new();
    match environment_name {
        Some(name) if is_alone => environments.push(session.flow(&flow.asked, Some(name))?.environment),
        // Of many flows some may have no section for it: they are checked without.
        Some(name) => environments.push(
            session.flow(&flow.asked, Some(name)).map_or_else(|_| flow.environment.clone(), |flow| flow.environment),
        ),
        None => {
            for name in flow.environment.settings().environments(&flow.name) {
                environments.push(session.flow(&flow.asked, Some(&name))?.environment);
            }
            if environments.is_empty() {
                environments.push(flow.environment.clone());
            }
        }
    }
    let mut problems: Vec<Problem> = Vec::new();
    for environment in environments {
        let variable =
            |name: &str| Some(environment.variable(name).map_or_else(|| name.into(), |found| found.value.into()));
        problems.extend(environment.http_policy().err());
        // A name that hangs on an unset variable cannot be followed.
        let Ok(bindings) = bindings_of(&environment, &variable) else { continue };
        problems.extend(bind(plan, &bindings).err().into_iter().flatten());
    }
    Ok(problems)
}

fn count(flows: usize) -> String {
    if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") }
}
