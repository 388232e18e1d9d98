//! `batch`: a flow over a data set; and going on with one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sluicegate_dataset::MappingEntry;
use sluicegate_events::{Event, EventKind, LineCounts, PlanHashes, RunId, RunStatus, RunSummary};
use sluicegate_executor::batch::{BatchOptions, BatchStart, MaxFailures};
use sluicegate_executor::{Budget, NewRun};
use sluicegate_flow::bind::Setting;
use sluicegate_providers::ProviderBatches;
use sluicegate_store::{RunJournal, Store};
use sluicegate_value::{Map, Value, duration};

use super::run::{check_address, refuse_changes, remembered, variant};
use super::runs::{last_aggregation, store_error};
use crate::batch::{
    Asked, Before, Data, Ended, Manner, OnBadLine, OutputPlace, ProgressStyle, RunFile, RunFolder, Work, below,
    cancel_batches, finish, going_on, keep_batches, last_end, node_flags, nodes_from_map, nodes_to_map,
    provider_batches, recorded_data, tell_open_batches, write_outputs,
};
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::read_inputs;
use crate::interrupt;
use crate::keepers::KeptArgs;
use crate::prepared::{Choices, Prepared, one};
use crate::session::{Flow, Session};
use crate::terminal::show_problems;

/// Run a flow over a data set: thousands of lines side by side, none lost.
///
/// Rows come from .jsonl, .json, .csv and .tsv files, a folder of them, standard input, or an earlier run. What is wrong
/// with rows and mapping is told before anything is paid. Outputs go to output.jsonl in the order of the data, and its
/// path to stdout; the run is kept under .sluicegate/ and goes on after Ctrl-C, kill -9 or a power loss by --resume.
#[derive(Debug, clap::Args)]
pub(crate) struct BatchArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW", required_unless_present_any = ["resume", "file"])]
    flow: Option<String>,

    /// prompt flow's run.yaml: flow, data, column_mapping and so on; flags count over it
    #[arg(long, short = 'f', value_name = "FILE", conflicts_with = "resume")]
    file: Option<PathBuf>,

    /// Which section of the config applies; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// A file or folder of rows, or - for standard input; else `data_path` of the config
    #[arg(long, short = 'd', value_name = "FILE")]
    data: Vec<String>,

    /// Which column feeds which input: question='${data.q}' answer='${run.outputs.a}' tone=formal; others take the column
    /// of their own name, or their default
    #[arg(long, num_args = 1.., value_name = "INPUT=VALUE")]
    column_mapping: Vec<String>,

    /// An earlier batch, whose lines are ${run.inputs.NAME} and ${run.outputs.NAME}, joined by line number
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Only rows for which an expression holds: 'lang == "de" and text|length > 20'
    #[arg(long = "where", value_name = "EXPRESSION")]
    filter: Option<String>,

    /// Only the first N of them
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// How many calls each connection has in flight at most; else `max_in_flight` of the config, or 64
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,

    /// What to do with rows that cannot be read or are no inputs
    #[arg(long, value_enum, value_name = "WHAT")]
    on_bad_line: Option<OnBadLine>,

    /// How long a line may take: 90s, 10m, or `none`; else 10m, or with --provider-batch `none`
    #[arg(long, value_name = "TIME")]
    line_timeout: Option<String>,

    /// How long the batch may take; what is left then is for --resume
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,

    /// How many lines may fail, or which share of them, for an exit code of 0; else none
    #[arg(long, value_name = "N|P%", allow_negative_numbers = true)]
    max_failures: Option<MaxFailures>,

    /// Begin nothing more once more lines failed than may
    #[arg(long)]
    fail_fast: bool,

    /// What calls may cost in all, in US dollars: reserved before each call, settled by what it used; `none` lifts it
    #[arg(long, value_name = "USD", value_parser = dollars, allow_negative_numbers = true)]
    budget: Option<f64>,

    /// Tokens of a reply that a budget reserves where the request does not limit them
    #[arg(long, value_name = "N")]
    assume_tokens: Option<u64>,

    /// Send chat calls as files of up to SIZE calls to the provider's batch API: half the price, answers within a day
    /// (OpenAI and Azure OpenAI). A resume goes on so; 0: without
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "5000",
          value_parser = clap::value_parser!(u32).range(0..=50_000))]
    provider_batch: Option<u32>,

    /// With --resume: have the provider cancel the batches that the run left there, and run nothing
    #[arg(long, requires = "resume")]
    cancel_provider_batch: bool,

    #[command(flatten)]
    kept: KeptArgs,

    /// The run's name, in place of one that is made up
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    name: Option<String>,

    /// Where output.jsonl goes; - for stdout
    #[arg(long, short = 'o', value_name = "DIR")]
    output: Option<String>,

    /// Write prompt flow's run folder there, too: outputs, metrics, errors, records of lines and nodes, the flow
    #[arg(long, value_name = "DIR")]
    run_folder: Option<PathBuf>,

    /// Go on with a batch as it began: lines that are over are not run again, replies that are recorded not asked again
    #[arg(long, value_name = "RUN", conflicts_with_all = ["flow", "environment_name", "data", "run", "filter", "limit", "column_mapping"])]
    resume: Option<String>,

    /// With --resume: run the failed lines again, too
    #[arg(long, requires = "resume")]
    failed: bool,

    /// With --resume: go on although the flow, its settings or the data have changed since
    #[arg(long, requires = "resume")]
    allow_changed: bool,

    /// Override an input of a node (nodes.N.inputs.K=V) or the default of a flow input (inputs.K.default=V)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,

    /// Use this variant of a node: '${node.variant_id}'
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,

    /// Which connection and deployment single nodes use: NODE.connection=NAME NODE.deployment_name=NAME
    #[arg(long, num_args = 1.., value_name = "NODE.KEY=VALUE")]
    connections: Vec<String>,

    /// Variables of the flow's tools: NAME=VALUE
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    environment_variables: Vec<String>,

    /// What the class of a flex flow is made with: name=value pairs, or a .json file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    init: Vec<String>,

    /// How progress is shown on stderr
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: ProgressStyle,

    /// Print what came of it as one JSON object
    #[arg(long)]
    json: bool,

    /// Send OpenTelemetry traces, to ENDPOINT or where the config and OTEL_* variables say (else http://localhost:4318)
    #[arg(long = "deploy_traces", value_name = "ENDPOINT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    deploy_traces: Option<String>,
}

/// An amount of dollars; `none` is one that is never reached.
fn dollars(text: &str) -> Result<f64, String> {
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

/// Runs a flow over a data set, or goes on with that.
pub(crate) fn batch(session: &Session, args: BatchArgs) -> Result<Exit, CliError> {
    check_address(args.deploy_traces.as_deref())?;
    let session = &session.replaying(args.kept.replay.is_some());
    match &args.resume {
        Some(run) => resume(session, &args, run),
        None => begin(session, &args),
    }
}

fn begin(session: &Session, args: &BatchArgs) -> Result<Exit, CliError> {
    let mut file = match &args.file {
        Some(file) => RunFile::read(&session.directory().join(file), &file.display().to_string())?,
        None => RunFile::default(),
    };
    if !file.warnings.is_empty() {
        session.printer().say(&show_problems(&file.warnings, session.printer().colour()));
    }
    let asked_flow = args.flow.as_deref().or(file.flow.as_deref()).ok_or_else(|| {
        CliError::misused("the run file names no flow")
            .hint("write `flow:` into it, or sluicegate batch FLOW --file FILE")
    })?;
    let flow = session.flow(asked_flow, args.environment_name.as_deref())?;
    let asked = asked(session, &flow, args, &mut file)?;
    node_flags(&args.connections, &mut file.nodes).map_err(CliError::misused)?;
    file.variables.extend(
        read_inputs(&pairs("environment-variables", &args.environment_variables)?, session.directory())?.inputs,
    );
    file.init.extend(read_inputs(&args.init, session.directory())?.inputs);
    let variant_name = args.variant.as_deref().or(file.variant.as_deref());
    let choices = Choices {
        set: args.set.iter().map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: variant_name.map(variant).transpose()?,
        init: file.init,
        max_in_flight: args.concurrency.map(|limit| limit as usize),
        variables: file.variables,
        nodes: file.nodes,
        provider_batch: provider_batches(session, args.provider_batch, args.progress),
        ..Choices::default()
    };
    let manner = manner(session, args);
    let options = batch_options(args, &manner)?;
    let interrupted = interrupt::listen(session.printer().clone())?;
    let prepared = Prepared::new(session, flow, &choices)?;
    let done = (|| {
        let store = session.store_of(prepared.flow.environment.project())?;
        let run = match args.name.as_ref().or(file.name.as_ref()) {
            Some(name) => RunId(name.as_str().into()),
            None => RunId::generate(),
        };
        let spool = spool_place(&store.0, &run)?;
        // Before anything of that run is written over.
        if store.0.open_run(&run).is_ok() {
            return Err(CliError::misused(format!("there is a run `{run}` already"))
                .hint(format!("choose another name, or go on with it: sluicegate batch --resume {run}")));
        }
        if asked.data.iter().any(|name| name == "-") {
            spool_stdin(&spool)?;
        }
        let data = Data::prepare(session, &prepared, &asked, &spool).inspect_err(|_| {
            let _ = std::fs::remove_file(&spool);
        })?;
        let (bad, recorded) = (data.bad_lines(), data.recorded());
        if options.fail_fast && !options.max_failures.allows(bad, recorded.lines) {
            return Err(CliError::misused(format!(
                "{bad} of {} rows are no inputs, which is more than may fail",
                recorded.lines
            ))
            .hint("nothing was asked yet: correct them, or allow more by --max-failures"));
        }
        keep_batches(session, choices.provider_batch.as_ref(), &store.0, &run)?;
        let place = output_place(&manner, &store.0, &run);
        place.open()?;
        run_folder(session, args).map_or(Ok(()), |folder| folder.open())?;
        let mut remembered = remembered(&args.set, variant_name, &choices, &prepared.flow.name);
        remembered.insert("batch", asked.remembered());
        remembered.insert("manner", manner.remembered());
        remembered.insert("environment_variables", choices.variables.clone());
        remembered.insert("connections", nodes_to_map(&choices.nodes));
        let new = NewRun {
            run: run.clone(),
            inputs: Map::new(),
            flow: prepared.flow.name.clone(),
            flow_path: prepared.flow.path.display().to_string(),
            environment: prepared.flow.environment.environment_name().map(ToOwned::to_owned),
            hashes: prepared.hashes(),
            options: remembered,
        };
        let journal = prepared.new_journal(session, &run)?;
        let recorded = data.recorded();
        let before =
            Before { lines: LineCounts { left: recorded.lines, ..LineCounts::default() }, ..Before::default() };
        let whole = Whole {
            session,
            args,
            manner: &manner,
            prepared: &prepared,
            data: &data,
            batches: choices.provider_batch.as_ref(),
            store: &store.0,
            place: &place,
            options: &options,
        };
        whole.run(journal, BatchStart::New { run: new, data: recorded }, &before, interrupted)
    })();
    prepared.close();
    done
}

/// `runs resume` of a batch, with these flags.
pub(crate) fn resume_by(session: &Session, run: &str, flags: &[&str]) -> Result<Exit, CliError> {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: BatchArgs,
    }
    let words = ["batch", "--resume", run].into_iter().chain(flags.iter().copied());
    let line = <Line as clap::Parser>::try_parse_from(words)
        .map_err(|error| CliError::misused(error.to_string().trim().trim_start_matches("error: ").to_owned()))?;
    resume(session, &line.args, run)
}

/// Goes on with a batch.
fn resume(session: &Session, args: &BatchArgs, asked_run: &str) -> Result<Exit, CliError> {
    let interrupted = interrupt::listen(session.printer().clone())?;
    let (store, durability) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    let id = store.find(asked_run).map_err(store_error)?;
    if !store.is_batch(&id).map_err(store_error)? {
        return Err(CliError::misused(format!("run `{id}` is no batch"))
            .hint(format!("go on with it by `sluicegate runs resume {id}`")));
    }
    let (journal, past) = store.resume_batch(&id, durability).map_err(store_error)?;
    let Some(EventKind::RunStarted { flow_path, environment, hashes, options: remembered, .. }) =
        past.run_events.first().map(|event| event.kind.clone())
    else {
        return Err(CliError::misused(format!("run `{id}` has no beginning and cannot be resumed")));
    };
    let text = |name: &str| remembered.get(name).and_then(Value::as_str);
    let map = |name: &str| remembered.get(name).and_then(Value::as_map);
    let manner = match map("manner") {
        Some(then) => manner(session, args).or_as(then),
        None => manner(session, args),
    };
    // What was replayed asks nobody now either, and needs no keys.
    let session = &session.replaying(manner.kept.replay.is_some());
    let by_name = text("flow").and_then(|name| session.flow(name, environment.as_deref()).ok());
    let flow = match by_name.filter(|flow| flow.path.display().to_string() == flow_path) {
        Some(flow) => flow,
        None => session.flow(&flow_path, environment.as_deref())?,
    };
    let set = remembered.get("set").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str);
    let choices = Choices {
        set: set.map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: text("variant").map(variant).transpose()?,
        init: map("init").cloned().unwrap_or_default(),
        variables: map("environment_variables").cloned().unwrap_or_default(),
        nodes: map("connections").map(nodes_from_map).unwrap_or_default(),
        max_in_flight: manner.concurrency.map(|limit| limit as usize),
        provider_batch: provider_batches(
            session,
            if args.cancel_provider_batch { Some(1) } else { manner.provider_batch },
            args.progress,
        ),
        ..Choices::default()
    };
    let mut asked = remembered.get("batch").and_then(Value::as_map).map(Asked::from_remembered).unwrap_or_default();
    asked.on_bad_line = args.on_bad_line.unwrap_or(asked.on_bad_line);
    let options = batch_options(args, &manner)?;
    let prepared = Prepared::new(session, flow, &choices)?;
    let done = (|| {
        if args.cancel_provider_batch {
            return cancel_batches(session, &prepared, &store, &id);
        }
        let spool = spool_place(&store, &id)?;
        let data = Data::prepare(session, &prepared, &asked, &spool)?;
        let recorded = data.recorded();
        let then = recorded_data(&past.run_events).cloned().unwrap_or_default();
        if !args.allow_changed {
            let now = prepared.hashes();
            refuse_batch_changes(&hashes, &now, then.hash != recorded.hash, &id)?;
        }
        let (completed, failed) = (past.totals.completed.lines, past.totals.failed.lines);
        let left = recorded.lines.saturating_sub(completed + failed);
        let runs_again = left > 0 || (args.failed && failed > 0) || last_end(&past.run_events).is_none();
        let place = output_place(&manner, &store, &id);
        if !runs_again {
            // Its process may have died before it wrote them, or the disk was full.
            let is_unwritten = place.file().is_some_and(|file| !file.exists());
            if is_unwritten || args.output.is_some() {
                return write_again(session, &store, &id, &place, &past.run_events);
            }
            let error = CliError::misused(format!("all lines of run `{id}` are over"));
            return Err(match failed {
                0 => error,
                _ => error.hint(format!("{failed} failed: --failed runs them again")),
            });
        }
        place.open()?;
        run_folder(session, args).map_or(Ok(()), |folder| folder.open())?;
        keep_batches(session, choices.provider_batch.as_ref(), &store, &id)?;
        let changed = (then != recorded).then(|| recorded.clone());
        let (start, before) = going_on(past, recorded.lines, args.failed, changed);
        let whole = Whole {
            session,
            args,
            manner: &manner,
            prepared: &prepared,
            data: &data,
            batches: choices.provider_batch.as_ref(),
            store: &store,
            place: &place,
            options: &options,
        };
        whole.run(journal, start, &before, interrupted)
    })();
    prepared.close();
    done
}

/// What a batch is done with, new or gone on with.
struct Whole<'a> {
    session: &'a Session,
    args: &'a BatchArgs,
    manner: &'a Manner,
    prepared: &'a Prepared,
    data: &'a Data,
    batches: Option<&'a Arc<ProviderBatches>>,
    store: &'a Store,
    place: &'a OutputPlace,
    options: &'a BatchOptions,
}

impl Whole<'_> {
    /// Runs what is to run, writes what came of it, and says how it ended.
    fn run(
        &self,
        journal: RunJournal,
        start: BatchStart,
        before: &Before,
        interrupted: impl Future<Output = ()>,
    ) -> Result<Exit, CliError> {
        let Self { session, args, manner, prepared, store, .. } = *self;
        let work = Work {
            session,
            prepared,
            manner,
            store,
            progress: args.progress,
            budget: manner.budget.map(|most| {
                let spent = before.spent.cost.unwrap_or_default();
                Arc::new(Budget::new(most, spent, manner.assume_tokens))
            }),
            traces: args.deploy_traces.as_deref(),
            lines_at_once: self.batches.map_or(0, |batches| batches.size()),
            options: self.options,
        };
        let worked = work.run(journal, start, before, self.data.lines()?, interrupted)?;
        let report = &worked.report;
        if let (Some(most), Some(cost)) = (manner.budget, report.spent.cost)
            && cost > most
        {
            session.printer().warn(&format!(
                "${cost:.4} were spent of a budget of ${most:.4}: replies used more tokens than their requests allow"
            ));
        }
        let metrics: Map =
            report.metrics.iter().map(|(name, value)| (Arc::from(name.as_str()), value.clone())).collect();
        let written = write_outputs(store, &report.run, self.place, &metrics);
        let written = written.and_then(|()| match run_folder(session, args) {
            Some(folder) => folder.write_ended(session, store, &report.run, prepared),
            None => Ok(()),
        });
        let output = self.place.file().filter(|_| written.is_ok());
        let exit = finish(session, prepared, &Ended { worked: &worked, output, json: args.json })?;
        tell_open_batches(session, self.batches, &report.run);
        written.map(|()| exit)
    }
}

fn asked(session: &Session, flow: &Flow, args: &BatchArgs, file: &mut RunFile) -> Result<Asked, CliError> {
    let mut data: Vec<String> = args.data.iter().map(|name| absolute(session, name)).collect();
    if data.is_empty() {
        data.extend(file.data.take());
    }
    let run = args.run.clone().or(file.run.take());
    if data.is_empty() && run.is_none() {
        let path = one(flow.environment.data_path())?;
        data.extend(path.map(|path| path.display().to_string()));
    }
    let mut mapping = match one(flow.environment.column_mapping())? {
        Some(map) => MappingEntry::of_map(&map, None),
        None => Vec::new(),
    };
    mapping.append(&mut file.mapping);
    for text in &args.column_mapping {
        mapping.push(Asked::mapping_entry(text).ok_or_else(|| {
            CliError::misused(format!("`--column-mapping {text}` names no input"))
                .hint("write --column-mapping question='${data.q}' tone=formal")
        })?);
    }
    Ok(Asked {
        data,
        run,
        mapping,
        filter: args.filter.clone(),
        limit: args.limit,
        on_bad_line: args.on_bad_line.unwrap_or_default(),
    })
}

/// A path as a resume in another folder finds it. What is no path is told as it was written.
fn absolute(session: &Session, name: &str) -> String {
    if name == "-" || name.to_lowercase().starts_with("azureml:") || name.contains("://") {
        return name.to_owned();
    }
    session.directory().join(name).display().to_string()
}

fn manner(session: &Session, args: &BatchArgs) -> Manner {
    let output = args.output.as_deref().map(|place| match place {
        "-" => place.to_owned(),
        folder => session.directory().join(folder).display().to_string(),
    });
    Manner {
        concurrency: args.concurrency,
        line_timeout: args.line_timeout.clone(),
        max_failures: args.max_failures,
        fail_fast: args.fail_fast,
        budget: args.budget,
        assume_tokens: args.assume_tokens,
        provider_batch: args.provider_batch,
        output,
        kept: below(session.directory(), &args.kept),
    }
}

fn batch_options(args: &BatchArgs, manner: &Manner) -> Result<BatchOptions, CliError> {
    let time = |flag: &str, text: &str| -> Result<Option<Duration>, CliError> {
        if text == "none" {
            return Ok(None);
        }
        match duration::parse(text) {
            Ok(time) if !time.is_zero() => Ok(Some(time)),
            Ok(_) => Err(CliError::misused(format!("`{flag} {text}` leaves no time"))),
            Err(error) => Err(CliError::misused(format!("`{flag} {text}`: {error}"))),
        }
    };
    if let Some(most) = manner.budget.filter(|most| *most <= 0.0) {
        return Err(CliError::misused(format!("`--budget {most}` is no amount of dollars")).hint("or write `none`"));
    }
    // A provider's batch takes a day.
    let line_timeout = if manner.provider_batch.is_some_and(|size| size > 0) { "none" } else { "10m" };
    Ok(BatchOptions {
        line_timeout: time("--line-timeout", manner.line_timeout.as_deref().unwrap_or(line_timeout))?,
        timeout: args.timeout.as_deref().map(|text| time("--timeout", text)).transpose()?.flatten(),
        max_failures: manner.max_failures.unwrap_or_default(),
        fail_fast: manner.fail_fast,
        ..BatchOptions::default()
    })
}

/// Writes the outputs of a batch that is over.
fn write_again(
    session: &Session,
    store: &Store,
    run: &RunId,
    place: &OutputPlace,
    events: &[Event],
) -> Result<Exit, CliError> {
    place.open()?;
    let metrics = RunSummary::of(last_aggregation(events)).metrics;
    write_outputs(store, run, place, &metrics.into_iter().map(|(name, value)| (Arc::from(name), value)).collect())?;
    session.printer().say(&format!("all lines of run `{run}` are over: their outputs are written again"));
    if let Some(file) = place.file() {
        session.printer().data(&file.display().to_string())?;
    }
    let ended = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::RunFinished { status, .. } => Some(*status),
        _ => None,
    });
    Ok(if ended == Some(RunStatus::Completed) { Exit::Done } else { Exit::Failed })
}

fn output_place(manner: &Manner, store: &Store, run: &RunId) -> OutputPlace {
    match manner.output.as_deref() {
        Some("-") => OutputPlace::Stdout,
        Some(folder) => OutputPlace::Folder(PathBuf::from(folder)),
        None => OutputPlace::Folder(store.root().join("out").join(run.to_string())),
    }
}

fn run_folder(session: &Session, args: &BatchArgs) -> Option<RunFolder> {
    args.run_folder.as_deref().map(|folder| RunFolder::at(session, folder))
}

/// Where standard input of a run is kept: beside its journal.
fn spool_place(store: &Store, run: &RunId) -> Result<PathBuf, CliError> {
    let is_file_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if &*run.0 == "latest" || run.0.is_empty() || run.0.starts_with('.') || !run.0.chars().all(is_file_name) {
        return Err(CliError::misused(format!("`{run}` cannot be a run's name"))
            .hint("it becomes a file's: letters, digits, `-`, `_` and `.`; `latest` is the newest run's"));
    }
    Ok(store.root().join("runs").join(format!("{run}.stdin")))
}

/// Pairs of a flag that takes no file.
fn pairs(flag: &str, given: &[String]) -> Result<Vec<String>, CliError> {
    match given.iter().find(|pair| !pair.contains('=')) {
        Some(wrong) => Err(CliError::misused(format!("`--{flag} {wrong}`: write NAME=VALUE"))),
        None => Ok(given.to_vec()),
    }
}

/// Keeps standard input in a file: it is read twice, and again by a resume.
fn spool_stdin(file: &std::path::Path) -> Result<(), CliError> {
    let copied = std::fs::File::create(file).and_then(|mut out| std::io::copy(&mut std::io::stdin().lock(), &mut out));
    copied.map(|_| ()).map_err(|error| {
        let _ = std::fs::remove_file(file);
        CliError::failed(format!("standard input cannot be kept in `{}`", file.display())).cause(error.to_string())
    })
}

fn refuse_batch_changes(then: &PlanHashes, now: &PlanHashes, data: bool, id: &RunId) -> Result<(), CliError> {
    if !data {
        return refuse_changes(then, now, id);
    }
    let mut what = vec!["the data"];
    if then.plan != now.plan {
        what.push("the flow's files");
    }
    if then.settings != now.settings {
        what.push("its settings");
    }
    Err(CliError::misused(format!("{} changed since run `{id}` began", what.join(" and ")))
        .hint("start a new batch, or resume with --allow-changed if the lines that are over still hold"))
}
