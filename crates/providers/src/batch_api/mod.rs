//! A provider's batch API: chat calls are collected into files, which the provider answers within a day at half the
//! price.
//!
//! ```text
//!  chat() ─► adapt ─► collector ─► file of calls ─► upload ─► manifest ─► submit ─► manifest ─► watch ─► output, errors
//!     ▲                  │ one for each model; full, or no call for a moment                       │
//!     │                  └── a call that an earlier process submitted ──► its batch ──────────────►┤
//!     └───────────────────────────── each call's own answer, read as any other ◄──────────────────┘
//! ```
//!
//! It is a [`ChatModel`] like any other: whoever asks waits for the answer, however long that takes. A flow whose second
//! node reads the first one's reply makes two waves.
//!
//! No call is paid for twice: before a batch is submitted, the manifest has its file's id; afterwards, its own id. Who
//! asks the same call again after a kill gets the answer of the batch that holds it. A process that died between the two
//! looks for a batch with its file. What a call is known by ([`lines::call_key`]) follows from the request, the line, the
//! repeat and the call's number alone.
//!
//! The limits, retries and total timeout of a connection are of no concern here: they are about calls that are sent. A
//! parameter that the deployment refuses is learned as ever, and costs another batch; what `deployments:` of the settings
//! declares costs none.
//!
//! [`ChatModel`]: sluicegate_model::ChatModel

mod collector;
mod job;
mod lines;
mod manifest;
mod notice;
mod provider;
mod service;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use manifest::{Entry, Manifest, State};

pub use manifest::ManifestError;
pub use notice::{BatchHappened, BatchNotice};
pub(crate) use service::Batched;

/// The most calls that a provider takes in one file.
pub const MOST_CALLS: usize = 50_000;

/// The most bytes that a provider takes in one file.
const MOST_BYTES: usize = 200_000_000;

/// What part of its price a call in a batch costs, by the word of the providers.
pub const SHARE_OF_PRICE: f64 = 0.5;

/// How the chat calls of a run go into batches, and what is known of these.
pub struct ProviderBatches {
    size: usize,
    most_bytes: usize,
    idle: Duration,
    polling: Polling,
    told: Option<Told>,
    kept: OnceLock<Kept>,
    known: Mutex<Known>,
}

type Told = Box<dyn Fn(&BatchNotice) + Send + Sync>;

/// A connection, and what a call of it is known by.
type CallOf = (Arc<str>, String);

/// How often a batch is looked at.
#[derive(Clone, Copy, Debug)]
struct Polling {
    first: Duration,
    most: Duration,
    /// How long a provider may be out of reach before those who wait are told.
    patience: Duration,
}

/// Where the manifest is, and whose it is.
struct Kept {
    file: PathBuf,
    run: String,
}

#[derive(Default)]
struct Known {
    manifest: Manifest,
    /// Calls that an earlier process handed over: entry and custom id, the latest last.
    recorded: HashMap<CallOf, Vec<(usize, Arc<str>)>>,
    /// What batches that are not over said last, by their entry.
    open: BTreeMap<usize, OpenBatch>,
}

/// A batch that the provider works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBatch {
    /// The connection by which it was submitted.
    pub connection: Arc<str>,
    /// Its id; `None` if nobody knows yet whether the provider has it.
    pub batch: Option<Arc<str>>,
    /// How many calls it holds.
    pub calls: u64,
    /// How many of them are answered, as far as was told.
    pub completed: u64,
}

impl ProviderBatches {
    /// Batches of at most `size` calls (1 to [`MOST_CALLS`]), submitted when no call has come for half a second.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self {
            size: size.clamp(1, MOST_CALLS),
            most_bytes: MOST_BYTES,
            idle: Duration::from_millis(500),
            polling: Polling {
                first: Duration::from_secs(5),
                most: Duration::from_secs(60),
                patience: Duration::from_secs(3600),
            },
            told: None,
            kept: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// How long no call has to come before a batch is submitted that is not full.
    #[must_use]
    pub fn idle(self, idle: Duration) -> Self {
        Self { idle, ..self }
    }

    /// How long to wait before a batch is looked at first, and at most between two looks; the provider's `Retry-After`
    /// counts over both.
    #[must_use]
    pub fn polling(mut self, first: Duration, most: Duration) -> Self {
        (self.polling.first, self.polling.most) = (first, most.max(first));
        self
    }

    /// How long a provider may be out of reach before the calls of a batch fail; an hour unless set.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.polling.patience = patience;
        self
    }

    /// Tells how batches stand. Must not block.
    #[must_use]
    pub fn telling(self, told: impl Fn(&BatchNotice) + Send + Sync + 'static) -> Self {
        Self { told: Some(Box::new(told)), ..self }
    }

    /// How many calls a batch holds at most.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Keeps the manifest of a run in this file from now on, and takes up what an earlier process left there. To be
    /// called before the first call, once.
    ///
    /// # Errors
    /// There is a file, and it cannot be read or makes no sense: going on would pay for its batches again.
    pub fn keep_in(&self, file: &Path, run: &str) -> Result<(), ManifestError> {
        let manifest = Manifest::read(file)?;
        let mut known = self.known();
        for (position, entry) in manifest.entries.iter().enumerate() {
            let answered = entry.calls.iter().filter(|call| !entry.failed.contains(*call));
            for call in answered {
                let key = (entry.connection.clone(), lines::key_of(call).to_owned());
                known.recorded.entry(key).or_default().push((position, call.clone()));
            }
            if entry.state != State::Over {
                known.open.insert(position, open(entry));
            }
        }
        known.manifest = manifest;
        drop(known);
        let _ = self.kept.set(Kept { file: file.to_owned(), run: run.to_owned() });
        Ok(())
    }

    /// The batches that are not over, the oldest first: the provider goes on with them when this process ends.
    #[must_use]
    pub fn open(&self) -> Vec<OpenBatch> {
        self.known().open.values().cloned().collect()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) -> Option<&str> {
        self.kept.get().map(|kept| kept.run.as_str())
    }

    /// The batch that an earlier process put a call into, and the call's id there. It answers one such call.
    fn recorded(&self, connection: &str, key: &str) -> Option<(usize, Arc<str>)> {
        let mut known = self.known();
        if known.recorded.is_empty() {
            return None;
        }
        known.recorded.get_mut(&(Arc::from(connection), key.to_owned()))?.pop()
    }

    /// Calls that a batch holds were given up, and may be asked again.
    fn put_back(&self, connection: &str, position: usize, calls: Vec<Arc<str>>) {
        let mut known = self.known();
        for call in calls {
            let key = (Arc::from(connection), lines::key_of(&call).to_owned());
            known.recorded.entry(key).or_default().push((position, call));
        }
    }

    fn entry(&self, position: usize) -> Option<Entry> {
        self.known().manifest.entries.get(position).cloned()
    }

    /// Writes down a batch that will be submitted.
    fn add(&self, entry: Entry) -> Result<usize, ManifestError> {
        let mut known = self.known();
        let position = known.manifest.entries.len();
        known.open.insert(position, open(&entry));
        known.manifest.entries.push(entry);
        match self.write(&known.manifest) {
            Ok(()) => Ok(position),
            Err(error) => {
                known.manifest.entries.pop();
                known.open.remove(&position);
                Err(error)
            }
        }
    }

    /// Writes down how a batch stands. That it cannot be written is no reason to lose what is paid for: a process that
    /// goes on finds the batch by its file, or its result again.
    fn change(&self, position: usize, change: impl FnOnce(&mut Entry)) {
        let mut known = self.known();
        let Known { manifest, open: opened, .. } = &mut *known;
        let Some(entry) = manifest.entries.get_mut(position) else { return };
        change(entry);
        match entry.state {
            State::Over => drop(opened.remove(&position)),
            State::Uploaded | State::Submitted => {
                let completed = opened.get(&position).map_or(0, |open| open.completed);
                opened.insert(position, OpenBatch { completed, ..open(entry) });
            }
        }
        let _ = self.write(manifest);
    }

    fn write(&self, manifest: &Manifest) -> Result<(), ManifestError> {
        match self.kept.get() {
            Some(kept) => manifest.write(&kept.file, &kept.run),
            None => Ok(()),
        }
    }

    fn progressed(&self, position: usize, completed: u64) {
        if let Some(open) = self.known().open.get_mut(&position) {
            open.completed = completed;
        }
    }

    fn tell(&self, notice: &BatchNotice) {
        if let Some(told) = &self.told {
            told(notice);
        }
    }
}

fn open(entry: &Entry) -> OpenBatch {
    OpenBatch {
        connection: entry.connection.clone(),
        batch: entry.batch.clone(),
        calls: entry.calls.len() as u64,
        completed: 0,
    }
}

impl fmt::Debug for ProviderBatches {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ProviderBatches").field("size", &self.size).field("idle", &self.idle).finish_non_exhaustive()
    }
}
