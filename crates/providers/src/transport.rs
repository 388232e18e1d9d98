//! One attempt: what the layers ask of whoever reaches the model.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderMap;
use sluicegate_model::{CallContext, CallNotice, ModelError};
use tokio::time::Instant;

use crate::ask::{Answer, Ask};
use crate::gate::Quota;

/// Reaches a model once, without limits or retries.
pub(crate) trait Transport: Send + Sync {
    /// Sends the request and waits for the whole answer, passing on its pieces.
    fn send(&self, ask: &Ask<'_>, attempt: &Attempt<'_>) -> impl Future<Output = Result<Answer, ModelError>> + Send;
}

/// One attempt of a call.
pub(crate) struct Attempt<'a> {
    /// Which one, from 1.
    pub(crate) number: u32,
    pub(crate) context: &'a CallContext,
    started: Instant,
    passed_on: AtomicBool,
    sent_again: AtomicU32,
    quota: Mutex<Option<Quota>>,
}

impl<'a> Attempt<'a> {
    /// Tells of an attempt; may be sent once it is there.
    pub(crate) async fn start(number: u32, context: &'a CallContext) -> Self {
        context.notices.notice(CallNotice::AttemptStarted { attempt: number });
        if let Some(ready) = context.notices.before_sending() {
            ready.await;
        }
        Self {
            number,
            context,
            started: Instant::now(),
            passed_on: AtomicBool::new(false),
            sent_again: AtomicU32::new(0),
            quota: Mutex::default(),
        }
    }

    /// Passes on a piece of the reply's text; after that nobody may retry.
    pub(crate) fn pass_on(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.passed_on.swap(true, Ordering::Relaxed) {
            self.context.notices.notice(CallNotice::FirstChunk { after: self.started.elapsed() });
        }
        self.context.notices.notice(CallNotice::Chunk { text: text.into() });
    }

    /// Hears what an answer's headers tell of the endpoint's quota.
    pub(crate) fn hear(&self, headers: &HeaderMap) {
        if let Some(quota) = Quota::of_headers(headers) {
            *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
        }
    }

    /// What the last answer told of the endpoint's quota.
    pub(crate) fn quota(&self) -> Option<Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same attempt is sent once more, adapted.
    pub(crate) fn sends_again(&self) {
        self.sent_again.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was sent beyond the first time.
    pub(crate) fn sent_again(&self) -> u32 {
        self.sent_again.load(Ordering::Relaxed)
    }

    /// Whether a piece of the reply was passed on.
    pub(crate) fn passed_on(&self) -> bool {
        self.passed_on.load(Ordering::Relaxed)
    }
}
