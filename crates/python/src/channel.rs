//! Frames of a length and JSON, in both directions.

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::error::PythonError;
use crate::wire::{self, Incoming};

/// The longest message, in bytes.
pub(crate) const LONGEST: usize = 1 << 30;

/// Messages that may wait to be written. Few: who asks much of a worker should wait for it, not fill the memory.
const WAITING: usize = 16;

/// From here on reading a message takes long enough to keep others from a runtime's thread.
const LARGE: usize = 1 << 20;

/// A message, ready to be written.
pub(crate) type Frame = Vec<u8>;

/// Makes a frame of a message.
pub(crate) fn frame<T: Serialize>(message: &T) -> Result<Frame, PythonError> {
    let mut frame = vec![0; 4];
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

/// Where messages to a worker go.
#[derive(Clone, Debug)]
pub(crate) struct Outbox(mpsc::Sender<Frame>);

impl Outbox {
    /// An outbox whose frames a task writes until all outboxes are gone or writing fails.
    pub(crate) fn to<W: AsyncWrite + Send + Unpin + 'static>(mut outgoing: W) -> Self {
        let (sender, mut receiver) = mpsc::channel::<Frame>(WAITING);
        tokio::spawn(async move {
            while let Some(frame) = receiver.recv().await {
                // The worker is dead: whoever reads from it will say so.
                if outgoing.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        Self(sender)
    }

    /// Sends a frame; if the worker is dead, that is found out elsewhere.
    pub(crate) async fn send(&self, frame: Frame) {
        let _ = self.0.send(frame).await;
    }

    /// A place for one frame, which will be sent for certain once it is there; `None`: the worker is dead.
    pub(crate) async fn place(&self) -> Option<mpsc::Permit<'_, Frame>> {
        self.0.reserve().await.ok()
    }

    /// Sends a frame from where nobody can wait.
    pub(crate) fn post(&self, frame: Frame) {
        if let Err(mpsc::error::TrySendError::Full(frame)) = self.0.try_send(frame) {
            let outbox = self.clone();
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { outbox.send(frame).await });
            }
        }
    }
}

/// Reads the next message; `None` at the end.
pub(crate) async fn read<R: AsyncRead + Unpin>(incoming: &mut R) -> Result<Option<Incoming>, PythonError> {
    let mut head = [0; 4];
    if incoming.read_exact(&mut head).await.is_err() {
        return Ok(None);
    }
    let length = u32::from_be_bytes(head) as usize;
    if length > LONGEST {
        return Err(PythonError::Protocol(format!("a message of {length} bytes")));
    }
    // Grows as it comes: a length alone takes no memory.
    let mut body = Vec::with_capacity(length.min(LARGE));
    match incoming.take(length as u64).read_to_end(&mut body).await {
        Ok(read) if read == length => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Operation, Outgoing};

    #[tokio::test]
    async fn what_is_framed_is_read() {
        let frame = frame(&Outgoing::Cancel { of: 3 }).expect("fits");
        assert_eq!(frame, b"\0\0\0\x16{\"op\":\"cancel\",\"of\":3}");
        let mut incoming: &[u8] = b"\0\0\0\x1c{\"op\":\"done\",\"re\":1,\"value\":2}rest";
        // The length is a byte short on purpose: then it is no JSON.
        assert!(read(&mut incoming).await.is_err());
        let mut incoming: &[u8] = b"\0\0\0\x1f{\"op\":\"done\",\"re\":10,\"value\":2}";
        let message = read(&mut incoming).await.expect("reads").expect("a message");
        assert_eq!((message.op, message.re), (Operation::Done, 10));
        assert!(read(&mut incoming).await.expect("ends").is_none());
    }

    #[tokio::test]
    async fn half_a_message_is_an_end_and_a_giant_is_refused() {
        let mut half: &[u8] = b"\0\0\0\x1f{\"op\":";
        assert!(read(&mut half).await.expect("ends").is_none());
        let mut giant: &[u8] = b"\xff\xff\xff\xff{";
        assert!(read(&mut giant).await.is_err());
    }
}
