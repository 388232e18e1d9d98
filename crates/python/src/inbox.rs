//! What a worker says of one request, on its way to whoever listens: an answer, mostly, and nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::wire::Incoming;

/// What a call may be told before its caller has listened: enough for a burst, and then the worker waits.
const UNHEARD: usize = 256;

#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    /// A message was heard where there was no room for more.
    room: Notify,
}

#[derive(Default)]
struct State {
    // Takes no memory of its own for the first, and few have a second.
    first: Option<Incoming>,
    more: VecDeque<Incoming>,
    listener: Option<Waker>,
    /// Nothing else will come, or nobody listens.
    closed: bool,
}

/// The end where messages are put; dropped, nothing else will come.
pub(crate) struct Mouth(pub(crate) Arc<Inbox>);

impl Inbox {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in; waits while many are unheard. Gives it back if nobody listens.
    pub(crate) async fn put(&self, mut message: Incoming) -> Option<Incoming> {
        loop {
            let room = self.room.notified();
            match self.try_put(message) {
                Ok(()) => return None,
                Err((unheard, true)) => return Some(unheard),
                Err((unheard, false)) => message = unheard,
            }
            room.await;
        }
    }

    /// Gives a message back for which there is no place; and whether there never will be.
    #[expect(clippy::result_large_err, reason = "it is the message itself that comes back")]
    fn try_put(&self, message: Incoming) -> Result<(), (Incoming, bool)> {
        let listener = {
            let mut state = self.state();
            if state.closed {
                return Err((message, true));
            }
            if state.first.is_none() && state.more.is_empty() {
                state.first = Some(message);
            } else if state.more.len() < UNHEARD {
                state.more.push_back(message);
            } else {
                return Err((message, false));
            }
            state.listener.take()
        };
        if let Some(listener) = listener {
            listener.wake();
        }
        Ok(())
    }

    /// The next message; `None`: there will be none.
    pub(crate) async fn next(&self) -> Option<Incoming> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        let mut state = self.state();
        if let Some(message) = state.first.take() {
            return Poll::Ready(Some(message));
        }
        if let Some(message) = state.more.pop_front() {
            if state.more.len() + 1 == UNHEARD {
                self.room.notify_waiters();
            }
            return Poll::Ready(Some(message));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        match &mut state.listener {
            Some(listener) => listener.clone_from(context.waker()),
            listener => *listener = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes nothing more.
    pub(crate) fn close(&self) {
        let listener = {
            let mut state = self.state();
            state.closed = true;
            state.listener.take()
        };
        self.room.notify_waiters();
        if let Some(listener) = listener {
            listener.wake();
        }
    }
}

impl Drop for Mouth {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn chunk(number: usize) -> Incoming {
        wire::read(format!(r#"{{"op":"chunk","of":1,"text":"{number}"}}"#).as_bytes()).expect("reads")
    }

    #[tokio::test]
    async fn messages_come_in_order_and_many_wait_until_they_are_heard() {
        let mouth = Mouth(Arc::default());
        let inbox = mouth.0.clone();
        let count = 5 * UNHEARD;
        let put = async move {
            for number in 0..count {
                assert!(mouth.0.put(chunk(number)).await.is_none());
            }
        };
        let heard = async {
            let mut heard = Vec::new();
            while let Some(message) = inbox.next().await {
                heard.push(message.text);
            }
            heard
        };
        let ((), heard) = tokio::join!(put, heard);
        assert_eq!(heard, (0..count).map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_nobody_hears_comes_back() {
        let inbox = Inbox::default();
        for number in 0..=UNHEARD {
            assert!(inbox.put(chunk(number)).await.is_none());
        }
        let full = inbox.put(chunk(1000));
        let (unheard, ()) = tokio::join!(full, async { inbox.close() });
        assert_eq!(unheard.expect("nobody listens").text, "1000");
    }
}
