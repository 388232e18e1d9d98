//! The door: words in, words and an exit code out. Everything below is joined here and nowhere else.
//!
//! ```text
//! args ──► commands/NAME ──► session (project, settings, flow, models, store, telemetry) ──► executor ──► terminal
//! ```

mod args;
mod batch;
mod commands;
mod error;
mod evaluating;
mod exit;
mod gating;
mod inputs;
mod interrupt;
mod keepers;
mod prepared;
mod project_files;
mod python_side;
mod report;
mod session;
mod show_python;
mod show_run;
mod takes;
mod terminal;
mod traces;
mod variable_names;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use error::CliError;
use exit::Exit;
use session::Session;
use terminal::Printer;

/// A batch makes and drops a great many small values: with this one its lines cost about a fifth less CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(args::one_spelling(std::env::args_os())) {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and version are answers, not errors; clap knows where each is printed.
            let _ = asked.print();
            return if asked.use_stderr() { Exit::Misused.into() } else { Exit::Done.into() };
        }
    };
    #[expect(clippy::disallowed_methods, reason = "the command line is where the process environment is read")]
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let printer = Printer::new(cli.no_color || colourless);
    let cli = match cli.command {
        Command::Pf(command) => match as_ours(&printer, command, cli.directory, cli.no_color) {
            Ok(cli) => cli,
            Err(error) => {
                printer.error(&error);
                return error.exit().into();
            }
        },
        _ => cli,
    };
    let done = Session::start(printer.clone(), cli.directory.as_deref()).and_then(|session| match cli.command {
        Command::Pf(_) => Err(CliError::misused("`pf` is not a command of `pf`")),
        Command::Run(args) => commands::run::run(&session, args),
        Command::Batch(args) => commands::batch::batch(&session, args),
        Command::Evaluate(args) => commands::evaluate::evaluate(&session, &args),
        Command::Calibrate(args) => commands::calibrate::calibrate(&session, &args),
        Command::Check(args) => commands::check::check(&session, &args),
        Command::Gate(command) => commands::gate::gate(&session, &command),
        Command::Draw(args) => commands::draw::draw(&session, &args),
        Command::Config(command) => commands::config::config(&session, &command),
        Command::Connections(command) => commands::connections::connections(&session, &command),
        Command::Runs(command) => commands::runs::runs(&session, command),
        Command::Simulate(args) => commands::simulate::simulate(&session, &args),
        Command::Verify(args) => commands::verify::verify(&session, &args),
        Command::New(args) => commands::new::new(&session, &args),
        Command::Python(args) => commands::python::python(&session, &args),
        Command::Schema(args) => commands::schema::schema(&printer, &args),
        Command::Completions(args) => commands::completions::completions(&printer, &args),
        Command::Man => commands::completions::man(&printer),
    });
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            printer.error(&error);
            error.exit().into()
        }
    }
}

/// A command line of prompt flow's as one of ours.
fn as_ours(
    printer: &Printer,
    command: commands::pf::PfCommand,
    directory: Option<std::path::PathBuf>,
    no_color: bool,
) -> Result<Cli, CliError> {
    let words = commands::pf::in_our_words(command)?;
    let said: Vec<String> = words
        .iter()
        .map(|word| if word.contains([' ', '$', '"', '\'', '*']) { format!("'{word}'") } else { word.clone() })
        .collect();
    printer.say(&printer.painter().dim(&terminal::harmless(&format!("sluicegate {}", said.join(" ")))));
    let whole = std::iter::once("sluicegate".to_owned()).chain(words);
    let ours = Cli::try_parse_from(args::one_spelling(whole.map(Into::into)))
        .map_err(|error| CliError::misused(error.to_string().trim().trim_start_matches("error: ").to_owned()))?;
    Ok(Cli { directory, no_color, ..ours })
}
