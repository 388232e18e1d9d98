//! Replies that are kept from one run to the next, so that what was asked once is not paid twice.
//!
//! A file of its own, shared by all runs and processes. It is a cache and nothing else: whatever is wrong with it
//! costs replies, never a run.

mod file;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _};
use sluicegate_model::{Asked, ChatReply, EmbeddingReply, KeptReply, ModelError, ReplyKeeper, Shortfall};

use crate::{Store, StoreError, json};
use file::CacheFile;
use writer::CacheWriter;

/// What a run does with the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CacheMode {
    /// Nothing.
    #[default]
    Off,
    /// It takes what is there and keeps nothing.
    Read,
    /// It takes nothing and keeps what it is told: what is there is made anew.
    Write,
    /// It takes what is there and keeps the rest.
    On,
}

impl CacheMode {
    /// The word for it: `off`, `read`, `write`, `on`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Read => "read",
            Self::Write => "write",
            Self::On => "on",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Read, Self::Write, Self::On].into_iter().find(|mode| mode.name() == name)
    }

    fn reads(self) -> bool {
        matches!(self, Self::Read | Self::On)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Write | Self::On)
    }
}

/// What is in the cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// How many replies.
    pub replies: u64,
    /// How many bytes they have as JSON.
    pub bytes: u64,
    /// How often one of them was taken.
    pub hits: u64,
    /// When the oldest was kept.
    pub oldest: Option<Timestamp>,
    /// When the newest was kept.
    pub newest: Option<Timestamp>,
    /// How many bytes the file has.
    pub file_bytes: u64,
}

/// Keeps whole replies of chat and embedding models by what was asked ([`Asked::hash`]); HTTP calls are not cached.
///
/// A chat reply that a content filter stopped, or that went by a filter which failed, is not kept: filters change, and
/// whoever changes one wants to ask again. A refusal of the model's own, and a reply that was cut off, are answers like
/// others and are kept.
///
/// A file that is no cache any longer is put aside under another name, with a warning. Dropping the cache waits until
/// everything is written.
#[derive(Debug)]
pub struct ReplyCache {
    mode: CacheMode,
    file: Arc<CacheFile>,
    reader: Option<Mutex<Connection>>,
    writer: Option<CacheWriter>,
}

impl Store {
    /// Opens the replies that this store keeps. Never fails: what is wrong is among [`ReplyCache::warnings`].
    #[must_use]
    pub fn reply_cache(&self, mode: CacheMode) -> ReplyCache {
        ReplyCache::open(self.root().join("cache.db"), mode)
    }
}

impl ReplyCache {
    /// Opens the cache in a file, and makes it where replies are to be kept. Never fails: what is wrong is among
    /// [`ReplyCache::warnings`], and then the cache does less than it was asked.
    #[must_use]
    pub fn open(place: impl Into<PathBuf>, mode: CacheMode) -> Self {
        let file = Arc::new(CacheFile::new(place.into()));
        let connection = mode.writes().then(|| file.open_to_write()).flatten();
        let writer = connection.and_then(|connection| CacheWriter::start(Arc::clone(&file), connection));
        let reader = mode.reads().then(|| file.open_to_read()).flatten().map(Mutex::new);
        Self { mode, file, reader, writer }
    }

    /// What the cache was asked to do.
    #[must_use]
    pub fn mode(&self) -> CacheMode {
        self.mode
    }

    /// The file.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.file.place()
    }

    /// What is wrong with the cache so far, each a lower-case fragment.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.file.warnings()
    }

    /// Waits until what was kept so far is written, for all processes to see.
    pub fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush();
        }
    }

    /// What is in the cache, in whichever mode.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn stats(&self) -> Result<CacheStats, StoreError> {
        self.flush();
        self.file.stats()
    }

    /// Throws all replies away, in whichever mode, and returns what was there.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn clear(&self) -> Result<CacheStats, StoreError> {
        self.flush();
        let stats = self.file.stats()?;
        self.file.clear()?;
        Ok(stats)
    }

    fn read(&self, hash: &str) -> Option<KeptReply> {
        let reader = lock(self.reader.as_ref()?);
        if self.file.is_broken() {
            return None;
        }
        let found =
            reader.prepare_cached("SELECT kind, reply FROM replies WHERE hash = ?1").and_then(|mut statement| {
                statement.query_row([hash], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).optional()
            });
        let (kind, text) = match found {
            Ok(found) => found?,
            Err(error) => {
                self.file.note(&error);
                return None;
            }
        };
        drop(reader);
        // What a later version keeps in another form is not there for this one.
        match kind.as_str() {
            "chat" => json::read::<ChatReply>(&text).ok().map(|reply| KeptReply::Chat(Box::new(reply))),
            "embedding" => json::read::<EmbeddingReply>(&text).ok().map(|reply| KeptReply::Embedding(Box::new(reply))),
            _ => None,
        }
    }
}

impl ReplyKeeper for ReplyCache {
    fn find(&self, asked: &Asked) -> Result<Option<KeptReply>, ModelError> {
        let found = self.read(&asked.hash);
        if found.is_some()
            && let Some(writer) = &self.writer
        {
            writer.hit(&asked.hash);
        }
        Ok(found)
    }

    fn keep(&self, asked: &Asked, reply: &KeptReply) {
        let Some(writer) = &self.writer else { return };
        let (kind, text) = match reply {
            KeptReply::Chat(reply) if matches!(reply.shortfall(), Some(Shortfall::Filtered(_))) => return,
            KeptReply::Chat(reply) => ("chat", serde_json::to_string(reply)),
            KeptReply::Embedding(reply) => ("embedding", serde_json::to_string(reply)),
            KeptReply::Fetch(_) => return,
        };
        if let Ok(text) = text {
            writer.keep(&asked.hash, kind, text);
        }
    }
}

/// Whoever panicked while reading has changed nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
