//! What an evaluation file says, as far as a plan needs it: nothing is run, nothing is asked.

use std::path::{Path, PathBuf};

use sluicegate_dataset::{Dataset, Source, Where};
use sluicegate_evaluate::{EvaluationSpec, ReadContext};
use sluicegate_flow::files::DiskFiles;
use sluicegate_gate::Metric;
use sluicegate_source::{SourceFile, Span, yaml};

use crate::error::CliError;
use crate::session::{Flow, Session};

/// What an evaluation file says.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The evaluation.
    pub(crate) spec: EvaluationSpec,
    /// The metrics that its evaluators give.
    pub(crate) metrics: Vec<Metric>,
    /// Where its cases are, and how many.
    pub(crate) data: Option<(String, u64)>,
}

impl Declared {
    /// Reads the file beside a flow, and rules of the command line, and counts the rows of its data; `data` counts over
    /// the file's own, `cases` over both.
    ///
    /// # Errors
    /// Every problem of the file; no file and no rules; data that cannot be found, or whose rows cannot be counted.
    pub(crate) fn of(
        session: &Session,
        flow: &Flow,
        flags: &[String],
        data: Option<&Path>,
        cases: Option<u64>,
    ) -> Result<Self, CliError> {
        let file = folder_of(&flow.path).join("evaluation.yaml");
        let environment = &flow.environment;
        let environments = environment.settings().environments(&flow.name);
        let files = DiskFiles::new(&environment.project().root);
        let context = ReadContext {
            files: &files,
            signature: &|_| None,
            environment: environment.environment_name(),
            environments: &environments,
            cases: None,
        };
        // What is odd about so few cases is what a plan tells in its own words: warnings are left to `check`.
        let spec = if file.is_file() {
            let spec = EvaluationSpec::read(&read_evaluation(session, &file)?, &context)?.spec;
            if flags.is_empty() { spec } else { spec.with_flags(flags, &context)?.spec }
        } else if flags.is_empty() {
            let shown = environment.project().display_name(&file);
            return Err(CliError::misused(format!("flow `{}` has no evaluation file", flow.name))
                .hint(format!("write `{shown}`, with `data`, `evaluators` and `gate`, or --gate 'f1 >= 0.8'")));
        } else {
            EvaluationSpec::from_flags(flags, &context)?.spec
        };
        let metrics = spec.metrics(&|_| None);
        let data = if cases.is_some() { None } else { Some(counted(session, flow, &spec, data)?) };
        Ok(Self { spec, metrics, data })
    }
}

/// Reads a file of rules, by the name under which its author knows it.
pub(crate) fn read_evaluation(session: &Session, path: &Path) -> Result<yaml::Document, CliError> {
    let full = session.directory().join(path);
    let text = std::fs::read_to_string(&full)
        .map_err(|error| CliError::misused(format!("`{}` cannot be read", path.display())).cause(error.to_string()))?;
    let shown = session.project().display_name(&full);
    Ok(yaml::read(&SourceFile::new(shown, text))?)
}

/// The folder of a flow: its own, or that of its file.
fn folder_of(path: &Path) -> &Path {
    if path.is_dir() { path } else { path.parent().unwrap_or(path) }
}

/// The data, as they are named, and how many of their rows are cases.
fn counted(
    session: &Session,
    flow: &Flow,
    spec: &EvaluationSpec,
    asked: Option<&Path>,
) -> Result<(String, u64), CliError> {
    let project = flow.environment.project();
    let problem = |problem| CliError::Problems(vec![problem]);
    let files: Vec<PathBuf> = match asked {
        Some(asked) => vec![session.directory().join(asked)],
        None if !spec.data.files.is_empty() => spec.data.files.iter().map(|file| project.resolve(file)).collect(),
        None => match flow.environment.eval_data_path().map_err(problem)? {
            Some(path) => vec![path],
            None => flow.environment.data_path().map_err(problem)?.into_iter().collect(),
        },
    };
    if files.is_empty() {
        return Err(CliError::misused(format!("no data are named for flow `{}`", flow.name))
            .hint("write --data FILE, or --cases N, or `data:` into its evaluation.yaml"));
    }
    let names: Vec<String> = files.iter().map(|file| project.display_name(file)).collect();
    let sources: Vec<Source> = files.iter().zip(&names).map(|(file, name)| Source::new(file).named(name)).collect();
    let mut dataset = Dataset::open(&sources)?;
    if let Some(text) = &spec.data.only_text {
        let file = SourceFile::new("where", text.clone());
        dataset = dataset.with_filter(Where::parse(&file, Span::new(0, text.len()), text).map_err(problem)?);
    }
    let survey = dataset.survey(None, |_| Ok(()));
    if survey.is_broken {
        return Err(CliError::Problems(survey.bad_row_problems));
    }
    Ok((names.join(", "), survey.lines + survey.bad_rows))
}
