//! The same evaluation in several settings of its flow: cell by cell an evaluation, then all of them in one table.
//!
//! ```text
//! matrix:, --variants, --connections ─► Grid ─► cell-1 … cell-n: each an evaluation in `cells/`, one after the other,
//!                                                 │              within one budget, gone on with as a whole
//!                                                 └─ receipts ─► matrix.json · the table · the verdict that counts
//! ```

use std::sync::Arc;

use indexmap::IndexMap;
use sluicegate_evaluate::results::summaries;
use sluicegate_evaluate::spec::{Cell, Matrix};
use sluicegate_flow::bind::NodeBinding;
use sluicegate_flow::compile::VariantChoice;
use sluicegate_flow::files::{DiskFiles, FileKind, Files as _};
use sluicegate_flow::plan::{Node, NodeKind, Plan};
use sluicegate_gate::judge::differences;
use sluicegate_gate::matrix::{self as table, CellMetric, MatrixCell, Pair};
use sluicegate_gate::{Arm, Latencies, Policy, Receipt, Verdict};
use sluicegate_model::ConnectionName;
use sluicegate_value::hash::sha256_of_parts;

use super::record::PARTS;
use super::{Declaration, Limits, Record, changed};
use crate::batch::node_flags;
use crate::error::CliError;
use crate::exit::{Exit, gravity};
use crate::gating::read_receipt;
use crate::prepared::Choices;
use crate::session::{Flow, Session};

/// What is different in one cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variation {
    /// Its settings, as people read them.
    pub(crate) name: String,
    settings: Cell,
    variant: Option<VariantChoice>,
    nodes: IndexMap<Arc<str>, NodeBinding>,
    /// Prompts in place of others.
    instead: Vec<(String, String)>,
}

/// The cells of an evaluation.
pub(crate) struct Grid {
    matrix: Matrix,
    cells: Vec<Variation>,
    flow: String,
    environment: Option<String>,
}

/// What came of a cell.
pub(crate) struct CellDone {
    pub(crate) exit: Exit,
    /// What is left for the cells after it; `None` if nothing was asked yet.
    pub(crate) limits: Option<Limits>,
}

/// What came of all cells.
pub(crate) struct GridDone {
    pub(crate) matrix: table::Matrix,
    /// The receipt of the cell whose verdict counts.
    pub(crate) receipt: Receipt,
    pub(crate) limits: Option<Limits>,
}

impl Variation {
    fn of(session: &Session, flow: &Flow, cell: &Cell) -> Result<Self, CliError> {
        let plain = |text: &str| {
            let inside = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            inside.unwrap_or(text).to_owned()
        };
        let names: Vec<String> = cell.iter().map(|(_, setting)| plain(setting)).collect();
        let mut variation = Self { name: names.join(" · "), settings: cell.clone(), ..Self::default() };
        for (axis, setting) in cell {
            if &**axis == "variants" {
                let choice = VariantChoice::parse(setting).ok_or_else(|| {
                    CliError::misused(format!("`{setting}` names no variant")).hint("write '${node.variant_id}'")
                })?;
                variation.variant = Some(choice);
            }
        }
        let plan = compiled(session, flow, variation.variant.as_ref())?;
        for (axis, setting) in cell {
            match &**axis {
                "connections" => variation.connect(&plan, setting)?,
                "deployments" => variation.deploy(&plan, setting)?,
                "prompts" => variation.prompt(flow, &plan, setting)?,
                _ => {}
            }
        }
        // Before anything is paid for: prompts that do not fit, connections that nobody knows.
        compiled(session, &variation.flow(flow.clone()), variation.variant.as_ref())?;
        for connection in variation.nodes.values().filter_map(|binding| binding.connection.as_ref()) {
            flow.environment.connection(&connection.0)?;
        }
        Ok(variation)
    }

    /// `NAME` for every node that asks a model, or `NODE.connection=NAME` (and `NODE.deployment_name=NAME`), several with
    /// blanks between them.
    fn connect(&mut self, plan: &Plan, setting: &str) -> Result<(), CliError> {
        if setting.contains('=') {
            let flags: Vec<String> = setting.split_whitespace().map(ToOwned::to_owned).collect();
            node_flags(&flags, &mut self.nodes).map_err(CliError::misused)?;
            let unknown = self.nodes.keys().find(|name| plan.find(name).is_none());
            return unknown.map_or(Ok(()), |name| Err(no_node(plan, name)));
        }
        for node in asking(plan)? {
            self.binding(node).connection = Some(ConnectionName::from(setting));
        }
        Ok(())
    }

    /// `NAME` for every node that asks a model, or `NODE=NAME`.
    fn deploy(&mut self, plan: &Plan, setting: &str) -> Result<(), CliError> {
        match setting.split_once('=') {
            Some((name, deployment)) => {
                let id = plan.find(name).ok_or_else(|| no_node(plan, name))?;
                self.binding(plan.node(id)).deployment_name = Some(deployment.into());
            }
            None => {
                for node in asking(plan)? {
                    self.binding(node).deployment_name = Some(setting.into());
                }
            }
        }
        Ok(())
    }

    /// `FILE` for the only node that has a prompt, or `NODE=FILE`.
    fn prompt(&mut self, flow: &Flow, plan: &Plan, setting: &str) -> Result<(), CliError> {
        let (node, file) = match setting.split_once('=') {
            Some((name, file)) => (plan.node(plan.find(name).ok_or_else(|| no_node(plan, name))?), file),
            None => match &asking(plan)?[..] {
                [only] => (*only, setting),
                _ => {
                    return Err(CliError::misused(format!("flow `{}` has several prompts", plan.name))
                        .hint(format!("say whose `{setting}` is: NODE={setting}")));
                }
            },
        };
        let own = prompt_of(node).ok_or_else(|| {
            CliError::misused(format!("node `{}` has no prompt to put `{file}` in its place", node.name))
        })?;
        let files = DiskFiles::new(&flow.environment.project().root);
        if files.kind(file) != FileKind::File {
            return Err(CliError::misused(format!("prompt `{file}` of the matrix does not exist"))
                .hint("write it from the project's root, or from the evaluation file"));
        }
        self.instead.push((own.to_owned(), file.to_owned()));
        Ok(())
    }

    fn binding(&mut self, node: &Node) -> &mut NodeBinding {
        self.nodes.entry(node.name.0.clone()).or_default()
    }

    /// The flow with its prompts.
    pub(crate) fn flow(&self, mut flow: Flow) -> Flow {
        flow.instead.clone_from(&self.instead);
        flow
    }

    /// The choices of its batches.
    pub(crate) fn choices(&self, others: Choices) -> Choices {
        Choices { variant: self.variant.clone(), nodes: self.nodes.clone(), ..others }
    }

    /// The flow's hash in this cell: connections and deployments are no part of a plan.
    pub(crate) fn hash(&self, plan: Option<String>) -> Option<String> {
        let settings = self.settings.iter().flat_map(|(axis, setting)| [axis.to_string(), setting.to_string()]);
        plan.map(|plan| sha256_of_parts(std::iter::once(plan).chain(settings)))
    }

    /// What the flow is called in this cell's receipt, so that it is compared with earlier ones of the same cell.
    pub(crate) fn label(&self, flow: &str) -> String {
        format!("{flow} [{}]", self.name)
    }
}

impl Grid {
    /// The cells of an evaluation, if it has a matrix. Every cell is checked before anything is asked.
    pub(crate) fn of(session: &Session, declaration: &Declaration, record: &Record) -> Result<Option<Self>, CliError> {
        let wanted = &record.wanted;
        if wanted.run.is_some() {
            return Ok(None);
        }
        let mut matrix = declaration.spec.matrix.clone();
        for (axis, settings) in [("variants", &wanted.variants), ("connections", &wanted.connections)] {
            if !settings.is_empty() {
                let settings = settings.iter().map(|setting| Arc::from(setting.trim())).collect();
                matrix = Some(matrix.unwrap_or_default().with_axis(axis, settings));
            }
        }
        let Some(matrix) = matrix else { return Ok(None) };
        let target = &declaration.target;
        let cells = matrix.cells();
        if cells.is_empty() {
            return Err(CliError::misused("the matrix has no combination: all of them are left out"));
        }
        let cells: Vec<Variation> =
            cells.iter().map(|cell| Variation::of(session, target, cell)).collect::<Result<_, _>>()?;
        let environment = wanted.environment.clone();
        Ok(Some(Self { matrix, cells, flow: target.name.clone(), environment }))
    }

    /// Evaluates cell by cell; `None` if it was interrupted. `one` evaluates a cell, given what those before it left, and
    /// leaves its receipt in the folder of its record.
    pub(crate) fn evaluate(
        &self,
        session: &Session,
        policy: &Policy,
        record: &mut Record,
        mut one: impl FnMut(&mut Record, &Variation, Option<Limits>) -> Result<CellDone, CliError>,
    ) -> Result<Option<GridDone>, CliError> {
        let fingerprint = sha256_of_parts(self.cells.iter().map(|cell| cell.name.as_str()));
        if !record.fingerprint.is_empty() && record.fingerprint != fingerprint {
            return Err(changed(&record.id));
        }
        record.fingerprint = fingerprint;
        record.save()?;
        let printer = session.printer();
        let mut measured: Vec<(MatrixCell, Arm, Receipt)> = Vec::new();
        let mut limits = None;
        for (at, cell) in self.cells.iter().enumerate() {
            let words = format!("cell {} of {}: {}", at + 1, self.cells.len(), cell.name);
            printer.say(&printer.painter().dim(&crate::terminal::harmless(&words)));
            let mut part = record.part(&format!("cell-{}", at + 1))?;
            let done = one(&mut part, cell, limits)?;
            if done.exit == Exit::Interrupted {
                return Ok(None);
            }
            limits = done.limits;
            let receipt = read_receipt(session, &part.folder)?;
            let place = format!("{PARTS}/cell-{}/receipt.json", at + 1);
            let arm = receipt.evidence.as_ref().map(|evidence| evidence.candidate.clone()).unwrap_or_default();
            let is_over = receipt.decision.verdict == Verdict::Aborted;
            measured.push((of_receipt(cell, &receipt, &arm, place), arm, receipt));
            if is_over {
                break;
            }
        }
        Ok(self.compared(policy, measured, limits))
    }

    fn compared(
        &self,
        policy: &Policy,
        measured: Vec<(MatrixCell, Arm, Receipt)>,
        limits: Option<Limits>,
    ) -> Option<GridDone> {
        let candidate_at = self.matrix.candidate_at();
        let decided_at = decided_at(candidate_at, &measured)?;
        let (cells, (arms, mut receipts)): (Vec<_>, (Vec<_>, Vec<_>)) =
            measured.into_iter().map(|(cell, arm, receipt)| (cell, (arm, receipt))).unzip();
        let receipt = receipts.swap_remove(decided_at);
        let reference_at = Some(self.matrix.reference_at()).filter(|at| *at < cells.len()).unwrap_or(0);
        let metrics = receipt.evidence.as_ref().map(|evidence| evidence.metrics.clone()).unwrap_or_default();
        let seed = receipt.decision.hashes.data.as_deref();
        let seed = seed.and_then(|hash| u64::from_str_radix(hash.get(..12)?, 16).ok()).unwrap_or_default();
        let reference = cells.get(reference_at)?.name.clone();
        let mut pairs: Vec<Pair> = Vec::new();
        for (at, (cell, arm)) in cells.iter().zip(&arms).enumerate() {
            if at != reference_at {
                pairs.push(Pair {
                    reference: reference.clone(),
                    other: cell.name.clone(),
                    differences: differences(&metrics, arms.get(reference_at)?, arm, policy.alpha, seed),
                });
            }
        }
        table::adjust(&mut pairs, policy.adjust, policy.alpha);
        let matrix = table::Matrix {
            schema: table::SCHEMA.to_owned(),
            version: table::VERSION,
            flow: self.flow.clone(),
            environment: self.environment.clone(),
            reference,
            candidate: candidate_at.and_then(|at| Some(self.cells.get(at)?.name.clone())),
            decided_by: cells.get(decided_at)?.name.clone(),
            alpha: policy.alpha,
            adjust: policy.adjust,
            not_measured: self.cells.iter().skip(cells.len()).map(|cell| cell.name.clone()).collect(),
            cells,
            pairs,
        };
        Some(GridDone { matrix, receipt, limits })
    }
}

/// Whose verdict counts: the named candidate's, else the gravest one. A cell that was not measured to its end counts over
/// what is less grave.
fn decided_at(candidate: Option<usize>, measured: &[(MatrixCell, Arm, Receipt)]) -> Option<usize> {
    let grave = |at: usize| {
        let cell = &measured[at].0;
        (gravity(cell.exit_code), cell.verdict != Verdict::Pass)
    };
    let candidate = candidate.filter(|at| *at < measured.len());
    let aborted = measured.iter().position(|(cell, ..)| cell.verdict == Verdict::Aborted);
    let counting: Vec<usize> = match candidate {
        Some(candidate) => [candidate].into_iter().chain(aborted).collect(),
        None => (0..measured.len()).collect(),
    };
    // The first of equals.
    counting.into_iter().rev().max_by_key(|at| grave(*at))
}

fn of_receipt(cell: &Variation, receipt: &Receipt, arm: &Arm, place: String) -> MatrixCell {
    let decision = &receipt.decision;
    let metrics = receipt.evidence.as_ref().map(|evidence| evidence.metrics.as_slice()).unwrap_or_default();
    let metrics = summaries(metrics, arm).into_iter().map(|summary| CellMetric {
        metric: summary.metric.name.clone(),
        n: summary.n,
        missing: summary.missing,
        mean: summary.mean,
        standard_error: summary.standard_error,
        lower: summary.interval.as_ref().map(|interval| interval.lower),
        upper: summary.interval.as_ref().map(|interval| interval.upper),
        confidence: summary.interval.as_ref().map(|interval| interval.confidence),
        method: summary.interval.as_ref().map(|interval| interval.method.to_string()).unwrap_or_default(),
    });
    let costs: Option<Vec<f64>> = arm.cases.iter().map(|case| case.cost_usd).collect();
    let costs = costs.filter(|costs| !costs.is_empty());
    MatrixCell {
        name: cell.name.clone(),
        settings: cell.settings.iter().map(|(axis, setting)| [axis.to_string(), setting.to_string()]).collect(),
        verdict: decision.verdict,
        exit_code: decision.exit_code,
        headline: decision.headline.clone(),
        unchanged: decision.unchanged,
        cases: decision.integrity.cases,
        metrics: metrics.collect(),
        costs: receipt.about.costs.clone(),
        usd_per_case: costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64),
        latencies: latencies_of(arm),
        receipt: place,
        decision_hash: receipt.decision_hash.clone(),
    }
}

/// From the cases, so that a cell in which nothing had changed has them too.
fn latencies_of(arm: &Arm) -> Latencies {
    let fresh = arm.cases.iter().filter(|case| !case.cached);
    let mut times: Vec<f64> = fresh.filter_map(|case| case.latency_ms).collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((share * times.len() as f64).ceil() as usize).saturating_sub(1)).copied();
    Latencies { p50_ms: at(0.5), p95_ms: at(0.95) }
}

fn compiled(session: &Session, flow: &Flow, variant: Option<&VariantChoice>) -> Result<Arc<Plan>, CliError> {
    if variant.is_some() && flow.is_prompty() {
        return Err(CliError::misused(format!("flow `{}` is a prompty, which has no variants", flow.name)));
    }
    let compiled = session.compile(flow, variant);
    compiled.plan.ok_or(CliError::Problems(compiled.problems))
}

/// The nodes that ask a chat model.
fn asking(plan: &Plan) -> Result<Vec<&Node>, CliError> {
    let asks = |node: &&Node| matches!(node.kind, NodeKind::Llm(_) | NodeKind::Prompty(_));
    let nodes: Vec<&Node> = plan.nodes.iter().filter(asks).collect();
    if nodes.is_empty() {
        return Err(CliError::misused(format!("flow `{}` has no node of its own that asks a model", plan.name)));
    }
    Ok(nodes)
}

fn prompt_of(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Llm(llm) => Some(llm.template.file().name()),
        NodeKind::Prompt(template) => Some(template.file().name()),
        NodeKind::Prompty(prompty) => Some(prompty.file.name()),
        _ => None,
    }
}

fn no_node(plan: &Plan, name: &str) -> CliError {
    let known: Vec<String> = plan.nodes.iter().map(|node| format!("`{}`", node.name)).collect();
    CliError::misused(format!("flow `{}` has no node `{name}`", plan.name)).hint(format!("it has {}", known.join(", ")))
}
