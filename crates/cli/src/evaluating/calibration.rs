//! Records of calibrations, as a project keeps them: `calibration/JUDGE.ENVIRONMENT.json`, to be committed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sluicegate_config::{Environment, Project};
use sluicegate_evaluate::EvaluationSpec;
use sluicegate_gate::policy::{CalibrationLimits, Policy, Uncalibrated};
use sluicegate_gate::{Calibration, Metric, MetricName, Receipt};
use sluicegate_value::{Map, Value, json};

use super::record::write_whole;
use super::{deployment, file_name};
use crate::error::CliError;
use crate::session::{Flow, Session};

/// The format's name, by which a file is known to be a record.
const SCHEMA: &str = "sluicegate.calibration";

/// A record with all that people want to know of it.
pub(crate) struct KeptCalibration {
    /// The evaluator's name.
    pub(crate) judge: String,
    pub(crate) environment: Option<String>,
    /// The deployment that was asked, where it is not the prompt's own.
    pub(crate) model: Option<String>,
    /// The prompt, as it lies in the project.
    pub(crate) prompt: String,
    /// The file of labels, its hash, and the column of labels.
    pub(crate) labels: (String, String, String),
    /// How often each was read.
    pub(crate) draws: u32,
    pub(crate) at: Timestamp,
    pub(crate) calibration: Calibration,
}

impl KeptCalibration {
    /// Where it is kept: a file for each judge and environment, since each may ask another model.
    pub(crate) fn file(&self, project: &Project) -> PathBuf {
        let name = match &self.environment {
            Some(environment) => format!("{}.{}.json", file_name(&self.judge), file_name(environment)),
            None => format!("{}.json", file_name(&self.judge)),
        };
        folder(project).join(name)
    }

    /// As it is written.
    pub(crate) fn to_map(&self) -> Map {
        let numbers = serde_json::to_string(&self.calibration).ok().and_then(|text| json::read(&text).ok());
        let mut numbers = numbers.as_ref().and_then(Value::as_map).cloned().unwrap_or_default();
        // Told by the date, whenever it is read.
        numbers.remove("age_days");
        let (file, hash, column) = &self.labels;
        let text = |text: &str| Value::from(text);
        Map::from([
            ("schema", text(SCHEMA)),
            ("version", vec![Value::from(1_i64), Value::from(0_i64)].into()),
            ("judge", text(&self.judge)),
            ("environment", self.environment.as_deref().into()),
            ("model", self.model.as_deref().into()),
            ("prompt", text(&self.prompt)),
            ("labels", Map::from([("file", text(file)), ("hash", text(hash)), ("column", text(column))]).into()),
            ("draws", u64::from(self.draws).into()),
            ("at", text(&self.at.to_string())),
            ("engine", text(env!("CARGO_PKG_VERSION"))),
            ("calibration", numbers.into()),
        ])
    }

    /// Writes it.
    pub(crate) fn write(&self, file: &Path) -> Result<(), CliError> {
        write_whole(file, &(Value::from(self.to_map()).to_json_pretty() + "\n"))
    }
}

/// A record, as an evaluation looks for it.
struct Found {
    judge: String,
    at: Timestamp,
    calibration: Calibration,
}

fn folder(project: &Project) -> PathBuf {
    project.root.join("calibration")
}

/// What is known of the judges of an evaluation: for each metric the newest record of its judge, model and prompt being the
/// same; else the newest of a judge of that name, which a gate will not take, but can speak of.
pub(crate) fn calibrations_of(
    session: &Session,
    spec: &EvaluationSpec,
    target: &Environment,
) -> BTreeMap<MetricName, Calibration> {
    let mut known = BTreeMap::new();
    if !spec.evaluators.iter().any(|evaluator| evaluator.is_judged()) {
        return known;
    }
    let found = read_all(session, target.project());
    for evaluator in spec.evaluators.iter().filter(|evaluator| evaluator.is_judged()) {
        let hash = evaluator.judge_hash(deployment(evaluator, target).as_deref());
        let fitting = found.iter().find(|found| found.calibration.judge_hash == hash);
        let Some(record) = fitting.or_else(|| found.iter().find(|found| *found.judge == *evaluator.name)) else {
            continue;
        };
        let age = Timestamp::now().duration_since(record.at).as_secs_f64().max(0.0) / 86_400.0;
        let calibration = Calibration { age_days: Some(age), ..record.calibration.clone() };
        for metric in evaluator.metrics(None) {
            known.insert(metric.name, calibration.clone());
        }
    }
    known
}

/// All records of a project, the newest first. What is none is told.
fn read_all(session: &Session, project: &Project) -> Vec<Found> {
    let entries = std::fs::read_dir(folder(project)).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let mut found: Vec<Found> = files
        .iter()
        .filter_map(|file| match read(file) {
            Ok(found) => Some(found),
            Err(why) => {
                session.printer().warn(&format!("`{}` is no calibration record: {why}", project.display_name(file)));
                None
            }
        })
        .collect();
    found.sort_by_key(|found| std::cmp::Reverse(found.at));
    found
}

fn read(file: &Path) -> Result<Found, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut whole: serde_json::Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if whole["schema"] != SCHEMA {
        return Err(format!("its `schema` is not `{SCHEMA}`"));
    }
    if whole["version"][0].as_u64() != Some(1) {
        return Err("it is of another version".to_owned());
    }
    let at: Timestamp = whole["at"].as_str().and_then(|at| at.parse().ok()).ok_or("it has no date")?;
    let judge = whole["judge"].as_str().unwrap_or_default().to_owned();
    let mut numbers = whole["calibration"].take();
    if let Some(map) = numbers.as_object_mut() {
        map.insert("age_days".to_owned(), serde_json::Value::Null);
    }
    let calibration: Calibration = serde_json::from_value(numbers).map_err(|error| error.to_string())?;
    // Nothing shows that people gave these labels; what cannot be at all is told.
    let cannot_be = |number: f64| !(-1.0..=1.0).contains(&number);
    let (kappa, lower) = (calibration.kappa, calibration.kappa_lower);
    if [kappa, lower].into_iter().flatten().any(cannot_be)
        || kappa.zip(lower).is_some_and(|(kappa, lower)| lower > kappa)
    {
        return Err("its agreement cannot be: `kappa_lower` and `kappa` are from -1 to 1, and in this order".to_owned());
    }
    if at.duration_since(Timestamp::now()) > jiff::SignedDuration::from_hours(24) {
        return Err("it is of the future".to_owned());
    }
    Ok(Found { judge, at, calibration })
}

/// What holds for the flow that an evaluation is of: that which its file names, else the one beside the file.
pub(crate) fn environment_of(session: &Session, flow: &Flow, spec: &EvaluationSpec) -> Result<Environment, CliError> {
    let Some(path) = &spec.target.flow else { return Ok(flow.environment.clone()) };
    let path = flow.environment.project().resolve(path).display().to_string();
    Ok(session.flow(&path, flow.environment.environment_name())?.environment)
}

/// For each rule's judge that may only advise, a sentence.
pub(crate) fn advice(session: &Session, flow: &Flow, spec: &EvaluationSpec) -> Result<Vec<String>, CliError> {
    let environment = environment_of(session, flow, spec)?;
    let metrics = spec.metrics(&|evaluator| deployment(evaluator, &environment));
    let known = calibrations_of(session, spec, &environment);
    let standing = standing(&spec.policy, &metrics, &known).into_iter().filter(|(_, against)| !against.is_empty());
    let default = CalibrationLimits::default();
    let sentences = standing.filter_map(|(metric, against)| {
        let against = against.join(", ");
        match spec.policy.calibration.get(&metric).unwrap_or(&default).otherwise {
            Uncalibrated::Block => None,
            Uncalibrated::Advisory => {
                Some(format!("rules on `{metric}` give advice only, and block nothing: {against}"))
            }
            Uncalibrated::Invalid => Some(format!("rules on `{metric}` make the evaluation invalid: {against}")),
        }
    });
    Ok(sentences.collect())
}

/// What speaks against the judges of metrics on which there are rules, by metric; a judge against which nothing speaks is
/// there with an empty list.
fn standing(
    policy: &Policy,
    metrics: &[Metric],
    known: &BTreeMap<MetricName, Calibration>,
) -> BTreeMap<MetricName, Vec<String>> {
    let default = CalibrationLimits::default();
    let has_rule = |metric: &&Metric| policy.rules.iter().any(|rule| rule.check.metric() == Some(&metric.name));
    let judged = metrics.iter().filter(has_rule).filter_map(|metric| {
        let limits = policy.calibration.get(&metric.name).unwrap_or(&default);
        let against = limits.shortcomings(known.get(&metric.name), metric.judge_hash.as_deref()?);
        Some((metric.name.clone(), against))
    });
    judged.collect()
}

/// Whether the same judges may block as when a receipt was made: else its decision would be another one now.
pub(crate) fn stands_as_in(
    receipt: &Receipt,
    policy: &Policy,
    metrics: &[Metric],
    known: &BTreeMap<MetricName, Calibration>,
) -> bool {
    let then = receipt.evidence.as_ref().map(|evidence| &evidence.calibrations);
    let may_block = |known: &BTreeMap<MetricName, Calibration>| -> Vec<bool> {
        standing(policy, metrics, known).values().map(Vec::is_empty).collect()
    };
    may_block(known) == may_block(then.unwrap_or(&BTreeMap::new()))
}
