//! `verify`: a run of the original, once more: the same requests, the same outputs?
//!
//! ```text
//! run folder ──recorded──► lines, nodes, calls ──┐
//! flow ──prepare──► a plan for each line ────────┼──► executor, models = replay ──► compare ──► report
//! run folder's snapshot ──snapshot──► changes ───┘                                    └─ reasons
//! ```
//!
//! Absent on purpose: keys, sockets and the store. Nothing is sent to a model, nothing is kept. Python nodes run for real
//! (and may reach whatever their code reaches) unless `--recorded-python` says otherwise.

mod aggregation;
mod compare;
mod difference;
mod prepare;
mod python;
mod reasons;
mod recorded;
mod replay;
mod reply;
mod report;
mod request;
mod snapshot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_events::NodePath;
use sluicegate_executor::{Engine, Listeners, NewRun, NullJournal, Options, Redact, RunReport, Start};
use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::compile::VariantChoice;
use sluicegate_flow::files::FileError;
use sluicegate_flow::image::Images;
use sluicegate_flow::plan::{Node, Plan};
use sluicegate_model::Prices;
use sluicegate_value::Map;
use tokio::runtime::Runtime;

use crate::error::CliError;
use crate::exit::Exit;
use crate::inputs::read_inputs;
use crate::python_side::has_python;
use crate::session::{Flow, Session};
use compare::{Compared, Comparison, Found, LineResult, NodeResult, What};
use difference::differences;
use prepare::Preparation;
use python::Python;
use reasons::Reasons;
use recorded::{RecordedEnd, RecordedNode, RunFolder};
use replay::Replay;
use report::Report;
use snapshot::Changes;

/// Replay a run of prompt flow: are the requests and outputs the same here?
///
/// Reads a run folder of the original (~/.promptflow/.runs/NAME, or the .promptflow folder that `pf flow test` leaves),
/// answers each model call with the recorded reply, and compares request by request and node by node. Needs no key and no
/// promptflow, and asks no model. Python nodes run for real. Exit code 0: all the same; 1: something differs.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW")]
    flow: String,

    /// The run folder, or the name of a run below ~/.promptflow/.runs
    #[arg(long, value_name = "RUN_FOLDER")]
    against: String,

    /// Only this line, from 0
    #[arg(long, value_name = "N")]
    line: Option<u64>,

    /// Which section of the config says deployments; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// The variant that the run used: '${node.variant_id}'
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,

    /// What the class of a flex flow is made with: name=value pairs, or a file
    #[arg(long, num_args = 1.., value_name = "NAME=VALUE")]
    init: Vec<String>,

    /// Run no Python: what was recorded stands in for Python nodes
    #[arg(long)]
    recorded_python: bool,

    /// Everything in one JSON object
    #[arg(long)]
    json: bool,
}

/// Compares a flow with a recorded run of it.
pub(crate) fn verify(session: &Session, args: &VerifyArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let flow = session.flow(&args.flow, args.environment_name.as_deref())?;
    let run = find_run(session, &flow, &args.against)?;
    let variant = args.variant.as_deref().map(|text| {
        VariantChoice::parse(text).ok_or_else(|| {
            CliError::misused(format!("`--variant {text}` names no variant"))
                .hint("write --variant '${node.variant_id}'")
        })
    });
    let plan = session.plan(&flow, variant.transpose()?.as_ref())?;
    if args.recorded_python && plan.flex.is_some() {
        return Err(CliError::misused(format!("flow `{}` is nothing but Python", flow.name))
            .hint("leave out --recorded-python"));
    }
    let init = read_inputs(&args.init, session.directory())?.inputs;
    let python = (!args.recorded_python && has_python(&plan)).then(|| Python::new(session, &flow)).transpose()?;
    let preparation = Preparation::new(&flow.environment, plan, args.recorded_python, init)?;
    let changes = Changes::between(&run.path, &flow.path);
    let reasons = Reasons {
        changes: &changes,
        plan: preparation.plan(),
        prompty: flow.is_prompty().then_some(&*flow.path),
        deployment_by: deployment_by(&flow)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("the program cannot wait for anything").cause(error.to_string()))?;
    let verifying = Verifying {
        session,
        flow: &flow,
        run: &run,
        preparation: &preparation,
        reasons: &reasons,
        python: python.as_ref(),
        runtime: &runtime,
    };
    let report = verifying.report(args.line);
    if let Some(python) = &python {
        python.close(&runtime);
    }
    let report = report?;
    if !report.is_measured() {
        return Err(CliError::misused(format!("nothing of `{}` could be compared", args.against))
            .hint("the run has no lines that were recorded with their inputs and outputs"));
    }
    let redactor = flow.environment.redactor([]);
    let text = if args.json { report.to_value().to_json_pretty() } else { report.to_text() };
    printer.data(redactor.redact(&text).as_deref().unwrap_or(&text))?;
    Ok(if report.is_different() { Exit::Failed } else { Exit::Done })
}

/// The recorded run: a folder, or a name below the original's own folder of runs.
fn find_run(session: &Session, flow: &Flow, against: &str) -> Result<RunFolder, CliError> {
    let variable = |name: &str| flow.environment.variable(name).map(|found| PathBuf::from(found.value));
    let home = variable("PF_HOME_DIRECTORY")
        .or_else(|| Some(variable("HOME").or_else(|| variable("USERPROFILE"))?.join(".promptflow")));
    let by_name = home.filter(|_| !against.contains(['/', '\\'])).map(|home| home.join(".runs").join(against));
    let path = std::iter::once(session.directory().join(against)).chain(by_name).find(|path| path.exists());
    let path = path.ok_or_else(|| {
        CliError::misused(format!("there is no run folder `{against}`")).hint(
            "the original keeps them below ~/.promptflow/.runs (PF_HOME_DIRECTORY); `pf run show-details` names runs",
        )
    })?;
    let run = RunFolder::read(&path).ok_or_else(|| {
        CliError::misused(format!("`{against}` is no run folder of prompt flow"))
            .hint("one holds flow_artifacts/, node_artifacts/ and flow_outputs/, or a flow.detail.json")
    })?;
    if run.lines.is_empty() {
        let error = CliError::misused(format!("the run in `{against}` has no lines"));
        return Err(run.notes.iter().fold(error, |error, note| error.cause(note)));
    }
    Ok(run)
}

/// Who says which deployment is asked, if the config does.
fn deployment_by(flow: &Flow) -> Result<Option<String>, CliError> {
    let deployment = flow.environment.deployment_name().map_err(|problem| CliError::Problems(vec![problem]))?;
    Ok(deployment.map(|name| match flow.environment.environment_name() {
        Some(environment) => format!("`{name}` is the `deployment_name` of environment `{environment}`"),
        None => format!("`{name}` is the `deployment_name` of the flow's section in config/config.yaml"),
    }))
}

struct Verifying<'a> {
    session: &'a Session,
    flow: &'a Flow,
    run: &'a RunFolder,
    preparation: &'a Preparation<'a>,
    reasons: &'a Reasons<'a>,
    python: Option<&'a Python>,
    runtime: &'a Runtime,
}

impl Verifying<'_> {
    fn report(&self, only: Option<u64>) -> Result<Report, CliError> {
        if let Some(line) = only.filter(|line| !self.run.lines.contains_key(line)) {
            let known = self.run.lines.keys();
            let (first, last) = (known.clone().next().copied().unwrap_or(0), known.last().copied().unwrap_or(0));
            return Err(CliError::misused(format!("the run has no line {line}"))
                .hint(format!("its lines are {first} to {last}, counted from 0")));
        }
        let root = &self.flow.environment.project().root;
        let against = self.run.path.strip_prefix(root).unwrap_or(&self.run.path).display().to_string();
        let mut report = Report { flow: self.flow.name.clone(), against, ..Report::default() };
        let mut line_inputs = BTreeMap::new();
        let mut one_for_all: Option<BoundPlan> = None;
        for number in self.run.lines.keys().copied().filter(|number| only.is_none_or(|only| only == *number)) {
            let plan = match one_for_all.take() {
                Some(plan) => plan,
                None => self.loaded(self.preparation.for_line(self.run, number)?)?,
            };
            let inputs = self.inputs(plan.plan(), number);
            if let Ok(inputs) = &inputs {
                line_inputs.insert(number, inputs.clone());
            }
            report.lines.insert(number, self.line(&plan, number, inputs));
            one_for_all = Some(plan).filter(|_| self.preparation.is_one_for_all());
        }
        // One line tells nothing of what is computed over all.
        if only.is_none() {
            self.aggregation(&line_inputs, &mut report)?;
        }
        self.notes(&mut report);
        Ok(report)
    }

    /// The plan with its tools loaded.
    fn loaded(&self, plan: BoundPlan) -> Result<BoundPlan, CliError> {
        match self.python.filter(|_| has_python(plan.plan())) {
            Some(python) => python.load(self.session, self.runtime, &plan),
            None => Ok(plan),
        }
    }

    fn line(&self, plan: &BoundPlan, number: u64, inputs: Result<Map, Vec<String>>) -> LineResult {
        let Some(recorded) = self.run.lines.get(&number) else { return LineResult::default() };
        let calls = self.run.calls(number, &|node| is_aggregation(self.preparation.plan(), node));
        if recorded.end.is_none() && recorded.outputs.is_none() && calls.is_empty() {
            let notes = [format!("line {number} has no record but its inputs")].into();
            return LineResult { notes, ..LineResult::default() };
        }
        let inputs = match inputs {
            Ok(inputs) => inputs,
            Err(refused) => {
                let mut result = LineResult::default();
                if matches!(recorded.end, Some(RecordedEnd::Failed(_))) {
                    result.outputs = Compared::Same;
                    return result;
                }
                result.found.push(Found {
                    node: None,
                    what: What::Status,
                    path: String::new(),
                    recorded: Some("completed".into()),
                    ours: Some(format!("the inputs do not fit: {}", refused.join("; ")).into()),
                    reason: self.reasons.changes.of_node(""),
                });
                return result;
            }
        };
        let replay = Replay::of(calls.clone());
        let ours = self.run_once(plan, inputs, replay.clone());
        let asked = replay.asked();
        let comparison = Comparison {
            run: self.run,
            preparation: self.preparation,
            reasons: self.reasons,
            calls: &calls,
            asked: &asked,
        };
        comparison.line(number, recorded, &ours)
    }

    /// The inputs of a line with their types and defaults, or why they do not fit.
    fn inputs(&self, plan: &Plan, number: u64) -> Result<Map, Vec<String>> {
        let given = self.run.lines.get(&number).map(|line| line.inputs.clone()).unwrap_or_default();
        let own = if self.flow.path.is_dir() { Some(&*self.flow.path) } else { self.flow.path.parent() };
        let artifacts = self.run.path.join("flow_artifacts");
        let folders: Vec<&Path> = [Some(&*artifacts), Some(&*self.run.path), own].into_iter().flatten().collect();
        let read = |path: &str| read_image(path, &folders);
        let images = Images::new(plan.message_format, &read);
        plan.resolve_inputs_with(&given, &images).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    /// Compares the nodes that run once over all lines, each by itself: what goes in is what was recorded.
    fn aggregation(&self, line_inputs: &BTreeMap<u64, Map>, report: &mut Report) -> Result<(), CliError> {
        let plan = self.preparation.plan();
        let (mut metrics, mut all_ran) = (Map::new(), true);
        for node in plan.nodes.iter().filter(|node| node.aggregation) {
            let name = &node.name.0;
            let mut of_node = NodeResult {
                node: name.clone(),
                kind: node.kind.word(),
                requests: 0,
                same_requests: 0,
                output: Compared::Not,
            };
            let Some(recorded) = self.run.aggregation(name) else {
                report.notes.insert(format!("aggregation node `{name}` is not recorded"));
                all_ran = false;
                continue;
            };
            if self.preparation.is_stand_in(node) {
                report
                    .notes
                    .insert(format!("aggregation node `{name}` is Python, which is not run: it is not compared"));
                report.aggregation.nodes.push(of_node);
                all_ran = false;
                continue;
            }
            let inputs = match aggregation::inputs_of(node, plan, self.run, line_inputs) {
                Ok(inputs) => inputs,
                Err(why) => {
                    report.notes.insert(format!("aggregation node `{name}` is not compared: {why}"));
                    all_ran = false;
                    continue;
                }
            };
            let bound = self.loaded(self.preparation.for_aggregation(node, &inputs)?)?;
            let calls = self.run.calls_of_aggregation(name);
            let replay = Replay::of(calls.clone());
            let ours = self.run_once(&bound, Map::new(), replay.clone());
            for (key, value) in &ours.summary.metrics {
                metrics.insert(key.as_str(), value.clone());
            }
            let asked = replay.asked();
            let comparison = Comparison {
                run: self.run,
                preparation: self.preparation,
                reasons: self.reasons,
                calls: &calls,
                asked: &asked,
            };
            comparison.requests(Some(name), &mut of_node, &mut report.aggregation);
            of_node.output = self.aggregation_output(node, recorded, &ours, &mut report.aggregation);
            report.aggregation.nodes.push(of_node);
        }
        if all_ran {
            let found = differences(&self.run.metrics.clone().into(), &metrics.into());
            report.aggregation.found.extend(found.into_iter().map(|found| Found {
                node: None,
                what: What::Metric,
                path: found.path,
                recorded: found.recorded,
                ours: found.ours,
                reason: None,
            }));
        } else if !self.run.metrics.is_empty() {
            report.notes.insert("metrics.json is not compared".to_owned());
        }
        Ok(())
    }

    fn aggregation_output(
        &self,
        node: &Node,
        recorded: &RecordedNode,
        ours: &RunReport,
        result: &mut LineResult,
    ) -> Compared {
        let summary = ours.summary.nodes.get(&NodePath::default().child(&node.name));
        let node = &node.name.0;
        let now = summary.and_then(|summary| summary.output.clone());
        let found = match (&recorded.end, now) {
            (Some(RecordedEnd::Completed), Some(now)) => differences(&recorded.output, &now),
            (Some(RecordedEnd::Failed(_)), None) => Vec::new(),
            (_, now) => {
                let failure =
                    summary.and_then(|summary| summary.failure.as_ref()).map(|failure| failure.message.as_str());
                let ours =
                    if now.is_some() { "completed".into() } else { format!("failed: {}", failure.unwrap_or("")) };
                let then = match &recorded.end {
                    Some(RecordedEnd::Failed(message)) => format!("failed: {message}"),
                    _ => "completed".to_owned(),
                };
                let mut found = Found {
                    node: Some(node.clone()),
                    what: What::Status,
                    path: String::new(),
                    recorded: Some(then.into()),
                    ours: Some(ours.into()),
                    reason: None,
                };
                found.reason = self.reasons.of_end(&found, false);
                result.found.push(found);
                return Compared::Different;
            }
        };
        let compared = if found.is_empty() { Compared::Same } else { Compared::Different };
        for difference in found {
            let mut found = Found {
                node: Some(node.clone()),
                what: What::Output,
                path: difference.path,
                recorded: difference.recorded,
                ours: difference.ours,
                reason: None,
            };
            found.reason = self.reasons.of_end(&found, false);
            result.found.push(found);
        }
        compared
    }

    fn notes(&self, report: &mut Report) {
        report.notes.extend(self.run.notes.iter().cloned());
        let plan = self.preparation.plan();
        let python: Vec<String> = plan
            .nodes
            .iter()
            .filter(|node| !node.aggregation && self.preparation.is_stand_in(node))
            .map(|node| format!("`{}`", node.name))
            .collect();
        if !python.is_empty() {
            let nodes = python.join(", ");
            report.notes.insert(format!("Python is not run: what was recorded stands in for {nodes}"));
        }
        if !self.run.has_nodes() && plan.nodes.len() > 1 {
            report.notes.insert("the run has no records of nodes: only calls and outputs are compared".to_owned());
        }
        let changed = self.reasons.changes.files();
        if !changed.is_empty() && !report.is_different() {
            let files: Vec<String> = changed.iter().take(5).map(|file| format!("`{file}`")).collect();
            report.notes.insert(format!("changed since that run, to no effect: {}", files.join(", ")));
        }
    }

    /// Runs a plan to its end, answered by the recording.
    fn run_once(&self, plan: &BoundPlan, inputs: Map, replay: Replay) -> RunReport {
        let engine = Engine {
            kept: Default::default(),
            budget: None,
            journal: Arc::new(NullJournal),
            listeners: Listeners::default(),
            models: Arc::new(replay),
            prices: Prices::default(),
            python: self.python.map(|python| python.side().clone()),
            redact: Redact::default(),
            options: Options { sample: Arc::new(|_, _| false), ..Options::default() },
        };
        let start = Start::New(NewRun::of(inputs));
        self.runtime.block_on(sluicegate_executor::run(&engine, plan, start, std::future::pending()))
    }
}

fn is_aggregation(plan: &Plan, node: &str) -> bool {
    plan.find(node).is_some_and(|id| plan.node(id).aggregation)
}

/// The bytes of an image: by its name in the run folder, else by its path below the flow. Nothing else is read.
fn read_image(path: &str, folders: &[&Path]) -> Result<Arc<[u8]>, FileError> {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let found = folders.iter().find_map(|folder| {
        let inside = folder.canonicalize().ok()?;
        let place = [folder.join(path), folder.join(name)].into_iter().find(|place| place.is_file())?;
        place.canonicalize().ok().filter(|place| place.starts_with(inside))
    });
    let place = found.ok_or_else(|| FileError::Missing(path.to_owned()))?;
    std::fs::read(&place)
        .map(Into::into)
        .map_err(|error| FileError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}
