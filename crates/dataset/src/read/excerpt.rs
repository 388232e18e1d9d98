//! The text of a row as it stands in the file, and short excerpts of it.

use std::sync::Arc;

use sluicegate_source::{Position, Problem, SourceFile, Span};

use super::Fault;

/// Bytes shown before and after the place that is meant: a row may have 50 MB.
const SHOWN: usize = 80;

/// The bytes of a row, and where they begin in the file (line and column from 1).
pub(crate) struct Raw<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl<'a> Raw<'a> {
    /// The row as text.
    pub(crate) fn text(&self, name: &Arc<str>) -> Result<&'a str, Fault> {
        std::str::from_utf8(self.bytes).map_err(|error| {
            let problem = Problem::error("data::encoding", "this is not UTF-8 text")
                .help("save the file as UTF-8: `iconv -f WINDOWS-1252 -t UTF-8`, or \"CSV UTF-8\" in a spreadsheet");
            Fault { problem: self.mark(problem, name, error.valid_up_to(), 1), is_fatal: false }
        })
    }

    /// What is wrong with a row of more bytes than are held.
    pub(crate) fn too_long(&self, max_row_bytes: usize, name: &Arc<str>) -> Fault {
        let message = format!("a row is longer than {max_row_bytes} bytes");
        let problem = Problem::error("data::row_too_long", message)
            .help("is a quote or a bracket never closed, or a line end missing?");
        Fault { problem: self.mark(problem, name, 0, 0), is_fatal: false }
    }

    /// Puts the place of a byte of this row on a problem, with what stands around it.
    pub(crate) fn mark(&self, problem: Problem, name: &Arc<str>, offset: usize, length: usize) -> Problem {
        let offset = offset.min(self.bytes.len());
        let (before, after) = self.bytes.split_at(offset);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let line_end = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
        let mut from = line_start.max(offset.saturating_sub(SHOWN));
        while from > line_start && self.bytes.get(from).is_some_and(|byte| is_continuation(*byte)) {
            from -= 1;
        }
        let mut to = line_end.min(SHOWN);
        while to < line_end && after.get(to).is_some_and(|byte| is_continuation(*byte)) {
            to += 1;
        }
        let newlines = before[..line_start].iter().filter(|byte| **byte == b'\n').count();
        let first = Position {
            line: usize::try_from(self.line).unwrap_or(usize::MAX).saturating_add(newlines),
            column: letters(&before[line_start..from])
                + if line_start == 0 { usize::try_from(self.column).unwrap_or(usize::MAX) } else { 1 },
        };
        let mut text = String::from_utf8_lossy(&before[from..]).into_owned();
        let start = text.len();
        text.push_str(String::from_utf8_lossy(&after[..to]).trim_end_matches('\r'));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        // Who prints the excerpt counts columns from its beginning.
        let label = if first.column > 1 {
            format!("column {}", first.column + text[..start].chars().count())
        } else {
            String::new()
        };
        problem.in_file(&SourceFile::excerpt(name.clone(), text, first)).at(Span::new(start, end), label)
    }
}

fn letters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| !is_continuation(**byte)).count()
}

/// Whether a byte goes on with the letter before it.
pub(super) fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}
