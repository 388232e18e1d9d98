//! A flow's folder with Python files, a pool for it, and a host that remembers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use sluicegate_model::BoxFuture;
use sluicegate_python::{
    Argument, Ask, Host, HostError, Interpreter, LineId, Pool, Pools, PythonError, Search, Settings, Stream, Tool,
    ToolCall, ToolSource,
};
use sluicegate_value::{Handle, Map, Value};

/// The path of the machine that tests run on.
#[expect(clippy::disallowed_methods, reason = "tests need a real Python, wherever this machine has it")]
pub(crate) fn search_path() -> Option<std::ffi::OsString> {
    std::env::var_os("PATH")
}

/// The Python of this machine; a version manager's shim is resolved once.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let search = Search { path: search_path(), ..Search::default() };
        let Interpreter { program, .. } = search.find().expect("these tests need a Python on PATH");
        let said = Command::new(program).args(["-c", "import sys; print(sys.executable)"]).output().expect("it runs");
        PathBuf::from(String::from_utf8(said.stdout).expect("text").trim())
    })
}

/// One place for the worker's files, so that Python compiles them once.
pub(crate) fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("python-cache")
}

pub(crate) fn settings() -> Settings {
    let search = Search { configured: Some(python().to_owned()), ..Search::default() };
    Settings { search, cache: Some(cache()), size: Some(1), ..Settings::default() }
}

/// A flow's folder and its pool.
pub(crate) struct Flow {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) pools: Pools,
    pub(crate) pool: Pool,
}

impl Flow {
    /// A folder with these files and a pool of one.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        Self::with(files, settings())
    }

    pub(crate) fn with(files: &[(&str, &str)], settings: Settings) -> Self {
        Self::with_variables(files, settings, &[])
    }

    pub(crate) fn with_variables(files: &[(&str, &str)], settings: Settings, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let pools = Pools::new(settings);
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let pool = pools.pool(folder.path(), &variables);
        Self { folder, pools, pool }
    }

    /// A flow with one tool, `tool.py`, that begins with the usual import.
    pub(crate) fn of_tool(text: &str) -> Self {
        Self::new(&[("tool.py", &tool_file(text))])
    }

    pub(crate) fn source(&self, file: &str) -> ToolSource {
        ToolSource::File(self.folder.path().join(file))
    }

    pub(crate) async fn try_load(&self, file: &str) -> Result<Arc<Tool>, PythonError> {
        self.pool.load(&self.source(file), &sluicegate_python::NoHost, None).await
    }

    pub(crate) async fn load(&self, file: &str) -> Arc<Tool> {
        self.try_load(file).await.unwrap_or_else(|error| panic!("{file}: {error:?}"))
    }

    /// Calls `tool.py`.
    pub(crate) async fn call(&self, inputs: &[(&str, Value)]) -> Result<Value, PythonError> {
        self.call_for(inputs, &Heard::default()).await
    }

    pub(crate) async fn call_for(&self, inputs: &[(&str, Value)], host: &dyn Host) -> Result<Value, PythonError> {
        let tool = self.pool.load(&self.source("tool.py"), host, None).await?;
        self.pool.call(&call_of(&tool, inputs), host).await
    }

    /// The value of `tool.py` as JSON.
    pub(crate) async fn json(&self, inputs: &[(&str, Value)]) -> String {
        self.call(inputs).await.unwrap_or_else(|error| panic!("{error:?}")).to_json()
    }
}

pub(crate) fn tool_file(text: &str) -> String {
    format!("from promptflow.core import tool\n{text}")
}

pub(crate) fn call_of(tool: &Arc<Tool>, inputs: &[(&str, Value)]) -> ToolCall {
    let inputs = inputs.iter().map(|(name, value)| ((*name).into(), Argument::Value(value.clone()))).collect();
    ToolCall::new(tool.clone(), inputs)
}

pub(crate) fn call_in_line(tool: &Arc<Tool>, inputs: &[(&str, Value)], line: u64) -> ToolCall {
    ToolCall { line: Some(LineId(line)), ..call_of(tool, inputs) }
}

pub(crate) fn handle(value: &Value) -> Arc<Handle> {
    match value {
        Value::Handle(handle) => handle.clone(),
        other => panic!("no handle: {other:?}"),
    }
}

/// A host that keeps what it hears, and answers by a function.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) stdout: Mutex<String>,
    pub(crate) stderr: Mutex<String>,
    pub(crate) chunks: Mutex<Vec<String>>,
    pub(crate) spans: Mutex<Vec<Map>>,
    pub(crate) metrics: Mutex<Vec<(String, Value)>>,
    pub(crate) answers: Option<Box<Answer>>,
    /// Told at each line of output: what a test waits for.
    pub(crate) printed: tokio::sync::Notify,
}

/// Answers a question.
pub(crate) type Answer = dyn Fn(Ask) -> BoxFuture<'static, Result<Argument, HostError>> + Send + Sync;

impl Heard {
    pub(crate) fn answering(
        answer: impl Fn(Ask) -> BoxFuture<'static, Result<Argument, HostError>> + Send + Sync + 'static,
    ) -> Self {
        Self { answers: Some(Box::new(answer)), ..Self::default() }
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().expect("not poisoned").clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("not poisoned").clone()
    }

    /// Waits until the tool has printed this.
    pub(crate) async fn until_printed(&self, text: &str) {
        loop {
            let printed = self.printed.notified();
            if self.stdout().contains(text) {
                return;
            }
            printed.await;
        }
    }
}

impl Host for Heard {
    fn ask(&self, ask: Ask) -> BoxFuture<'_, Result<Argument, HostError>> {
        match &self.answers {
            Some(answer) => answer(ask),
            None => Box::pin(async { Err(HostError::new("NotImplementedError", "nobody answers")) }),
        }
    }

    fn said(&self, stream: Stream, text: &str) {
        let heard = match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
        };
        heard.lock().expect("not poisoned").push_str(text);
        self.printed.notify_waiters();
        self.printed.notify_one();
    }

    fn chunk(&self, text: &str) {
        self.chunks.lock().expect("not poisoned").push(text.to_owned());
    }

    fn span(&self, note: &Map) {
        self.spans.lock().expect("not poisoned").push(note.clone());
    }

    fn metric(&self, key: &str, value: &Value) {
        self.metrics.lock().expect("not poisoned").push((key.to_owned(), value.clone()));
    }
}

/// Waits until a process is gone.
pub(crate) async fn until_gone(pid: i64) {
    while is_alive(pid) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Whether a process runs (a zombie does not).
pub(crate) fn is_alive(pid: i64) -> bool {
    let said = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps runs");
    let state = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}
