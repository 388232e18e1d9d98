//! What `batch` is asked on the command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sluicegate_executor::batch::{BatchOptions, MaxFailures};
use sluicegate_value::duration;

use crate::batch::{Manner, OnBadLine, ProgressStyle, below};
use crate::error::CliError;
use crate::keepers::KeptArgs;
use crate::session::Session;

/// Run a flow over a data set: thousands of lines side by side, none lost.
///
/// Rows come from .jsonl, .json, .csv and .tsv files, a folder of them, standard input, or an earlier run. What is wrong
/// with rows and mapping is told before anything is paid. Outputs go to output.jsonl in the order of the data, and its
/// path to stdout; the run is kept under .sluicegate/ and goes on after Ctrl-C, kill -9 or a power loss by --resume.
#[derive(Debug, clap::Args)]
pub(crate) struct BatchArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW", required_unless_present_any = ["resume", "file"])]
    pub(super) flow: Option<String>,

    /// prompt flow's run.yaml: flow, data, column_mapping and so on; flags count over it
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "resume")]
    pub(super) file: Option<PathBuf>,

    /// Which section of the config applies; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    pub(super) environment_name: Option<String>,

    /// A file or folder of rows, or - for standard input; else `data_path` of the config
    #[arg(long, short = 'd', value_name = "FILE")]
    pub(super) data: Vec<String>,

    /// Which column feeds which input: question='${data.q}' answer='${run.outputs.a}' tone=formal; others take the column
    /// of their own name, or their default. INPUT= takes back what the config says of that input
    #[arg(long, num_args = 1.., value_name = "INPUT=VALUE")]
    pub(super) column_mapping: Vec<String>,

    /// An earlier batch, whose lines are ${run.inputs.NAME} and ${run.outputs.NAME}, joined by line number
    #[arg(long, value_name = "RUN")]
    pub(super) run: Option<String>,

    /// Only rows for which an expression holds: 'lang == "de" and text|length > 20'
    #[arg(long = "where", value_name = "EXPRESSION")]
    pub(super) filter: Option<String>,

    /// Only the first N of them
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<u64>,

    /// How many calls each connection has in flight at most; else `max_in_flight` of the config, or 64
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) concurrency: Option<u32>,

    /// What to do with rows that cannot be read or are no inputs
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) on_bad_line: Option<OnBadLine>,

    /// How long a line may take: 90s, 10m, or `none`; else 10m, or with --provider-batch `none`
    #[arg(long, value_name = "TIME")]
    pub(super) line_timeout: Option<String>,

    /// How long the batch may take; what is left then is for --resume
    #[arg(long, value_name = "TIME")]
    pub(super) timeout: Option<String>,

    /// How many lines may fail, or which share of them, for an exit code of 0; else none
    #[arg(long, value_name = "N|P%", allow_negative_numbers = true)]
    pub(super) max_failures: Option<MaxFailures>,

    /// Begin nothing more once more lines failed than may
    #[arg(long)]
    pub(super) fail_fast: bool,

    /// What calls may cost in all, in US dollars: reserved before each call, settled by what it used; `none` lifts it
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    pub(super) budget: Option<f64>,

    /// Tokens of a reply that a budget reserves where the request does not limit them
    #[arg(long, value_name = "N")]
    pub(super) assume_tokens: Option<u64>,

    /// Send chat calls as files of up to SIZE calls to the provider's batch API: half the price, answers within a day
    /// (OpenAI and Azure OpenAI). A resume goes on so; 0: without
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "5000",
          value_parser = clap::value_parser!(u32).range(0..=50_000))]
    pub(super) provider_batch: Option<u32>,

    /// With --resume: have the provider cancel the batches that the run left there, and run nothing
    #[arg(long, requires = "resume")]
    pub(super) cancel_provider_batch: bool,

    #[command(flatten)]
    pub(super) kept: KeptArgs,

    /// The run's name, in place of one that is made up
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub(super) name: Option<String>,

    /// Where output.jsonl goes; - for stdout
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(super) output: Option<String>,

    /// Write prompt flow's run folder there, too: outputs, metrics, errors, records of lines and nodes, the flow
    #[arg(long, value_name = "DIR")]
    pub(super) run_folder: Option<PathBuf>,

    /// Write over what another run has written to --output and --run-folder
    #[arg(long)]
    pub(super) force: bool,

    /// Go on with a batch as it began: lines that are over are not run again, replies that are recorded not asked again
    #[arg(long, value_name = "RUN", conflicts_with_all = ["flow", "environment_name", "data", "run", "filter", "limit", "column_mapping"])]
    pub(super) resume: Option<String>,

    /// With --resume: run the failed lines again, too
    #[arg(long, requires = "resume")]
    pub(super) failed: bool,

    /// With --resume: go on although the flow, its settings or the data have changed since
    #[arg(long, requires = "resume")]
    pub(super) allow_changed: bool,

    /// Override an input of a node (nodes.N.inputs.K=V) or the default of a flow input (inputs.K.default=V)
    #[arg(long, value_name = "PATH=VALUE")]
    pub(super) set: Vec<String>,

    /// Use this variant of a node: '${node.variant_id}'
    #[arg(long, value_name = "VARIANT")]
    pub(super) variant: Option<String>,

    /// Which connection and deployment single nodes use: NODE.connection=NAME NODE.deployment_name=NAME
    #[arg(long, num_args = 1.., value_name = "NODE.KEY=VALUE")]
    pub(super) connections: Vec<String>,

    /// Variables of the flow's tools: NAME=VALUE
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    pub(super) environment_variables: Vec<String>,

    /// What the class of a flex flow is made with: name=value pairs, or a .json file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    pub(super) init: Vec<String>,

    /// How progress is shown on stderr
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub(super) progress: ProgressStyle,

    /// Print what came of it as one JSON object; not with --output -
    #[arg(long)]
    pub(super) json: bool,

    /// Send OpenTelemetry traces, to ENDPOINT or where the config and OTEL_* variables say (else http://localhost:4318)
    #[arg(long = "deploy_traces", value_name = "ENDPOINT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(super) deploy_traces: Option<String>,
}

/// An amount of dollars; `none` is one that is never reached.
pub(crate) fn dollars(text: &str) -> Result<f64, String> {
    match text.trim() {
        "none" => Ok(f64::INFINITY),
        number => number
            .trim_start_matches('$')
            .parse()
            .ok()
            .filter(|most: &f64| most.is_finite())
            .ok_or_else(|| "write an amount of dollars, such as 2.50, or `none`".to_owned()),
    }
}

impl BatchArgs {
    /// How the batch is to work, as far as flags say.
    pub(super) fn manner(&self, session: &Session) -> Manner {
        let absolute = |folder: &Path| session.directory().join(folder).display().to_string();
        let output = self.output.as_deref().map(|place| match place {
            "-" => place.to_owned(),
            folder => absolute(Path::new(folder)),
        });
        Manner {
            concurrency: self.concurrency,
            line_timeout: self.line_timeout.clone(),
            max_failures: self.max_failures,
            fail_fast: self.fail_fast,
            budget: self.budget,
            assume_tokens: self.assume_tokens,
            provider_batch: self.provider_batch,
            output,
            run_folder: self.run_folder.as_deref().map(absolute),
            kept: below(session.directory(), &self.kept),
        }
    }

    /// The engine's part of that. `manner` is what flags say, and what an earlier process was told.
    pub(super) fn options(&self, manner: &Manner) -> Result<BatchOptions, CliError> {
        if self.json && manner.output.as_deref() == Some("-") {
            return Err(CliError::misused("`--output -` and `--json` both write to stdout")
                .hint("let the outputs go to a folder by --output DIR: the JSON object names the file"));
        }
        if let Some(most) = manner.budget.filter(|most| *most <= 0.0) {
            return Err(CliError::misused(format!("`--budget {most}` is no amount of dollars")).hint("or write `none`"));
        }
        // A provider's batch takes a day.
        let line_timeout = if manner.provider_batch.is_some_and(|size| size > 0) { "none" } else { "10m" };
        Ok(BatchOptions {
            line_timeout: time("--line-timeout", manner.line_timeout.as_deref().unwrap_or(line_timeout))?,
            timeout: self.timeout.as_deref().map(|text| time("--timeout", text)).transpose()?.flatten(),
            max_failures: manner.max_failures.unwrap_or_default(),
            fail_fast: manner.fail_fast,
            ..BatchOptions::default()
        })
    }
}

fn time(flag: &str, text: &str) -> Result<Option<Duration>, CliError> {
    if text == "none" {
        return Ok(None);
    }
    match duration::parse(text) {
        Ok(time) if !time.is_zero() => Ok(Some(time)),
        Ok(_) => Err(CliError::misused(format!("`{flag} {text}` leaves no time"))),
        Err(error) => Err(CliError::misused(format!("`{flag} {text}`: {error}"))),
    }
}
