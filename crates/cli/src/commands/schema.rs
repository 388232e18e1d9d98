//! `schema`: what an editor wants to know.

use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::Printer;

/// Print the JSON Schema of a file that you write.
///
/// For editors that speak the YAML language server: sluicegate schema flow > flow.schema.json, and in the flow file
/// `# yaml-language-server: $schema=flow.schema.json`.
#[derive(Debug, clap::Args)]
pub(crate) struct SchemaArgs {
    /// Which file
    #[arg(value_enum)]
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// flow.dag.yaml
    Flow,
}

/// Prints the schema.
pub(crate) fn schema(printer: &Printer, args: &SchemaArgs) -> Result<Exit, CliError> {
    match args.what {
        What::Flow => printer.data(&sluicegate_flow::schema::flow_schema().to_json_pretty())?,
    }
    Ok(Exit::Done)
}
