//! The workers of a pool: who gets a place in which, when one more is started, what becomes of one that is gone.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use sluicegate_value::{Handle, Value};
use tokio::sync::{oneshot, watch};

use crate::argument::SentArguments;
use crate::channel;
use crate::error::{PythonError, handles_in};
use crate::host::Host;
use crate::pace::Pace;
use crate::pools::Shared;
use crate::request::{self, Answered};
use crate::schedule::{Phase, Placed, Schedule, Slot, Ticket, Want, WorkerId};
use crate::tool::{LineId, Tool, ToolSource};
use crate::wire::Outgoing;
use crate::worker::{Owner, Request, Worker};

/// How long a call waits for a busy worker before another is started: short tools on a flow's few nodes need no second.
const BEFORE_ANOTHER: Duration = Duration::from_millis(5);

/// How often a call looks for another worker when the one it was given is gone before it began.
const TRIES: usize = 4;

/// The longest pause between failed starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a pool is inside.
pub(crate) struct Inner {
    me: Weak<Inner>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) folder: PathBuf,
    /// How many workers there may be.
    pub(crate) size: usize,
    variables: Vec<(String, String)>,
    state: Mutex<State>,
    tools: Mutex<HashMap<Arc<str>, Arc<Tool>>>,
}

struct State {
    schedule: Schedule,
    members: HashMap<WorkerId, Arc<Member>>,
    queue: HashMap<Ticket, oneshot::Sender<Result<Lease, PythonError>>>,
    last_ticket: Ticket,
    /// Somebody looks after more workers.
    growing: bool,
    closed: bool,
    /// Starts that failed since the last that did not.
    failures: u32,
    not_before: Option<Instant>,
}

/// A worker, or one that is being started.
struct Member {
    id: WorkerId,
    state: watch::Sender<Option<Result<Arc<Worker>, PythonError>>>,
}

impl Member {
    async fn worker(&self) -> Result<Arc<Worker>, PythonError> {
        if let Some(state) = &*self.state.borrow() {
            return state.clone();
        }
        let mut state = self.state.subscribe();
        match state.wait_for(Option::is_some).await {
            Ok(state) => state.clone().unwrap_or(Err(PythonError::ShutDown)),
            Err(_) => Err(PythonError::ShutDown),
        }
    }

    fn running(&self) -> Option<Arc<Worker>> {
        self.state.borrow().as_ref().and_then(|state| state.as_ref().ok().cloned())
    }
}

/// A place in a worker, given back when dropped.
struct Lease {
    inner: Arc<Inner>,
    member: Arc<Member>,
    slot: Slot,
    ticket: Ticket,
    /// Whether another call comes first in the worker.
    behind: bool,
    held: bool,
}

/// A request that has its place.
pub(crate) struct Begun {
    pub(crate) worker: Arc<Worker>,
    pub(crate) request: Request,
    /// Its place in the order of all calls.
    pub(crate) ticket: Ticket,
    /// Whether another call comes first in the worker.
    pub(crate) behind: bool,
}

impl Lease {
    /// A request that has the place from now on.
    fn open(mut self, worker: &Arc<Worker>) -> Option<Request> {
        let alone = self.slot == Slot::Sync;
        let request = worker.open(Some(self.slot), alone, self.inner.shared.settings.patience)?;
        self.held = false;
        Some(request)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held {
            self.inner.ended(&self.member.id, self.slot, Phase::Behind);
        }
    }
}

/// Takes a call out of the queue when its caller does not wait any more.
struct InQueue<'a> {
    inner: &'a Inner,
    ticket: Ticket,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if state.queue.remove(&self.ticket).is_some() {
            state.schedule.unqueue(self.ticket);
        }
    }
}

impl Inner {
    pub(crate) fn new(shared: Arc<Shared>, folder: PathBuf, variables: Vec<(String, String)>) -> Arc<Self> {
        let size = shared.settings.size();
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            size,
            state: Mutex::new(State {
                schedule: Schedule::new(size),
                members: HashMap::new(),
                queue: HashMap::new(),
                last_ticket: 0,
                growing: false,
                closed: false,
                failures: 0,
                not_before: None,
            }),
            tools: Mutex::default(),
            shared,
            folder,
            variables,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tools(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Tool>>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in a worker, at once or when there is one. Who had a place before and gave it back keeps the ticket.
    async fn acquire(&self, want: Want, ticket: Option<Ticket>) -> Result<Lease, PythonError> {
        let Some(me) = self.me.upgrade() else { return Err(PythonError::ShutDown) };
        let (ticket, waiting) = {
            let mut state = self.state();
            if state.closed {
                return Err(PythonError::ShutDown);
            }
            if want.only.as_ref().is_some_and(|only| !state.members.contains_key(only)) {
                return Err(PythonError::HandleLost { lost: Vec::new() });
            }
            if state.schedule.is_empty() {
                self.add_worker(&mut state);
            }
            let ticket = ticket.unwrap_or_else(|| {
                state.last_ticket += 1;
                state.last_ticket
            });
            if let Some(placed) = state.schedule.place(&want, Instant::now())
                && let Some(lease) = lease(&me, &state, ticket, &placed)
            {
                self.look_after_growth(&mut state);
                return Ok(lease);
            }
            let (sender, waiting) = oneshot::channel();
            state.queue.insert(ticket, sender);
            state.schedule.queue(ticket, want);
            self.look_after_growth(&mut state);
            (ticket, waiting)
        };
        let _in_queue = InQueue { inner: self, ticket };
        waiting.await.unwrap_or(Err(PythonError::ShutDown))
    }

    /// A request with a place in a worker that runs.
    pub(crate) async fn begin(
        &self,
        slot: Slot,
        place: impl Fn() -> Result<Option<WorkerId>, PythonError>,
    ) -> Result<(Arc<Worker>, Request), PythonError> {
        let begun = self.begin_call(slot, None, None, place).await?;
        Ok((begun.worker, begun.request))
    }

    /// A request for a call of a known pace, which may have had a place before.
    pub(crate) async fn begin_call(
        &self,
        slot: Slot,
        pace: Option<&Arc<Pace>>,
        mut ticket: Option<Ticket>,
        place: impl Fn() -> Result<Option<WorkerId>, PythonError>,
    ) -> Result<Begun, PythonError> {
        for _ in 0..TRIES {
            let lease = self.acquire(Want { slot, only: place()?, pace: pace.cloned() }, ticket).await?;
            let worker = lease.member.worker().await?;
            let (number, behind) = (lease.ticket, lease.behind);
            if let Some(request) = lease.open(&worker) {
                return Ok(Begun { worker, request, ticket: number, behind });
            }
            ticket = Some(number);
        }
        Err(PythonError::WorkerReplaced { because: "workers ended before the call began" })
    }

    /// Sends what is wanted and waits for the answer. Objects that come with it are the line's.
    pub(crate) async fn finish(
        &self,
        request: Request,
        frame: channel::Frame,
        host: &dyn Host,
        line: Option<LineId>,
    ) -> Result<Value, PythonError> {
        match self.finish_call(request, frame, host, line).await? {
            Answered::Value(value) => Ok(value),
            Answered::TakenBack => Err(PythonError::Protocol("it gave back what was not asked for".to_owned())),
        }
    }

    /// The same for a call, which may be taken back.
    pub(crate) async fn finish_call(
        &self,
        mut request: Request,
        frame: channel::Frame,
        host: &dyn Host,
        line: Option<LineId>,
    ) -> Result<Answered, PythonError> {
        let worker = request.worker.clone();
        let keep = |value: &Value| {
            if let Some(line) = line.filter(|_| value.holds_handle()) {
                let mut found = Vec::new();
                handles_in(value, &mut found);
                let numbers: Vec<u64> = found.iter().map(|handle| handle.id).collect();
                self.state().schedule.bind(line, &worker.id, &numbers);
            }
        };
        request.send(frame).await;
        let answered = request::answer(request, host, &keep).await?;
        if let Answered::Value(value) = &answered {
            keep(value);
        }
        Ok(answered)
    }

    pub(crate) async fn load_in(
        &self,
        worker: &Arc<Worker>,
        request: Request,
        source: &ToolSource,
        key: &Arc<str>,
        host: &dyn Host,
    ) -> Result<Value, PythonError> {
        let path = match source {
            ToolSource::File(path) => path.to_string_lossy(),
            _ => "".into(),
        };
        let (file, package, entry) = match source {
            ToolSource::File(_) => (Some(&*path), None, None),
            ToolSource::Package(id) => (None, Some(&**id), None),
            ToolSource::Entry { entry, .. } => (None, None, Some(&**entry)),
        };
        let (init, method) = match source {
            ToolSource::Entry { init, method, .. } => {
                (Some(SentArguments { arguments: init, worker: &worker.id }), Some(method.name()))
            }
            _ => (None, None),
        };
        let message = Outgoing::Load { id: request.number, tool: key, file, package, entry, init, method, behind: 0 };
        let frame = channel::frame(&message)?;
        let told = self.finish(request, frame, host, None).await?;
        worker.mark_loaded(key.clone());
        Ok(told)
    }

    /// Where a call has to run because of the objects that it needs, and those that its line has.
    pub(crate) fn place_of(
        &self,
        objects: &[Arc<Handle>],
        line: Option<LineId>,
    ) -> Result<Option<WorkerId>, PythonError> {
        let state = self.state();
        let gone: Vec<_> =
            objects.iter().filter(|object| !state.members.contains_key(&object.worker)).cloned().collect();
        if !gone.is_empty() {
            return Err(PythonError::HandleLost { lost: named(&gone) });
        }
        let bound = line.and_then(|line| state.schedule.bound(line));
        let stuck = |object: &&Arc<Handle>| object.json.is_none();
        let holds = |worker: &WorkerId| objects.iter().filter(stuck).any(|object| object.worker == *worker);
        // Objects that cannot travel decide; then the line; then where any of the objects are.
        let here = bound
            .clone()
            .filter(holds)
            .or_else(|| objects.iter().find(stuck).map(|object| object.worker.clone()))
            .or(bound)
            .or_else(|| objects.first().map(|object| object.worker.clone()));
        let Some(here) = here else { return Ok(None) };
        let elsewhere: Vec<_> = objects.iter().filter(stuck).filter(|object| object.worker != here).cloned().collect();
        if let Some(other) = elsewhere.first() {
            let same = objects.iter().filter(stuck).find(|object| object.worker == here);
            let types = (same.unwrap_or(other).type_name.clone(), other.type_name.clone());
            return Err(PythonError::HandlesApart { worker: here, elsewhere: named(&elsewhere), types });
        }
        Ok(Some(here))
    }

    /// Lets go of objects of a worker.
    pub(crate) fn release(&self, worker: &str, handles: &[u64]) {
        self.state().schedule.release(worker, handles);
        self.release_in(worker, handles);
    }

    /// Lets go of what a line has left.
    pub(crate) fn end_line(&self, line: LineId) {
        let objects = self.state().schedule.end_line(line);
        for (worker, handles) in objects {
            self.release_in(&worker, &handles);
        }
    }

    /// Some worker that runs, whatever it does.
    pub(crate) async fn any_worker(&self) -> Result<Arc<Worker>, PythonError> {
        self.acquire(Want { slot: Slot::Async, only: None, pace: None }, None).await?.member.worker().await
    }

    /// Takes no more calls. Returns the workers that run.
    pub(crate) fn close(&self) -> Vec<Arc<Worker>> {
        let (members, queue) = {
            let mut state = self.state();
            state.closed = true;
            let members: Vec<_> = state.members.values().cloned().collect();
            (members, std::mem::take(&mut state.queue))
        };
        for waiting in queue.into_values() {
            let _ = waiting.send(Err(PythonError::ShutDown));
        }
        members.iter().filter_map(|member| member.running()).collect()
    }

    fn release_in(&self, worker: &str, handles: &[u64]) {
        let member = self.state().members.get(worker).cloned();
        if let Some(worker) = member.and_then(|member| member.running()) {
            worker.release(handles);
        }
    }

    /// Changes the state, and gives places to those who wait for them.
    fn dispatch(&self, change: impl FnOnce(&mut State)) {
        let Some(me) = self.me.upgrade() else { return };
        let mut given = Vec::new();
        {
            let mut state = self.state();
            change(&mut state);
            for (ticket, placed) in state.schedule.placed(Instant::now()) {
                if let Some(lease) = lease(&me, &state, ticket, &placed) {
                    given.push((state.queue.remove(&ticket), lease));
                }
            }
        }
        // Outside of the lock: a lease that nobody takes is given back at once.
        for (waiting, lease) in given {
            if let Some(waiting) = waiting {
                let _ = waiting.send(Ok(lease));
            }
        }
    }

    /// Starts workers for those who wait: the first at once, further ones when the queue does not end soon.
    fn look_after_growth(&self, state: &mut State) {
        if state.closed || state.growing || state.schedule.lacks() == 0 {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if state.schedule.is_empty() {
            return self.add_worker(state);
        }
        state.growing = true;
        let me = self.me.clone();
        runtime.spawn(async move {
            tokio::time::sleep(BEFORE_ANOTHER).await;
            let Some(inner) = me.upgrade() else { return };
            let mut state = inner.state();
            state.growing = false;
            if !state.closed {
                for _ in 0..state.schedule.lacks() {
                    inner.add_worker(&mut state);
                }
            }
        });
    }

    fn add_worker(&self, state: &mut State) {
        let id = self.shared.next_worker();
        let member = Arc::new(Member { id: id.clone(), state: watch::Sender::new(None) });
        state.schedule.add(id.clone(), Instant::now());
        state.members.insert(id.clone(), member.clone());
        let (me, shared, not_before) = (self.me.clone(), self.shared.clone(), state.not_before);
        let (folder, variables) = (self.folder.clone(), self.variables.clone());
        tokio::spawn(async move {
            if let Some(not_before) = not_before {
                tokio::time::sleep_until(not_before.into()).await;
            }
            let owner: Weak<dyn Owner> = me.clone();
            let started = shared.start(id, folder, variables, owner).await;
            match (me.upgrade(), started) {
                (Some(inner), started) => inner.started(&member, started),
                (None, Ok(worker)) => worker.kill("the pool is gone"),
                (None, Err(_)) => {}
            }
        });
    }

    fn started(&self, member: &Member, started: Result<Arc<Worker>, PythonError>) {
        let mut unserved = Vec::new();
        {
            let mut state = self.state();
            match &started {
                Ok(_) if state.closed => {}
                Ok(_) => {
                    state.failures = 0;
                    state.not_before = None;
                    state.schedule.ready(&member.id);
                    self.look_after_growth(&mut state);
                }
                Err(_) => {
                    let pause = Duration::from_millis(100) * 2u32.saturating_pow(state.failures.min(8));
                    state.failures += 1;
                    state.not_before = Some(Instant::now() + pause.min(LONGEST_PAUSE));
                    state.members.remove(&member.id);
                    state.schedule.remove(&member.id);
                    // The next would hardly fare better: who waits is told.
                    if state.schedule.is_empty() {
                        let tickets: Vec<_> = state.queue.keys().copied().collect();
                        tickets.iter().for_each(|ticket| state.schedule.unqueue(*ticket));
                        unserved = std::mem::take(&mut state.queue).into_values().collect();
                    }
                }
            }
        }
        if let Err(error) = &started {
            for waiting in unserved {
                let _ = waiting.send(Err(error.clone()));
            }
        }
        if let Some(worker) = started.as_ref().ok().filter(|_| self.state().closed) {
            worker.kill("the workers are shut down");
        }
        member.state.send_replace(Some(started));
        self.dispatch(|_| {});
    }
}

impl Owner for Inner {
    fn parked(&self, worker: &str) {
        self.dispatch(|state| state.schedule.parked(worker, Instant::now()));
    }

    fn resumed(&self, worker: &str) {
        self.state().schedule.resumed(worker);
    }

    fn ended(&self, worker: &str, slot: Slot, phase: Phase) {
        self.dispatch(|state| state.schedule.ended(worker, slot, phase, Instant::now()));
    }

    fn gone(&self, worker: &str) {
        let lost: Vec<_> = {
            let mut state = self.state();
            state.members.remove(worker);
            let lost = state.schedule.remove(worker);
            let lost = lost.iter().filter_map(|ticket| state.queue.remove(ticket)).collect();
            self.look_after_growth(&mut state);
            lost
        };
        for waiting in lost {
            let _ = waiting.send(Err(PythonError::HandleLost { lost: Vec::new() }));
        }
        self.dispatch(|_| {});
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for member in state.members.values() {
            if let Some(worker) = member.running() {
                worker.kill("the pool is gone");
            }
        }
    }
}

fn lease(inner: &Arc<Inner>, state: &State, ticket: Ticket, placed: &Placed) -> Option<Lease> {
    let member = state.members.get(&placed.worker)?.clone();
    Some(Lease { inner: inner.clone(), member, slot: placed.slot, ticket, behind: placed.behind, held: true })
}

/// The worker and number of each object.
pub(crate) fn named(objects: &[Arc<Handle>]) -> Vec<(Arc<str>, u64)> {
    objects.iter().map(|object| (object.worker.clone(), object.id)).collect()
}
