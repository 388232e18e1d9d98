//! Server-sent events, as far as model endpoints use them: the data of each event.
//!
//! Our own sixty lines: what exists for it copies its buffer for every line, holds lines of any length, drops a last
//! event without its blank line, and panics on a byte-order mark.

/// Takes bytes as they come and gives the data of events.
#[derive(Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    data: Option<Vec<u8>>,
    after_carriage_return: bool,
    begun: bool,
}

impl Reader {
    /// Takes a piece of the stream, cut anywhere; gives the data of every event that it completes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_carriage_return) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                break;
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.after_carriage_return = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            events.extend(self.end_line());
        }
        events
    }

    /// The stream has ended: gives the data of an event whose line or blank line never came.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.data.take()
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            return self.data.take();
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[][..],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            // A comment (`: ping`), or a field such as `event`, `id`, `retry`, of which nobody here makes use.
            _ => return None,
        };
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            none => *none = Some(value.to_vec()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Reader;

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut reader = Reader::default();
        let mut events: Vec<Vec<u8>> = pieces.into_iter().flat_map(|piece| reader.push(piece)).collect();
        events.extend(reader.finish());
        events.into_iter().map(|event| String::from_utf8(event).unwrap()).collect()
    }

    fn check(stream: &str, expected: &[&str]) {
        assert_eq!(read([stream.as_bytes()]), expected);
    }

    #[test]
    fn line_ends_of_every_kind() {
        check("data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\n", &["a", "b", "c", "d"]);
    }

    #[test]
    fn comments_and_other_fields_are_passed_over() {
        check(": ping\n\nevent: message\nid: 7\nretry: 3\ndata: x\n\ndatum: y\n\n", &["x"]);
    }

    #[test]
    fn data_of_several_lines_is_joined() {
        check("data: a\ndata:  b\ndata\ndata:c\n\n", &["a\n b\n\nc"]);
    }

    #[test]
    fn a_byte_order_mark_at_the_start_is_dropped() {
        check("\u{feff}data: a\n\n", &["a"]);
    }

    #[test]
    fn the_end_of_the_stream_ends_the_event() {
        check("data: a\n\ndata: [DONE]", &["a", "[DONE]"]);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            stream in "(data:? ?|: |\r\n|\n|\r|[a-zé世 ]){0,60}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            prop_assert_eq!(read(pieces), read([bytes]));
        }
    }
}
