//! An event as it lies in its row: JSON, with everything of 32 KiB and more taken out and kept once, by hash.
//!
//! What was taken out leaves `{"$stored": "<sha256>"}` behind. An author's own map that looks like this is wrapped
//! once more (`{"$stored": {…}}`), so that any value comes back as it was.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use sluicegate_events::Event;
use sluicegate_value::hash;

use crate::{StoreError, json};

/// From this many bytes of JSON on, a value is kept once, by its hash.
pub(crate) const STORED_FROM: usize = 32 * 1024;

const MARK: &str = "$stored";

/// A value that was taken out of an event.
pub(crate) struct Stored {
    pub(crate) sha256: String,
    pub(crate) json: String,
}

/// Writes the row's text into `text`, in place of what is there, and returns what was taken out of it.
pub(crate) fn write(event: &Event, text: &mut String) -> Result<Vec<Stored>, String> {
    let mut bytes = std::mem::take(text).into_bytes();
    bytes.clear();
    serde_json::to_writer(&mut bytes, event).map_err(|error| error.to_string())?;
    *text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    if json::is_too_deep(text) {
        return Err(format!("event {} nests deeper than {} lists and maps", event.seq, json::MAX_DEPTH));
    }
    // Most events are small: they go as they are.
    if text.len() < STORED_FROM && !text.contains(MARK) {
        return Ok(Vec::new());
    }
    let mut tree: Json = json::read(text)?;
    let mut taken = Vec::new();
    if let Json::Object(fields) = &mut tree {
        for field in fields.values_mut() {
            take_out(field, &mut taken);
        }
    }
    *text = tree.to_string();
    Ok(taken)
}

/// The row's text with everything in its place again, as JSON text.
pub(crate) fn whole_text(place: &Path, connection: &Connection, body: String) -> Result<String, StoreError> {
    if !body.contains(MARK) {
        return Ok(body);
    }
    let mut tree = parse_row(place, &body)?;
    if let Json::Object(fields) = &mut tree {
        for field in fields.values_mut() {
            put_back(place, connection, field, 0)?;
        }
    }
    Ok(tree.to_string())
}

/// The event of a row.
pub(crate) fn read(place: &Path, connection: &Connection, body: String) -> Result<Event, StoreError> {
    part(place, connection, body)
}

/// Some fields of a row's event, without the others.
pub(crate) fn part<T: DeserializeOwned>(place: &Path, connection: &Connection, body: String) -> Result<T, StoreError> {
    let whole = whole_text(place, connection, body)?;
    json::read(&whole).map_err(|error| StoreError::damaged(place, format!("an event reads: {error}")))
}

/// Bottom up: the smallest parts that are large leave first, so that a text of 40 KiB is the same blob as a node's
/// output, inside its reader's inputs, and inside the run's outputs. Returns the size of what remains.
fn take_out(value: &mut Json, taken: &mut Vec<Stored>) -> usize {
    let size = match value {
        Json::Array(items) => 2 + items.iter_mut().map(|item| take_out(item, taken) + 1).sum::<usize>(),
        Json::Object(fields) => {
            let size = 2 + fields.iter_mut().map(|(key, item)| key.len() + 4 + take_out(item, taken)).sum::<usize>();
            if is_marked(fields) {
                let inner = std::mem::take(fields);
                fields.insert(MARK.to_owned(), Json::Object(inner));
            }
            size
        }
        Json::String(text) => text.len() + 2,
        _ => 8,
    };
    if size < STORED_FROM {
        return size;
    }
    let json = value.to_string();
    let sha256 = hash::sha256(&json);
    *value = Json::Object(Map::from_iter([(MARK.to_owned(), Json::String(sha256.clone()))]));
    taken.push(Stored { sha256, json });
    80
}

fn put_back(place: &Path, connection: &Connection, value: &mut Json, level: usize) -> Result<(), StoreError> {
    // Blobs may hold blobs; a file that was tampered with could hold a circle.
    if level > json::MAX_DEPTH {
        return Err(StoreError::damaged(place, "its blobs nest too deep"));
    }
    match value {
        Json::Array(items) => items.iter_mut().try_for_each(|item| put_back(place, connection, item, level + 1)),
        Json::Object(fields) if is_marked(fields) => match fields.get_mut(MARK).map(Json::take) {
            Some(Json::String(sha256)) => {
                *value = fetch(place, connection, &sha256)?;
                put_back(place, connection, value, level + 1)
            }
            Some(mut wrapped) => {
                if let Json::Object(own) = &mut wrapped {
                    own.values_mut().try_for_each(|item| put_back(place, connection, item, level + 1))?;
                }
                *value = wrapped;
                Ok(())
            }
            None => Ok(()),
        },
        Json::Object(fields) => fields.values_mut().try_for_each(|item| put_back(place, connection, item, level + 1)),
        _ => Ok(()),
    }
}

fn is_marked(fields: &Map<String, Json>) -> bool {
    fields.len() == 1 && fields.contains_key(MARK)
}

fn fetch(place: &Path, connection: &Connection, sha256: &str) -> Result<Json, StoreError> {
    let json: Option<String> = connection
        .prepare_cached("SELECT json FROM blobs WHERE sha256 = ?1")
        .and_then(|mut statement| statement.query_row([sha256], |row| row.get(0)).optional())
        .map_err(|error| StoreError::sqlite(place, &error))?;
    let json = json.ok_or_else(|| StoreError::damaged(place, format!("the blob {sha256} is missing")))?;
    parse_row(place, &json)
}

fn parse_row(place: &Path, text: &str) -> Result<Json, StoreError> {
    json::read(text).map_err(|error| StoreError::damaged(place, format!("an event reads: {error}")))
}
