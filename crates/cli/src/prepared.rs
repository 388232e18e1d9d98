//! A flow, ready to run: compiled, bound to its environment, its models connected.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sluicegate_config::{Durability, Environment};
use sluicegate_events::{Event, Journal, Listener, PlanHashes, RunId};
use sluicegate_executor::batch::{BatchOptions, BatchReport, BatchStart, Line, run_batch};
use sluicegate_executor::python::{PythonSide, load_tools};
use sluicegate_executor::{Engine, KeptReplies, Listeners, Options, RunReport, Start};
use sluicegate_flow::bind::{
    Bindings, BoundPlan, ConnectionValue, Lookup, NodeBinding, Setting, bind, inline_connection_name,
};
use sluicegate_flow::compile::VariantChoice;
use sluicegate_flow::plan::{ChatMarkers, NeedKind, NodeKind, Plan};
use sluicegate_flow::prompty::PromptyModel;
use sluicegate_model::{ConnectionName, ModelError, Models as _, Price, Prices, TraceContext};
use sluicegate_providers::{ProviderBatches, SHARE_OF_PRICE};
use sluicegate_source::Problem;
use sluicegate_source::suggest::nearest;
use sluicegate_store::{RunJournal, Store};
use sluicegate_value::{Map, Value};
use tokio::runtime::Runtime;

use crate::commands::runs::store_error;
use crate::error::CliError;
use crate::inputs::Given;
use crate::python_side::{AllModels, ImageFiles, Masks, has_python, python_side};
use crate::session::{Flow, Session};
use crate::show_python::ShowPython;
use crate::show_run::{ShowChunks, ShowTrouble, Shown};
use crate::takes::SHORTEST_SECRET;
use crate::traces;

/// What the command line chose about a flow.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    pub(crate) set: Vec<Setting>,
    pub(crate) variant: Option<VariantChoice>,
    pub(crate) node: Option<String>,
    /// Whether replies are asked for in pieces by a flag; then their token counts are asked for too.
    pub(crate) stream: bool,
    /// What a flex flow's class is made with.
    pub(crate) init: Map,
    /// How many calls each connection has in flight at most, whatever the settings say.
    pub(crate) max_in_flight: Option<usize>,
    /// Variables of the flow's tools, over its own `environment_variables`.
    pub(crate) variables: Map,
    /// Which connection and deployment single nodes use, whatever the settings say.
    pub(crate) nodes: indexmap::IndexMap<Arc<str>, NodeBinding>,
    /// How chat calls go into batches of the providers, if they do.
    pub(crate) provider_batch: Option<Arc<ProviderBatches>>,
}

/// A flow, ready to run.
pub(crate) struct Prepared {
    pub(crate) flow: Flow,
    plan: BoundPlan,
    models: Arc<AllModels>,
    prices: Prices,
    pub(crate) masks: Masks,
    python: Option<Arc<PythonSide>>,
    /// How many calls may be in flight at once.
    pub(crate) in_flight: usize,
    /// What everything that waits runs on, workers' pipes too.
    runtime: Runtime,
}

impl Prepared {
    /// Compiles, binds and connects. Nothing is opened yet.
    pub(crate) fn new(session: &Session, flow: Flow, choices: &Choices) -> Result<Self, CliError> {
        let environment = &flow.environment;
        if choices.variant.is_some() && flow.is_prompty() {
            return Err(CliError::misused(format!("flow `{}` is a prompty, which has no variants", flow.name)));
        }
        let mut plan = session.plan(&flow, choices.variant.as_ref())?;
        if !choices.variables.is_empty() {
            let mut changed = (*plan).clone();
            changed.environment_variables.extend(choices.variables.clone());
            plan = Arc::new(changed);
        }
        let whole = plan.clone();
        if let Some(node) = &choices.node {
            plan = Arc::new(plan.only(node).ok_or_else(|| {
                let known: Vec<String> = plan.nodes.iter().map(|node| format!("`{}`", node.name)).collect();
                CliError::misused(format!("flow `{}` has no node `{node}`", flow.name))
                    .hint(format!("it has {}", known.join(", ")))
            })?);
        }
        let bound = {
            let variable = |name: &str| environment.variable(name).map(|found| Arc::from(found.value));
            let connection_value = connection_lookup(environment);
            let mut bindings = bindings_of(environment, &variable)?;
            bindings.connection_value = Some(&connection_value);
            for (name, chosen) in &choices.nodes {
                let binding = bindings.nodes.entry(name.clone()).or_default();
                binding.connection = chosen.connection.clone().or(binding.connection.take());
                binding.deployment_name = chosen.deployment_name.clone().or(binding.deployment_name.take());
            }
            bindings.set.clone_from(&choices.set);
            bindings.init.clone_from(&choices.init);
            bindings.whole = choices.node.as_ref().map(|_| &*whole);
            bind(&plan, &bindings)?
        };
        let mut inline = HashMap::new();
        inline_models(bound.plan(), &mut inline);
        let (mut connections, mut problems) = (Vec::new(), Vec::new());
        for name in connections_of(bound.plan()) {
            let found = match inline.get(&name) {
                Some(model) => environment.inline_connection(&name.0, model.provider.as_deref(), &model.configuration),
                None => environment.connection(&name.0),
            };
            match found {
                Ok(mut connection) => {
                    connection.limits.max_in_flight = choices.max_in_flight.unwrap_or(connection.limits.max_in_flight);
                    connections.push(connection);
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(CliError::Problems(problems));
        }
        let needs = whole.all_needs();
        let used = needs.iter().filter_map(|need| match &need.what {
            NeedKind::Variable(name) => Some(&**name),
            NeedKind::Connection(_) => None,
        });
        let redactor = environment.redactor_with(used, &connections).with(http_secrets(bound.plan()));
        let masks = Masks::new(redactor, session.printer());
        let prices = environment.prices()?;
        // Vectors are not asked for in batches.
        let share = |name: &str| match choices.provider_batch {
            Some(_) if !name.contains("embed") => SHARE_OF_PRICE,
            _ => 1.0,
        };
        let prices = prices.into_iter().map(|(name, price)| {
            let share = share(&name);
            let cached_input = price.cached_input.map(|price| price * share);
            (name, Price { input: price.input * share, cached_input, output: price.output * share })
        });
        let options = session.client_options(&flow.environment, choices.stream)?;
        let in_flight = connections.iter().map(|connection| connection.limits.max_in_flight).max();
        let in_flight = in_flight.or(choices.max_in_flight).unwrap_or(one(environment.max_in_flight())?);
        let models =
            AllModels::new(connections, flow.environment.clone(), options).with_in_flight(choices.max_in_flight);
        let models = Arc::new(models.in_batches(choices.provider_batch.clone()));
        if choices.provider_batch.is_some() {
            // Before anything is sent: who has no batches says so now.
            for name in chat_connections_of(bound.plan()) {
                models.chat(&name).map_err(|error| {
                    CliError::misused(error.to_string()).hint("leave `--provider-batch` out, or use another connection")
                })?;
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::failed("the program cannot wait for anything").cause(error.to_string()))?;
        let mut prepared = Self {
            plan: bound,
            models,
            prices: Prices(prices.collect()),
            masks,
            python: None,
            runtime,
            flow,
            in_flight,
        };
        if has_python(prepared.plan.plan()) {
            prepared.load_tools(session)?;
        }
        Ok(prepared)
    }

    /// Starts Python and loads the tools of all nodes: what is wrong with them is told before anything is paid for.
    fn load_tools(&mut self, session: &Session) -> Result<(), CliError> {
        let python = python_side(&self.flow.environment, session.printer(), &self.masks, &self.models)?;
        self.python = Some(python.clone());
        self.plan = self.runtime.block_on(load_tools(&python, &self.plan))?;
        Ok(())
    }

    /// The inputs and output that make the flow a chat.
    pub(crate) fn chat(&self) -> Option<ChatMarkers> {
        self.plan.plan().chat.clone()
    }

    /// Ends what was started, its own exit functions run.
    pub(crate) fn close(&self) {
        if let Some(python) = &self.python {
            self.runtime.block_on(python.shutdown());
        }
    }

    /// The flow's inputs: what is given, coerced, with defaults.
    pub(crate) fn inputs(&mut self, session: &Session, given: &Given) -> Result<Map, CliError> {
        for unknown in self.plan.plan().unknown_inputs(&given.inputs) {
            let near = unknown.suggestion.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            session.printer().warn(&format!("flow `{}` has no input `{}`{near}", self.flow.name, unknown.name));
        }
        let takes = self.takes(session, given.folder.as_deref())?;
        let plan = self.plan.plan();
        let inputs = takes.inputs(&given.inputs).map_err(|errors| {
            let known: Vec<String> =
                plan.inputs.iter().map(|(name, spec)| format!("{name} ({})", spec.kind.word())).collect();
            let hint = format!("flow `{}` takes {}", self.flow.name, known.join(", "));
            match &errors[..] {
                [one] => CliError::misused(one.to_string()),
                several => several
                    .iter()
                    .fold(CliError::misused(format!("{} inputs do not fit", several.len())), |error, next| {
                        error.cause(next.to_string())
                    }),
            }
            .hint(hint)
        })?;
        let mut secrets = Vec::new();
        for name in &takes.secret {
            match inputs.get(name) {
                None | Some(Value::Null) => {}
                Some(Value::Str(text)) => {
                    if text.len() < SHORTEST_SECRET {
                        session.printer().warn(&format!(
                            "input `{name}` is secret and has fewer than {SHORTEST_SECRET} bytes: too short to be taken out of what is kept and shown"
                        ));
                    }
                    secrets.push(text.clone());
                }
                Some(other) => {
                    return Err(CliError::misused(format!(
                        "input `{name}` is secret, and only a text can be kept out of what is recorded, not {}",
                        other.type_name()
                    )));
                }
            }
        }
        self.masks.hide(secrets);
        Ok(inputs)
    }

    /// What must be the same when a run is resumed.
    pub(crate) fn hashes(&self) -> PlanHashes {
        // What the flow sees and the connections that it asks. A key may be renewed between two processes, and what
        // other flows use is none of this run's business.
        let asked: Vec<String> =
            connections_of(self.plan.plan()).iter().map(|name| format!("connections.{name}.")).collect();
        let section = format!("{}.", self.flow.environment.flow());
        let mut settings = String::new();
        for entry in self.flow.environment.entries() {
            let matters = entry.key.starts_with(&section) || asked.iter().any(|prefix| entry.key.starts_with(prefix));
            if matters && !entry.secret {
                settings += &format!("{}={}\n", entry.key, entry.shown);
            }
        }
        PlanHashes {
            plan: self.plan.plan().hash.to_string(),
            settings: sluicegate_value::hash::sha256(settings),
            engine: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Opens the journal of a new run.
    pub(crate) fn new_journal(&self, session: &Session, run: &RunId) -> Result<RunJournal, CliError> {
        let settings = session.store_settings(self.flow.environment.project())?;
        let store = Store::open(&settings.path).map_err(store_error)?;
        store.create_run(run, env!("CARGO_PKG_VERSION"), durability(&settings)).map_err(store_error)
    }

    /// Runs, or goes on with a run.
    pub(crate) fn run(
        &self,
        session: &Session,
        journal: Arc<dyn Journal>,
        start: Start,
        shown: &Shown,
        (deploy_traces, kept): (Option<&str>, KeptReplies),
        interrupted: impl Future<Output = ()>,
    ) -> Result<RunReport, CliError> {
        let past: &[Event] = match &start {
            Start::Resume { past } => past,
            Start::New(_) => &[],
        };
        let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
        if shown.stream {
            listeners.push(Box::new(ShowChunks::new(session.printer().clone())));
        }
        listeners.push(Box::new(ShowTrouble::new(session.printer().clone())));
        if self.python.is_some() {
            listeners.push(Box::new(ShowPython::new(session.printer().clone())));
        }
        let mut engine = self.engine(session, journal, listeners, deploy_traces, past)?;
        engine.options.stream = shown.stream;
        engine.kept = kept;
        Ok(self.runtime.block_on(sluicegate_executor::run(&engine, &self.plan, start, interrupted)))
    }

    /// What runs need of the world.
    pub(crate) fn engine(
        &self,
        session: &Session,
        journal: Arc<dyn Journal>,
        mut listeners: Vec<Box<dyn Listener>>,
        deploy_traces: Option<&str>,
        past: &[Event],
    ) -> Result<Engine, CliError> {
        let telemetry = one(self.flow.environment.telemetry())?;
        listeners.extend(traces::exporter(session, &self.flow, &telemetry, deploy_traces, past));
        let options = Options {
            capture_content: telemetry.capture_content,
            parent: self.flow.environment.variable("TRACEPARENT").and_then(|found| TraceContext::parse(found.value)),
            sample: traces::sampler(session, &telemetry),
            ..Options::default()
        };
        Ok(Engine {
            journal,
            listeners: Listeners::new(listeners),
            models: self.models.clone(),
            prices: self.prices.clone(),
            kept: KeptReplies::default(),
            budget: None,
            python: self.python.clone(),
            redact: self.masks.redact(),
            options,
        })
    }

    /// Runs a batch, or goes on with one.
    pub(crate) fn run_batch(
        &self,
        engine: Engine,
        start: BatchStart,
        lines: impl Iterator<Item = Result<Line, String>>,
        options: BatchOptions,
        interrupted: impl Future<Output = ()>,
    ) -> BatchReport {
        self.runtime.block_on(run_batch(Arc::new(engine), &self.plan, start, lines, options, interrupted))
    }

    /// Asks a provider to cancel a batch, and returns the status that it then has.
    pub(crate) fn cancel_batch(&self, connection: &str, batch: &str) -> Result<Arc<str>, ModelError> {
        self.runtime.block_on(self.models.cancel_batch(&ConnectionName(connection.into()), batch))
    }

    /// The flow as it runs.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        self.plan.plan()
    }

    /// Where images among the outputs of a run go: beside its journal, if it has one.
    pub(crate) fn image_files(&self, session: &Session, run: &RunId, kept: bool) -> ImageFiles {
        let settings = session.store_settings(self.flow.environment.project()).ok().filter(|_| kept);
        let folder = settings.map(|settings| settings.path.join(format!("{run}-images")));
        ImageFiles { folder, format: self.plan.plan().message_format }
    }

    /// The connection that the node at a path asks, if it asks one.
    pub(crate) fn connection_of(&self, path: &sluicegate_events::NodePath) -> Option<ConnectionName> {
        let mut plan = self.plan.plan();
        let (last, before) = path.0.split_last()?;
        for step in before {
            plan = plan.node(plan.find(&step.node.0)?).kind.inner()?;
        }
        connection_of_kind(&plan.node(plan.find(&last.node.0)?).kind)
    }
}

/// Every connection that a plan's nodes ask, inner flows included.
fn connections_of(plan: &Plan) -> BTreeSet<ConnectionName> {
    let mut names = BTreeSet::new();
    for node in &plan.nodes {
        names.extend(connection_of_kind(&node.kind));
        if let Some(inner) = node.kind.inner() {
            names.extend(connections_of(inner));
        }
    }
    names
}

/// The models that prompties describe in themselves, by the names of their connections.
pub(crate) fn inline_models(plan: &Plan, found: &mut HashMap<ConnectionName, PromptyModel>) {
    for node in &plan.nodes {
        if let NodeKind::Prompty(prompty) = &node.kind
            && prompty.model.connection.as_ref() == Some(&inline_connection_name(&prompty.file))
        {
            found.insert(ConnectionName(inline_connection_name(&prompty.file)), prompty.model.clone());
        }
        if let Some(inner) = node.kind.inner() {
            inline_models(inner, found);
        }
    }
}

/// Every connection that a plan's nodes ask for conversations, inner flows included.
fn chat_connections_of(plan: &Plan) -> BTreeSet<ConnectionName> {
    let mut names = BTreeSet::new();
    for node in &plan.nodes {
        if !matches!(node.kind, NodeKind::Embedding(_)) {
            names.extend(connection_of_kind(&node.kind));
        }
        if let Some(inner) = node.kind.inner() {
            names.extend(chat_connections_of(inner));
        }
    }
    names
}

fn connection_of_kind(kind: &NodeKind) -> Option<ConnectionName> {
    match kind {
        NodeKind::Llm(llm) => llm.connection.clone(),
        NodeKind::Embedding(embedding) => embedding.connection.clone(),
        NodeKind::Prompty(prompty) => prompty.model.connection.clone().map(ConnectionName),
        _ => None,
    }
}

/// What a config environment says about a flow's models.
pub(crate) fn bindings_of<'a>(environment: &Environment, variable: &'a Lookup<'a>) -> Result<Bindings<'a>, CliError> {
    let mut bindings = Bindings::new(variable);
    bindings.connection_name = one(environment.connection_name())?.map(|name| ConnectionName(name.into()));
    bindings.deployment_name = one(environment.deployment_name())?.map(Into::into);
    bindings.embedding_deployment_name = one(environment.embedding_deployment_name())?.map(Into::into);
    bindings.nodes = node_bindings(one(environment.value("nodes"))?.map(|setting| setting.value))?;
    bindings.connections =
        Some(environment.connection_names().into_iter().map(|name| ConnectionName(name.into())).collect());
    Ok(bindings)
}

/// Values of connections, as `${connection.key}` in a flow's `environment_variables` asks for them.
pub(crate) fn connection_lookup(environment: &Environment) -> impl Fn(&ConnectionName, &str) -> ConnectionValue {
    |name, key| {
        if !environment.connection_names().iter().any(|known| **known == *name.0) {
            return ConnectionValue::NoConnection;
        }
        let facts = match environment.connection_facts(&name.0) {
            Ok(facts) => facts,
            Err(problems) => {
                let messages: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                return ConnectionValue::Incomplete(messages.join("; "));
            }
        };
        match facts.expose(key) {
            Some(text) => ConnectionValue::Text(text),
            None => ConnectionValue::NoKey(facts.keys().map(ToOwned::to_owned).collect()),
        }
    }
}

/// A section's `nodes: { NAME: { connection_name, deployment_name } }`.
fn node_bindings(nodes: Option<Value>) -> Result<indexmap::IndexMap<Arc<str>, NodeBinding>, CliError> {
    let mut bindings = indexmap::IndexMap::new();
    let Some(nodes) = nodes else { return Ok(bindings) };
    let wrong = || CliError::misused("`nodes` of the flow's section takes NODE: { connection_name, deployment_name }");
    for (name, node) in nodes.as_map().ok_or_else(wrong)? {
        let node = node.as_map().ok_or_else(wrong)?;
        const KEYS: [&str; 4] = ["connection_name", "connection", "deployment_name", "model"];
        if let Some(key) = node.keys().find(|key| !KEYS.contains(&&***key)) {
            let error = CliError::misused(format!("`nodes.{name}` of the flow's section has no key `{key}`"));
            return Err(match nearest(key, KEYS) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("it takes connection_name and deployment_name"),
            });
        }
        let text = |names: [&str; 2]| names.into_iter().find_map(|name| node.get(name)?.as_str());
        let binding = NodeBinding {
            connection: text(["connection_name", "connection"]).map(ConnectionName::from),
            deployment_name: text(["deployment_name", "model"]).map(Into::into),
        };
        bindings.insert(name.clone(), binding);
    }
    Ok(bindings)
}

/// What `http` nodes read from variables: most often a token, whatever the variable is called.
fn http_secrets(plan: &Plan) -> Vec<String> {
    let mut secrets = Vec::new();
    for node in &plan.nodes {
        if let NodeKind::Http(http) = &node.kind {
            let values = http.variables.iter().filter_map(|variable| variable.value.as_deref());
            secrets.extend(values.filter(|value| value.len() >= SHORTEST_SECRET).map(ToOwned::to_owned));
        }
        if let Some(inner) = node.kind.inner() {
            secrets.extend(http_secrets(inner));
        }
    }
    secrets
}

pub(crate) fn one<T>(result: Result<T, Problem>) -> Result<T, CliError> {
    result.map_err(|problem| CliError::Problems(vec![problem]))
}

/// What an acknowledged event survives, as the settings say.
pub(crate) fn durability(settings: &sluicegate_config::Store) -> sluicegate_store::Durability {
    match settings.durability {
        Durability::Full => sluicegate_store::Durability::Power,
        Durability::Process => sluicegate_store::Durability::Process,
    }
}
