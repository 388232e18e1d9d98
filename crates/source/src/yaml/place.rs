//! From the parser's places, which count characters, to ours, which count bytes.

use crate::Span;

/// The table's step: a look-up walks fewer characters than this.
const STEP: usize = 64;

/// Byte offsets of a text's characters, and the ends of tokens that the parser does not tell exactly.
pub(super) struct Places<'a> {
    text: &'a str,
    /// The offset of every [`STEP`]th character; empty for a text whose characters are all one byte long.
    table: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let table = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STEP).map(|(offset, _)| offset).collect()
        };
        Self { text, table }
    }

    /// The byte at which a character begins; the text's end if there is no such character.
    pub(super) fn byte(&self, character: usize) -> usize {
        if self.table.is_empty() {
            return character.min(self.text.len());
        }
        let Some(&from) = self.table.get(character / STEP) else { return self.text.len() };
        let rest = &self.text[from..];
        rest.char_indices().nth(character % STEP).map_or(self.text.len(), |(offset, _)| from + offset)
    }

    /// The one character at a place.
    pub(super) fn character(&self, start: usize) -> Span {
        let length = self.text.get(start..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        Span::new(start, start + length)
    }

    pub(super) fn byte_at(&self, offset: usize) -> Option<u8> {
        self.text.as_bytes().get(offset).copied()
    }

    /// Skips a tag and an anchor, in either order, with the blanks and comments behind them.
    ///
    /// Returns where the value itself begins, and where the last of them ends.
    pub(super) fn skip_properties(&self, start: usize) -> (usize, usize) {
        let bytes = self.text.as_bytes();
        let (mut at, mut end) = (start, start);
        while let Some(b'&' | b'!') = bytes.get(at) {
            let verbatim = bytes[at..].starts_with(b"!<");
            while let Some(&byte) = bytes.get(at) {
                let over = if verbatim { byte == b'>' } else { b",[]{}".contains(&byte) };
                if byte.is_ascii_whitespace() || (over && !verbatim) {
                    break;
                }
                at += 1;
                if over {
                    break;
                }
            }
            end = at;
            at = self.skip_blanks(at);
        }
        (at, end)
    }

    /// Skips blanks, line ends and comments.
    fn skip_blanks(&self, mut at: usize) -> usize {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at) {
                Some(byte) if byte.is_ascii_whitespace() => at += 1,
                Some(b'#') => at = self.line_end(at),
                _ => return at,
            }
        }
    }

    /// Where the quoted text that begins at `start` ends, its closing quote included.
    pub(super) fn quoted_end(&self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let quote = bytes.get(start).copied().unwrap_or(b'"');
        let mut at = start + 1;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'\\' if quote == b'"' => at += 2,
                b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 2,
                _ if byte == quote => return at + 1,
                _ => at += 1,
            }
        }
        bytes.len()
    }

    /// The content of a block text (`|`, `>`): what stands from `start` to `end`, header and last line ends left out.
    pub(super) fn block_text(&self, start: usize, end: usize) -> (usize, usize) {
        let mut start = start.min(end);
        if let Some(b'|' | b'>') = self.byte_at(start)
            && self.line_end(start) < end
        {
            // The parser counts from the header if there is a tag, or no content.
            let header_end = self.line_end(start);
            let content = &self.text[header_end..end];
            start = header_end + (content.len() - content.trim_start().len());
        }
        let end = start + self.text.get(start..end).map_or(0, |content| content.trim_end().len());
        (start, end)
    }

    /// The first byte that is not blank on the line of `at`.
    pub(super) fn first_of_line(&self, at: usize) -> usize {
        let start = self.line_start(at);
        let line = &self.text[start..];
        start + (line.len() - line.trim_start_matches([' ', '\t']).len())
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind(['\n', '\r']).map_or(0, |newline| newline + 1)
    }

    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find(['\n', '\r']).map_or(self.text.len(), |length| at + length)
    }
}
