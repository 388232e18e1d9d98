//! `run`: one input through a flow; and `runs resume`, which goes on with one.

use std::sync::Arc;

use sluicegate_events::{Event, EventKind, Journal, PlanHashes, RunId, RunStatus, RunSummary, Stream};
use sluicegate_executor::{NewRun, NullJournal, RunReport, Start};
use sluicegate_flow::bind::Setting;
use sluicegate_flow::compile::VariantChoice;
use sluicegate_value::{Map, Value};

use super::runs::{ResumeArgs, store_error};
use super::talk::talk;
use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::read_inputs;
use crate::interrupt;
use crate::keepers::{Keepers, KeptArgs};
use crate::prepared::{Choices, Prepared};
use crate::report::report;
use crate::session::Session;
use crate::show_run::{Shown, show_end};

/// Run a flow on one input.
///
/// Outputs go to stdout as JSON; everything said to a person goes to stderr. The run is kept under .sluicegate/ and can be
/// resumed when it was interrupted, killed or failed.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW")]
    flow: Option<String>,

    /// Which section of the config applies; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// Inputs: name=value pairs, a .json or .jsonl file (or - for stdin), or a file and pairs over it; others keep their
    /// defaults
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    inputs: Vec<String>,

    /// Override an input of a node (nodes.N.inputs.K=V) or the default of a flow input (inputs.K.default=V)
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,

    /// Use this variant of a node: '${node.variant_id}'
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,

    /// Run this node alone; its references become inputs: name for ${inputs.name}, node.output for ${node.output}
    #[arg(long, value_name = "NODE")]
    node: Option<String>,

    /// What the class of a flex flow is made with: name=value pairs, or a .json file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    init: Vec<String>,

    /// Print outputs, nodes, usage, cost, durations and trace id in one JSON object
    #[arg(long)]
    json: bool,

    /// Show replies as they come (on stderr)
    #[arg(long)]
    stream: bool,

    /// Send OpenTelemetry traces, to ENDPOINT or where the config and OTEL_* variables say (else http://localhost:4318)
    #[arg(long = "deploy_traces", value_name = "ENDPOINT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    deploy_traces: Option<String>,

    /// Talk with a chat flow: a line of stdin is what a person says, and the answer goes to stdout
    #[arg(long, short = 'i', conflicts_with_all = ["json", "node"])]
    interactive: bool,

    #[command(flatten)]
    kept: KeptArgs,

    /// Keep no journal: the run cannot be shown or resumed later
    #[arg(long)]
    no_store: bool,
}

/// Runs a flow on one input.
pub(crate) fn run(session: &Session, mut args: RunArgs) -> Result<Exit, CliError> {
    let session = &session.replaying(args.kept.replay.is_some());
    let printer = session.printer();
    // `run --inputs q=x FLOW`: the flag takes all it gets, and what is no pair is meant as the flow.
    let last_is_flow = args.flow.is_none() && args.inputs.last().is_some_and(|last| !last.contains('='));
    let asked = args.flow.take().or_else(|| args.inputs.pop().filter(|_| last_is_flow)).ok_or_else(|| {
        CliError::misused("no flow is named").hint("write sluicegate run FLOW; `sluicegate run --help` shows more")
    })?;
    let flow = session.flow(&asked, args.environment_name.as_deref())?;
    let choices = Choices {
        set: args.set.iter().map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: args.variant.as_deref().map(variant).transpose()?,
        node: args.node,
        stream: args.stream,
        init: read_inputs(&args.init, session.directory())?.inputs,
        ..Choices::default()
    };
    let given = read_inputs(&args.inputs, session.directory())?;
    if let Some(warning) = &given.warning {
        printer.warn(warning);
    }
    let mut prepared = Prepared::new(session, flow, &choices)?;
    let options = remembered(&args.set, args.variant.as_deref(), &choices, &prepared.flow.name);
    let shown = Shown { json: args.json, stream: args.stream };
    check_address(args.deploy_traces.as_deref())?;
    if args.interactive {
        let chat = prepared.chat().ok_or_else(|| {
            CliError::misused(format!("flow `{}` is no chat", prepared.flow.name)).hint(
                "mark one input `is_chat_input: true`, one `is_chat_history: true`, one output `is_chat_output: true`",
            )
        })?;
        let exit = talk(session, &mut prepared, &chat, given, &options, &shown, !args.no_store);
        prepared.close();
        return exit;
    }
    let interrupted = interrupt::listen(printer.clone())?;
    let inputs = prepared.inputs(session, &given)?;
    let new = new_run(&prepared, inputs, options);
    let deploy_traces = args.deploy_traces.as_deref();
    let journal: Arc<dyn Journal> =
        if args.no_store { Arc::new(NullJournal) } else { Arc::new(prepared.new_journal(session, &new.run)?) };
    let store = match args.no_store {
        true => None,
        false => Some(session.store_of(prepared.flow.environment.project())?.0),
    };
    let keepers = Keepers::open(session, store.as_ref(), &args.kept, prepared.plan())?;
    let done =
        prepared.run(session, journal, Start::New(new), &shown, (deploy_traces, keepers.replies()), interrupted)?;
    keepers.close().iter().for_each(|warning| printer.warn(warning));
    let exit = finish(session, &prepared, &done, &shown, !args.no_store);
    prepared.close();
    exit
}

/// A run that begins with these inputs.
pub(crate) fn new_run(prepared: &Prepared, inputs: Map, options: Map) -> NewRun {
    NewRun {
        run: RunId::generate(),
        inputs,
        flow: prepared.flow.name.clone(),
        flow_path: prepared.flow.path.display().to_string(),
        environment: prepared.flow.environment.environment_name().map(ToOwned::to_owned),
        hashes: prepared.hashes(),
        options,
    }
}

/// Goes on with a run that was interrupted, killed or failed.
pub(crate) fn resume(session: &Session, args: ResumeArgs) -> Result<Exit, CliError> {
    let interrupted = interrupt::listen(session.printer().clone())?;
    check_address(args.deploy_traces.as_deref())?;
    let (store, durability) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
    let id = store.find(&args.run).map_err(store_error)?;
    let (journal, past) = store.resume_run(&id, durability).map_err(store_error)?;
    let Some(EventKind::RunStarted { flow_path, environment, hashes, options, .. }) =
        past.first().map(|event| &event.kind)
    else {
        return Err(
            CliError::misused(format!("run `{id}` has no beginning and cannot be resumed")).hint("run the flow again")
        );
    };
    if is_completed(&past) {
        return Err(CliError::misused(format!("run `{id}` is completed; there is nothing to resume")));
    }
    let text = |name: &str| options.get(name).and_then(Value::as_str);
    // The section's name first: two sections may lead to one folder.
    let by_name = text("flow").and_then(|name| session.flow(name, environment.as_deref()).ok());
    let flow = match by_name.filter(|flow| flow.path.display().to_string() == *flow_path) {
        Some(flow) => flow,
        None => session.flow(flow_path, environment.as_deref())?,
    };
    let set = options.get("set").and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str);
    let choices = Choices {
        set: set.map(|text| Setting::parse(text).map_err(CliError::misused)).collect::<Result<_, _>>()?,
        variant: text("variant").map(variant).transpose()?,
        node: text("node").map(ToOwned::to_owned),
        stream: args.stream,
        init: options.get("init").and_then(Value::as_map).cloned().unwrap_or_default(),
        ..Choices::default()
    };
    let prepared = Prepared::new(session, flow, &choices)?;
    if !args.allow_changed {
        refuse_changes(hashes, &prepared.hashes(), &id)?;
    }
    let shown = Shown { json: args.json, stream: args.stream };
    let keepers = Keepers::open(session, Some(&store), &KeptArgs::default(), prepared.plan())?;
    let done = prepared.run(
        session,
        Arc::new(journal),
        Start::Resume { past },
        &shown,
        (args.deploy_traces.as_deref(), keepers.replies()),
        interrupted,
    )?;
    keepers.close().iter().for_each(|warning| session.printer().warn(warning));
    let exit = finish(session, &prepared, &done, &shown, true);
    prepared.close();
    exit
}

/// Refuses a `--deploy_traces=ADDRESS` that is none, before anything is paid.
pub(crate) fn check_address(asked: Option<&str>) -> Result<(), CliError> {
    match asked {
        Some(address) if !address.is_empty() && !address.starts_with("http://") && !address.starts_with("https://") => {
            Err(CliError::misused(format!("`--deploy_traces={address}` is no address of a collector"))
                .hint("write --deploy_traces=http://localhost:4318, or --deploy_traces alone for the one that is set"))
        }
        _ => Ok(()),
    }
}

fn is_completed(past: &[Event]) -> bool {
    past.iter().any(|event| matches!(event.kind, EventKind::RunFinished { status: RunStatus::Completed, .. }))
}

/// What was said on the command line and changes the plan, for a resume in another process.
pub(crate) fn remembered(set: &[String], variant: Option<&str>, choices: &Choices, flow: &str) -> Map {
    let mut options = Map::new();
    options.insert("flow", flow);
    if !set.is_empty() {
        options.insert("set", set.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>());
    }
    if !choices.init.is_empty() {
        options.insert("init", choices.init.clone());
    }
    for (name, value) in [("variant", variant), ("node", choices.node.as_deref())] {
        if let Some(value) = value {
            options.insert(name, value);
        }
    }
    options
}

pub(crate) fn variant(text: &str) -> Result<VariantChoice, CliError> {
    VariantChoice::parse(text).ok_or_else(|| {
        CliError::misused(format!("`--variant {text}` names no variant")).hint("write --variant '${node.variant_id}'")
    })
}

pub(crate) fn refuse_changes(then: &PlanHashes, now: &PlanHashes, id: &RunId) -> Result<(), CliError> {
    let changed: Vec<&str> =
        [("the flow's files", then.plan != now.plan), ("its settings", then.settings != now.settings)]
            .into_iter()
            .filter_map(|(what, changed)| changed.then_some(what))
            .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(CliError::misused(format!("{} changed since run `{id}` began", changed.join(" and ")))
        .hint("start a new run, or resume with --allow-changed if the recorded results still hold"))
}

/// Prints what came of a run; the exit code follows from it.
fn finish(
    session: &Session,
    prepared: &Prepared,
    done: &RunReport,
    shown: &Shown,
    kept: bool,
) -> Result<Exit, CliError> {
    let printer = session.printer();
    let RunReport { status, journal_error, .. } = done;
    let images = prepared.image_files(session, &done.run, kept);
    if shown.json {
        let word = match status {
            RunStatus::Completed => "completed",
            RunStatus::Failed => "failed",
            RunStatus::Interrupted => "interrupted",
        };
        let report = with_python(report(&done.summary, word), &done.summary);
        printer.data(&images.shown(&report).to_json_pretty())?;
    } else if let Some(outputs) = &done.outputs {
        printer.data(&images.shown(&outputs.clone().into()).to_json_pretty())?;
    }
    show_end(session, prepared, done, kept);
    Ok(match status {
        _ if journal_error.is_some() => Exit::Failed,
        RunStatus::Completed => Exit::Done,
        RunStatus::Failed => Exit::Failed,
        RunStatus::Interrupted => Exit::Interrupted,
    })
}

/// What Python adds to a run's report: metrics over all lines, and what nodes printed.
fn with_python(report: Value, summary: &RunSummary) -> Value {
    let Some(mut report) = report.as_map().cloned() else { return report };
    if !summary.metrics.is_empty() {
        let metrics = summary.metrics.iter().map(|(key, value)| (Arc::from(key.as_str()), value.clone()));
        report.insert("metrics", metrics.collect::<Map>());
    }
    let mut logs = Map::new();
    for (path, node) in summary.nodes.iter().filter(|(_, node)| !node.said.is_empty()) {
        let of = |wanted: Stream| {
            let said = node.said.iter().filter(|(stream, _)| *stream == wanted).map(|(_, text)| text.as_str());
            Value::from(said.collect::<String>())
        };
        logs.insert(path.to_string(), Map::from([("stdout", of(Stream::Stdout)), ("stderr", of(Stream::Stderr))]));
    }
    if !logs.is_empty() {
        report.insert("logs", logs);
    }
    report.into()
}
