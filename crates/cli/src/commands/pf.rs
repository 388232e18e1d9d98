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
    /// Runs: create, list, show, show-details, show-metrics, delete
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
    /// Run a flow over a data set
    Create(Box<RunCreate>),
    /// Delete a run
    Delete(RunDelete),
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
pub(crate) struct RunCreate {
    /// A run.yaml; flags count over it
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// The flow: a folder, a flow file or a .prompty
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,
    /// A file or folder of rows
    #[arg(long, value_name = "FILE")]
    data: Option<String>,
    /// Which column feeds which input: name='${data.x}'
    #[arg(long, num_args = 1.., value_name = "INPUT=VALUE")]
    column_mapping: Vec<String>,
    /// An earlier run, for ${run.inputs.x} and ${run.outputs.x}
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Use this variant of a node
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// The run's name
    #[arg(long, short = 'n', value_name = "NAME")]
    name: Option<String>,
    /// Variables of the flow's tools: NAME=VALUE
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    environment_variables: Vec<String>,
    /// Which connection and deployment nodes use: NODE.connection=NAME
    #[arg(long, num_args = 1.., value_name = "NODE.KEY=VALUE")]
    connections: Vec<String>,
    /// What a flex flow's class is made with: name=value pairs
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    init: Vec<String>,
    /// A run whose failed and missing lines are run (in the same run, here)
    #[arg(long, value_name = "RUN")]
    resume_from: Option<String>,
    /// Which section of the config applies (ours)
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,
    /// Taken and without effect: a run keeps no such words
    #[arg(long, num_args = 1.., value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Taken and without effect: progress is shown anyway
    #[arg(long, short = 's')]
    stream: bool,
    #[arg(long, hide = true, value_name = "FORMAT")]
    output: Option<String>,
    #[arg(long, hide = true)]
    debug: bool,
    #[arg(long, hide = true)]
    verbose: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunDelete {
    /// The run's name
    #[arg(long, short = 'n', value_name = "RUN")]
    name: String,
    #[arg(long, short = 'y', hide = true)]
    yes: bool,
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
        PfCommand::Run(PfRun::Create(create)) => run_create(*create),
        PfCommand::Run(PfRun::Delete(delete)) => Ok(words(["runs", "delete", "--yes", &delete.name])),
        PfCommand::Run(PfRun::List(list)) => {
            let limit = if list.all_results { usize::MAX } else { list.max_results };
            Ok(words(["runs", "list", "--json", "--limit", &limit.to_string()]))
        }
        PfCommand::Run(PfRun::Show(show)) => Ok(words(["runs", "show", "--json", &show.name])),
        PfCommand::Run(PfRun::Details(show)) => Ok(words(["runs", "lines", "--details", "--json", &show.name])),
        PfCommand::Run(PfRun::Metrics(show)) => Ok(words(["runs", "metrics", "--json", &show.name])),
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

fn run_create(create: RunCreate) -> Result<Vec<String>, CliError> {
    let ours = ["display_name", "description", "tags", "properties"];
    if let Some(other) = create.set.iter().find(|pair| !ours.iter().any(|key| pair.starts_with(key))) {
        return Err(CliError::misused(format!("`--set {other}` is not offered"))
            .hint("write it as a flag of its own, such as --data FILE or --variant '${node.variant}'"));
    }
    let mut command = words(["batch"]);
    if let Some(run) = create.resume_from {
        command.extend(["--resume".to_owned(), run, "--failed".to_owned()]);
        return Ok(command);
    }
    command.extend(create.flow);
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            command.extend([name.to_owned(), value]);
        }
    };
    option("--file", create.file.as_deref().map(shown));
    option("--environment_name", create.environment_name);
    option("--data", create.data);
    option("--run", create.run);
    option("--variant", create.variant);
    option("--name", create.name);
    // As the original: a row that is no input is a line that fails.
    option("--on-bad-line", Some("fail-line".to_owned()));
    let lists = [
        ("--column-mapping", create.column_mapping),
        ("--environment-variables", create.environment_variables),
        ("--connections", create.connections),
        ("--init", create.init),
    ];
    for (name, values) in lists {
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
        ("run", "stream" | "cancel") => {
            "a run's progress is shown where it runs; Ctrl-C stops it, `runs resume` goes on"
        }
        ("run", "visualize") => "`sluicegate runs show RUN` shows a run; traces go to any OpenTelemetry collector",
        ("run", "archive" | "restore" | "update") => {
            "runs are not archived; `sluicegate runs delete` and `prune` remove them"
        }
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
            ("run show-metrics -n latest", "runs metrics --json latest"),
            ("run show-details --name r", "runs lines --details --json r"),
            (
                "run create --flow web --data d.jsonl --column-mapping url=${data.url} n=1 --stream --name r",
                "batch web --data d.jsonl --name r --on-bad-line fail-line --column-mapping url=${data.url} n=1",
            ),
            ("run create --file run.yaml --set display_name=x", "batch --file run.yaml --on-bad-line fail-line"),
            ("run create --resume-from r", "batch --resume r --failed"),
            ("connection create --file c.yaml --name aoai", "connections import --write c.yaml --name aoai"),
            ("connection show -n aoai", "connections show aoai"),
        ] {
            assert_eq!(told(theirs), ours, "{theirs}");
        }
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        assert_eq!(told("run create --flow web --set data=d.jsonl"), "`--set data=d.jsonl` is not offered");
        assert_eq!(told("flow serve --source ."), "`pf flow serve` is not offered");
        assert_eq!(told("upgrade"), "`pf upgrade` is not offered");
        assert_eq!(
            told("connection create -f c.yaml --set api_key=k"),
            "`--set` is not offered: a secret on a command line is read by others"
        );
    }
}
