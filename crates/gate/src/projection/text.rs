//! Hostile text made harmless, before any format's own escaping.

use std::fmt::Write as _;

/// Puts a text on one line: what cannot be seen becomes visible, line ends become `⏎`, and what is longer than `limit`
/// characters is shortened with a note.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    let (head, note) = cut(text, limit);
    let mut out = String::with_capacity(head.len());
    let mut letters = head.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' | '\r' => out.push('⏎'),
            '\t' => out.push(' '),
            _ => push_visible(&mut out, letter),
        }
    }
    out.push_str(&note);
    out
}

/// Keeps the lines of a text: what cannot be seen becomes visible, and what is longer than `limit` characters is
/// shortened with a note.
#[must_use]
pub fn lines(text: &str, limit: usize) -> String {
    let (head, note) = cut(text, limit);
    let mut out = String::with_capacity(head.len());
    let mut letters = head.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            '\n' | '\r' => out.push('\n'),
            '\t' => out.push_str("    "),
            _ => push_visible(&mut out, letter),
        }
    }
    out.push_str(&note);
    out
}

/// Whether a character has no business in a report: it is invisible, moves the cursor, or turns the reading direction,
/// so that what is shown is not what is there.
#[must_use]
pub fn is_deceptive(letter: char) -> bool {
    matches!(letter,
        // C0, DEL and C1: escape sequences begin here.
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        // Zero-width space and non-joiner, direction marks. (The joiner, U+200D, makes one emoji of several.)
        | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}'
        // Line and paragraph separators, embeddings and overrides.
        | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates.
        | '\u{2060}'..='\u{206f}'
        // Byte-order mark, interlinear annotations.
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags: whole sentences that nobody sees.
        | '\u{e0000}'..='\u{e0fff}')
        || is_noncharacter(letter)
}

fn is_noncharacter(letter: char) -> bool {
    let code = u32::from(letter);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

fn push_visible(out: &mut String, letter: char) {
    if is_deceptive(letter) {
        let _ = write!(out, "⟨U+{:04X}⟩", u32::from(letter));
    } else {
        out.push(letter);
    }
}

/// The first `limit` characters, and what to say of the rest.
fn cut(text: &str, limit: usize) -> (&str, String) {
    // Cheap for what is short: no text has more characters than bytes.
    if text.len() <= limit {
        return (text, String::new());
    }
    match text.char_indices().nth(limit) {
        None => (text, String::new()),
        Some((end, _)) => {
            // Bytes, since counting characters would read all of it.
            (&text[..end], format!("… [{} more bytes]", text.len() - end))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_invisible_is_shown() {
        assert_eq!(one_line("a\0\x1b[31mb\u{202e}c\u{e0041}", 99), "a⟨U+0000⟩⟨U+001B⟩[31mb⟨U+202E⟩c⟨U+E0041⟩");
        assert_eq!(one_line("a\r\nb\nc\td", 99), "a⏎b⏎c d");
        assert_eq!(lines("a\r\nb\rc", 99), "a\nb\nc");
        assert_eq!(
            one_line("family: 👨\u{200d}👩\u{200d}👧 e\u{301} 日本", 99),
            "family: 👨\u{200d}👩\u{200d}👧 e\u{301} 日本"
        );
    }

    #[test]
    fn what_is_long_is_shortened_with_a_note() {
        assert_eq!(one_line("éééé", 4), "éééé");
        assert_eq!(one_line("ééééé", 4), "éééé… [2 more bytes]");
        assert!(one_line(&"x".repeat(5_000_000), 100).len() < 200);
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_left(text in any::<String>()) {
            let shown = one_line(&text, 50);
            prop_assert!(!shown.chars().any(is_deceptive));
            prop_assert!(!lines(&text, 50).chars().any(|letter| is_deceptive(letter) && letter != '\n'));
        }
    }
}
