//! JSON text that may nest deep.

use serde::de::DeserializeOwned;

/// Deeper JSON is refused on both ways: its reader is recursive, and a thread's stack is small. (Values from outside
/// nest at most 128 deep; flows may wrap them a few times.)
pub(crate) const MAX_DEPTH: usize = 256;

/// Reads what a text holds.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if is_too_deep(text) {
        return Err(format!("it nests deeper than {MAX_DEPTH} lists and maps"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.disable_recursion_limit();
    let read = T::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(read)
}

/// Whether a text nests deeper than [`MAX_DEPTH`].
pub(crate) fn is_too_deep(json: &str) -> bool {
    // Most texts open so few lists and maps that they cannot nest too deep; counting is many times as quick.
    // `[` and `{` are one bit apart, and pieces of less than 256 bytes are counted in a byte: many at a time.
    let opened = |piece: &[u8]| usize::from(piece.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>());
    json.as_bytes().chunks(192).map(opened).sum::<usize>() > MAX_DEPTH && depth(json) > MAX_DEPTH
}

/// How deep lists and maps nest in JSON text, found without recursion.
fn depth(json: &str) -> usize {
    let (mut now, mut most, mut in_text, mut escaped) = (0usize, 0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !in_text => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}
