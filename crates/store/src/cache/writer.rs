//! The thread that writes the cache: whatever waits, in one commit.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};

use super::file::CacheFile;

/// Replies that wait at most. When a disk is slower than the models, what comes then is not cached.
const MOST_WAITING: usize = 4096;

/// Changes that share a commit.
const MOST_IN_A_COMMIT: usize = 1024;

#[derive(Debug)]
pub(super) struct CacheWriter {
    queue: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Change {
    Keep { hash: Arc<str>, kind: &'static str, reply: String },
    Hit { hash: Arc<str> },
    Flush(std::sync::mpsc::Sender<()>),
}

impl CacheWriter {
    /// `None` if there can be no more threads: then nothing is kept.
    pub(super) fn start(file: Arc<CacheFile>, mut connection: Connection) -> Option<Self> {
        let (queue, changes) = sync_channel(MOST_WAITING);
        let work = move || work(&file, &mut connection, &changes);
        let thread = std::thread::Builder::new().name("cache".to_owned()).spawn(work).ok()?;
        Some(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn keep(&self, hash: &Arc<str>, kind: &'static str, reply: String) {
        self.send(Change::Keep { hash: Arc::clone(hash), kind, reply });
    }

    pub(super) fn hit(&self, hash: &Arc<str>) {
        self.send(Change::Hit { hash: Arc::clone(hash) });
    }

    pub(super) fn flush(&self) {
        let (answer, answered) = channel();
        if let Some(queue) = &self.queue
            && queue.send(Change::Flush(answer)).is_ok()
        {
            // A writer that is gone has nothing to write.
            let _ = answered.recv();
        }
    }

    fn send(&self, change: Change) {
        if let Some(queue) = &self.queue {
            let _ = queue.try_send(change);
        }
    }
}

impl Drop for CacheWriter {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(file: &CacheFile, connection: &mut Connection, changes: &Receiver<Change>) {
    while let Ok(first) = changes.recv() {
        let mut waiting = vec![first];
        while waiting.len() < MOST_IN_A_COMMIT
            && let Ok(change) = changes.try_recv()
        {
            waiting.push(change);
        }
        if !file.is_broken()
            && let Err(error) = commit(connection, &waiting)
        {
            file.note(&error);
        }
        for change in waiting {
            if let Change::Flush(answer) = change {
                let _ = answer.send(());
            }
        }
    }
}

fn commit(connection: &mut Connection, changes: &[Change]) -> rusqlite::Result<()> {
    if changes.iter().all(|change| matches!(change, Change::Flush(_))) {
        return Ok(());
    }
    let now = Timestamp::now().as_microsecond();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut keep = transaction.prepare_cached(
            "INSERT INTO replies (hash, kind, reply, size, created, used) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
             ON CONFLICT (hash) DO UPDATE SET kind = excluded.kind, reply = excluded.reply, size = excluded.size,
                created = excluded.created, used = excluded.used",
        )?;
        let mut hit = transaction.prepare_cached("UPDATE replies SET hits = hits + 1, used = ?2 WHERE hash = ?1")?;
        for change in changes {
            match change {
                Change::Keep { hash, kind, reply } => {
                    let size = i64::try_from(reply.len()).unwrap_or(i64::MAX);
                    keep.execute((&**hash, kind, reply, size, now))?;
                }
                Change::Hit { hash } => {
                    hit.execute((&**hash, now))?;
                }
                Change::Flush(_) => {}
            }
        }
    }
    transaction.commit()
}
