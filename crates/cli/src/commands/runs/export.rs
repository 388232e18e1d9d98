//! `runs export` and `runs outputs`: a run for other programs.

use std::io::Write;
use std::path::{Path, PathBuf};

use sluicegate_events::RunSummary;
use sluicegate_value::Value;

use super::out::{to_file, to_stdout};
use super::{Opened, open, store_error};
use crate::batch::{RunFolder, write_output_rows};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// In which form a run is exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ExportForm {
    /// All events, as JSON Lines
    #[default]
    Events,
    /// A run folder in prompt flow's layout
    Promptflow,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// In which form
    #[arg(long = "as", value_enum, value_name = "FORM", default_value_t)]
    form: ExportForm,

    /// The file, or the folder for `--as promptflow`; else stdout
    #[arg(long, short = 'o', value_name = "PATH")]
    output: Option<PathBuf>,

    /// With `--as promptflow`: write over another run's folder
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OutputsArgs {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(value_name = "RUN")]
    run: String,

    /// The file; else stdout
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn export(session: &Session, args: &ExportArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    let to_file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if args.form == ExportForm::Promptflow {
        opened.needs_lines()?;
        let folder = to_file.ok_or_else(|| {
            CliError::misused("a run folder needs a place").hint("write --output DIR, a folder that is new or empty")
        })?;
        let folder = RunFolder::at(&session.directory().join(folder));
        folder.open(&opened.id, args.force)?;
        folder.write_exported(session, &opened.store, &opened.id)?;
        session.printer().data(&folder.path().display().to_string())?;
        return Ok(Exit::Done);
    }
    write(session, to_file, &mut |out| opened.store.export(&opened.id, out).map(|_| ()).map_err(store_error))
}

pub(super) fn outputs(session: &Session, args: &OutputsArgs) -> Result<Exit, CliError> {
    let opened = open(session, &args.run)?;
    let to_file = args.output.as_deref().filter(|path| *path != Path::new("-"));
    match opened.is_batch()? {
        true => write(session, to_file, &mut |out| write_output_rows(&opened.reader, out).map_err(store_error)),
        false => {
            let text = single_outputs(&opened)?;
            write(session, to_file, &mut |out| {
                writeln!(out, "{text}")
                    .map_err(|error| CliError::failed("the outputs cannot be written").cause(error.to_string()))
            })
        }
    }
}

fn single_outputs(opened: &Opened) -> Result<String, CliError> {
    let summary = RunSummary::of(&opened.reader.events().map_err(store_error)?);
    match summary.outputs {
        Some(outputs) => Ok(Value::from(outputs).to_json_pretty()),
        None => Err(CliError::misused(format!("run `{}` has no outputs: it did not complete", opened.id))
            .hint(format!("`sluicegate runs show {}` says why", opened.id))),
    }
}

fn write(
    session: &Session,
    file: Option<&Path>,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<(), CliError>,
) -> Result<Exit, CliError> {
    match file {
        None => to_stdout(|out| write(out))?,
        Some(file) => {
            let file = session.directory().join(file);
            to_file(&file, |out| write(out))?;
            session.printer().data(&file.display().to_string())?;
        }
    }
    Ok(Exit::Done)
}
