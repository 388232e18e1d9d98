//! One batch, from its file to its answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluicegate_model::ModelError;
use sluicegate_value::Value;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::collector::{Collector, Kind, Waiting, never_answered};
use super::lines::{self, Came};
use super::manifest::{Entry, State};
use super::notice::{BatchHappened, BatchNotice};
use super::provider::{NotSubmitted, Standing};

/// What a call that waits is told.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Its line of the answers, and what of it nobody shall read in a message.
    Came(Came, Arc<[String]>),
    /// No batch holds it after all.
    Again,
    /// There will be no answer.
    Failed(ModelError),
}

/// A batch that somebody waits for.
pub(super) struct Job {
    position: usize,
    waiting: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    senders: HashMap<Arc<str>, oneshot::Sender<Outcome>>,
    end: Option<End>,
}

/// What is left when a batch is over, for those who ask only then.
struct End {
    came: HashMap<Arc<str>, Came>,
    secrets: Arc<[String]>,
    /// For calls of which nothing came.
    rest: Outcome,
}

impl Job {
    fn new(position: usize, senders: HashMap<Arc<str>, oneshot::Sender<Outcome>>) -> Self {
        Self { position, waiting: Mutex::new(Waiters { senders, end: None }) }
    }

    /// Waits for the answer to a call that is in this batch.
    pub(super) fn wait_for(&self, id: Arc<str>) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        match &mut waiting.end {
            Some(end) => drop(sender.send(end.of(&id))),
            None => drop(waiting.senders.insert(id, sender)),
        }
        receiver
    }

    /// Tells everybody who waits, and those who come later.
    fn end(&self, mut end: End) {
        let mut waiting = self.waiting();
        for (id, sender) in waiting.senders.drain() {
            let _ = sender.send(end.of(&id));
        }
        waiting.end = Some(end);
    }

    fn fail(&self, error: ModelError) {
        self.end(End::without_answers(Outcome::Failed(error)));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiters> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    fn without_answers(rest: Outcome) -> Self {
        Self { came: HashMap::new(), secrets: Arc::default(), rest }
    }

    fn of(&mut self, id: &str) -> Outcome {
        match self.came.remove(id) {
            Some(came) => Outcome::Came(came, self.secrets.clone()),
            None => self.rest.clone(),
        }
    }
}

impl Collector {
    /// Uploads and submits calls, and waits for their answers.
    pub(super) async fn submit(self: Arc<Self>, (model, url): Kind, mut waiting: Vec<Waiting>) {
        // Whoever was interrupted meanwhile pays for nothing.
        waiting.retain(|call| !call.sender.is_closed());
        if waiting.is_empty() {
            return;
        }
        let mut file = Vec::with_capacity(waiting.iter().map(|call| call.line.len() + 1).sum());
        let (mut calls, mut senders) = (Vec::new(), HashMap::new());
        for Waiting { id, line, sender } in waiting {
            file.extend_from_slice(line.as_bytes());
            file.push(b'\n');
            calls.push(id.clone());
            senders.insert(id, sender);
        }
        let name = self.batches.run().unwrap_or("calls").to_owned();
        let file = match self.provider.upload(&model, &name, file).await {
            Ok(file) => file,
            Err(error) => return Job::new(usize::MAX, senders).fail(error),
        };
        if senders.values().all(oneshot::Sender::is_closed) {
            return;
        }
        let count = calls.len() as u64;
        let entry = Entry {
            connection: self.provider.http.name().into(),
            model: model.clone(),
            url: url.into(),
            state: State::Uploaded,
            file: file.clone(),
            batch: None,
            calls,
            failed: Default::default(),
        };
        let position = match self.batches.add(entry) {
            Ok(position) => position,
            Err(error) => {
                // A batch of which nobody will know is not submitted.
                let connection = self.provider.http.name().to_owned();
                let error = ModelError::Misconfigured { connection, message: error.to_string() };
                return Job::new(usize::MAX, senders).fail(error);
            }
        };
        let job = Job::new(position, senders);
        let standing = match self.provider.submit(&model, url, &file, self.batches.run()).await {
            Ok(standing) => standing,
            Err(NotSubmitted { error, perhaps }) => {
                if perhaps {
                    return self.leave(&job, error);
                }
                self.give_up(position);
                return job.fail(error);
            }
        };
        self.batches.change(position, |entry| {
            (entry.state, entry.batch) = (State::Submitted, Some(standing.id.clone()));
        });
        self.tell(&standing, count, BatchHappened::Submitted);
        let first = standing.retry_after.unwrap_or(self.batches.polling.first);
        self.watch(&job, &model, &standing.id, count, first).await;
    }

    /// The batch of an earlier process, which is waited for from the first time on that somebody asks.
    pub(super) fn attach(self: &Arc<Self>, position: usize) -> Arc<Job> {
        let mut attached = self.attached.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = || {
            let job = Arc::new(Job::new(position, HashMap::new()));
            tokio::spawn(self.clone().go_on(job.clone()));
            job
        };
        attached.entry(position).or_insert_with(begin).clone()
    }

    async fn go_on(self: Arc<Self>, job: Arc<Job>) {
        let Some(entry) = self.batches.entry(job.position) else {
            return job.end(End::without_answers(Outcome::Again));
        };
        let batch = match entry.batch {
            Some(batch) => batch,
            // The process died between its file and its batch: the provider knows.
            None => match self.provider.find(&entry.file).await {
                Ok(Some(found)) => {
                    self.batches.change(job.position, |entry| {
                        (entry.state, entry.batch) = (State::Submitted, Some(found.id.clone()));
                    });
                    found.id
                }
                Ok(None) => {
                    self.give_up(job.position);
                    return job.end(End::without_answers(Outcome::Again));
                }
                Err(error) => return self.leave(&job, error),
            },
        };
        let count = entry.calls.len() as u64;
        self.tell(&Standing::unknown(&batch), count, BatchHappened::Attached);
        self.watch(&job, &entry.model, &batch, count, Duration::ZERO).await;
    }

    /// Looks at a batch until it is over, and tells its answers.
    async fn watch(&self, job: &Job, model: &str, batch: &Arc<str>, count: u64, first: Duration) {
        let polling = &self.batches.polling;
        let (mut wait, mut pause) = (first, polling.first);
        let mut seen = None;
        let mut failing: Option<(Instant, u32)> = None;
        loop {
            sleep(wait).await;
            let looked = match self.provider.look(batch).await {
                Ok(standing) if standing.is_over() => match self.answers(job.position, model, &standing).await {
                    Ok(end) => {
                        let ended = BatchHappened::Ended { status: standing.status.clone() };
                        self.tell(&standing, count, ended);
                        return job.end(end);
                    }
                    Err(error) => Err(error),
                },
                other => other,
            };
            let error = match looked {
                Ok(standing) => {
                    failing = None;
                    let now = Some((standing.status.clone(), standing.completed, standing.failed));
                    if now != seen {
                        seen = now;
                        self.batches.progressed(job.position, standing.completed);
                        let progressed = BatchHappened::Progressed { status: standing.status.clone() };
                        self.tell(&standing, count, progressed);
                    }
                    wait = standing.retry_after.unwrap_or(pause);
                    pause = (pause + pause / 2).min(polling.most);
                    continue;
                }
                Err(error) => error,
            };
            if let ModelError::Rejected { status: 404, .. } = &error {
                // What the provider no longer has is not to be asked for again.
                self.give_up(job.position);
                return job.fail(error);
            }
            let (since, times) = failing.map_or_else(|| (Instant::now(), 1), |(since, times)| (since, times + 1));
            failing = Some((since, times));
            if !error.is_transient() || since.elapsed() >= polling.patience {
                return self.leave(job, error);
            }
            if times == 1 {
                let trouble = BatchHappened::Trouble { message: error.to_string().into() };
                self.tell(&Standing::unknown(batch), count, trouble);
            }
            wait = self.provider.pause(times, &error);
        }
    }

    /// The answers of a batch that is over, from its files.
    async fn answers(&self, position: usize, model: &str, standing: &Standing) -> Result<End, ModelError> {
        let mut came = HashMap::new();
        let mut secrets: Arc<[String]> = Arc::default();
        for file in &standing.files {
            let received = self.provider.content(file).await?;
            secrets = received.secrets.into();
            came.extend(received.text.lines().filter_map(lines::output));
        }
        let rest = match &*standing.status {
            "failed" => self.provider.refusal(model, standing),
            "expired" => never_answered(408, "expired", &Value::Null),
            "cancelled" => never_answered(499, "was cancelled", &Value::Null),
            _ => never_answered(500, "ended", &Value::Null),
        };
        self.batches.change(position, |entry| {
            let is_reply = |call: &Arc<str>| came.get(call).is_some_and(Came::is_reply);
            entry.failed = entry.calls.iter().filter(|call| !is_reply(call)).cloned().collect();
            entry.state = State::Over;
        });
        Ok(End { came, secrets, rest: Outcome::Failed(rest) })
    }

    /// Waits no longer for a batch that the provider has, or may have. It stays in the manifest: whoever asks its calls again
    /// waits for it again.
    fn leave(&self, job: &Job, error: ModelError) {
        let calls: Vec<Arc<str>> = job.waiting().senders.keys().cloned().collect();
        self.batches.put_back(self.provider.http.name(), job.position, calls);
        self.attached.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.position);
        job.fail(error);
    }

    /// Strikes a batch out: there is none, or none any more.
    fn give_up(&self, position: usize) {
        self.batches.change(position, |entry| {
            entry.state = State::Over;
            entry.failed = entry.calls.iter().cloned().collect();
        });
    }

    fn tell(&self, standing: &Standing, calls: u64, happened: BatchHappened) {
        self.batches.tell(&BatchNotice {
            connection: self.provider.http.name().into(),
            batch: standing.id.clone(),
            calls,
            completed: standing.completed,
            failed: standing.failed,
            happened,
        });
    }
}
