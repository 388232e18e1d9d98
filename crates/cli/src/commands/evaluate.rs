//! `evaluate`: a flow over labelled data, scored, and judged by the rules of its evaluation file.

use sluicegate_evaluate::Work;
use sluicegate_evaluate::results::selections;
use sluicegate_evaluate::spec::Exhausted;
use sluicegate_events::RunId;
use sluicegate_gate::judge::{Facts, judge, unchanged};
use sluicegate_gate::{About, Costs, Evidence, Hashes, Receipt, Stopped};
use sluicegate_value::hash::sha256_of_parts;

use super::run::check_address;
use crate::batch::{Data, Manner, ProgressStyle, below};
use crate::error::CliError;
use crate::evaluating::{
    Baseline, Cases, Declaration, Earlier, Git, Measured, Measuring, Record, Rows, Seeker, Stage, Stages, Wanted,
    age_seconds, calibrations_of, changed, deployment, file_name, fingerprints, latencies, metric_lines, note_traces,
    results, stands_as_in, tell_cases, write_whole,
};
use crate::exit::Exit;
use crate::gating::{Reports, publish};
use crate::interrupt;
use crate::keepers::KeptArgs;
use crate::prepared::{Choices, Prepared};
use crate::session::Session;
use crate::terminal::harmless;

/// Score a flow's answers to labelled data, and judge them: passed, failed, or not enough evidence.
///
/// evaluation.yaml beside the flow says data, evaluators and rules; --gate adds rules, or stands alone. Scores are compared
/// with an earlier receipt's; where nothing has changed since, nothing is asked. All of it is kept under
/// .sluicegate/evaluations/ and goes on after Ctrl-C or kill -9 by --resume; the path of receipt.json goes to stdout.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 passed · 10 failed · 11 inconclusive · 12 invalid · 13 budget reached · 130 interrupted"
)]
pub(crate) struct EvaluateArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW", required_unless_present = "resume")]
    flow: Option<String>,

    /// Which section of the config applies, and which thresholds; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// A file of labelled rows; else `data` of the evaluation file, or `eval_data_path` of the config
    #[arg(long, short = 'd', value_name = "FILE")]
    data: Option<String>,

    /// A rule, such as 'f1 >= 0.8', 'p95 <= 2s', no_regression or strict: beside those of the evaluation file
    #[arg(long, value_name = "RULE")]
    gate: Vec<String>,

    /// Score only: no rules
    #[arg(long, conflicts_with = "gate")]
    no_gate: bool,

    /// Score an earlier batch, and run nothing of the flow
    #[arg(long, value_name = "RUN", conflicts_with_all = ["limit", "repeats"])]
    run: Option<String>,

    /// What to compare with: a receipt, an earlier evaluation or batch, or none; else what the evaluation file says
    #[arg(long, value_name = "RECEIPT|RUN|none")]
    baseline: Option<String>,

    /// Only the first N rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// How often each case is answered; else `target.repeats` of the evaluation file, or once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeats: Option<u32>,

    /// How many calls each connection has in flight at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,

    /// What all calls may cost, judges' too, in US dollars; else `budget.usd` of the evaluation file
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,

    #[command(flatten)]
    kept: KeptArgs,

    /// Go on with an evaluation as it began; without a name, with the latest
    #[arg(long, value_name = "EVALUATION", num_args = 0..=1, default_missing_value = "latest",
          conflicts_with_all = ["flow", "data", "gate", "no_gate", "run", "baseline", "limit", "repeats"])]
    resume: Option<String>,

    /// How progress is shown on stderr
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: ProgressStyle,

    /// The receipt as JSON, in place of its path
    #[arg(long)]
    json: bool,

    /// Send OpenTelemetry traces, to ENDPOINT or where the config and OTEL_* variables say (else http://localhost:4318)
    #[arg(long = "deploy_traces", value_name = "ENDPOINT", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    deploy_traces: Option<String>,

    #[command(flatten)]
    reports: Reports,
}

/// Evaluates a flow, or goes on with that.
pub(crate) fn evaluate(session: &Session, args: &EvaluateArgs) -> Result<Exit, CliError> {
    if let Some(most) = args.budget.filter(|most| !most.is_finite() || *most <= 0.0) {
        return Err(CliError::misused(format!("`--budget {most}` is no amount of dollars")));
    }
    check_address(args.deploy_traces.as_deref())?;
    let manner = Manner {
        concurrency: args.concurrency,
        budget: args.budget,
        kept: below(session.directory(), &args.kept),
        ..Manner::default()
    };
    let mut record = match &args.resume {
        Some(asked) => {
            let mut record = Record::find(&session.project(), asked)?;
            let then = record.wanted.manner.remembered();
            record.wanted.manner = manner.or_as(&then);
            record
        }
        None => {
            let absolute = |name: &String| session.directory().join(name).display().to_string();
            let wanted = Wanted {
                flow: args.flow.clone().unwrap_or_default(),
                environment: args.environment_name.clone(),
                data: args.data.as_ref().map(absolute),
                gate: args.gate.clone(),
                no_gate: args.no_gate,
                run: args.run.clone(),
                limit: args.limit,
                repeats: args.repeats,
                manner,
            };
            Record::new(&session.project(), wanted)
        }
    };
    // What was replayed asks nobody, and needs no keys.
    let session = &session.replaying(record.wanted.manner.kept.replay.is_some());
    let interrupted = Box::pin(interrupt::listen(session.printer().clone())?);
    let evaluation = Evaluation::prepare(session, args, &mut record)?;
    let done = evaluation.finish(&mut record, interrupted);
    evaluation.prepared.close();
    done
}

/// An evaluation that is ready to run.
struct Evaluation<'a> {
    session: &'a Session,
    args: &'a EvaluateArgs,
    declaration: Declaration,
    earlier: Option<Earlier>,
    choices: Choices,
    prepared: Prepared,
    cases: Cases,
    hashes: Hashes,
    baseline: Baseline,
}

/// What the flow's batches came to.
struct Answered {
    runs: Vec<RunId>,
    /// `None` if a price is not known.
    usd: Option<f64>,
    stopped: Option<Stopped>,
}

type Interrupted = std::pin::Pin<Box<dyn Future<Output = ()>>>;

impl<'a> Evaluation<'a> {
    fn prepare(session: &'a Session, args: &'a EvaluateArgs, record: &mut Record) -> Result<Self, CliError> {
        let wanted = &mut record.wanted;
        let flow = session.flow(&wanted.flow, wanted.environment.as_deref())?;
        // By a variable too: a resume is of the same environment.
        wanted.environment = flow.environment.environment_name().map(ToOwned::to_owned);
        if session.directory().join(&wanted.flow).exists() {
            wanted.flow = flow.path.display().to_string();
        }
        let earlier = wanted.run.as_deref().map(|run| Earlier::find(session, run)).transpose()?;
        let declaration = Declaration::read(session, flow, wanted, earlier.as_ref())?;
        let project = declaration.target.environment.project().clone();
        let filters: Vec<String> = declaration.asked.filter.iter().cloned().collect();
        let files = declaration.files();
        let limit = declaration.asked.limit;
        let cases = Cases::read(session, &declaration.spec, &project.root, &files, &filters, limit)?;
        if let Some(earlier) = earlier.as_ref().filter(|earlier| earlier.data_hash != cases.hash) {
            return Err(CliError::misused(format!("the data have changed since run `{}` read them", earlier.run))
                .hint("its answers would be held against other rows"));
        }
        let choices =
            Choices { max_in_flight: wanted.manner.concurrency.map(|limit| limit as usize), ..Choices::default() };
        let prepared = Prepared::new(session, declaration.target.clone(), &choices)?;
        let plan_hashes = earlier.as_ref().map_or_else(|| prepared.hashes(), |earlier| earlier.hashes.clone());
        let repeats = declaration.spec.target.repeats;
        let mut hashes = fingerprints(&declaration.spec, &declaration.target, &plan_hashes, &cases.hash, repeats);
        // Of the same file, other rows may be cases.
        if let (Some(data), true) = (&hashes.data, limit.is_some() || !filters.is_empty()) {
            let of_rows = cases.rows.iter().map(|row| row.key.to_string());
            hashes.data = Some(sha256_of_parts(std::iter::once(data.clone()).chain(of_rows)));
        }
        let parts = [&hashes.data, &hashes.plan, &hashes.evaluators, &hashes.judge, &hashes.policy];
        let fingerprint = sha256_of_parts(parts.map(|part| part.clone().unwrap_or_default()));
        if !record.fingerprint.is_empty() && record.fingerprint != fingerprint {
            prepared.close();
            return Err(changed(&record.id));
        }
        let seeker = Seeker {
            project: &project,
            policy: &declaration.spec.policy,
            flow: &declaration.target.name,
            environment: record.wanted.environment.as_deref(),
            hashes: &hashes,
        };
        let baseline = match record.fingerprint.is_empty() {
            true => Baseline::choose(session, &seeker, args.baseline.as_deref())?,
            false => Baseline::kept(session, &seeker, &record.baseline, &record.folder)?,
        };
        record.baseline = baseline.keep(&record.folder)?;
        record.fingerprint = fingerprint;
        record.save()?;
        Ok(Self { session, args, declaration, earlier, choices, prepared, cases, hashes, baseline })
    }

    /// Runs, scores, judges and tells.
    fn finish(&self, record: &mut Record, interrupted: Interrupted) -> Result<Exit, CliError> {
        let (session, policy) = (self.session, &self.declaration.spec.policy);
        let spec = &self.declaration.spec;
        let environment = &self.declaration.target.environment;
        let metrics = spec.metrics(&|evaluator| deployment(evaluator, environment));
        let calibrations = calibrations_of(session, spec, environment);
        let same = self
            .baseline
            .receipt
            .as_ref()
            .filter(|receipt| self.earlier.is_none() && stands_as_in(receipt, policy, &metrics, &calibrations));
        if let Some(mut receipt) = same.and_then(|receipt| unchanged(policy, receipt, &self.facts(record))) {
            receipt.about.costs = Costs::default();
            return self.publish(record, &receipt);
        }
        let mut stages = Stages {
            session,
            progress: self.args.progress,
            budget: record.wanted.manner.budget.or(self.declaration.spec.budget.usd),
            spent: 0.0,
            interrupted,
            deploy_traces: self.args.deploy_traces.as_deref(),
        };
        let store = session.store_of(self.declaration.target.environment.project())?.0;
        let available = self.declaration.available(&self.cases.columns, self.prepared.plan());
        let bound = spec.bind(&available)?;
        let Answered { runs, usd: target_usd, mut stopped } = self.target(&mut stages, record)?;
        if stopped == Some(Stopped::Interrupted) {
            return Ok(self.interrupted(record));
        }
        let measuring = Measuring {
            bound: &bound,
            target: &self.declaration.target.environment,
            cases: &self.cases,
            store: &store,
            prefix: "",
        };
        let mut measured = Measured::of_runs(&self.cases, &store, &runs)?;
        measuring.score(&mut measured, &mut stages, record)?;
        let baseline = match &self.baseline.run {
            Some(run) => {
                let run = Earlier::find(session, run)?;
                if run.data_hash != self.cases.hash {
                    return Err(CliError::misused(format!("run `{}` was over other data", run.run)));
                }
                let mut measured = Measured::of_runs(&self.cases, &store, std::slice::from_ref(&run.run))?;
                Measuring { prefix: "baseline-", ..measuring }.score(&mut measured, &mut stages, record)?;
                stopped = measured.stopped.or(stopped);
                Some(measured.arm(spec, &self.cases))
            }
            None => {
                let receipt = self.baseline.receipt.as_ref();
                receipt.and_then(|receipt| Some(receipt.evidence.as_ref()?.candidate.clone()))
            }
        };
        stopped = measured.stopped.or(stopped);
        if stopped == Some(Stopped::Interrupted) {
            return Ok(self.interrupted(record));
        }
        let scored = (&self.cases, &measured);
        tell_cases(session, &self.declaration.target, stages.deploy_traces, &record.id, &runs, scored)?;
        let arm = measured.arm(spec, &self.cases);
        let (results, summaries) = results(spec, &bound, &self.cases, &measured, &metrics, &arm);
        write_whole(&record.folder.join("evaluation_results.json"), &(results.to_json_pretty() + "\n"))?;
        let rows = self.cases.rows.iter().map(|row| (&row.key, &row.columns));
        let evidence = Evidence {
            metrics,
            candidate: arm,
            baseline,
            selections: selections(&policy.expressions(), rows)?,
            calibrations,
            stopped: stopped.filter(|_| spec.budget.exhausted == Exhausted::Aborted),
            ..Evidence::default()
        };
        let is_judged = spec.evaluators.iter().any(|evaluator| evaluator.work() != Work::Pure);
        let mut facts = self.facts(record);
        facts.about.run = runs.first().map(ToString::to_string);
        facts.about.latencies = latencies(&measured);
        facts.about.costs = Costs {
            target_usd,
            judge_usd: measured.judges_usd.filter(|_| is_judged),
            list_usd: target_usd.zip(measured.judges_usd).map(|(target, judges)| target + judges),
            cached: measured.items.iter().filter(|item| item.answer.run.cached).count() as u64,
            unpriced: measured.items.iter().filter(|item| item.answer.run.cost_usd.is_none()).count() as u64,
            budget_usd: stages.budget,
        };
        let mut receipt = judge(policy, &evidence, &facts);
        note_traces(&mut receipt, &self.cases, &measured);
        session.printer().say(&harmless(&metric_lines(&summaries)));
        if stopped == Some(Stopped::Budget) {
            session.printer().say(&format!("go on with: sluicegate evaluate --resume {} --budget USD", record.id));
        }
        self.publish(record, &receipt)
    }

    /// The batches of the flow, one for each repeat.
    fn target(&self, stages: &mut Stages<'_>, record: &mut Record) -> Result<Answered, CliError> {
        if let Some(earlier) = &self.earlier {
            return Ok(Answered { runs: vec![earlier.run.clone()], usd: Some(0.0), stopped: None });
        }
        if self.cases.rows.is_empty() {
            return Ok(Answered { runs: Vec::new(), usd: Some(0.0), stopped: None });
        }
        let asked = &self.declaration.asked;
        let data = Data::prepare(self.session, &self.prepared, asked, &record.folder.join("stdin"))?;
        let mut answered = Answered { runs: Vec::new(), usd: Some(0.0), stopped: None };
        for repeat in 0..self.declaration.spec.target.repeats.max(1) {
            let name = if repeat == 0 { "target".to_owned() } else { format!("target-{}", repeat + 1) };
            let manner = record.manner_of(repeat);
            let stage = Stage {
                run: RunId(format!("{}-{name}", record.id).into()),
                name,
                prepared: &self.prepared,
                choices: &self.choices,
                manner: &manner,
                rows: Rows::Mapped(&data, asked),
                reserve: self.declaration.spec.budget.reserve,
            };
            let ended = stage.run(stages, record)?;
            answered.usd = answered.usd.zip(ended.spent.cost).map(|(before, now)| before + now);
            answered.runs.push(stage.run);
            answered.stopped = ended.stopped;
            if ended.stopped.is_some() {
                break;
            }
        }
        Ok(answered)
    }

    fn facts(&self, record: &Record) -> Facts {
        let project = self.declaration.target.environment.project();
        let seed = self.hashes.data.as_deref().and_then(|hash| u64::from_str_radix(hash.get(..12)?, 16).ok());
        Facts {
            flow: self.declaration.target.name.clone(),
            environment: record.wanted.environment.clone(),
            hashes: self.hashes.clone(),
            baseline: self.baseline.info.clone(),
            about: About {
                at: Some(jiff::Timestamp::now().to_string()),
                commit: Git::at(&project.root).clean_commit(),
                engine: Some(env!("CARGO_PKG_VERSION").to_owned()),
                baseline_run: self.baseline.found_at.clone().or_else(|| self.baseline.run.clone()),
                baseline_age_seconds: self.baseline.receipt.as_ref().and_then(age_seconds),
                data_file: Some(self.cases.shown.clone()),
                evaluation_file: self.declaration.file.clone(),
                ..About::default()
            },
            seed: self.declaration.spec.target.seed.or(seed).unwrap_or_default(),
            resamples: None,
            look: None,
        }
    }

    /// Keeps the receipt, where later evaluations find it, and brings it to its readers.
    fn publish(&self, record: &mut Record, receipt: &Receipt) -> Result<Exit, CliError> {
        let (session, folder) = (self.session, record.folder.clone());
        let file = folder.join("receipt.json");
        write_whole(&file, &receipt.to_json())?;
        let project = self.declaration.target.environment.project();
        if let (Some(commit), false) = (&receipt.about.commit, receipt.decision.blocks) {
            let environment = record.wanted.environment.as_deref().unwrap_or("-");
            let flow = file_name(&receipt.decision.flow);
            let name = format!("{commit}.{flow}.{}.json", file_name(environment));
            write_whole(&project.state_folder().join("receipts").join(name), &receipt.to_json())?;
        }
        record.verdict = Some(receipt.decision.verdict.to_string());
        record.save()?;
        let reports = self.args.reports.clone().or(&self.declaration.spec.report, &project.root, &folder);
        let exit = publish(session, receipt, &reports, &folder)?;
        if self.args.json {
            session.printer().write_data(&receipt.to_json())?;
        } else {
            let shown = reports.receipt.map_or(file, |asked| session.directory().join(asked));
            session.printer().data(&shown.display().to_string())?;
        }
        Ok(exit)
    }

    fn interrupted(&self, record: &Record) -> Exit {
        self.session.printer().say(&format!("go on with: sluicegate evaluate --resume {}", record.id));
        Exit::Interrupted
    }
}
