//! What a worker writes to stderr: what belongs to no call, and what is printed past Python.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

/// Hears the lines that belong to no call.
pub type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// How much is kept to explain a worker's death.
const KEPT: usize = 64 << 10;

/// The end of what a worker wrote.
pub(crate) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
}

impl Tail {
    /// Reads until the end, keeps the last of it, and tells each line.
    pub(crate) fn new(stderr: Option<ChildStderr>, listener: Option<Listener>) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let reading = stderr.map(|stderr| tokio::spawn(read(stderr, kept.clone(), listener)));
        Self { kept, reading }
    }

    /// The end of it, once all of it is read, but no later than `patience`: a process that left the group may write on.
    pub(crate) async fn last_words(mut self, patience: Duration) -> String {
        if let Some(reading) = &mut self.reading
            && tokio::time::timeout(patience, &mut *reading).await.is_err()
        {
            reading.abort();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

async fn read(mut stderr: ChildStderr, kept: Arc<Mutex<Vec<u8>>>, listener: Option<Listener>) {
    let mut lines = Lines { half: Vec::new(), listener };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length) = stderr.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        let read = &buffer[..length];
        {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.extend_from_slice(read);
            if kept.len() > 2 * KEPT {
                let surplus = kept.len() - KEPT;
                kept.drain(..surplus);
            }
        }
        lines.hear(read);
    }
    lines.end();
}

struct Lines {
    half: Vec<u8>,
    listener: Option<Listener>,
}

impl Lines {
    fn hear(&mut self, read: &[u8]) {
        let Some(listener) = &self.listener else { return };
        self.half.extend_from_slice(read);
        // A line without end is told in pieces.
        while let Some(end) =
            self.half.iter().position(|byte| *byte == b'\n').or((self.half.len() > KEPT).then_some(KEPT))
        {
            let line: Vec<u8> = self.half.drain(..=end).collect();
            listener(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        }
    }

    fn end(&mut self) {
        if let Some(listener) = self.listener.as_ref().filter(|_| !self.half.is_empty()) {
            listener(&String::from_utf8_lossy(&self.half));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_whole() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener: Listener = {
            let heard = heard.clone();
            Arc::new(move |line| heard.lock().expect("not poisoned").push(line.to_owned()))
        };
        let mut lines = Lines { half: Vec::new(), listener: Some(listener) };
        for piece in ["one\r\ntw", "o\n\nthr", "ee"] {
            lines.hear(piece.as_bytes());
        }
        lines.end();
        assert_eq!(*heard.lock().expect("not poisoned"), ["one", "two", "", "three"]);
    }
}
