//! Embedded tables, packed. They are made by `data/build.py`; a test reads each of them.

use std::io::Read as _;

/// Unpacks an embedded table. What cannot be unpacked is empty: the crate's tests see that none is.
pub(super) fn unpack(packed: &[u8]) -> String {
    let mut text = String::new();
    match flate2::read::DeflateDecoder::new(packed).read_to_string(&mut text) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}
