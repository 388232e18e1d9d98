//! The flows of evaluators: judges' prompts, evaluation flows, Python functions, texts to be made into vectors.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluicegate_config::Environment;
use sluicegate_evaluate::evaluator::{ModelChoice, flex_flow};
use sluicegate_evaluate::{Evaluator, Work};
use sluicegate_flow::bind::NodeBinding;
use sluicegate_flow::plan::{NodeKind, Plan};
use sluicegate_model::ConnectionName;
use sluicegate_value::Value;

use super::record::write_whole;
use crate::error::CliError;
use crate::prepared::{Choices, Prepared, one};
use crate::session::Session;

/// Texts of a case made into vectors.
const EMBED: &str = "inputs:
  one: { type: string }
  other: { type: string }
outputs:
  one: { type: list, reference: \"${embed_one.output}\" }
  other: { type: list, reference: \"${embed_other.output}\" }
nodes:
- { name: embed_one, type: embedding, inputs: { input: \"${inputs.one}\" } }
- { name: embed_other, type: embedding, inputs: { input: \"${inputs.other}\" } }
";

/// The flow of an evaluator, ready to run, with the connections that it asks.
pub(super) fn prepare(
    session: &Session,
    evaluator: &Evaluator,
    target: &Environment,
    folder: &Path,
    concurrency: Option<u32>,
) -> Result<(Prepared, Choices), CliError> {
    let project = target.project();
    let own = folder.join("evaluators").join(file_name(&evaluator.name));
    let (path, model): (PathBuf, ModelChoice) = match evaluator.work() {
        Work::Judge { prompt, model } if prompt.is_ours && !project.resolve(&prompt.path).is_file() => {
            let file = own.join(prompt.path.rsplit('/').next().unwrap_or("judge.prompty"));
            write_whole(&file, &prompt.text)?;
            (file, model)
        }
        Work::Judge { prompt, model } => (project.resolve(&prompt.path), model),
        Work::Flow { flow, model } => (project.resolve(&flow), model),
        Work::Python { call, folder } => (python(&own, &project.resolve(&folder), &call)?, ModelChoice::default()),
        Work::Embed(model) => {
            let file = own.join("flow.dag.yaml");
            write_whole(&file, EMBED)?;
            (file, model)
        }
        Work::Pure => return Err(CliError::failed(format!("evaluator `{}` has no flow", evaluator.name))),
    };
    let flow = session.flow(&path.display().to_string(), target.environment_name())?;
    let has_section = one(flow.environment.connection_name())?.is_some();
    let plan = session.plan(&flow, None)?;
    let is_chosen = model != ModelChoice::default();
    // A flow with a section of its own knows whom it asks, unless the evaluator says otherwise.
    let mut choices = Choices { max_in_flight: concurrency.map(|limit| limit as usize), ..Choices::default() };
    if !has_section || is_chosen {
        let connection = model.connection.clone().or(one(target.connection_name())?.map(Arc::from));
        choices.nodes = bindings(&plan, &model, connection, target)?;
    }
    Ok((Prepared::new(session, flow, &choices)?, choices))
}

/// The deployment that an evaluator asks, as far as it is known before its flow is read.
pub(crate) fn deployment(evaluator: &Evaluator, target: &Environment) -> Option<String> {
    match evaluator.work() {
        Work::Judge { model, .. } | Work::Flow { model, .. } | Work::Embed(model) => {
            model.deployment.map(|name| name.to_string()).or_else(|| target.deployment_name().ok().flatten())
        }
        _ => None,
    }
}

fn bindings(
    plan: &Plan,
    model: &ModelChoice,
    connection: Option<Arc<str>>,
    target: &Environment,
) -> Result<indexmap::IndexMap<Arc<str>, NodeBinding>, CliError> {
    let chat = one(target.deployment_name())?.map(Arc::from);
    let vectors = one(target.embedding_deployment_name())?.map(Arc::from);
    let asks = plan.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Llm(_) | NodeKind::Prompty(_) => Some((node, chat.clone())),
        NodeKind::Embedding(_) => Some((node, vectors.clone().or(chat.clone()))),
        _ => None,
    });
    let bound = asks.map(|(node, usual)| {
        let binding = NodeBinding {
            connection: connection.clone().map(ConnectionName),
            deployment_name: model.deployment.clone().or(usual),
        };
        (node.name.to_string().into(), binding)
    });
    Ok(bound.collect())
}

/// A flex flow that calls a function, with what lies beside the function's module.
fn python(own: &Path, folder: &Path, call: &str) -> Result<PathBuf, CliError> {
    let entries = std::fs::read_dir(folder).map_err(|error| {
        CliError::misused(format!("folder `{}` cannot be read", folder.display())).cause(error.to_string())
    })?;
    // From the flow's own folder: .sluicegate/evaluations/ID/evaluators/NAME.
    let mut includes: Vec<Value> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            !name.starts_with('.') && !name.starts_with("flow.") && name != "__pycache__"
        })
        .map(|path| Value::from(relative(own, &path)))
        .collect();
    includes.sort_by_key(Value::to_json);
    let file = own.join("flow.flex.yaml");
    let text = format!("{}additional_includes: {}\n", flex_flow(call), Value::from(includes).to_json());
    write_whole(&file, &text)?;
    Ok(file)
}

/// A path as it counts from a folder.
fn relative(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - common);
    let down = to.iter().skip(common).map(|part| part.as_os_str().to_string_lossy().into_owned());
    up.chain(down).collect::<Vec<_>>().join("/")
}

/// A name that can be a file's and a run's.
pub(crate) fn file_name(name: &str) -> String {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    let safe: String = name.chars().map(|letter| if is_safe(letter) { letter } else { '_' }).collect();
    if safe == name { safe } else { format!("{safe}-{}", &sluicegate_value::hash::sha256(name)[..8]) }
}
