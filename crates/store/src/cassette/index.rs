//! The calls of a cassette's files, each found and checked, without what they say.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::call::{Head, Place, RequestHash};
use crate::StoreError;

/// Where a call stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) length: usize,
}

/// Reads a file's calls in order and tells where each stands. Does nothing if there is no file.
///
/// In one that `is_growing`, the last line may be half of one: a process has died while it wrote.
pub(super) fn each_call(
    place: &Path,
    is_growing: bool,
    tell: &mut dyn FnMut(Place, RequestHash, Span),
) -> Result<(), StoreError> {
    let file = match File::open(place) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::file(place, &error)),
    };
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let (mut bytes, mut offset) = (Vec::new(), 0);
    for line in 1.. {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes).map_err(|error| StoreError::file(place, &error))?;
        if read == 0 {
            break;
        }
        let is_whole = bytes.last() == Some(&b'\n');
        let text = bytes.trim_ascii_end();
        if (is_whole || !is_growing) && !text.is_empty() {
            let head = std::str::from_utf8(text).map_err(|error| error.to_string()).and_then(Head::read);
            let head = head.map_err(|message| StoreError::DamagedCassette {
                place: place.display().to_string(),
                line,
                message,
            })?;
            let hash = head.hash();
            tell(head.into_place(), hash, Span { offset, length: text.len() });
        }
        offset += read as u64;
    }
    Ok(())
}

/// The text at a place of a file.
pub(super) fn text_at(file: &mut File, span: Span) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(span.offset))?;
    let mut bytes = vec![0; span.length];
    file.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}
