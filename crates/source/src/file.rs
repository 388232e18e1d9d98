//! Files and places in them.

use std::sync::Arc;

/// A text that an author wrote, with the name by which messages call it.
#[derive(Clone, Debug)]
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    first: Position,
}

/// A range of bytes in a [`SourceFile`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A place as people count: both from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl SourceFile {
    /// A file by its name (a path as the author would write it) and text; a byte-order mark is dropped.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Arc<Self> {
        let text = text.into();
        let text = text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), Arc::from);
        Arc::new(Self { name: name.into(), text, first: Position { line: 1, column: 1 } })
    }

    /// A part of a file that is too large to be kept whole; `first` is the place of its first character in the file.
    #[must_use]
    pub fn excerpt(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>, first: Position) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), first })
    }

    /// The place of the text's first character: 1:1, save for an excerpt.
    #[must_use]
    pub fn first(&self) -> Position {
        self.first
    }

    /// The name by which messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The text of a range; empty if the range is not in this file.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// The place of a byte.
    #[must_use]
    pub fn position(&self, offset: u32) -> Position {
        let before = &self.text[..self.text.floor_char_boundary(offset as usize)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let skipped = if line_start == 0 { self.first.column } else { 1 };
        Position {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + self.first.line,
            column: before[line_start..].chars().count() + skipped,
        }
    }
}

impl Span {
    /// A range of bytes; what does not fit 32 bits ends there.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_an_excerpt_is_its_place_in_the_file() {
        let place = |file: &SourceFile, offset| (file.position(offset).line, file.position(offset).column);
        let excerpt = SourceFile::excerpt("big.jsonl", "bc\nd", Position { line: 700, column: 41 });
        assert_eq!(place(&excerpt, 1), (700, 42));
        assert_eq!(place(&excerpt, 3), (701, 1));
        assert_eq!(place(&SourceFile::new("small.jsonl", "bc\nd"), 1), (1, 2));
    }
}
