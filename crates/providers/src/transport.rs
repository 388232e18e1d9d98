//! One attempt: what the layers ask of whoever reaches the model.

use std::sync::atomic::{AtomicBool, Ordering};

use sluicegate_model::{CallContext, CallNotice, ChatReply, ChatRequest, ModelError};
use tokio::time::Instant;

/// Reaches a model once, without limits or retries.
pub(crate) trait Transport: Send + Sync {
    /// Sends the request and waits for the whole reply, passing on its pieces.
    fn send(
        &self,
        request: &ChatRequest,
        attempt: &Attempt<'_>,
    ) -> impl Future<Output = Result<ChatReply, ModelError>> + Send;
}

/// One attempt of a call.
pub(crate) struct Attempt<'a> {
    /// Which one, from 1.
    pub(crate) number: u32,
    pub(crate) context: &'a CallContext,
    started: Instant,
    passed_on: AtomicBool,
}

impl<'a> Attempt<'a> {
    pub(crate) fn start(number: u32, context: &'a CallContext) -> Self {
        context.notices.notice(CallNotice::AttemptStarted { attempt: number });
        Self { number, context, started: Instant::now(), passed_on: AtomicBool::new(false) }
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

    /// Whether a piece of the reply was passed on.
    pub(crate) fn passed_on(&self) -> bool {
        self.passed_on.load(Ordering::Relaxed)
    }
}
