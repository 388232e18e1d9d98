//! What an evaluation is: its file and flags, read against the flow that it is about.

use std::path::{Path, PathBuf};

use sluicegate_dataset::MappingEntry;
use sluicegate_evaluate::spec::FlowSignature;
use sluicegate_evaluate::{Available, EvaluationSpec, Names, ReadContext};
use sluicegate_events::{EventKind, PlanHashes, RunId};
use sluicegate_flow::files::DiskFiles;
use sluicegate_flow::plan::Plan;
use sluicegate_value::Value;

use super::record::Wanted;
use crate::batch::{Asked, OnBadLine};
use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::gating::read_evaluation;
use crate::prepared::one;
use crate::session::{Flow, Session};
use crate::terminal::show_problems;

/// What an evaluation is.
#[derive(Clone)]
pub(crate) struct Declaration {
    pub(crate) spec: EvaluationSpec,
    /// The flow that is evaluated.
    pub(crate) target: Flow,
    /// Its lines.
    pub(crate) asked: Asked,
    /// The evaluation file, as people call it.
    pub(crate) file: Option<String>,
}

/// A batch that ran before, to be scored.
pub(crate) struct Earlier {
    pub(crate) run: RunId,
    pub(crate) asked: Asked,
    pub(crate) hashes: PlanHashes,
    pub(crate) data_hash: String,
}

impl Declaration {
    /// Reads the file beside the flow, if there is one, and the rules of the command line.
    pub(crate) fn read(
        session: &Session,
        flow: Flow,
        wanted: &Wanted,
        earlier: Option<&Earlier>,
    ) -> Result<Self, CliError> {
        let environment = &flow.environment;
        let project = environment.project().clone();
        let folder =
            if flow.path.is_dir() { flow.path.clone() } else { flow.path.parent().unwrap_or(&flow.path).into() };
        let file = folder.join("evaluation.yaml");
        let environments = environment.settings().environments(&flow.name);
        let files = DiskFiles::new(&project.root);
        let signature = |path: &str| signature(session, &project.resolve(path));
        let context = ReadContext {
            files: &files,
            signature: &signature,
            environment: environment.environment_name(),
            environments: &environments,
            cases: None,
        };
        let has_file = file.is_file();
        let mut reading = match (has_file, &wanted.gate[..]) {
            (true, flags) => {
                let reading = EvaluationSpec::read(&read_evaluation(session, &file)?, &context)?;
                if flags.is_empty() {
                    reading
                } else {
                    let more = reading.spec.with_flags(flags, &context)?;
                    sluicegate_evaluate::SpecReading {
                        warnings: reading.warnings.into_iter().chain(more.warnings).collect(),
                        spec: more.spec,
                    }
                }
            }
            (false, []) => {
                let shown = project.display_name(&file);
                return Err(CliError::misused(format!("flow `{}` has no evaluation file", flow.name))
                    .hint(format!("write `{shown}`, with `data`, `evaluators` and `gate`, or --gate 'f1 >= 0.8'")));
            }
            (false, flags) => EvaluationSpec::from_flags(flags, &context)?,
        };
        if !reading.warnings.is_empty() {
            session.printer().say(&show_problems(&reading.warnings, session.printer().colour()));
        }
        let spec = &mut reading.spec;
        if wanted.no_gate {
            spec.policy.rules.clear();
        }
        if let Some(repeats) = wanted.repeats {
            spec.target.repeats = repeats;
        }
        let environment_name = environment.environment_name().map(ToOwned::to_owned);
        let target = match &spec.target.flow {
            Some(path) => session.flow(&project.resolve(path).display().to_string(), environment_name.as_deref())?,
            None => flow,
        };
        let asked = asked(&target, spec, wanted, earlier)?;
        Ok(Self { spec: reading.spec, target, asked, file: has_file.then(|| project.display_name(&file)) })
    }

    /// The data's files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.asked.data.iter().map(PathBuf::from).collect()
    }

    /// What evaluators can read.
    pub(crate) fn available(&self, data: &Names, plan: &Plan) -> Available {
        let open = plan.flex.is_some();
        Available { data: data.clone(), target: Names { open, ..Names::exactly(plan.outputs.keys().cloned()) } }
    }
}

impl Earlier {
    /// A batch by its id.
    pub(crate) fn find(session: &Session, asked: &str) -> Result<Self, CliError> {
        let (store, _) = session.existing_store()?.ok_or_else(|| CliError::misused("no runs are kept here"))?;
        let run = store.find(asked).map_err(store_error)?;
        if !store.is_batch(&run).map_err(store_error)? {
            return Err(CliError::misused(format!("run `{run}` is no batch: it has no lines")));
        }
        let events = store.open_run(&run).and_then(|reader| reader.run_events()).map_err(store_error)?;
        let begun = events.iter().find_map(|event| match &event.kind {
            EventKind::RunStarted { hashes, options, .. } => Some((hashes.clone(), options.clone())),
            _ => None,
        });
        let (hashes, options) = begun.ok_or_else(|| CliError::misused(format!("run `{run}` has no beginning")))?;
        let data_hash = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::BatchStarted { data } => Some(data.hash.clone()),
            _ => None,
        });
        let asked = options.get("batch").and_then(Value::as_map).map(Asked::from_remembered).unwrap_or_default();
        Ok(Self { run, asked, hashes, data_hash: data_hash.unwrap_or_default() })
    }
}

fn asked(target: &Flow, spec: &EvaluationSpec, wanted: &Wanted, earlier: Option<&Earlier>) -> Result<Asked, CliError> {
    let environment = &target.environment;
    let project = environment.project();
    let own =
        |files: &[std::sync::Arc<str>]| -> Vec<PathBuf> { files.iter().map(|file| project.resolve(file)).collect() };
    let files: Vec<PathBuf> = match (&wanted.data, earlier) {
        (Some(data), _) => vec![PathBuf::from(data)],
        (None, Some(earlier)) => earlier.asked.data.iter().map(PathBuf::from).collect(),
        (None, None) if !spec.data.files.is_empty() => own(&spec.data.files),
        (None, None) => match one(environment.eval_data_path())? {
            Some(path) => vec![path],
            None => one(environment.data_path())?.into_iter().collect(),
        },
    };
    if files.is_empty() || files.iter().any(|file| file == Path::new("-")) {
        return Err(CliError::misused(format!("no data are named for flow `{}`", target.name)).hint(
            "write `data:` into its evaluation.yaml, `eval_data_path:` into its section of config/config.yaml, or --data FILE",
        ));
    }
    let mut mapping = match one(environment.column_mapping())? {
        Some(map) => MappingEntry::of_map(&map, None),
        None => Vec::new(),
    };
    mapping.extend(spec.target.column_mapping.iter().cloned());
    let filter = spec.data.only_text.as_ref().map(ToString::to_string);
    let (filter, limit) = match earlier {
        // Lines are known by their numbers among those that ran.
        Some(earlier) => (earlier.asked.filter.clone(), earlier.asked.limit),
        None => (filter, wanted.limit),
    };
    Ok(Asked {
        data: files.iter().map(|file| file.display().to_string()).collect(),
        run: None,
        mapping,
        filter,
        limit,
        on_bad_line: OnBadLine::FailLine,
    })
}

/// What a flow takes and gives; `None` if it cannot be read.
fn signature(session: &Session, path: &Path) -> Option<FlowSignature> {
    let flow = session.find_flow(&path.display().to_string()).ok()?;
    let plan = session.compile(&flow, None).plan?;
    Some(FlowSignature {
        inputs: plan.inputs.keys().map(|name| (name.clone(), plan.default_of(name).is_none())).collect(),
        outputs: plan.outputs.keys().cloned().collect(),
        hash: Some(plan.hash.clone()),
    })
}
