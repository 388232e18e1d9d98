//! `pf …`: prompt flow's own command lines, so that a script changes one word (`pf` to `sluicegate pf`).
//!
//! Each is put into the words of this program and done as that; what it became is said, so that people learn it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::error::CliError;

/// Prompt flow's command lines: put `sluicegate` in front of `pf`, and a script goes on.
#[derive(Debug, Subcommand)]
pub(crate) enum PfCommand {
    /// Flows: test, validate
    #[command(subcommand)]
    Flow(PfFlow),
    /// Runs: list, show, show-details, show-metrics
    #[command(subcommand)]
    Run(PfRun),
    /// Connections: create, list, show
    #[command(subcommand)]
    Connection(PfConnection),
    /// Anything else of `pf`: says what to do instead
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum PfFlow {
    /// Run a flow on one input
    Test(FlowTest),
    /// Check a flow
    Validate(FlowValidate),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
pub(crate) struct FlowTest {
    /// The flow: a folder, a flow file or a .prompty
    #[arg(long, short = 'f', value_name = "FLOW")]
    flow: String,
    /// Inputs: name=value pairs, or a file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    inputs: Vec<String>,
    /// What a flex flow's class is made with: name=value pairs, or a file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    init: Vec<String>,
    /// Use this variant of a node
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// Run this node alone
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Talk with a chat flow
    #[arg(long, short = 'i')]
    interactive: bool,
    /// Variables of the flow: NAME=VALUE
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    environment_variables: Vec<String>,
    /// Which section of the config applies (ours)
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,
    /// Taken and without effect: everything is told anyway, and nothing is opened
    #[arg(long)]
    verbose: bool,
    #[arg(long, hide = true)]
    debug: bool,
    #[arg(long, hide = true)]
    skip_open_browser: bool,
    #[arg(long, hide = true)]
    dump_test_result: bool,
    #[arg(long, hide = true, value_name = "NAME")]
    collection: Option<String>,
    #[arg(long, hide = true)]
    multi_modal: bool,
    #[arg(long, hide = true)]
    ui: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FlowValidate {
    /// The flow's folder or file
    #[arg(long, value_name = "FLOW")]
    source: PathBuf,
    #[arg(long, hide = true)]
    verbose: bool,
    #[arg(long, hide = true)]
    debug: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PfRun {
    /// List runs
    List(RunList),
    /// Show a run
    Show(RunShow),
    /// Show a run's inputs and outputs
    #[command(name = "show-details")]
    Details(RunShow),
    /// Show a run's metrics
    #[command(name = "show-metrics")]
    Metrics(RunShow),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
pub(crate) struct RunList {
    /// At most so many
    #[arg(long, short = 'r', value_name = "N", default_value_t = 50)]
    max_results: usize,
    #[arg(long, hide = true)]
    all_results: bool,
    #[arg(long, short = 'o', hide = true, value_name = "FORMAT")]
    output: Option<String>,
    #[arg(long, hide = true)]
    include_archived: bool,
    #[arg(long, hide = true)]
    archived_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunShow {
    /// The run's name: its id here, or `latest`
    #[arg(long, short = 'n', value_name = "RUN")]
    name: String,
    #[arg(long, short = 'r', hide = true, value_name = "N")]
    max_results: Option<usize>,
    #[arg(long, hide = true)]
    all_results: bool,
    #[arg(long, short = 'o', hide = true, value_name = "FORMAT")]
    output: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PfConnection {
    /// Take a connection's YAML file over into config/config.yaml
    Create(ConnectionCreate),
    /// List connections
    List(ConnectionList),
    /// Show a connection; its secrets are masked
    Show(ConnectionShow),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionCreate {
    /// The connection's file
    #[arg(long, short = 'f', value_name = "FILE")]
    file: PathBuf,
    /// Another name for it
    #[arg(long, short = 'n', value_name = "NAME")]
    name: Option<String>,
    /// Values over those of the file: key=value
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionList {
    #[arg(long, short = 'r', hide = true, value_name = "N")]
    max_results: Option<usize>,
    #[arg(long, hide = true)]
    all_results: bool,
    #[arg(long, short = 'o', hide = true, value_name = "FORMAT")]
    output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionShow {
    /// The connection's name
    #[arg(long, short = 'n', value_name = "NAME")]
    name: String,
    #[arg(long, short = 'o', hide = true, value_name = "FORMAT")]
    output: Option<String>,
}

/// The same in the words of this program, without its own name.
pub(crate) fn in_our_words(command: PfCommand) -> Result<Vec<String>, CliError> {
    match command {
        PfCommand::Flow(PfFlow::Test(test)) => flow_test(test),
        PfCommand::Flow(PfFlow::Validate(validate)) => Ok(vec!["check".to_owned(), shown(&validate.source)]),
        PfCommand::Run(PfRun::List(list)) => {
            let limit = if list.all_results { usize::MAX } else { list.max_results };
            Ok(words(["runs", "list", "--json", "--limit", &limit.to_string()]))
        }
        PfCommand::Run(PfRun::Show(show) | PfRun::Details(show) | PfRun::Metrics(show)) => {
            Ok(words(["runs", "show", "--json", &show.name]))
        }
        PfCommand::Connection(PfConnection::Create(create)) => connection_create(create),
        PfCommand::Connection(PfConnection::List(_)) => Ok(words(["connections", "list", "--json"])),
        PfCommand::Connection(PfConnection::Show(show)) => Ok(words(["connections", "show", &show.name])),
        PfCommand::Flow(PfFlow::Other(asked)) => Err(not_offered("flow", &asked)),
        PfCommand::Run(PfRun::Other(asked)) => Err(not_offered("run", &asked)),
        PfCommand::Connection(PfConnection::Other(asked)) => Err(not_offered("connection", &asked)),
        PfCommand::Other(asked) => Err(not_offered("", &asked)),
    }
}

fn flow_test(test: FlowTest) -> Result<Vec<String>, CliError> {
    if !test.environment_variables.is_empty() {
        return Err(CliError::misused("`--environment-variables` is not offered").hint(
            "set them for the process (NAME=VALUE sluicegate …), in .env, or in the flow's `environment_variables`",
        ));
    }
    let mut command = words(["run", &test.flow]);
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.extend([name.to_owned(), value]);
        }
    };
    option("--environment_name", test.environment_name);
    option("--variant", test.variant);
    option("--node", test.node);
    if test.interactive {
        command.push("--interactive".to_owned());
    }
    for (name, values) in [("--init", test.init), ("--inputs", test.inputs)] {
        if !values.is_empty() {
            command.push(name.to_owned());
            command.extend(values);
        }
    }
    Ok(command)
}

fn connection_create(create: ConnectionCreate) -> Result<Vec<String>, CliError> {
    if !create.set.is_empty() {
        return Err(CliError::misused("`--set` is not offered: a secret on a command line is read by others")
            .hint("write the values into the file, or into the variables that `connections import` names"));
    }
    let mut command = words(["connections", "import", "--write", &shown(&create.file)]);
    if let Some(name) = create.name {
        command.extend(["--name".to_owned(), name]);
    }
    Ok(command)
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn shown(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// What of `pf` there is not, with what to do instead.
fn not_offered(group: &str, asked: &[String]) -> CliError {
    let verb = asked.first().map_or("", String::as_str);
    let whole = [group, verb].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let instead = match (group, verb) {
        ("flow", "init") => "`sluicegate new DIR` writes a project with a flow that runs",
        ("flow", "serve" | "build") => "serving flows is not in this version",
        ("run", "create" | "stream" | "cancel") => {
            "runs over data sets are not in this version; `sluicegate run FLOW --inputs FILE` runs one line"
        }
        ("run", "visualize") => "`sluicegate runs show RUN` shows a run; traces go to any OpenTelemetry collector",
        ("run", "delete" | "archive" | "restore" | "update") => "a run is one file below .sluicegate/runs: remove it",
        ("connection", "update" | "delete") => "connections stand in config/config.yaml: edit them there",
        ("", "config") => "settings stand in config/config.yaml; `sluicegate config show` prints them",
        ("", "service" | "upgrade" | "tool" | "trace") => {
            "there is no service, and nothing to upgrade beside the program"
        }
        _ => "`sluicegate --help` shows all commands",
    };
    CliError::misused(format!("`pf {whole}` is not offered")).hint(instead)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Pf {
        #[command(subcommand)]
        command: PfCommand,
    }

    fn told(arguments: &str) -> String {
        let arguments = std::iter::once("pf").chain(arguments.split_whitespace());
        match in_our_words(Pf::try_parse_from(arguments).expect("parses").command) {
            Ok(words) => words.join(" "),
            Err(CliError::Other(complaint)) => complaint.message,
            Err(CliError::Problems(_)) => "problems".to_owned(),
        }
    }

    #[test]
    fn command_lines_of_the_original_become_ours() {
        for (theirs, ours) in [
            ("flow test --flow web --inputs url=x y=2", "run web --inputs url=x y=2"),
            ("flow test -f . --node a --variant ${a.v1}", "run . --variant ${a.v1} --node a"),
            ("flow test --flow chat --interactive --verbose --ui", "run chat --interactive"),
            ("flow test --flow flex --init a=1 --inputs b=2", "run flex --init a=1 --inputs b=2"),
            ("flow validate --source web", "check web"),
            ("run list -r 5", "runs list --json --limit 5"),
            ("run show-metrics -n latest", "runs show --json latest"),
            ("connection create --file c.yaml --name aoai", "connections import --write c.yaml --name aoai"),
            ("connection show -n aoai", "connections show aoai"),
        ] {
            assert_eq!(told(theirs), ours, "{theirs}");
        }
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        assert_eq!(told("run create --flow web --data d.jsonl"), "`pf run create` is not offered");
        assert_eq!(told("flow serve --source ."), "`pf flow serve` is not offered");
        assert_eq!(told("upgrade"), "`pf upgrade` is not offered");
        assert_eq!(
            told("connection create -f c.yaml --set api_key=k"),
            "`--set` is not offered: a secret on a command line is read by others"
        );
    }
}
