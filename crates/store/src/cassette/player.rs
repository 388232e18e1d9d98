//! Replays a cassette.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sluicegate_model::{Asked, KeptReply, ModelError};

use super::call::{self, Place, Request, RequestHash};
use super::difference::Difference;
use super::index::{Span, each_call, text_at};
use super::{FILE, PART};
use crate::StoreError;

/// Recorded calls that a call which is not recorded is compared to.
const COMPARED: usize = 50;

/// Where every call stands; what it says is read when it is asked for.
#[derive(Debug)]
pub(super) struct Player {
    folder: PathBuf,
    /// In the order of their places.
    calls: Vec<Call>,
    /// The first call with this request.
    by_hash: HashMap<RequestHash, usize>,
    /// The calls of a node, in order.
    by_node: HashMap<Arc<str>, Vec<usize>>,
    /// The cassette, and what a recording left behind that was never closed.
    files: Mutex<[Option<File>; 2]>,
}

#[derive(Debug)]
struct Call {
    at: Place,
    hash: RequestHash,
    file: usize,
    span: Span,
}

impl Player {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let places = [folder.join(FILE), folder.join(PART)];
        if !places.iter().any(|place| place.exists()) {
            return Err(StoreError::NoCassette { place: folder.display().to_string() });
        }
        // Opened before they are read: whoever records meanwhile puts another file in the place.
        let files = places.each_ref().map(|place| File::open(place).ok());
        let mut calls = Vec::new();
        let mut nodes: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        for (file, place) in places.iter().enumerate() {
            each_call(place, file == 1, &mut |mut at, hash, span| {
                // A million lines have few nodes: their names are kept once.
                at.node = Arc::clone(nodes.entry(Arc::clone(&at.node)).or_insert_with(|| Arc::clone(&at.node)));
                calls.push(Call { at, hash, file, span });
            })?;
        }
        // What was recorded last counts: it comes last among those of a place.
        calls.sort_by(|one, other| one.at.cmp(&other.at));
        calls.reverse();
        calls.dedup_by(|one, last| one.at == last.at);
        calls.reverse();
        let mut by_hash = HashMap::new();
        let mut by_node: HashMap<Arc<str>, Vec<usize>> = HashMap::new();
        for (number, call) in calls.iter().enumerate() {
            by_hash.entry(call.hash).or_insert(number);
            by_node.entry(Arc::clone(&call.at.node)).or_default().push(number);
        }
        Ok(Self { folder: folder.to_owned(), calls, by_hash, by_node, files: Mutex::new(files) })
    }

    pub(super) fn len(&self) -> u64 {
        self.calls.len() as u64
    }

    pub(super) fn find(&self, asked: &Asked) -> Result<KeptReply, ModelError> {
        let hash = RequestHash::of(&asked.hash);
        let at = Place::of(asked);
        let here = self.position(&at).ok().filter(|number| self.calls[*number].hash == hash);
        let Some(call) = here.or_else(|| self.by_hash.get(&hash).copied()).and_then(|number| self.calls.get(number))
        else {
            return Err(self.not_recorded(asked, &at));
        };
        self.text(call).and_then(|text| call::read_reply(&text)).map_err(|message| ModelError::NotRecorded {
            message: format!("the reply to {} cannot be read from `{}`: {message}", call.at, self.folder.display()),
        })
    }

    fn position(&self, at: &Place) -> Result<usize, usize> {
        self.calls.binary_search_by(|call| call.at.cmp(at))
    }

    fn text(&self, call: &Call) -> Result<String, String> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = files.get_mut(call.file).and_then(Option::as_mut).ok_or("the file is gone")?;
        text_at(file, call.span).map_err(|error| error.to_string())
    }

    /// What was asked where, and how it differs from the nearest that is recorded.
    fn not_recorded(&self, asked: &Asked, at: &Place) -> ModelError {
        let (operation, model, folder) = (&asked.operation, &asked.model, self.folder.display());
        let what = format!("what {at} asks (`{operation}` of `{model}`) is not on the cassette `{folder}`");
        let message = match self.nearest(asked, at) {
            Some((call, difference)) if call.at == *at => format!("{what}: there, {difference}"),
            Some((call, difference)) => format!("{what}; nearest is what {} asked: {difference}", call.at),
            None => format!("{what}, which is empty"),
        };
        ModelError::NotRecorded { message }
    }

    /// The call at the same place; else, of the same node's or else of all near the place, the one that differs least.
    fn nearest(&self, asked: &Asked, at: &Place) -> Option<(&Call, Difference)> {
        let compare = |number: usize| {
            let call = self.calls.get(number)?;
            let request = Request::read(&self.text(call).ok()?).ok()?;
            Some((call, Difference::between(asked, &request)))
        };
        let here = match self.position(at) {
            Ok(number) => return compare(number),
            Err(number) => number,
        };
        let numbers: Vec<usize> = match self.by_node.get(&at.node) {
            Some(own) => around(own.len(), own.partition_point(|number| *number < here))
                .filter_map(|index| own.get(index).copied())
                .collect(),
            None => around(self.calls.len(), here).collect(),
        };
        numbers.into_iter().filter_map(compare).min_by(|(_, one), (_, other)| one.weight.total_cmp(&other.weight))
    }
}

/// The numbers below `count` that are nearest to `middle`, about [`COMPARED`] of them.
fn around(count: usize, middle: usize) -> std::ops::Range<usize> {
    middle.saturating_sub(COMPARED / 2)..count.min(middle + COMPARED / 2)
}
