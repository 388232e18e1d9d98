//! Passes on what a connection notices of a call, and holds what is sent back until its beginning is kept.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_events::NodePath;
use sluicegate_model::{BoxFuture, CallNotice, Notices};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::{CallSaid, Said, SaidKind};

/// Tells the node's owner what happens during one call.
pub(super) struct Teller {
    pub(super) say: UnboundedSender<Said>,
    pub(super) path: NodePath,
    pub(super) attempt: u32,
    pub(super) call: u32,
    pub(super) attempts: Arc<AtomicU32>,
    pub(super) pieces: Option<UnboundedSender<Arc<str>>>,
    pub(super) told_pieces: Arc<AtomicBool>,
    /// Comes when the start of the last attempt is kept.
    pub(super) kept: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Teller {
    fn say(&self, what: CallSaid) {
        let what = SaidKind::Call(self.call, what);
        let _ = self.say.send(Said { path: self.path.clone(), attempt: self.attempt, what });
    }
}

impl Notices for Teller {
    fn before_sending(&self) -> Option<BoxFuture<'static, ()>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Box::pin(is_kept(kept)))
    }

    fn notice(&self, notice: CallNotice) {
        match &notice {
            CallNotice::AttemptStarted { attempt } => {
                self.attempts.fetch_max(*attempt, Ordering::Relaxed);
                let (kept, when_kept) = oneshot::channel();
                *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(when_kept);
                return self.say(CallSaid::Sending(*attempt, kept));
            }
            CallNotice::AttemptFailed { attempt, .. } => {
                self.attempts.fetch_max(*attempt, Ordering::Relaxed);
            }
            CallNotice::Chunk { text } => {
                if let Some(pieces) = &self.pieces {
                    self.told_pieces.store(true, Ordering::Relaxed);
                    let _ = pieces.send(text.as_ref().into());
                    // What the node makes of them is told as the node's own.
                    return;
                }
            }
            _ => {}
        }
        self.say(CallSaid::Noticed(notice));
    }
}

/// Waits until the beginning of a call is kept. A journal that cannot keep it ends the run, and whoever waits with it.
pub(super) async fn is_kept(kept: oneshot::Receiver<()>) {
    if kept.await.is_err() {
        std::future::pending().await
    }
}
