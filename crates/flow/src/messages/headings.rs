//! The lines of a rendered text that the template wrote as headers or fields.

use crate::template::Rendered;

/// A line that ends with a colon, written by the template: `# user :`, `## name:`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading<'t> {
    /// What stands before the colon, without `#` and blanks.
    pub(crate) word: &'t str,
    /// How many `#` stand before it: 0, 1 or 2.
    pub(crate) hashes: usize,
    /// The byte at which its line begins.
    pub(crate) start: usize,
    /// The byte after its line, line break included.
    pub(crate) end: usize,
    /// Whether its line has a line break.
    pub(crate) has_line_break: bool,
}

/// Every such line, in order. Offsets that do not follow the colon at the end of a line are passed over.
pub(crate) fn headings(rendered: &Rendered) -> impl Iterator<Item = Heading<'_>> {
    let text = &*rendered.text;
    rendered.headers.iter().filter_map(move |offset| heading(text, *offset as usize))
}

fn heading(text: &str, after_colon: usize) -> Option<Heading<'_>> {
    let before = text.get(..after_colon)?.strip_suffix(':')?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let after = text.get(after_colon..)?;
    let (rest, has_line_break) = match after.find('\n') {
        Some(newline) => (after.get(..newline)?, true),
        None => (after, false),
    };
    if !strip(rest).is_empty() {
        return None;
    }
    let mut word = strip(before.get(start..)?);
    let mut hashes = 0;
    while hashes < 2
        && let Some(rest) = word.strip_prefix('#')
    {
        hashes += 1;
        word = rest;
    }
    let end = after_colon + rest.len() + usize::from(has_line_break);
    // `# # user:` is no header of the original's, `## user:` neither: what is left after blanks must be a word.
    Some(Heading { word: word.trim_start_matches(is_python_space), hashes, start, end, has_line_break })
}

/// What Python's `str.strip()` strips: Unicode's blanks and four control characters.
pub(crate) fn is_python_space(letter: char) -> bool {
    letter.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&letter)
}

/// Python's `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_python_space)
}
