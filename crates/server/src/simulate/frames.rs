//! A stream of server-sent events, in one buffer with marks where its pieces begin.

use std::io::Write as _;

use axum::body::Bytes;
use serde::Serialize;

/// Events in the order in which they go out: a head, pieces, a tail.
#[derive(Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// Where each piece begins.
    marks: Vec<usize>,
    /// Where the last piece ends.
    tail: usize,
}

impl Frames {
    /// Adds an event without a name, as the chat API has them.
    pub(super) fn data(&mut self, data: &impl Serialize) {
        self.buffer.extend_from_slice(b"data: ");
        self.json(data);
    }

    /// Adds an event with a name.
    pub(super) fn event(&mut self, name: &str, data: &impl Serialize) {
        let _ = write!(self.buffer, "event: {name}\ndata: ");
        self.json(data);
    }

    /// Adds `data: [DONE]`.
    pub(super) fn done(&mut self) {
        self.buffer.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Adds an event that is a piece of the reply.
    pub(super) fn piece(&mut self, name: Option<&str>, data: &impl Serialize) {
        self.marks.push(self.buffer.len());
        match name {
            None => self.data(data),
            Some(name) => self.event(name, data),
        }
        self.tail = self.buffer.len();
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.buffer.into()
    }

    /// The head, and each piece with what follows it; up to so many pieces only, if the stream is to be cut.
    pub(super) fn into_pieces(self, cut_after: Option<usize>) -> Vec<Bytes> {
        let end = match cut_after {
            None => self.buffer.len(),
            Some(0) => 0,
            Some(pieces) => self.marks.get(pieces).copied().unwrap_or(self.tail),
        };
        let all = Bytes::from(self.buffer);
        let starts = std::iter::once(0).chain(self.marks.iter().copied().filter(|mark| *mark < end));
        let ends = self.marks.iter().copied().filter(|mark| *mark < end).chain(std::iter::once(end));
        starts.zip(ends).map(|(start, end)| all.slice(start..end)).collect()
    }

    fn json(&mut self, data: &impl Serialize) {
        // Our own types have text keys and never refuse; a vector never either.
        let _ = serde_json::to_writer(&mut self.buffer, data);
        self.buffer.extend_from_slice(b"\n\n");
    }
}

/// A text in the pieces in which it is streamed: word by word.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_after_its_pieces() {
        let frames = || {
            let mut frames = Frames::default();
            frames.data(&"head");
            for word in words("one two three") {
                frames.piece(None, &word);
            }
            frames.done();
            frames
        };
        let shown = |cut| {
            let pieces = frames().into_pieces(cut);
            pieces.iter().map(|piece| String::from_utf8_lossy(piece).replace("\n\n", ";")).collect::<Vec<_>>()
        };
        let head = "data: \"head\";";
        assert_eq!(shown(None), [head, "data: \"one \";", "data: \"two \";", "data: \"three\";data: [DONE];"]);
        assert_eq!(shown(Some(2)), [head, "data: \"one \";", "data: \"two \";"]);
        assert_eq!(shown(Some(9)), [head, "data: \"one \";", "data: \"two \";", "data: \"three\";"]);
        assert_eq!(shown(Some(0)), [""]);
    }
}
