//! `gate`: a decision looked at, made again with other rules, or planned. No model is asked.

use std::path::{Path, PathBuf};

use sluicegate_evaluate::spec::ReportSpec;
use sluicegate_evaluate::{EvaluationSpec, ReadContext};
use sluicegate_flow::files::DiskFiles;
use sluicegate_gate::judge::judge as judged;
use sluicegate_gate::plan::{Basis, Can, Plan, RulePlan, plan as planned};
use sluicegate_gate::policy::{Known, Reading, Sections};
use sluicegate_gate::projection::explanation;
use sluicegate_gate::projection::terminal::defused;
use sluicegate_gate::replay::{Replay, Replayed, kept_facts, kept_policy, replay};
use sluicegate_gate::{Arm, BaselineInfo, BaselineKind, Metric, Policy, Receipt, RuleResult};
use sluicegate_source::{Problem, yaml};
use sluicegate_value::{Map, Value, json};

use crate::error::CliError;
use crate::evaluating::advice;
use crate::exit::Exit;
use crate::gating::{Declared, Reports, is_receipt, painted, policy_of, publish, read_evaluation, read_receipt};
use crate::session::Session;
use crate::terminal::{show_problems, table};

/// Decisions on evaluations: look at one, make one again with other rules, plan one. No model is asked.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum GateCommand {
    /// Tell how a decision came about, and make it again from what its receipt keeps
    ///
    /// Exit code 0: the receipt is what it says it is; 1: it was changed after it was written, or comes to another
    /// decision.
    Explain(ExplainArgs),
    /// Judge what a receipt keeps by other rules, or against another baseline
    ///
    /// Without --gate and --policy the receipt's own rules are kept. The new receipt goes to .sluicegate/out/judged/, and
    /// its path to stdout; the exit code is that of the new verdict.
    Judge(JudgeArgs),
    /// Tell what so many cases can prove: the worst score that passes, the drop that would be seen
    ///
    /// Of a flow, evaluation.yaml beside it says rules and data, and the spread of scores is assumed; of a receipt, rules
    /// and spread are those that were measured.
    Plan(PlanArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The receipt: its file, or the folder in which receipt.json lies
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// The receipt: its file, or the folder in which receipt.json lies
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,

    /// A rule, such as 'f1 >= 0.8', 'p95 <= 2s', no_regression or strict: in place of the receipt's rules, or beside
    /// those of --policy
    #[arg(long, value_name = "RULE")]
    gate: Vec<String>,

    /// The rules of this evaluation file (`gate`, `baseline`, `calibration`, `sequential`; `report` says which reports)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Compare with the candidate of this receipt
    #[arg(long, value_name = "RECEIPT")]
    baseline: Option<PathBuf>,

    /// The new receipt as JSON, in place of its path
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    reports: Reports,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// A flow with an evaluation.yaml, or a receipt
    #[arg(value_name = "FLOW|RECEIPT")]
    of: String,

    /// Which section of the config applies, and which thresholds; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// Rules beside those of the file, or in place of those of the receipt
    #[arg(long, value_name = "RULE")]
    gate: Vec<String>,

    /// Plan for so many cases, in place of those that there are
    #[arg(long, value_name = "N")]
    cases: Option<u64>,

    /// Plan for these data
    #[arg(long, short = 'd', value_name = "FILE")]
    data: Option<PathBuf>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Does what `gate` was asked.
pub(crate) fn gate(session: &Session, command: &GateCommand) -> Result<Exit, CliError> {
    match command {
        GateCommand::Explain(args) => explain(session, args),
        GateCommand::Judge(args) => judge(session, args),
        GateCommand::Plan(args) => plan(session, args),
    }
}

fn explain(session: &Session, args: &ExplainArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let receipt = read_receipt(session, &args.receipt)?;
    let replay = replay(&receipt);
    if args.json {
        printer.data(&explanation_value(&receipt, &replay).to_json_pretty())?;
    } else {
        printer.data(&painted(&explanation::render(&receipt, &replay), printer.plain_painter()))?;
    }
    Ok(if replay.holds() { Exit::Done } else { Exit::Failed })
}

fn explanation_value(receipt: &Receipt, replay: &Replay) -> Value {
    let (word, differences): (&str, &[String]) = match &replay.replayed {
        Replayed::Same { .. } => ("same", &[]),
        Replayed::Differs(differences) => ("differs", differences),
        Replayed::NotPossible(why) => ("not_possible", std::slice::from_ref(why)),
    };
    let whole = json::read(&receipt.to_json()).unwrap_or_default();
    let part = |name: &str| whole.as_map().and_then(|map| map.get(name)).cloned().unwrap_or_default();
    Map::from([
        ("decision_hash", Value::from(receipt.decision_hash.as_str())),
        ("computed_hash", replay.computed_hash.as_str().into()),
        ("hash_holds", replay.hash_holds.into()),
        ("replayed", word.into()),
        ("differences", differences.iter().map(|words| Value::from(words.as_str())).collect::<Vec<_>>().into()),
        ("decision", part("decision")),
        ("about", part("about")),
    ])
    .into()
}

fn judge(session: &Session, args: &JudgeArgs) -> Result<Exit, CliError> {
    let printer = session.printer();
    let receipt = read_receipt(session, &args.receipt)?;
    if receipt.computed_hash() != receipt.decision_hash {
        printer.warn("the receipt was changed after it was written; `sluicegate gate explain` says more");
    }
    let Some(mut evidence) = receipt.evidence.clone() else {
        return Err(CliError::misused("the receipt keeps no evidence, so that nothing can be judged again"));
    };
    let mut facts = kept_facts(&receipt);
    facts.about.engine = Some(env!("CARGO_PKG_VERSION").to_owned());
    if let Some(other) = &args.baseline {
        let (info, arm) = baseline_of(session, other, &receipt)?;
        facts.about.baseline_run = Some(other.display().to_string());
        facts.baseline = info;
        evidence.baseline = Some(arm);
    }
    let document = args.policy.as_deref().map(|path| read_evaluation(session, path)).transpose()?;
    let policy = match (&document, &args.gate[..]) {
        (None, []) => kept_policy(&receipt)?,
        (document, flags) => tell(session, rules_of(document.as_ref(), flags, &receipt, &evidence.metrics)?),
    };
    if let Some(unknown) = policy.expressions().into_iter().find(|known| !evidence.selections.contains_key(*known)) {
        printer.warn(&format!(
            "for which cases `{unknown}` holds was not recorded: rules with this `where` cannot be decided from a receipt"
        ));
    }
    let folder = session.project().state_folder().join("out").join("judged");
    let reports = match &document {
        // Only a whole evaluation says which reports it wants; a file of rules alone will do as well.
        Some(document) if document.root.get("report").is_some() => {
            let root = session.project().root;
            args.reports.clone().or(&report_of(document, &root, &receipt)?, &root, &folder)
        }
        _ => args.reports.clone(),
    };
    let again = judged(&policy, &evidence, &facts);
    let exit = publish(session, &again, &reports, &folder)?;
    if args.json {
        printer.write_data(&again.to_json())?;
    } else {
        let file = reports.receipt.map_or_else(|| folder.join("receipt.json"), |file| session.directory().join(file));
        printer.data(&file.display().to_string())?;
    }
    Ok(exit)
}

/// What another receipt measured, as the arm to compare with.
fn baseline_of(session: &Session, path: &Path, candidate: &Receipt) -> Result<(BaselineInfo, Arm), CliError> {
    let receipt = read_receipt(session, path)?;
    if receipt.computed_hash() != receipt.decision_hash {
        session.printer().warn("the baseline's receipt was changed after it was written");
    }
    let changed = receipt.decision.hashes.differences(&candidate.decision.hashes);
    let Some(evidence) = receipt.evidence else {
        return Err(CliError::misused(format!("`{}` keeps no evidence to compare with", path.display())));
    };
    let info = BaselineInfo {
        kind: BaselineKind::NamedReceipt,
        commit: receipt.about.commit,
        // Other rules are no obstacle: both arms are judged by the same ones now.
        changed: changed.into_iter().filter(|part| *part != "policy").map(str::to_owned).collect(),
        ..BaselineInfo::default()
    };
    Ok((info, evidence.candidate))
}

fn report_of(document: &yaml::Document, root: &Path, receipt: &Receipt) -> Result<ReportSpec, Vec<Problem>> {
    let context = ReadContext {
        files: &DiskFiles::new(root),
        signature: &|_| None,
        environment: receipt.decision.environment.as_deref(),
        environments: &[],
        cases: None,
    };
    EvaluationSpec::read(document, &context).map(|reading| reading.spec.report)
}

fn rules_of(
    document: Option<&yaml::Document>,
    flags: &[String],
    receipt: &Receipt,
    metrics: &[Metric],
) -> Result<Reading, Vec<Problem>> {
    let cases = Some(receipt.decision.integrity.cases);
    let known = Known { metrics, cases, environment: receipt.decision.environment.as_deref(), ..Known::default() };
    policy_of(document.map(|document| (&document.file, Sections::of(&document.root))), flags, known)
}

/// The policy; what is odd about it is said.
fn tell(session: &Session, reading: Reading) -> Policy {
    if !reading.warnings.is_empty() {
        session.printer().say(&show_problems(&reading.warnings, session.printer().colour()));
    }
    reading.policy
}

fn plan(session: &Session, args: &PlanArgs) -> Result<Exit, CliError> {
    let (title, plan) =
        if is_receipt(session, &args.of) { plan_of_receipt(session, args)? } else { plan_of_flow(session, args)? };
    let printer = session.printer();
    if args.json {
        printer.write_data(&plan.to_json())?;
    } else {
        printer.data(&shown(&title, &plan))?;
    }
    Ok(Exit::Done)
}

fn plan_of_receipt(session: &Session, args: &PlanArgs) -> Result<(String, Plan), CliError> {
    let receipt = read_receipt(session, Path::new(&args.of))?;
    let decision = &receipt.decision;
    let metrics = receipt.evidence.as_ref().map_or(&[][..], |evidence| &evidence.metrics);
    let policy = match &args.gate[..] {
        [] => kept_policy(&receipt)?,
        flags => tell(session, rules_of(None, flags, &receipt, metrics)?),
    };
    // By other rules, other things were measured: the evidence says them.
    let again = receipt.evidence.as_ref().filter(|_| !args.gate.is_empty());
    let again: Option<Vec<RuleResult>> =
        again.map(|evidence| judged(&policy, evidence, &kept_facts(&receipt)).decision.rules);
    let cases = args.cases.unwrap_or(decision.integrity.cases);
    let answers = receipt.evidence.as_ref().map_or(0, |evidence| evidence.candidate.cases.len() as u64);
    let repeats = answers.checked_div(decision.integrity.cases).unwrap_or(1).clamp(1, u64::from(u32::MAX));
    let basis = Basis {
        cases,
        repeats: repeats as u32,
        metrics,
        measured: again.as_deref().unwrap_or(&decision.rules),
        measured_cases: decision.integrity.cases,
    };
    Ok((decision.flow.clone(), planned(&policy, &basis)))
}

fn plan_of_flow(session: &Session, args: &PlanArgs) -> Result<(String, Plan), CliError> {
    let flow = session.flow(&args.of, args.environment_name.as_deref())?;
    let declared = Declared::of(session, &flow, &args.gate, args.data.as_deref(), args.cases)?;
    let counted = declared.data.as_ref().map_or(0, |(_, cases)| *cases);
    let basis = Basis {
        cases: args.cases.unwrap_or(counted),
        repeats: declared.spec.target.repeats,
        metrics: &declared.metrics,
        measured: &[],
        measured_cases: 0,
    };
    let title = match declared.data {
        Some((data, _)) => format!("{} over {data}", flow.name),
        None => flow.name.clone(),
    };
    let mut plan = planned(&declared.spec.policy, &basis);
    plan.notes.extend(advice(session, &flow, &declared.spec)?);
    Ok((title, plan))
}

/// A plan as people read it.
fn shown(title: &str, plan: &Plan) -> String {
    let repeats = if plan.repeats > 1 { format!(", {} repeats each", plan.repeats) } else { String::new() };
    let mut lines =
        vec![format!("plan of {title}: {} cases{repeats}; up to {} answers may fail", plan.cases, plan.errors_allowed)];
    if plan.rules.is_empty() {
        lines.push("there are no rules".to_owned());
    } else {
        let rows = plan.rules.iter().map(row).collect();
        lines.push(String::new());
        let header = ["", "RULE", "DEMANDS", "PASSES AT", "FAILS AT", "DROP SEEN", "CASES NEEDED"];
        lines.extend(table(&header, rows).lines().map(|line| format!("  {line}")));
        lines.push(String::new());
        lines.extend(plan.rules.iter().map(|rule| format!("  {} {}: {}", sign(rule.can), rule.id, rule.words)));
    }
    if !plan.notes.is_empty() {
        lines.push(String::new());
        lines.extend(plan.notes.iter().map(|note| format!("  note: {note}")));
    }
    // Names were written by strangers, where the receipt is one.
    let lines = lines.iter().map(|line| defused(&crate::terminal::harmless(&line.replace('\n', " "))));
    lines.collect::<Vec<_>>().join("\n")
}

fn row(rule: &RulePlan) -> Vec<String> {
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), short);
    let of_count = |score: Option<f64>, count: Option<u64>| match (score, count) {
        (Some(score), Some(count)) => format!("{} ({count} of {})", short(score), rule.cases),
        (None, Some(count)) => format!("{count} of {}", rule.cases),
        (score, None) => number(score),
    };
    let needed = match (rule.cases_needed, rule.repeats_needed) {
        (Some(cases), Some(repeats)) => format!("{cases}, or {repeats} repeats"),
        (Some(cases), None) => cases.to_string(),
        (None, Some(repeats)) => format!("{repeats} repeats"),
        (None, None) => "–".to_owned(),
    };
    vec![
        // No text of an author's at a line's beginning: a runner would take `::` there for a command.
        sign(rule.can).to_owned(),
        rule.id.clone(),
        rule.demands.clone(),
        of_count(rule.passes_at, rule.passes_with),
        of_count(rule.fails_at, rule.fails_with),
        number(rule.detectable),
        needed,
    ]
}

fn sign(can: Can) -> &'static str {
    match can {
        Can::Decide => "✓",
        Can::NotPass => "✗",
        Can::NotSee | Can::NeedsRepeats => "?",
        Can::Counted => "-",
    }
}

fn short(number: f64) -> String {
    let rounded = (number * 1e4).round() / 1e4;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}
