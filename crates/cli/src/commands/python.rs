//! `python`: a script of the user's own, with prompt flow's imports.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use sluicegate_python::{Interpreter, NoInterpreter, StandIn};

use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt;
use crate::python_side::{program_variables, settings};
use crate::session::Session;

/// Run a Python script that imports promptflow, which need not be installed.
///
/// `from promptflow.client import PFClient` and its like find what is built in: PFClient runs batches and tests flows by this
/// program, and reads runs back. The script has this folder, terminal and environment; its exit code becomes the command's.
#[derive(Debug, clap::Args)]
pub(crate) struct PythonArgs {
    /// Which section of the config applies to what the script runs; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", alias = "environment-name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// The script and its arguments; or what Python itself takes: -m MODULE, -c CODE
    #[arg(value_name = "SCRIPT", required = true, num_args = 1.., trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// Runs a script.
pub(crate) fn python(session: &Session, args: &PythonArgs) -> Result<Exit, CliError> {
    let environment = session.settings_of_all(args.environment_name.as_deref())?;
    let settings = settings(&environment, session.printer())?;
    let interpreter = settings.search.find().map_err(|none| no_python(&none))?;
    let stand_in = StandIn::new(settings.cache.as_deref())
        .map_err(|error| CliError::failed("the built-in Python files cannot be written").cause(error.to_string()))?;
    let own = environment.variable("PYTHONPATH").map(|found| OsString::from(found.value));
    let mut command = Command::new(&interpreter.program);
    command.args(&interpreter.arguments).args(&args.command).current_dir(session.directory());
    command.envs(program_variables(session.directory(), environment.environment_name()));
    if !(settings.prefer_installed && has_promptflow(&interpreter, session.directory())) {
        command.env("PYTHONPATH", with_folder(stand_in.folder(), own.as_ref())?);
    }
    run(session, command, &stand_in).map_err(|error| {
        CliError::failed(format!("`{}` does not start", interpreter.program.display())).cause(error.to_string())
    })?
}

/// Becomes the script, so that signals and the terminal are its own. Who has to clean up after it waits for it.
fn run(session: &Session, mut command: Command, stand_in: &StandIn) -> std::io::Result<Result<Exit, CliError>> {
    #[cfg(unix)]
    if stand_in.lasts() {
        return Err(std::os::unix::process::CommandExt::exec(&mut command));
    }
    let _ = stand_in;
    // Ctrl-C is for the script; this process ends when that does.
    let interrupted = interrupt::listen(session.printer().clone());
    let status = command.status()?;
    drop(interrupted);
    let code = status.code().unwrap_or_else(|| killed_by(status));
    Ok(Ok(Exit::Script(u8::try_from(code).unwrap_or(1))))
}

/// A shell's code for a process that a signal has ended.
#[cfg(unix)]
fn killed_by(status: std::process::ExitStatus) -> i32 {
    128 + std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()
}

#[cfg(not(unix))]
fn killed_by(_status: std::process::ExitStatus) -> i32 {
    1
}

/// The import path with our folder in front.
fn with_folder(folder: &Path, own: Option<&OsString>) -> Result<OsString, CliError> {
    let own = own.into_iter().flat_map(std::env::split_paths).filter(|path| !path.as_os_str().is_empty());
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(own))
        .map_err(|error| CliError::misused("PYTHONPATH cannot be extended").cause(error.to_string()))
}

/// Whether an installed `promptflow` is there to be preferred.
fn has_promptflow(interpreter: &Interpreter, folder: &Path) -> bool {
    let question = "import importlib.util, sys; sys.exit(importlib.util.find_spec('promptflow') is None)";
    let mut command = Command::new(&interpreter.program);
    command.args(&interpreter.arguments).args(["-c", question]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn no_python(none: &NoInterpreter) -> CliError {
    CliError::misused(none.to_string()).hint(none.help())
}
