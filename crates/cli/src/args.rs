//! The command line: its doc comments are the help.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands::{
    batch::BatchArgs, calibrate::CalibrateArgs, check::CheckArgs, completions::CompletionsArgs, config::ConfigCommand,
    connections::ConnectionsCommand, draw::DrawArgs, evaluate::EvaluateArgs, gate::GateCommand, new::NewArgs,
    pf::PfCommand, python::PythonArgs, run::RunArgs, runs::RunsCommand, schema::SchemaArgs, simulate::SimulateArgs,
    verify::VerifyArgs,
};

/// Runs LLM pipelines that are written as YAML flows, and gates pull requests on their quality.
///
/// FLOW is a name from `flow_configs` in config/config.yaml, a folder, a flow.dag.yaml or a .prompty file. Results go to
/// stdout, everything else to stderr.
#[derive(Debug, Parser)]
#[command(name = "sluicegate", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Work as if started in this folder
    #[arg(long, short = 'C', global = true, value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,

    /// Use no colours (NO_COLOR does the same)
    #[arg(long, global = true)]
    pub(crate) no_color: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 did it · 1 it ran and failed · 2 asked wrongly (flags, config, flow problems) · \
                          10 the gate failed · 11 inconclusive · 12 invalid · 13 budget reached · 130 interrupted";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Batch(BatchArgs),
    Evaluate(EvaluateArgs),
    Calibrate(CalibrateArgs),
    Check(CheckArgs),
    #[command(subcommand)]
    Gate(GateCommand),
    Draw(DrawArgs),
    #[command(subcommand)]
    Config(ConfigCommand),
    #[command(subcommand)]
    Connections(ConnectionsCommand),
    #[command(subcommand)]
    Runs(RunsCommand),
    Simulate(SimulateArgs),
    Verify(VerifyArgs),
    New(NewArgs),
    #[command(subcommand)]
    Pf(PfCommand),
    Python(PythonArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    /// Print the manual page (roff), for `man -l -`
    Man,
}

/// Long flags that people know in snake case, from the scripts that they bring.
const KNOWN_IN_SNAKE_CASE: [&str; 3] = ["environment_name", "deploy_traces", "visualize"];

/// Makes `--max-retries` and `--max_retries` the same flag: whichever spelling is documented is what clap sees.
pub(crate) fn one_spelling(arguments: impl Iterator<Item = std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let mut only_values = false;
    let mut words = 0;
    arguments
        .map(|argument| {
            // What comes after `python` is for a script, which knows its own flags.
            let is_word = !argument.to_str().is_some_and(|text| text.starts_with('-'));
            words += usize::from(is_word);
            only_values |= is_word && words <= 3 && argument == "python";
            let Some(text) = argument.to_str().filter(|_| !only_values) else { return argument };
            let Some(flag) = text.strip_prefix("--") else { return argument };
            if flag.is_empty() {
                only_values = true;
                return argument;
            }
            let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
            let snake = name.replace('-', "_");
            let spelled = if KNOWN_IN_SNAKE_CASE.contains(&snake.as_str()) { snake } else { snake.replace('_', "-") };
            value.map_or_else(|| format!("--{spelled}"), |value| format!("--{spelled}={value}")).into()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn both_spellings_are_one_flag() {
        let spelled = one_spelling(
            ["run", "--environment-name", "pr", "--no_store", "--set=a_b=c_d", "--", "--a_b"]
                .into_iter()
                .map(Into::into),
        );
        assert_eq!(spelled, ["run", "--environment_name", "pr", "--no-store", "--set=a_b=c_d", "--", "--a_b"]);
    }

    #[test]
    fn flags_of_a_script_stay_as_they_are() {
        let words = ["sluicegate", "-C", "dir", "python", "x.py", "--my_flag"];
        assert_eq!(one_spelling(words.into_iter().map(Into::into)), words);
    }
}
