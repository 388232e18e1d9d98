//! `check`: every problem of a flow, without a key and without a socket.

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::{Flow, Session, any_error};
use crate::terminal::show_problems;

/// Show every problem of flows, each with its place; needs no key and opens no socket.
///
/// Without FLOW, every flow of the config and every flow below flows/ is checked.
#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Flows to check
    #[arg(value_name = "FLOW")]
    flows: Vec<String>,
}

/// Checks flows and says what is wrong with them.
pub(crate) fn check(session: &Session, args: &CheckArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let mut problems = session.settings_problems();
    let flows = if args.flows.is_empty() {
        session.all_flows()
    } else {
        args.flows.iter().map(|flow| session.find_flow(flow)).collect::<Result<_, _>>()?
    };
    if flows.is_empty() && problems.is_empty() {
        return Err(CliError::misused("there is no flow here")
            .hint("name one: a folder with flow.dag.yaml, or a .prompty file")
            .hint("or start in a project: a folder with config/config.yaml"));
    }
    for flow in &flows {
        problems.extend(session.compile(flow, None).problems);
    }
    let wrong = any_error(&problems);
    if !problems.is_empty() {
        printer.say(&show_problems(&problems, printer.colour()));
    }
    if wrong {
        return Ok(Exit::Misused);
    }
    let names: Vec<&str> = flows.iter().map(Flow::shown_name).collect();
    printer.say(&format!("{} checked: {}", count(flows.len()), names.join(", ")));
    Ok(Exit::Done)
}

fn count(flows: usize) -> String {
    if flows == 1 { "1 flow".to_owned() } else { format!("{flows} flows") }
}
