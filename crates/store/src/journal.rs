//! The one writer of a run.
//!
//! ```text
//!  append(events).await ──┐
//!  append(events).await ──┼─► queue ─► writer thread: everything queued, one transaction, one sync ─► acks
//!  take_commands().await ─┘
//! ```
//!
//! There is no timer: a commit takes what came while the one before was being synced, so a lone append waits for
//! nobody and a thousand at once share a sync. Where thousands of lines append, [`RunJournal::gather`] lets commits keep a
//! distance: each line waits a little longer, and a disk that syncs quickly is not asked to do so for every few events.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use sluicegate_events::{Event, Journal, JournalError, RunId};
use sluicegate_model::BoxFuture;
use tokio::sync::oneshot;

use crate::append::{Appender, Buffers};
use crate::lock::{Lease, RunLock};
use crate::{Command, StoreError, format};

/// Appends that share a commit. More would make the first of them wait for the last without need.
const MOST_IN_A_COMMIT: usize = 4096;

/// How often a commit also says that this process lives.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The journal of one run, open for writing.
///
/// Dropping it waits until everything queued is written, closes the file and gives the run's lock back.
#[derive(Debug)]
pub struct RunJournal {
    run: RunId,
    place: PathBuf,
    queue: Option<Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    /// How far apart commits are at least, in microseconds.
    distance: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Request {
    Append(Arc<Vec<Event>>, oneshot::Sender<Result<(), JournalError>>),
    TakeCommands(oneshot::Sender<Result<Vec<Command>, JournalError>>),
}

impl RunJournal {
    pub(crate) fn start(run: RunId, place: PathBuf, connection: Connection, lock: RunLock) -> Result<Self, StoreError> {
        Lease::of_this_process().write(&connection).map_err(|error| StoreError::sqlite(&place, &error))?;
        let (queue, requests) = channel();
        let identity = FileIdentity::of(&place);
        let distance = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            place: place.clone(),
            identity,
            connection,
            buffers: Buffers::default(),
            broken: None,
            last_beat: Instant::now(),
            distance: distance.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                writer.work(&requests);
                // After the file is closed, not before.
                drop(lock);
            })
            .map_err(|error| StoreError::file(&place, &error))?;
        Ok(Self { run, place, queue: Some(queue), writer: Some(thread), distance })
    }

    /// Lets commits be so far apart at least, so that more appends share each.
    pub fn gather(&self, distance: Duration) {
        self.distance.store(u64::try_from(distance.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// The run's file.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Takes the commands that came since the last time, in their order. Cheap when there are none.
    ///
    /// # Errors
    /// The file cannot be read or written; the journal is as broken as after a failed append.
    pub async fn take_commands(&self) -> Result<Vec<Command>, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::TakeCommands(answer));
        answered.await.unwrap_or_else(|_| Err(self.gone()))
    }

    fn ask(&self, request: Request) {
        // A writer that is gone drops the request, and with it the sender of the answer: the asker hears of it there.
        if let Some(queue) = &self.queue {
            let _ = queue.send(request);
        }
    }

    fn gone(&self) -> JournalError {
        JournalError { place: self.place.display().to_string(), message: "its writer has ended".to_owned() }
    }
}

impl Journal for RunJournal {
    fn append(&self, events: Arc<Vec<Event>>) -> BoxFuture<'_, Result<(), JournalError>> {
        let (answer, answered) = oneshot::channel();
        // Queued now, not at the first poll: the order of calls is the order of events.
        self.ask(Request::Append(events, answer));
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(self.gone())) })
    }
}

impl Drop for RunJournal {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Writer {
    place: PathBuf,
    identity: Option<FileIdentity>,
    connection: Connection,
    buffers: Buffers,
    /// The first failure. What follows it must fail too: a journal with a hole would lie.
    broken: Option<JournalError>,
    last_beat: Instant,
    distance: Arc<AtomicU64>,
}

impl Writer {
    fn work(mut self, requests: &Receiver<Request>) {
        let mut last_commit: Option<Instant> = None;
        while let Ok(first) = requests.recv() {
            // Asleep rather than listening: nobody wakes this thread for each of them.
            let distance = Duration::from_micros(self.distance.load(Ordering::Relaxed));
            if let Some(pause) = last_commit.and_then(|last| distance.checked_sub(last.elapsed())) {
                std::thread::sleep(pause);
            }
            let mut appends = Vec::new();
            let mut askers = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append(events, answer) => appends.push((events, answer)),
                    Request::TakeCommands(answer) => askers.push(answer),
                }
                next = if appends.len() < MOST_IN_A_COMMIT { requests.try_recv().ok() } else { None };
            }
            if !appends.is_empty() {
                let outcome =
                    self.unless_broken(|writer| writer.commit(appends.iter().flat_map(|(events, _)| events.iter())));
                last_commit = Some(Instant::now());
                for (_, answer) in appends {
                    let _ = answer.send(outcome.clone());
                }
            }
            for answer in askers {
                let outcome = self.unless_broken(|writer| {
                    Command::take_all(&mut writer.connection).map_err(|error| error.to_string())
                });
                let _ = answer.send(outcome);
            }
        }
        // Closing does it too, but not while somebody reads.
        if self.broken.is_none() {
            format::settle(&self.connection);
        }
    }

    fn unless_broken<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, JournalError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        work(self).map_err(|message| {
            let message = match system_words(&self.place) {
                Some(words) if !message.contains(&words) => format!("{message} ({words})"),
                _ => message,
            };
            let error = JournalError { place: self.place.display().to_string(), message };
            self.broken = Some(error.clone());
            error
        })
    }

    fn commit<'a>(&mut self, events: impl Iterator<Item = &'a Event>) -> Result<(), String> {
        let beats = self.last_beat.elapsed() >= HEARTBEAT;
        let words = |error: rusqlite::Error| error.to_string();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(words)?;
        let mut appender = Appender::new(&transaction, &mut self.buffers)?;
        for event in events.filter(|event| event.kind.is_recorded()) {
            appender.append(event)?;
        }
        drop(appender);
        if beats {
            Lease::beat(&transaction, Timestamp::now()).map_err(words)?;
        }
        transaction.commit().map_err(words)?;
        if beats {
            self.last_beat = Instant::now();
        }
        // SQLite goes on happily in a file that somebody deleted.
        if FileIdentity::of(&self.place) != self.identity {
            return Err("the file was deleted or replaced while the run went on".to_owned());
        }
        Ok(())
    }
}

/// Which file stands at a place: a deleted one has none, a replaced one another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileIdentity(u64, u64);

impl FileIdentity {
    pub(crate) fn of(place: &Path) -> Option<Self> {
        std::fs::metadata(place).ok().map(|facts| Self::of_metadata(&facts))
    }

    #[cfg(unix)]
    pub(crate) fn of_metadata(facts: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self(facts.dev(), facts.ino())
    }

    #[cfg(not(unix))]
    pub(crate) fn of_metadata(_: &std::fs::Metadata) -> Self {
        Self(0, 0)
    }
}

/// What the system itself says about writing beside `place`: SQLite's "disk I/O error" tells nobody what to do.
fn system_words(place: &Path) -> Option<String> {
    let probe = place.with_extension("probe");
    // A full disk often takes an empty file and a few bytes.
    let outcome = std::fs::write(&probe, vec![0u8; 1024 * 1024]);
    let _ = std::fs::remove_file(&probe);
    outcome.err().map(|error| error.to_string())
}
