//! Finished spans on their way to the thread that sends them: bounded, and never in the run's way.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The most bytes of spans that wait: a dead collector and large contents must not fill the memory. Without content, that
/// is as many spans as the default limit of their number.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// The most bytes of a batch: collectors refuse requests beyond some 20 MB.
const MOST_BATCH_BYTES: usize = 8 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Queue {
    limit: usize,
    batch: usize,
    waiting: Mutex<Waiting>,
    /// Told when the first span waits, and when a whole batch does.
    pub(crate) arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    spans: VecDeque<Box<[u8]>>,
    bytes: usize,
    dropped: u64,
}

impl Queue {
    pub(crate) fn new(limit: usize, batch: usize) -> Self {
        Self { limit, batch: batch.max(1), waiting: Mutex::default(), arrived: Notify::new() }
    }

    /// Adds a span, a `Span` in protobuf, or drops and counts it if there is no room.
    pub(crate) fn push(&self, span: &[u8]) {
        let mut waiting = self.lock();
        if waiting.spans.len() >= self.limit || waiting.bytes + span.len() > MOST_BYTES {
            waiting.dropped += 1;
            return;
        }
        waiting.bytes += span.len();
        waiting.spans.push_back(span.into());
        let count = waiting.spans.len();
        drop(waiting);
        if count == 1 || count == self.batch {
            self.arrived.notify_one();
        }
    }

    /// Takes the oldest spans, as many as a request may carry.
    pub(crate) fn take_batch(&self) -> Vec<Box<[u8]>> {
        let mut waiting = self.lock();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < self.batch
            && let Some(length) = waiting.spans.front().map(|span| span.len())
            && (batch.is_empty() || bytes + length <= MOST_BATCH_BYTES)
            && let Some(span) = waiting.spans.pop_front()
        {
            bytes += length;
            waiting.bytes -= length;
            batch.push(span);
        }
        batch
    }

    /// How many spans wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().spans.len()
    }

    /// Whether a whole batch waits.
    pub(crate) fn has_batch(&self) -> bool {
        self.len() >= self.batch
    }

    /// How many spans found no room.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
