//! Which flows a change touches: files that differ from where the branch began, held against what each flow reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sluicegate_config::{ConnectionKind, Environment};
use sluicegate_evaluate::spec::FlowSignature;
use sluicegate_evaluate::{EvaluationSpec, ReadContext, Work};
use sluicegate_flow::files::DiskFiles;
use sluicegate_flow::plan::{NeedKind, Plan};

use super::Git;
use crate::error::CliError;
use crate::gating::read_evaluation;
use crate::project_files::Noted;
use crate::session::{Flow, Session};

/// What a flow's file is called: other files of its folder belong to the flow.
const FLOW_FILES: [&str; 4] = ["flow.dag.yaml", "flow.dag.yml", "flow.flex.yaml", "flow.flex.yml"];

/// Which flows a change touches.
pub(crate) struct Affected {
    /// Why all flows were taken, if it is not known what changed.
    pub(crate) all_because: Option<String>,
    /// How many files differ.
    pub(crate) changed: usize,
    /// Every flow that could be evaluated, or that changed and cannot.
    pub(crate) flows: Vec<Candidate>,
    /// Other flows, which have no evaluation file. Prompties alone, such as judges' prompts, are none of them.
    pub(crate) without: Vec<String>,
}

/// A flow that could be evaluated.
pub(crate) struct Candidate {
    /// As it is asked for.
    pub(crate) asked: String,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What becomes of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is evaluated, for this reason.
    Evaluated(String),
    /// It is not, for this one.
    Skipped(String),
}

impl Affected {
    /// Holds what differs from the merge base with `since` against what flows read.
    ///
    /// # Errors
    /// Git is not here, or does not know `since` in a whole clone; a flow that was asked for is not there.
    pub(crate) fn since(
        session: &Session,
        since: &str,
        only: Option<&str>,
        environment: Option<&str>,
    ) -> Result<Self, CliError> {
        let project = session.project();
        let git = Git::at(&project.root);
        if !git.is_here() {
            return Err(CliError::misused(format!("`{}` is in no git working tree", project.root.display()))
                .hint("`--changed-since` asks git what changed; without it, name the flow"));
        }
        let (changed, all_because) = match changed_files(&git, since)? {
            Ok(files) => (files, None),
            Err(why) => (Vec::new(), Some(why)),
        };
        // What the program itself keeps is no change.
        let state = project.state_folder();
        let changed: Vec<PathBuf> = changed.into_iter().filter(|file| !file.starts_with(&state)).collect();
        let (mut flows, mut without) = (Vec::new(), Vec::new());
        for mut flow in found(session, only)? {
            // As one would type it here.
            let short = Path::new(&flow.asked).strip_prefix(session.directory()).ok();
            let short = short.map(|short| short.display().to_string()).filter(|short| !short.is_empty());
            flow.asked = short.unwrap_or(flow.asked);
            let Some(file) = evaluation_file(&flow) else {
                if all_because.is_none() && !touches(&Reads::of_folder(&flow), &changed).is_empty() {
                    let fate = Fate::Skipped("it changed, and has no evaluation file".to_owned());
                    flows.push(Candidate { asked: flow.asked, fate });
                } else if !flow.is_prompty() || only.is_some() {
                    without.push(flow.asked);
                }
                continue;
            };
            let fate = match &all_because {
                Some(why) => Fate::Evaluated(why.clone()),
                None => fate_of(session, &flow, &file, environment, &changed),
            };
            flows.push(Candidate { asked: flow.asked, fate });
        }
        Ok(Self { all_because, changed: changed.len(), flows, without })
    }

    /// The flows that are evaluated.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = &Candidate> {
        self.flows.iter().filter(|flow| matches!(flow.fate, Fate::Evaluated(_)))
    }
}

/// The files that differ; or why that is not known here, so that all flows may have changed.
fn changed_files(git: &Git, since: &str) -> Result<Result<Vec<PathBuf>, String>, CliError> {
    let is_shallow = git.is_shallow();
    let Some(commit) = git.commit(since) else {
        if is_shallow {
            return Ok(Err(format!("`{since}` is not in this shallow clone")));
        }
        return Err(CliError::misused(format!("git knows no commit `{since}` here"))
            .hint("fetch it first, such as: git fetch origin main"));
    };
    let Some(base) = git.merge_base_with(&commit) else {
        let why = if is_shallow { "this clone is shallow" } else { "they have no commit in common" };
        return Ok(Err(format!("the merge base with `{since}` is not here ({why})")));
    };
    Ok(git.changed_since(&base).ok_or_else(|| "git does not say what changed".to_owned()))
}

/// The flow that was asked for, or all of them; prompties that belong to a flow in their folder are none of their own.
fn found(session: &Session, only: Option<&str>) -> Result<Vec<Flow>, CliError> {
    if let Some(asked) = only {
        return Ok(vec![session.find_flow(asked)?]);
    }
    let is_part = |flow: &Flow| {
        flow.is_prompty()
            && flow.path.parent().is_some_and(|folder| FLOW_FILES.iter().any(|name| folder.join(name).is_file()))
    };
    let mut flows: Vec<Flow> = Vec::new();
    for flow in session.all_flows() {
        // A flow that cannot be found at all is `check`'s to tell.
        if let Ok(flow) = flow
            && !is_part(&flow)
            && !flows.iter().any(|known| known.asked == flow.asked)
        {
            flows.push(flow);
        }
    }
    Ok(flows)
}

fn evaluation_file(flow: &Flow) -> Option<PathBuf> {
    let file = folder_of(flow).join("evaluation.yaml");
    file.is_file().then_some(file)
}

fn folder_of(flow: &Flow) -> PathBuf {
    if flow.path.is_dir() { flow.path.clone() } else { flow.path.parent().unwrap_or(&flow.path).into() }
}

fn fate_of(session: &Session, flow: &Flow, evaluation: &Path, environment: Option<&str>, changed: &[PathBuf]) -> Fate {
    let reads = match session.flow(&flow.asked, environment) {
        Ok(flow) => Reads::of(session, &flow, evaluation),
        // Whoever evaluates it tells what is wrong.
        Err(_) => return Fate::Evaluated("its settings cannot be read".to_owned()),
    };
    let Some(reads) = reads else {
        return Fate::Evaluated("what it reads is not known: its files have problems".to_owned());
    };
    let touched = touches(&reads, changed);
    let root = &flow.environment.project().root;
    match touched.split_first() {
        None => Fate::Skipped("nothing that it reads changed".to_owned()),
        Some((first, others)) => {
            let first = first.strip_prefix(root).unwrap_or(first).display().to_string();
            let more = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            Fate::Evaluated(format!("{first}{more} changed"))
        }
    }
}

/// Files and folders that a flow and its evaluation read.
struct Reads(BTreeSet<PathBuf>);

impl Reads {
    /// What lies with the flow.
    fn of_folder(flow: &Flow) -> Self {
        Self(BTreeSet::from([if flow.is_prompty() { flow.path.clone() } else { folder_of(flow) }]))
    }

    /// All of it; `None` if a file has problems, so that it is not known.
    fn of(session: &Session, flow: &Flow, evaluation: &Path) -> Option<Self> {
        let environment = &flow.environment;
        let project = environment.project();
        let noted = Noted::new(DiskFiles::new(&project.root));
        let mut reads = Self::of_folder(flow);
        reads.0.insert(evaluation.to_owned());
        // The config is of all flows. An overlay that is gone was one.
        reads.0.extend(project.config_file.clone());
        if let Some(name) = environment.environment_name() {
            reads.0.extend(["yaml", "yml"].map(|ending| project.root.join("config").join(format!("{name}.{ending}"))));
            reads.0.extend(project.overlay_file(name));
        }
        let plan = session.compile_in(&noted, flow, None).plan?;
        reads.plan(&plan, environment);
        let spec = read_spec(session, environment, evaluation, &noted)?;
        let own = |path: &str| project.resolve(path);
        if spec.data.files.is_empty() {
            reads
                .0
                .extend(environment.eval_data_path().ok().flatten().or_else(|| environment.data_path().ok().flatten()));
        }
        reads.0.extend(spec.data.files.iter().map(|file| own(file)));
        reads.0.extend(spec.lock.iter().map(|file| own(file)));
        if let Some(target) = &spec.target.flow {
            reads.flow(session, &own(target), environment, &noted)?;
        }
        for evaluator in &spec.evaluators {
            let model = match evaluator.work() {
                Work::Judge { prompt, model } => {
                    reads.0.insert(own(&prompt.path));
                    model
                }
                Work::Flow { flow, model } => {
                    reads.flow(session, &own(&flow), environment, &noted)?;
                    model
                }
                Work::Python { folder, .. } => {
                    reads.0.insert(own(&folder));
                    continue;
                }
                Work::Embed(model) => model,
                Work::Pure => continue,
            };
            reads.0.extend(model.connection.and_then(|name| script_of(environment, &name)));
        }
        let axes = spec.matrix.iter().flat_map(|matrix| &matrix.axes);
        for (axis, setting) in axes.flat_map(|(axis, settings)| settings.iter().map(move |setting| (axis, setting))) {
            match &**axis {
                "prompts" => {
                    reads.0.insert(own(setting.rsplit('=').next().unwrap_or(setting)));
                }
                "connections" => {
                    let names = setting.split_whitespace().map(|one| one.rsplit('=').next().unwrap_or(one));
                    reads.0.extend(names.filter_map(|name| script_of(environment, name)));
                }
                _ => {}
            }
        }
        for path in noted.read_files() {
            let file = project.root.join(&path);
            let is_flow = file.file_name().is_some_and(|name| FLOW_FILES.iter().any(|known| name == *known));
            // Tools of a flow within this one lie with it.
            reads.0.extend(file.parent().filter(|_| is_flow).map(Path::to_owned));
            reads.0.insert(file);
        }
        Some(reads)
    }

    /// What a plan says of files, and the scripts of the models that it asks.
    fn plan(&mut self, plan: &Plan, environment: &Environment) {
        let root = &environment.project().root;
        self.0.extend(plan.includes.iter().map(|include| root.join(&*include.source)));
        self.0.extend(plan.requirements.iter().map(|file| root.join(&**file)));
        let needs = plan.all_needs();
        let of_nodes = needs.iter().filter_map(|need| match &need.what {
            NeedKind::Connection(name) => Some(name.0.to_string()),
            NeedKind::Variable(_) => None,
        });
        let of_section = environment.connection_name().ok().flatten();
        let names: BTreeSet<String> = of_nodes.chain(of_section).collect();
        self.0.extend(names.iter().filter_map(|name| script_of(environment, name)));
        let nodes = environment.value("nodes").ok().flatten().map(|found| found.value);
        for node in nodes.iter().filter_map(|nodes| nodes.as_map()).flat_map(|nodes| nodes.values()) {
            let connection = ["connection_name", "connection"].iter().find_map(|key| node.as_map()?.get(key)?.as_str());
            self.0.extend(connection.and_then(|name| script_of(environment, name)));
        }
    }

    /// What another flow reads.
    fn flow(&mut self, session: &Session, path: &Path, environment: &Environment, noted: &Noted) -> Option<()> {
        let flow = session.flow(&path.display().to_string(), environment.environment_name()).ok()?;
        self.0.extend(Self::of_folder(&flow).0);
        let plan = session.compile_in(noted, &flow, None).plan?;
        self.plan(&plan, &flow.environment);
        Some(())
    }
}

fn read_spec(session: &Session, environment: &Environment, file: &Path, noted: &Noted) -> Option<EvaluationSpec> {
    let project = environment.project();
    let environments = environment.settings().environments(environment.flow());
    let signature = |path: &str| {
        let flow = session.find_flow(&project.resolve(path).display().to_string()).ok()?;
        let plan = session.compile_in(noted, &flow, None).plan?;
        Some(FlowSignature {
            inputs: plan.inputs.keys().map(|name| (name.clone(), plan.default_of(name).is_none())).collect(),
            outputs: plan.outputs.keys().cloned().collect(),
            hash: Some(plan.hash.clone()),
        })
    };
    let context = ReadContext {
        files: noted,
        signature: &signature,
        environment: environment.environment_name(),
        environments: &environments,
        cases: None,
    };
    let document = read_evaluation(session, file).ok()?;
    Some(EvaluationSpec::read(&document, &context).ok()?.spec)
}

/// A scripted model answers as its script says.
fn script_of(environment: &Environment, connection: &str) -> Option<PathBuf> {
    match environment.connection(connection).ok()?.kind {
        ConnectionKind::Simulated { script } => Some(script),
        _ => None,
    }
}

/// The changed files that are read.
fn touches<'a>(reads: &Reads, changed: &'a [PathBuf]) -> Vec<&'a PathBuf> {
    let real: Vec<PathBuf> = reads.0.iter().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone())).collect();
    let is_read = |file: &&PathBuf| reads.0.iter().chain(&real).any(|read| file.starts_with(read));
    changed.iter().filter(is_read).collect()
}
