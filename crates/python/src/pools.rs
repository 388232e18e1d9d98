//! All pools of a program, and what they share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::embedded::Installed;
use crate::error::PythonError;
use crate::interpreter::Search;
use crate::pool::Pool;
use crate::schedule::WorkerId;
use crate::shim::ShimMemory;
use crate::stderr::Listener;
use crate::worker::{Owner, Start, Worker};

/// What all pools of a program have in common.
#[derive(Clone)]
pub struct Settings {
    /// Where to look for Python.
    pub search: Search,
    /// Remembers what pyenv's shims lead to; `None`: nothing is remembered.
    pub shims: Option<ShimMemory>,
    /// A folder of the user's own (its cache) for the worker's Python files; `None`, or one that others may write: a
    /// temporary folder, whose files Python compiles each time.
    pub cache: Option<PathBuf>,
    /// Whether an installed `promptflow` comes before the one that is built in.
    pub prefer_installed: bool,
    /// Whether spans of user code are wanted.
    pub tracing: bool,
    /// Workers of a pool; `None`: as many as there are cores.
    pub size: Option<usize>,
    /// How long a worker may take until it is ready.
    pub start_timeout: Duration,
    /// How long a cancelled call may take to end before its worker is killed.
    pub patience: Duration,
    /// Hears what workers write to stderr and no call has printed.
    pub listener: Option<Listener>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            search: Search::default(),
            shims: None,
            cache: None,
            prefer_installed: false,
            tracing: true,
            size: None,
            start_timeout: Duration::from_secs(60),
            patience: Duration::from_millis(500),
            listener: None,
        }
    }
}

impl Settings {
    pub(crate) fn size(&self) -> usize {
        self.size.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).max(1)
    }
}

/// What pools share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    installed: Mutex<Option<Installed>>,
    /// Makes workers' names unlike those of other programs, whose handles a journal may hold.
    nonce: String,
    workers: AtomicU64,
}

impl Shared {
    /// The folder with the worker's Python files.
    pub(crate) fn packages(&self) -> Result<PathBuf, PythonError> {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(installed) = &*installed {
            return Ok(installed.folder().to_owned());
        }
        let new = Installed::new(self.settings.cache.as_deref())
            .map_err(|error| PythonError::NotInstalled(Arc::new(error)))?;
        let folder = new.folder().to_owned();
        *installed = Some(new);
        Ok(folder)
    }

    /// Starts a worker.
    pub(crate) async fn start(
        &self,
        id: WorkerId,
        folder: PathBuf,
        variables: Vec<(String, String)>,
        owner: Weak<dyn Owner>,
    ) -> Result<Arc<Worker>, PythonError> {
        let settings = &self.settings;
        let interpreter = settings.search.find().map_err(|none| PythonError::NoInterpreter(Box::new(none)))?;
        let shim = settings.shims.as_ref().and_then(|shims| shims.shim(&interpreter, &folder));
        let remembered = shim.as_ref().and_then(|shim| shim.remembered());
        let first = remembered.is_none();
        let worker = Worker::start(
            Start {
                id,
                program: remembered.unwrap_or(interpreter.program),
                arguments: interpreter.arguments,
                packages: self.packages()?,
                folder,
                variables,
                prefer_installed: settings.prefer_installed,
                tracing: settings.tracing,
                timeout: settings.start_timeout,
                listener: settings.listener.clone(),
            },
            owner,
        )
        .await?;
        if let Some(shim) = shim.filter(|_| first) {
            shim.remember(&worker.about.executable);
        }
        Ok(worker)
    }

    pub(crate) fn next_worker(&self) -> WorkerId {
        format!("{}-{}", self.nonce, self.workers.fetch_add(1, Ordering::Relaxed) + 1).into()
    }
}

/// All pools of a program: one for each flow folder and set of variables, since working directory, import path and
/// environment belong to a process.
#[derive(Clone)]
pub struct Pools(Arc<Inside>);

struct Inside {
    shared: Arc<Shared>,
    pools: Mutex<HashMap<Key, Pool>>,
}

type Key = (PathBuf, Vec<(String, String)>);

impl Pools {
    /// No pools yet; nothing is started or looked for.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut random = [0; 6];
        // Without a source of chance the number of the process has to do.
        if getrandom::fill(&mut random).is_err() {
            random[..4].copy_from_slice(&std::process::id().to_be_bytes());
        }
        let nonce = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let shared = Shared { settings, installed: Mutex::default(), nonce, workers: AtomicU64::new(0) };
        Self(Arc::new(Inside { shared: Arc::new(shared), pools: Mutex::default() }))
    }

    /// The pool of a flow's folder and its variables; workers start at the first use.
    #[must_use]
    pub fn pool(&self, folder: &Path, variables: &[(String, String)]) -> Pool {
        let mut variables = variables.to_vec();
        variables.sort();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools
            .entry((folder.clone(), variables.clone()))
            .or_insert_with(|| Pool::new(self.0.shared.clone(), folder, variables))
            .clone()
    }

    /// Ends all workers, their exit functions run.
    pub async fn shutdown(&self) {
        let pools: Vec<_> = {
            let mut pools = self.0.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.drain().map(|(_, pool)| pool).collect()
        };
        futures_util::future::join_all(pools.iter().map(Pool::shutdown)).await;
    }
}
