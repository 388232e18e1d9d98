//! `config`: which settings hold, and who set them.

use sluicegate_config::{Entry, entries_to_value};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::terminal::table;

/// Settings: what holds, and who set it.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting with who set it; secrets are masked
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// What holds for this flow; without one, what holds for every flow and for all
    #[arg(value_name = "FLOW")]
    flow: Option<String>,

    /// Which section of the config applies
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// Built-in defaults too
    #[arg(long)]
    all: bool,

    /// JSON in place of a table
    #[arg(long)]
    json: bool,
}

/// Prints settings.
pub(crate) fn config(session: &Session, command: &ConfigCommand) -> Result<Exit, CliError> {
    let ConfigCommand::Show(args) = command;
    let environment_name = args.environment_name.as_deref();
    let mut entries = match &args.flow {
        Some(flow) => session.flow(flow, environment_name)?.environment.entries(),
        None => entries_of_all(session, environment_name)?,
    };
    if !args.all {
        entries.retain(|entry| !entry.is_default);
    }
    let printer = session.printer();
    if args.json {
        printer.data(&entries_to_value(&entries).to_json_pretty())?;
    } else {
        let rows = entries.into_iter().map(|entry| vec![entry.key, entry.shown, entry.origin]).collect();
        printer.data(&table(&["KEY", "VALUE", "SET BY"], rows))?;
    }
    Ok(Exit::Done)
}

/// What holds for every flow that has a section, and for all.
fn entries_of_all(session: &Session, environment_name: Option<&str>) -> Result<Vec<Entry>, CliError> {
    let all = session.settings_of_all(environment_name)?;
    let mut entries = Vec::new();
    for name in all.settings().flows() {
        // A flow without a section for this environment is none of its business.
        if let Ok(flow) = session.flow(&name, environment_name) {
            let prefix = format!("{name}.");
            entries.extend(flow.environment.entries().into_iter().filter(|entry| entry.key.starts_with(&prefix)));
        }
    }
    entries.extend(all.entries());
    Ok(entries)
}
