//! `calibrate`: a judge held against labels of people, and the record of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_evaluate::judge::built_in_names;
use sluicegate_evaluate::spec::BudgetSpec;
use sluicegate_evaluate::{EvaluationSpec, Evaluator, ReadContext, Work};
use sluicegate_flow::files::DiskFiles;
use sluicegate_gate::Stopped;
use sluicegate_gate::calibration::{Agreement, Options, record};
use sluicegate_gate::policy::CalibrationLimits;
use sluicegate_gate::projection::terminal::defused;
use sluicegate_source::SourceFile;
use sluicegate_value::hash::sha256_of_parts;
use sluicegate_value::{Map, Value, json};

use crate::batch::{Manner, ProgressStyle, below};
use crate::error::CliError;
use crate::evaluating::{
    Cases, KeptCalibration, Labels, Limits, Readings, Record, Stages, Wanted, changed, deployment, environment_of,
    write_whole,
};
use crate::exit::Exit;
use crate::gating::Declared;
use crate::interrupt;
use crate::keepers::KeptArgs;
use crate::session::Session;
use crate::terminal::{harmless, table};

/// Hold a judge against labels of people: a rule on a judge blocks only if it is shown to judge as they do.
///
/// The labels have the judge's inputs as columns (query, response, context …, or the columns and outputs that the evaluation
/// feeds it from), and a column with what people say. The judge is asked about each at least twice, as a batch that goes on
/// by --resume. The record goes to calibration/JUDGE.ENVIRONMENT.json in the project, to be committed: `evaluate` finds it
/// as long as model and prompt are the same.
#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// A flow whose evaluation.yaml has the judge, a .prompty file, or a judge that comes with the program (fluency …)
    #[arg(value_name = "FLOW|JUDGE", required_unless_present = "resume")]
    judge_of: Option<String>,

    /// Which evaluator of the flow; else the only one that is a judge
    #[arg(long, value_name = "NAME")]
    judge: Option<String>,

    /// Labelled rows (.jsonl, .json, .csv, .tsv); else what `calibration` of the evaluation file says
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,

    /// The column with what people say; else label, human, human_label or human_score
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,

    /// Which section of the config applies; else SLUICEGATE_ENVIRONMENT says
    #[arg(long = "environment_name", short = 'e', value_name = "E")]
    environment_name: Option<String>,

    /// How often each row is judged: whether a judge agrees with itself is known from two on
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    draws: u32,

    /// Of a prompt: the connection that it asks
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,

    /// Of a prompt: the deployment or model that it asks
    #[arg(long, value_name = "NAME")]
    deployment: Option<String>,

    /// Of a prompt: lowest and highest score; else 1,5
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    scale: Option<String>,

    /// Only the first N rows
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// How many calls each connection has in flight at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: Option<u32>,

    /// What all calls may cost, in US dollars
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,

    #[command(flatten)]
    kept: KeptArgs,

    /// Go on with a calibration as it began; without a name, with the latest
    #[arg(long, value_name = "CALIBRATION", num_args = 0..=1, default_missing_value = "latest",
          conflicts_with_all = ["judge_of", "judge", "labels", "label", "environment_name", "draws", "connection", "deployment", "scale", "limit"])]
    resume: Option<String>,

    /// How progress is shown on stderr
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: ProgressStyle,

    /// The record as JSON, with what speaks against the judge
    #[arg(long)]
    json: bool,
}

/// Which judge is held against which labels; a resume does the same.
#[derive(Clone, Debug, Default)]
struct Asked {
    /// Absolute where it is a path.
    judge_of: String,
    judge: Option<String>,
    environment: Option<String>,
    /// Absolute.
    labels: Option<String>,
    label: Option<String>,
    draws: u32,
    connection: Option<String>,
    deployment: Option<String>,
    scale: Option<String>,
    limit: Option<u64>,
}

/// A judge, found.
struct Judge {
    spec: EvaluationSpec,
    evaluator: Arc<Evaluator>,
    environment: Environment,
    /// The labels that the evaluation file names.
    labels: Option<PathBuf>,
}

/// The file of a calibration's folder that says what it is.
const FILE: &str = "calibration.json";

/// Holds a judge against labels, or goes on with that.
pub(crate) fn calibrate(session: &Session, args: &CalibrateArgs) -> Result<Exit, CliError> {
    if let Some(most) = args.budget.filter(|most| !most.is_finite() || *most <= 0.0) {
        return Err(CliError::misused(format!("`--budget {most}` is no amount of dollars")));
    }
    let manner = Manner {
        concurrency: args.concurrency,
        budget: args.budget,
        kept: below(session.directory(), &args.kept),
        ..Manner::default()
    };
    let (asked, mut record) = match &args.resume {
        Some(id) => find(session, id, manner)?,
        None => {
            let record = Record::new(&session.project(), Wanted { manner, ..Wanted::default() });
            let folder = folder_of_all(session).join(&record.id);
            (Asked::of(session, args), Record { folder, ..record })
        }
    };
    // What was replayed asks nobody, and needs no keys.
    let session = &session.replaying(record.wanted.manner.kept.replay.is_some());
    let interrupted = Box::pin(interrupt::listen(session.printer().clone())?);
    let judge = Judge::find(session, &asked)?;
    let labels = judge.labels(session, &asked)?;
    let model = deployment(&judge.evaluator, &judge.environment);
    let judge_hash = judge.evaluator.judge_hash(model.as_deref());
    let draws = asked.draws.to_string();
    let fingerprint = sha256_of_parts([judge_hash.as_str(), &labels.cases.hash, &labels.column, &draws]);
    if !record.fingerprint.is_empty() && record.fingerprint != fingerprint {
        return Err(CliError::misused(format!("judge or labels have changed since calibration `{}` began", record.id))
            .hint("begin a new one: readings of both would not be of one thing"));
    }
    record.fingerprint = fingerprint;
    asked.save(&record)?;
    let mut stages = Stages {
        session,
        progress: args.progress,
        limits: Limits::new(&BudgetSpec::default(), record.wanted.manner.budget),
        interrupted,
        deploy_traces: None,
    };
    let (evaluator, target) = (&judge.evaluator, &judge.environment);
    let readings = labels.ask((&judge.spec, evaluator), target, asked.draws, &mut stages, &mut record);
    let readings = readings.map_err(|error| unlike(error, &record.id))?;
    if let Some(stopped) = readings.stopped {
        let (more, exit) = match stopped {
            Stopped::Budget => (" --budget USD", Exit::Budget),
            _ => ("", Exit::Interrupted),
        };
        session.printer().say(&format!("go on with: sluicegate calibrate --resume {}{more}", record.id));
        return Ok(exit);
    }
    judge.finish(session, args, &asked, (&labels, &readings), (judge_hash, model))
}

/// A stage that finds other rows speaks of an evaluation.
fn unlike(error: CliError, id: &str) -> CliError {
    let same = |complaint: &crate::error::Complaint| match changed(id) {
        CliError::Other(other) => other.message == complaint.message,
        CliError::Problems(_) => false,
    };
    match &error {
        CliError::Other(complaint) if same(complaint) => {
            CliError::misused(format!("judge or labels have changed since calibration `{id}` began"))
        }
        _ => error,
    }
}

impl Judge {
    /// The judge of a flow's evaluation, a prompt, or one that comes with the program.
    fn find(session: &Session, asked: &Asked) -> Result<Self, CliError> {
        let is_ours = built_in_names().any(|name| name == asked.judge_of);
        if asked.judge.is_some() || !(is_ours || asked.judge_of.ends_with(".prompty")) {
            return Self::of_flow(session, asked);
        }
        let environment = match is_ours {
            true => session.settings_of_all(asked.environment.as_deref())?,
            false => session.flow(&asked.judge_of, asked.environment.as_deref())?.environment,
        };
        let root = environment.project().root.clone();
        let named = |key: &str, value: &Option<String>| {
            value
                .as_ref()
                .map(|value| format!(", {key}: {}", Value::from(value.as_str()).to_json()))
                .unwrap_or_default()
        };
        let path = Path::new(&asked.judge_of);
        let (name, how) = match is_ours {
            true => (asked.judge_of.clone(), format!("use: {}", asked.judge_of)),
            false => {
                let below = path.strip_prefix(&root).unwrap_or(path).display().to_string();
                let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                (name, format!("use: judge, prompt: {}", Value::from(below).to_json()))
            }
        };
        let scale = asked.scale.as_ref().map(|scale| format!(", scale: [{scale}]")).unwrap_or_default();
        let (connection, deployment) = (named("connection", &asked.connection), named("deployment", &asked.deployment));
        let name_text = Value::from(name.as_str()).to_json();
        let text = format!("evaluators: {{ {name_text}: {{ {how}{connection}{deployment}{scale} }} }}\n");
        let files = DiskFiles::new(&root);
        let context = ReadContext {
            files: &files,
            signature: &|_| None,
            environment: environment.environment_name(),
            environments: &[],
            cases: None,
        };
        let spec = EvaluationSpec::parse(&SourceFile::new("calibrate", text), &context)?.spec;
        let evaluator = spec.evaluators.first().cloned();
        let evaluator = evaluator.ok_or_else(|| CliError::failed(format!("`{name}` is no judge")))?;
        Ok(Self { spec, evaluator, environment, labels: None })
    }

    fn of_flow(session: &Session, asked: &Asked) -> Result<Self, CliError> {
        for (flag, given) in [
            ("connection", asked.connection.is_some()),
            ("deployment", asked.deployment.is_some()),
            ("scale", asked.scale.is_some()),
        ] {
            if given {
                return Err(CliError::misused(format!("--{flag} is for a prompt of its own"))
                    .hint("the evaluation file says it for a judge of a flow: a record holds for that judge alone"));
            }
        }
        let flow = session.flow(&asked.judge_of, asked.environment.as_deref())?;
        let spec = Declared::of(session, &flow, &[], None, Some(0))?.spec;
        let judges: Vec<&Arc<Evaluator>> = spec.evaluators.iter().filter(|evaluator| evaluator.is_judged()).collect();
        let names: Vec<String> = judges.iter().map(|judge| format!("`{}`", judge.name)).collect();
        let evaluator = match (&asked.judge, &judges[..]) {
            (Some(name), _) => match judges.iter().find(|judge| *judge.name == **name) {
                Some(judge) => Arc::clone(judge),
                None => {
                    let there = match &names[..] {
                        [] => "it has none".to_owned(),
                        names => format!("it has {}", names.join(", ")),
                    };
                    return Err(CliError::misused(format!("flow `{}` has no judge `{name}`", flow.name)).hint(there));
                }
            },
            (None, [only]) => Arc::clone(only),
            (None, []) => {
                return Err(CliError::misused(format!("no evaluator of flow `{}` is a judge", flow.name))
                    .hint("only judges need a calibration: what others say is no opinion"));
            }
            (None, _) => {
                return Err(CliError::misused(format!("flow `{}` has several judges", flow.name))
                    .hint(format!("--judge NAME says which: {}", names.join(", "))));
            }
        };
        let environment = environment_of(session, &flow, &spec)?;
        let limits = spec.policy.calibration.get(&evaluator.metric());
        let labels = limits.and_then(|limits| Some(environment.project().resolve(limits.labels.as_deref()?)));
        Ok(Self { spec, evaluator, environment, labels })
    }

    fn labels(&self, session: &Session, asked: &Asked) -> Result<Labels, CliError> {
        let file = asked.labels.as_ref().map(PathBuf::from).or_else(|| self.labels.clone());
        let name = &self.evaluator.name;
        let file = file.ok_or_else(|| {
            CliError::misused(format!("no labels are named for judge `{name}`")).hint(format!(
                "--labels FILE, or `calibration: {{ {name}: {{ labels: FILE }} }}` in the evaluation file"
            ))
        })?;
        // The evaluation's own key, filter and so on are those of its data.
        let spec = EvaluationSpec { data: sluicegate_evaluate::spec::DataSpec::default(), ..self.spec.clone() };
        let root = &self.environment.project().root;
        let cases = Cases::read(session, &spec, root, &[file], &[], asked.limit)?;
        let metrics = self.evaluator.metrics(None);
        let metric = metrics.first().ok_or_else(|| CliError::failed(format!("judge `{name}` gives no score")))?;
        Labels::of(cases, asked.label.as_deref(), metric)
    }

    /// Makes the record, keeps it and tells it.
    fn finish(
        &self,
        session: &Session,
        args: &CalibrateArgs,
        asked: &Asked,
        (labels, readings): (&Labels, &Readings),
        (judge_hash, model): (String, Option<String>),
    ) -> Result<Exit, CliError> {
        let metric = self.evaluator.metric();
        let default = CalibrationLimits::default();
        let limits = self.spec.policy.calibration.get(&metric).unwrap_or(&default);
        let mut options = Options::of(limits);
        if limits.kappa_weights.is_none() && readings.labelled.iter().any(|labelled| labelled.human.fract() != 0.0) {
            options.agreement = Agreement::Alpha;
        }
        options.scale = self.evaluator.metrics(None).first().and_then(|metric| metric.scale);
        options.seed = u64::from_str_radix(labels.cases.hash.get(..12).unwrap_or_default(), 16).unwrap_or_default();
        options.judge_hash.clone_from(&judge_hash);
        let calibration = record(&readings.labelled, &options).map_err(|error| {
            let failed = CliError::failed(format!("there is no record: {error}"));
            match readings.unscored.as_ref().or(Some(&readings.left_out.1)).filter(|why| !why.is_empty()) {
                Some(why) => failed.cause(why.clone()),
                None => failed,
            }
        })?;
        let project = self.environment.project();
        let prompt = match self.evaluator.work() {
            Work::Judge { prompt, .. } => prompt.path.to_string(),
            _ => String::new(),
        };
        let kept = KeptCalibration {
            judge: self.evaluator.name.to_string(),
            environment: self.environment.environment_name().map(ToOwned::to_owned),
            model,
            prompt,
            labels: (labels.cases.shown.clone(), labels.cases.hash.clone(), labels.column.clone()),
            draws: asked.draws,
            at: jiff::Timestamp::now(),
            calibration,
        };
        let file = kept.file(project);
        kept.write(&file)?;
        let today = sluicegate_gate::Calibration { age_days: Some(0.0), ..kept.calibration.clone() };
        let against = limits.shortcomings(Some(&today), &judge_hash);
        let place = project.display_name(&file);
        let printer = session.printer();
        if args.json {
            let mut map = kept.to_map();
            map.insert("file", place.as_str());
            map.insert("against", against.iter().map(|words| Value::from(words.as_str())).collect::<Vec<_>>());
            printer.data(&Value::from(map).to_json_pretty())?;
            return Ok(Exit::Done);
        }
        let mut text = shown(&kept, limits, labels, readings);
        text.push_str(&match &against[..] {
            [] => format!("\n\nrules on `{metric}` may block"),
            against => format!("\n\nrules on `{metric}` give advice only: {}", against.join("; ")),
        });
        text.push_str(&format!("\nrecord: {place}"));
        // Judges and labels may be a stranger's, and a build's runner looks for commands in all that is printed.
        let lines: Vec<String> = text.lines().map(|line| defused(&harmless(line))).collect();
        printer.data(&lines.join("\n"))?;
        Ok(Exit::Done)
    }
}

/// The record as people read it.
fn shown(kept: &KeptCalibration, limits: &CalibrationLimits, labels: &Labels, readings: &Readings) -> String {
    let found = &kept.calibration;
    let number = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), short);
    let between = |lower: Option<f64>, upper: Option<f64>| match (lower, upper) {
        (Some(lower), Some(upper)) => format!("{} to {}", short(lower), short(upper)),
        (Some(lower), None) => format!("from {}", short(lower)),
        _ => "–".to_owned(),
    };
    let sign = |holds: Option<bool>| if holds == Some(true) { "✓" } else { "✗" }.to_owned();
    let row = |cells: [String; 5]| cells.to_vec();
    let [bias_lower, bias_upper] = found.bias_between.map_or([None, None], |[lower, upper]| [Some(lower), Some(upper)]);
    let measured_by = found.measured_by.map_or("kappa", Agreement::as_str);
    let rows = vec![
        row([
            "labels".to_owned(),
            found.n.to_string(),
            String::new(),
            format!(">= {}", limits.min_labels),
            sign(Some(found.n >= u64::from(limits.min_labels))),
        ]),
        row([
            measured_by.to_owned(),
            number(found.kappa),
            between(found.kappa_lower, found.kappa_upper),
            format!("lower end {}", limits.kappa),
            sign(found.kappa_lower.map(|lower| limits.kappa.holds(lower))),
        ]),
        row([
            "same score".to_owned(),
            number(found.agreement),
            String::new(),
            format!("(the usual label alone: {})", number(found.base_rate)),
            String::new(),
        ]),
        row([
            "bias, judge minus people".to_owned(),
            number(found.bias),
            between(bias_lower, bias_upper),
            format!("{} of the scale", limits.bias),
            sign(found.bias.map(|bias| limits.bias.holds(bias.abs()))),
        ]),
        row([
            "same score again".to_owned(),
            number(found.self_agreement),
            between(found.self_agreement_lower, None),
            limits.self_agreement.to_string(),
            sign(found.self_agreement.map(|share| limits.self_agreement.holds(share))),
        ]),
    ];
    let model = kept.model.as_deref().unwrap_or("the prompt's own model");
    let of = format!("judge {} ({model}, {}) and labels of {}", kept.judge, kept.prompt, kept.labels.0);
    let mut text = of.replace(['\n', '\r'], " ") + "\n\n";
    text.push_str(&table(&["", "FOUND", "95 % EACH WAY", "WANTED", ""], rows));
    if let Some(confusion) = &found.confusion {
        let mut header = vec!["people ↓ judge →".to_owned()];
        header.extend(confusion.labels.iter().map(|label| short(*label)));
        let rows = confusion.labels.iter().zip(&confusion.counts).map(|(label, counts)| {
            let counts = counts.iter().map(|count| if *count == 0 { "·".to_owned() } else { count.to_string() });
            std::iter::once(short(*label)).chain(counts).collect()
        });
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        text.push_str(&format!("\n\n{}", table(&header, rows.collect())));
    }
    let mut notes = Vec::new();
    if labels.unlabelled > 0 {
        notes.push(format!("{} rows have no label", labels.unlabelled));
    }
    if found.unscored > 0 {
        let why = readings.unscored.as_deref().unwrap_or_default();
        notes.push(format!("{} labels got no score: {why}", found.unscored));
    }
    if readings.left_out.0 > 0 {
        notes.push(format!("{} rows are none for this judge: {}", readings.left_out.0, readings.left_out.1));
    }
    if let Some(usd) = readings.usd.filter(|usd| *usd > 0.0) {
        notes.push(format!("cost: ${usd:.4}"));
    }
    notes.iter_mut().for_each(|note| *note = note.replace(['\n', '\r'], " "));
    if !notes.is_empty() {
        text.push_str(&format!("\n\n{}", notes.join("\n")));
    }
    text
}

fn short(number: f64) -> String {
    let rounded = (number * 1e3).round() / 1e3;
    if rounded == 0.0 { "0".to_owned() } else { rounded.to_string() }
}

impl Asked {
    fn of(session: &Session, args: &CalibrateArgs) -> Self {
        let absolute = |name: &String| session.directory().join(name).display().to_string();
        let judge_of = args.judge_of.clone().unwrap_or_default();
        Self {
            judge_of: if session.directory().join(&judge_of).exists() { absolute(&judge_of) } else { judge_of },
            judge: args.judge.clone(),
            environment: args.environment_name.clone(),
            labels: args.labels.as_ref().map(absolute),
            label: args.label.clone(),
            draws: args.draws,
            connection: args.connection.clone(),
            deployment: args.deployment.clone(),
            scale: args.scale.clone(),
            limit: args.limit,
        }
    }

    fn save(&self, record: &Record) -> Result<(), CliError> {
        let text = |text: &Option<String>| Value::from(text.as_deref());
        let map = Map::from([
            ("id", Value::from(record.id.as_str())),
            ("judge_of", self.judge_of.as_str().into()),
            ("judge", text(&self.judge)),
            ("environment", text(&self.environment)),
            ("labels", text(&self.labels)),
            ("label", text(&self.label)),
            ("draws", u64::from(self.draws).into()),
            ("connection", text(&self.connection)),
            ("deployment", text(&self.deployment)),
            ("scale", text(&self.scale)),
            ("limit", self.limit.into()),
            ("fingerprint", record.fingerprint.as_str().into()),
            ("manner", record.wanted.manner.remembered().into()),
        ]);
        write_whole(&record.folder.join(FILE), &Value::from(map).to_json_pretty())
    }

    fn of_map(map: &Map) -> Self {
        let text = |name: &str| map.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let whole = |name: &str| match map.get(name) {
            Some(Value::Int(number)) => u64::try_from(*number).ok(),
            _ => None,
        };
        Self {
            judge_of: text("judge_of").unwrap_or_default(),
            judge: text("judge"),
            environment: text("environment"),
            labels: text("labels"),
            label: text("label"),
            draws: whole("draws").and_then(|draws| u32::try_from(draws).ok()).unwrap_or(1),
            connection: text("connection"),
            deployment: text("deployment"),
            scale: text("scale"),
            limit: whole("limit"),
        }
    }
}

fn folder_of_all(session: &Session) -> PathBuf {
    session.project().state_folder().join("calibrations")
}

/// A calibration that began before: the one of this id, or the latest.
fn find(session: &Session, asked: &str, manner: Manner) -> Result<(Asked, Record), CliError> {
    let all = folder_of_all(session);
    let entries = std::fs::read_dir(&all).into_iter().flatten().filter_map(Result::ok);
    let mut ids: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    // Ids begin with their time.
    ids.sort();
    ids.retain(|id| (asked == "latest" || id.starts_with(asked)) && all.join(id).join(FILE).is_file());
    let id = match &ids[..] {
        [.., last] if asked == "latest" => last.clone(),
        [only] => only.clone(),
        [] => {
            return Err(CliError::misused(format!("there is no calibration `{asked}`"))
                .hint(format!("they are kept in `{}`", all.display())));
        }
        _ => return Err(CliError::misused(format!("several calibrations begin with `{asked}`"))),
    };
    let file = all.join(&id).join(FILE);
    let damaged = |cause: String| CliError::failed(format!("`{}` cannot be read", file.display())).cause(cause);
    let text = std::fs::read_to_string(&file).map_err(|error| damaged(error.to_string()))?;
    let read = json::read(&text).map_err(|error| damaged(error.to_string()))?;
    let map = read.as_map().ok_or_else(|| damaged("it is no map".to_owned()))?;
    let then = map.get("manner").and_then(Value::as_map).cloned().unwrap_or_default();
    let wanted = Wanted { manner: manner.or_as(&then), ..Wanted::default() };
    let fingerprint = map.get("fingerprint").and_then(Value::as_str).unwrap_or_default().to_owned();
    let folder = all.join(&id);
    Ok((Asked::of_map(map), Record { id, folder, fingerprint, ..Record::new(&session.project(), wanted) }))
}
