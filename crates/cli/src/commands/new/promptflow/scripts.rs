//! Python files: what they call and with what, by their syntax trees. They are never imported or run: a fixed script of
//! ours, in an isolated interpreter, parses them and prints what it sees.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use sluicegate_value::{Map, Value, json};

const SCRIPT: &str = include_str!("scripts.py");
/// A file that takes longer is left out.
const LONGEST: Duration = Duration::from_secs(20);
const MOST_FILES: usize = 5_000;
const LARGEST: u64 = 2 << 20;

/// The Python files of a project.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// By path.
    pub(crate) files: BTreeMap<String, ScriptFacts>,
    pub(crate) notes: Vec<String>,
}

/// What a Python file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScriptFacts {
    /// Everything that it imports, by full names.
    pub(crate) modules: Vec<String>,
    /// Calls of prompt flow's and Azure's own functions.
    pub(crate) calls: Vec<Call>,
    /// The flags that it takes.
    pub(crate) flags: Vec<String>,
    /// Flows that it asks its config for.
    pub(crate) flow_names: BTreeSet<String>,
    /// Functions with `@tool`.
    pub(crate) tools: Vec<String>,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `promptflow.client.PFClient.run`.
    pub(crate) name: String,
    pub(crate) arguments: Map,
    positional: Vec<Value>,
}

/// What a script is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It evaluates a flow.
    Evaluates,
    /// It runs a flow.
    Runs,
    /// It makes connections.
    Connects,
    /// It registers data sets.
    RegistersData,
    /// It deploys.
    Deploys,
    /// It holds tools of a flow.
    Tool,
    Other,
}

impl Call {
    /// An argument by its name, else by its position.
    pub(crate) fn argument(&self, name: &str, position: usize) -> Option<&Value> {
        self.arguments.get(name).or_else(|| self.positional.get(position)).filter(|value| !value.is_null())
    }
}

impl ScriptFacts {
    /// Whether it works in Azure rather than on this machine.
    pub(crate) fn is_of_azure(&self) -> bool {
        self.modules.iter().any(|module| module.starts_with("promptflow.azure"))
    }

    /// Whether it has a class whose methods are tools.
    pub(crate) fn provides_tools(&self) -> bool {
        self.modules.iter().any(|module| module.ends_with(".ToolProvider"))
    }

    /// The calls of `evaluate`.
    pub(crate) fn evaluations(&self) -> impl Iterator<Item = &Call> {
        let names = ["promptflow.evals.evaluate", "azure.ai.evaluation"];
        self.calls.iter().filter(move |call| {
            call.name.ends_with(".evaluate") && names.iter().any(|name| call.name.starts_with(name))
        })
    }

    /// What it is for.
    pub(crate) fn role(&self) -> Role {
        let calls = |ends: &[&str]| self.calls.iter().any(|call| ends.iter().any(|end| call.name.ends_with(end)));
        if self.evaluations().next().is_some() {
            Role::Evaluates
        } else if calls(&[
            ".PFClient.run",
            ".PFClient.test",
            ".flows.test",
            ".runs.create_or_update",
            ".load_flow",
            ".load_run",
        ]) {
            Role::Runs
        } else if calls(&[".connections.create_or_update"]) {
            Role::Connects
        } else if calls(&[".data.create_or_update", ".entities.Data"]) {
            Role::RegistersData
        } else if calls(&[
            "online_endpoints.begin_create_or_update",
            "online_deployments.begin_create_or_update",
            ".ManagedOnlineDeployment",
        ]) {
            Role::Deploys
        } else if !self.tools.is_empty() {
            Role::Tool
        } else {
            Role::Other
        }
    }

    fn of(facts: &Value) -> Self {
        let texts = |key: &str| {
            let list = facts.get(key).and_then(Value::as_list).unwrap_or_default();
            list.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect::<Vec<String>>()
        };
        let calls = facts.get("calls").and_then(Value::as_list).unwrap_or_default().iter().filter_map(|call| {
            Some(Call {
                name: call.get("call")?.as_str()?.to_owned(),
                arguments: call.get("arguments")?.as_map()?.clone(),
                positional: call.get("positional")?.as_list()?.to_vec(),
            })
        });
        Self {
            modules: texts("modules"),
            calls: calls.collect(),
            flags: texts("flags"),
            flow_names: texts("flow_names").into_iter().collect(),
            tools: texts("tools"),
        }
    }
}

/// Reads Python files below `root`.
pub(crate) fn read(root: &Path, paths: &[String]) -> Scripts {
    let mut scripts = Scripts::default();
    let is_small = |path: &&String| root.join(path).metadata().is_ok_and(|about| about.len() <= LARGEST);
    let mut left: Vec<&String> = paths.iter().filter(is_small).take(MOST_FILES).collect();
    if left.len() < paths.len() {
        scripts.notes.push(format!("{} Python files are too large or too many: not read", paths.len() - left.len()));
    }
    while !left.is_empty() {
        let Some(mut python) = start() else {
            scripts.notes.push(format!(
                "no Python was found: {} Python files were not read, so scripts and evaluations are not in this report",
                left.len()
            ));
            return scripts;
        };
        let answered = ask(&mut python, root, &left, &mut scripts);
        // One that hangs or dies does so over a single file: the next one begins behind it.
        let _ = python.kill();
        let _ = python.wait();
        if let Some(unanswered) = left.get(answered) {
            scripts.notes.push(format!("{unanswered} could not be parsed: Python gave up on it"));
        }
        left = left.split_off((answered + 1).min(left.len()));
    }
    scripts
}

/// The first interpreter on the path, in isolated mode: no folder of the project, no variable and no site package counts.
fn start() -> Option<Child> {
    let programs: &[(&str, &[&str])] =
        if cfg!(windows) { &[("py", &["-3"]), ("python", &[])] } else { &[("python3", &[]), ("python", &[])] };
    programs.iter().find_map(|(program, arguments)| {
        Command::new(program)
            .args(*arguments)
            .args(["-I", "-S", "-c", SCRIPT])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    })
}

/// Asks for files in order; how many were answered.
fn ask(python: &mut Child, root: &Path, paths: &[&String], scripts: &mut Scripts) -> usize {
    let (Some(mut stdin), Some(stdout)) = (python.stdin.take(), python.stdout.take()) else { return 0 };
    let list: Vec<Value> = paths.iter().map(|path| root.join(path).display().to_string().into()).collect();
    let list = Value::from(list).to_json();
    let (say, said) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = stdin.write_all(list.as_bytes());
        drop(stdin);
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if say.send(line).is_err() {
                return;
            }
        }
    });
    let mut answered = 0;
    for path in paths {
        let Ok(line) = said.recv_timeout(LONGEST) else { return answered };
        answered += 1;
        match json::read(&line) {
            Ok(facts) => match facts.get("error").and_then(Value::as_str) {
                Some(error) => scripts.notes.push(format!("{path} is no Python: {error}")),
                None => drop(scripts.files.insert((*path).clone(), ScriptFacts::of(&facts))),
            },
            Err(_) => scripts.notes.push(format!("{path} could not be parsed")),
        }
    }
    answered
}

/// A text that is written where a value is told.
pub(crate) fn written(told: &Value) -> Option<&str> {
    told.get("value")?.as_str()
}

/// The key of a config section that is read where a value is told.
pub(crate) fn config_key(told: &Value) -> Option<&str> {
    told.get("key")?.as_str()
}
