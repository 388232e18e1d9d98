//! Records a cassette.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sluicegate_model::{Asked, KeptReply};

use super::call::{self, Place};
use super::index::{Span, each_call, text_at};
use super::{CassetteReport, FILE, PART};
use crate::StoreError;
use crate::journal::FileIdentity;

#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Locked, so that two processes do not record into one cassette; `None` once closed.
    part: Option<File>,
    recorded: u64,
    /// The first reply that could not be kept. Nothing is written after it: half a line may stand there.
    failure: Option<StoreError>,
    closed: CassetteReport,
}

impl Recorder {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(folder).map_err(|error| StoreError::folder(folder, &error))?;
        let part = lock_part(folder)?;
        merge(folder)?;
        let place = folder.join(PART);
        part.set_len(0).map_err(|error| StoreError::file(&place, &error))?;
        let state = State { part: Some(part), recorded: 0, failure: None, closed: CassetteReport::default() };
        Ok(Self { folder: folder.to_owned(), state: Mutex::new(state) })
    }

    pub(super) fn keep(&self, asked: &Asked, reply: &KeptReply) {
        let line = call::write(asked, reply);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failure.is_some() {
            return;
        }
        let place = self.folder.join(PART);
        let outcome = match (line, &mut state.part) {
            // Written whole and at once: whoever is killed loses no more than the line that is being written.
            (Ok(line), Some(part)) => part.write_all(line.as_bytes()).map_err(|error| StoreError::file(&place, &error)),
            (Ok(_), None) => return,
            (Err(message), _) => {
                let message = format!("the reply to {} cannot be kept: {message}", Place::of(asked));
                Err(StoreError::File { place: place.display().to_string(), message })
            }
        };
        match outcome {
            Ok(()) => state.recorded += 1,
            Err(error) => state.failure = Some(error),
        }
    }

    pub(super) fn close(&self) -> Result<CassetteReport, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = state.part.take() {
            let calls = merge(&self.folder)?;
            // While it is locked: nobody else begins to write a file that is about to go.
            let place = self.folder.join(PART);
            let removed = fs::remove_file(&place);
            drop(part);
            if removed.is_err() {
                // Some systems delete no open file.
                let _ = fs::remove_file(&place);
            }
            state.closed = CassetteReport { recorded: state.recorded, calls };
        }
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(state.closed),
        }
    }
}

fn lock_part(folder: &Path) -> Result<File, StoreError> {
    let place = folder.join(PART);
    let io = |error: &std::io::Error| StoreError::file(&place, error);
    loop {
        let part = OpenOptions::new().create(true).read(true).append(true).open(&place).map_err(|error| io(&error))?;
        match part.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::CassetteHeld { place: folder.display().to_string() });
            }
            Err(TryLockError::Error(error)) => return Err(io(&error)),
        }
        // Whoever recorded before may have deleted the file between the two steps.
        let facts = part.metadata().map_err(|error| io(&error))?;
        if FileIdentity::of(&place) == Some(FileIdentity::of_metadata(&facts)) {
            return Ok(part);
        }
    }
}

/// Sorts what was recorded into the cassette, and says how many calls it has then. The cassette is always whole: the
/// new one takes the place of the old one at once.
fn merge(folder: &Path) -> Result<u64, StoreError> {
    let places = [folder.join(FILE), folder.join(PART)];
    let mut calls: BTreeMap<Place, (usize, Span)> = BTreeMap::new();
    for (number, place) in places.iter().enumerate() {
        each_call(place, number == 1, &mut |at, _, span| {
            calls.insert(at, (number, span));
        })?;
    }
    // An empty cassette is one too; but nothing is written where nothing was recorded.
    let [cassette, part] = &places;
    let has_recorded = fs::metadata(part).is_ok_and(|facts| facts.len() > 0);
    if has_recorded || !cassette.exists() {
        write(folder, &places, &calls)?;
    }
    Ok(calls.len() as u64)
}

fn write(folder: &Path, places: &[PathBuf; 2], calls: &BTreeMap<Place, (usize, Span)>) -> Result<(), StoreError> {
    let new = folder.join(format!("{FILE}.new"));
    let mut files = [File::open(&places[0]).ok(), File::open(&places[1]).ok()];
    let mut copy = || {
        let mut out = BufWriter::with_capacity(256 * 1024, File::create(&new)?);
        for (number, span) in calls.values() {
            if let Some(file) = &mut files[*number] {
                out.write_all(text_at(file, *span)?.as_bytes())?;
                out.write_all(b"\n")?;
            }
        }
        out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
    };
    copy().map_err(|error| StoreError::file(&new, &error))?;
    fs::rename(&new, &places[0]).map_err(|error| StoreError::file(&places[0], &error))
}
