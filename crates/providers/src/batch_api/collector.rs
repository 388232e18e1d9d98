//! Calls wait here until there are enough of them, or no more come.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sluicegate_model::{ChatRequest, ModelError};
use sluicegate_value::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::ProviderBatches;
use super::job::{Job, Outcome};
use super::lines::{self, Came};
use super::provider::Provider;
use crate::ask::{Answer, Ask};
use crate::transport::{Attempt, Transport};
use crate::wire::Wire;

/// Collects the chat calls of one connection.
pub(super) struct Collector {
    pub(super) provider: Provider,
    pub(super) batches: Arc<ProviderBatches>,
    groups: Mutex<HashMap<Kind, Group>>,
    /// Batches of earlier processes that somebody asked for, by their entry.
    pub(super) attached: Mutex<HashMap<usize, Arc<Job>>>,
}

/// What may stand in one file: one model, and one address.
pub(super) type Kind = (Arc<str>, &'static str);

/// Calls that wait for others.
#[derive(Default)]
struct Group {
    waiting: Vec<Waiting>,
    /// How often a key is among them.
    keys: HashMap<String, usize>,
    bytes: usize,
    newest: Option<Instant>,
    /// Whether somebody looks at the clock.
    is_timed: bool,
}

/// A call that waits for others.
pub(super) struct Waiting {
    pub(super) id: Arc<str>,
    /// Its line of the file.
    pub(super) line: String,
    pub(super) sender: oneshot::Sender<Outcome>,
}

impl Collector {
    pub(super) fn new(provider: Provider, batches: Arc<ProviderBatches>) -> Self {
        Self { provider, batches, groups: Mutex::default(), attached: Mutex::default() }
    }

    /// The batch of an earlier process that holds this call, if one does.
    fn recorded(self: &Arc<Self>, key: &str) -> Option<oneshot::Receiver<Outcome>> {
        let (position, id) = self.batches.recorded(self.provider.http.name(), key)?;
        Some(self.attach(position).wait_for(id))
    }

    /// Puts a call to the others.
    fn collect(self: &Arc<Self>, kind: Kind, key: &str, body: &str) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut groups = self.groups();
        let group = groups.entry(kind.clone()).or_default();
        // The line has the key, the address and a few words more than the body.
        if !group.waiting.is_empty() && group.bytes + body.len() + 200 > self.batches.most_bytes {
            self.begin(&kind, group.take());
        }
        let same = group.keys.entry(key.to_owned()).or_default();
        let id = lines::custom_id(key, *same);
        *same += 1;
        let line = lines::input(&id, kind.1, body);
        group.bytes += line.len() + 1;
        group.waiting.push(Waiting { id, line, sender });
        group.newest = Some(Instant::now());
        if group.waiting.len() >= self.batches.size {
            self.begin(&kind, group.take());
        } else if !group.is_timed {
            group.is_timed = true;
            tokio::spawn(self.clone().begin_when_idle(kind));
        }
        receiver
    }

    /// Begins a batch once no call has come for a while.
    async fn begin_when_idle(self: Arc<Self>, kind: Kind) {
        loop {
            let until = {
                let mut groups = self.groups();
                let Some(group) = groups.get_mut(&kind) else { return };
                let Some(newest) = group.newest.filter(|_| !group.waiting.is_empty()) else {
                    group.is_timed = false;
                    return;
                };
                let until = newest + self.batches.idle;
                if until <= Instant::now() {
                    group.is_timed = false;
                    self.begin(&kind, group.take());
                    return;
                }
                until
            };
            sleep_until(until).await;
        }
    }

    fn begin(self: &Arc<Self>, kind: &Kind, waiting: Vec<Waiting>) {
        tokio::spawn(self.clone().submit(kind.clone(), waiting));
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<Kind, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came of a call, read as if it had come by itself.
    fn read(&self, ask: &Ask<'_>, wire: Wire, came: &Came, secrets: &[String]) -> Result<Answer, ModelError> {
        match (came, came.code()) {
            (Came::Answer(status, body), _) => self.provider.http.read(ask, wire, *status, body, secrets),
            (Came::Error(body), Some("batch_expired")) => Err(never_answered(408, "expired", body)),
            (Came::Error(body), Some("batch_cancelled")) => Err(never_answered(499, "was cancelled", body)),
            (Came::Error(body), _) => Err(self.provider.http.error_of(ask.model(), body, 500, secrets)),
        }
    }
}

impl Transport for Arc<Collector> {
    async fn send(&self, ask: &Ask<'_>, attempt: &Attempt<'_>) -> Result<Answer, ModelError> {
        let Ask::Chat(request) = ask else {
            let (connection, what) = (self.provider.http.name().to_owned(), "embeddings in batches".to_owned());
            return Err(ModelError::Unsupported { connection, what });
        };
        let asked = Ask::Chat(Cow::Owned(whole(request)));
        let wire = self.provider.http.wire(&asked)?;
        let url = self.provider.url(wire)?;
        let body = self.provider.http.body(&asked, wire)?;
        let key = lines::call_key(url, &body, attempt.context);
        loop {
            let waited = match self.recorded(&key) {
                Some(recorded) => recorded.await,
                None => self.collect((asked.model().clone(), url), &key, &body).await,
            };
            match waited {
                Ok(Outcome::Came(came, secrets)) => {
                    let answer = self.read(&asked, wire, &came, &secrets)?;
                    // Whoever asked for pieces gets it in one.
                    if let (true, Answer::Chat(reply)) = (ask.stream(), &answer)
                        && let Some(text) = &reply.text
                    {
                        attempt.pass_on(text);
                    }
                    return Ok(answer);
                }
                Ok(Outcome::Again) => {}
                Ok(Outcome::Failed(error)) => return Err(error),
                Err(_) => {
                    let message = "its batch was given up".to_owned();
                    return Err(ModelError::ServerFailed { status: 500, retry_after: None, message });
                }
            }
        }
    }
}

impl Group {
    fn take(&mut self) -> Vec<Waiting> {
        self.keys.clear();
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// The same request with its answer in one piece: files have no streams.
fn whole(request: &ChatRequest) -> ChatRequest {
    let mut request = ChatRequest { stream: false, ..request.clone() };
    for name in ["stream", "stream_options"] {
        request.parameters.remove(name);
    }
    request
}

/// The error that a batch ended before a call was answered.
pub(super) fn never_answered(status: u16, how: &str, said: &Value) -> ModelError {
    let said = said.get("error").and_then(|error| error.get("message")).and_then(Value::as_str);
    let said = said.map_or_else(String::new, |said| format!(" ({said})"));
    let message = format!("its batch {how} before this call was answered{said}; `--resume RUN --failed` asks it again");
    ModelError::ServerFailed { status, retry_after: None, message }
}
