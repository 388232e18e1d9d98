//! The workers of one flow folder and environment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize as _;
use sluicegate_value::hash::sha256;
use sluicegate_value::{Handle, Map, Value};

use crate::argument::{Argument, SentArguments, handles_of};
use crate::channel;
use crate::error::PythonError;
use crate::host::{Host, NoHost};
use crate::members::{Begun, Inner, named};
use crate::pools::Shared;
use crate::request::Answered;
use crate::schedule::Slot;
use crate::tool::{LineId, PropertyStep, Tool, ToolCall, ToolSource, described};
use crate::watch::Watch;
use crate::wire::Outgoing;
use crate::worker::Request;

/// How long a worker may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// What is left to a call at least, however long its tool took to load.
const LEAST: Duration = Duration::from_millis(1);

/// The workers of one flow folder and environment. Cheap to clone; dropping the last clone ends the workers.
///
/// Workers start at need, as many as there are cores unless the settings say otherwise. Each runs one synchronous call at
/// a time (one that waits for the host does not count) and any number of asynchronous ones. Calls of a tool that is known to
/// be quick may wait in a worker for the one that runs; when that takes long after all, they are given to others.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

/// What is known of a pool's Python.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonFacts {
    /// Its version, as `3.12.1`.
    pub version: Arc<str>,
    /// The executable.
    pub executable: PathBuf,
}

impl Pool {
    pub(crate) fn new(shared: Arc<Shared>, folder: PathBuf, variables: Vec<(String, String)>) -> Self {
        Self(Inner::new(shared, folder, variables))
    }

    /// The flow's folder, where the workers are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Loads a tool and says what it takes. A tool is loaded once by each worker that calls it, and described once.
    ///
    /// # Errors
    /// There is no Python; the file raises, or has no tool or several; the deadline passed.
    pub async fn load(
        &self,
        source: &ToolSource,
        host: &dyn Host,
        deadline: Option<Instant>,
    ) -> Result<Arc<Tool>, PythonError> {
        let key: Arc<str> = key_of(source).into();
        if let Some(tool) = self.0.tools().get(&key) {
            return Ok(tool.clone());
        }
        let loading = async {
            let (worker, request) = self.0.begin(Slot::Sync, || Ok(None)).await?;
            let told = self.0.load_in(&worker, request, source, &key, host).await?;
            let tool = Arc::new(described(&told, source.clone(), key.clone()));
            Ok(self.0.tools().entry(key.clone()).or_insert(tool).clone())
        };
        within(deadline, loading).await
    }

    /// Calls a tool. Dropping the future cancels the call: an asynchronous tool at its next `await`, a synchronous one when
    /// it next asks the host; what has not ended after the settings' patience is killed with its worker.
    ///
    /// # Errors
    /// Whatever became of it; see [`PythonError`]. [`PythonError::is_repeatable`] tells which calls were not to blame.
    pub async fn call(&self, call: &ToolCall, host: &dyn Host) -> Result<Value, PythonError> {
        let slot = if call.tool.kind.is_async() { Slot::Async } else { Slot::Sync };
        let objects = handles_of(call.inputs.iter().map(|(_, argument)| argument));
        let calling = async {
            let mut ticket = None;
            loop {
                let place = || self.0.place_of(&objects, call.line);
                let begun = self.0.begin_call(slot, Some(&call.tool.pace), ticket, place).await?;
                ticket = Some(begun.ticket);
                match self.call_in(begun, call, host).await {
                    Ok(Answered::Value(value)) => return Ok(value),
                    Ok(Answered::TakenBack) => {}
                    Err(error) => {
                        if matches!(error, PythonError::TimedOut | PythonError::WorkerDied { .. }) {
                            call.tool.pace.hung();
                        }
                        return Err(error);
                    }
                }
            }
        };
        within(call.deadline, calling).await.map_err(|error| match error {
            PythonError::HandleLost { lost } if lost.is_empty() => PythonError::HandleLost { lost: named(&objects) },
            other => other,
        })
    }

    /// Calls a tool where there is a place for it.
    async fn call_in(&self, begun: Begun, call: &ToolCall, host: &dyn Host) -> Result<Answered, PythonError> {
        let Begun { worker, mut request, behind, .. } = begun;
        let mut timeout = call.timeout;
        if !worker.has_loaded(&call.tool.key) {
            let Some(loading) = worker.open(None, true, self.0.shared.settings.patience) else {
                return Err(PythonError::WorkerReplaced { because: "it ended before the call began" });
            };
            let watch = Watch::over(&loading, timeout, false);
            let began = Instant::now();
            watch.over_work(self.0.load_in(&worker, loading, &call.tool.source, &call.tool.key, host)).await?;
            // Where it had to wait for others, nobody knows how long it took by itself.
            if !behind && !call.tool.kind.is_async() {
                timeout = timeout.map(|timeout| timeout.saturating_sub(began.elapsed()).max(LEAST));
            }
        }
        let frame = channel::frame(&Outgoing::Call {
            id: request.number,
            tool: &call.tool.key,
            inputs: SentArguments { arguments: &call.inputs, worker: &worker.id },
            node: call.node.as_deref(),
            line: call.line.map(|line| line.0),
            trace: call.trace.as_ref().map(|trace| trace.traceparent()),
            behind: 0,
        })?;
        request.pace = (!call.tool.kind.is_async()).then(|| call.tool.pace.clone());
        let watch = Watch::over(&request, timeout, behind && self.0.size > 1);
        watch.over_work(self.0.finish_call(request, frame, host, call.line)).await
    }

    /// Takes steps into an object where it lives. What comes back may be an object again, bound to `line`.
    ///
    /// # Errors
    /// There is no such property ([`PythonError::NoSuchProperty`]), or the object is gone.
    pub async fn property(
        &self,
        object: &Arc<Handle>,
        steps: &[PropertyStep],
        line: Option<LineId>,
    ) -> Result<Value, PythonError> {
        let request = self.begin_at(object).await?;
        let frame = channel::frame(&Outgoing::Property { id: request.number, handle: object.id, steps, behind: 0 })?;
        self.0.finish(request, frame, &NoHost, line).await.map_err(|error| lost(error, object))
    }

    /// Joins what a generator gives, as text; the host hears the pieces as they come. A generator can be drained, and given
    /// to nodes, any number of times: all of them get all of it.
    ///
    /// # Errors
    /// The generator raised, or is gone, or the deadline passed.
    pub async fn drain(
        &self,
        generator: &Arc<Handle>,
        host: &dyn Host,
        deadline: Option<Instant>,
    ) -> Result<String, PythonError> {
        let draining = async {
            let request = self.begin_at(generator).await?;
            let frame =
                channel::frame(&Outgoing::Drain { id: request.number, handle: generator.id, tell: true, behind: 0 })?;
            self.0.finish(request, frame, host, None).await
        };
        match within(deadline, draining).await.map_err(|error| lost(error, generator))? {
            Value::Str(text) => Ok(text.to_string()),
            other => Err(PythonError::Protocol(format!("{} where text was expected", other.type_name()))),
        }
    }

    async fn begin_at(&self, object: &Arc<Handle>) -> Result<Request, PythonError> {
        let place = || self.0.place_of(std::slice::from_ref(object), None);
        Ok(self.0.begin(Slot::Sync, place).await?.1)
    }

    /// A node's literals as its tool's annotations want them (spec: promptflow.md §1.8); null and the empty text are taken
    /// out, so that the function's defaults apply.
    ///
    /// # Errors
    /// [`PythonError::InvalidLiteral`], in the original's words.
    pub async fn literals(&self, tool: &Tool, node: &str, literals: &Map) -> Result<Map, PythonError> {
        let arguments: Vec<_> =
            literals.iter().map(|(name, value)| (name.clone(), Argument::Value(value.clone()))).collect();
        if arguments.is_empty() {
            return Ok(Map::new());
        }
        let (worker, request) = self.0.begin(Slot::Async, || Ok(None)).await?;
        if !worker.has_loaded(&tool.key)
            && let Some(loading) = worker.open(None, true, self.0.shared.settings.patience)
        {
            self.0.load_in(&worker, loading, &tool.source, &tool.key, &NoHost).await?;
        }
        let inputs = SentArguments { arguments: &arguments, worker: &worker.id };
        let frame = channel::frame(&Outgoing::Literals { id: request.number, tool: &tool.key, node, inputs })?;
        match self.0.finish(request, frame, &NoHost, None).await? {
            Value::Map(map) => Ok(Arc::unwrap_or_clone(map)),
            other => Err(PythonError::Protocol(format!("{} where a map was expected", other.type_name()))),
        }
    }

    /// Which packages of a requirements file's text are not installed, as it names them. Versions are not compared; what
    /// the stand-in package replaces counts as installed.
    ///
    /// # Errors
    /// There is no Python.
    pub async fn missing_requirements(&self, text: &str) -> Result<Vec<String>, PythonError> {
        let (_, request) = self.0.begin(Slot::Async, || Ok(None)).await?;
        let frame = channel::frame(&Outgoing::Requirements { id: request.number, text })?;
        let names = self.0.finish(request, frame, &NoHost, None).await?;
        Ok(names.as_list().unwrap_or_default().iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect())
    }

    /// Which Python the workers run; starts one if there is none.
    ///
    /// # Errors
    /// There is no Python, or it does not start.
    pub async fn python(&self) -> Result<PythonFacts, PythonError> {
        let worker = self.0.any_worker().await?;
        let about = &worker.about;
        Ok(PythonFacts { version: about.python.clone(), executable: PathBuf::from(&about.executable) })
    }

    /// Lets go of objects: their numbers mean nothing any more.
    pub fn release(&self, objects: &[Arc<Handle>]) {
        let mut by_worker: HashMap<&str, Vec<u64>> = HashMap::new();
        for object in objects {
            by_worker.entry(&object.worker).or_default().push(object.id);
        }
        for (worker, handles) in by_worker {
            self.0.release(worker, &handles);
        }
    }

    /// A line has ended: lets go of all its objects.
    pub fn end_line(&self, line: LineId) {
        self.0.end_line(line);
    }

    /// Ends the workers, their exit functions run. Calls that run fail with [`PythonError::WorkerReplaced`], others with
    /// [`PythonError::ShutDown`].
    pub async fn shutdown(&self) {
        let farewells = self.0.close().into_iter().map(|worker| async move { worker.end(FAREWELL).await });
        futures_util::future::join_all(farewells).await;
    }
}

fn lost(error: PythonError, object: &Arc<Handle>) -> PythonError {
    match error {
        PythonError::HandleLost { lost } if lost.is_empty() => {
            PythonError::HandleLost { lost: named(std::slice::from_ref(object)) }
        }
        other => other,
    }
}

async fn within<T>(
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, PythonError>>,
) -> Result<T, PythonError> {
    match deadline {
        None => work.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), work).await.unwrap_or(Err(PythonError::TimedOut)),
    }
}

/// A tool's name in the workers: the same source has the same.
fn key_of(source: &ToolSource) -> String {
    match source {
        ToolSource::File(path) => format!("file {}", path.display()),
        ToolSource::Package(id) => format!("package {id}"),
        ToolSource::Entry { entry, init, method } => {
            let mut made_with = Vec::new();
            // Hashed, since secrets may be among it.
            let _ = SentArguments { arguments: init, worker: "" }
                .serialize(&mut serde_json::Serializer::new(&mut made_with));
            format!("entry {entry} {} {}", method.name(), sha256(&made_with))
        }
    }
}
