//! Tools of Python nodes are loaded, and their literals made ready, before anything is paid for (spec: promptflow.md §1.8,
//! §10.1).

use std::sync::Arc;

use sluicegate_flow::bind::BoundPlan;
use sluicegate_flow::plan::{InputType, Node, NodeId, NodeKind, Plan, PythonNode};
use sluicegate_flow::signature::{Parameter, Signature};
use sluicegate_python::{Argument, EntryMethod, ParameterType, Tool, ToolSource};
use sluicegate_source::Problem;

use super::host::LoadHost;
use super::side::{PythonSide, Workplace};
use super::trouble::LoadTrouble;

/// A Python node's tool, ready to be called.
pub(crate) struct NodeTool {
    pub(crate) workplace: Arc<Workplace>,
    pub(crate) tool: Arc<Tool>,
    /// Its inputs that stand in the file, as the tool wants them, and those that come with its kind (a template, a
    /// connection). What is literally null or empty is not there.
    pub(crate) literals: Vec<(Arc<str>, Argument)>,
}

/// Loads the tools of all Python nodes of a flow and of the flows inside it, in the order of the files. Gives the plan to
/// run: a flex flow's is complete only once it is known what its function takes.
///
/// # Errors
/// Everything that is wrong: files that do not load, tools that are none or several, literals that do not fit,
/// connections that there are not; no Python.
pub async fn load_tools(side: &PythonSide, plan: &BoundPlan) -> Result<BoundPlan, Vec<Problem>> {
    if let Some(ready) = side.ready(plan.plan()) {
        return Ok(ready);
    }
    let mut loading = Loading { side, problems: Vec::new(), seen: Vec::new(), missing: Vec::new() };
    loading.plan(plan.plan()).await;
    loading.missing_packages().await;
    let problems = std::mem::take(&mut loading.problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let ready = match side.signature(plan.plan()).await {
        None => plan.clone(),
        Some(signature) => {
            let signed = plan.with_signature(&signature)?;
            loading.plan(signed.plan()).await;
            if !loading.problems.is_empty() {
                return Err(loading.problems);
            }
            signed
        }
    };
    side.keep_ready(plan.plan(), &ready);
    Ok(ready)
}

struct Loading<'s> {
    side: &'s PythonSide,
    problems: Vec<Problem>,
    seen: Vec<Arc<Plan>>,
    /// Flows in which an import found no package, and which.
    missing: Vec<(Arc<Plan>, String)>,
}

impl Loading<'_> {
    async fn plan(&mut self, plan: &Arc<Plan>) {
        // Depth first, as a plan's nodes stand; not by recursion, which a future cannot do.
        let mut left = vec![(plan.clone(), 0)];
        while let Some((plan, index)) = left.pop() {
            if index == 0 {
                if self.seen.iter().any(|seen| Arc::ptr_eq(seen, &plan)) {
                    continue;
                }
                self.seen.push(plan.clone());
            }
            let Some(node) = plan.nodes.get(index) else { continue };
            left.push((plan.clone(), index + 1));
            if let NodeKind::Python(_) = &node.kind
                && let Err(trouble) = self.side.tool(&plan, NodeId(index as u32)).await
            {
                if let Some(name) = trouble.raised.as_ref().and_then(|raised| raised.missing.clone()) {
                    self.missing.push((plan.clone(), name));
                }
                let is_general = trouble.is_general;
                let problem = trouble.problem(node);
                // Without Python, or a folder for it, each node would say the same.
                if !is_general || self.problems.iter().all(|known| known.message != problem.message) {
                    self.problems.push(problem);
                }
            }
            if let Some(inner) = node.kind.inner() {
                left.push((inner.clone(), 0));
            }
        }
    }

    /// What is to be installed, all at once: also what no import has asked for yet.
    async fn missing_packages(&mut self) {
        let mut told: Vec<&Arc<Plan>> = Vec::new();
        for (plan, _) in &self.missing {
            if told.iter().any(|told| Arc::ptr_eq(told, plan)) {
                continue;
            }
            told.push(plan);
            let Ok(workplace) = self.side.workplace(plan) else { continue };
            let python = match workplace.pool.python().await {
                Ok(facts) => facts.executable.display().to_string(),
                Err(_) => "python".to_owned(),
            };
            let mut names: Vec<String> =
                self.missing.iter().filter(|(of, _)| Arc::ptr_eq(of, plan)).map(|(_, name)| name.clone()).collect();
            let mut command = None;
            if let Some(requirements) = &plan.requirements {
                let path = workplace.place.root.join(&**requirements);
                let text = self.side.world().read(&path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                if let Some(text) = text
                    && let Ok(missing) = workplace.pool.missing_requirements(&text).await
                    && !missing.is_empty()
                {
                    names = missing;
                    command = Some(format!("{python} -m pip install -r {}", path.display()));
                }
            }
            names.dedup();
            let command = command.unwrap_or_else(|| format!("{python} -m pip install {}", names.join(" ")));
            let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let message = format!("Python packages are not installed: {}", list.join(", "));
            self.problems.push(Problem::error("python::missing_packages", message).help(format!("run `{command}`")));
        }
    }
}

fn parameter(told: &sluicegate_python::Parameter) -> Parameter {
    let kind = match told.kind {
        ParameterType::Int => InputType::Int,
        ParameterType::Double => InputType::Double,
        ParameterType::Bool => InputType::Bool,
        ParameterType::Text | ParameterType::Enum(_) => InputType::String,
        ParameterType::List => InputType::List,
        ParameterType::Image => InputType::Image,
        ParameterType::Object | ParameterType::Connection { .. } | ParameterType::Other(_) | ParameterType::Rest => {
            InputType::Untouched
        }
    };
    Parameter {
        name: told.name.clone(),
        kind,
        connection: matches!(told.kind, ParameterType::Connection { .. }),
        required: told.required,
        default: told.default.clone(),
    }
}

impl PythonSide {
    /// What a flex flow's function takes.
    async fn signature(&self, plan: &Arc<Plan>) -> Option<Signature> {
        plan.flex.as_ref()?;
        let tool = self.known_tool(plan, NodeId(0))?;
        let mut aggregate = None;
        if tool.tool.provider.as_ref().is_some_and(|provider| provider.aggregates)
            && let ToolSource::Entry { entry, init, .. } = &tool.tool.source
        {
            let source = ToolSource::Entry { entry: entry.clone(), init: init.clone(), method: EntryMethod::Aggregate };
            let loaded = tool.workplace.pool.load(&source, &LoadHost { side: self }, None).await.ok()?;
            aggregate = loaded.parameters.first().map(|parameter| parameter.name.clone());
        }
        let parameters = |parameters: &[sluicegate_python::Parameter]| {
            let named = parameters.iter().filter(|parameter| parameter.kind != ParameterType::Rest);
            named.map(parameter).collect::<Vec<_>>()
        };
        let init = tool.tool.provider.as_ref().map(|provider| &*provider.init).unwrap_or_default();
        Some(Signature {
            parameters: parameters(&tool.tool.parameters),
            takes_any: tool.tool.takes_any(),
            init: parameters(init),
            init_takes_any: init.iter().any(|parameter| parameter.kind == ParameterType::Rest),
            aggregate,
        })
    }

    /// The tool of a node, loaded at the first time.
    pub(crate) async fn tool(&self, plan: &Arc<Plan>, id: NodeId) -> Result<Arc<NodeTool>, LoadTrouble> {
        if let Some(tool) = self.known_tool(plan, id) {
            return Ok(tool);
        }
        let node = plan.node(id);
        let NodeKind::Python(python) = &node.kind else {
            return Err(LoadTrouble::new("ToolLoadError", "this is no Python node"));
        };
        let workplace = self.workplace(plan).map_err(|problem| LoadTrouble {
            help: problem.help.clone(),
            is_general: true,
            ..LoadTrouble::new("", problem.message)
        })?;
        let source = self.source(plan, node, python, &workplace)?;
        let host = LoadHost { side: self };
        let tool = workplace.pool.load(&source, &host, None).await.map_err(|error| {
            let mut trouble = LoadTrouble::of_python(error);
            if let (Some(file), Some(raised)) = (&python.file, &trouble.raised)
                && let (Some(path), Some(line)) = (&raised.file, raised.line)
                && workplace.place.locate(file.name()).as_os_str() == path.as_str()
            {
                trouble.line = Some((file.clone(), line));
            }
            trouble
        })?;
        let literals = self.literals(node, python, &workplace, &tool).await?;
        let tool = Arc::new(NodeTool { workplace, tool, literals });
        self.keep_tool(plan, id, tool.clone());
        Ok(tool)
    }

    fn source(
        &self,
        plan: &Plan,
        node: &Node,
        python: &PythonNode,
        workplace: &Workplace,
    ) -> Result<ToolSource, LoadTrouble> {
        if let Some(entry) = &python.entry {
            let method = if entry.is_aggregate { EntryMethod::Aggregate } else { EntryMethod::Call };
            let mut init = Vec::new();
            if let Some(flex) = &plan.flex {
                for (name, value) in &flex.init_values {
                    let is_connection = flex.init.get(name).is_some_and(|spec| spec.connection);
                    let argument = match value.as_str().filter(|_| is_connection) {
                        Some(connection) => self.connection_for(&node.name.0, name, connection, &[], None)?,
                        None => Argument::Value(value.clone()),
                    };
                    init.push((name.clone(), argument));
                }
            }
            return Ok(ToolSource::Entry { entry: entry.entry.clone(), init, method });
        }
        match (&python.file, &python.tool) {
            (Some(file), _) => Ok(ToolSource::File(workplace.place.locate(file.name()))),
            (None, Some(tool)) => Ok(ToolSource::Package(tool.clone())),
            (None, None) => Err(LoadTrouble::new("ToolLoadError", "the node names no tool")),
        }
    }
}
