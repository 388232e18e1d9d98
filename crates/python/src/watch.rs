//! The time of a request: it counts from when its code begins, not while others come first in its worker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::PythonError;
use crate::worker::{Progress, Request, Worker};

/// How long a call waits in a worker behind another one before it is asked for back: whatever the other is, it is not quick.
const BEFORE_ANOTHER: Duration = Duration::from_millis(20);

/// Looks at how far a request is.
pub(crate) struct Watch {
    worker: Arc<Worker>,
    number: u64,
    /// How long it may run.
    timeout: Option<Duration>,
    /// Whether it is worth asking for back, since there are other workers.
    may_return: bool,
}

impl Watch {
    pub(crate) fn over(request: &Request, timeout: Option<Duration>, may_return: bool) -> Self {
        Self { worker: request.worker.clone(), number: request.number, timeout, may_return }
    }

    /// Waits for the request's end; fails when it has run too long.
    pub(crate) async fn over_work<T>(
        self,
        work: impl Future<Output = Result<T, PythonError>>,
    ) -> Result<T, PythonError> {
        let first = match (self.timeout, self.may_return) {
            (None, false) => return work.await,
            (timeout, true) => timeout.map_or(BEFORE_ANOTHER, |timeout| timeout.min(BEFORE_ANOTHER)),
            (Some(timeout), false) => timeout,
        };
        let look = tokio::time::sleep(first);
        tokio::pin!(work, look);
        let mut may_return = self.may_return;
        loop {
            tokio::select! {
                biased;
                ended = &mut work => return ended,
                () = &mut look => {}
            }
            let next = match (self.worker.progress(self.number), self.timeout) {
                (Progress::Counted(begun), Some(timeout)) => match begun.checked_add(timeout) {
                    Some(end) if end <= Instant::now() => return Err(PythonError::TimedOut),
                    end => end,
                },
                (Progress::Behind, timeout) => {
                    if may_return {
                        self.worker.take_back(self.number);
                        may_return = false;
                    }
                    // However soon it begins now, it cannot be late before that.
                    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
                }
                (Progress::Ended, _) | (Progress::Counted(_), None) => None,
            };
            match next {
                Some(next) => look.as_mut().reset(next.into()),
                None => return work.await,
            }
        }
    }
}
