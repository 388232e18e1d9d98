//! `completions` and `man`: what a shell wants to know.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::terminal::Printer;

/// Print the completion script of a shell.
///
/// For bash: sluicegate completions bash > ~/.local/share/bash-completion/completions/sluicegate
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Prints the completion script.
pub(crate) fn completions(printer: &Printer, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sluicegate", &mut script);
    printer.write_data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

/// Prints the manual page, subcommands included.
pub(crate) fn man(printer: &Printer) -> Result<Exit, CliError> {
    let mut pages = Vec::new();
    let render = |command: clap::Command, pages: &mut Vec<u8>| {
        clap_mangen::Man::new(command)
            .render(pages)
            .map_err(|error| CliError::failed("the manual page cannot be made").cause(error.to_string()))
    };
    let mut root = Cli::command();
    root.build();
    render(root.clone(), &mut pages)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        render(command.clone().display_name(format!("sluicegate {}", command.get_name())), &mut pages)?;
    }
    printer.write_data(&String::from_utf8_lossy(&pages))?;
    Ok(Exit::Done)
}
