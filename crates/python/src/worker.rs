//! One worker: its start, its messages, its end.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sluicegate_value::Value;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::channel::{self, Frame, Frames, Outbox};
use crate::error::{HowDied, PythonError, handles_in};
use crate::host::HostError;
use crate::inbox::{Inbox, Mouth};
use crate::pace::Pace;
use crate::process::{self, Life, Reading};
use crate::schedule::{Phase, Slot};
use crate::stderr::{Listener, Tail};
use crate::wire::{self, Incoming, Operation, Outgoing, VERSION};

/// How long a dead worker's last words are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Python's own exit code when it is too old; see the start's code.
const EXIT_TOO_OLD: i32 = 97;

/// Understood by every Python there is, so that an old one can say that it is old.
const START: &str = "import sys
if sys.version_info < (3, 9):
    sys.stderr.write('%d.%d.%d' % sys.version_info[:3])
    sys.exit(97)
shape, folder = sys.argv[1:]
del sys.argv[1:]
sys.path.insert(0, folder)
from sluicegate_worker import main
main(shape, folder)
";

/// What a worker needs to start.
pub(crate) struct Start {
    pub(crate) id: Arc<str>,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) packages: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) prefer_installed: bool,
    pub(crate) tracing: bool,
    pub(crate) timeout: Duration,
    pub(crate) listener: Option<Listener>,
}

/// Who is told what becomes of a worker and its places.
pub(crate) trait Owner: Send + Sync {
    /// A synchronous call waits for the host.
    fn parked(&self, worker: &str);
    /// A synchronous call has what it waited for.
    fn resumed(&self, worker: &str);
    /// A call has ended.
    fn ended(&self, worker: &str, slot: Slot, phase: Phase);
    /// The worker takes no more calls.
    fn gone(&self, worker: &str);
}

/// What the worker said of itself when it was ready.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) python: Arc<str>,
    pub(crate) executable: String,
}

/// A running worker.
pub(crate) struct Worker {
    pub(crate) id: Arc<str>,
    pub(crate) about: About,
    pub(crate) outbox: Outbox,
    pid: u32,
    owner: Weak<dyn Owner>,
    table: Mutex<Table>,
    /// Whether the process is dead.
    ended: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    last: u64,
    requests: HashMap<u64, Open>,
    /// How many requests that run alone the worker has and that do not wait for the host: one of them runs.
    alone: usize,
    /// Tools that are loaded here, by their key.
    loaded: HashSet<Arc<str>>,
    /// Why it was killed, if we did it.
    killed: Option<&'static str>,
    /// The process has been waited for.
    reaped: bool,
    gone: Option<Gone>,
}

/// A request that the worker has not answered.
struct Open {
    /// Who listens; nobody, if it was dropped.
    mouth: Option<Mouth>,
    slot: Option<Slot>,
    /// Whether no other request that runs alone may run at the same time.
    alone: bool,
    opened: Instant,
    /// Whether the worker knows of it.
    sent: bool,
    /// Since when its code runs, as far as it runs alone.
    begun: Option<Instant>,
    /// Questions of it that the host has not answered.
    asks: usize,
}

impl Open {
    fn is_parked(&self) -> bool {
        self.asks > 0
    }

    fn phase(&self) -> Phase {
        match (self.is_parked(), self.begun) {
            (true, _) => Phase::Parked,
            (false, Some(_)) => Phase::Running,
            (false, None) => Phase::Behind,
        }
    }

    /// Whether it is among those that [`Table::alone`] counts.
    fn is_counted(&self) -> bool {
        self.alone && self.sent && !self.is_parked()
    }

    /// Whether its code may have done what the worker died of.
    fn is_suspect(&self) -> bool {
        self.sent && !self.is_parked() && (!self.alone || self.begun.is_some())
    }
}

impl Table {
    fn remove(&mut self, request: u64) -> Option<Open> {
        let open = self.requests.remove(&request)?;
        self.alone -= usize::from(open.is_counted());
        Some(open)
    }

    fn change<T>(&mut self, request: u64, change: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let open = self.requests.get_mut(&request)?;
        let before = usize::from(open.is_counted());
        let changed = change(open);
        self.alone = self.alone + usize::from(open.is_counted()) - before;
        Some(changed)
    }
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its time is counted from then.
    Counted(Instant),
    /// Other calls come first.
    Behind,
    /// It has ended, or its worker has.
    Ended,
}

struct Gone {
    how: HowDied,
    stderr: String,
    /// Requests whose code ran when the worker died of itself.
    suspects: HashSet<u64>,
}

/// A request to a worker: what it says of it comes here. Dropped without an answer, it is cancelled; what cannot be
/// cancelled is killed with the worker, after a while.
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) worker: Arc<Worker>,
    /// Learns how long the call took.
    pub(crate) pace: Option<Arc<Pace>>,
    inbox: Arc<Inbox>,
    patience: Duration,
}

impl Worker {
    /// Starts a worker and waits until it is ready.
    pub(crate) async fn start(start: Start, owner: Weak<dyn Owner>) -> Result<Arc<Self>, PythonError> {
        let mut arguments = start.arguments;
        arguments.extend(["-X", "utf8", "-c", START, process::SHAPE].map(OsString::from));
        arguments.push(start.packages.into_os_string());
        // Python reads these before it could be told otherwise. The rest is told: it may hold secrets, and what a process
        // is started with can be seen by others of the same user.
        let early: Vec<(&str, &str)> = start
            .variables
            .iter()
            .filter(|(name, _)| name.starts_with("PYTHON"))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let failed = |how, stderr| PythonError::StartFailed { how, stderr };
        let mut started = process::start(&start.program, &arguments, &start.folder, &early)
            .map_err(|error| failed(HowDied::Spawn(error.to_string()), String::new()))?;
        let Some(pid) = started.child.id() else { return Err(failed(HowDied::Unknown, String::new())) };
        let mut guard = KillUnlessReady { pid: Some(pid) };
        let tail = Tail::new(started.stderr.take(), start.listener);
        let outbox = Outbox::to(started.outgoing);
        let variables = start.variables.into_iter().map(|(name, value)| (name, value.into())).collect();
        let folder = start.folder.to_string_lossy().into_owned();
        outbox
            .send(channel::frame(&Outgoing::Hello {
                version: VERSION,
                worker: &start.id,
                folder: &folder,
                variables,
                prefer_installed: start.prefer_installed,
                tracing: start.tracing,
            })?)
            .await;
        let mut incoming = Frames::of(started.incoming);
        let ready = match tokio::time::timeout(start.timeout, incoming.next()).await {
            Ok(Ok(Some(message))) if message.op == Operation::Ready => message,
            Ok(Ok(Some(message))) => {
                return Err(PythonError::Protocol(format!("{:?} where `ready` was expected", message.op)));
            }
            Ok(Err(error)) => return Err(error),
            Ok(Ok(None)) => {
                let status = tokio::time::timeout(LAST_WORDS, started.child.wait()).await;
                let how = status.ok().and_then(Result::ok).map_or(HowDied::Unknown, HowDied::of);
                let said = tail.last_words(LAST_WORDS).await;
                if how == HowDied::Exit(EXIT_TOO_OLD) {
                    return Err(PythonError::TooOld { program: start.program, found: said });
                }
                return Err(failed(how, said));
            }
            Err(_) => return Err(failed(HowDied::Silent, tail.last_words(Duration::ZERO).await)),
        };
        if ready.version != VERSION {
            return Err(PythonError::Protocol(format!("the words of version {}", ready.version)));
        }
        guard.pid = None;
        let worker = Arc::new(Self {
            id: start.id,
            about: About { python: ready.python, executable: ready.executable },
            outbox,
            pid,
            owner,
            table: Mutex::default(),
            ended: watch::Sender::new(false),
        });
        let reading = tokio::spawn(read_all(worker.clone(), incoming));
        tokio::spawn(attend(worker.clone(), started.child, started.life, reading, tail));
        Ok(worker)
    }

    /// Opens a request with a place of the worker's; `alone`: while it runs no other such request may. `None`: the worker is
    /// gone, and the place with it.
    pub(crate) fn open(self: &Arc<Self>, slot: Option<Slot>, alone: bool, patience: Duration) -> Option<Request> {
        let inbox = Arc::<Inbox>::default();
        let open = Open {
            mouth: Some(Mouth(inbox.clone())),
            slot,
            alone,
            opened: Instant::now(),
            sent: false,
            begun: None,
            asks: 0,
        };
        let mut table = self.table();
        if table.gone.is_some() || table.killed.is_some() {
            return None;
        }
        table.last += 1;
        let number = table.last;
        table.requests.insert(number, open);
        Some(Request { number, worker: self.clone(), pace: None, inbox, patience })
    }

    /// How far a request is. What runs beside others is counted from when it was opened, and so is what cannot be sent, since
    /// the worker does not read.
    pub(crate) fn progress(&self, request: u64) -> Progress {
        match self.table().requests.get(&request) {
            Some(Open { begun: Some(begun), .. }) => Progress::Counted(*begun),
            Some(open) if open.alone && open.sent => Progress::Behind,
            Some(open) => Progress::Counted(open.opened),
            None => Progress::Ended,
        }
    }

    /// Asks for a call back that waits behind others; if it has begun meanwhile, nothing happens.
    pub(crate) fn take_back(&self, request: u64) {
        if let Ok(frame) = channel::frame(&Outgoing::TakeBack { of: request }) {
            self.outbox.post(frame);
        }
    }

    /// Whether a tool is loaded here.
    pub(crate) fn has_loaded(&self, tool: &str) -> bool {
        self.table().loaded.contains(tool)
    }

    /// A tool is loaded here.
    pub(crate) fn mark_loaded(&self, tool: Arc<str>) {
        self.table().loaded.insert(tool);
    }

    /// Ends the worker and all that it has started. Calls that run in it fail with `because`.
    pub(crate) fn kill(&self, because: &'static str) {
        {
            let mut table = self.table();
            if table.reaped {
                return;
            }
            table.killed.get_or_insert(because);
        }
        process::kill_group(self.pid);
        self.tell(|owner| owner.gone(&self.id));
    }

    /// Asks the worker to end by itself, its exit functions run; kills it if it does not in time.
    pub(crate) async fn end(&self, patience: Duration) {
        self.table().killed.get_or_insert("the workers are shut down");
        if let Ok(frame) = channel::frame(&Outgoing::Bye) {
            self.outbox.send(frame).await;
        }
        let _ = tokio::time::timeout(patience, self.ended.subscribe().wait_for(|ended| *ended)).await;
        self.kill("the workers are shut down");
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&dyn Owner)) {
        if let Some(owner) = self.owner.upgrade() {
            what(&*owner);
        }
    }

    /// Hands a message to whom it is for.
    async fn hear(&self, message: Incoming) {
        match message.op {
            Operation::Done | Operation::Failed | Operation::Returned => {
                let Some(open) = self.table().remove(message.re) else { return };
                if let Some(slot) = open.slot {
                    self.tell(|owner| owner.ended(&self.id, slot, open.phase()));
                }
                let unheard = match &open.mouth {
                    Some(mouth) => mouth.0.put(message).await,
                    None => Some(message),
                };
                if let Some(message) = unheard {
                    self.let_go(&message.value);
                }
            }
            Operation::Begun => {
                self.table().change(message.of, |open| open.begun = Some(Instant::now()));
            }
            Operation::Ask => {
                let asked = self.table().change(message.of, |open| {
                    open.asks += 1;
                    let parks = open.asks == 1 && open.slot == Some(Slot::Sync);
                    (open.mouth.as_ref().map(|mouth| mouth.0.clone()), parks)
                });
                let (inbox, parks) = asked.unwrap_or_default();
                if parks {
                    self.tell(|owner| owner.parked(&self.id));
                }
                match inbox {
                    Some(inbox) => {
                        inbox.put(message).await;
                    }
                    None => self.refuse(message.id),
                }
            }
            Operation::Said | Operation::Chunk | Operation::Span | Operation::Metric | Operation::Unask => {
                let inbox =
                    self.table().requests.get(&message.of).and_then(|open| Some(open.mouth.as_ref()?.0.clone()));
                if let Some(inbox) = inbox {
                    inbox.put(message).await;
                }
            }
            Operation::Ready => {}
        }
    }

    /// Releases the objects of a value that nobody took.
    fn let_go(&self, value: &Value) {
        let mut handles = Vec::new();
        handles_in(value, &mut handles);
        let numbers: Vec<u64> = handles.iter().map(|handle| handle.id).collect();
        self.release(&numbers);
    }

    /// Lets go of objects.
    pub(crate) fn release(&self, handles: &[u64]) {
        if !handles.is_empty()
            && let Ok(frame) = channel::frame(&Outgoing::Release { handles })
        {
            self.outbox.post(frame);
        }
    }

    fn refuse(&self, ask: u64) {
        let error = HostError::new("RuntimeError", "the host answers only while the node's call runs");
        if let Ok(frame) = channel::frame(&Outgoing::Refused { re: ask, error: &error }) {
            self.outbox.post(frame);
        }
    }

    /// A question of a request was answered.
    pub(crate) fn answered(&self, request: u64) {
        let resumes = self.table().change(request, |open| {
            open.asks = open.asks.saturating_sub(1);
            open.asks == 0 && open.slot == Some(Slot::Sync)
        });
        if resumes == Some(true) {
            self.tell(|owner| owner.resumed(&self.id));
        }
    }

    /// A request is sent; its order among all messages is certain now.
    fn sending(&self, request: u64, frame: &mut Frame) {
        let mut table = self.table();
        let is_first = table.alone == 0;
        table.change(request, |open| {
            open.sent = true;
            match (open.alone, is_first) {
                (true, true) => open.begun = Some(Instant::now()),
                (true, false) => wire::say_behind(frame),
                (false, _) => {}
            }
        });
    }

    /// A request was not sent, since the worker is dead.
    fn not_sent(&self, request: u64) {
        self.table().change(request, |open| {
            open.sent = false;
            open.begun = None;
        });
    }

    /// Why a request got no answer.
    fn fate(&self, request: u64) -> PythonError {
        let table = self.table();
        match (&table.gone, table.killed) {
            (_, Some(because)) => PythonError::WorkerReplaced { because },
            (Some(gone), None) if gone.suspects.contains(&request) => {
                PythonError::WorkerDied { how: gone.how.clone(), stderr: gone.stderr.clone() }
            }
            _ => PythonError::WorkerReplaced { because: "it died of another call" },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.table().reaped {
            process::kill_group(self.pid);
        }
    }
}

impl Request {
    /// Sends what is wanted.
    pub(crate) async fn send(&mut self, frame: Frame) {
        // Sent whole or not at all: this future may be dropped while it waits.
        if let Some(place) = self.worker.outbox.place().await
            && !place.send(frame, |frame| self.worker.sending(self.number, frame))
        {
            self.worker.not_sent(self.number);
        }
    }

    /// The next message of this request; the last is its answer.
    pub(crate) async fn next(&mut self) -> Result<Incoming, PythonError> {
        match self.inbox.next().await {
            Some(message) => Ok(message),
            None => Err(self.worker.fate(self.number)),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        // Whoever is putting something into it, an answer for which there is no room even, waits for nobody any more.
        self.inbox.close();
        let unsent = {
            let mut table = self.worker.table();
            match table.requests.get_mut(&self.number) {
                None => return,
                Some(open) if open.sent => {
                    open.mouth = None;
                    None
                }
                Some(_) => table.remove(self.number),
            }
        };
        if let Some(open) = unsent {
            if let Some(slot) = open.slot {
                self.worker.tell(|owner| owner.ended(&self.worker.id, slot, open.phase()));
            }
            return;
        }
        if let Ok(frame) = channel::frame(&Outgoing::Cancel { of: self.number }) {
            self.worker.outbox.post(frame);
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return self.worker.kill("a call was dropped") };
        runtime.spawn(see_to_its_end(Arc::downgrade(&self.worker), self.number, self.patience));
    }
}

/// Kills the worker if a request of it that nobody waits for runs longer than that.
async fn see_to_its_end(worker: Weak<Worker>, number: u64, patience: Duration) {
    let cancelled = Instant::now();
    let mut pause = patience;
    loop {
        tokio::time::sleep(pause).await;
        let Some(worker) = worker.upgrade() else { return };
        let began = match worker.progress(number) {
            Progress::Ended => return,
            // It will not run when its turn comes; that it waits does not hurt anybody.
            Progress::Behind => Instant::now(),
            Progress::Counted(began) => began.max(cancelled),
        };
        pause = patience.saturating_sub(began.elapsed());
        if pause.is_zero() {
            return worker.kill("another call of it did not end in time");
        }
    }
}

struct KillUnlessReady {
    pid: Option<u32>,
}

impl Drop for KillUnlessReady {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            process::kill_group(pid);
        }
    }
}

async fn read_all(worker: Arc<Worker>, mut incoming: Frames<Reading>) {
    loop {
        match incoming.next().await {
            Ok(Some(message)) => worker.hear(message).await,
            Ok(None) => return,
            Err(_) => return worker.kill("it sent what was not expected"),
        }
    }
}

/// Waits for a worker's end, and sees to what is left.
async fn attend(worker: Arc<Worker>, mut child: Child, life: Life, mut reading: JoinHandle<()>, tail: Tail) {
    let status = tokio::select! {
        status = child.wait() => status,
        // It has closed the channel: it is dying, or of no use.
        _ = &mut reading => match tokio::time::timeout(LAST_WORDS, child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                process::kill_group(worker.pid);
                child.wait().await
            }
        },
    };
    worker.table().reaped = true;
    worker.ended.send_replace(true);
    // What it has started does not outlive it.
    process::kill_group(worker.pid);
    drop(life);
    // Whoever left the group may hold the channel open.
    if !reading.is_finished() && tokio::time::timeout(LAST_WORDS, &mut reading).await.is_err() {
        reading.abort();
    }
    let stderr = tail.last_words(LAST_WORDS).await;
    let how = status.map_or(HowDied::Unknown, HowDied::of);
    {
        let mut table = worker.table();
        let suspects = table.requests.iter().filter(|(_, open)| open.is_suspect()).map(|(number, _)| *number).collect();
        table.gone = Some(Gone { how, stderr, suspects });
        // Listeners find out when nobody is left who could tell them more.
        table.requests.clear();
    }
    worker.tell(|owner| owner.gone(&worker.id));
}
