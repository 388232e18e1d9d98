//! Lines with a meaning become lines with colours.

use sluicegate_gate::projection::terminal::{Style, StyledLine};

use crate::terminal::Painter;

/// The lines, painted; without a line end after the last.
pub(crate) fn painted(lines: &[StyledLine], paint: Painter) -> String {
    let lines = lines.iter().map(|line| {
        let last = line.0.len().saturating_sub(1);
        let pieces = line.0.iter().enumerate().map(|(at, piece)| {
            // Blanks at a line's end help nobody, and may not hide behind a colour.
            let text = if at == last { piece.text.trim_end() } else { &piece.text };
            match piece.style {
                _ if text.is_empty() => String::new(),
                Style::Plain | Style::Bold => text.to_owned(),
                Style::Dim => paint.dim(text),
                Style::Good => paint.green(text),
                Style::Bad => paint.red(text),
                Style::Doubtful => paint.yellow(text),
            }
        });
        pieces.collect::<String>()
    });
    lines.collect::<Vec<_>>().join("\n")
}
