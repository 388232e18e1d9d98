//! `evaluation.yaml`: what is evaluated, on which data, by which evaluators, and what must be shown.
//!
//! The short form and the long one are one thing: [`EvaluationSpec::expanded`] spells the short form out, and what it
//! gives is read back as the same evaluation. A command line's `--gate 'f1 >= 0.8'` is read as such a file would be.

mod evaluators;
mod expand;
mod flags;
mod judges;
mod matrix;
mod options;
mod outputs;
mod reader;
mod scorers;
mod sections;

use std::sync::Arc;
use std::time::Duration;

use sluicegate_dataset::{MappingEntry, Where};
use sluicegate_flow::files::Files;
use sluicegate_gate::policy::{self, Known};
use sluicegate_gate::{Metric, Policy};
use sluicegate_source::yaml::{self, Document};
use sluicegate_source::{Problem, Severity, SourceFile, Span};

pub use matrix::{Cell, Matrix};

use crate::binding::{Available, BoundEvaluator};
use crate::evaluator::Evaluator;
use crate::results::ResultKeys;
use reader::Reader;

/// What an evaluation is.
#[derive(Clone, Debug)]
pub struct EvaluationSpec {
    /// The file that it is written in; for the command line, one called `--gate`.
    pub file: Arc<SourceFile>,
    /// The cases.
    pub data: DataSpec,
    /// What is evaluated.
    pub target: TargetSpec,
    /// By what, in the order of the file.
    pub evaluators: Vec<Arc<Evaluator>>,
    /// What must be shown.
    pub policy: Policy,
    /// What it may cost.
    pub budget: BudgetSpec,
    /// What is written at the end.
    pub report: ReportSpec,
    /// Whose keys the results have.
    pub result_keys: ResultKeys,
    /// The same evaluation in several settings of the target.
    pub matrix: Option<Matrix>,
    /// The lock file of the policy, from the project's root.
    pub lock: Option<Arc<str>>,
}

/// The cases of an evaluation.
#[derive(Clone, Debug, Default)]
pub struct DataSpec {
    /// The files, as written or from the project's root; empty for the config's `eval_data_path`.
    pub files: Vec<Arc<str>>,
    /// The columns that name a case; empty for all of them.
    pub key: Vec<Arc<str>>,
    /// The column whose equal values make cases that are not independent of one another.
    pub cluster: Option<Arc<str>>,
    /// Which rows are cases.
    pub only: Option<Arc<Where>>,
    /// The text of that expression.
    pub only_text: Option<Arc<str>>,
    /// Where it is written.
    pub place: Option<Span>,
}

/// What is evaluated.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// The flow, from the project's root; `None` for the one that the command names.
    pub flow: Option<Arc<str>>,
    /// How often each case is answered.
    pub repeats: u32,
    /// From what an order or a draw is made.
    pub seed: Option<u64>,
    /// Which column feeds which input of the flow.
    pub column_mapping: Vec<MappingEntry>,
    /// Where it is written.
    pub place: Option<Span>,
}

impl Default for TargetSpec {
    fn default() -> Self {
        Self { flow: None, repeats: 1, seed: None, column_mapping: Vec::new(), place: None }
    }
}

/// What an evaluation may cost. Nothing given is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetSpec {
    /// US dollars.
    pub usd: Option<f64>,
    /// Tokens of all calls.
    pub tokens: Option<u64>,
    /// Time of the whole, in one process.
    pub time: Option<Duration>,
    /// What it means that one of them is spent.
    pub exhausted: Exhausted,
    /// The share of money, tokens and time that is kept back from the target for its judges.
    pub reserve: f64,
}

/// What it means that a budget is spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exhausted {
    /// The evaluation is aborted (exit code 13).
    #[default]
    Aborted,
    /// It is judged with what there is, and comes to *inconclusive* where that is too thin.
    Inconclusive,
}

/// What is written at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportSpec {
    /// The summary of a CI step; `None` for where there is one.
    pub summary: Option<bool>,
    /// Whether a comment of the pull request is kept up to date; `None` for where the CI does that.
    pub comment: Option<bool>,
    /// How many annotations; `None` for the default.
    pub annotations: Option<u32>,
    /// Path of the JUnit file, from the project's root.
    pub junit: Option<Arc<str>>,
    /// Path of the SARIF file.
    pub sarif: Option<Arc<str>>,
    /// Path of the page.
    pub html: Option<Arc<str>>,
    /// Path of the Markdown file.
    pub markdown: Option<Arc<str>>,
}

/// What the reader of an evaluation knows.
pub struct ReadContext<'a> {
    /// The project's files, by paths from its root: prompts, schemas.
    pub files: &'a dyn Files,
    /// What an evaluation flow takes and gives, by its path from the project's root; `None` where it is not known.
    pub signature: &'a dyn Fn(&str) -> Option<FlowSignature>,
    /// The config environment; thresholds may differ by it.
    pub environment: Option<&'a str>,
    /// All config environments; empty if they are not known.
    pub environments: &'a [String],
    /// How many cases there are, if that is known already.
    pub cases: Option<u64>,
}

/// What a flow takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowSignature {
    /// Its inputs, and whether each must be given.
    pub inputs: Vec<(Arc<str>, bool)>,
    /// Its outputs.
    pub outputs: Vec<Arc<str>>,
    /// Hash of its plan, which becomes a part of the evaluator's.
    pub hash: Option<Arc<str>>,
}

/// An evaluation, and what one should know about it.
#[derive(Clone, Debug)]
pub struct SpecReading {
    /// The evaluation.
    pub spec: EvaluationSpec,
    /// Warnings.
    pub warnings: Vec<Problem>,
}

const KEYS: [&str; 14] = [
    "version",
    "data",
    "target",
    "evaluators",
    "gate",
    "baseline",
    "calibration",
    "sequential",
    "budget",
    "report",
    "result_keys",
    "matrix",
    "lock",
    "$schema",
];

impl EvaluationSpec {
    /// Reads a file. Its name is its path from the project's root, from which relative paths in it are followed.
    ///
    /// # Errors
    /// All problems, warnings among them, if one at least is an error.
    pub fn parse(file: &Arc<SourceFile>, context: &ReadContext<'_>) -> Result<SpecReading, Vec<Problem>> {
        Self::read(&yaml::read(file)?, context)
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// As [`EvaluationSpec::parse`].
    pub fn read(document: &Document, context: &ReadContext<'_>) -> Result<SpecReading, Vec<Problem>> {
        let file = &document.file;
        let mut reader = Reader { file, files: context.files, problems: Vec::new() };
        let root = &document.root;
        let mut spec = Self::empty(file);
        for entry in reader.entries(root, "the evaluation") {
            let value = &entry.value;
            match &*entry.key {
                "version" => sections::check_version(&mut reader, value),
                "data" => spec.data = sections::read_data(&mut reader, value),
                "target" => spec.target = sections::read_target(&mut reader, value),
                "budget" => spec.budget = sections::read_budget(&mut reader, value),
                "report" => spec.report = sections::read_report(&mut reader, value),
                "result_keys" => {
                    spec.result_keys = reader.word("result_keys", value, &ResultKeys::WORDS).unwrap_or_default();
                }
                "matrix" => spec.matrix = matrix::read_matrix(&mut reader, value),
                "lock" => spec.lock = reader.own_path("lock", value),
                key if KEYS.contains(&key) => {}
                _ => reader.unknown_key(entry, "an evaluation", &KEYS),
            }
        }
        let mut metrics = Vec::new();
        match root.get("evaluators") {
            Some(node) => evaluators::read_evaluators(&mut reader, context, node, &mut spec.evaluators, &mut metrics),
            None if root.as_map().is_some() || root.as_scalar().is_some_and(sluicegate_value::Value::is_null) => {
                let problem = Problem::error("evaluation::no_evaluators", "the evaluation has no evaluators");
                let help = "add `evaluators:`, as in `evaluators: { exact_match: {} }`";
                reader.problem(problem.help(help), Span::default());
            }
            None => {}
        }
        let known = known(context, &metrics);
        let mut problems = reader.problems;
        match policy::read(file, policy::Sections::of(root), known) {
            Ok(reading) => {
                spec.policy = reading.policy;
                problems.extend(reading.warnings);
            }
            Err(found) => problems.extend(found),
        }
        spec.finish(problems)
    }

    /// The metrics that its evaluators give. `model` says which deployment the judge of an evaluator asks; it is not
    /// asked for others.
    #[must_use]
    pub fn metrics(&self, model: &dyn Fn(&Evaluator) -> Option<String>) -> Vec<Metric> {
        self.evaluators
            .iter()
            .flat_map(|evaluator| {
                let model = if evaluator.is_judged() { model(evaluator) } else { None };
                evaluator.metrics(model.as_deref())
            })
            .collect()
    }

    /// Leads the inputs of all evaluators to columns and outputs; evaluators that read the scores of others come last.
    ///
    /// # Errors
    /// Each input that leads nowhere.
    pub fn bind(&self, available: &Available) -> Result<Vec<BoundEvaluator>, Vec<Problem>> {
        let mut bound = Vec::new();
        let mut problems = Vec::new();
        for evaluator in &self.evaluators {
            match BoundEvaluator::bind(evaluator, &self.file, available) {
                Ok(evaluator) => bound.push(evaluator),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        bound.sort_by_key(|bound| bound.evaluator.reads_scores());
        Ok(bound)
    }

    /// Hash of the hashes of all evaluators, whatever their names and order.
    #[must_use]
    pub fn evaluators_hash(&self) -> String {
        let mut hashes: Vec<String> = self.evaluators.iter().map(|evaluator| evaluator.hash()).collect();
        hashes.sort_unstable();
        sluicegate_value::hash::sha256_of_parts(hashes)
    }

    fn empty(file: &Arc<SourceFile>) -> Self {
        Self {
            file: file.clone(),
            data: DataSpec::default(),
            target: TargetSpec::default(),
            evaluators: Vec::new(),
            policy: Policy::default(),
            budget: BudgetSpec::default(),
            report: ReportSpec::default(),
            result_keys: ResultKeys::default(),
            matrix: None,
            lock: None,
        }
    }

    fn finish(self, mut problems: Vec<Problem>) -> Result<SpecReading, Vec<Problem>> {
        problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        Ok(SpecReading { spec: self, warnings: problems })
    }
}

fn known<'a>(context: &ReadContext<'a>, metrics: &'a [Metric]) -> Known<'a> {
    Known { metrics, cases: context.cases, environment: context.environment, environments: context.environments }
}
