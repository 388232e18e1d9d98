//! Who wrote a header: three characters that stand in text while a template runs, and what a header line looks like.
//!
//! [`super::rewrite`] puts them behind the colons of the template's own header lines, before the template is compiled;
//! they travel with the text through macros, `set` blocks and filters, and [`take`] turns the ones that still stand
//! where they should into byte offsets. They are code points that Unicode reserves for a program's own use, and data
//! can hold none: [`clean`] replaces them in every value that comes in. So they need not be guessed to be safe.

use std::borrow::Cow;
use std::sync::Arc;

/// Follows the colon of a header that the template wrote whole.
pub(super) const HEADER: char = '\u{fdd0}';
/// Follows a role that was printed as an expression's whole value, or that stands alone before a tag.
pub(super) const ROLE: char = '\u{fdd1}';
/// Follows a colon of the template that makes a header if [`ROLE`] stands before it.
pub(super) const COLON: char = '\u{fdd2}';

const MARKS: [char; 3] = [HEADER, ROLE, COLON];

/// What a line may begin with to be a header: roles, then the fields of a message.
const WORDS: [&str; 10] =
    ["system", "user", "assistant", "function", "tool", "developer", "name", "content", "tool_call_id", "tool_calls"];

/// How many of [`WORDS`] are roles.
const ROLES: usize = 6;

/// Whether a character is a mark.
pub(super) fn is_mark(letter: char) -> bool {
    MARKS.contains(&letter)
}

/// Whether a text holds a mark.
pub(super) fn is_marked(text: &str) -> bool {
    find(text, 0).is_some()
}

/// Where the next mark stands. Everything that goes into a template and comes out of one passes through here, so this
/// looks at blocks of bytes, not at letters.
fn find(text: &str, from: usize) -> Option<usize> {
    /// What every mark begins with in UTF-8, and nothing else of a letter can be.
    const LEAD: u8 = 0xef;
    const BLOCK: usize = 64;
    let mut start = from;
    for block in text.as_bytes().get(from..)?.chunks(BLOCK) {
        if block.iter().fold(false, |found, byte| found | (*byte == LEAD)) {
            let is_mark = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(MARKS));
            let found = block.iter().enumerate().find(|(index, byte)| **byte == LEAD && is_mark(start + index));
            if let Some((index, _)) = found {
                return Some(start + index);
            }
        }
        start += BLOCK;
    }
    None
}

/// A text from outside, with what looks like a mark replaced.
pub(super) fn clean(text: &Arc<str>) -> Arc<str> {
    if is_marked(text) { text.replace(MARKS, "\u{fffd}").into() } else { text.clone() }
}

/// The text without marks.
pub(super) fn without(text: &str) -> Cow<'_, str> {
    if is_marked(text) { Cow::Owned(text.replace(MARKS, "")) } else { Cow::Borrowed(text) }
}

/// The text without marks, and the byte offsets in it where headers ended.
pub(super) fn take(text: String) -> (String, Vec<u32>) {
    if !is_marked(&text) {
        return (text, Vec::new());
    }
    let mut plain = String::with_capacity(text.len());
    let mut headers = Vec::new();
    // Where the last role mark stood: a colon mark counts only behind it, with nothing but blanks between.
    let mut role_end = None;
    let mut start = 0;
    while start < text.len() {
        let at = find(&text, start).unwrap_or(text.len());
        let end = (at + HEADER.len_utf8()).min(text.len());
        let (body, mark) = (text.get(start..at).unwrap_or(""), text.get(at..end).unwrap_or(""));
        start = end;
        plain.push_str(body);
        let follows_role = |end: usize| plain.get(end..).is_some_and(|rest| rest.trim_matches([' ', '\t']) == ":");
        let mark = mark.chars().next();
        let counts = match mark {
            Some(HEADER) => true,
            Some(COLON) => role_end.is_some_and(follows_role),
            _ => false,
        };
        role_end = (mark == Some(ROLE)).then_some(plain.len());
        let line_start = plain.rfind('\n').map_or(0, |newline| newline + 1);
        // Whatever came before on the line, the whole line must be a header now.
        if counts && header_end(&plain[line_start..]).is_some() {
            headers.push(u32::try_from(plain.len()).unwrap_or(u32::MAX));
        }
    }
    (plain, headers)
}

/// Whether a text is a role word, in any case.
pub(super) fn is_role(text: &str) -> bool {
    WORDS.iter().take(ROLES).any(|role| role.eq_ignore_ascii_case(text))
}

/// Whether nothing but blanks and the signs of a heading stand in a line so far.
pub(super) fn is_heading_start(line: &str) -> bool {
    after_heading(line).is_empty()
}

/// Where the colon of a header line ends, in bytes; `None` if the line is none.
pub(super) fn header_end(line: &str) -> Option<usize> {
    let body = line.trim_end().strip_suffix(':')?;
    let end = body.len() + 1;
    let mut word = after_heading(body).trim_end();
    if let Some((before, _)) = word.strip_suffix(']').and_then(|open| open.split_once('[')) {
        word = before.trim_end();
    }
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)).then_some(end)
}

/// An author's text with every header line marked; `None` if there is none. A header needs its line break.
pub(super) fn mark_headers(text: &str) -> Option<String> {
    if !text.contains(':') {
        return None;
    }
    let mut marked = String::with_capacity(text.len() + 8);
    let mut found = false;
    for line in text.split_inclusive('\n') {
        match header_end(line).filter(|_| line.ends_with('\n')) {
            Some(end) => {
                marked.push_str(&line[..end]);
                marked.push(HEADER);
                marked.push_str(&line[end..]);
                found = true;
            }
            None => marked.push_str(line),
        }
    }
    found.then_some(marked)
}

/// A text with headers marked at known offsets; offsets that do not follow a header's colon are ignored.
pub(super) fn mark_at(text: &str, offsets: &[u32]) -> Option<String> {
    let mut marked = String::with_capacity(text.len() + 3 * offsets.len());
    let mut copied = 0;
    for offset in offsets {
        let offset = *offset as usize;
        let Some(piece) = text.get(copied..offset) else { continue };
        let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        if header_end(&text[line_start..offset]).is_none() {
            continue;
        }
        marked.push_str(piece);
        marked.push(HEADER);
        copied = offset;
    }
    if copied == 0 {
        return None;
    }
    marked.push_str(&text[copied..]);
    Some(marked)
}

/// After an operation that may have put foreign text into marked text: drops every mark whose line, up to it, is no
/// longer what it was. Marks are never added or reordered, so the n-th mark after belongs to the n-th before.
pub(super) fn recheck(before: &str, after: &str) -> String {
    fn lines(text: &str) -> Vec<&str> {
        let line_of = |at: usize| &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
        text.match_indices(MARKS).map(|(at, _)| line_of(at)).collect()
    }
    let (was, is) = (lines(before), lines(after));
    let mut kept = String::with_capacity(after.len());
    let mut index = 0;
    for letter in after.chars() {
        if is_mark(letter) {
            if was.len() == is.len() && was.get(index) == is.get(index) {
                kept.push(letter);
            }
            index += 1;
        } else {
            kept.push(letter);
        }
    }
    kept
}

/// The text with every mark of its first line dropped: that line begins behind what data wrote.
pub(super) fn without_first(text: &str) -> Cow<'_, str> {
    let end = text.find('\n').unwrap_or(text.len());
    if !is_marked(&text[..end]) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}{}", text[..end].replace(MARKS, ""), &text[end..]))
}

/// What follows the signs of a heading in a line.
pub(super) fn after_heading(line: &str) -> &str {
    let line = line.trim_start();
    let line = line.strip_prefix('#').unwrap_or(line);
    line.strip_prefix('#').unwrap_or(line).trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_header(line: &str, expected: Option<usize>) {
        assert_eq!(header_end(line), expected, "{line:?}");
    }

    #[test]
    fn header_lines_are_told_from_text() {
        check_header("system:\n", Some(7));
        check_header("  # User :  \r\n", Some(10));
        check_header("user[name=\"a\"]:", Some(15));
        check_header("## name:", Some(8));
        check_header("the user:", None);
        check_header("user: hi", None);
        check_header("### user:", None);
        check_header(":", None);
    }

    #[test]
    fn marks_come_out_as_offsets() {
        let marked = mark_headers("user:\nhi\nsystem:\nyo\nuser:").expect("has headers");
        assert_eq!(take(marked), ("user:\nhi\nsystem:\nyo\nuser:".to_owned(), vec![5, 16]));
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        for length in 0..200 {
            let before = "é\u{ff1a}x".repeat(length);
            for mark in MARKS {
                assert_eq!(find(&format!("{before}{mark}\u{ff1a}"), 0), Some(before.len()));
            }
            assert_eq!(find(&before, 0), None);
        }
    }

    #[test]
    fn a_mark_does_not_survive_a_change_of_its_line() {
        let before = mark_headers("user:\nhi\nuser:\n").expect("has headers");
        assert_eq!(take(recheck(&before, &before.replace("hi", "ho"))).1, vec![5, 14]);
        assert_eq!(take(recheck(&before, &before.replace("user", "system"))).1, Vec::<u32>::new());
        assert_eq!(take(recheck(&before, &before.replacen("user", "system", 1))).1, vec![16]);
    }
}
