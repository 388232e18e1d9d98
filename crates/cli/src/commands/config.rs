//! `config`: which settings hold, and who set them.

use sluicegate_config::entries_to_value;

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
    /// What holds for this flow; without one, what holds for all
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
    let environment = match &args.flow {
        Some(flow) => session.flow(flow, environment_name)?.environment,
        None => session.settings_of_all(environment_name)?,
    };
    let mut entries = environment.entries();
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
