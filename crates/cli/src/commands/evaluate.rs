//! `evaluate`: a flow over labelled data, scored, and judged by the rules of its evaluation file.

use std::path::PathBuf;

use sluicegate_evaluate::BoundEvaluator;
use sluicegate_evaluate::results::selections;
use sluicegate_evaluate::spec::Exhausted;
use sluicegate_gate::judge::{Facts, judge, refused, to_confirm, unchanged};
use sluicegate_gate::{About, Costs, Ended, Evidence, Hashes, Receipt, Stopped, Verdict};
use sluicegate_store::Store;
use sluicegate_value::hash::sha256_of_parts;

use super::run::check_address;
use crate::batch::{Data, Manner, ProgressStyle, below};
use crate::error::CliError;
use crate::evaluating::{
    Affected, Arms, Baseline, BeforeSpending, Cases, CellDone, Declaration, Earlier, Fate, Git, Grid, Limits, Lock,
    Record, Round, Rounds, Seeker, Stages, Variation, Wanted, age_seconds, calibrations_of, changed, costs, deployment,
    file_name, fingerprints, latencies, metric_lines, note_traces, reasons, results, stands_as_in, tell_cases,
    write_whole,
};
use crate::exit::Exit;
use crate::gating::{Reports, publish, publish_matrix};
use crate::interrupt::Interruption;
use crate::keepers::KeptArgs;
use crate::prepared::{Choices, Prepared};
use crate::session::Session;
use crate::terminal::harmless;

/// Score a flow's answers to labelled data, and judge them: passed, failed, or not enough evidence.
///
/// evaluation.yaml beside the flow says data, evaluators and rules; --gate adds rules, or stands alone. Scores are compared
/// with an earlier receipt's; where nothing has changed since, nothing is asked. All of it is kept under
/// .sluicegate/evaluations/ and goes on after Ctrl-C or kill -9 by --resume; the path of receipt.json goes to stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 passed · 10 failed · 11 inconclusive · 12 invalid · 13 budget reached · 130 interrupted"
)]
pub(crate) struct EvaluateArgs {
    /// The flow: a name from flow_configs, a folder, a flow.dag.yaml or a .prompty file
    #[arg(value_name = "FLOW", required_unless_present_any = ["resume", "changed_since"])]
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

    /// Evaluate the flow in each of these variants, separated by commas, and compare: '${node.v1},${node.v2}'
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "run")]
    variants: Vec<String>,

    /// Evaluate the flow with each of these connections, separated by commas: NAME for all nodes, or NODE.connection=NAME
    #[arg(long, value_name = "LIST", value_delimiter = ',', conflicts_with = "run")]
    connections: Vec<String>,

    /// Evaluate the flows that a change touches: what they read differs from the merge base with REF
    #[arg(long, value_name = "REF", conflicts_with_all = ["resume", "run", "baseline"])]
    changed_since: Option<String>,

    /// With --changed-since: only say which flows that are
    #[arg(long, visible_alias = "dry-run", requires = "changed_since")]
    list: bool,

    /// Write the lock file anew that the evaluation file names; nothing is evaluated
    #[arg(long, conflicts_with_all = ["resume", "run", "no_gate"])]
    update_lock: bool,

    /// Go on with an evaluation as it began; without a name, with the latest
    #[arg(long, value_name = "EVALUATION", num_args = 0..=1, default_missing_value = "latest",
          conflicts_with_all = ["flow", "data", "gate", "no_gate", "run", "baseline", "limit", "repeats", "variants", "connections"])]
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
    let interruption = Interruption::listen(session.printer().clone())?;
    match &args.changed_since {
        Some(since) => evaluate_changed(session, args, since, &interruption),
        None => evaluate_one(session, args, &interruption),
    }
}

/// Evaluates the flows that a change touches; the gravest exit code is the command's.
fn evaluate_changed(
    session: &Session,
    args: &EvaluateArgs,
    since: &str,
    interruption: &Interruption,
) -> Result<Exit, CliError> {
    let affected = Affected::since(session, since, args.flow.as_deref(), args.environment_name.as_deref())?;
    let printer = session.printer();
    match &affected.all_because {
        Some(why) => printer.warn(&format!("{why}: all flows are taken")),
        None => {
            let files =
                if affected.changed == 1 { "1 file differs" } else { &format!("{} files differ", affected.changed) };
            printer.say(&harmless(&format!("{files} from the merge base with {since}")));
        }
    }
    for flow in &affected.flows {
        let words = match &flow.fate {
            Fate::Evaluated(why) => format!("  {}: evaluated, since {why}", flow.asked),
            Fate::Skipped(why) => format!("  {}: skipped, since {why}", flow.asked),
        };
        printer.say(&harmless(&words));
    }
    if !affected.without.is_empty() {
        printer.say(&harmless(&format!("  without an evaluation file: {}", affected.without.join(", "))));
    }
    if affected.chosen().next().is_none() {
        printer.say("no flow is evaluated: none that has an evaluation file reads what changed");
    }
    let mut worst = Exit::Done;
    for flow in affected.chosen() {
        if args.list {
            printer.data(&flow.asked)?;
            continue;
        }
        printer.say(&harmless(&format!("\n{}", flow.asked)));
        let one = EvaluateArgs {
            flow: Some(flow.asked.clone()),
            changed_since: None,
            reports: args.reports.clone().of_one(&file_name(&flow.asked)),
            ..args.clone()
        };
        let exit = evaluate_one(session, &one, interruption).unwrap_or_else(|error| {
            printer.error(&error);
            error.exit()
        });
        worst = worst.or_worse(exit);
        if exit == Exit::Interrupted {
            break;
        }
    }
    Ok(worst)
}

fn evaluate_one(session: &Session, args: &EvaluateArgs, interruption: &Interruption) -> Result<Exit, CliError> {
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
                variants: args.variants.clone(),
                connections: args.connections.clone(),
                manner,
            };
            Record::new(&session.project(), wanted)
        }
    };
    // What was replayed asks nobody, and needs no keys.
    let session = &session.replaying(record.wanted.manner.kept.replay.is_some() || args.update_lock);
    let (declaration, earlier) = declared(session, &mut record)?;
    if let Some(exit) = locked(session, args, &declaration, &mut record)? {
        return Ok(exit);
    }
    if let Some(grid) = Grid::of(session, &declaration, &record)? {
        return evaluate_grid(session, args, &declaration, &mut record, &grid, interruption);
    }
    let evaluation = Evaluation::prepare(session, args, &mut record, declaration, earlier, None)?;
    let done = evaluation.finish(&mut record, interruption.future());
    evaluation.prepared.close();
    done
}

/// What the evaluation is, and the batch that it scores, if there is one already.
fn declared(session: &Session, record: &mut Record) -> Result<(Declaration, Option<Earlier>), CliError> {
    let wanted = &mut record.wanted;
    let flow = session.flow(&wanted.flow, wanted.environment.as_deref())?;
    // By a variable too: a resume is of the same environment.
    wanted.environment = flow.environment.environment_name().map(ToOwned::to_owned);
    if session.directory().join(&wanted.flow).exists() {
        wanted.flow = flow.path.display().to_string();
    }
    let earlier = wanted.run.as_deref().map(|run| Earlier::find(session, run)).transpose()?;
    let declaration = Declaration::read(session, flow, wanted, earlier.as_ref())?;
    Ok((declaration, earlier))
}

/// How the command ends if that is the lock's to say: it was written anew, or speaks against the evaluation.
fn locked(
    session: &Session,
    args: &EvaluateArgs,
    declaration: &Declaration,
    record: &mut Record,
) -> Result<Option<Exit>, CliError> {
    if record.wanted.no_gate {
        return Ok(None);
    }
    let lock = Lock::of(session, declaration)?;
    if args.update_lock {
        let lock = lock.ok_or_else(|| {
            CliError::misused("the evaluation file names no lock file").hint("write `lock: eval.lock` into it")
        })?;
        session.printer().say(&harmless(&format!("{}; nothing was evaluated", lock.update()?)));
        session.printer().data(lock.shown())?;
        return Ok(Some(Exit::Done));
    }
    let Some(receipt) = lock.map(|lock| lock.objection()).transpose()?.flatten() else { return Ok(None) };
    let (exit, file) = tell(session, args, declaration, record, &receipt)?;
    match args.json {
        true => session.printer().write_data(&receipt.to_json())?,
        false => session.printer().data(&file.display().to_string())?,
    }
    Ok(Some(exit))
}

/// Evaluates each cell of a matrix, and compares them.
fn evaluate_grid(
    session: &Session,
    args: &EvaluateArgs,
    declaration: &Declaration,
    record: &mut Record,
    grid: &Grid,
    interruption: &Interruption,
) -> Result<Exit, CliError> {
    let one = |part: &mut Record, cell: &Variation, limits: Option<Limits>| {
        let evaluation = Evaluation::prepare(session, args, part, declaration.clone(), None, Some(cell.clone()))?;
        evaluation.limits.replace(limits);
        let exit = evaluation.finish(part, interruption.future());
        evaluation.prepared.close();
        Ok(CellDone { exit: exit?, limits: evaluation.limits.take() })
    };
    let id = record.id.clone();
    let Some(done) = grid.evaluate(session, &declaration.spec.policy, record, one)? else {
        session.printer().say(&format!("go on with: sluicegate evaluate --resume {id}"));
        return Ok(Exit::Interrupted);
    };
    if !done.matrix.not_measured.is_empty() || done.receipt.decision.verdict == Verdict::Aborted {
        let limits = done.limits.unwrap_or_else(|| Limits::new(&declaration.spec.budget, record.wanted.manner.budget));
        session.printer().say(&limits.to_go_on(&id));
    }
    let (exit, _) = tell(session, args, declaration, record, &done.receipt)?;
    let reports = args.reports.clone().or(&declaration.spec.report, &record.folder, &record.folder);
    let file = publish_matrix(session, &done.matrix, &reports, &record.folder)?;
    match args.json {
        true => session.printer().write_data(&done.matrix.to_json())?,
        false => session.printer().data(&file.display().to_string())?,
    }
    Ok(exit)
}

/// Keeps a receipt that stands for the whole, and brings it to its readers.
fn tell(
    session: &Session,
    args: &EvaluateArgs,
    declaration: &Declaration,
    record: &mut Record,
    receipt: &Receipt,
) -> Result<(Exit, PathBuf), CliError> {
    let (root, folder) = (&declaration.target.environment.project().root, record.folder.clone());
    let file = folder.join("receipt.json");
    write_whole(&file, &receipt.to_json())?;
    record.verdict = Some(receipt.decision.verdict.to_string());
    record.save()?;
    let reports = args.reports.clone().or(&declaration.spec.report, root, &folder);
    let exit = publish(session, receipt, &reports, &folder)?;
    Ok((exit, reports.receipt.map_or(file, |asked| session.directory().join(asked))))
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
    /// What is different, if it is a cell of a matrix.
    cell: Option<Variation>,
    /// What the cells before it left, and what it leaves.
    limits: std::cell::RefCell<Option<Limits>>,
}

/// What the flow is called in its receipt.
fn label(declaration: &Declaration, cell: Option<&Variation>) -> String {
    let name = &declaration.target.name;
    cell.map_or_else(|| name.clone(), |cell| cell.label(name))
}

type Interrupted = std::pin::Pin<Box<dyn Future<Output = ()>>>;

impl<'a> Evaluation<'a> {
    fn prepare(
        session: &'a Session,
        args: &'a EvaluateArgs,
        record: &mut Record,
        declaration: Declaration,
        earlier: Option<Earlier>,
        cell: Option<Variation>,
    ) -> Result<Self, CliError> {
        let wanted = &mut record.wanted;
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
        let (choices, target) = match &cell {
            Some(cell) => (cell.choices(choices), cell.flow(declaration.target.clone())),
            None => (choices, declaration.target.clone()),
        };
        let prepared = Prepared::new(session, target, &choices)?;
        let plan_hashes = earlier.as_ref().map_or_else(|| prepared.hashes(), |earlier| earlier.hashes.clone());
        let repeats = declaration.spec.target.repeats;
        let mut hashes = fingerprints(&declaration.spec, &declaration.target, &plan_hashes, &cases.hash, repeats);
        if let Some(cell) = &cell {
            hashes.plan = cell.hash(hashes.plan);
        }
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
            flow: &label(&declaration, cell.as_ref()),
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
        let limits = std::cell::RefCell::default();
        Ok(Self { session, args, declaration, earlier, choices, prepared, cases, hashes, baseline, cell, limits })
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
        let limits = self.limits.borrow().clone();
        let mut stages = Stages {
            session,
            progress: self.args.progress,
            limits: limits.unwrap_or_else(|| Limits::new(&spec.budget, record.wanted.manner.budget)),
            interrupted,
            deploy_traces: self.args.deploy_traces.as_deref(),
        };
        if let Some(receipt) = self.before_spending(record, &stages.limits) {
            return self.publish(record, &receipt);
        }
        let store = session.store_of(environment.project())?.0;
        let available = self.declaration.available(&self.cases.columns, self.prepared.plan());
        let bound = spec.bind(&available)?;
        let rows = self.cases.rows.iter().map(|row| (&row.key, &row.columns));
        let mut evidence = Evidence {
            metrics,
            selections: selections(&policy.expressions(), rows)?,
            calibrations,
            ..Evidence::default()
        };
        let all = Round::all(policy, &self.cases, &evidence.selections, self.seed());
        let rounds = self.rounds(record, &bound, &store)?;
        let mut arms = Arms::new();
        let mut receipt = None;
        for round in &all {
            rounds.measure(&mut arms, round, &mut stages, record)?;
            if arms.stopped.is_none() && self.baseline.is_comparable(policy) {
                let wanted = |arms: &Arms| to_confirm(policy, &self.evidence(&evidence, arms, round));
                rounds.confirm(&mut arms, round, &wanted, &mut stages, record)?;
            }
            if arms.stopped == Some(Stopped::Interrupted) {
                return Ok(self.interrupted(record));
            }
            evidence = self.evidence(&evidence, &arms, round);
            let mut facts = self.facts_of(record, &arms, round);
            facts.about.costs.budget_usd = stages.limits.usd;
            let mut judged = judge(policy, &evidence, &facts);
            if let Some(ended) = round.ended(&judged, arms.stopped) {
                facts.rounds.ended = Some(ended);
                let is_early = matches!(ended, Ended::Success | Ended::Decided | Ended::Futility);
                evidence.stopped = evidence.stopped.or(is_early.then_some(Stopped::Decided));
                judged = judge(policy, &evidence, &facts);
                receipt = Some(judged);
                break;
            }
            receipt = Some(judged);
        }
        self.limits.replace(Some(stages.limits.clone()));
        let Some(mut receipt) = receipt else { return Err(CliError::failed("there was no round")) };
        note_traces(&mut receipt, &self.cases, &arms.candidate);
        let scored = (&self.cases, &arms.candidate);
        tell_cases(session, &self.declaration.target, stages.deploy_traces, &record.id, scored)?;
        let planned = arms.candidate.planned(spec, &self.cases);
        let (results, summaries) = results(spec, &bound, &self.cases, &arms.candidate, &evidence.metrics, &planned);
        // Columns come from the data as they are, and may hold what a secret is elsewhere.
        let results = results.map_strings(&mut |text| (self.prepared.masks.redact().rewrite)(text)).unwrap_or(results);
        write_whole(&record.folder.join("evaluation_results.json"), &(results.to_json_pretty() + "\n"))?;
        if self.cell.is_none() {
            session.printer().say(&harmless(&metric_lines(&summaries)));
            let reasons = reasons(&evidence.candidate);
            if !reasons.is_empty() {
                session.printer().say(&harmless(&reasons));
            }
        }
        if arms.stopped == Some(Stopped::Budget) && self.cell.is_none() {
            session.printer().say(&stages.limits.to_go_on(&record.id));
        }
        self.publish(record, &receipt)
    }

    /// Says what the evaluation can see and about what it costs; the receipt of a refusal, if a rule requires more.
    fn before_spending(&self, record: &Record, limits: &Limits) -> Option<Receipt> {
        // What goes on has begun, and it was said then.
        if !record.stages.is_empty() || self.earlier.is_some() {
            return None;
        }
        let spec = &self.declaration.spec;
        let cases = self.cases.rows.len() as u64;
        let before = BeforeSpending::of(spec, &self.baseline, cases, spec.target.repeats);
        // Of a matrix once: its cells have the same cases.
        if self.limits.borrow().is_none() {
            before.tell(self.session.printer(), limits);
        }
        before.refusal().map(|why| refused(&spec.policy, &why, &self.facts(record)))
    }

    /// What measures, its data looked through.
    fn rounds<'r>(
        &'r self,
        record: &Record,
        bound: &'r [BoundEvaluator],
        store: &'r Store,
    ) -> Result<Rounds<'r>, CliError> {
        let asked = &self.declaration.asked;
        let lines = match self.earlier.is_some() || self.cases.rows.is_empty() {
            true => None,
            false => Some((Data::prepare(self.session, &self.prepared, asked, &record.folder.join("stdin"))?, asked)),
        };
        let baseline = self.baseline.run.as_deref().map(|run| Earlier::find(self.session, run)).transpose()?;
        if let Some(run) = baseline.as_ref().filter(|run| run.data_hash != self.cases.hash) {
            return Err(CliError::misused(format!("run `{}` was over other data", run.run)));
        }
        Ok(Rounds {
            prepared: &self.prepared,
            choices: &self.choices,
            spec: &self.declaration.spec,
            bound,
            target: &self.declaration.target.environment,
            cases: &self.cases,
            store,
            lines,
            earlier: self.earlier.as_ref(),
            baseline,
        })
    }

    /// What is measured so far.
    fn evidence(&self, known: &Evidence, arms: &Arms, round: &Round) -> Evidence {
        let spec = &self.declaration.spec;
        let of_receipt = || Some(self.baseline.receipt.as_ref()?.evidence.as_ref()?.candidate.clone());
        Evidence {
            candidate: arms.candidate.arm(spec, &self.cases),
            baseline: arms.baseline.as_ref().map(|arm| arm.arm(spec, &self.cases)).or_else(of_receipt),
            ahead: round.ahead.clone(),
            stopped: arms.stopped.filter(|_| spec.budget.exhausted == Exhausted::Aborted),
            ..known.clone()
        }
    }

    /// The facts of an evaluation that is measured as far as this round.
    fn facts_of(&self, record: &Record, arms: &Arms, round: &Round) -> Facts {
        let measured = &arms.candidate;
        let mut facts = self.facts(record);
        facts.look = round.look;
        facts.rounds = arms.rounds(self.cases.rows.len() as u64, round.look.map(|_| facts.seed));
        facts.about.run = arms.runs.first().map(ToString::to_string);
        facts.about.latencies = latencies(measured);
        facts.about.costs = costs(&self.declaration.spec, arms);
        facts.about.served_models = measured.served();
        let before = match (&arms.baseline, &self.baseline.receipt) {
            (Some(measured), _) => measured.served(),
            (None, Some(receipt)) => receipt.about.served_models.clone(),
            (None, None) => None,
        };
        let policy = &self.declaration.spec.policy.baseline;
        facts.baseline.served(before.as_deref(), facts.about.served_models.as_deref(), &policy.compatible_on);
        facts
    }

    fn seed(&self) -> u64 {
        let seed = self.hashes.data.as_deref().and_then(|hash| u64::from_str_radix(hash.get(..12)?, 16).ok());
        self.declaration.spec.target.seed.or(seed).unwrap_or_default()
    }

    fn facts(&self, record: &Record) -> Facts {
        let project = self.declaration.target.environment.project();
        Facts {
            flow: label(&self.declaration, self.cell.as_ref()),
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
            seed: self.seed(),
            ..Facts::default()
        }
    }

    /// Keeps the receipt, where later evaluations find it, and brings it to its readers.
    fn publish(&self, record: &mut Record, receipt: &Receipt) -> Result<Exit, CliError> {
        let (session, folder) = (self.session, record.folder.clone());
        let file = folder.join("receipt.json");
        write_whole(&file, &receipt.to_json())?;
        let project = self.declaration.target.environment.project();
        // What is of some of the cases, of other data or other rules than the file's is no measure for others.
        let Wanted { data, gate, no_gate, limit, .. } = &record.wanted;
        let is_whole = data.is_none() && gate.is_empty() && !no_gate && limit.is_none();
        let is_cut_off = receipt.decision.rounds.ended == Some(Ended::Budget);
        let keeps = is_whole && !is_cut_off && !receipt.decision.blocks;
        if let (Some(commit), true) = (&receipt.about.commit, keeps) {
            let environment = record.wanted.environment.as_deref().unwrap_or("-");
            let flow = file_name(&receipt.decision.flow);
            let name = format!("{commit}.{flow}.{}.json", file_name(environment));
            write_whole(&project.state_folder().join("receipts").join(name), &receipt.to_json())?;
        }
        record.verdict = Some(receipt.decision.verdict.to_string());
        record.save()?;
        if self.cell.is_some() {
            return Ok(Exit::Done);
        }
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
        if self.cell.is_none() {
            self.session.printer().say(&format!("go on with: sluicegate evaluate --resume {}", record.id));
        }
        Exit::Interrupted
    }
}
