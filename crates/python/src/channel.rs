//! Frames of a length and JSON, in both directions.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::PythonError;
use crate::wire::{self, Incoming};

/// The longest message, in bytes.
pub(crate) const LONGEST: usize = 1 << 30;

/// Messages that may wait to be written. Few: who asks much of a worker should wait for it, not fill the memory.
const WAITING: usize = 16;

/// From here on reading a message takes long enough to keep others from a runtime's thread.
const LARGE: usize = 1 << 20;

/// How much is read at once; longer messages are read for themselves.
const AT_ONCE: usize = 64 << 10;

/// A message, ready to be written.
pub(crate) type Frame = Vec<u8>;

/// Makes a frame of a message.
pub(crate) fn frame<T: Serialize>(message: &T) -> Result<Frame, PythonError> {
    let mut frame = Vec::with_capacity(512);
    frame.extend([0; 4]);
    serde_json::to_writer(&mut frame, message).map_err(|error| PythonError::Protocol(error.to_string()))?;
    let length = frame.len() - 4;
    match u32::try_from(length) {
        Ok(length) if length as usize <= LONGEST => {
            frame[..4].copy_from_slice(&length.to_be_bytes());
            Ok(frame)
        }
        _ => Err(PythonError::TooLarge {
            message: format!("the inputs take {length} bytes; at most {LONGEST} can be handed over"),
        }),
    }
}

/// Where messages to a worker go. Whoever sends also writes, as long as the worker takes what is written; then a task writes
/// what waits.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Outgoing>);

struct Outgoing {
    writing: Mutex<Writing>,
    /// Places for frames that wait. Closed when the worker is dead.
    places: Semaphore,
    runtime: Handle,
}

struct Writing {
    outgoing: Box<dyn AsyncWrite + Send + Unpin>,
    waiting: VecDeque<Frame>,
    /// How much of the first is written.
    written: usize,
    /// A task writes.
    draining: bool,
}

/// A place for one frame.
pub(crate) struct Place<'a>(SemaphorePermit<'a>, &'a Arc<Outgoing>);

impl Outbox {
    /// An outbox for what takes these bytes.
    pub(crate) fn to(outgoing: Box<dyn AsyncWrite + Send + Unpin>) -> Self {
        let writing = Writing { outgoing, waiting: VecDeque::new(), written: 0, draining: false };
        let (writing, places) = (Mutex::new(writing), Semaphore::new(WAITING));
        Self(Arc::new(Outgoing { writing, places, runtime: Handle::current() }))
    }

    /// Sends a frame; if the worker is dead, that is found out elsewhere.
    pub(crate) async fn send(&self, frame: Frame) {
        if let Some(place) = self.place().await {
            place.send(frame, |_| {});
        }
    }

    /// A place for one frame; `None`: the worker is dead.
    pub(crate) async fn place(&self) -> Option<Place<'_>> {
        let place = self.0.places.acquire().await.ok()?;
        Some(Place(place, &self.0))
    }

    /// Sends a frame from where nobody can wait.
    pub(crate) fn post(&self, frame: Frame) {
        match self.0.places.try_acquire() {
            Ok(place) => {
                Place(place, &self.0).send(frame, |_| {});
            }
            Err(_) if self.0.places.is_closed() => {}
            Err(_) => {
                let outbox = self.clone();
                self.0.runtime.spawn(async move { outbox.send(frame).await });
            }
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Outbox").finish_non_exhaustive()
    }
}

impl Place<'_> {
    /// Writes a frame, or puts it behind those that wait. `last` sees it when its order among all frames is certain. Returns
    /// whether the worker may get it: it is dead otherwise.
    pub(crate) fn send(self, mut frame: Frame, last: impl FnOnce(&mut Frame)) -> bool {
        let Self(place, outgoing) = self;
        let mut writing = outgoing.writing();
        last(&mut frame);
        if !writing.draining {
            match writing.write_now(&frame) {
                Ok(written) if written == frame.len() => return true,
                Ok(written) => writing.written = written,
                Err(Dead) => {
                    outgoing.places.close();
                    return false;
                }
            }
            writing.draining = true;
            outgoing.runtime.spawn(outgoing.clone().drain());
        }
        // Given back when the frame is written.
        place.forget();
        writing.waiting.push_back(frame);
        true
    }
}

/// Nobody reads what is written.
struct Dead;

impl Outgoing {
    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing waits.
    async fn drain(self: Arc<Self>) {
        std::future::poll_fn(|context| {
            let mut writing = self.writing();
            let Writing { outgoing, waiting, written, draining } = &mut *writing;
            while let Some(frame) = waiting.front() {
                match Pin::new(&mut *outgoing).poll_write(context, &frame[*written..]) {
                    Poll::Pending => return Poll::Pending,
                    // The worker is dead: whoever reads from it will say so.
                    Poll::Ready(Ok(0) | Err(_)) => {
                        waiting.clear();
                        self.places.close();
                    }
                    Poll::Ready(Ok(more)) => {
                        *written += more;
                        if *written == frame.len() {
                            *written = 0;
                            waiting.pop_front();
                            self.places.add_permits(1);
                        }
                    }
                }
            }
            *draining = false;
            Poll::Ready(())
        })
        .await;
    }
}

impl Writing {
    /// Writes as much of a frame as the worker takes now.
    fn write_now(&mut self, frame: &[u8]) -> Result<usize, Dead> {
        let mut context = Context::from_waker(Waker::noop());
        let mut written = 0;
        while written < frame.len() {
            match Pin::new(&mut self.outgoing).poll_write(&mut context, &frame[written..]) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => return Err(Dead),
                Poll::Ready(Ok(more)) => written += more,
            }
        }
        Ok(written)
    }
}

/// What a worker says, message by message. One reading brings all that is there.
pub(crate) struct Frames<R> {
    incoming: R,
    buffer: Vec<u8>,
    /// What has been read and not been looked at.
    held: std::ops::Range<usize>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn of(incoming: R) -> Self {
        Self { incoming, buffer: vec![0; AT_ONCE], held: 0..0 }
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Incoming>, PythonError> {
        loop {
            let held = self.buffer.get(self.held.clone()).unwrap_or_default();
            if let Some((head, rest)) = held.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*head) as usize;
                if length > LONGEST {
                    return Err(PythonError::Protocol(format!("a message of {length} bytes")));
                }
                if let Some(body) = rest.get(..length) {
                    let message = wire::read(body);
                    self.held.start += 4 + length;
                    return message.map(Some).map_err(|error| PythonError::Protocol(error.to_string()));
                }
                if 4 + length > self.buffer.len() {
                    // Grows as it comes: a length alone takes no memory.
                    let mut body = Vec::with_capacity(length.min(LARGE));
                    body.extend_from_slice(rest);
                    self.held = 0..0;
                    return self.long(body, length).await;
                }
            }
            self.buffer.copy_within(self.held.clone(), 0);
            self.held = 0..self.held.len();
            match self.incoming.read(&mut self.buffer[self.held.end..]).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(read) => self.held.end += read,
            }
        }
    }

    async fn long(&mut self, mut body: Vec<u8>, length: usize) -> Result<Option<Incoming>, PythonError> {
        let missing = (length - body.len()) as u64;
        match (&mut self.incoming).take(missing).read_to_end(&mut body).await {
            Ok(_) if body.len() == length => {}
            _ => return Ok(None),
        }
        let message = if length < LARGE {
            wire::read(&body)
        } else {
            match tokio::task::spawn_blocking(move || wire::read(&body)).await {
                Ok(message) => message,
                Err(_) => return Ok(None),
            }
        };
        message.map(Some).map_err(|error| PythonError::Protocol(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Operation, Outgoing};

    #[tokio::test]
    async fn what_is_framed_is_read() {
        let frame = frame(&Outgoing::Cancel { of: 3 }).expect("fits");
        assert_eq!(frame, b"\0\0\0\x16{\"op\":\"cancel\",\"of\":3}");
        let incoming: &[u8] = b"\0\0\0\x1c{\"op\":\"done\",\"re\":1,\"value\":2}rest";
        // The length is a byte short on purpose: then it is no JSON.
        assert!(Frames::of(incoming).next().await.is_err());
        let incoming: &[u8] =
            b"\0\0\0\x1f{\"op\":\"done\",\"re\":10,\"value\":2}\0\0\0\x1f{\"op\":\"done\",\"re\":11,\"value\":2}";
        let mut frames = Frames::of(incoming);
        for number in [10, 11] {
            let message = frames.next().await.expect("reads").expect("a message");
            assert_eq!((message.op, message.re), (Operation::Done, number));
        }
        assert!(frames.next().await.expect("ends").is_none());
    }

    #[tokio::test]
    async fn half_a_message_is_an_end_and_a_giant_is_refused() {
        let half: &[u8] = b"\0\0\0\x1f{\"op\":";
        assert!(Frames::of(half).next().await.expect("ends").is_none());
        let half: &[u8] = b"\0\x0f\0\0{\"op\":";
        assert!(Frames::of(half).next().await.expect("ends").is_none());
        let giant: &[u8] = b"\xff\xff\xff\xff{";
        assert!(Frames::of(giant).next().await.is_err());
    }

    /// Sends texts of these lengths through a pipe that holds few bytes, and reads them.
    async fn check_road(lengths: &[usize], room: usize) {
        let (ours, theirs) = tokio::io::duplex(room);
        let outbox = Outbox::to(Box::new(ours));
        let texts: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        let sent = async {
            for text in &texts {
                outbox.send(super::frame(&serde_json::json!({"op": "chunk", "text": text})).expect("fits")).await;
            }
            drop(outbox);
        };
        let read = async {
            let (mut frames, mut read) = (Frames::of(theirs), Vec::new());
            while let Some(message) = frames.next().await.expect("reads") {
                read.push(message.text.len());
            }
            read
        };
        assert_eq!(tokio::join!(sent, read).1, lengths, "room for {room}");
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_however_little_the_pipe_holds() {
        let small: Vec<usize> = (0..200).collect();
        check_road(&small, 7).await;
        check_road(&small, 1 << 20).await;
        check_road(&[10, AT_ONCE - 30, AT_ONCE, 3, 2 * LARGE, 4], 1000).await;
    }

    #[tokio::test]
    async fn a_frame_for_nobody_is_not_sent() {
        let (ours, theirs) = tokio::io::duplex(100);
        let outbox = Outbox::to(Box::new(ours));
        drop(theirs);
        let place = outbox.place().await.expect("not known yet");
        assert!(!place.send(vec![0], |_| {}));
        assert!(outbox.place().await.is_none());
    }
}
