//! Cassettes: a run's calls and their replies in a folder that people commit and review, so that the run can be done
//! again without a key, byte for byte.
//!
//! ```text
//!  DIR/replies.jsonl         a call per line, sorted by line, repeat, node and call; the same calls give the same bytes
//!  DIR/replies.jsonl.part    what is being recorded, as it comes; merged when the cassette is closed
//! ```
//!
//! Ids, times and the like are left out or made alike: what differs from one run to the next would make every recording
//! a change.

mod call;
mod difference;
mod index;
mod player;
mod recorder;
mod reply;

use std::path::{Path, PathBuf};

use sluicegate_model::{Asked, KeptReply, ModelError, ReplyKeeper};

use crate::StoreError;
use player::Player;
use recorder::Recorder;

/// The file of a cassette's calls.
const FILE: &str = "replies.jsonl";

/// What is being recorded.
const PART: &str = "replies.jsonl.part";

/// A cassette, being recorded or replayed.
///
/// Recorded: every chat, embedding and HTTP reply, also those that a content filter stopped. What is recorded again
/// replaces what was at the same place (line, repeat, node and call); the rest of the cassette stays.
///
/// Replayed: a call has the reply of the same place, if the same was asked there; else that of the first place where
/// the same was asked, for rows may have moved; else it fails, and says how it differs from the nearest.
#[derive(Debug)]
pub struct Cassette {
    folder: PathBuf,
    deck: Deck,
}

#[derive(Debug)]
enum Deck {
    Record(Recorder),
    Replay(Player),
}

/// What a closed cassette holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CassetteReport {
    /// Calls that were recorded now.
    pub recorded: u64,
    /// Calls that are on the cassette.
    pub calls: u64,
}

impl Cassette {
    /// Begins to record into a folder, and makes it if it is not there. What an earlier recording that was never closed
    /// left behind is merged first.
    ///
    /// # Errors
    /// A folder that cannot be written; another process that records there; a damaged cassette.
    pub fn record(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        Ok(Self { deck: Deck::Record(Recorder::open(&folder)?), folder })
    }

    /// Opens a cassette to replay it. Nothing is written.
    ///
    /// # Errors
    /// No cassette is there; a line of it is damaged.
    pub fn replay(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        Ok(Self { deck: Deck::Replay(Player::open(&folder)?), folder })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends a recording: sorts what was recorded into the cassette. What is kept after that is lost. A cassette that is
    /// dropped without being closed is merged when the next recording begins, and can be replayed as it is.
    ///
    /// # Errors
    /// A reply that could not be kept, or a cassette that cannot be written.
    pub fn close(&self) -> Result<CassetteReport, StoreError> {
        match &self.deck {
            Deck::Record(recorder) => recorder.close(),
            Deck::Replay(player) => Ok(CassetteReport { recorded: 0, calls: player.len() }),
        }
    }
}

impl ReplyKeeper for Cassette {
    fn find(&self, asked: &Asked) -> Result<Option<KeptReply>, ModelError> {
        match &self.deck {
            Deck::Record(_) => Ok(None),
            Deck::Replay(player) => player.find(asked).map(Some),
        }
    }

    fn keep(&self, asked: &Asked, reply: &KeptReply) {
        if let Deck::Record(recorder) = &self.deck {
            recorder.keep(asked, reply);
        }
    }
}
