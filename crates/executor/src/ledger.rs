//! The owner of what happened in a run, or in a line of a batch: it passes events through the redactor, numbers them,
//! appends them in order, and tells listeners what the journal has.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use jiff::Timestamp;
use sluicegate_events::{Event, EventKind, JournalError, RunId, Scope, SpanRef};
use sluicegate_model::BoxFuture;

use crate::calls::Kept;
use crate::engine::{Engine, LineKey};

/// The numbers of a run's events, shared by all its lines: a number is given where events are appended, so that their
/// order at the journal is that of their numbers.
#[derive(Debug, Default)]
pub(crate) struct Sequence(Mutex<u64>);

impl Sequence {
    /// Goes on after this number.
    pub(crate) fn after(last: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(last)))
    }
}

pub(crate) struct Ledger<'a> {
    engine: &'a Engine,
    pub(crate) run: RunId,
    line: LineKey,
    sequence: Arc<Sequence>,
    /// Not given to the journal yet.
    queue: Vec<Event>,
    /// What progress waits for, as it was before the redactor; the batch at the journal comes first.
    held_back: Vec<Event>,
    /// Who waits for what is queued to be kept.
    waiting: Vec<Kept>,
    appending: Option<Appending<'a>>,
}

/// A batch at the journal. One at a time: what happens meanwhile is the next batch, so commits are few when they are
/// slow and soon when they are quick.
struct Appending<'a> {
    ack: BoxFuture<'a, Result<(), JournalError>>,
    batch: Arc<Vec<Event>>,
    held_back: usize,
    waiting: Vec<Kept>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(engine: &'a Engine, run: RunId, line: LineKey, sequence: Arc<Sequence>) -> Self {
        Self {
            engine,
            run,
            line,
            sequence,
            queue: Vec::new(),
            held_back: Vec::new(),
            waiting: Vec::new(),
            appending: None,
        }
    }

    /// Makes an event of what happened. It gets its number when it goes to the journal.
    pub(crate) fn event(&self, scope: Scope, trace: Option<SpanRef>, kind: EventKind) -> Event {
        let scope = Scope { line: self.line.line, repeat: self.line.repeat, ..scope };
        Event { seq: 0, at: Timestamp::now(), run: self.run.clone(), scope, trace, redacted: false, kind }
    }

    /// Queues an event for the journal and returns it as it will be kept. One that others build upon comes back, as it
    /// is here, when it is kept.
    pub(crate) fn record(&mut self, mut event: Event, hold_back: bool) -> &Event {
        if hold_back {
            self.held_back.push(event.clone());
        }
        event.redacted = event.rewrite_texts(&mut |text| (self.engine.redact.rewrite)(text));
        let position = self.queue.len();
        self.queue.push(event);
        &self.queue[position]
    }

    /// Tells somebody when all that was recorded up to now, and what is recorded in the same breath, is kept.
    pub(crate) fn tell_when_kept(&mut self, kept: Kept) {
        self.waiting.push(kept);
    }

    /// Tells listeners of an event that is never kept.
    pub(crate) fn mention(&self, mut event: Event) {
        event.redacted = event.rewrite_texts(&mut |text| (self.engine.redact.rewrite)(text));
        self.engine.listeners.hear(&event);
    }

    /// Gives the journal what is queued, if it is not at work.
    pub(crate) fn flush(&mut self) {
        if self.appending.is_some() {
            return;
        }
        if self.queue.is_empty() {
            // All of it is kept already.
            for kept in self.waiting.drain(..) {
                let _ = kept.send(());
            }
            return;
        }
        let mut batch = std::mem::take(&mut self.queue);
        let mut last = self.sequence.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &mut batch {
            *last += 1;
            event.seq = *last;
        }
        // Appended under the lock: what has the next number comes next.
        let batch = Arc::new(batch);
        let ack = self.engine.journal.append(batch.clone());
        drop(last);
        let waiting = std::mem::take(&mut self.waiting);
        self.appending = Some(Appending { ack, batch, held_back: self.held_back.len(), waiting });
    }

    pub(crate) fn is_appending(&self) -> bool {
        self.appending.is_some()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.appending.is_none() && self.queue.is_empty()
    }

    /// Waits for the journal's answer; forever if it was asked nothing. Returns the events that were held back.
    pub(crate) fn acked(&mut self) -> Acked<'_, 'a> {
        Acked(self)
    }
}

pub(crate) struct Acked<'l, 'a>(&'l mut Ledger<'a>);

impl Future for Acked<'_, '_> {
    type Output = Result<Vec<Event>, JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ledger = &mut *self.0;
        let Some(appending) = &mut ledger.appending else { return Poll::Pending };
        let Poll::Ready(answer) = appending.ack.as_mut().poll(context) else { return Poll::Pending };
        let Some(Appending { batch, held_back, waiting, .. }) = ledger.appending.take() else { return Poll::Pending };
        if let Err(error) = answer {
            return Poll::Ready(Err(error));
        }
        for kept in waiting {
            // Whoever is gone waits no more.
            let _ = kept.send(());
        }
        for event in batch.iter() {
            ledger.engine.listeners.hear(event);
        }
        Poll::Ready(Ok(ledger.held_back.drain(..held_back).collect()))
    }
}
